"""Sends what is due to other people's servers: many at once, hosts in turn, so that one that hangs holds up no other.

What is to be sent is rows with a due time and a claim (store/due.py). A `Courier` claims, sends without a transaction
open, and writes down together what came of many.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime, timedelta
from typing import Any, Generic, Protocol, TypeVar

from sqlalchemy.ext.asyncio import AsyncConnection

from lifestream.log import get_logger
from lifestream.protocol.fairness import Lanes
from lifestream.site import Site
from lifestream.store import due
from lifestream.store.subscribers import HOLD
from lifestream.store.together import Together

log = get_logger(__name__)

CLAIMED_AT_ONCE = 128
LOW = 64
"""When fewer wait here, more are claimed."""
CROWD = 64
"""So many waiting for one host are enough for now."""
NOTED_AT_ONCE = 256
NOTED_AFTER = 0.02
"""Seconds for which an outcome waits for others. Nobody waits for it: the next is sent meanwhile."""
LONGEST_SLEEP = 5.0
AFTER_A_FAULT = 1.0


class Parcel(Protocol):
    @property
    def host(self) -> str: ...

    @property
    def doubtful(self) -> bool: ...


Item = TypeVar("Item", bound=Parcel)
Claimed = TypeVar("Claimed", bound=Parcel, covariant=True)
Outcome = TypeVar("Outcome")


class Claim(Protocol[Claimed]):
    async def __call__(
        self, db: AsyncConnection, now: datetime, limit: int, crowded: Sequence[str], *, doubtful: bool
    ) -> Sequence[Claimed]: ...


class Courier(Generic[Item, Outcome]):
    """`send` takes at most `within` seconds. `note` writes outcomes down and says whether more is due at once."""

    def __init__(
        self,
        site: Site,
        bell: str,
        table: due.DueTable,
        *,
        claim: Claim[Item],
        send: Callable[[Item], Awaitable[Outcome]],
        note: Callable[[AsyncConnection, Sequence[Outcome]], Awaitable[bool]],
        durable: bool,
        within: float,
        at_once: int,
        per_host: int,
    ) -> None:
        self._site = site
        self._bell = site.store.bells[bell]
        self._name = bell
        self._table = table
        self._claim = claim
        self._send = send
        self._note = note
        self._durable = durable
        self._patience = HOLD - timedelta(seconds=within + 5)
        self._lanes: Lanes[tuple[Item, datetime]] = Lanes(
            at_once=at_once, per_host=per_host, doubtful=at_once // 2, crowd=CROWD
        )
        self._together = Together(self._write, NOTED_AT_ONCE, pause=NOTED_AFTER)
        self._tasks: set[asyncio.Task[None]] = set()
        self._sending: set[asyncio.Task[Any]] = set()
        self._ends = False
        self._more = False
        """The last claim left some that were due."""

    async def run(self) -> None:
        try:
            while True:
                heard = self._bell.strokes
                try:
                    pause = await self._take()
                except Exception as error:  # the database is away: say so, and go on when it is back
                    log.error("courier", courier=self._name, status="failed", error=type(error).__name__)
                    pause = AFTER_A_FAULT
                await self._bell.heard(heard, timeout=pause)
        finally:
            self._ends = True
            for task in self._sending:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)  # what was sent is written down

    async def _take(self) -> float:
        """Claims what is due and may be served soon, and starts it; returns for how long there is nothing to do."""
        if self._lanes.soon() < LOW:
            now, crowded, doubtful = self._site.now(), self._lanes.crowded(), self._lanes.takes_doubtful
            async with self._site.store.begin(durable=False) as db:
                items = await self._claim(db, now, CLAIMED_AT_ONCE, crowded, doubtful=doubtful)
            for item in items:
                self._lanes.put((item, now + self._patience), item.host, item.doubtful)
            self._more = len(items) == CLAIMED_AT_ONCE
            self._start()
            if self._more and self._lanes.soon() < LOW:
                return 0.0
        async with self._site.store.read() as db:
            at = await due.next_after(db, self._table, self._site.now())
        return LONGEST_SLEEP if at is None else min(LONGEST_SLEEP, max(0.0, (at - self._site.now()).total_seconds()))

    def _start(self) -> None:
        while not self._ends and (taken := self._lanes.take()):
            item, not_after = taken
            if self._site.now() > not_after:  # its claim may end before its answer comes: somebody else takes it up
                self._lanes.done(item.host, item.doubtful)
                continue
            task = asyncio.create_task(self._one(item))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _one(self, item: Item) -> None:
        task = asyncio.current_task()
        assert task
        try:
            self._sending.add(task)
            try:
                outcome = await self._send(item)
            finally:
                self._sending.discard(task)
                self._gives_place(item)
            if await self._together.ask(outcome):
                self._bell.ring()
        except Exception as error:  # its claim ends by itself, and it is sent again
            log.exception("courier", courier=self._name, status="failed", error=type(error).__name__)

    def _gives_place(self, item: Item) -> None:
        crowded, doubtful = len(self._lanes.crowded()), self._lanes.takes_doubtful
        self._lanes.done(item.host, item.doubtful)
        self._start()
        room_again = len(self._lanes.crowded()) < crowded or self._lanes.takes_doubtful > doubtful
        if room_again or self._more and self._lanes.soon() < LOW:
            self._bell.ring()

    async def _write(self, outcomes: Sequence[Outcome]) -> Sequence[bool]:
        async with self._site.store.begin(durable=self._durable) as db:
            more = await self._note(db, outcomes)
        return [more] * len(outcomes)
