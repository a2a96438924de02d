"""What is looked after each minute, by itself."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from datetime import timedelta

import pytest

from lifestream.protocol.hub import address_key
from lifestream.receive.timer import keep_house
from lifestream.site import Site
from lifestream.store import feeds, owner, subscribers
from tests.fakes import comes, until
from tests.living import on_sqlite

TOPIC = "https://stranger.example/feed"


@asynccontextmanager
async def looked_after(site: Site) -> AsyncIterator[None]:
    task = asyncio.create_task(keep_house(site))
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def is_known(site: Site) -> bool:
    async with site.store.read() as db:
        return bool(await feeds.matching(db, [TOPIC]))


async def test_a_topic_of_strangers_is_forgotten_once_its_last_subscriber_is_gone(site: Site) -> None:
    then = site.now() - timedelta(hours=1)
    async with site.store.begin() as db:
        await feeds.ensure(db, TOPIC, then, discovered=True)
        await subscribers.subscribe(
            db, TOPIC, address_key(TOPIC), "https://reader.example/callback", then, lease_seconds=600
        )
    assert await is_known(site)
    async with looked_after(site):

        async def forgotten() -> bool:
            return not await is_known(site)

        await comes(forgotten)


@on_sqlite
async def test_what_is_only_in_a_long_wal_is_brought_into_the_database(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lifestream.store.database.LONG_WAL", 100_000)
    path = site.store.sqlite_path
    assert path is not None
    for number in range(20):
        async with site.store.begin(durable=False) as db:
            await owner.set_fact(db, f"mood{number}", "good" * 4000)
    size = path.stat().st_size
    async with looked_after(site):
        await until(lambda: path.stat().st_size > size + 100_000)
