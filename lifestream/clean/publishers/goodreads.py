"""Goodreads: how far somebody is with a book and what they thought of it, below its cover, which is no photo."""

import html
import re
from dataclasses import replace

from lifestream.types import Entry, Feed, RawEntry

_SITE = re.compile(r"https?://(?:www\.)?goodreads\.com/")
_COVER = re.compile(r"<a [^<>]*>([^<>]*)</a>\s*(?:<br>)?")


def wrote(raw: RawEntry, url: str, feed: Feed) -> bool:
    return "goodreads.com/" in url and bool(_SITE.match(url))


def told(entry: Entry, raw: RawEntry, feed: Feed) -> Entry:
    """How far somebody is, the title says shorter than the text does."""
    body = entry.content_html
    if (cover := _COVER.match(body)) and entry.media and html.unescape(cover[1]) == entry.media[0].alt:
        entry = replace(entry, content_html=body[cover.end() :].strip())
    if raw.id.startswith(("ReadStatus", "UserStatus")):
        return replace(entry, kind="note", title=None if entry.content_html else entry.title)
    return replace(entry, kind="article") if entry.kind == "photo" else entry
