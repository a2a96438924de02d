"""The protocol log: what went over the wire, in and out, for its owner to read. Bounded in number and in age."""

import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal

import orjson
from sqlalchemy import ColumnElement, and_, delete, func, insert, literal, or_, select, true, tuple_, update
from sqlalchemy.ext.asyncio import AsyncConnection

from lifestream.store import cursors
from lifestream.store.tables import AnyRow, ExchangeRow, Id, Instant, SourceRow

Direction = Literal["in", "out"]
WHATS = (
    "discovery", "subscribe", "renewal", "unsubscribe", "challenge", "denial", "push", "ping", "fetch", "verify",
    "deliver", "webhook", "scrobble", "test",
)  # fmt: skip
OUTCOMES = ("ok", "refused", "failed")
KEPT_FOR = timedelta(days=14)
MOST = 500
"""Of each kind of each source: many pushes do not push the handshake out."""
MOST_WIRES = 100
"""Of them with headers and bodies."""
AT_ONCE = 500


@dataclass(frozen=True, slots=True)
class Draft:
    """An exchange to be kept. It belongs to the sources of `feed_ids`, or to that of `slug`, or to none."""

    at: datetime
    feed_ids: tuple[int, ...]
    slug: str
    about: str
    direction: Direction
    what: str
    method: str
    url: str
    status: int | None
    took: float
    outcome: str
    detail: str
    alike: int
    steps: Sequence[tuple[str, float, str]]
    wire: bytes | None


@dataclass(frozen=True, slots=True)
class Step:
    """`at` is in milliseconds since the exchange began."""

    name: str
    at: float
    detail: str


@dataclass(frozen=True, slots=True)
class Kept:
    """An exchange as it is in the log. `slug` and `title` are its source's, empty where there is none."""

    id: int
    at: datetime
    slug: str
    title: str
    about: str
    direction: Direction
    what: str
    method: str
    url: str
    status: int | None
    took: float
    outcome: str
    detail: str
    alike: int
    steps: tuple[Step, ...]
    wire: bytes | None

    @property
    def cursor(self) -> str:
        """What comes after it is asked for with this."""
        return cursors.written(self.at, self.id)


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which exchanges; what is empty is any."""

    source_id: int | None = None
    what: str = ""
    direction: str = ""
    outcome: str = ""


async def record(db: AsyncConnection, drafts: Sequence[Draft]) -> None:
    feeds = await _sources_by(db, SourceRow.feed_id, {one for draft in drafts for one in draft.feed_ids})
    slugs = await _sources_by(db, SourceRow.slug, {draft.slug for draft in drafts if draft.slug})
    rows = []
    for draft in sorted(drafts, key=lambda draft: draft.at):
        owners = [feeds[one] for one in draft.feed_ids if one in feeds]
        rows += [_row(draft, owner) for owner in owners] or [_row(draft, slugs.get(draft.slug))]
    if rows:
        await db.execute(insert(ExchangeRow), rows)


async def page(db: AsyncConnection, wanted: Wanted, *, before: str = "", limit: int) -> list[Kept]:
    """Newest first, those that come after the cursor `before`. Raises InvalidInput for one that is none."""
    query = (
        select(*ExchangeRow.__table__.columns, SourceRow.slug, SourceRow.title, SourceRow.removed)
        .outerjoin(SourceRow, SourceRow.id == ExchangeRow.source_id)
        .where(_fits(wanted), _older_than(before))
        .order_by(ExchangeRow.at.desc(), ExchangeRow.id.desc())
        .limit(limit)
    )
    return [_kept(row) for row in await db.execute(query)]


async def one(db: AsyncConnection, exchange_id: int) -> Kept | None:
    query = (
        select(*ExchangeRow.__table__.columns, SourceRow.slug, SourceRow.title, SourceRow.removed)
        .outerjoin(SourceRow, SourceRow.id == ExchangeRow.source_id)
        .where(ExchangeRow.id == exchange_id)
    )
    row = (await db.execute(query)).one_or_none()
    return None if row is None else _kept(row)


async def hand_over(db: AsyncConnection, from_source: int, to_source: int, what: str) -> None:
    """What went on for one source belongs to another's log, as `what`."""
    mine = ExchangeRow.source_id == from_source
    await db.execute(update(ExchangeRow).where(mine).values(source_id=to_source, what=what))


async def too_many(db: AsyncConnection, most: int = MOST, wires: int = MOST_WIRES) -> tuple[list[int], list[int]]:
    """Which rows are over the bounds: those to be dropped, and those of which the wire is."""
    newest_first = func.row_number().over(
        partition_by=(ExchangeRow.source_id, ExchangeRow.what), order_by=(ExchangeRow.at.desc(), ExchangeRow.id.desc())
    )
    has_wire = ExchangeRow.wire.is_not(None).label("has_wire")
    places = select(ExchangeRow.id, has_wire, newest_first.label("place")).subquery()
    over = select(places).where(places.c.place > wires, or_(places.c.has_wire, places.c.place > most))
    rows = (await db.execute(over)).all()
    return [row.id for row in rows if row.place > most], [row.id for row in rows if row.place <= most]


async def drop(db: AsyncConnection, *, before: datetime, rows: Sequence[int] = (), wires: Sequence[int] = ()) -> None:
    await db.execute(delete(ExchangeRow).where(ExchangeRow.at < before))
    for some in _parts(rows):
        await db.execute(delete(ExchangeRow).where(ExchangeRow.id.in_(some)))
    for some in _parts(wires):
        await db.execute(update(ExchangeRow).where(ExchangeRow.id.in_(some)).values(wire=None))


def packed(wire: dict[str, Any]) -> bytes:
    return zlib.compress(orjson.dumps(wire), 1)


def unpacked(wire: bytes) -> dict[str, Any]:
    found: dict[str, Any] = orjson.loads(zlib.decompress(wire))
    return found


def _row(draft: Draft, source_id: int | None) -> dict[str, Any]:
    return {
        "source_id": source_id,
        "about": "" if source_id is not None else draft.about or draft.slug,
        "steps": [list(step) for step in draft.steps],
    } | {
        name: getattr(draft, name)
        for name in (
            "at", "direction", "what", "method", "url", "status", "took", "outcome", "detail", "alike", "wire",
        )
    }  # fmt: skip


async def _sources_by(db: AsyncConnection, column: Any, values: Iterable[Any]) -> dict[Any, int]:
    wanted = list(values)
    if not wanted:
        return {}
    found = await db.execute(select(column.label("key"), SourceRow.id).where(column.in_(wanted)))
    return {row.key: row.id for row in found}


def _fits(wanted: Wanted) -> ColumnElement[bool]:
    tests: list[ColumnElement[bool]] = [true()]
    if wanted.source_id is not None:
        tests.append(ExchangeRow.source_id == wanted.source_id)
    for column, value in (
        (ExchangeRow.what, wanted.what), (ExchangeRow.direction, wanted.direction),
        (ExchangeRow.outcome, wanted.outcome),
    ):  # fmt: skip
        if value:
            tests.append(column == value.replace("\0", ""))
    return and_(*tests)


def _older_than(cursor: str) -> ColumnElement[bool]:
    if not cursor:
        return true()
    at, row_id = cursors.read(cursor, "The cursor `before` is not one that this log gave out.")
    return tuple_(ExchangeRow.at, ExchangeRow.id) < tuple_(literal(at, Instant), literal(row_id, Id))


def _kept(row: AnyRow) -> Kept:
    there = row.slug is not None and not row.removed
    return Kept(
        id=row.id,
        at=row.at,
        slug=row.slug if there else "",
        title=(row.title or row.slug) if there else "",
        about=row.about or (row.title if row.removed else "") or "",
        direction=row.direction,
        what=row.what,
        method=row.method,
        url=row.url,
        status=row.status,
        took=row.took,
        outcome=row.outcome,
        detail=row.detail,
        alike=row.alike,
        steps=tuple(Step(*step) for step in row.steps),
        wire=row.wire,
    )


def _parts(ids: Sequence[int]) -> Iterable[Sequence[int]]:
    return (ids[at : at + AT_ONCE] for at in range(0, len(ids), AT_ONCE))
