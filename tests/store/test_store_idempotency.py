"""A call that is made twice with one key counts once."""

import asyncio

from lifestream.site import Site
from lifestream.store import idempotency
from lifestream.store.database import Store
from lifestream.store.idempotency import KEPT
from lifestream.store.tables import EntryRow, IdempotencyRow
from lifestream.types import Entry, Source
from lifestream.write import write_entry
from tests.store.story import DAY, NOON, count, local_source, note

KEY = "3b1e0f5c"


async def used(store: Store, key: str = KEY) -> str | None:
    async with store.begin() as db:
        return await idempotency.used(db, key)


async def remember(store: Store, key: str, diary: Source, now: object = NOON) -> str:
    public_id = await note(store, diary, key)
    async with store.begin() as db:
        await idempotency.remember(db, key, public_id, now)  # type: ignore[arg-type]
    return public_id


async def test_a_key_leads_to_the_entry_it_made(site: Site) -> None:
    diary = await local_source(site.store)
    assert await used(site.store) is None
    public_id = await remember(site.store, KEY, diary)
    assert await used(site.store) == public_id
    assert await used(site.store, KEY + "x") is None


async def test_keys_are_forgotten_after_a_week(site: Site) -> None:
    diary = await local_source(site.store)
    await remember(site.store, "old", diary)
    await remember(site.store, "week", diary, NOON + KEPT)
    assert await count(site.store, IdempotencyRow) == 2
    await remember(site.store, "new", diary, NOON + KEPT + DAY)
    assert await used(site.store, "old") is None
    assert await used(site.store, "week") is not None


async def test_calls_with_one_key_at_once_make_one_entry_and_all_get_it(site: Site) -> None:
    await local_source(site.store)
    entry = Entry(kind="note", title="once")
    made = await asyncio.gather(*(write_entry(site, "diary", entry, KEY) for _ in range(8)))
    assert len({one.id for one in made}) == 1
    assert await count(site.store, EntryRow) == 1
