"""Who is here: how many live streams are open over all processes, told on those streams and kept nowhere.

Each process says how many it has when that changes, and every ten seconds; one that was not heard for half a minute
counts no more.
"""

import asyncio
from contextlib import suppress
from time import monotonic
from typing import TYPE_CHECKING

import orjson

from lifestream.publish.tail import Tail

if TYPE_CHECKING:
    from lifestream.wire import Wire

PACE = 1.0
"""Seconds between two messages of a number that changes all the time; more when very many hear them."""
PACE_FOR_EACH = 0.001
EVERY = 10.0
FORGOTTEN = 30.0

VIEWERS = "viewers"
"""How many a process has."""
WHO = "who"
"""Asks the others to say how many they have."""


class Presence:
    """`count` is how many are here. `run()` tells it to all of them, and our share of it to the other processes."""

    def __init__(self, tail: Tail, wire: "Wire | None") -> None:
        self._tail = tail
        self._wire = wire
        self._others: dict[str, tuple[int, float]] = {}
        """By process: how many it has, and when it said so."""

    @property
    def count(self) -> int:
        return self._tail.viewers + sum(viewers for viewers, _ in self._others.values())

    async def run(self) -> None:
        async with asyncio.TaskGroup() as all:
            all.create_task(self._tell())
            if self._wire:
                all.create_task(self._share(self._wire))

    async def _tell(self) -> None:
        """To those who are here. When nobody is, the last number is as good as any for whoever comes first."""
        told = 0
        while True:
            self._forget_the_silent()
            count = self.count
            if count in (told, 0):
                await self._tail.crowd.heard(self._tail.crowd.strokes, timeout=PACE)
                continue
            await self._tail.notify("viewers", orjson.dumps({"type": "viewers", "count": count}))
            told = count
            await asyncio.sleep(max(PACE, PACE_FOR_EACH * self._tail.viewers))

    async def _share(self, wire: "Wire") -> None:
        """With the other processes."""
        wire.listen(VIEWERS, self._heard)
        wire.listen(WHO, lambda _process, _value: wire.say(VIEWERS, self._tail.viewers))
        wire.say(WHO)
        try:
            while True:
                said = self._tail.viewers
                wire.say(VIEWERS, said)
                await asyncio.sleep(PACE)
                with suppress(TimeoutError):
                    async with asyncio.timeout(EVERY):
                        while self._tail.viewers == said:
                            await self._tail.crowd.heard(self._tail.crowd.strokes)
        finally:
            wire.say(VIEWERS, 0)

    def _heard(self, process: str, viewers: int) -> None:
        self._others[process] = viewers, monotonic()
        self._tail.crowd.ring()

    def _forget_the_silent(self) -> None:
        since = monotonic() - FORGOTTEN
        self._others = {process: heard for process, heard in self._others.items() if heard[1] > since}
