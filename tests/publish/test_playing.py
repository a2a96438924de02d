"""What is playing: told to who is there and to who comes, until it is over; never kept as an entry."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from websockets.asyncio.client import connect

from lifestream.config import Config
from lifestream.protocol.listens import Listen, Track
from lifestream.store import bells, listens
from tests.fakes import SOON
from tests.living import Living, living, on_sqlite
from tests.stories import has_source, shows_to

Viewer = Callable[[], Awaitable[Any]]

JOGA = {"artist": "Björk", "track": "Jóga", "album": ""}


@pytest.fixture
async def stream(config: Config) -> AsyncIterator[Living]:
    async with living(config, background=False) as stream, asyncio.timeout(6 * SOON):
        yield stream


async def plays(stream: Living, seconds: int = 0, title: str = "Jóga") -> None:
    async with stream.site.store.begin(rings=[bells.LOG]) as db:
        await listens.play(db, Track("Björk", title, seconds=seconds), stream.site.now())


async def was_heard(stream: Living, title: str = "Jóga") -> None:
    async with stream.site.store.begin(rings=[bells.LOG]) as db:
        now = stream.site.now()
        await listens.record(db, [Listen(Track("bjork", title), now)], now)


@asynccontextmanager
async def viewer(stream: Living) -> AsyncIterator[Viewer]:
    """Gives what asks for the next track that is said to be playing."""
    async with connect(f"{stream.url.replace('http', 'ws', 1)}/live") as socket:

        async def hears() -> Any:
            while (message := json.loads(await asyncio.wait_for(socket.recv(), SOON)))["type"] != "playing":
                pass
            assert message.keys() == {"type", "track"}
            return message["track"]

        yield hears


async def test_what_plays_is_told_and_is_no_entry(stream: Living) -> None:
    async with viewer(stream) as hears:
        await plays(stream)
        assert await hears() == JOGA
        await plays(stream, title="Jóga 2")
        assert await hears() == JOGA | {"track": "Jóga 2"}
    assert await stream.titles() == []


@on_sqlite
async def test_who_comes_later_is_told_too(stream: Living) -> None:
    await plays(stream)
    async with viewer(stream) as first:
        assert await first() == JOGA
        async with viewer(stream) as second:
            assert await second() == JOGA


@on_sqlite
async def test_it_is_over_when_the_track_is(stream: Living) -> None:
    async with viewer(stream) as hears:
        await plays(stream, seconds=1)
        assert await hears() == JOGA
        assert await hears() is None


async def test_it_is_over_when_it_was_scrobbled(stream: Living) -> None:
    async with viewer(stream) as hears:
        await plays(stream)
        assert await hears() == JOGA
        await was_heard(stream, "another")
        await was_heard(stream)
        assert await hears() is None


@on_sqlite
async def test_it_outlives_a_restart(config: Config) -> None:
    async with living(config, background=False) as stream:
        await plays(stream)
    async with living(config, background=False) as stream, viewer(stream) as hears:
        assert await hears() == JOGA


async def test_while_listens_are_private_nobody_is_told(stream: Living) -> None:
    await has_source(stream.site, "listens")
    async with viewer(stream) as hears:
        await plays(stream)
        assert await hears() == JOGA
        await shows_to(stream.site, "listens", "private")
        assert await hears() is None
        await plays(stream, title="a secret")
        await shows_to(stream.site, "listens", "public")
        assert await hears() == JOGA | {"track": "a secret"}
        await shows_to(stream.site, "listens", "private")
        assert await hears() is None
    answer = await stream.http.get("/1/user/x/playing-now")
    assert answer.json()["payload"]["count"] == 0


@pytest.mark.parametrize("database", ["postgresql"], indirect=True)
async def test_another_process_of_the_site_tells_it_too(config: Config) -> None:
    async with living(config, background=False) as one, living(config, background=False) as other:
        async with viewer(other) as hears:
            await plays(one)
            assert await hears() == JOGA
