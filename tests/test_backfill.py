"""History: walking back through a feed's older pages, politely and quietly, and going on where it was."""

import asyncio
import os
import signal
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import orjson
import pytest
from sqlalchemy import func, select, text, update
from starlette.responses import PlainTextResponse, Response

from lifestream import flow
from lifestream.backfill import MOST_ATTEMPTS, begin, older_page, stand, turn_page, wait_after
from lifestream.config import Config
from lifestream.fetch import Document, Validators
from lifestream.site import Site
from lifestream.store import backfills, changes, due, entries, feeds, sources
from lifestream.store.backfills import HOLD, REST, Backfill
from lifestream.store.tables import BackfillRow, EntryRow
from lifestream.types import Feed, Filter, RawEntry, Stored
from tests.documents import atom, entry
from tests.fakes import AppClient, Publisher, comes, serving, until
from tests.followers import following
from tests.living import living, on_sqlite

WORDPRESS = "<generator uri='https://wordpress.org/'>WordPress</generator>"
MICROSECOND = timedelta(microseconds=1)


class Clock:
    """The time as the site sees it; moved on by hand."""

    def __init__(self) -> None:
        self.time = datetime.now(UTC)

    def __call__(self) -> datetime:
        return self.time

    def on(self, time: timedelta) -> None:
        self.time += time


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def stream(site: Site, clock: Clock) -> Site:
    """The site under a clock of ours."""
    return replace(site, now=clock)


@pytest.fixture
def publisher() -> Publisher:
    return Publisher()


@pytest.fixture
async def web(publisher: Publisher) -> AsyncIterator[str]:
    async with serving(publisher.app) as url:
        yield url


def archived(publisher: Publisher, web: str, pages: int = 4, *, rel: str = "prev-archive") -> str:
    """A feed whose older pages are at /2, /3 …, two entries each, the newest first; gives its address."""
    for page in range(1, pages + 1):
        number = 2 * (pages - page)
        link = f"<link rel='{rel}' href='/{page + 1}'/>" if page < pages else ""
        publisher.publish("/feed" if page == 1 else f"/{page}", atom(link, entry(number + 1), entry(number)))
    return f"{web}/feed"


def wordpress(publisher: Publisher, web: str, pages: int = 3) -> str:
    """A feed that names no older pages and has some: ?paged=2 and so on, and then nothing."""
    url = archived(publisher, web, pages, rel="none")
    for page in range(1, pages + 1):
        path = "/feed" if page == 1 else f"/{page}"
        body, media_type = publisher.documents.pop(path)
        body = body.replace(b"<title>", WORDPRESS.encode() + b"<title>", 1)
        publisher.publish("/feed" if page == 1 else f"/feed?paged={page}", body, media_type)
    publisher.answers[f"/feed?paged={pages + 1}"] = PlainTextResponse("Not here.", 404)
    return url


async def followed(site: Site, url: str, slug: str = "blog", **more: Any) -> None:
    """Adds a source and takes in its first document."""
    async with site.store.begin() as db:
        await sources.add_feed(db, url, now=site.now(), slug=slug, **more)
    await look(site)


async def look(site: Site) -> None:
    async with site.store.begin() as db:
        claimed = await feeds.claim(db, site.now(), 10)
        by_feed = await sources.of_feeds(db, [one.id for one in claimed])
    for one in claimed:
        await flow.look(site, one, by_feed.get(one.id))


async def taken(site: Site, limit: int = 1) -> list[Backfill]:
    async with site.store.begin() as db:
        return await backfills.claim(db, site.now(), limit)


async def walked(stream: Site, clock: Clock, *, pages: int = 100, slug: str = "blog") -> Backfill:
    """Turns as many pages, as a server does, or all there are."""
    for _ in range(pages):
        clock.on(REST)
        for one in await taken(stream):
            await turn_page(stream, one)
        if (await stand(stream, slug)).state != "walking":
            break
    return await stand(stream, slug)


async def titles(site: Site) -> list[str | None]:
    async with site.store.read() as db:
        found, _ = await entries.page(db, audience="public", wanted=Filter(), limit=50)
    return [one.entry.title for one in found]


async def log(site: Site) -> list[Stored]:
    async with site.store.read() as db:
        return list(await changes.after(db, 0, audience="public", limit=1000))


async def books(site: Site) -> tuple[datetime | None, int]:
    async with site.store.read() as db:
        source = await sources.get(db, "blog", audience="owner")
    return source.last_entry, source.entry_count


def posts(*numbers: int) -> list[str]:
    return [f"Post {number}" for number in numbers]


# -- walking ----------------------------------------------------------------------------------


@pytest.mark.parametrize("rel", ["prev-archive", "next"])
async def test_older_pages_come_in_with_their_dates(
    stream: Site, clock: Clock, publisher: Publisher, web: str, rel: str
) -> None:
    await followed(stream, archived(publisher, web, rel=rel))
    assert await titles(stream) == posts(7, 6)
    await begin(stream, "blog")
    ended = await walked(stream, clock)
    assert await titles(stream) == posts(7, 6, 5, 4, 3, 2, 1, 0)
    assert (ended.state, ended.pages, ended.entries, ended.added, ended.error) == ("done", 4, 8, 6, "")
    assert ended.oldest == datetime(2026, 3, 20, 10, tzinfo=UTC)
    assert publisher.asked == ["/feed", "/feed", "/2", "/3", "/4"]


async def test_history_is_quiet(stream: Site, clock: Clock, publisher: Publisher, web: str) -> None:
    await followed(stream, archived(publisher, web))
    before = await books(stream)
    clock.on(timedelta(hours=1))
    await begin(stream, "blog")
    await walked(stream, clock)
    assert all(one.quiet for one in await log(stream))
    async with stream.store.read() as db:
        assert await changes.newest(db, 100) == []
        assert set((await db.execute(select(EntryRow.first_via))).scalars()) == {"backfill"}
    assert await books(stream) == (before[0], 8)


async def test_what_is_new_on_the_front_is_left_to_a_look_which_announces_it(
    stream: Site, clock: Clock, publisher: Publisher, web: str
) -> None:
    url = archived(publisher, web, 2)
    await followed(stream, url)
    publisher.publish("/feed", atom("<link rel='prev-archive' href='/2'/>", entry(4), entry(3), entry(2)))
    await begin(stream, "blog")
    await walked(stream, clock)
    assert await titles(stream) == posts(3, 2, 1, 0)
    clock.on(timedelta(days=2))
    await look(stream)
    assert {one.entry.title: one.quiet for one in await log(stream)} == {
        "Post 4": False, "Post 3": True, "Post 2": True, "Post 1": True, "Post 0": True,
    }  # fmt: skip


async def test_old_versions_do_not_overwrite_what_is_stored(
    stream: Site, clock: Clock, publisher: Publisher, web: str
) -> None:
    later = "2026-03-21T10:00:00Z"
    front = atom("<link rel='next' href='/2'/>", entry(2, updated=later), entry(1), entry(0))
    publisher.publish("/feed", front)
    archive = atom(entry(2, "stale"), entry(1, "undecided"), entry(0, "edited", updated=later), entry(9, updated=later))
    publisher.publish("/2", archive)
    await followed(stream, f"{web}/feed")
    await begin(stream, "blog")
    await walked(stream, clock)
    assert {one.entry.title: one.entry.content_html for one in await log(stream)} == {
        "Post 2": "hello", "Post 1": "hello", "Post 0": "edited", "Post 9": "hello",
    }  # fmt: skip


async def test_a_feed_without_older_pages_is_done_at_once(
    stream: Site, clock: Clock, publisher: Publisher, web: str
) -> None:
    await followed(stream, archived(publisher, web, 1))
    await begin(stream, "blog")
    ended = await walked(stream, clock)
    assert (ended.state, ended.pages, ended.added) == ("done", 1, 0)
    assert publisher.asked == ["/feed", "/feed"]


async def test_a_finished_walk_begins_at_the_front_again(
    stream: Site, clock: Clock, publisher: Publisher, web: str
) -> None:
    url = archived(publisher, web, 3)
    await followed(stream, url)
    await begin(stream, "blog")
    await walked(stream, clock)
    archived(publisher, web, 4)
    again = await begin(stream, "blog")
    assert (again.state, again.pages, again.next_url) == ("walking", 0, url)
    ended = await walked(stream, clock)
    assert (ended.pages, ended.entries, ended.added) == (4, 8, 0)


async def test_asking_twice_is_asking_once(stream: Site, clock: Clock, publisher: Publisher, web: str) -> None:
    await followed(stream, archived(publisher, web))
    await begin(stream, "blog")
    at = await walked(stream, clock, pages=2)
    assert await begin(stream, "blog") == at


# -- where older pages are --------------------------------------------------------------------


def json_feed(number: int, older: str) -> dict[str, Any]:
    items = [{"id": f"{number}", "content_text": f"Post {number}", "date_published": f"2026-03-0{number}T10:00:00Z"}]
    return {"version": "https://jsonfeed.org/version/1.1", "title": "Blog", "items": items, "next_url": older}


def outbox_page(number: int, older: str) -> dict[str, Any]:
    note = {"id": f"urn:n:{number}", "type": "Note", "content": f"Post {number}"}
    made = {"id": f"urn:a:{number}", "type": "Create", "object": note, "to": "as:Public"}
    return {
        "@context": "https://www.w3.org/ns/activitystreams", "type": "OrderedCollectionPage",
        "orderedItems": [made | {"published": f"2026-03-0{number}T10:00:00Z"}], "next": older or None,
    }  # fmt: skip


@pytest.mark.parametrize("page", [json_feed, outbox_page])
@on_sqlite
async def test_json_names_older_pages_too(
    stream: Site, clock: Clock, publisher: Publisher, web: str, page: Callable[[int, str], dict[str, Any]]
) -> None:
    publisher.publish("/feed", orjson.dumps(page(3, f"{web}/feed?max=3")), "application/json")
    publisher.publish("/feed?max=3", orjson.dumps(page(2, f"{web}/feed?max=2")), "application/json")
    publisher.publish("/feed?max=2", orjson.dumps(page(1, "")), "application/json")
    await followed(stream, f"{web}/feed")
    await begin(stream, "blog")
    ended = await walked(stream, clock)
    assert (ended.state, ended.pages, ended.added) == ("done", 3, 2)
    assert [one.entry.summary for one in await log(stream)] == posts(3, 2, 1)


async def test_wordpress_counts_its_pages_and_says_404_behind_the_last(
    stream: Site, clock: Clock, publisher: Publisher, web: str
) -> None:
    await followed(stream, wordpress(publisher, web))
    await begin(stream, "blog")
    ended = await walked(stream, clock)
    assert (ended.state, ended.pages, ended.error) == ("done", 3, "")
    assert await titles(stream) == posts(5, 4, 3, 2, 1, 0)
    assert publisher.asked[2:] == ["/feed?paged=2", "/feed?paged=3", "/feed?paged=4"]


async def test_a_site_that_does_not_know_paged_is_asked_once(
    stream: Site, clock: Clock, publisher: Publisher, web: str
) -> None:
    await followed(stream, wordpress(publisher, web, 1))
    del publisher.answers["/feed?paged=2"]
    await begin(stream, "blog")
    ended = await walked(stream, clock)
    assert (ended.state, ended.entries, ended.added) == ("done", 2, 0)
    assert publisher.asked == ["/feed", "/feed", "/feed"]


async def test_a_page_that_leads_back_is_the_last(stream: Site, clock: Clock, publisher: Publisher, web: str) -> None:
    await followed(stream, archived(publisher, web, 3))
    publisher.publish("/3", atom("<link rel='prev-archive' href='/2'/>", entry(1), entry(0)))
    await begin(stream, "blog")
    ended = await walked(stream, clock)
    assert (ended.state, ended.pages) == ("done", 3)
    assert publisher.asked == ["/feed", "/feed", "/2", "/3"]


async def test_pages_that_repeat_under_new_addresses_are_the_end(
    stream: Site, clock: Clock, publisher: Publisher, web: str
) -> None:
    await followed(stream, archived(publisher, web, 2))
    for page in (2, 3, 4, 5):
        publisher.publish(f"/{page}", atom(f"<link rel='next' href='/{page + 1}'/>", entry(1), entry(0)))
    await begin(stream, "blog")
    ended = await walked(stream, clock)
    assert (ended.state, ended.entries, publisher.asked[-1]) == ("done", 4, "/3")


FEED = Feed("rss", entries=(RawEntry(id="1"),))
API = '<https://blog.example/wp-json/>; rel="https://api.w.org/"'


@pytest.mark.parametrize(
    ("feed", "links", "asked", "older"),
    [
        (FEED, "", "/feed", ""),
        (replace(FEED, next_page="/older"), "", "/feed", "/older"),
        (replace(FEED, next_page="https://old.example/"), "", "/feed", "https://old.example/"),
        (replace(FEED, next_page="javascript:alert(1)"), "", "/feed", ""),
        (FEED, '</archive/7>; rel="prev-archive"', "/feed", "/archive/7"),
        (FEED, "</p/2>; rel=next", "/feed", "/p/2"),
        (replace(FEED, next_page="/older"), "</p/2>; rel=next", "/feed", "/older"),
        (replace(FEED, generator="https://wordpress.org/?v=6.5"), "", "/feed", "/feed?paged=2"),
        (replace(FEED, generator="WordPress"), "", "/?feed=rss2&paged=9&cat=1", "/?feed=rss2&paged=10&cat=1"),
        (replace(FEED, generator="WordPress"), "", "/?feed=rss2", "/?feed=rss2&paged=2"),
        (replace(FEED, generator="WordPress", complete=True), "", "/feed", ""),
        (replace(FEED, generator="WordPress", entries=()), "", "/feed?paged=4", ""),
        (FEED, API, "/feed", "/feed?paged=2"),
        (replace(FEED, entries=(), entries_at="/outbox?page=1"), "", "/actor", "/outbox?page=1"),
        (replace(FEED, entries_at="/outbox?page=1"), "", "/outbox", ""),
    ],
)  # fmt: skip
def test_where_older_entries_are(feed: Feed, links: str, asked: str, older: str) -> None:
    site = "https://blog.example"
    document = Document(site + asked, b"", "", (links,) if links else (), Validators(), None, "", "")
    assert older_page(site + asked, document, feed).removeprefix(site) == older


def test_waits_grow_and_a_server_can_make_them_longer_but_not_for_ever() -> None:
    waits = [wait_after(attempts, None).total_seconds() for attempts in range(1, 10)]
    assert waits == [30, 60, 120, 240, 480, 960, 1920, 3600, 3600]
    assert wait_after(1, 5.0).total_seconds() == 30
    assert wait_after(1, 300.0).total_seconds() == 300
    assert wait_after(1, 1e30) == timedelta(days=1)


# -- going on ---------------------------------------------------------------------------------


async def test_a_walk_that_died_goes_on_where_it_was(
    stream: Site, config: Config, clock: Clock, publisher: Publisher, web: str
) -> None:
    await followed(stream, archived(publisher, web, 5))
    await begin(stream, "blog")
    await walked(stream, clock, pages=2)
    clock.on(REST)
    assert len(await taken(stream)) == 1  # and whoever took it is killed

    successor = replace(Site.open(config), now=clock)
    try:
        at = await stand(successor, "blog")
        assert (at.state, at.pages, at.next_url) == ("walking", 2, f"{web}/3")
        assert await taken(successor) == []
        clock.on(HOLD)
        ended = await walked(successor, clock)
    finally:
        await successor.aclose()
    assert (ended.state, ended.pages, ended.added) == ("done", 5, 8)
    assert publisher.asked == ["/feed", "/feed", "/2", "/3", "/4", "/5"]


async def test_who_is_told_to_end_leaves_the_page_to_others(
    stream: Site, clock: Clock, publisher: Publisher, web: str
) -> None:
    await followed(stream, archived(publisher, web))
    await begin(stream, "blog")
    arrived = publisher.hold("/feed")
    ending = asyncio.create_task(turn_page(stream, (await taken(stream))[0]))
    await until(lambda: publisher.asked == ["/feed", "/feed"])
    ending.cancel()
    await asyncio.gather(ending, return_exceptions=True)
    arrived.set()
    assert [one.pages for one in await taken(stream)] == [0]


async def test_at_the_start_of_sqlites_only_server_nobody_has_anything_in_hand(
    stream: Site, clock: Clock, publisher: Publisher, web: str
) -> None:
    await followed(stream, archived(publisher, web))
    await begin(stream, "blog")
    assert len(await taken(stream)) == 1
    async with stream.store.begin() as db:
        await due.release_all(db)
    assert len(await taken(stream)) == 1


async def test_a_page_that_took_longer_than_its_claim_changes_nothing(
    stream: Site, clock: Clock, publisher: Publisher, web: str
) -> None:
    await followed(stream, archived(publisher, web))
    await begin(stream, "blog")
    await walked(stream, clock, pages=1)
    clock.on(REST)
    [slow] = await taken(stream)
    clock.on(HOLD)
    [quick] = await taken(stream)
    await turn_page(stream, slow)
    assert (await titles(stream), (await stand(stream, "blog")).pages) == (posts(7, 6), 1)
    await turn_page(stream, quick)
    assert (await titles(stream), (await stand(stream, "blog")).pages) == (posts(7, 6, 5, 4), 2)


async def test_who_asks_to_wait_is_waited_for(stream: Site, clock: Clock, publisher: Publisher, web: str) -> None:
    await followed(stream, archived(publisher, web, 3))
    publisher.answers["/2"] = Response("slow down", 429, {"Retry-After": "600"})
    await begin(stream, "blog")
    await walked(stream, clock, pages=2)
    at = await stand(stream, "blog")
    assert at.state == "walking" and "429" in at.error
    assert at.due_at == clock() + timedelta(seconds=600)
    clock.on(timedelta(seconds=600) - MICROSECOND)
    assert await taken(stream) == []
    del publisher.answers["/2"]
    ended = await walked(stream, clock)
    assert (ended.state, ended.error, ended.attempts) == ("done", "", 0)


async def test_a_walk_that_failed_tries_its_page_again_when_asked(
    stream: Site, clock: Clock, publisher: Publisher, web: str
) -> None:
    await followed(stream, archived(publisher, web, 3))
    publisher.answers["/2"] = PlainTextResponse("ill", 500)
    await begin(stream, "blog")
    for _ in range(MOST_ATTEMPTS + 1):
        await walked(stream, clock, pages=1)
        clock.on(timedelta(hours=1))
    at = await stand(stream, "blog")
    assert (at.state, at.pages, at.attempts, at.due_at) == ("failed", 1, MOST_ATTEMPTS, None)
    assert publisher.asked.count("/2") == MOST_ATTEMPTS
    del publisher.answers["/2"]
    again = await begin(stream, "blog")
    assert (again.state, again.pages, again.error) == ("walking", 1, "")
    assert (await walked(stream, clock)).added == 4


@pytest.mark.parametrize(
    "answer", [Response("go away", 403), Response("<html><body>Welcome</body></html>", media_type="text/html")]
)
async def test_what_will_not_pass_by_itself_is_not_tried_again(
    stream: Site, clock: Clock, publisher: Publisher, web: str, answer: Response
) -> None:
    await followed(stream, archived(publisher, web, 3))
    publisher.answers["/2"] = answer
    await begin(stream, "blog")
    ended = await walked(stream, clock)
    assert (ended.state, publisher.asked.count("/2")) == ("failed", 1)
    assert ended.error and "\n" not in ended.error


async def test_a_page_that_somebody_named_and_that_is_missing_is_no_end(
    stream: Site, clock: Clock, publisher: Publisher, web: str
) -> None:
    await followed(stream, archived(publisher, web, 4))
    publisher.answers["/3"] = PlainTextResponse("Not here.", 404)
    await begin(stream, "blog")
    ended = await walked(stream, clock)
    assert (ended.state, ended.pages) == ("failed", 2)
    assert "404" in ended.error
    del publisher.answers["/3"]
    await begin(stream, "blog")
    assert (await walked(stream, clock)).state == "done"
    assert await titles(stream) == posts(*range(7, -1, -1))


@on_sqlite
async def test_a_page_that_breaks_something_is_tried_again_later_and_not_for_ever(
    stream: Site, clock: Clock, publisher: Publisher, web: str
) -> None:
    await followed(stream, archived(publisher, web, 3))
    await begin(stream, "blog")
    await walked(stream, clock, pages=1)
    async with stream.store.begin() as db:
        await db.execute(text("CREATE TRIGGER full BEFORE INSERT ON entries BEGIN SELECT RAISE(ABORT, 'full'); END"))
    clock.on(REST)
    await turn_page(stream, (await taken(stream))[0])
    at = await stand(stream, "blog")
    assert (at.state, at.attempts, at.due_at) == ("walking", 1, clock() + wait_after(1, None))
    assert at.error.startswith("This page could not be taken in (") and "INSERT" not in at.error
    for _ in range(MOST_ATTEMPTS):
        clock.on(timedelta(hours=1))
        await walked(stream, clock, pages=1)
    assert (await stand(stream, "blog")).state == "failed"


async def test_a_source_that_is_paused_or_removed_on_the_way_gets_nothing_more(
    stream: Site, clock: Clock, publisher: Publisher, web: str
) -> None:
    await followed(stream, archived(publisher, web))
    await begin(stream, "blog")
    await walked(stream, clock, pages=1)
    async with stream.store.begin() as db:
        await sources.pause(db, await sources.get(db, "blog", audience="owner"))
    at = await walked(stream, clock)
    assert (at.state, at.pages) == ("failed", 1) and "paused" in at.error
    async with stream.store.begin() as db:
        await sources.resume(db, await sources.get(db, "blog", audience="owner"), clock())
    await begin(stream, "blog")
    clock.on(REST)
    [held] = await taken(stream)
    async with stream.store.begin() as db:
        await sources.remove(db, await sources.get(db, "blog", audience="owner"), clock())
    await turn_page(stream, held)
    assert await titles(stream) == []
    async with stream.store.read() as db:
        assert (await db.execute(select(func.count()).select_from(BackfillRow))).scalar_one() == 0


async def test_a_walk_ends_after_very_many_pages(stream: Site, clock: Clock, publisher: Publisher, web: str) -> None:
    await followed(stream, archived(publisher, web))
    await begin(stream, "blog")
    async with stream.store.begin() as db:
        await db.execute(update(BackfillRow).values(pages=9_999))
    ended = await walked(stream, clock)
    assert (ended.state, ended.pages) == ("done", 10_000) and "10,000" in ended.error


# -- one host, one request --------------------------------------------------------------------


async def test_a_host_is_asked_one_thing_at_a_time_with_a_rest_between(
    stream: Site, clock: Clock, publisher: Publisher, web: str
) -> None:
    await followed(stream, archived(publisher, web))
    await followed(stream, archived(publisher, web).replace("/feed", "/2"), "second")
    for slug in ("blog", "second"):
        await begin(stream, slug)
    [first] = await taken(stream, 9)
    assert await taken(stream, 9) == []
    async with stream.store.read() as db:
        assert await due.next_due(db, BackfillRow) == clock() + HOLD
    clock.on(timedelta(seconds=5))
    await turn_page(stream, first)
    assert await taken(stream, 9) == []
    clock.on(REST)
    assert len(await taken(stream, 9)) == 1


async def test_who_is_asked_for_while_their_host_is_in_hand_waits(
    stream: Site, clock: Clock, publisher: Publisher, web: str
) -> None:
    await followed(stream, archived(publisher, web))
    await followed(stream, f"{web}/2", "second")
    await begin(stream, "blog")
    assert len(await taken(stream)) == 1
    assert (await begin(stream, "second")).wait(clock()) == HOLD.total_seconds()
    assert await taken(stream) == []


async def test_other_hosts_do_not_wait(stream: Site, clock: Clock, publisher: Publisher, web: str) -> None:
    async with serving(publisher.app) as elsewhere:
        await followed(stream, archived(publisher, web))
        await followed(stream, archived(publisher, elsewhere), "second")
        for slug in ("blog", "second"):
            await begin(stream, slug)
        assert {one.slug for one in await taken(stream, 9)} == {"blog", "second"}


async def test_any_number_of_workers_take_a_host_once(
    stream: Site, clock: Clock, publisher: Publisher, web: str
) -> None:
    for number in range(1, 5):
        publisher.publish(f"/{number}", atom(entry(number)))
        await followed(stream, f"{web}/{number}", f"s{number}")
        await begin(stream, f"s{number}")
    claimed = await asyncio.gather(*(taken(stream) for _ in range(8)))
    assert sum(map(len, claimed)) == 1


# -- the doors --------------------------------------------------------------------------------


async def test_a_walk_runs_in_the_background_and_nobody_is_told_live(
    config: Config, publisher: Publisher, web: str
) -> None:
    async with living(config) as stream:
        await stream.adds(archived(publisher, web, 3))
        async with following(stream.url, "sse") as follower:
            answer = await stream.http.post("/api/sources/blog/backfill", headers=await stream.owners())
            assert answer.status_code == 202
            assert answer.json()["state"] == "walking"
            where = answer.headers["location"]

            async def done() -> dict[str, Any] | None:
                found = (await stream.http.get(where, headers=await stream.owners())).json()
                return found if found["state"] == "done" else None

            assert await comes(done) == {
                "source": "blog", "state": "done", "pages": 3, "entries": 6, "added": 4,
                "oldest": "2026-03-20T10:00:00Z", "next_url": None, "error": None,
            }  # fmt: skip
            await stream.posts("Now")
            assert await follower.title() == "Now"
        assert await stream.titles() == ["Now", *posts(5, 4, 3, 2, 1, 0)]


async def test_only_the_owner_asks_for_history(client: AppClient) -> None:
    for method in ("post", "get"):
        call = getattr(client, method)
        assert (await call("/api/sources/notes/backfill")).status_code == 401
        assert (await call("/api/sources/notes/backfill", headers=await client.token("write"))).status_code == 403


async def test_what_has_no_history_is_refused_in_a_sentence(client: AppClient) -> None:
    owner = await client.token("owner")
    await client.post("/api/sources", json={"url": "http://blog.example/", "slug": "blog"}, headers=owner)
    for slug, status, words in (("notes", 409, "local"), ("blog", 409, "not been read"), ("nobody", 404, "nobody")):
        answer = await client.post(f"/api/sources/{slug}/backfill", headers=owner)
        assert answer.status_code == status and words in answer.json()["detail"]
        assert answer.headers["content-type"] == "application/problem+json"
    assert (await client.get("/api/sources/blog/backfill", headers=owner)).status_code == 404
    await client.post("/api/sources/blog/pause", headers=owner)
    assert "resume" in (await client.post("/api/sources/blog/backfill", headers=owner)).json()["detail"]


async def lifestream(config: Config, *arguments: str) -> Process:
    """Starts a command beside the tests."""
    settings = {name: value for name, value in os.environ.items() if not name.startswith("LIFESTREAM_")} | {
        "LIFESTREAM_DATA_DIR": str(config.data_dir), "LIFESTREAM_ALLOW_NETWORKS": "127.0.0.0/8",
        "PYTHONPATH": str(Path(__file__).parents[1]),
    }  # fmt: skip
    return await asyncio.create_subprocess_exec(
        sys.executable, "-m", "lifestream", *arguments, stdout=PIPE, stderr=PIPE, env=settings, cwd=config.data_dir
    )


async def said(process: Process) -> tuple[int, str, str]:
    out, err = await asyncio.wait_for(process.communicate(), 30)
    assert process.returncode is not None
    return process.returncode, out.decode(), err.decode()


@on_sqlite
async def test_the_command_walks_without_a_server(site: Site, config: Config, publisher: Publisher, web: str) -> None:
    await followed(site, archived(publisher, web, 3))
    code, out, _ = await said(await lifestream(config, "source", "backfill", "blog"))
    assert code == 0 and "3 pages with 6 entries, 4 of them new" in out
    code, out, err = await said(await lifestream(config, "source", "backfill", "blog", "--json"))
    assert (code, err) == (0, "")
    assert orjson.loads(out)["added"] == 0


@on_sqlite
async def test_the_command_says_when_there_is_nothing_to_fetch(
    site: Site, config: Config, publisher: Publisher, web: str
) -> None:
    await followed(site, archived(publisher, web, 1))
    code, out, _ = await said(await lifestream(config, "source", "backfill", "blog"))
    assert code == 0 and "no older pages" in out
    code, out, err = await said(await lifestream(config, "source", "backfill", "notes"))
    assert (code, out) == (1, "") and "local" in err and len(err.splitlines()) == 1


@on_sqlite
async def test_ctrl_c_stops_the_walk_and_says_how_to_go_on(
    site: Site, config: Config, publisher: Publisher, web: str
) -> None:
    await followed(site, archived(publisher, web, 3))
    arrived = publisher.hold("/2")
    process = await lifestream(config, "source", "backfill", "blog")
    await until(lambda: "/2" in publisher.asked, within=30)
    process.send_signal(signal.SIGINT)
    code, _, err = await said(process)
    arrived.set()
    assert code == 130 and "lifestream source backfill blog" in err and "Traceback" not in err
    at = await stand(site, "blog")
    assert (at.state, at.pages, at.due_at) == ("stopped", 1, None)
    code, out, _ = await said(await lifestream(config, "source", "backfill", "blog"))
    assert code == 0 and "3 pages" in out
    assert publisher.asked.count("/feed") == 2
