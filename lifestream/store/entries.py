"""Entries: what is known of a source's, writing what was decided, and reading pages of them through the gate."""

import base64
import secrets
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from itertools import chain, islice
from typing import Any, TypeVar, cast

from sqlalchemy import (
    ColumnElement,
    Integer,
    Table,
    and_,
    bindparam,
    insert,
    literal,
    or_,
    select,
    true,
    tuple_,
    update,
)
from sqlalchemy.ext.asyncio import AsyncConnection

from lifestream.clean.columns import Columns, columns, microseconds, moment_of
from lifestream.clean.dates import ordered_at
from lifestream.clean.entries import Identified
from lifestream.decide import Decision, Delete, Insert, Known, Skip, Update
from lifestream.errors import Gone, NotFound
from lifestream.store import changes, cursors, gate, search
from lifestream.store.among import among
from lifestream.store.filters import condition
from lifestream.store.rows import STORED, to_stored
from lifestream.store.tables import PLAIN_ENTRIES, AnyRow, AnySelect, EntryRow, Id, Instant, SourceRow
from lifestream.types import Audience, Entry, Filter, Source, Stored, Via

MOST_KEYS = 400
"""How many are asked for or written at once."""
MOST_CHANGES = 500
"""How far back is looked for what left a filtered stream: nobody edits more in the time that tombstones last."""
DELETED = "This entry was deleted."

Each = TypeVar("Each")


@dataclass(frozen=True, slots=True)
class Knowledge:
    """What is stored of the entries that a document speaks of, by identity and by link."""

    by_identity: Mapping[str, Known]
    by_link: Mapping[str, Sequence[Known]]


@dataclass(frozen=True, slots=True)
class Recorded:
    """How many entries came, changed, went; and `living`, by how many there are more now."""

    new: int = 0
    changed: int = 0
    deleted: int = 0
    living: int = 0

    def __add__(self, other: "Recorded") -> "Recorded":
        return Recorded(
            self.new + other.new,
            self.changed + other.changed,
            self.deleted + other.deleted,
            self.living + other.living,
        )

    @property
    def any(self) -> bool:
        return bool(self.new or self.changed or self.deleted)

    @property
    def words(self) -> str:
        """For people: what came of it."""
        counted = {"new": self.new, "changed": self.changed, "deleted": self.deleted}
        return ", ".join(f"{count} {what}" for what, count in counted.items() if count) or "nothing new"


async def known(
    db: AsyncConnection, source_id: int, items: Sequence[Identified], tombstones: Iterable[str]
) -> Knowledge:
    """Looks up, within the source only, what `items` and `tombstones` (identities) may mean."""
    found: dict[int, Known] = {}
    about = chain(((item.identity, item.link_key) for item in items), ((identity, "") for identity in tombstones))
    for part in _parts(about):
        identities, links = [identity for identity, _ in part], {link for _, link in part if link}
        for row in await db.execute(_KNOWN, {"source": source_id, "identities": identities, "links": links}):
            found[row.id] = _known(row)
    by_link: dict[str, list[Known]] = {}
    for one in found.values():
        if one.link_key:
            by_link.setdefault(one.link_key, []).append(one)
    return Knowledge({one.identity: one for one in found.values()}, by_link)


async def standing(db: AsyncConnection, source_id: int, pushed_before: datetime) -> list[Known]:
    """The living entries of a source that a document of all of them holds; one that was pushed since then may be too
    new for a cache's copy of it."""
    rows = await db.execute(_STANDING, {"source": source_id, "pushed_before": pushed_before})
    return [_known(row) for row in rows]


async def record(
    db: AsyncConnection,
    source: Source,
    decisions: Sequence[Decision],
    columns_of: Callable[[Identified], Columns],
    *,
    now: datetime,
    via: Via,
    quiet: bool,
) -> Recorded:
    """Writes what was decided, and gives each change its number, in this order. `columns_of` is asked for the clean
    form of what is new or changed, in this order too.

    A source that was removed while its document was on its way gets nothing.
    """
    inserts = [one for one in decisions if isinstance(one, Insert)]
    updates = [one for one in decisions if isinstance(one, Update)]
    for one in decisions:
        if isinstance(one, Skip) and one.known and one.known.identity != one.item.identity:
            await _follow_id(db, one.known, one.item)
    deletes = [one for one in decisions if isinstance(one, Delete)]
    count = len(inserts) + len(updates) + len(deletes)
    if not count:
        return Recorded()
    numbers = iter(await changes.number(db, count, now))
    public = await is_public(db, source.id)
    if public is None:
        return Recorded()
    about = _arriving(source.id, now, via=via, quiet=quiet, exposed=public)
    for part in _parts(inserts):
        ids = new_ids(len(part))
        rows = [
            columns_of(one.item) | about | _identity(one.item) | _place(id, next(numbers), one.item.published, now)
            for one, id in zip(part, ids, strict=True)
        ]
        await db.execute(_INSERT, rows)
    for change in updates:
        values = columns_of(change.item) | _identity(change.item) | {"churn": change.churn, "deleted_by": ""}
        which = and_(EntryRow.id == change.known.id, EntryRow.deleted_by != "owner")
        await _write(db, which, next(numbers), values)
    for gone in deletes:
        which = and_(EntryRow.id == gone.known.id, EntryRow.deleted_by == "")
        await _write(db, which, next(numbers), _scrubbed(gone.by))
    revived = sum(1 for one in updates if one.known.deleted_by)
    return Recorded(len(inserts), len(updates), len(deletes), len(inserts) + revived - len(deletes))


async def add(db: AsyncConnection, source: Source, entry: Entry, *, now: datetime) -> str:
    """Writes an entry made here, in a local source; returns its id. Raises NotFound if the source was removed."""
    numbers = await changes.number(db, 1, now)
    public = await is_public(db, source.id)
    if public is None:
        raise NotFound(f"There is no source “{source.slug}”.")
    (public_id,) = new_ids(1)
    row = columns(entry) | _arriving(source.id, now, via="post", quiet=False, exposed=public)
    row |= {"identity": secrets.token_hex(16), "digest": "", "link_key": "", "title_key": ""}
    await db.execute(_INSERT, [row | _place(public_id, numbers[0], entry.published, now)])
    return public_id


async def edit(db: AsyncConnection, stored: Stored, entry: Entry, *, now: datetime) -> None:
    """Raises Gone where somebody deleted it meanwhile."""
    numbers = await changes.number(db, 1, now)
    if not await _write(db, _living(stored), numbers[0], columns(entry)):
        raise Gone(DELETED)


async def remove(db: AsyncConnection, stored: Stored, *, now: datetime) -> None:
    """The owner deletes an entry: its words go, a tombstone stays, and it does not come back."""
    numbers = await changes.number(db, 1, now)
    if not await _write(db, _living(stored), numbers[0], _scrubbed("owner")):
        raise Gone(DELETED)


async def renumber_source(
    db: AsyncConnection, source_id: int, *, now: datetime, values: Columns, only_placed: bool = False
) -> int:
    """Gives each living entry of a source, or those with a place, a new number, with `values`; returns how many."""
    living = select(EntryRow.id).where(EntryRow.source_id == source_id, EntryRow.deleted_by == "")
    if only_placed:
        living = living.where(or_(EntryRow.lat.is_not(None), EntryRow.place != "", EntryRow.kind == "checkin"))
    ids = list((await db.execute(living.order_by(EntryRow.seq))).scalars())
    if not ids:
        return 0
    numbers = await changes.number(db, len(ids), now)
    table = cast(Table, EntryRow.__table__)
    values = {"seq": bindparam("number"), **_as_they_are(values)}
    change = update(table).where(table.c.id == bindparam("row")).values(values)
    await db.execute(change, [{"row": row, "number": seq} for row, seq in zip(ids, numbers, strict=True)])
    return len(ids)


def gone_with_source() -> Columns:
    """For `renumber_source`: the entries go because their source does."""
    return _scrubbed("owner") | {"quiet": False}


async def one(db: AsyncConnection, public_id: str, *, audience: Audience, whole: bool = False) -> Stored:
    """The entry. Raises NotFound, also for what `audience` may not see; Gone for a deleted one.

    `whole`: also with a place that its source hides, so that what is written back is not without it.
    """
    query = _joined(select(*STORED)).where(EntryRow.public_id == public_id.replace("\0", ""), gate.readable(audience))
    row = (await db.execute(query)).one_or_none()
    if row is None or (row.deleted_by and audience == "public" and not row.exposed):
        raise NotFound("There is no entry with this address.")
    if row.deleted_by:
        raise Gone(DELETED)
    return to_stored(row, whole=whole)


async def page(
    db: AsyncConnection,
    *,
    audience: Audience,
    wanted: Filter,
    before: str = "",
    since: datetime | None = None,
    limit: int,
) -> tuple[list[Stored], str | None]:
    """Living entries, newest first, that come after the cursor `before`, none older than `since`; and the cursor for
    more, or None."""
    if "\0" in wanted.source:  # in no slug, and PostgreSQL cannot be asked
        return [], None
    query = _page_of(audience, bool(wanted.kind), bool(wanted.source), bool(before), since is not None)
    if wanted.searches:
        query = query.where(condition(wanted, common=await search.is_common(db, wanted.q)))
    moment, row = place(before) if before else (None, None)
    values = {"kind": wanted.kind, "slug": wanted.source, "moment": moment, "row": row, "since": since}
    rows = (await db.execute(query, values | {"most": limit + 1})).all()
    found = [to_stored(row) for row in rows[:limit]]
    return found, cursor(found[-1]) if len(rows) > limit else None


@lru_cache(maxsize=64)
def _page_of(audience: Audience, kind: bool, source: bool, before: bool, since: bool) -> AnySelect:
    """Made once for each form of question: making it costs more than SQLite takes to answer."""
    query = (
        _joined(select(*STORED))
        .where(EntryRow.deleted_by == "", gate.readable(audience))
        .order_by(EntryRow.ordered_at.desc(), EntryRow.id.desc())
        .limit(bindparam("most", type_=Integer))
    )
    if kind:
        query = query.where(EntryRow.kind == bindparam("kind"))
    if source:
        query = query.where(SourceRow.slug == bindparam("slug"))
    if before:
        # Typed by hand: inside a tuple SQLAlchemy would bind the moment as its own DateTime, not as our Instant.
        moment = bindparam("moment", type_=Instant)
        query = query.where(
            EntryRow.ordered_at <= moment,
            tuple_(EntryRow.ordered_at, EntryRow.id) < tuple_(moment, bindparam("row", type_=Id)),
        )
    if since:
        query = query.where(EntryRow.ordered_at >= bindparam("since", type_=Instant))
    return query


def cursor(stored: Stored) -> str:
    """The cursor for what comes after an entry."""
    return cursors.written(stored.ordered_at, stored.row)


def place(cursor: str) -> tuple[datetime, int]:
    """The place of the entry that a cursor is of, as (ordered_at, row). Raises InvalidInput."""
    return cursors.read(cursor)


async def tombstones(
    db: AsyncConnection, *, wanted: Filter, since: datetime, limit: int
) -> Sequence[tuple[str, datetime]]:
    """Entries that a public stream may hold and that left it since then: (id, when), newest first.

    They were deleted, or their source was hidden; from a filtered stream also what was edited since and does not pass.
    """
    only_source = wanted == Filter(source=wanted.source)
    left = or_(EntryRow.deleted_by != "", SourceRow.visibility != "public")
    query = (
        _joined(select(*STORED))
        .where(EntryRow.exposed, EntryRow.seq >= microseconds(since))
        .where(EntryRow.seq != EntryRow.first_seq)  # an index of its own has these
        .where(left if only_source else true())
        .order_by(EntryRow.seq.desc())
        .limit(limit if only_source else MOST_CHANGES)
    )
    if wanted.source:
        query = query.where(SourceRow.slug == wanted.source)
    changed = [to_stored(row) for row in await db.execute(query)]
    gone = [one for one in changed if gate.told(one, "public", wanted) == "delete"]
    return [(one.id, moment_of(one.seq)) for one in gone[:limit]]


def _joined(query: AnySelect) -> AnySelect:
    return query.select_from(EntryRow).join(SourceRow, SourceRow.id == EntryRow.source_id)


def _parts(given: Iterable[Each]) -> Iterator[list[Each]]:
    rest = iter(given)
    while part := list(islice(rest, MOST_KEYS)):
        yield part


def _arriving(source_id: int, now: datetime, *, via: Via, quiet: bool, exposed: bool) -> Columns:
    """What all entries that come together have in common."""
    return {
        "source_id": source_id,
        "received": microseconds(now),
        "first_via": via,
        "quiet": quiet,
        "exposed": exposed,
        "deleted_by": "",
        "churn": 0,
    }


def _place(public_id: str, seq: int, published: datetime | None, now: datetime) -> Columns:
    """What a new entry is called, and where it stands."""
    ordered = microseconds(ordered_at(published, now))
    return {"public_id": public_id, "seq": seq, "first_seq": seq, "ordered_at": ordered}


def new_ids(count: int) -> list[str]:
    """Ids that say nothing of how many there are (security: enumerable ids leak private ones)."""
    drawn = base64.b32encode(secrets.token_bytes(10 * count)).decode().lower()
    return [drawn[at : at + 16] for at in range(0, 16 * count, 16)]


async def is_public(db: AsyncConnection, source_id: int) -> bool | None:
    """As it is now, in the log's turn: the source may have been flipped, or removed (None), since it was read."""
    public: bool | None = (await db.execute(_PUBLIC, {"source": source_id})).scalar_one_or_none()
    return public


def _living(stored: Stored) -> ColumnElement[bool]:
    return and_(EntryRow.public_id == stored.id, EntryRow.deleted_by == "")


async def _write(db: AsyncConnection, which: ColumnElement[bool], seq: int, values: Columns) -> bool:
    """Changes one entry. Whatever its arrival was, a later change is never quiet; once exposed, always exposed."""
    in_public = EntryRow.source_id.in_(select(SourceRow.id).where(SourceRow.visibility == "public"))
    change = update(EntryRow).where(which).values(_as_they_are(values))
    change = change.values(seq=seq, quiet=False, exposed=or_(EntryRow.exposed, in_public))
    return (await db.execute(change)).rowcount > 0


def _as_they_are(values: Columns) -> dict[str, Any]:
    """For a statement on EntryRow, which would make numbers and text of moments and JSON."""
    return {name: literal(value, PLAIN_ENTRIES.c[name].type) for name, value in values.items()}


async def _follow_id(db: AsyncConnection, known: Known, item: Identified) -> None:
    """An unchanged entry whose id moved is known by its new id from now on; that is no change to anybody."""
    await db.execute(update(EntryRow).where(EntryRow.id == known.id).values(identity=item.identity))


def _identity(item: Identified) -> dict[str, str]:
    return {
        "identity": item.identity,
        "digest": item.digest,
        "link_key": item.link_key,
        "title_key": item.title_key,
    }


def _scrubbed(by: str) -> Columns:
    """A tombstone keeps who it was and how it is recognised, and none of its words."""
    empty = columns(Entry()) | {"deleted_by": by}
    for kept in ("kind", "verb", "published", "published_offset", "updated"):
        empty.pop(kept)
    return empty


_OF_SOURCE = select(
    EntryRow.id, EntryRow.identity, EntryRow.digest, EntryRow.link_key, EntryRow.title_key,
    EntryRow.published, EntryRow.updated, EntryRow.deleted_by, EntryRow.churn,
).where(EntryRow.source_id == bindparam("source"))  # fmt: skip
_KNOWN = _OF_SOURCE.where(or_(among(EntryRow.identity, "identities"), among(EntryRow.link_key, "links")))
_STANDING = _OF_SOURCE.where(
    EntryRow.deleted_by == "",
    or_(EntryRow.first_via != "push", EntryRow.received <= bindparam("pushed_before", type_=Instant)),
).order_by(EntryRow.seq)
_INSERT = insert(PLAIN_ENTRIES)
_PUBLIC = select(SourceRow.visibility == "public").where(
    SourceRow.id == bindparam("source"), SourceRow.removed.is_(False)
)


def _known(row: AnyRow) -> Known:
    """Of `_OF_SOURCE`, which selects a Known's fields in their order."""
    return Known(*row)
