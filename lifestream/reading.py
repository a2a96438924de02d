"""A document, read: its entries told apart, and cleaned when they are wanted; what takes time, in the process for it.

What was read there comes back packed: of most documents nothing is new, and of the others not all.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from lifestream.clean.columns import Columns, columns
from lifestream.clean.entries import Identified, clean, identify
from lifestream.errors import ParseError
from lifestream.parse import parse, parse_well_formed
from lifestream.parse.packed import Packed, travels
from lifestream.parse.worker import in_worker
from lifestream.types import Feed, Kind

IN_PLACE = 16 * 1024
"""A well-formed document of so many bytes is read in half a millisecond, the worst that could be thought of in 20,
while a warm worker answers in one; a larger one takes the worker no longer than us."""
READ_WITHIN, READ_WITHIN_MORE = 10.0, 1.0
"""Seconds for reading a document, and for each MB of it."""
AT_ONCE = 2000
"""Entries that are cleaned in one go, so that there are never more of them unpacked."""
CLEAN_WITHIN = 60.0
"""Seconds for that."""


@dataclass(frozen=True, slots=True)
class Reading:
    """What `identify` told apart in `feed`."""

    feed: Feed
    items: Sequence[Identified]


travels(Identified)


async def read_document(body: bytes, media_type: str, url: str) -> Reading:
    """The feed in this document. `ParseTimeout` when reading it took too long or too much memory, else `ParseError`."""
    if len(body) <= IN_PLACE:
        try:
            if (feed := parse_well_formed(body, media_type, url)) is not None:
                return Reading(feed, identify(feed, url))
        except (ValueError, TypeError, AttributeError, LookupError, RecursionError, AssertionError) as error:
            raise ParseError(f"The document could not be read: {type(error).__name__}.") from error
    timeout = READ_WITHIN + READ_WITHIN_MORE * len(body) / 1e6
    read, items = await in_worker(_read, body, media_type, url, timeout=timeout)
    return Reading(read, list(items))


async def clean_in_worker(
    feed: Feed, url: str, items: Sequence[Identified], default_kind: Kind | None, received: datetime
) -> list[Packed[Columns]]:
    """The clean form of these items of `feed`, in their order. Raises ParseError where it takes too long."""
    cleaned: list[Packed[Columns]] = []
    for start in range(0, len(items), AT_ONCE):
        part = items[start : start + AT_ONCE]
        work = (part, _only(feed, part), url, default_kind, received)
        cleaned.append(await in_worker(_clean, *work, timeout=CLEAN_WITHIN))
    return cleaned


def _read(body: bytes, media_type: str, url: str) -> tuple[Feed, Packed[Identified]]:
    feed = parse(body, media_type, url)
    packed = feed.entries if isinstance(feed.entries, Packed) else Packed.of(feed.entries)
    return replace(feed, entries=packed), Packed.of(identify(feed, url))


def _clean(
    items: Sequence[Identified], feed: Feed, url: str, default_kind: Kind | None, received: datetime
) -> Packed[Columns]:
    return Packed.of(columns(clean(item, feed, url, default_kind, received)) for item in items)


def _only(feed: Feed, items: Sequence[Identified]) -> Feed:
    """What has to travel for cleaning these."""
    entries = feed.entries
    return replace(feed, entries=entries.only({item.at for item in items})) if isinstance(entries, Packed) else feed
