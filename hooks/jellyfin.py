"""Jellyfin's Webhook plugin, with a generic destination. https://github.com/jellyfin/jellyfin-plugin-webhook

It signs nothing: the address with its token is the secret. What is heard goes into `listens`, like a scrobble.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from lifestream.protocol.adapter import (
    Call,
    Ignored,
    Ping,
    Played,
    Playing,
    Said,
    Stopped,
    address_token,
    find,
    number,
    text,
)
from lifestream.protocol.listens import Track, counts, mbid, there, words

SAME_FOR = timedelta(minutes=10)
SOURCE = "listens"
SET_UP = """\
On Jellyfin: Dashboard, Plugins, Webhook, Add Generic Destination.
  Webhook Url        {url}?token={quoted}
  Notification Type  Playback Start, Playback Stop
  User Filter        you
  Item Type          Songs
  Send All Properties (ignores template)"""
TICKS = 10_000_000
"""Of a second."""


def doubt(call: Call, secrets: Sequence[str], now: datetime) -> str:
    return address_token(call, secrets)


def events(call: Call, payload: Any) -> Said:
    what = text(payload, "NotificationType")
    if what == "Generic":
        return Ping()
    if text(payload, "ItemType") != "Audio":
        return Ignored("it is of no song")
    track = _track(payload)
    if not (track.artist and track.title):
        return Ignored("the song has no artist or no name; in the plugin, choose “Send All Properties”")
    match what:
        case "PlaybackStart":
            return Playing(track)
        case "PlaybackStop":
            whole = find(payload, "PlayedToCompletion") is True
            played = number(payload, "PlaybackPositionTicks") / TICKS
            heard = max(played, track.seconds) if whole else played
            return Played(track, round(heard)) if counts(heard, track.seconds) else Stopped(track)
    return Ignored(f"the event “{what[:60]}” is of no interest")


def _track(payload: Any) -> Track:
    """An artist's ids may be several, and then nobody says which is whose."""
    return Track(
        words(text(payload, "Artist")),
        words(text(payload, "Name")),
        album=words(text(payload, "Album")),
        seconds=round(min(max(number(payload, "RunTimeTicks") / TICKS, 0), 86_400)),
        mbids=there(
            recording_mbid=mbid(text(payload, "Provider_musicbrainzrecording")),
            release_mbid=mbid(text(payload, "Provider_musicbrainzalbum")),
        ),
    )
