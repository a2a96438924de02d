"""The promise of the page: whatever fails on the way, what a follower holds is complete, and came once and in order.

Writers write, edit, delete, hide and show in a process of their own; servers and Redis are restarted; followers leave
at any moment, and come back to whichever server there is, by whichever transport.
"""

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field

import pytest

from lifestream import index
from lifestream.config import Config
from lifestream.publish.tail import View
from lifestream.site import Site
from lifestream.store import entries
from lifestream.types import Filter, Stored
from tests.conftest import missing_service
from tests.fakes import SOON, until
from tests.followers import TRANSPORTS, Transport, following
from tests.living import living, on_postgresql
from tests.redis_server import RedisServer
from tests.stories import deletes, edits, gets_history, has_source, shows_to, writes

FILTERS: list[dict[str, str]] = [{}, {"kind": "photo"}, {"source": "diary"}, {"q": "edited"}]


class Server:
    """One of the processes that serve the stream; it keeps its port."""

    def __init__(self, config: Config) -> None:
        self._config = config
        self._stack = AsyncExitStack()
        self.url = ""

    async def start(self) -> None:
        port = int(self.url.rpartition(":")[2] or 0)
        self.url = (await self._stack.enter_async_context(living(self._config, background=False, port=port))).url

    async def stop(self) -> None:
        await self._stack.aclose()


@asynccontextmanager
async def servers(config: Config, count: int) -> AsyncIterator[list[Server]]:
    every = [Server(config) for _ in range(count)]
    try:
        for server in every:
            await server.start()
        yield every
    finally:
        for server in every:
            await server.stop()


@dataclass
class Reader:
    """A client that keeps the contract's rules, and what its page shows: titles by id."""

    transport: Transport
    query: dict[str, str]
    servers: list[Server]
    chance: random.Random
    position: int = 0
    holds: dict[str, str] = field(default_factory=dict)
    broken: list[str] = field(default_factory=list)

    async def read(self, over: asyncio.Event) -> None:
        """Until `over`; it comes and goes meanwhile."""
        while not over.is_set():
            server = self.chance.choice(self.servers)
            try:
                async with asyncio.timeout(self.chance.uniform(0.02, 0.4)):
                    await self.stay(server)
            except Exception:  # cut, refused, restarting, or it went by itself
                await asyncio.sleep(0.01)

    async def stay(self, server: Server) -> None:
        async with following(server.url, self.transport, after=self.position, **self.query) as follower:
            if follower.hello["reset"]:
                self.broken.append(f"a reset at {self.position}")
            while True:
                said = await follower.next()
                if said["seq"] <= self.position:
                    self.broken.append(f"{said['seq']} after {self.position}: twice, or out of order")
                if said["prev"] > self.position:
                    self.broken.append(f"{said['seq']} continues {said['prev']}, not {self.position}: a gap")
                self.position = said["seq"]
                if said["type"] == "entry":
                    self.holds[said["entry"]["id"]] = said["entry"]["title"]
                else:
                    self.holds.pop(said["id"], None)


async def write(site: Site, number: int, chance: random.Random, steps: int) -> None:
    mine: list[Stored] = []
    for step in range(steps):
        kind = chance.choice(["note", "photo"])
        match chance.choice(["new", "new", "new", "edit", "delete", "flip", "history"]):
            case "edit" if mine:
                at = chance.randrange(len(mine))
                mine[at] = await edits(site, mine[at], title=f"{number} {step} edited", kind=kind)
            case "delete" if mine:
                await deletes(site, mine.pop(chance.randrange(len(mine))))
            case "flip" if number == 0:
                await shows_to(site, "diary", chance.choice(["public", "private"]))
            case "history":
                await gets_history(site, f"{number} {step} history")
            case _:
                mine.append(await writes(site, f"{number} {step}", chance.choice(["notes", "diary"]), kind=kind))
        await asyncio.sleep(chance.uniform(0, 0.02))


async def keeps_its_promise(
    config: Config, count: int, trouble: Callable[[list[Server], random.Random], Awaitable[None]], seed: int
) -> None:
    chance = random.Random(seed)
    over = asyncio.Event()
    async with servers(config, count) as every:
        site = Site.open(config)
        await site.prepare(starting=False)
        wire = asyncio.create_task(site.wire.run()) if site.wire else None
        await has_source(site, "diary")
        readers = [
            Reader(transport, query, every, random.Random(chance.random()))
            for transport in TRANSPORTS
            for query in FILTERS
        ]
        reading = [asyncio.create_task(reader.read(over)) for reader in readers]
        await asyncio.gather(
            *(write(site, number, random.Random(chance.random()), 40) for number in range(3)), trouble(every, chance)
        )
        await shows_to(site, "diary", "private")  # what was made public came quietly: not to those who were there
        over.set()
        await asyncio.gather(*reading)
        for reader in readers:
            await catches_up(site, reader)
        if wire:
            wire.cancel()
            await asyncio.gather(wire, return_exceptions=True)
        await site.aclose()


async def catches_up(site: Site, reader: Reader) -> None:
    view = View(wanted=Filter(**reader.query))  # type: ignore[arg-type]
    await index.up_to_the_head(site)
    async with site.store.read() as db:
        found, _ = await entries.page(db, audience="public", wanted=view.wanted, limit=1000)
    there = {one.id: one.entry.title for one in found if not one.quiet}
    staying = asyncio.create_task(reader.stay(reader.servers[0]))
    try:
        await until(lambda: reader.holds == there or staying.done())
    except TimeoutError:
        pass
    finally:
        staying.cancel()
        await asyncio.gather(staying, return_exceptions=True)
    assert reader.holds == there, (reader.transport, reader.query)
    assert reader.broken == [], (reader.transport, reader.query)


async def restarts(every: list[Server], chance: random.Random) -> None:
    for _ in range(3):
        await asyncio.sleep(chance.uniform(0.1, 0.4))
        server = chance.choice(every)
        await server.stop()
        await server.start()


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(2))
async def test_through_restarts_and_cuts_everybody_holds_what_is_there(config: Config, seed: int) -> None:
    async with asyncio.timeout(9 * SOON):
        await keeps_its_promise(config, 1 if config.sqlite_path else 2, restarts, seed)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(2))
@on_postgresql
async def test_a_redis_that_dies_and_comes_back_loses_nothing(config: Config, seed: int) -> None:
    with RedisServer() as redis:
        try:
            redis.start()
        except (OSError, ImportError) as error:
            missing_service("Redis", error)

        async def outages(every: list[Server], chance: random.Random) -> None:
            for _ in range(2):
                await asyncio.sleep(chance.uniform(0.1, 0.4))
                redis.kill()
                await restarts(every[:1], chance)
                redis.start()

        async with asyncio.timeout(9 * SOON):
            await keeps_its_promise(config.model_copy(update={"redis_url": redis.url}), 2, outages, seed)
