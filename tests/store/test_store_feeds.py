"""Looks at feeds: asked for many times and made once, paced, and never lost."""

import asyncio
from datetime import datetime, timedelta

import pytest
from sqlalchemy import select, text, update

from lifestream.protocol.hub import address_key
from lifestream.protocol.pacing import AT_ONCE, PER_SECOND, SPACING
from lifestream.site import Site
from lifestream.store import feeds, sources, subscribers
from lifestream.store.database import Store
from lifestream.store.feeds import DueFeed
from lifestream.store.inbox import Document
from lifestream.store.tables import FeedRow
from tests.store.story import BLOG, DAY, HOUR, NOON, SECOND, claimed, count, feed_source, row

MOMENT = timedelta(milliseconds=1)

on_postgresql = pytest.mark.parametrize("database", ["postgresql"], indirect=True)
"""SQLite has one writer at a time."""


async def ask(store: Store, now: datetime, times: int = 1, via: str = "ping") -> None:
    async with store.begin() as db:
        found = await feeds.matching(db, [BLOG])
        await feeds.ask(db, {one.id: (times, via) for one in found}, now)


async def ends(store: Store, look: DueFeed, now: datetime, *, found: bool = False) -> None:
    async with store.begin() as db:
        await feeds.finish(db, look, now, found=found, poll_at=now + DAY)


async def looked(store: Store, now: datetime, *, found: bool = False) -> bool:
    """Whether the feed was due, and so was looked at."""
    for look in await claimed(store, now):
        await ends(store, look, now, found=found)
        return True
    return False


@pytest.fixture
async def store(site: Site) -> Store:
    """With one feed, looked at once at NOON; next by itself after a day."""
    await feed_source(site.store)
    assert await looked(site.store, NOON, found=True)
    return site.store


async def test_a_new_feed_is_due_at_once_and_then_when_it_is_to_be_polled(site: Site) -> None:
    await feed_source(site.store)
    (look,) = await claimed(site.store, NOON)
    assert (look.url, look.via, look.discovered, look.has_document) == (BLOG, "poll", False, False)
    await ends(site.store, look, NOON)
    assert await claimed(site.store, NOON + DAY - MOMENT) == []
    assert len(await claimed(site.store, NOON + DAY)) == 1


async def test_an_address_in_another_spelling_is_the_same_feed(site: Site) -> None:
    async with site.store.begin() as db:
        one = await feeds.ensure(db, "http://blog.example/feed", NOON)
        assert await feeds.ensure(db, "https://BLOG.example:443/feed#x", NOON) == one
        assert await feeds.ensure(db, "https://blog.example/feed/", NOON) != one


async def test_two_at_once_make_one_feed(site: Site) -> None:
    other = Store(site.store.url, site.store.sqlite_path)

    async def ensure(store: Store) -> int:
        async with store.begin() as db:
            return await feeds.ensure(db, BLOG, NOON)

    ids = await asyncio.gather(*(ensure(store) for store in (site.store, other) * 5))
    await other.aclose()
    assert len(set(ids)) == 1


async def test_a_ping_makes_a_look_due_at_once_and_says_why(store: Store) -> None:
    await ask(store, NOON + HOUR)
    (look,) = await claimed(store, NOON + HOUR)
    assert (look.via, look.asked) == ("ping", 1)


async def test_pings_before_a_look_begins_are_all_answered_by_it(store: Store) -> None:
    for _ in range(7):
        await ask(store, NOON + HOUR)
    assert await looked(store, NOON + HOUR)
    assert not await looked(store, NOON + DAY)
    answered = await row(store, FeedRow)
    assert (answered.asked, answered.looked) == (7, 7)


async def test_pings_during_a_look_cause_exactly_one_more(store: Store) -> None:
    await ask(store, NOON + HOUR, times=7)
    (look,) = await claimed(store, NOON + HOUR)
    assert look.asked == 7
    await ask(store, NOON + HOUR)
    await ask(store, NOON + HOUR)
    await ends(store, look, NOON + HOUR, found=True)
    (second,) = await claimed(store, NOON + HOUR)
    assert (second.asked, second.via) == (9, "ping")
    await ends(store, second, NOON + HOUR, found=True)
    assert await claimed(store, NOON + DAY) == []


async def test_a_ping_does_not_move_a_look_that_is_due_already(store: Store) -> None:
    await ask(store, NOON + HOUR)
    await ask(store, NOON + 2 * HOUR)
    assert (await row(store, FeedRow)).due_at == NOON + HOUR


async def test_asks_in_parallel_are_all_counted(store: Store) -> None:
    other = Store(store.url, store.sqlite_path)
    await asyncio.gather(*(ask(one, NOON + HOUR) for one in (store, other) * 15))
    await other.aclose()
    assert (await row(store, FeedRow)).asked == 30


@on_postgresql
async def test_a_ping_that_commits_while_a_look_ends_is_looked_at(store: Store) -> None:
    """On PostgreSQL: the look's end has to wait for the ping, and then must see it."""
    await ask(store, NOON + HOUR)
    (look,) = await claimed(store, NOON + HOUR)
    async with asyncio.TaskGroup() as both:
        async with store.begin() as db:
            await feeds.ask(db, {look.id: (1, "ping")}, NOON + HOUR)
            ending = both.create_task(ends(store, look, NOON + HOUR, found=True))
            await somebody_waits(store)
        await ending
    assert len(await claimed(store, NOON + HOUR + SECOND)) == 1


@on_postgresql
async def test_a_ping_while_a_source_is_being_paused_does_not_wake_it(store: Store) -> None:
    async with asyncio.TaskGroup() as both:
        async with store.begin() as db:
            await sources.pause(db, await sources.get(db, "blog", audience="owner"))
            asking = both.create_task(ask(store, NOON + HOUR))
            await somebody_waits(store)
        await asking
    assert await claimed(store, NOON + DAY) == []


async def somebody_waits(store: Store) -> None:
    waiting = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
    async with asyncio.timeout(10), store.engine.connect() as connection:
        while not (await connection.execute(text(waiting))).scalar_one():
            await connection.rollback()


async def test_ten_looks_go_at_once_and_then_five_a_second(store: Store) -> None:
    start = NOON + HOUR
    for _ in range(int(AT_ONCE)):
        await ask(store, start)
        assert await looked(store, start, found=True)
    for number in range(5):
        await ask(store, start + number * SECOND / PER_SECOND)
        turn = start + (number + 1) * SECOND / PER_SECOND
        assert not await looked(store, turn - MOMENT, found=True)
        assert await looked(store, turn, found=True)


async def test_pings_that_never_stop_cause_no_more_looks_than_the_bucket_holds(store: Store) -> None:
    now, looks = NOON + HOUR, 0
    while now < NOON + HOUR + 4 * SECOND:
        await ask(store, now)
        looks += await looked(store, now, found=True)
        now += 50 * MOMENT
    assert looks == AT_ONCE + 4 * PER_SECOND - 1


async def test_looks_that_find_nothing_come_further_and_further_apart(store: Store) -> None:
    now, waits = NOON + HOUR, []
    for _ in range(10):
        await ask(store, now)
        began = now
        due_at = (await row(store, FeedRow)).due_at
        now = max(now, due_at)
        assert await looked(store, now)
        waits.append(round((now - began).total_seconds(), 3))
    assert waits == [0, 0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 6.4, 10, 10]
    await ask(store, now)
    now = (await row(store, FeedRow)).due_at
    assert await looked(store, now, found=True)
    await ask(store, now)
    assert await looked(store, now)


async def test_a_paused_source_is_never_due_and_is_again_when_it_goes_on(store: Store) -> None:
    async with store.begin() as db:
        await sources.pause(db, await sources.get(db, "blog", audience="owner"))
    await ask(store, NOON + HOUR)
    assert await claimed(store, NOON + 2 * DAY) == []
    async with store.begin() as db:
        await sources.resume(db, await sources.get(db, "blog", audience="owner"), NOON + 3 * DAY)
    assert len(await claimed(store, NOON + 3 * DAY)) == 1


async def test_a_look_that_ends_after_its_source_was_paused_makes_it_no_more_due(store: Store) -> None:
    await ask(store, NOON + HOUR)
    (look,) = await claimed(store, NOON + HOUR)
    await ask(store, NOON + HOUR)
    async with store.begin() as db:
        await sources.pause(db, await sources.get(db, "blog", audience="owner"))
    await ends(store, look, NOON + HOUR)
    assert await claimed(store, NOON + 2 * DAY) == []


async def test_a_look_that_ends_after_its_feed_was_removed_changes_nothing(store: Store) -> None:
    await ask(store, NOON + HOUR)
    (look,) = await claimed(store, NOON + HOUR)
    async with store.begin() as db:
        await sources.remove(db, await sources.get(db, "blog", audience="owner"), NOON + HOUR)
    await ends(store, look, NOON + HOUR)
    assert await count(store, FeedRow) == 0


async def test_a_ping_is_matched_by_the_address_added_fetched_or_named_as_self(store: Store) -> None:
    async with store.begin() as db:
        (known,) = await feeds.matching(db, [BLOG])
        change = {"url": "https://blog.example/atom", "url_key": "blog.example/atom"}
        change |= {"self_url": "https://cdn.example/atom", "self_key": "cdn.example/atom"}
        (look,) = await feeds.claim(db, NOON + DAY, 1)
        await feeds.finish(db, look, NOON, found=True, poll_at=None, **change)
    async with store.read() as db:
        for address in ("http://blog.example/feed", "http://blog.example/atom", "https://CDN.example/atom"):
            assert [one.id for one in await feeds.matching(db, [address])] == [known.id]
        assert not await feeds.matching(db, ["https://cdn.example/", "nonsense", ""])


async def test_a_feed_that_somebody_needs_is_kept(store: Store) -> None:
    async with store.begin() as db:
        (known,) = await feeds.matching(db, [BLOG])
        await feeds.drop_if_unused(db, known.id)
    assert await count(store, FeedRow) == 1


async def test_feeds_that_nobody_needs_are_dropped_all_at_once(store: Store) -> None:
    async with store.begin() as db:
        wanted, moved, left = [await feeds.ensure(db, f"https://{at}.example/feed", NOON) for at in ("a", "b", "c")]
        await feeds.moves(db, moved, "new.b.example/feed")
        await db.execute(update(FeedRow).where(FeedRow.id == moved).values(url_key="new.b.example/feed"))
        for number, topic in enumerate(("https://a.example/feed", "https://b.example/feed")):
            key, lasts = address_key(topic), {"lease_seconds": 3600 * (number + 1)}
            await subscribers.subscribe(db, topic, key, "https://reader.example/callback", NOON, **lasts)

    async def there(now: datetime) -> set[int]:
        async with store.begin() as db:
            await subscribers.drop_expired(db, now)
            await feeds.drop_unused(db)
            return set((await db.execute(select(FeedRow.id))).scalars())

    (blog,) = await there(NOON) - {wanted, moved}
    assert left != blog
    assert await there(NOON + HOUR) == {blog, moved}, "also by the address that it had"
    assert await there(NOON + 2 * HOUR) == {blog}


async def test_a_feed_with_a_document_in_the_inbox_outlives_its_source(site: Site, store: Store) -> None:
    async with store.read() as db:
        (known,) = await feeds.matching(db, [BLOG])
    await site.inbox.put(Document(known.id, b"<feed/>", ""))
    async with store.begin() as db:
        await sources.remove(db, await sources.get(db, "blog", audience="owner"), NOON)
    assert await count(store, FeedRow) == 1


# -- politeness -------------------------------------------------------------------------------


async def neighbours(store: Store, count: int) -> None:
    """Feeds that live on one host and were looked at once; a poll of each is due a day later."""
    for number in range(count):
        await feed_source(store, f"https://many.example/{number}", slug=f"many-{number}")
    for look in await claimed(store, NOON):
        async with store.begin() as db:
            await feeds.finish(
                db, look, NOON, found=True, poll_at=NOON + DAY, discovered=True, first_document_at=NOON, fetched_at=NOON
            )


async def polled(store: Store, now: datetime) -> list[str]:
    looks = await claimed(store, now)
    for look in looks:
        await ends(store, look, now, found=True)
    return [look.url for look in looks]


async def test_first_looks_at_one_host_go_at_once(site: Site) -> None:
    for number in range(4):
        await feed_source(site.store, f"https://many.example/{number}", slug=f"many-{number}")
    assert len(await claimed(site.store, NOON)) == 4


async def test_polls_of_one_host_are_spaced_and_all_of_them_come(site: Site) -> None:
    await neighbours(site.store, 4)
    await feed_source(site.store, "https://other.example/feed", slug="other")
    at = NOON + DAY
    assert len(await polled(site.store, at)) == 2, "one of the many, and the first look elsewhere"
    assert await polled(site.store, at + SPACING - MOMENT) == []
    found = [await polled(site.store, at + number * SPACING) for number in (1, 2, 3, 4)]
    assert [len(one) for one in found] == [1, 1, 1, 0]
    assert len({one for (one,) in found[:3]}) == 3


async def test_a_poll_waits_too_that_falls_due_just_after_another(site: Site) -> None:
    await neighbours(site.store, 2)
    found = []
    for _ in range(2):
        async with site.store.begin() as db:
            found.append(await feeds.claim(db, NOON + DAY, 1))
    assert [len(one) for one in found] == [1, 0]


async def test_a_ping_does_not_wait_for_polls_of_its_host(site: Site) -> None:
    await neighbours(site.store, 3)
    at = NOON + DAY
    (first,) = await polled(site.store, at)
    pinged = next(f"https://many.example/{number}" for number in range(3) if not first.endswith(str(number)))
    async with site.store.begin() as db:
        (found,) = await feeds.matching(db, [pinged])
        await feeds.ask(db, {found.id: (1, "ping")}, at)
    assert await polled(site.store, at) == [pinged]


async def test_a_clock_that_is_set_back_stops_no_polls(site: Site) -> None:
    await neighbours(site.store, 2)
    assert len(await polled(site.store, NOON + 100 * DAY)) == 1
    async with site.store.begin() as db:
        await db.execute(text("UPDATE feeds SET due_at = poll_at"))
    assert len(await polled(site.store, NOON + DAY)) == 1


@on_postgresql
async def test_two_workers_do_not_poll_one_host_at_once(site: Site) -> None:
    await neighbours(site.store, 6)

    async def one() -> int:
        async with site.store.begin() as db:
            return len(await feeds.claim(db, NOON + DAY, 1))

    assert sum(await asyncio.gather(*(one() for _ in range(6)))) == 1
