"""PeerTube: a film has a page of its own, whatever is enclosed; in Atom that is a torrent alone. A comment's page is
the film's with ";threadId=" behind it.
"""

import re
from dataclasses import replace

from lifestream.types import Entry, Feed, RawEntry

GENERATORS = ("PeerTube",)
_FILM = re.compile(r"/(?:w|videos/watch)/[\w-]+/?$")


def wrote(raw: RawEntry, url: str, feed: Feed) -> bool:
    return bool(_FILM.search(url))


def told(entry: Entry, raw: RawEntry, feed: Feed) -> Entry:
    return replace(entry, kind="video")
