"""Plex. https://support.plex.tv/articles/115002267687-webhooks/

It signs nothing: the address with its token is the secret. It sends a form of several parts, one of which is a picture.
What is heard goes into `listens`, like a scrobble: Plex says so when a track has played to nine tenths.
"""

from collections.abc import Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from email.parser import BytesParser
from email.policy import HTTP
from typing import Any

import orjson

from lifestream.errors import InvalidInput
from lifestream.protocol import adapter
from lifestream.protocol.adapter import Call, Ignored, Played, Playing, Said, Stopped, address_token, find, number, text
from lifestream.protocol.listens import Track, words

SAME_FOR = timedelta(seconds=30)
"""Nothing in a delivery says when it was, and what is scrobbled is longer than this."""
SOURCE = "listens"
SET_UP = """\
On Plex (with a Plex Pass): Settings, Webhooks, Add Webhook.
  {url}?token={quoted}
And under Settings, Network of the server: Webhooks."""
SCROBBLED_AT = 0.9


def read(call: Call) -> Any:
    """The part `payload`."""
    if not call.header("content-type").lower().startswith("multipart/form-data"):
        return adapter.read(call)
    head = b"Content-Type: " + call.header("content-type").encode("utf-8", "replace") + b"\r\n\r\n"
    for part in BytesParser(policy=HTTP).parsebytes(head + call.body).walk():
        if part.get_param("name", header="content-disposition") == "payload":
            said = part.get_payload(decode=True)
            with suppress(orjson.JSONDecodeError):
                return orjson.loads(said if isinstance(said, bytes) else b"")
    raise InvalidInput("The body has no part `payload` with JSON in it.")


def doubt(call: Call, secrets: Sequence[str], now: datetime) -> str:
    return address_token(call, secrets)


def events(call: Call, payload: Any) -> Said:
    what, song = text(payload, "event"), find(payload, "Metadata")
    if text(song, "type") != "track":
        return Ignored("it is of no song")
    if find(payload, "user") is False:
        return Ignored("somebody else plays on your server")
    track = _track(song)
    if not (track.artist and track.title):
        return Ignored("the song has no artist or no name")
    match what:
        case "media.play" | "media.resume":
            return Playing(track)
        case "media.pause" | "media.stop":
            return Stopped(track)
        case "media.scrobble":
            return Played(track, round(track.seconds * SCROBBLED_AT))
    return Ignored(f"the event “{what[:60]}” is of no interest")


def _track(song: Any) -> Track:
    """`grandparentTitle` is the album's artist; a track of somebody else's has its own in `originalTitle`."""
    return Track(
        words(text(song, "originalTitle")) or words(text(song, "grandparentTitle")),
        words(text(song, "title")),
        album=words(text(song, "parentTitle")),
        seconds=round(min(max(number(song, "duration") / 1000, 0), 86_400)),
    )
