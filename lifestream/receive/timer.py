"""The timer: a door like the others, through which what is due comes in.

A `Worker` claims due rows and works them off, a bounded number at once; then it sleeps until its bell rings or
the next row is due. Nothing sleeps in memory, so nothing is forgotten at a restart.
"""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from datetime import timedelta
from typing import Any, Generic, TypeVar

from sqlalchemy.ext.asyncio import AsyncConnection

from lifestream import flow, pictures, subscribe
from lifestream.backfill import turn_page
from lifestream.log import get_logger
from lifestream.site import Site
from lifestream.store import backfills, bells, due, feeds, inbox, sources, subscribers, subscriptions
from lifestream.store import pictures as stored_pictures
from lifestream.store.tables import AnyRow, BackfillRow, FeedRow, InboxRow, PictureRow, SubscriptionRow
from lifestream.types import Source

log = get_logger(__name__)

Item = TypeVar("Item")
LONGEST_SLEEP = 5.0
"""Seconds. A wake-up that got lost delays by no more than this."""
AFTER_A_FAULT = 1.0
BATCH = 100
HUB_HAS = timedelta(seconds=10)
"""So long a new source stays `pending` for its hub's sake."""
TIDY_EVERY = 600
ENDED_KEPT = timedelta(days=1)
"""So long what a hub pushes after we left is answered 410."""


class Worker(Generic[Item]):
    """Works off one table. `claim(db, n)` takes up to n items; `handle` does one and says whether more is due now.

    An item whose handling failed comes back when its claim ends.
    """

    def __init__(
        self,
        site: Site,
        name: str,
        table: due.DueTable,
        claim: Callable[[AsyncConnection, int], Awaitable[Sequence[Item]]],
        handle: Callable[[Item], Coroutine[Any, Any, bool | None]],
        *,
        concurrency: int,
    ) -> None:
        self._site = site
        self._bell = site.store.bells[name]
        self._name = name
        self._table = table
        self._claim = claim
        self._handle = handle
        self._concurrency = concurrency
        self._running: set[asyncio.Task[None]] = set()

    async def run(self) -> None:
        try:
            while True:
                heard = self._bell.strokes
                try:
                    busy = await self._take()
                    pause = None if busy else await self._until_next()
                except Exception as error:  # the database is away: say so, and go on when it is back
                    log.error("worker", worker=self._name, status="failed", error=_short(error))
                    pause = AFTER_A_FAULT
                if pause is not None:
                    await self._rest(heard, pause)
        finally:
            for task in self._running:
                task.cancel()
            await asyncio.gather(*self._running, return_exceptions=True)

    async def claim(self, db: AsyncConnection) -> Sequence[Item]:
        """Claims as many due items as there is room for; to be given to `start` once `db` has committed."""
        free = self._concurrency - len(self._running)
        return await self._claim(db, free) if free > 0 else []

    def start(self, items: Sequence[Item]) -> None:
        for item in items:
            task = asyncio.create_task(self._one(item))
            self._running.add(task)
            task.add_done_callback(self._running.discard)

    async def _take(self) -> bool:
        """Starts what is due; True when there may be more at once."""
        if len(self._running) >= self._concurrency:
            await asyncio.wait(self._running, return_when=asyncio.FIRST_COMPLETED)
            return True
        async with self._site.store.begin(durable=False) as db:
            items = await self.claim(db)
        self.start(items)
        return len(self._running) >= self._concurrency

    async def _one(self, item: Item) -> None:
        try:
            if await self._handle(item):
                self._bell.ring()
        except Exception as error:
            log.exception("worker", worker=self._name, status="failed", error=_short(error))

    async def _until_next(self) -> float:
        async with self._site.store.read() as db:
            at = await due.next_due(db, self._table)
        if at is None:
            return LONGEST_SLEEP
        return max(0.0, min(LONGEST_SLEEP, (at - self._site.now()).total_seconds()))

    async def _rest(self, heard: int, seconds: float) -> None:
        await self._bell.heard(heard, timeout=seconds)


def workers(site: Site) -> list[Worker[Any]]:
    """What arrives and what we ask of hubs. Distribution has its own (publish/hub.py)."""

    async def due_feeds(db: AsyncConnection, limit: int) -> Sequence[tuple[feeds.DueFeed, Source | None]]:
        claimed = await feeds.claim(db, site.now(), limit)
        by_feed = await sources.of_feeds(db, [feed.id for feed in claimed]) if claimed else {}
        return [(feed, by_feed.get(feed.id)) for feed in claimed]

    async def pushed(db: AsyncConnection, _limit: int) -> Sequence[Sequence[AnyRow]]:
        rows = await inbox.claim(db, site.now(), BATCH)
        return [rows] if rows else []

    async def due_subscriptions(db: AsyncConnection, limit: int) -> Sequence[subscriptions.Subscription]:
        return await subscriptions.claim(db, site.now(), limit)

    async def due_backfills(db: AsyncConnection, limit: int) -> Sequence[backfills.Backfill]:
        return await backfills.claim(db, site.now(), limit)

    async def due_pictures(db: AsyncConnection, limit: int) -> Sequence[stored_pictures.Due]:
        return await stored_pictures.claim(db, site.now(), limit)

    looks = Worker(site, bells.FEEDS, FeedRow, due_feeds, lambda due: flow.look(site, *due), concurrency=8)
    photographs = Worker(
        site, bells.PICTURES, PictureRow, due_pictures, lambda one: pictures.work(site, one),
        concurrency=pictures.AT_ONCE,
    )  # fmt: skip
    site.inbox.looks = looks  # what is asked for is claimed in the transaction that puts it down
    return [
        looks,
        # One batch at a time: pushes of one feed are taken in the order they came.
        Worker(site, bells.INBOX, InboxRow, pushed, lambda rows: take_in(site, rows), concurrency=1),
        Worker(
            site, bells.SUBSCRIPTIONS, SubscriptionRow, due_subscriptions,
            lambda one: subscribe.work(site, one), concurrency=4,
        ),
        Worker(site, bells.BACKFILLS, BackfillRow, due_backfills, lambda one: turn_page(site, one), concurrency=2),
        *([photographs] if site.pictures.kept else []),
    ]  # fmt: skip


async def take_in(site: Site, rows: Sequence[AnyRow]) -> None:
    """Works off a batch of pushes. If it fails, each is tried alone, so that one bad document holds up no other."""
    try:
        await flow.work_off(site, rows)
    except Exception as error:
        if len(rows) > 1:
            for row in rows:
                await take_in(site, [row])
            return
        log.exception("pushed", status="failed", attempts=rows[0].attempts + 1, error=_short(error))
        await _again_later(site, rows[0])


async def _again_later(site: Site, row: AnyRow) -> None:
    """Three tries; then the topic itself is looked at instead, which brings the same entries another way."""
    now = site.now()
    async with site.store.begin(rings=[bells.FEEDS]) as db:
        if row.attempts + 1 < inbox.MOST_ATTEMPTS:
            await inbox.again(db, row.id, now + timedelta(seconds=5 * 4**row.attempts))
        else:
            await inbox.done(db, [row.id])
            await feeds.ask(db, {row.feed_id: (1, "push")}, now)


async def keep_house(site: Site) -> None:
    """Each second: sources whose hub took too long to verify; each minute: leases and subscriptions that are over, what
    nobody wants any more, and SQLite's WAL; each ten minutes: the protocol log.
    """
    ticks = 0
    while True:
        try:
            async with site.store.read() as db:
                waiting = await subscriptions.waiting_sources(db, site.now() - HUB_HAS)
            if waiting:
                async with site.store.begin(durable=False) as db:
                    await sources.leave_pending(db, [row.id for row in waiting])
            if ticks % 60 == 0:
                async with site.store.begin(durable=False) as db:
                    await subscribers.drop_expired(db, site.now())
                    await subscriptions.drop_ended(db, site.now() - ENDED_KEPT)
                    await feeds.drop_unused(db)
                await site.store.checkpoint()
            if ticks % TIDY_EVERY == TIDY_EVERY - 1:
                await site.exchanges.tidy(site.now())
        except Exception as error:
            log.error("housekeeping", status="failed", error=_short(error))
        ticks += 1
        await asyncio.sleep(1.0)


def _short(error: Exception) -> str:
    """The error in one line, without the statement and its parameters, which may hold private words."""
    reason = str(getattr(error, "orig", None) or error).strip()
    return f"{type(error).__name__}: {reason.splitlines()[0][:300]}" if reason else type(error).__name__
