"""How the sources have been doing lately, for their owner. Each question is answered by ranges of an index."""

from collections.abc import Iterable
from datetime import datetime
from statistics import median
from typing import Any

from sqlalchemy import func, select, type_coerce
from sqlalchemy.ext.asyncio import AsyncConnection

from lifestream.clean.columns import EPOCH, MICROSECOND
from lifestream.store.tables import (
    EntryRow,
    ExchangeRow,
    FeedRow,
    HookRow,
    Id,
    SourceRow,
    SubscriptionRow,
)
from lifestream.types import Source
from lifestream.view.health import SLOT, SLOTS, Look, Standing, Try

MOST_PUSHES = 1000
MOST_TRIES = 200
USUAL = 20
"""The newest entries of a source, by which its usual delay is told."""
ON_THE_PAGE = ("Stored", "Sent to browsers")
"""The last steps of a push that went all its way."""
_SLOT = SLOT // MICROSECOND


async def pushes(db: AsyncConnection, since: datetime) -> list[tuple[datetime, float]]:
    """When each push since then came, and the milliseconds from the hub's call to the page; the newest of many."""
    query = (
        select(ExchangeRow.at, ExchangeRow.steps)
        .where(ExchangeRow.at >= since, ExchangeRow.what == "push", ExchangeRow.outcome == "ok")
        .order_by(ExchangeRow.at.desc())
        .limit(MOST_PUSHES)
    )
    rows = (await db.execute(query)).all()
    return [(row.at, row.steps[-1][1]) for row in rows if row.steps and row.steps[-1][0] in ON_THE_PAGE]


async def came(db: AsyncConnection, now: datetime) -> dict[int, list[int]]:
    """How many entries of each source there are in each half hour of the last 24."""
    return await _by_slot(db, EntryRow, EntryRow.ordered_at, now, EntryRow.deleted_by == "")


async def failed(db: AsyncConnection, now: datetime) -> dict[int, list[int]]:
    """What failed or was refused of each source, in each half hour of the last 24."""
    went_wrong = (
        ExchangeRow.source_id.is_not(None), ExchangeRow.outcome.in_(("failed", "refused")), ExchangeRow.what != "test",
    )  # fmt: skip
    return await _by_slot(db, ExchangeRow, ExchangeRow.at, now, *went_wrong)


async def usual_delays(db: AsyncConnection, of: Iterable[Source]) -> dict[int, float]:
    """Seconds from publishing to here, of half of each source's newest entries that were not history when they came."""
    found = {}
    for source in of:
        rows = await db.execute(_NEWEST.where(EntryRow.source_id == source.id))
        took = [
            max((row.received - row.published).total_seconds(), 0.0)
            for row in rows
            if row.published and row.first_via != "backfill" and not row.deleted_by
        ]
        if took:
            found[source.id] = median(took)
    return found


async def standings(db: AsyncConnection) -> dict[int, Standing]:
    """Our subscriptions by their feed: of several the one that holds, else the newest."""
    wanted = SubscriptionRow.state.in_(("pending", "active", "denied"))
    rows = (
        await db.execute(_STANDINGS.where(wanted).order_by(SubscriptionRow.state == "active", SubscriptionRow.id))
    ).all()
    return {row.feed_id: Standing(*row[1:]) for row in rows}


async def looks(db: AsyncConnection) -> dict[int, Look]:
    """When the sources' feeds are looked at next."""
    rows = await db.execute(
        select(FeedRow.id, FeedRow.due_at, FeedRow.poll_at, FeedRow.interval).join(
            SourceRow, SourceRow.feed_id == FeedRow.id
        )
    )
    return {row.id: Look(row.due_at or row.poll_at, row.interval) for row in rows}


async def hooked(db: AsyncConnection) -> set[str]:
    """The local sources that webhooks post into."""
    return set((await db.execute(select(HookRow.slug).where(HookRow.topic == ""))).scalars())


async def tries(db: AsyncConnection, source: Source, whats: Iterable[str]) -> list[Try]:
    """What came of the newest of our requests of these kinds, newest first."""
    query = (
        select(ExchangeRow.at, ExchangeRow.outcome)
        .where(ExchangeRow.source_id == source.id, ExchangeRow.what.in_(list(whats)))
        .order_by(ExchangeRow.at.desc())
        .limit(MOST_TRIES)
    )
    return [Try(row.at, row.outcome == "ok") for row in await db.execute(query)]


async def _by_slot(db: AsyncConnection, table: Any, moment: Any, now: datetime, *which: Any) -> dict[int, list[int]]:
    last = (now - EPOCH) // SLOT
    first = last - SLOTS + 1
    slot = (type_coerce(moment, Id) // _SLOT).label("slot")
    query = select(table.source_id, slot, func.count().label("found")).where(moment >= EPOCH + first * SLOT, *which)
    found: dict[int, list[int]] = {}
    for row in await db.execute(query.group_by(table.source_id, slot)):
        if row.slot <= last:
            found.setdefault(row.source_id, [0] * SLOTS)[row.slot - first] = row.found
    return found


_NEWEST = (
    select(EntryRow.received, EntryRow.published, EntryRow.first_via, EntryRow.deleted_by)
    .order_by(EntryRow.ordered_at.desc(), EntryRow.id.desc())
    .limit(USUAL)
)
_STANDINGS = select(
    SubscriptionRow.feed_id, SubscriptionRow.hub_url, SubscriptionRow.state, SubscriptionRow.asked_at,
    SubscriptionRow.verified_at, SubscriptionRow.expires_at, SubscriptionRow.due_at, SubscriptionRow.attempts,
    SubscriptionRow.last_error,
)  # fmt: skip
