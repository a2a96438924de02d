"""The wire: tells the other processes of this site, through a Redis server, that a bell rang here, and hears theirs.

It carries hints and keeps nothing: whoever is woken reads the database, and looks there every second anyhow. So
nothing waits for Redis, and nothing fails because of it; while it is away, all is only noticed a little later.
"""

import asyncio
import secrets
from collections.abc import Callable
from contextlib import suppress
from time import monotonic
from typing import Any

import orjson
from redis.asyncio import Redis
from redis.asyncio.client import PubSub
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from lifestream.errors import ConfigError
from lifestream.log import get_logger
from lifestream.store.bells import NAMES, Bells

log = get_logger(__name__)

REST = 0.005
"""Seconds between two messages: what rings meanwhile goes in one."""
BEAT = 5.0
"""Seconds after which something is sent although there is nothing to say."""
SILENCE = 12.0
"""Seconds without a message, even our own, after which the connection is taken for dead."""
SHORTEST_PAUSE, LONGEST_PAUSE = 0.05, 2.0
"""Seconds between two tries to connect."""
ANSWER = 5.0
"""Seconds that Redis has to answer."""
LAST_WORDS = 0.5


class Wire:
    """One channel for all processes of a site. `run()` keeps it open; `aclose()` also serves who never ran it."""

    def __init__(self, url: str, bells: Bells) -> None:
        self.channel = ""
        """The same in all processes of a site, and in no others; known once the database was asked."""
        self._url = url
        self._bells = bells
        self._name = secrets.token_hex(8)
        self._rung: set[str] = set()
        self._said: dict[str, int] = {}
        self._something = asyncio.Event()
        self._ears: dict[str, Callable[[str, int], None]] = {}
        self._lost = False
        try:
            self._redis().connection_pool.make_connection()  # type: ignore[no-untyped-call]
        except (ValueError, TypeError):  # what they say may hold pieces of the password
            raise ConfigError(
                "LIFESTREAM_REDIS_URL: cannot be used; it looks like redis://user:password@host:6379 or unix:///path."
            ) from None
        bells.overheard = self._ring

    def say(self, name: str, value: int = 0) -> None:
        """To every other process, soon; what is said again under the same name before that takes its place."""
        self._said[name] = value
        self._something.set()

    def listen(self, name: str, ear: Callable[[str, int], None]) -> None:
        """`ear` is told what others say under this name, and which of them."""
        self._ears[name] = ear

    async def run(self) -> None:
        """Speaks and listens until cancelled, on one connection after the other."""
        pause = SHORTEST_PAUSE
        while True:
            began = monotonic()
            try:
                await self._connect()
            except Exception as error:
                if _cancelled():  # and closing failed
                    raise
                self._is_lost(error)
            pause = SHORTEST_PAUSE if monotonic() - began > LONGEST_PAUSE else min(pause * 2, LONGEST_PAUSE)
            await asyncio.sleep(pause)

    async def _connect(self) -> None:
        """Ends with what was wrong."""
        async with self._redis() as redis, redis.pubsub() as pubsub:
            async with asyncio.timeout(ANSWER):
                await pubsub.subscribe(self.channel)
            await _next(pubsub)  # says that we are subscribed
            self._is_there()
            both = [asyncio.create_task(self._listen(pubsub)), asyncio.create_task(self._speak(redis))]
            try:
                done, _ = await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
                await done.pop()
            finally:
                for task in both:
                    task.cancel()
                await asyncio.gather(*both, return_exceptions=True)

    async def ping(self) -> None:
        """Returns if Redis answers; raises RedisError, OSError or TimeoutError."""
        async with asyncio.timeout(ANSWER), self._redis() as redis:
            await redis.ping()

    async def aclose(self) -> None:
        """Says what is still to be said, if that can be done quickly."""
        if self._something.is_set() and self.channel:
            with suppress(RedisError, OSError, TimeoutError):
                async with asyncio.timeout(LAST_WORDS), self._redis() as redis:
                    await self._publish(redis)

    def _redis(self) -> Redis:
        # No time-out of its own: it uses asyncio.wait_for, which before Python 3.12 may swallow that we are cancelled.
        return Redis.from_url(self._url, protocol=2, retry=Retry(NoBackoff(), 0), socket_timeout=None)

    # -- speaking -----------------------------------------------------------------------------

    def _ring(self, name: str) -> None:
        self._rung.add(name)
        self._something.set()

    async def _speak(self, redis: Redis) -> None:
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(BEAT):
                    await self._something.wait()
            await self._publish(redis)
            await asyncio.sleep(REST)

    async def _publish(self, redis: Redis) -> None:
        """All that there is to say, in one message. What could not be sent is still to be said."""
        rung, said = self._rung, self._said
        self._rung, self._said = set(), {}
        self._something.clear()
        try:
            message = orjson.dumps({"by": self._name, "rung": [*rung], "said": said})
            async with asyncio.timeout(ANSWER):
                await redis.publish(self.channel, message)
        except BaseException:
            self._rung |= rung
            self._said = said | self._said
            self._something.set()
            raise

    # -- listening ----------------------------------------------------------------------------

    async def _listen(self, pubsub: PubSub) -> None:
        while True:
            message = await _next(pubsub)
            if message["type"] == "message":
                self._hear(message["data"])

    def _hear(self, data: bytes) -> None:
        match orjson.loads(data):
            case {"by": str(by), "rung": list(rung), "said": dict(said)} if by != self._name:
                for name in rung:
                    if name in NAMES:  # a newer version of us may know others
                        self._bells[name].ring()
                for name, value in said.items():
                    if name in self._ears and isinstance(value, int):
                        self._ears[name](by, value)

    def _is_there(self) -> None:
        if self._lost:
            log.info("redis", status="back")
        self._lost = False
        self._bells.ring_all()  # for what was missed

    def _is_lost(self, error: Exception) -> None:
        if not self._lost:
            log.warning("redis", status="lost", error=str(error) or type(error).__name__)
        self._lost = True


async def _next(pubsub: PubSub) -> dict[str, Any]:
    message: dict[str, Any] | None = await pubsub.get_message(timeout=SILENCE)
    if message is None:
        raise TimeoutError
    return message


def _cancelled() -> bool:
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0
