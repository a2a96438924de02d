"""The log of changes: every insert, edit and delete of an entry gives its row a new `seq`.

The numbers are handed out where the order of commits is known, so "what changed since N" is one indexed
query that misses nothing (docs/decisions.md, "One log, one number").
"""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from sqlalchemy import Integer, bindparam, func, or_, select, text
from sqlalchemy.ext.asyncio import AsyncConnection

from lifestream.protocol.live import LARGEST, seq_range
from lifestream.store import gate
from lifestream.store.rows import STORED, to_stored
from lifestream.store.tables import EntryRow, SourceRow
from lifestream.types import Audience, Filter, Stored

LOG_LOCK = 0x6C6F67  # "log"
EVERYTHING = Filter()


async def in_turn(db: AsyncConnection) -> None:
    """From here to its commit this transaction is the only one that writes to the log. Take it before other locks.

    On SQLite BEGIN IMMEDIATE has seen to that. On PostgreSQL one lock does; what must be true under it is read in a
    later statement, because the snapshot of the one that waits for the lock is older than the lock.
    """
    if db.dialect.name == "postgresql":
        await db.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": LOG_LOCK})


async def number(db: AsyncConnection, count: int, now: datetime) -> range:
    """The next `count` numbers, for rows that this transaction writes next."""
    await in_turn(db)
    return seq_range(await head(db), now, count)


async def head(db: AsyncConnection) -> int:
    """The newest number in the log; 0 when it is empty."""
    newest: int = (await db.execute(_HEAD)).scalar_one()
    return newest


async def after(
    db: AsyncConnection,
    position: int,
    *,
    audience: Audience,
    limit: int,
    upto: int | None = None,
    wanted: Filter = EVERYTHING,
    whole: bool = False,
) -> Sequence[Stored]:
    """The changes with `position` < seq ≤ `upto`, oldest first: what `audience` may see, and what it may hold.

    Whether each is told as an entry or as a delete is for `gate.told` to say; what does not concern `wanted` may be
    left out already. `whole`: also with places that their sources hide.
    """
    query = _AFTER[audience]
    if asked := replace(wanted, q=""):  # words are not looked for here: the index may be behind
        query = query.where(gate.concerns(asked))
    places = {"position": position, "upto": LARGEST if upto is None else upto, "most": limit}
    return [to_stored(row, whole=whole) for row in await db.execute(query, places)]


async def newest(db: AsyncConnection, limit: int) -> Sequence[Stored]:
    """The newest changes that anybody may be told of live, oldest first."""
    return [to_stored(row) for row in await db.execute(_NEWEST, {"most": limit})][::-1]


# Made once: to build a statement, and to find its compiled form, costs more than SQLite takes to run it.
_HEAD = select(func.coalesce(func.max(EntryRow.seq), 0))
_CHANGES = (
    select(*STORED)
    .join(SourceRow, SourceRow.id == EntryRow.source_id)
    .where(EntryRow.seq > bindparam("position"), EntryRow.seq <= bindparam("upto"))
    .order_by(EntryRow.seq)
    .limit(bindparam("most", type_=Integer))
)
_NEWEST = (
    select(*STORED)
    .join(SourceRow, SourceRow.id == EntryRow.source_id)
    .where(or_(EntryRow.quiet.is_(False), EntryRow.deleted_by != ""))
    .order_by(EntryRow.seq.desc())
    .limit(bindparam("most", type_=Integer))
)
_AUDIENCES: tuple[Audience, ...] = ("public", "owner")
_AFTER = {audience: _CHANGES.where(gate.in_log(audience)) for audience in _AUDIENCES}
