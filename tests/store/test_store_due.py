"""Due rows and claims: nobody works on what another holds, and nothing is held for ever."""

import asyncio

import pytest

from lifestream.site import Site
from lifestream.store import due, feeds
from lifestream.store.database import Store
from lifestream.store.feeds import LOOK_HOLD
from lifestream.store.tables import FeedRow
from tests.store.story import HOUR, NO_TIME, NOON, SECOND, claimed

on_postgresql = pytest.mark.parametrize("database", ["postgresql"], indirect=True)
"""SQLite has one writer at a time."""


async def due_feeds(store: Store, count: int) -> None:
    """So many, each due a second after the one before."""
    async with store.begin() as db:
        for number in range(count):
            await feeds.ensure(db, f"https://blog.example/{number}", NOON + number * SECOND, discovered=True)


async def next_due(site: Site) -> object:
    async with site.store.read() as db:
        return await due.next_due(db, FeedRow)


def numbers(found: list[feeds.DueFeed]) -> list[str]:
    return [one.url.rpartition("/")[2] for one in found]


async def test_what_is_not_due_yet_is_not_claimed(site: Site) -> None:
    await due_feeds(site.store, 1)
    assert await claimed(site.store, NOON - NO_TIME) == []
    assert numbers(await claimed(site.store, NOON)) == ["0"]


async def test_the_longest_due_come_first_and_no_more_than_asked_for(site: Site) -> None:
    await due_feeds(site.store, 5)
    assert numbers(await claimed(site.store, NOON + HOUR, 2)) == ["0", "1"]
    assert numbers(await claimed(site.store, NOON + HOUR, 9)) == ["2", "3", "4"]


async def test_what_is_claimed_is_nobody_elses_until_the_claim_ends(site: Site) -> None:
    await due_feeds(site.store, 1)
    assert len(await claimed(site.store, NOON)) == 1
    assert await claimed(site.store, NOON + LOOK_HOLD - NO_TIME) == []
    assert len(await claimed(site.store, NOON + LOOK_HOLD)) == 1


async def test_next_due_is_when_the_next_row_can_be_claimed(site: Site) -> None:
    assert await next_due(site) is None
    await due_feeds(site.store, 2)
    assert await next_due(site) == NOON
    await claimed(site.store, NOON)
    assert await next_due(site) == NOON + SECOND
    await claimed(site.store, NOON + SECOND)
    assert await next_due(site) == NOON + LOOK_HOLD


async def test_a_server_that_starts_alone_frees_what_a_dead_one_held(site: Site) -> None:
    await due_feeds(site.store, 3)
    await claimed(site.store, NOON + HOUR)
    async with site.store.begin() as db:
        await due.release_all(db)
    assert numbers(await claimed(site.store, NOON + HOUR)) == ["0", "1", "2"]


async def test_claimers_at_the_same_time_never_share_a_row(site: Site) -> None:
    await due_feeds(site.store, 30)
    stores = [Store(site.store.url, site.store.sqlite_path) for _ in range(4)]

    async def take_all(store: Store) -> list[str]:
        mine: list[str] = []
        while found := await claimed(store, NOON + HOUR, 3):
            mine += numbers(found)
        return mine

    taken = await asyncio.gather(*(take_all(store) for store in stores))
    for store in stores:
        await store.aclose()
    assert sorted(int(one) for part in taken for one in part) == list(range(30))


@on_postgresql
async def test_a_claimer_takes_other_rows_rather_than_wait_for_an_open_transaction(site: Site) -> None:
    await due_feeds(site.store, 4)
    async with site.store.begin() as one, site.store.begin() as other:
        first = await feeds.claim(one, NOON + HOUR, 2)
        async with asyncio.timeout(10):
            second = await feeds.claim(other, NOON + HOUR, 4)
    assert numbers(first) == ["0", "1"]
    assert numbers(second) == ["2", "3"]


async def test_a_claim_that_is_rolled_back_was_none(site: Site) -> None:
    await due_feeds(site.store, 1)
    with pytest.raises(ZeroDivisionError):
        async with site.store.begin() as db:
            await feeds.claim(db, NOON, 1)
            raise ZeroDivisionError
    assert len(await claimed(site.store, NOON)) == 1
