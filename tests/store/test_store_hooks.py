"""Hooks in the database: secrets, what was seen, what is kept, and what events become."""

import asyncio
from datetime import timedelta

import pytest
from sqlalchemy import func, select

from lifestream.errors import Conflict, NotFound
from lifestream.protocol.adapter import Event
from lifestream.site import Site
from lifestream.store import hooks
from lifestream.store.database import Store
from lifestream.store.hooks import Delivery, Hook
from lifestream.store.tables import HookDeliveryRow, HookSeenRow
from tests.store.story import DAY, NOON, SECOND, flipped, local_source, titles

MINUTE = timedelta(minutes=1)


async def hook(store: Store, slug: str = "forge") -> Hook:
    async with store.begin() as db:
        await hooks.add(db, slug=slug, adapter="gogs", topic="", secret="one", now=NOON)
        return await hooks.get(db, slug)


async def again(store: Store) -> Hook:
    async with store.read() as db:
        return await hooks.get(db, "forge")


async def is_new(store: Store, known: Hook, *marks: str, at: timedelta = timedelta()) -> bool:
    async with store.begin() as db:
        return await hooks.first_time(db, known, marks, NOON + at, 30 * DAY)


async def posts(store: Store, *events: Event, at: timedelta = timedelta()) -> str:
    async with store.begin() as db:
        done = await hooks.record(db, "forge", "public", events, NOON + at)
    return f"{done.new} {done.changed} {done.deleted}"


def pushed(*ids: str) -> Event:
    commits = [{"id": one, "message": one, "url": "", "author": ""} for one in ids]
    data = {"repository": "mara/boat", "branch": "main", "compare_url": "", "commits": commits}
    title = f"Pushed {len(ids)} commits to boat"
    return Event(f"push {ids[-1]}", title, data=data, burst="mara/boat main")


async def test_the_secret_before_stays_good_for_a_week(site: Site) -> None:
    known = await hook(site.store)
    async with site.store.begin() as db:
        await hooks.rotate(db, known, "two", NOON)
    rotated = await again(site.store)
    assert rotated.secrets(NOON + 6 * DAY) == ["two", "one"]
    assert rotated.secrets(NOON + 7 * DAY) == ["two"]


async def test_a_name_is_taken_once(site: Site) -> None:
    await hook(site.store)
    with pytest.raises(Conflict):
        await hook(site.store)


async def test_a_hook_takes_what_it_remembers_along(site: Site) -> None:
    known = await hook(site.store)
    assert await is_new(site.store, known, "a")
    async with site.store.begin() as db:
        await hooks.note(db, known, [Delivery(NOON, 200, "posted", "Posted.")])
        await hooks.remove(db, "forge")
        with pytest.raises(NotFound):
            await hooks.get(db, "forge")
        for table in (HookSeenRow, HookDeliveryRow):
            assert (await db.execute(select(func.count()).select_from(table))).scalar_one() == 0


async def test_one_mark_is_enough_to_be_known_again(site: Site) -> None:
    known = await hook(site.store)
    assert await is_new(site.store, known, "id", "words")
    assert not await is_new(site.store, known, "other id", "words", at=DAY)
    assert not await is_new(site.store, known, "id", at=DAY)
    assert await is_new(site.store, known, "id", "words", at=30 * DAY)
    assert await is_new(site.store, await hook(site.store, "other"), "id", "words")


async def test_of_two_that_come_at_once_one_is_new(site: Site) -> None:
    known = await hook(site.store)
    assert sorted(await asyncio.gather(*(is_new(site.store, known, "id", "words") for _ in range(4)))) == [
        False, False, False, True,
    ]  # fmt: skip


async def test_the_newest_are_kept(site: Site) -> None:
    known = await hook(site.store)
    async with site.store.begin() as db:
        for number in range(60):
            outcome = "refused" if number % 2 else "posted"
            await hooks.note(db, known, [Delivery(NOON + number * SECOND, 200, outcome, str(number))])
        kept = await hooks.deliveries(db, known)
    assert [one.verdict for one in kept if one.outcome == "refused"] == [str(number) for number in range(59, 40, -2)]
    assert len([one for one in kept if one.outcome == "posted"]) == 30
    assert kept[0].verdict == "59" and kept[-1].verdict == "0"


async def test_pushes_to_a_branch_are_one_entry_for_ten_minutes(site: Site) -> None:
    assert await posts(site.store, pushed("a")) == "1 0 0"
    assert await posts(site.store, pushed("b", "c"), at=5 * MINUTE) == "0 1 0"
    assert await titles(site.store) == ["Pushed 3 commits to boat"]
    assert await posts(site.store, pushed("a"), at=6 * MINUTE) == "0 0 0"
    assert await posts(site.store, pushed("a"), at=11 * MINUTE) == "0 0 0"
    assert await posts(site.store, pushed("d"), at=11 * MINUTE) == "1 0 0"


async def test_an_edit_and_an_end_of_what_is_not_here_are_nothing(site: Site) -> None:
    assert await posts(site.store, Event("r", "Released", change="edit"), Event("r", "", change="gone")) == "0 0 0"


async def test_what_was_taken_back_comes_again_when_it_is_said_later(site: Site) -> None:
    def starred(change: str, at: str) -> Event:
        return Event("s", "Starred", kind="like", updated=at, change=change)  # type: ignore[arg-type]

    assert await posts(site.store, starred("new", "2026-11-21T10:00:00Z")) == "1 0 0"
    assert await posts(site.store, starred("gone", "")) == "0 0 1"
    assert await posts(site.store, starred("gone", "")) == "0 0 0"
    assert await posts(site.store, starred("new", "2026-11-21T10:00:00Z")) == "0 0 0"
    assert await posts(site.store, starred("new", "2026-11-21T11:00:00Z")) == "0 1 0"
    assert await titles(site.store) == ["Starred"]


async def test_an_event_without_a_key_is_always_a_new_entry(site: Site) -> None:
    assert await posts(site.store, Event("", "Ding"), Event("", "Ding")) == "2 0 0"


async def test_what_is_private_goes_into_no_public_source(site: Site) -> None:
    await flipped(site.store, await local_source(site.store, "forge"), "public")
    with pytest.raises(Conflict):
        async with site.store.begin() as db:
            await hooks.record(db, "forge", "private", [Event("a", "Secret")], NOON)
    assert await titles(site.store) == []


async def test_marks_by_which_nothing_is_known_again_are_forgotten(site: Site) -> None:
    known = await hook(site.store)
    assert await is_new(site.store, known, "old")
    assert await is_new(site.store, known, "new", at=20 * DAY)
    async with site.store.begin() as db:
        await hooks.forget_seen(db, known, NOON + 10 * DAY)
        assert list((await db.execute(select(HookSeenRow.mark))).scalars()) == ["new"]
