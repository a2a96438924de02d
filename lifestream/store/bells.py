"""Bells: "something new may be there". A hint that wakes who waits; the truth is read from the database.

Each bell counts its strokes, so that one that rings between a look and the wait after it is not missed.
"""

import asyncio
from collections.abc import Awaitable, Callable

from lifestream.log import get_logger

log = get_logger(__name__)

LOG = "log"
FEEDS = "feeds"
INBOX = "inbox"
SUBSCRIPTIONS = "subscriptions"
HUB = "hub"
DELIVERIES = "deliveries"
BACKFILLS = "backfills"
PICTURES = "pictures"
SETTINGS = "settings"
KEYS = "keys"
"""Somebody may no longer do what he might: a token was revoked, a session ended."""
NAMES = (LOG, FEEDS, INBOX, SUBSCRIPTIONS, HUB, DELIVERIES, BACKFILLS, PICTURES, SETTINGS, KEYS)


class Bell:
    def __init__(self) -> None:
        self.strokes = 0
        self._waiting: set[asyncio.Future[None]] = set()

    def ring(self) -> None:
        self.strokes += 1
        for waiting in self._waiting:
            if not waiting.done():
                waiting.set_result(None)
        self._waiting.clear()

    async def heard(self, since: int, *, timeout: float | None = None) -> None:
        """Returns once the bell has rung more than `since` times, or after `timeout` seconds."""
        if self.strokes != since:
            return
        waiting = asyncio.get_running_loop().create_future()
        self._waiting.add(waiting)
        try:
            async with asyncio.timeout(timeout):
                await waiting
        except TimeoutError:
            pass
        finally:
            self._waiting.discard(waiting)


class Bells:
    def __init__(self) -> None:
        self._bells = {name: Bell() for name in NAMES}
        self.overheard: Callable[[str], None] = lambda name: None
        """Told of every `ring`, for those outside this process."""

    def __getitem__(self, name: str) -> Bell:
        return self._bells[name]

    def ring(self, name: str) -> None:
        """For whoever waits, in this process or another; `self[name].ring()` is for this one alone."""
        self._bells[name].ring()
        self.overheard(name)

    def ring_all(self) -> None:
        """In this process alone."""
        for bell in self._bells.values():
            bell.ring()


async def follow(
    bell: Bell, name: str, work: Callable[[], Awaitable[None]], *, every: float | None = None, rest: float = 0.0
) -> None:
    """Does `work` now, and again when the bell has rung since, or after `every` seconds; runs until cancelled.

    Before each but the first it lets `rest` seconds go by, in which strokes gather. What it cannot do, because the
    database is away, it tries again after a second: the log says so, under `name`.
    """
    while True:
        heard = bell.strokes
        try:
            await work()
        except Exception as error:
            log.error(name, status="failed", error=type(error).__name__)
            await asyncio.sleep(1.0)
            continue
        await bell.heard(heard, timeout=every)
        await asyncio.sleep(rest)
