"""Flickr: the photograph is enclosed, and shown small in the content under "me posted a photo"."""

import re
from dataclasses import replace

from lifestream.types import Entry, Feed, Media, RawEntry

_POSTED = re.compile(r"^\s*<p><a [^<>]*>[^<>]*</a> (?:posted|has added) a (?:photo|video)[^<>]*</p>")
_SHOWN = re.compile(r"<p><a href=\"[^\"]*flickr\.com/photos/[^\"]*\"[^<>]*>[^<>]*</a></p>")
_SIZE = re.compile(r"(?:_[a-z0-9])?\.(?:jpg|png|gif)(?:\?.*)?$")


def wrote(raw: RawEntry, url: str, feed: Feed) -> bool:
    return raw.id.startswith("tag:flickr.com,")


def told(entry: Entry, raw: RawEntry, feed: Feed) -> Entry:
    body = _SHOWN.sub("", _POSTED.sub("", entry.content_html))
    return replace(entry, media=_once(entry.media), content_html=body)


def _once(media: tuple[Media, ...]) -> tuple[Media, ...]:
    """The first of a photograph's sizes is the one enclosed; a later one is its thumbnail."""
    found: dict[str, Media] = {}
    for medium in media:
        name = _SIZE.sub("", medium.url)
        first = found.setdefault(name, medium)
        if first is not medium:
            found[name] = replace(first, alt=first.alt or medium.alt, thumbnail=first.thumbnail or medium.url)
    return tuple(found.values())
