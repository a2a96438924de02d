"""GNU MediaGoblin: nothing is enclosed. The content shows a thumbnail, sometimes with a link to the medium itself."""

import html
import re
from dataclasses import replace

from lifestream.clean.html import web_address
from lifestream.types import Entry, Feed, Kind, Media, RawEntry

_PAGE = re.compile(r"[^?#]*/u/[^/?#]+/m/[^/?#]+/?$")
_FILE = re.compile(r'<a href="([^"]*/mgoblin_media/[^"]+)"[^<>]*>([^<>]*)</a>')
_ENDINGS: dict[str, tuple[Kind, str]] = {
    "webm": ("video", "video/webm"), "ogv": ("video", "video/ogg"), "mp4": ("video", "video/mp4"),
    "ogg": ("audio", "audio/ogg"), "oga": ("audio", "audio/ogg"), "mp3": ("audio", "audio/mpeg"),
    "flac": ("audio", "audio/flac"), "jpg": ("photo", "image/jpeg"), "jpeg": ("photo", "image/jpeg"),
    "png": ("photo", "image/png"), "gif": ("photo", "image/gif"), "webp": ("photo", "image/webp"),
}  # fmt: skip


def wrote(raw: RawEntry, url: str, feed: Feed) -> bool:
    return "/m/" in url and bool(_PAGE.match(url))


def told(entry: Entry, raw: RawEntry, feed: Feed) -> Entry:
    linked = [web_address(html.unescape(url)) for url, _ in _FILE.findall(entry.content_html)]
    media = [medium for medium in entry.media if "/mgoblin_media/" in medium.url]
    shown = [medium.thumbnail or medium.url for medium in media]
    files = [url for url in (*linked, *(medium.url for medium in media)) if _ending(url) in _ENDINGS]
    if not files:
        return entry
    url = next((one for one in files if ".thumbnail." not in one), files[0])
    kind, media_type = _ENDINGS[_ending(url)]
    alt = next((medium.alt for medium in entry.media if medium.alt), "")
    thumbnail = next((one for one in shown if one != url), shown[0] if kind == "photo" and shown else "")
    return replace(
        entry,
        kind=kind,
        media=(Media(media_type, url, alt=alt, thumbnail=thumbnail),),
        content_html=_FILE.sub("", entry.content_html),
    )


def _ending(url: str) -> str:
    return url.rpartition(".")[2].lower()
