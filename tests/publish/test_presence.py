"""How many are here: told to all of them, over all processes."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

import orjson
import pytest
from websockets.asyncio.client import ClientConnection, connect

from lifestream.config import Config
from lifestream.publish import presence
from tests.fakes import SOON
from tests.living import Living, living, on_postgresql, on_sqlite
from tests.redis_server import RedisServer

NEVER = 3600.0


class Viewer:
    def __init__(self, socket: ClientConnection) -> None:
        self._socket = socket
        self.told: list[int] = []
        """The numbers it heard."""

    async def next(self) -> str:
        """What the next message is."""
        message = json.loads(await asyncio.wait_for(self._socket.recv(), SOON))
        if message["type"] == "viewers":
            self.told.append(message["count"])
        return str(message["type"])

    async def sees(self, count: int) -> None:
        """Returns when it is told of so many, if that was not what it heard last."""
        while self.told[-1:] != [count]:
            await self.next()


@asynccontextmanager
async def viewer(stream: Living) -> AsyncIterator[Viewer]:
    async with connect(f"{stream.url.replace('http', 'ws', 1)}/live") as socket:
        viewer = Viewer(socket)
        assert await viewer.next() == "hello"
        yield viewer


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(presence, "PACE", 0.02)


@on_sqlite
async def test_all_are_told_when_somebody_comes_or_goes(config: Config, quick: None) -> None:
    async with living(config, background=False) as stream, viewer(stream) as one:
        await one.sees(1)
        async with viewer(stream) as another:
            await another.sees(2)
            await one.sees(2)
        await one.sees(1)
        assert one.told == [1, 2, 1]


@on_sqlite
async def test_a_number_that_changes_all_the_time_is_told_now_and_then(
    config: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(presence, "PACE", NEVER)
    async with living(config, background=False) as stream, viewer(stream) as one, AsyncExitStack() as others:
        await one.sees(1)
        for _ in range(20):
            await others.enter_async_context(viewer(stream))
        await stream.posts("after all that")
        assert await one.next() == "entry"
        assert one.told == [1]
        async with viewer(stream) as late:
            await late.sees(1)  # what was told last; the next number is due in an hour


@on_postgresql
async def test_viewers_of_all_processes_add_up(config: Config, redis: RedisServer, quick: None) -> None:
    config = config.model_copy(update={"redis_url": redis.url})
    async with living(config, background=False) as here, viewer(here) as one, AsyncExitStack() as open_until_it_ends:
        async with living(config, background=False) as there:
            async with viewer(there) as another, viewer(there):
                await another.sees(3)
                await one.sees(3)
            await one.sees(1)
            back = await open_until_it_ends.enter_async_context(viewer(there))
            await back.sees(2)
            await one.sees(2)
        await one.sees(1)


@on_postgresql
async def test_a_process_that_starts_asks_the_others(
    config: Config, redis: RedisServer, quick: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(presence, "EVERY", NEVER)
    config = config.model_copy(update={"redis_url": redis.url})
    async with living(config, background=False) as here, viewer(here) as one, viewer(here) as another:
        await one.sees(2)
        await another.sees(2)
        async with living(config, background=False) as there, viewer(there) as newcomer:
            await newcomer.sees(3)


@on_postgresql
async def test_a_process_that_says_nothing_more_is_forgotten(
    config: Config, redis: RedisServer, quick: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(presence, "EVERY", 0.1)
    monkeypatch.setattr(presence, "FORGOTTEN", 0.5)
    config = config.model_copy(update={"redis_url": redis.url})
    async with living(config, background=False) as here, living(config, background=False) as there:
        async with viewer(here) as one, viewer(there) as another:
            await one.sees(2)
            assert here.site.wire
            with redis.client() as killed:
                killed.publish(here.site.wire.channel, orjson.dumps({"by": "x", "rung": [], "said": {"viewers": 5}}))
            await one.sees(7)
            await one.sees(2)
            await another.sees(2)
