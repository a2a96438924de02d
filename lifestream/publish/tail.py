"""The tail: the one follower of the log in this process, and the live streams that hang on it.

A stream is a view (who is looking, through which filter) and a position. It first reads from the database what it
missed, bounded by where the tail stands, and in the same tick of the loop as it finds nothing more it joins the
living: so there is no gap and no repeat. Each message is made once for each view and goes to all who share it.
"""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from lifestream.log import get_logger
from lifestream.protocol import live
from lifestream.site import Site
from lifestream.store import bells, changes, gate
from lifestream.types import Audience, Filter, Stored

log = get_logger(__name__)

PAGE = 200
AT_A_STRETCH = 64 * 1024
"""Bytes told before others get their turn."""
HEARTBEAT = 3.0
"""Seconds after which the log is read although no bell rang: a lost wake-up delays by no more."""


@dataclass(frozen=True, slots=True)
class View:
    audience: Audience = "public"
    wanted: Filter = field(default_factory=Filter)


class Listener(Protocol):
    def offer(self, message: bytes) -> None:
        """Takes a message without waiting; whoever is too slow for that looks after itself."""

    async def drained(self) -> None:
        """Returns when a listener that is catching up can be given more."""


class _Group:
    """Those who share a view, and the last change that was told in it."""

    def __init__(self, told: int) -> None:
        self.told = told
        self.listeners: set[Listener] = set()


class Tail:
    """`head` is the newest change that was told here. Started by `run()`; `ready` is set once it knows where it is."""

    def __init__(self, site: Site, encode: Callable[[Stored], bytes]) -> None:
        self._site = site
        self._encode = encode
        self._groups: dict[View, _Group] = {}
        self.head = 0
        self.ready = asyncio.Event()
        self.closing = asyncio.Event()

    async def run(self) -> None:
        bell = self._site.store.bells[bells.LOG]
        while True:
            heard = bell.strokes
            try:
                if not self.ready.is_set():
                    async with self._site.store.read() as db:
                        self.head = await changes.head(db)
                    self.ready.set()
                while await self._advance():
                    await asyncio.sleep(0)
            except Exception as error:  # the database is away; what is missed now is read when it is back
                log.error("tail", status="failed", error=type(error).__name__)
                await asyncio.sleep(1.0)
                continue
            await bell.heard(heard, timeout=HEARTBEAT)

    async def start(self, after: int | None) -> live.Start:
        """Where a stream that asks for `after` goes on from, and whether it has to load the page afresh."""
        await self.ready.wait()
        if after is None or after <= self.head:
            return live.start(after, self.head, 0)
        async with self._site.store.read() as db:
            newest = await changes.head(db)  # another process may be further than this one
        return live.start(after, max(newest, self.head), 0)

    async def join(self, view: View, position: int, listener: Listener) -> None:
        """Brings `listener` up to date from `position` and lets it live on; `leave` ends it."""
        bell = self._site.store.bells[bells.LOG]
        while self.head < position:  # another process has told what this one has not read yet
            bell.ring()
            await asyncio.sleep(0.02)
        told = position
        while position < self.head:
            upto = self.head
            page = await self._page(view.audience, position, upto)
            for change in page:
                message = self.message(change, view, told)
                if message is not None:
                    await listener.drained()  # before each: a page of long entries is more than anybody may have unread
                    listener.offer(message)
                    told = change.seq
            position = page[-1].seq if len(page) == PAGE else upto
            await listener.drained()
        # No await from here: nothing can be told between the last look and the joining.
        group = self._groups.get(view)
        if group is None:
            group = self._groups[view] = _Group(told)
        # Nothing was told in this view between the two, so the smaller one is true for all of them.
        group.told = min(group.told, told)
        group.listeners.add(listener)

    def leave(self, view: View, listener: Listener) -> None:
        group = self._groups.get(view)
        if group is not None:
            group.listeners.discard(listener)
            if not group.listeners:
                del self._groups[view]

    def message(self, change: Stored, view: View, told: int) -> bytes | None:
        """What `view` is told of a change that follows `told` there; None when it is no business of it."""
        match gate.told(change, view.audience, view.wanted):
            case "entry":
                return live.entry_message(change.seq, told, self._encode(change))
            case "delete":
                return live.delete_message(change.seq, told, change.id)
            case None:
                return None

    @property
    def viewers(self) -> int:
        return sum(len(group.listeners) for group in self._groups.values())

    async def _advance(self) -> bool:
        """Tells the next page of changes to everybody; True when there may be more."""
        page = await self._page("owner", self.head, None)
        told = 0
        for change in page:
            for view, group in self._groups.items():
                message = self.message(change, view, group.told)
                if message is not None:
                    group.told = change.seq
                    told += len(message)
                    for listener in list(group.listeners):
                        listener.offer(message)
            self.head = change.seq
            if told > AT_A_STRETCH:  # who reads is given time to: only who does not falls behind
                told = 0
                await asyncio.sleep(0)
        return len(page) == PAGE

    async def _page(self, audience: Audience, position: int, upto: int | None) -> Sequence[Stored]:
        async with self._site.store.read() as db:
            return await changes.after(db, position, audience=audience, limit=PAGE, upto=upto)
