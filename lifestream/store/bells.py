"""Bells: "something new may be there". A hint that wakes who waits; the truth is read from the database.

Each bell counts its strokes, so that one that rings between a look and the wait after it is not missed.
"""

import asyncio
from collections.abc import Callable

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
