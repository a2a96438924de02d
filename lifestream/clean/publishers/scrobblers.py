"""Who listened to what: Last.fm, GNU FM (Libre.fm) and ListenBrainz. The artist and the track are in the address where
that is the track's page, else in the title.
"""

import html
import re
from dataclasses import replace
from urllib.parse import unquote_plus

from lifestream.clean.html import text_of_clean, web_address
from lifestream.types import Entry, Feed, RawEntry

_LASTFM = re.compile(r"https?://(?:www\.)?last\.fm/(?:[a-z]{2}/)?music/([^/]+)/(?:_|([^/_][^/]*))/([^/?#]+)")
_GNUFM = re.compile(r"[^?#]*?/artist/([^/?#]+)(?:/album/([^/?#]+))?/track/([^/?#]+)")
_LISTENBRAINZ = re.compile(r"^(?:<p>)?\s*+(<a href=\"([^\"]+)\"[^<>]*>.*?</a>|[^<>\s][^<>]*?) by (.+)$", re.S)
LISTEN_CHARS = 2000


def wrote(raw: RawEntry, url: str, feed: Feed) -> bool:
    return "last.fm/" in url or "/track/" in url or "/syndication-feed/user/" in raw.id


def told(entry: Entry, raw: RawEntry, feed: Feed) -> Entry:
    if "/syndication-feed/" in raw.id:
        return _listenbrainz(entry)
    found = _LASTFM.match(entry.url or "") or _GNUFM.match(entry.url or "")
    if found is None:
        return entry
    artist, album, track = (_name(part) for part in found.groups())
    data = {"artist": artist, "track": track, "album": album}
    text = text_of_clean(entry.content_html)
    bare = web_address(text) == text.strip()  # what they describe a song with is its artist's address
    return replace(entry, kind="listen", verb="listen", content_html="" if bare else entry.content_html, data=data)


def _listenbrainz(entry: Entry) -> Entry:
    found = _LISTENBRAINZ.match(entry.content_html.strip()[:LISTEN_CHARS])
    title = entry.title or ""
    if found:
        track, artist, url = (
            text_of_clean(found[1]),
            text_of_clean(found[3]),
            web_address(html.unescape(found[2] or "")),
        )
    else:
        track, _, artist = title.rpartition(" - ")
        url = ""
    if not track or not artist:
        return entry
    data = {"artist": artist, "track": track, "album": ""}
    return replace(entry, kind="listen", verb="listen", url=url or entry.url, content_html="", data=data)


def _name(part: str | None) -> str:
    return " ".join(unquote_plus(part or "").split())
