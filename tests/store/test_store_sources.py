"""Sources: adding, naming, removing, adding again; and what keeps their books."""

import asyncio

import pytest
from sqlalchemy import update

from lifestream.errors import Conflict, Gone, InvalidInput, NotFound
from lifestream.protocol.hub import address_key
from lifestream.site import Site
from lifestream.store import entries, feeds, sources, subscriptions
from lifestream.store.database import Store
from lifestream.store.entries import Recorded
from lifestream.store.tables import FeedRow, SourceRow, SubscriptionRow
from lifestream.types import Source
from tests.store.story import (
    BLOG,
    DAY,
    HOUR,
    NOON,
    again,
    arrives,
    claimed,
    count,
    feed_source,
    flipped,
    head,
    local_source,
    log,
    note,
    raw,
    row,
    titles,
)


async def remove(store: Store, source: Source) -> None:
    async with store.begin() as db:
        await sources.remove(db, source, NOON + HOUR)


async def subscribe(store: Store, source: Source) -> None:
    assert source.feed_id is not None
    async with store.begin() as db:
        await subscriptions.add(
            db, feed_id=source.feed_id, hub_url="https://hub.example/", topic=BLOG, token="t", secret="s", now=NOON
        )


async def slugs(site: Site, audience: str = "owner") -> list[str]:
    async with site.store.read() as db:
        return [one.slug for one in await sources.every(db, audience="owner" if audience == "owner" else "public")]


# -- adding -----------------------------------------------------------------------------------


async def test_notes_are_there_from_the_start_and_once(site: Site) -> None:
    await site.prepare()
    assert await slugs(site) == ["notes"]


async def test_servers_that_start_at_once_make_one_source_of_notes(site: Site) -> None:
    async with site.store.read() as db:
        await remove(site.store, await sources.get(db, "notes", audience="owner"))
    stores = [Store(site.store.url, site.store.sqlite_path) for _ in range(4)]

    async def start(store: Store) -> None:
        async with store.begin() as db:
            await sources.ensure_notes(db, NOON)

    await asyncio.gather(*(start(store) for store in stores))
    for store in stores:
        await store.aclose()
    assert await slugs(site) == ["notes"]


async def test_a_new_feed_is_pending_and_knows_no_more_than_its_address(site: Site) -> None:
    blog = await feed_source(site.store)
    assert (blog.url, blog.state, blog.delivery, blog.visibility) == (BLOG, "pending", "polling", "public")
    assert (blog.feed_url, blog.topic, blog.hub_url, blog.last_fetch, blog.entry_count) == (None, None, None, None, 0)
    assert not blog.local


async def test_a_local_source_is_active_and_has_no_feed(site: Site) -> None:
    diary = await local_source(site.store, "my-diary")
    assert (diary.url, diary.state, diary.delivery, diary.title) == ("local:my-diary", "active", "local", "My-diary")
    assert diary.local and diary.feed_url is None


async def test_an_address_is_followed_once_however_it_is_spelt(site: Site) -> None:
    await feed_source(site.store)
    for spelling in (BLOG, "http://blog.example/feed", "https://BLOG.EXAMPLE:443/feed"):
        with pytest.raises(Conflict, match="“blog”"):
            await feed_source(site.store, spelling, slug="other")
    assert await count(site.store, FeedRow) == 1


async def test_a_refused_addition_leaves_the_followed_feed_as_it_was(site: Site) -> None:
    await feed_source(site.store)
    (look,) = await claimed(site.store, NOON)
    async with site.store.begin() as db:
        await feeds.finish(db, look, NOON, found=True, poll_at=NOON + DAY, etag='"1"', discovered=True)
    with pytest.raises(Conflict):
        await feed_source(site.store, slug="other", now=NOON + HOUR)
    kept = await row(site.store, FeedRow)
    assert (kept.etag, kept.due_at) == ('"1"', NOON + DAY)


async def test_a_slug_is_made_from_the_title_or_the_host_and_is_nobody_elses(site: Site) -> None:
    async with site.store.begin() as db:
        made = [
            await sources.add_feed(db, "https://www.blog.example/1", now=NOON),
            await sources.add_feed(db, "https://www.blog.example/2", now=NOON),
            await sources.add_feed(db, "https://www.blog.example/3", now=NOON),
            await sources.add_feed(db, "https://x.example/", now=NOON, title="Mara’s Cats & Dogs"),
            await sources.add_feed(db, "https://y.example/", now=NOON, title="日本"),
            await sources.add_feed(db, "https://z.example/", now=NOON, title="a" * 200),
        ]
    assert made == ["blog-example", "blog-example-2", "blog-example-3", "mara-s-cats-dogs", "source", "a" * 48]


async def test_a_slug_that_cannot_stand_in_an_address_is_refused(site: Site) -> None:
    for slug in ("Blog", "a b", "-a", "a-", "a/b", "é", "a" * 65, "blog~1", "."):
        with pytest.raises(InvalidInput):
            await feed_source(site.store, slug=slug)
    assert await count(site.store, FeedRow) == 0


async def test_a_slug_that_is_taken_is_a_conflict(site: Site) -> None:
    with pytest.raises(Conflict, match="notes"):
        await feed_source(site.store, slug="notes")
    with pytest.raises(Conflict, match="notes"):
        await local_source(site.store, "notes")


async def test_who_is_quicker_gets_the_slug_and_the_other_a_conflict(site: Site) -> None:
    other = Store(site.store.url, site.store.sqlite_path)
    done = await asyncio.gather(
        *(local_source(store, "twins") for store in (site.store, other)), return_exceptions=True
    )
    await other.aclose()
    assert sorted(type(one).__name__ for one in done) == ["Conflict", "Source"]


async def test_a_kind_that_is_none_is_refused(site: Site) -> None:
    diary = await local_source(site.store, kind="photo")
    with pytest.raises(InvalidInput, match="selfie"):
        await local_source(site.store, "other", kind="selfie")
    async with site.store.begin() as db:
        with pytest.raises(InvalidInput):
            await sources.rename(db, diary, title=None, kind="selfie")
    assert (await again(site.store, diary)).kind == "photo"


async def test_a_feed_that_strangers_subscribed_to_is_taken_in_whole_when_it_is_added(site: Site) -> None:
    async with site.store.begin() as db:
        await feeds.ensure(db, BLOG, NOON, discovered=True)
        (look,) = await feeds.claim(db, NOON, 1)
        seen = {"etag": '"1"', "body_digest": "d", "first_document_at": NOON}
        await feeds.finish(db, look, NOON, found=True, poll_at=None, **seen)
    await feed_source(site.store, now=NOON + HOUR)
    (look,) = await claimed(site.store, NOON + HOUR)
    assert (look.etag, look.body_digest, look.has_document, look.discovered) == ("", "", False, False)


# -- seeing and naming ------------------------------------------------------------------------


async def test_a_private_source_is_not_there_for_the_public(site: Site) -> None:
    await feed_source(site.store, visibility="private")
    assert await slugs(site, "public") == ["notes"]
    async with site.store.read() as db:
        assert (await sources.get(db, "blog", audience="owner")).visibility == "private"
        with pytest.raises(NotFound):
            await sources.get(db, "blog", audience="public")


async def test_a_slug_that_is_none_is_not_found(site: Site) -> None:
    async with site.store.read() as db:
        for slug in ("", "nobody", "\0", "a\0b", "é" * 300, "%"):
            with pytest.raises(NotFound):
                await sources.get(db, slug, audience="owner")


async def test_a_feed_names_its_source_unless_the_owner_did(site: Site) -> None:
    blog = await feed_source(site.store)
    named = await feed_source(site.store, "https://named.example/", slug="named", title="Mine")
    assert (blog.title, named.title) == ("blog", "Mine")
    async with site.store.begin() as db:
        for source in (blog, named):
            await sources.counted(db, source, Recorded(), NOON, feed_title="Its own title")
    assert ((await again(site.store, blog)).title, (await again(site.store, named)).title) == ("Its own title", "Mine")
    async with site.store.begin() as db:
        await sources.rename(db, blog, title="Renamed", kind=None)
        await sources.counted(db, blog, Recorded(), NOON, feed_title="Its own title")
    assert (await again(site.store, blog)).title == "Renamed"


async def test_a_feed_without_a_title_leaves_the_one_it_had(site: Site) -> None:
    blog = await feed_source(site.store)
    async with site.store.begin() as db:
        await sources.counted(db, blog, Recorded(), NOON, feed_title="Its own title")
        await sources.counted(db, blog, Recorded(), NOON)
    assert (await again(site.store, blog)).title == "Its own title"


async def test_the_books_count_what_lives(site: Site) -> None:
    blog = await feed_source(site.store)
    done = await arrives(site.store, blog, raw(1), raw(2))
    async with site.store.begin() as db:
        await sources.counted(db, blog, done, NOON)
        await sources.counted(db, blog, Recorded(deleted=1, living=-1), NOON + DAY)
    blog = await again(site.store, blog)
    assert (blog.entry_count, blog.last_entry) == (1, NOON)


async def test_the_lease_that_is_shown_is_the_longest_that_is_active(site: Site) -> None:
    blog = await feed_source(site.store)
    await subscribe(site.store, blog)
    async with site.store.begin() as db:
        (mine,) = await subscriptions.of_feed(db, blog.feed_id or 0)
        await subscriptions.change(db, mine.id, expires_at=NOON + DAY)
    assert (await again(site.store, blog)).lease_expires is None
    async with site.store.begin() as db:
        await subscriptions.change(db, mine.id, state="active")
    assert (await again(site.store, blog)).lease_expires == NOON + DAY


async def test_flipping_to_what_it_is_changes_nothing(site: Site) -> None:
    diary = await local_source(site.store)
    await note(site.store, diary, "one")
    before = await head(site.store)
    await flipped(site.store, diary, "public")
    assert await head(site.store) == before


async def test_sources_are_flipped_while_entries_arrive_and_nobody_blocks_anybody(site: Site) -> None:
    blog = await feed_source(site.store)
    other = Store(site.store.url, site.store.sqlite_path)

    async def flip() -> None:
        for visibility in ("private", "public") * 5:
            await flipped(other, await again(other, blog), visibility)

    async def arrive() -> None:
        for number in range(10):
            done = await arrives(site.store, blog, raw(number))
            async with site.store.begin() as db:
                await sources.counted(db, blog, done, NOON)

    async with asyncio.timeout(30):
        await asyncio.gather(flip(), arrive())
    await other.aclose()
    assert len(await titles(site.store, "public")) == 10
    assert all(one.exposed for one in await log(site.store))


# -- pausing ----------------------------------------------------------------------------------


async def test_a_paused_source_goes_on_where_it_was(site: Site) -> None:
    blog = await feed_source(site.store)
    async with site.store.begin() as db:
        await sources.pause(db, blog)
    assert (await again(site.store, blog)).state == "paused"
    async with site.store.begin() as db:
        await sources.resume(db, await sources.get(db, "blog", audience="owner"), NOON)
    assert (await again(site.store, blog)).state == "pending"


async def test_a_local_source_cannot_be_paused(site: Site) -> None:
    diary = await local_source(site.store)
    async with site.store.begin() as db:
        with pytest.raises(Conflict):
            await sources.pause(db, diary)
        with pytest.raises(Conflict):
            await sources.resume(db, diary, NOON)


async def test_going_on_with_what_was_not_paused_changes_nothing(site: Site) -> None:
    blog = await feed_source(site.store)
    async with site.store.begin() as db:
        await sources.change(db, blog, state="failing")
    async with site.store.begin() as db:
        await sources.resume(db, await sources.get(db, "blog", audience="owner"), NOON)
    assert (await again(site.store, blog)).state == "failing"


# -- removing, and adding again ---------------------------------------------------------------


async def test_a_removed_source_is_gone_and_its_entries_are_told_as_deleted(site: Site) -> None:
    blog = await feed_source(site.store)
    await arrives(site.store, blog, raw(1, "secret"), raw(2), quiet=True)
    held = [one.id for one in await log(site.store)]
    before = await head(site.store)
    await remove(site.store, blog)
    assert await slugs(site) == ["notes"]
    assert await titles(site.store) == []
    changes = await log(site.store, before, audience="public")
    assert [(one.id, one.deleted, one.quiet) for one in changes] == [(one, True, False) for one in held]
    async with site.store.read() as db:
        with pytest.raises(Gone):
            await entries.one(db, held[0], audience="public")
        with pytest.raises(NotFound):
            await sources.get(db, "blog", audience="owner")
        for row in await sources.every(db, audience="owner"):
            assert "~" not in row.slug


async def test_the_removed_source_of_nobody_leaves_no_feed_behind(site: Site) -> None:
    blog = await feed_source(site.store)
    await remove(site.store, blog)
    assert await count(site.store, FeedRow) == 0
    assert await count(site.store, SourceRow) == 2  # its row stays for its tombstones


async def test_removing_leaves_the_hub_first(site: Site) -> None:
    blog = await feed_source(site.store)
    await subscribe(site.store, blog)
    await remove(site.store, blog)
    leaving = await row(site.store, SubscriptionRow)
    assert (leaving.state, leaving.asking, leaving.due_at) == ("leaving", "unsubscribe", NOON + HOUR)
    assert await claimed(site.store, NOON + 9 * DAY) == []


async def test_a_removed_source_can_be_added_again_and_starts_anew(site: Site) -> None:
    blog = await feed_source(site.store)
    await subscribe(site.store, blog)  # so its feed outlives it
    (look,) = await claimed(site.store, NOON)
    async with site.store.begin() as db:
        seen = {"etag": '"1"', "body_digest": "d", "first_document_at": NOON, "discovered": True, "fetched_at": NOON}
        await feeds.finish(db, look, NOON, found=True, poll_at=NOON + DAY, **seen)
    await arrives(site.store, blog, raw(1))
    await remove(site.store, blog)
    anew = await feed_source(site.store, now=NOON + 2 * HOUR)
    assert (anew.slug, anew.state, anew.entry_count, anew.last_fetch) == ("blog", "pending", 0, None)
    assert anew.id != blog.id
    (look,) = await claimed(site.store, NOON + 2 * HOUR)
    assert (look.etag, look.last_modified, look.body_digest, look.has_document) == ("", "", "", False)
    assert await arrives(site.store, anew, raw(1)) == Recorded(new=1, living=1)
    assert await titles(site.store) == ["Post 1"]


async def test_the_slug_of_a_removed_source_is_free_more_than_once(site: Site) -> None:
    for _ in range(3):
        await remove(site.store, await local_source(site.store))
    assert (await local_source(site.store)).slug == "diary"


async def test_a_source_is_found_by_the_address_it_was_added_or_is_fetched_at(site: Site) -> None:
    source = await feed_source(site.store, "https://blog.example/")
    async with site.store.begin() as db:
        await db.execute(update(FeedRow).values(url_key=address_key(BLOG)))
        for url in ("http://blog.example", BLOG):
            assert await sources.at_address(db, url) == "blog"
        assert await sources.at_address(db, "https://elsewhere.example/") is None
    await remove(site.store, source)
    async with site.store.read() as db:
        assert await sources.at_address(db, BLOG) is None
