"""Redis between processes: it makes them quick, and they work without it."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import orjson
import pytest
from structlog.testing import capture_logs

from lifestream import wire
from lifestream.config import Config
from lifestream.doctor import Finding, examine
from lifestream.errors import ConfigError
from lifestream.publish import tail
from lifestream.site import Site
from lifestream.store import bells, database, owner
from lifestream.types import Entry
from lifestream.write import write_entry
from tests.fakes import SOON, until
from tests.followers import following
from tests.living import Living, living, on_postgresql
from tests.redis_server import RedisServer

pytestmark = on_postgresql

NEVER = 3600.0
SECONDS_TO_END = 3.0


@pytest.fixture
def own_redis() -> Iterator[RedisServer]:
    """One that a test may do anything to; not started."""
    with RedisServer() as server:
        yield server


@pytest.fixture
def only_the_wire(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is noticed by looking now and then."""
    monkeypatch.setattr(database, "LISTEN_AGAIN", NEVER)
    monkeypatch.setattr(tail, "HEARTBEAT", NEVER)


def with_redis(config: Config, server: RedisServer, **changed: Any) -> Config:
    return config.model_copy(update={"redis_url": server.url} | changed)


@asynccontextmanager
async def wired(config: Config) -> AsyncIterator[Site]:
    """A process of a site of which only the wire runs; it is connected."""
    site = Site.open(config)
    await site.prepare()
    assert site.wire
    rung = site.store.bells[bells.LOG].strokes
    running = asyncio.create_task(site.wire.run())
    await until(lambda: site.store.bells[bells.LOG].strokes > rung)
    yield site
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    await site.aclose()


@asynccontextmanager
async def two_processes(config: Config) -> AsyncIterator[tuple[Living, Living]]:
    async with AsyncExitStack() as stack:
        one = await stack.enter_async_context(living(config, background=False))
        other = await stack.enter_async_context(living(config, background=False))
        yield one, other


async def hears(site: Site, name: str, since: int) -> None:
    await until(lambda: site.store.bells[name].strokes > since)


# -- quick ------------------------------------------------------------------------------------


async def test_what_one_process_writes_another_tells_without_looking(
    config: Config, redis: RedisServer, only_the_wire: None
) -> None:
    async with two_processes(with_redis(config, redis)) as (one, other), asyncio.timeout(SOON):
        async with following(other.url, "websocket") as follower:
            for title in ("one", "two", "three"):
                await one.posts(title)
                assert await follower.title() == title


async def test_a_command_is_heard_although_it_ends_at_once(
    config: Config, redis: RedisServer, only_the_wire: None
) -> None:
    config = with_redis(config, redis)
    async with living(config, background=False) as stream, asyncio.timeout(SOON):
        async with following(stream.url, "websocket") as follower:
            for title in ("one", "two", "three"):
                command = Site.open(config)
                await command.prepare(starting=False)
                await write_entry(command, "notes", Entry(title=title))
                await command.aclose()
                assert await follower.title() == title


async def test_a_bell_that_rang_here_does_not_come_back(config: Config, redis: RedisServer) -> None:
    async with wired(with_redis(config, redis)) as one, wired(with_redis(config, redis)) as other:
        ours = one.store.bells[bells.LOG].strokes
        theirs = other.store.bells[bells.LOG].strokes
        one.store.bells.ring(bells.LOG)
        await hears(other, bells.LOG, theirs)
        back = one.store.bells[bells.HUB].strokes
        other.store.bells.ring(bells.HUB)
        await hears(one, bells.HUB, back)
        assert one.store.bells[bells.LOG].strokes == ours + 1


async def test_sites_that_share_a_redis_do_not_wake_each_other(
    config: Config, another_database: str, redis: RedisServer
) -> None:
    ours, theirs = with_redis(config, redis), with_redis(config, redis, database_url=another_database)
    async with wired(ours) as one, wired(ours) as other, wired(theirs) as neighbour, wired(theirs) as another:
        log = neighbour.store.bells[bells.LOG].strokes
        heard = other.store.bells[bells.LOG].strokes
        one.store.bells.ring(bells.LOG)
        await hears(other, bells.LOG, heard)
        later = neighbour.store.bells[bells.HUB].strokes
        another.store.bells.ring(bells.HUB)
        await hears(neighbour, bells.HUB, later)
        assert neighbour.store.bells[bells.LOG].strokes == log


async def test_processes_that_start_together_agree_on_whose_they_are(config: Config) -> None:
    sites = [Site.open(config) for _ in range(5)]

    async def first(site: Site, value: str) -> str:
        async with site.store.begin() as db:
            return await owner.first_fact(db, owner.SITE, value)

    said = await asyncio.gather(*(first(site, f"site {number}") for number, site in enumerate(sites)))
    assert len(set(said)) == 1
    for site in sites:
        await site.aclose()


async def test_a_thousand_rings_are_few_messages(
    config: Config, redis: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(wire, "REST", 0.2)
    async with wired(with_redis(config, redis)) as site:
        assert site.wire
        messages = 0
        with redis.client() as client, client.pubsub(ignore_subscribe_messages=True) as heard:
            heard.subscribe(site.wire.channel)
            heard.get_message(timeout=SOON)
            for _ in range(1000):
                site.store.bells.ring(bells.LOG)
                await asyncio.to_thread(client.ping)  # time enough to send it
            site.store.bells.ring(bells.HUB)
            async with asyncio.timeout(SOON):
                while True:
                    message = await asyncio.to_thread(heard.get_message, timeout=SOON)
                    messages += 1
                    if "hub" in orjson.loads(message["data"])["rung"]:
                        break
        assert messages < 100


# -- without it -------------------------------------------------------------------------------


async def test_a_redis_that_is_restarted_delays_and_loses_nothing(
    config: Config, own_redis: RedisServer, only_the_wire: None
) -> None:
    own_redis.start()
    async with two_processes(with_redis(config, own_redis)) as (one, other), asyncio.timeout(3 * SOON):
        async with following(other.url, "websocket") as follower:
            await one.posts("before")
            assert await follower.title() == "before"
            with capture_logs() as lines:
                own_redis.kill()
                await one.posts("without")
                await until(lambda: said(lines).count("lost") == 2)
                own_redis.start()
                assert await follower.title() == "without"
                await until(lambda: said(lines).count("back") == 2)
                await one.posts("after")
                assert await follower.title() == "after"
            assert sorted(said(lines)) == ["back", "back", "lost", "lost"], "once for each process"


async def test_who_was_cut_off_looks_at_everything_once_it_is_back(config: Config, redis: RedisServer) -> None:
    async with wired(with_redis(config, redis)) as site:
        before = {name: site.store.bells[name].strokes for name in bells.NAMES}
        with redis.client() as client:
            client.client_kill_filter(_type="pubsub")
        for name, since in before.items():
            await hears(site, name, since)


async def test_a_redis_that_is_not_there_yet_stops_nothing(
    config: Config, own_redis: RedisServer, only_the_wire: None
) -> None:
    with capture_logs() as lines:
        async with two_processes(with_redis(config, own_redis)) as (one, other), asyncio.timeout(2 * SOON):
            async with following(other.url, "websocket") as follower:
                await one.posts("one")
                await until(lambda: said(lines).count("lost") == 2)
                own_redis.start()
                assert await follower.title() == "one"


async def test_nobody_waits_for_a_redis_that_hangs(config: Config, own_redis: RedisServer, only_the_wire: None) -> None:
    own_redis.start()
    async with two_processes(with_redis(config, own_redis)) as (one, other), asyncio.timeout(3 * SOON):
        async with following(other.url, "websocket") as follower:
            with own_redis.hanging():
                async with asyncio.timeout(wire.ANSWER / 2):
                    await one.posts("one")
            assert await follower.title() == "one"


async def test_a_process_ends_although_redis_hangs(config: Config, own_redis: RedisServer) -> None:
    own_redis.start()
    async with AsyncExitStack() as stack:
        site = await stack.enter_async_context(wired(with_redis(config, own_redis)))
        with own_redis.hanging():
            site.store.bells.ring(bells.LOG)
            async with asyncio.timeout(SECONDS_TO_END):
                await stack.aclose()


async def test_a_connection_on_which_nothing_comes_is_made_anew(
    config: Config, own_redis: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(wire, "BEAT", 0.05)
    monkeypatch.setattr(wire, "SILENCE", 0.5)
    own_redis.start()
    with capture_logs() as lines:
        async with wired(with_redis(config, own_redis)):
            with own_redis.hanging():
                await until(lambda: said(lines) == ["lost"])
            await until(lambda: said(lines) == ["lost", "back"])


@pytest.mark.parametrize("query", ["?db=first", "?colour=blue", "?socket_timeout=soon"])
def test_an_address_that_can_never_work_is_refused_in_one_line(config: Config, query: str) -> None:
    with pytest.raises(ConfigError, match="^LIFESTREAM_REDIS_URL: ") as refused:
        Site.open(config.model_copy(update={"redis_url": f"redis://:hunter2@127.0.0.1/{query}"}))
    assert "hunter2" not in str(refused.value) and "\n" not in str(refused.value)


async def test_the_doctor_says_whether_it_answers(config: Config, own_redis: RedisServer) -> None:
    async def finding() -> Finding:
        return next(one for one in await examine(with_redis(config, own_redis)) if one.check == "redis")

    assert not (await finding()).ok
    own_redis.start()
    assert (await finding()).ok


def said(lines: list[Any]) -> list[str]:
    """What the log says of Redis."""
    return [line["status"] for line in lines if line["event"] == "redis"]
