"""Days of the stream: what there was, how much of it, and which days have any. Answered by ranges of an index."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import and_, bindparam, func, select, text, tuple_, type_coerce
from sqlalchemy.ext.asyncio import AsyncConnection

from lifestream.clean.columns import microseconds, moment_of
from lifestream.store import gate
from lifestream.store.filters import condition
from lifestream.store.rows import STORED, to_stored
from lifestream.store.tables import AnySelect, EntryRow, Id, Instant, SourceRow
from lifestream.types import Audience, Entry, Filter, Kind, Media, Stored
from lifestream.view.bursts import amount_of
from lifestream.view.calendar import Span
from lifestream.view.showing import name_of

MINUTE = 60_000_000
MOST_WEIGHED = 500
"""Pushes and photos of a day whose commits and pictures are counted; one beyond counts for one."""


@dataclass(frozen=True, slots=True)
class Minute:
    """How many entries of a kind there were in a minute."""

    at: datetime
    kind: str
    count: int


@dataclass(frozen=True, slots=True)
class Neighbour:
    """An entry as much as a link to it needs."""

    id: str
    kind: Kind
    title: str
    ordered_at: datetime


async def minutes(db: AsyncConnection, span: Span, *, audience: Audience, wanted: Filter) -> list[Minute]:
    """What there was, minute by minute; it says how much of each kind, and where the ticks of a ribbon stand."""
    rows = await db.execute(_narrowed(_MINUTES[audience], wanted), _bounds(span))
    return [Minute(moment_of(row.minute * MINUTE), row.kind, row.found) for row in rows]


async def amounts(
    db: AsyncConnection, span: Span, counts: Mapping[str, int], *, audience: Audience, wanted: Filter
) -> Mapping[str, int]:
    """How much there is of each kind, where `counts` says how many entries: of pushes the commits, of photos the
    pictures."""
    found = dict(counts)
    heavy = [kind for kind in ("code", "photo") if kind in counts]
    if heavy:
        query = _narrowed(_HEAVY[audience], wanted)
        for row in await db.execute(query, _bounds(span) | {"kinds": heavy}):
            media = tuple(Media(**one) for one in row.media)
            found[row.kind] += amount_of(Entry(kind=row.kind, data=row.data, media=media)) - 1
    return found


async def counts(db: AsyncConnection, spans: Sequence[Span], *, audience: Audience) -> list[int]:
    """How many entries each span has."""
    shown = "" if audience == "owner" else "AND s.visibility = 'public'"
    days = ", ".join(
        f"({number}, {microseconds(span.start)}, {microseconds(span.end)})" for number, span in enumerate(spans)
    )  # numbers all of them, and made here
    query = text(
        f"WITH days (number, first, after) AS (VALUES {days}) "
        "SELECT d.number, (SELECT count(*) FROM entries e JOIN sources s ON s.id = e.source_id "
        f"WHERE e.ordered_at >= d.first AND e.ordered_at < d.after AND e.deleted_by = '' {shown}) AS found FROM days d"
    )
    found = {row.number: row.found for row in await db.execute(query)}
    return [found[number] for number in range(len(spans))]


async def entries_of(
    db: AsyncConnection, span: Span, *, audience: Audience, wanted: Filter, oldest_first: bool, limit: int
) -> list[Stored]:
    """What there was, whole."""
    place = (EntryRow.ordered_at, EntryRow.id)
    order = place if oldest_first else tuple(column.desc() for column in place)
    query = _narrowed(_within(select(*STORED), audience), wanted).order_by(*order).limit(limit)
    return [to_stored(row) for row in await db.execute(query, _bounds(span))]


async def around(db: AsyncConnection, span: Span, *, audience: Audience) -> tuple[datetime | None, datetime | None]:
    """When the last entry before a span was, and the first after it."""
    query = _joined(select(EntryRow.ordered_at)).where(EntryRow.deleted_by == "", gate.readable(audience)).limit(1)
    earlier = query.where(EntryRow.ordered_at < span.start).order_by(EntryRow.ordered_at.desc())
    later = query.where(EntryRow.ordered_at >= span.end).order_by(EntryRow.ordered_at)
    return (await db.execute(earlier)).scalar_one_or_none(), (await db.execute(later)).scalar_one_or_none()


async def beside(
    db: AsyncConnection, stored: Stored, *, audience: Audience, kind: Kind | None = None, span: Span | None = None
) -> tuple[Neighbour | None, Neighbour | None]:
    """The entries before and after one in the stream: of its `kind`, or within the day that is `span`."""
    query = _joined(select(*STORED)).where(EntryRow.deleted_by == "", gate.readable(audience)).limit(1)
    if kind:
        query = query.where(EntryRow.kind == kind)
    if span:
        query = query.where(EntryRow.ordered_at >= span.start, EntryRow.ordered_at < span.end)
    here = {"moment": stored.ordered_at, "row": stored.row}
    place = tuple_(EntryRow.ordered_at, EntryRow.id)
    at = tuple_(bindparam("moment", type_=Instant), bindparam("row", type_=Id))
    older = query.where(place < at).order_by(EntryRow.ordered_at.desc(), EntryRow.id.desc())
    newer = query.where(place > at).order_by(EntryRow.ordered_at, EntryRow.id)
    return await _neighbour(db, older, here), await _neighbour(db, newer, here)


async def first_via(db: AsyncConnection, public_id: str) -> str:
    """How an entry was first seen."""
    via: str = (await db.execute(select(EntryRow.first_via).where(EntryRow.public_id == public_id))).scalar_one()
    return via


async def _neighbour(db: AsyncConnection, query: AnySelect, here: Mapping[str, object]) -> Neighbour | None:
    row = (await db.execute(query, here)).one_or_none()
    if row is None:
        return None
    found = to_stored(row)
    return Neighbour(found.id, found.entry.kind, name_of(found.entry), found.ordered_at)


def _within(query: AnySelect, audience: Audience) -> AnySelect:
    """Of living entries of a span."""
    first, after = bindparam("first", type_=Instant), bindparam("after", type_=Instant)
    in_span = and_(EntryRow.ordered_at >= first, EntryRow.ordered_at < after)
    return _joined(query).where(in_span, EntryRow.deleted_by == "", gate.readable(audience))


def _bounds(span: Span) -> dict[str, Any]:
    return {"first": span.start, "after": span.end}


def _narrowed(query: AnySelect, wanted: Filter) -> AnySelect:
    return query.where(condition(wanted)) if wanted else query


def _joined(query: AnySelect) -> AnySelect:
    return query.select_from(EntryRow).join(SourceRow, SourceRow.id == EntryRow.source_id)


# Made once: making a statement costs more than SQLite takes to run it.
_AUDIENCES: tuple[Audience, ...] = ("public", "owner")
_minute = type_coerce(EntryRow.ordered_at, Id) // MINUTE
_MINUTES = {
    audience: _within(select(_minute.label("minute"), EntryRow.kind, func.count().label("found")), audience).group_by(
        _minute, EntryRow.kind
    )
    for audience in _AUDIENCES
}
_HEAVY = {
    audience: _within(select(EntryRow.kind, EntryRow.data, EntryRow.media), audience)
    .where(EntryRow.kind.in_(bindparam("kinds", expanding=True)))
    .order_by(EntryRow.ordered_at.desc())
    .limit(MOST_WEIGHED)
    for audience in _AUDIENCES
}
