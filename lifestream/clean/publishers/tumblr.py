"""Tumblr: a title that stands in the text as well was cut out of it; who is reblogged is named before that."""

from dataclasses import replace

from lifestream.clean.html import text_of_clean
from lifestream.clean.kinds import SHORT
from lifestream.types import Entry, Feed, RawEntry

GENERATORS = ("Tumblr",)
_NAME_CHARS = 60


def wrote(raw: RawEntry, url: str, feed: Feed) -> bool:
    return True


def told(entry: Entry, raw: RawEntry, feed: Feed) -> Entry:
    text, title = text_of_clean(entry.content_html), entry.title or ""
    beginning = "".join(title.removesuffix("…").removesuffix("...").split())
    if title in ("Photo", "Video", "Audio"):
        return replace(entry, title=None)
    if not beginning or beginning not in "".join(text[: len(title) + _NAME_CHARS].split()):
        return entry
    if entry.kind != "article":
        return replace(entry, title=None)
    return replace(entry, title=None, kind="photo" if entry.media and len(text) <= SHORT else "note")
