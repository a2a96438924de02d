"""The visibility gate: the one place that says who may see what. Every query that reads entries or sources for
somebody passes through `readable`; every message of the live stream through `told`.
"""

from typing import Literal

from sqlalchemy import ColumnElement, or_, true

from lifestream.store.filters import condition, matches
from lifestream.store.tables import EntryRow, SourceRow
from lifestream.types import Audience, Filter, Stored


def readable(audience: Audience) -> ColumnElement[bool]:
    """Of sources, and of entries joined to theirs."""
    return true() if audience == "owner" else SourceRow.visibility == "public"


def in_log(audience: Audience) -> ColumnElement[bool]:
    """Of the log: what is readable, and what was once and must be told to be gone."""
    return true() if audience == "owner" else or_(SourceRow.visibility == "public", EntryRow.exposed)


def concerns(wanted: Filter) -> ColumnElement[bool]:
    """Of the log: what a stream for `wanted` may have to tell. The rest passed no filter of it, ever."""
    return or_(condition(wanted), EntryRow.deleted_by != "", EntryRow.seq != EntryRow.first_seq)


def told(
    change: Stored, audience: Audience, wanted: Filter, *, with_quiet: bool = False
) -> Literal["entry", "delete"] | None:
    """What a stream for `audience` and `wanted` says of a change: the entry, that it is gone, or nothing.

    An entry that leaves a stream that may hold it (deleted, made private, edited out of the filter) is told
    as a delete; filters do not hide deletes, only visibility does. Quiet arrivals are never told live.
    """
    seen = audience == "owner" or change.source.visibility == "public"
    if change.deleted or not seen:
        return "delete" if audience == "owner" or change.exposed else None
    if change.quiet and not with_quiet:
        return None
    if matches(change, wanted):
        return "entry"
    return None if change.seq == change.first_seq else "delete"
