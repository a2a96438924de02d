"""Due work: rows with a `due_at`, and a claim while somebody works on them. The database is the queue.

A claim is a time, not a lock: whoever dies with one in hand loses it when it ends. Several processes on
PostgreSQL share the rows without waiting for each other (FOR UPDATE SKIP LOCKED).
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from functools import cache
from typing import Any, cast

from sqlalchemy import Integer, Table, bindparam, case, func, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from lifestream.store.tables import (
    AnyRow,
    BackfillRow,
    FeedRow,
    HubDeliveryRow,
    HubRequestRow,
    InboxRow,
    PictureRow,
    SubscriptionRow,
)

DueTable = type[FeedRow | SubscriptionRow | InboxRow | HubRequestRow | HubDeliveryRow | BackfillRow | PictureRow]
EVERY: tuple[DueTable, ...] = (
    FeedRow, SubscriptionRow, InboxRow, HubRequestRow, HubDeliveryRow, BackfillRow, PictureRow,
)  # fmt: skip


async def claim(
    db: AsyncConnection, table: DueTable, *, now: datetime, limit: int, hold: timedelta
) -> Sequence[AnyRow]:
    """Takes up to `limit` due rows that nobody holds, the longest due first, for `hold`; returns them whole."""
    rows = (await db.execute(_claiming_whole(table), {"now": now, "most": limit, "until": now + hold})).all()
    return sorted(rows, key=lambda row: (row.due_at, row[0]))


def claiming(table: DueTable, *only: Any) -> Any:
    """The statement that takes up to `most` due rows that nobody holds at `now`, of `only` these, until `until`."""
    key = list(cast(Table, table.__table__).primary_key)[0]
    now = bindparam("now", type_=table.due_at.type)
    # Beside the UPDATE, not in it: a plan may run a subquery again, and then claim more than was asked for.
    due = (
        select(key.label("due"))
        .where(table.due_at <= now, or_(table.claimed_until.is_(None), table.claimed_until <= now), *only)
        .order_by(table.due_at, key)
        .limit(bindparam("most", type_=Integer))
        .with_for_update(skip_locked=True)
        .cte("claimed")
    )
    until = bindparam("until", type_=table.due_at.type)
    return update(table).where(key.in_(select(due.c.due))).values(claimed_until=until)


async def next_due(db: AsyncConnection, table: DueTable) -> datetime | None:
    """When the next row is free to be claimed; None when nothing is due at all."""
    soonest: datetime | None = (await db.execute(_soonest(table))).scalar_one()
    return soonest


async def next_after(db: AsyncConnection, table: DueTable, now: datetime) -> datetime | None:
    """When a row that is not free at `now` will be."""
    soonest: datetime | None = (await db.execute(_later(table), {"now": now})).scalar_one()
    return soonest


async def waiting(db: AsyncConnection, now: datetime) -> dict[str, int]:
    """How many rows of each table are due, claimed or not."""
    found = {}
    for table in EVERY:
        count = select(func.count()).select_from(table).where(table.due_at <= now)
        found[table.__tablename__] = (await db.execute(count)).scalar_one()
    return found


async def release_all(db: AsyncConnection) -> None:
    """Ends every claim. For the start of the only server process: whoever held them is dead."""
    for table in EVERY:
        await db.execute(update(table).where(table.claimed_until.is_not(None)).values(claimed_until=None))


@cache
def _claiming_whole(table: DueTable) -> Any:
    return claiming(table).returning(*cast(Table, table.__table__).columns)


@cache
def _soonest(table: DueTable) -> Any:
    return select(func.min(_free_at(table))).where(table.due_at.is_not(None))


@cache
def _later(table: DueTable) -> Any:
    return select(func.min(_free_at(table))).where(_free_at(table) > bindparam("now", type_=table.due_at.type))


def _free_at(table: DueTable) -> Any:
    return case((table.claimed_until > table.due_at, table.claimed_until), else_=table.due_at)
