"""Medium and Substack: long texts. A picture that Substack encloses is the cover; Medium marks its links."""

import re
from dataclasses import replace

from lifestream.types import Entry, Feed, RawEntry

GENERATORS = ("Medium", "Substack")
_MARK = re.compile(r"\?source=rss[^#]*")


def wrote(raw: RawEntry, url: str, feed: Feed) -> bool:
    return True


def told(entry: Entry, raw: RawEntry, feed: Feed) -> Entry:
    kind = "article" if entry.kind in ("photo", "note") and entry.title else entry.kind
    return replace(entry, kind=kind, url=_MARK.sub("", entry.url) if entry.url else None)
