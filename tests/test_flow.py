"""The line from what arrives to the log, with real databases and a real publisher."""

import asyncio
import gzip
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address, IPv6Address
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select
from starlette.responses import RedirectResponse, Response, StreamingResponse

from lifestream import arrival, backfill, flow, subscribe
from lifestream.clean.entries import identify
from lifestream.client import Client
from lifestream.protocol.addresses import Networks
from lifestream.protocol.silence import LATE
from lifestream.reading import Reading
from lifestream.receive import timer
from lifestream.settings import Settings
from lifestream.site import Site
from lifestream.store import backfills, changes, entries, feeds, inbox, sources, subscriptions
from lifestream.store.inbox import Document
from lifestream.store.subscriptions import Subscription
from lifestream.store.tables import EntryRow, FeedRow
from lifestream.types import Feed, Filter, RawEntry, Source, Stored, Text
from lifestream.write import SourceChange, change_source
from tests.documents import COMPLETE, atom, entry, tombstone
from tests.fakes import FakeHub, Publisher, serving, until
from tests.living import on_sqlite

ATOM = "application/atom+xml"
HOSTILE = Path(__file__).parent / "parse" / "data" / "hostile"


class Clock:
    """The time as the site sees it; moved on by hand."""

    def __init__(self) -> None:
        self.time = datetime.now(UTC)

    def __call__(self) -> datetime:
        return self.time

    def on(self, **time: float) -> None:
        self.time += timedelta(**time)


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


async def add(site: Site, url: str, slug: str = "blog", **more: Any) -> None:
    async with site.store.begin() as db:
        await sources.add_feed(db, url, now=site.now(), slug=slug, **more)


async def look_once(site: Site) -> int:
    """Looks at what is due; says at how many feeds."""
    async with site.store.begin() as db:
        due = await feeds.claim(db, site.now(), 10)
    for one in due:
        async with site.store.read() as db:
            source = (await sources.of_feeds(db, [one.id])).get(one.id)
        await flow.look(site, one, source)
    return len(due)


async def look_again(site: Site, clock: Clock, via: str = "poll") -> None:
    clock.on(minutes=1)
    feed_id = (await source(site)).feed_id
    assert feed_id is not None
    async with site.store.begin() as db:
        await feeds.ask(db, {feed_id: (1, via)}, site.now())
    assert await look_once(site) == 1


async def next_poll(site: Site) -> datetime | None:
    async with site.store.read() as db:
        return (await db.execute(select(FeedRow.due_at))).scalar_one()


async def poll(site: Site, clock: Clock) -> timedelta:
    """Waits for the next poll, of the only feed there is; says how long that took."""
    at, before = await next_poll(site), clock.time
    assert at is not None
    clock.time = max(at, before)
    assert await look_once(site) == 1
    return at - before


async def push(site: Site, clock: Clock, *bodies: str | bytes, media_type: str = ATOM) -> None:
    """These documents were pushed, with the right signature, and are worked off in one batch."""
    feed_id = (await source(site)).feed_id
    assert feed_id is not None
    for body in bodies:
        await site.inbox.put(Document(feed_id, body.encode() if isinstance(body, str) else body, media_type))
    clock.on(minutes=1)
    async with site.store.begin() as db:
        rows = await inbox.claim(db, site.now(), 100)
    assert len(rows) == len(bodies)
    await timer.take_in(site, rows)


async def source(site: Site, slug: str = "blog") -> Source:
    async with site.store.read() as db:
        return await sources.get(db, slug, audience="owner")


async def titles(site: Site) -> list[str | None]:
    async with site.store.read() as db:
        found, _ = await entries.page(db, audience="public", wanted=Filter(), limit=50)
    return [one.entry.title for one in found]


async def log(site: Site) -> list[Stored]:
    async with site.store.read() as db:
        return list(await changes.after(db, 0, audience="public", limit=1000))


async def vias(site: Site) -> list[str]:
    """How each entry was first seen, oldest first."""
    async with site.store.read() as db:
        return list((await db.execute(select(EntryRow.first_via).order_by(EntryRow.first_seq))).scalars())


# -- what takes long ------------------------------------------------------------------------


LONG_TEXT = "<p>word</p>" * (arrival.LONG // 10)


@on_sqlite
@pytest.mark.parametrize(
    "raw",
    [
        RawEntry(id="1", content=Text(LONG_TEXT, html=True)),
        RawEntry(id="1", summary=Text(LONG_TEXT, html=True)),
        RawEntry(id="1", title=Text(LONG_TEXT, html=True)),
        RawEntry(id="1" * (arrival.LONG + 1)),
        RawEntry(id="1", data={"about": {"content_html": LONG_TEXT}}),
    ],
    ids=["content", "summary", "title", "id", "quotation"],
)
async def test_a_long_entry_is_cleaned_before_the_writer_is_taken(stream: Site, raw: RawEntry) -> None:
    feed, url = Feed("atom", entries=(raw, RawEntry(id="short"))), "https://b.example/feed"
    notes = await source(stream, "notes")
    reading = Reading(feed, identify(feed, url))
    assert len((await arrival.history(stream, notes, reading, url, stream.now())).cleaned) == 2
    short = Reading(feed, [item for item in reading.items if item.at == 1])
    assert not (await arrival.history(stream, notes, short, url, stream.now())).cleaned


# -- what a document brings -------------------------------------------------------------------


async def test_every_new_entry_of_a_document_is_stored(stream: Site, publisher: Publisher, web: str) -> None:
    publisher.publish("/feed", atom(entry(2), entry(1)))
    await add(stream, web + "/feed")
    assert await look_once(stream) == 1
    assert await titles(stream) == ["Post 2", "Post 1"]
    blog = await source(stream)
    assert (blog.state, blog.last_error, blog.entry_count, blog.feed_url) == ("active", None, 2, web + "/feed")
    assert blog.title == "Blog"


async def test_hundreds_of_entries_in_one_document_are_all_stored(stream: Site, publisher: Publisher, web: str) -> None:
    publisher.publish("/feed", atom(*(entry(number) for number in range(300, 0, -1))))
    await add(stream, web + "/feed")
    await look_once(stream)
    found = await log(stream)
    assert [one.entry.title for one in found] == [f"Post {number}" for number in range(1, 301)]
    assert (await source(stream)).entry_count == 300


async def test_the_first_document_is_quiet_and_later_ones_are_live(
    stream: Site, clock: Clock, publisher: Publisher, web: str
) -> None:
    publisher.publish("/feed", atom(entry(1)))
    await add(stream, web + "/feed")
    await look_once(stream)
    publisher.publish("/feed", atom(entry(2), entry(1)))
    await look_again(stream, clock)
    await push(stream, clock, atom(entry(3)))
    assert [(one.entry.title, one.quiet) for one in await log(stream)] == [
        ("Post 1", True), ("Post 2", False), ("Post 3", False),
    ]  # fmt: skip


async def test_an_update_gets_a_new_number_and_keeps_its_first(
    stream: Site, clock: Clock, publisher: Publisher, web: str
) -> None:
    publisher.publish("/feed", atom(entry(2), entry(1)))
    await add(stream, web + "/feed")
    await look_once(stream)
    old = (await log(stream))[0]
    publisher.publish("/feed", atom(entry(2), entry(1, "better words", updated="2026-03-21T10:00:00Z")))
    await look_again(stream, clock)
    new = (await log(stream))[-1]
    assert (new.id, new.first_seq, new.received) == (old.id, old.first_seq, old.received)
    assert new.seq > old.seq
    assert "better words" in new.entry.content_html
    assert len(await log(stream)) == 2
    assert (await source(stream)).entry_count == 2


async def test_a_tombstone_deletes(stream: Site, clock: Clock, publisher: Publisher, web: str) -> None:
    publisher.publish("/feed", atom(entry(2), entry(1)))
    await add(stream, web + "/feed")
    await look_once(stream)
    publisher.publish("/feed", atom(entry(2), tombstone(1)))
    await look_again(stream, clock)
    assert await titles(stream) == ["Post 2"]
    gone = (await log(stream))[-1]
    assert gone.deleted
    assert gone.entry.content_html == ""
    assert (await source(stream)).entry_count == 1


@on_sqlite
async def test_an_entry_that_leaves_the_document_stays(
    stream: Site, clock: Clock, publisher: Publisher, web: str
) -> None:
    publisher.publish("/feed", atom(entry(1)))
    await add(stream, web + "/feed")
    await look_once(stream)
    publisher.publish("/feed", atom(entry(2)))
    await look_again(stream, clock)
    assert await titles(stream) == ["Post 2", "Post 1"]


async def test_how_an_entry_was_first_seen_is_remembered(
    stream: Site, clock: Clock, publisher: Publisher, web: str
) -> None:
    publisher.publish("/feed", atom(entry(1)))
    await add(stream, web + "/feed")
    await look_once(stream)
    for number, via in ((2, "ping"), (3, "poll")):
        publisher.publish("/feed", atom(entry(number)))
        await look_again(stream, clock, via)
    await push(stream, clock, atom(entry(4)))
    assert await vias(stream) == ["backfill", "ping", "poll", "push"]


@on_sqlite
async def test_the_owners_title_and_kind_win_over_the_documents(stream: Site, publisher: Publisher, web: str) -> None:
    publisher.publish("/feed", atom(entry(1), title="What it calls itself"))
    await add(stream, web + "/feed", title="Mine", kind="photo")
    await look_once(stream)
    assert (await source(stream)).title == "Mine"
    assert [one.entry.kind for one in await log(stream)] == ["photo"]


# -- what brings nothing ----------------------------------------------------------------------


async def test_a_feed_that_did_not_change_changes_nothing(
    stream: Site, clock: Clock, publisher: Publisher, web: str
) -> None:
    publisher.publish("/feed", atom(entry(1)))
    await add(stream, web + "/feed")
    await look_once(stream)
    before = await log(stream)
    await look_again(stream, clock)
    assert publisher.asked == ["/feed", "/feed"]
    assert await log(stream) == before
    assert (await source(stream)).state == "active"


@on_sqlite
async def test_the_same_bytes_under_a_new_etag_change_nothing(
    stream: Site, clock: Clock, publisher: Publisher, web: str
) -> None:
    publisher.publish("/feed", atom(entry(1)))
    publisher.headers["/feed"] = {"ETag": '"one"'}
    await add(stream, web + "/feed")
    await look_once(stream)
    before = await log(stream)
    publisher.headers["/feed"] = {"ETag": '"two"'}
    await look_again(stream, clock)
    assert await log(stream) == before


async def test_a_push_that_is_repeated_changes_nothing(
    stream: Site, clock: Clock, publisher: Publisher, web: str
) -> None:
    publisher.publish("/feed", atom())
    await add(stream, web + "/feed")
    await look_once(stream)
    await push(stream, clock, atom(entry(1)))
    before = await log(stream)
    await push(stream, clock, atom(entry(1)))
    assert await log(stream) == before


@on_sqlite
async def test_an_older_document_does_not_overwrite_a_newer_one(
    stream: Site, clock: Clock, publisher: Publisher, web: str
) -> None:
    publisher.publish("/feed", atom())
    await add(stream, web + "/feed")
    await look_once(stream)
    await push(stream, clock, atom(entry(1, "new", updated="2026-03-21T10:00:00Z")))
    await push(stream, clock, atom(entry(1, "old", updated="2026-03-20T10:00:00Z")))
    assert [one.entry.content_html for one in await log(stream)] == ["new"]


async def test_an_entry_deleted_by_the_owner_does_not_come_back(
    stream: Site, clock: Clock, publisher: Publisher, web: str
) -> None:
    publisher.publish("/feed", atom(entry(1)))
    await add(stream, web + "/feed")
    await look_once(stream)
    async with stream.store.begin() as db:
        await entries.remove(db, (await log(stream))[0], now=stream.now())
    await push(stream, clock, atom(entry(1, "again", updated="2026-03-22T10:00:00Z")))
    assert await titles(stream) == []


# -- pushes in one batch ----------------------------------------------------------------------


async def test_two_pushes_of_one_entry_in_one_batch_make_one_entry(
    stream: Site, clock: Clock, publisher: Publisher, web: str
) -> None:
    publisher.publish("/feed", atom())
    await add(stream, web + "/feed")
    await look_once(stream)
    first, second = entry(1, "first"), entry(1, "second", updated="2026-03-21T10:00:00Z")
    await push(stream, clock, atom(first), atom(entry(2)), atom(second), atom(second))
    found = await log(stream)
    assert sorted(one.entry.content_html for one in found) == ["hello", "second"]
    assert (await source(stream)).entry_count == 2


@on_sqlite
async def test_a_push_for_a_paused_source_is_left_out(
    stream: Site, clock: Clock, publisher: Publisher, web: str
) -> None:
    publisher.publish("/feed", atom(entry(1)))
    await add(stream, web + "/feed")
    await look_once(stream)
    async with stream.store.begin() as db:
        await sources.pause(db, await sources.get(db, "blog", audience="owner"))
    await push(stream, clock, atom(entry(2)))
    assert await titles(stream) == ["Post 1"]


@on_sqlite
@pytest.mark.parametrize("body", ["no feed at all", "<html><body>Sorry</body></html>", "{}"])
async def test_a_pushed_document_that_cannot_be_read_becomes_a_look(
    stream: Site, clock: Clock, publisher: Publisher, web: str, body: str
) -> None:
    publisher.publish("/feed", atom(entry(1)))
    await add(stream, web + "/feed")
    await look_once(stream)
    publisher.publish("/feed", atom(entry(2), entry(1)))
    await push(stream, clock, body, atom(entry(3)))
    assert await titles(stream) == ["Post 3", "Post 1"], "the readable one counts"
    clock.on(minutes=1)
    assert await look_once(stream) == 1
    assert await titles(stream) == ["Post 3", "Post 2", "Post 1"]
    assert (await source(stream)).state == "active"


# -- bad input --------------------------------------------------------------------------------


async def _endless() -> AsyncIterator[bytes]:
    while True:
        yield b"<!-- and on -->" * 4096
        await asyncio.sleep(0)  # or it would not notice that nobody listens any more


def bomb() -> Response:
    squeezed = gzip.compress(b"<feed>" + b" " * 20_000_000)
    return Response(squeezed, media_type=ATOM, headers={"Content-Encoding": "gzip"})


BAD: dict[str, Callable[[], Response]] = {
    "not a feed": lambda: Response("<html><title>Hello</title><p>Nothing here</html>", media_type="text/html"),
    "plain text": lambda: Response("hello", media_type="text/plain"),
    "an empty body": lambda: Response(b"", media_type=ATOM),
    "404": lambda: Response("gone", 404),
    "500": lambda: Response("oops", 500),
    "a redirect in a circle": lambda: RedirectResponse("/bad"),
    "a redirect into private space": lambda: RedirectResponse("http://10.1.2.3/feed"),
    "a redirect to another scheme": lambda: RedirectResponse("file:///etc/passwd"),
    "a body over the limit": lambda: Response(atom(entry(1, "x" * 11_000_000)), media_type=ATOM),
    "a gzip bomb": bomb,
    "no gzip although it says so": lambda: Response(b"plain", headers={"Content-Encoding": "gzip"}),
    "broken XML": lambda: Response(b"<?xml version='1.0'?><\x00\x01&&<feed<<", media_type=ATOM),
    "an endless body": lambda: StreamingResponse(_endless(), media_type=ATOM),
}


@on_sqlite
@pytest.mark.parametrize("what", BAD)
async def test_bad_input_is_one_sentence_at_its_source_and_no_other_sources_trouble(
    stream: Site, clock: Clock, publisher: Publisher, web: str, what: str
) -> None:
    publisher.answers["/bad"] = BAD[what]()
    publisher.publish("/good", atom(entry(1)))
    await add(stream, web + "/bad", "bad")
    await add(stream, web + "/good", "good")
    assert await look_once(stream) == 2
    bad, good = await source(stream, "bad"), await source(stream, "good")
    assert (good.state, good.entry_count) == ("active", 1)
    assert bad.state == "failing"
    assert is_a_sentence(bad.last_error)


@on_sqlite
async def test_private_space_is_not_fetched(stream: Site) -> None:
    await add(stream, "http://10.1.2.3/feed")
    await look_once(stream)
    blog = await source(stream)
    assert blog.state == "failing"
    assert is_a_sentence(blog.last_error)


@on_sqlite
async def test_a_feed_that_breaks_later_keeps_what_it_brought_and_recovers(
    stream: Site, clock: Clock, publisher: Publisher, web: str
) -> None:
    publisher.publish("/feed", atom(entry(1)))
    await add(stream, web + "/feed")
    await look_once(stream)
    publisher.answers["/feed"] = Response("oops", 500)
    await look_again(stream, clock)
    blog = await source(stream)
    assert blog.state == "failing"
    assert is_a_sentence(blog.last_error)
    assert await titles(stream) == ["Post 1"]
    del publisher.answers["/feed"]
    publisher.publish("/feed", atom(entry(2), entry(1)))
    await look_again(stream, clock)
    blog = await source(stream)
    assert (blog.state, blog.last_error) == ("active", None)
    assert [(one.entry.title, one.quiet) for one in await log(stream)] == [("Post 1", True), ("Post 2", False)]


@on_sqlite
async def test_a_first_document_that_failed_is_still_quiet_when_it_comes(
    stream: Site, clock: Clock, publisher: Publisher, web: str
) -> None:
    publisher.answers["/feed"] = Response("oops", 503)
    await add(stream, web + "/feed")
    await look_once(stream)
    del publisher.answers["/feed"]
    publisher.publish("/feed", atom(entry(1)))
    await look_again(stream, clock)
    assert [one.quiet for one in await log(stream)] == [True]
    assert (await source(stream)).state == "active"


@on_sqlite
async def test_a_feed_that_asks_to_come_later_is_left_alone_until_then(
    stream: Site, clock: Clock, publisher: Publisher, web: str
) -> None:
    publisher.publish("/feed", atom(entry(1)))
    await add(stream, web + "/feed")
    await look_once(stream)
    publisher.answers["/feed"] = Response("slowly", 429, headers={"Retry-After": "7200"})
    await look_again(stream, clock)
    async with stream.store.read() as db:
        poll_at = (await db.execute(select(FeedRow.poll_at))).scalar_one()
    assert poll_at >= stream.now() + timedelta(hours=2)


def is_a_sentence(text: str | None) -> bool:
    """Whether it is words for people, on one line."""
    return bool(text) and text.endswith(".") and "\n" not in text and 20 < len(text) < 400


# -- what changes while a feed is fetched -----------------------------------------------------


async def test_a_source_that_is_paused_during_a_look_stays_paused(
    stream: Site, clock: Clock, publisher: Publisher, web: str
) -> None:
    await add(stream, web + "/feed")  # where nothing is: the look fails
    async with stream.store.begin() as db:
        (due,) = await feeds.claim(db, stream.now(), 10)
    as_claimed = await source(stream)
    async with stream.store.begin() as db:
        await sources.pause(db, as_claimed)
    await flow.look(stream, due, as_claimed)
    assert (await source(stream)).state == "paused"
    async with stream.store.begin() as db:
        await sources.resume(db, await source(stream), stream.now())
    assert await look_once(stream) == 1


async def test_a_page_whose_feed_is_followed_already_says_so(
    stream: Site, clock: Clock, publisher: Publisher, web: str
) -> None:
    publisher.publish("/feed", '<feed xmlns="http://www.w3.org/2005/Atom"><title>Blog</title></feed>')
    page = f'<html><head><link rel="alternate" type="{ATOM}" href="/feed"></head></html>'
    publisher.publish("/", page, "text/html")
    await add(stream, web + "/feed")
    await look_once(stream)
    await add(stream, web + "/", slug="page")
    await look_once(stream)
    found = await source(stream, "page")
    assert found.state == "failing"
    assert "followed already, as the source “blog”" in (found.last_error or "")


async def test_a_feed_that_says_it_is_ours_counts_for_nothing_at_our_hub(
    stream: Site, clock: Clock, publisher: Publisher, web: str
) -> None:
    ours = f"{stream.config.base_url}/feed.atom"
    links = f'<link rel="self" href="{ours}"/>'
    publisher.publish("/feed", f'<feed xmlns="http://www.w3.org/2005/Atom"><title>Evil</title>{links}</feed>')
    await add(stream, web + "/feed")
    await look_once(stream)
    async with stream.store.read() as db:
        assert await feeds.matching(db, [ours]) == []


# -- when it is looked at, and where ----------------------------------------------------------


@on_sqlite
async def test_how_long_an_answer_is_fresh_counts_for_an_unchanged_one_too(
    stream: Site, clock: Clock, publisher: Publisher, web: str
) -> None:
    publisher.publish("/feed", atom(entry(1)))
    publisher.headers["/feed"] = {"Cache-Control": "max-age=36000"}
    await add(stream, web + "/feed")
    await look_once(stream)
    await look_again(stream, clock)
    at = await next_poll(stream)
    assert at is not None and at - clock.time >= timedelta(hours=9)


@on_sqlite
@pytest.mark.parametrize("page", ["body-cloudflare.html", "body-login.html", "body-error.json"])
async def test_a_page_in_place_of_the_feed_is_trouble_that_passes(
    stream: Site, clock: Clock, publisher: Publisher, web: str, page: str
) -> None:
    publisher.publish("/feed", atom(entry(1), COMPLETE))
    await add(stream, web + "/feed")
    await look_once(stream)
    publisher.publish("/feed", (HOSTILE / page).read_bytes(), "text/html")
    await look_again(stream, clock)
    waits = [await poll(stream, clock) for _ in range(3)]
    assert (await source(stream)).state == "failing"
    assert await titles(stream) == ["Post 1"]
    assert waits[0] < waits[1] < waits[2]


@on_sqlite
async def test_what_is_gone_for_good_is_not_polled_until_somebody_asks_for_it(
    stream: Site, clock: Clock, publisher: Publisher, web: str
) -> None:
    publisher.publish("/feed", atom(entry(1)))
    await add(stream, web + "/feed")
    await look_once(stream)
    publisher.answers["/feed"] = Response("gone", 410)
    await look_again(stream, clock)
    blog = await source(stream)
    assert (blog.state, await next_poll(stream)) == ("failing", None)
    assert is_a_sentence(blog.last_error) and "410" in (blog.last_error or "")
    del publisher.answers["/feed"]
    await look_again(stream, clock, "ping")
    assert (await source(stream)).state == "active"
    assert await next_poll(stream) is not None


@pytest.mark.parametrize("status", [301, 308])
async def test_a_feed_that_moved_for_good_twice_in_a_row_is_followed(
    stream: Site, clock: Clock, publisher: Publisher, web: str, status: int
) -> None:
    publisher.publish("/feed", atom(entry(1)))
    await add(stream, web + "/feed")
    await look_once(stream)
    publisher.publish("/new", atom(entry(2), entry(1)))
    publisher.answers["/feed"] = RedirectResponse("/new", status)
    await look_again(stream, clock)
    assert (await source(stream)).feed_url == web + "/feed"
    await look_again(stream, clock)  # unchanged by now
    blog = await source(stream)
    assert (blog.feed_url, blog.url) == (web + "/new", web + "/feed")
    publisher.asked.clear()
    await look_again(stream, clock)
    assert publisher.asked == ["/new"]
    async with stream.store.read() as db:
        for address in ("/feed", "/new"):
            assert len(await feeds.matching(db, [web + address])) == 1
    assert await titles(stream) == ["Post 2", "Post 1"]


@on_sqlite
@pytest.mark.parametrize(("first", "second"), [(302, 302), (307, 307), (301, 302), (302, 301)])
async def test_a_feed_that_is_elsewhere_for_now_stays_where_it_is(
    stream: Site, clock: Clock, publisher: Publisher, web: str, first: int, second: int
) -> None:
    publisher.publish("/feed", atom(entry(1)))
    await add(stream, web + "/feed")
    await look_once(stream)
    publisher.publish("/new", atom(entry(2), entry(1)))
    for status in (first, second):
        publisher.answers["/feed"] = RedirectResponse("/new", status)
        await look_again(stream, clock)
    assert (await source(stream)).feed_url == web + "/feed"
    assert await titles(stream) == ["Post 2", "Post 1"]


@on_sqlite
async def test_two_looks_that_are_sent_to_different_places_move_nothing(
    stream: Site, clock: Clock, publisher: Publisher, web: str
) -> None:
    publisher.publish("/feed", atom(entry(1)))
    await add(stream, web + "/feed")
    await look_once(stream)
    for number, to in enumerate(("/one", "/two", "/one")):
        publisher.publish(to, atom(entry(number + 2)))
        publisher.answers["/feed"] = RedirectResponse(to, 301)
        await look_again(stream, clock)
    assert (await source(stream)).feed_url == web + "/feed"


@on_sqlite
@pytest.mark.parametrize(("status", "found_at"), [(301, "/new"), (302, "/feed")])
async def test_a_new_source_is_followed_where_it_lives_for_good(
    stream: Site, publisher: Publisher, web: str, status: int, found_at: str
) -> None:
    publisher.publish("/new", atom(entry(1)))
    publisher.answers["/feed"] = RedirectResponse("/new", status)
    await add(stream, web + "/feed")
    await look_once(stream)
    assert (await source(stream)).feed_url == web + found_at


async def test_a_feed_does_not_move_to_where_another_source_is(
    stream: Site, clock: Clock, publisher: Publisher, web: str
) -> None:
    publisher.publish("/feed", atom(entry(1)))
    publisher.publish("/other", atom(entry(2)))
    await add(stream, web + "/feed")
    await add(stream, web + "/other", slug="other")
    await look_once(stream)
    publisher.answers["/feed"] = RedirectResponse("/other", 301)
    for _ in range(3):
        await look_again(stream, clock)
    blog = await source(stream)
    assert (blog.feed_url, blog.state) == (web + "/feed", "active")
    assert is_a_sentence(blog.last_error) and "source “other”" in (blog.last_error or "")
    assert (await source(stream, "other")).feed_url == web + "/other"


def podcast(moved_to: str) -> str:
    itunes = "http://www.itunes.com/dtds/podcast-1.0.dtd"
    said = f"<itunes:new-feed-url>{moved_to}</itunes:new-feed-url>"
    return f"<rss xmlns:itunes='{itunes}'><channel>{said}<item><guid>1</guid><title>One</title></item></channel></rss>"


@on_sqlite
async def test_a_feed_that_says_that_it_has_moved_is_believed_by_nobody_and_the_owner_is_told(
    stream: Site, clock: Clock, publisher: Publisher, web: str
) -> None:
    publisher.publish("/feed", podcast(f"{web}/new"))
    told = f"The feed says that it has moved to {web}/new; change the source's address if you trust that."
    await add(stream, web + "/feed")
    await look_once(stream)
    for _ in range(2):  # the second time it is unchanged
        pod = await source(stream)
        assert (pod.state, pod.last_error, pod.feed_url) == ("active", told, web + "/feed")
        await look_again(stream, clock)
    publisher.answers["/feed"] = Response("busy", 503)
    await look_again(stream, clock)
    assert "503" in ((await source(stream)).last_error or "")
    del publisher.answers["/feed"]
    await look_again(stream, clock)
    assert (await source(stream)).last_error == told, "it is the same document, and still says so"
    publisher.publish("/feed", podcast(f"{web}/feed"))
    await look_again(stream, clock)
    assert (await source(stream)).last_error is None, "it is where it says"
    assert "/new" not in publisher.asked


@on_sqlite
async def test_pings_do_not_hurry_a_search_that_found_no_feed(
    stream: Site, clock: Clock, publisher: Publisher, web: str
) -> None:
    await add(stream, web + "/feed")
    await look_once(stream)
    at, feed_id = await next_poll(stream), (await source(stream)).feed_id
    assert at is not None and feed_id is not None
    clock.on(minutes=1)
    async with stream.store.begin() as db:
        await feeds.ask(db, {feed_id: (1, "ping")}, clock())
    assert (await next_poll(stream), await look_once(stream)) == (at, 0)
    publisher.publish("/feed", atom(entry(1)))
    await look_again(stream, clock)
    await look_again(stream, clock, "ping")
    assert await titles(stream) == ["Post 1"]


# -- addresses that a feed names ------------------------------------------------------------


@pytest.fixture
async def afar(stream: Site) -> AsyncIterator[Site]:
    """The site on the public web, with loopback as the owner's own network; blog.example is somewhere else."""

    async def resolve(host: str, port: int) -> list[IPv4Address | IPv6Address]:
        return [IPv4Address("127.0.0.1")]

    config = stream.config.model_copy(update={"base_url": "https://stream.example"})
    limits: dict[str, Any] = {"user_agent": "test", "max_bytes": 10**6, "resolve": resolve}
    client, stranger = Client(allow=config.allow_networks, **limits), Client(allow=Networks(), **limits)
    yield replace(stream, settings=Settings(config), client=client, stranger_client=stranger)
    await client.aclose()
    await stranger.aclose()


async def test_a_public_feed_leads_nowhere_into_the_owners_networks(afar: Site, publisher: Publisher, web: str) -> None:
    at_home, hub = web, FakeHub()
    public = web.replace("127.0.0.1", "blog.example")
    links = f"<link rel='alternate' type='application/atom+xml' href='{at_home}/inside'>"
    publisher.publish("/page", f"<html><head>{links}</head><body>Hello</body></html>", "text/html")
    publisher.publish("/inside", atom(entry(9)))
    async with serving(hub.app) as hub_at:
        publisher.publish("/feed", atom(f"<link rel='next' href='{at_home}/older'/>", entry(1), hubs=[hub_at]))
        await add(afar, public + "/feed")
        await add(afar, public + "/page", slug="page")
        await look_once(afar)
        async with afar.store.begin() as db:
            due = await subscriptions.claim(db, afar.now(), 10)
        assert [one.hub_url for one in due] == [hub_at]
        await subscribe.work(afar, due[0])
    assert await titles(afar) == ["Post 1"]
    await backfill.begin(afar, "blog")
    async with afar.store.begin() as db:
        (walk,) = await backfills.claim(db, afar.now(), 1)
    await backfill.turn_page(afar, replace(walk, next_url=at_home + "/older", pages=1, entries=1))
    assert "private or special space" in (await backfill.stand(afar, "blog")).error
    assert hub.asked == []
    assert not {"/inside", "/older"} & set(publisher.asked)


def test_a_feed_within_the_owners_networks_may_name_what_is_there(stream: Site) -> None:
    config = stream.config.model_copy(
        update={"base_url": "https://stream.example", "allow_networks": Networks.parse("192.168.0.0/16, gitea.lan")}
    )
    site, lan, out = replace(stream, settings=Settings(config)), "http://192.168.1.9/hub", "https://blog.example/feed"
    for named_by, url in (("http://192.168.1.2/feed", lan), ("http://gitea.lan/feed", lan), (out, out + "/hub")):
        assert site.client_for(url, named_by=named_by) is site.client
    for url in (lan, "http://gitea.lan/hub", "https://other.example/"):
        assert site.client_for(url, named_by=out) is site.stranger_client


# -- documents that are complete --------------------------------------------------------------


async def test_an_entry_that_leaves_a_complete_document_is_deleted_and_comes_back_with_it(
    stream: Site, clock: Clock, publisher: Publisher, web: str
) -> None:
    publisher.publish("/feed", atom(COMPLETE, entry(3), entry(2), entry(1)))
    await add(stream, web + "/feed")
    await look_once(stream)
    publisher.publish("/feed", atom(COMPLETE, entry(3), entry(1)))
    await look_again(stream, clock)
    assert await titles(stream) == ["Post 3", "Post 1"]
    gone = (await log(stream))[-1]
    assert (gone.deleted, gone.entry.content_html) == (True, "")
    assert (await source(stream)).entry_count == 2
    publisher.publish("/feed", atom(COMPLETE, entry(3), entry(2), entry(1)))
    await look_again(stream, clock)
    assert await titles(stream) == ["Post 3", "Post 2", "Post 1"]
    assert (await source(stream)).entry_count == 3


@on_sqlite
@pytest.mark.parametrize(
    "document",
    [
        atom(COMPLETE),
        atom(entry(3)),
        atom(COMPLETE, entry(3)) + "<oops",
        atom(COMPLETE, entry(3), tombstone(9)).replace("urn:e:3", "urn:moved:3"),
    ],
    ids=["nothing in it", "not complete", "damaged", "its id moved"],
)
async def test_nothing_is_deleted_for_what_a_document_leaves_out(
    stream: Site, clock: Clock, publisher: Publisher, web: str, document: str
) -> None:
    numbers = (3,) if "moved" in document else (3, 2, 1)
    publisher.publish("/feed", atom(COMPLETE, *map(entry, numbers)))
    await add(stream, web + "/feed")
    await look_once(stream)
    publisher.publish("/feed", document)
    await look_again(stream, clock)
    assert len(await titles(stream)) == len(numbers)
    assert not any(one.deleted for one in await log(stream))


@on_sqlite
async def test_a_complete_document_that_loses_more_than_half_of_everything_is_taken_for_a_mistake(
    stream: Site, clock: Clock, publisher: Publisher, web: str
) -> None:
    publisher.publish("/feed", atom(COMPLETE, *map(entry, range(40, 0, -1))))
    await add(stream, web + "/feed")
    await look_once(stream)
    publisher.publish("/feed", atom(COMPLETE, *map(entry, range(19, 0, -1))))
    await look_again(stream, clock)
    assert (await source(stream)).entry_count == 40
    publisher.publish("/feed", atom(COMPLETE, *map(entry, range(20, 0, -1))))
    await look_again(stream, clock)
    assert (await source(stream)).entry_count == 20


@on_sqlite
async def test_a_pushed_entry_outlives_a_cache_that_does_not_know_it_yet(
    stream: Site, clock: Clock, publisher: Publisher, web: str
) -> None:
    publisher.publish("/feed", atom(COMPLETE, entry(2), entry(1)))
    await add(stream, web + "/feed")
    await look_once(stream)
    await push(stream, clock, atom(COMPLETE, entry(3)))  # what a hub pushes may be a part
    publisher.publish("/feed", atom(COMPLETE, entry(2, "edited"), entry(1)))
    await look_again(stream, clock)
    assert await titles(stream) == ["Post 3", "Post 2", "Post 1"]
    clock.on(hours=2)
    publisher.publish("/feed", atom(COMPLETE, entry(2, "edited again"), entry(1)))
    await look_again(stream, clock)
    assert await titles(stream) == ["Post 2", "Post 1"]


# -- what push missed -------------------------------------------------------------------------


@dataclass
class Pushed:
    """A blog whose hub was asked, has verified, and speaks when it is told to."""

    site: Site
    clock: Clock
    publisher: Publisher
    hub: FakeHub
    hub_at: str

    def publishes(self, *numbers: int) -> str:
        document = atom(*map(entry, reversed(numbers)), hubs=[self.hub_at])
        self.publisher.publish("/feed", document)
        return document

    async def subscriptions(self) -> list[Subscription]:
        feed_id = (await source(self.site)).feed_id
        assert feed_id is not None
        async with self.site.store.read() as db:
            return await subscriptions.of_feed(db, feed_id)

    async def asks(self) -> None:
        """What is due of our subscriptions is done."""
        async with self.site.store.begin() as db:
            due = await subscriptions.claim(db, self.site.now(), 10)
        for one in due:
            await subscribe.work(self.site, one)

    async def verifies(self) -> None:
        """The hub verifies the newest subscription, for longer than any test lasts."""
        await subscribe.verified(self.site, (await self.subscriptions())[-1], "subscribe", 14 * 86400)

    async def polls(self, *numbers: int) -> timedelta:
        self.publishes(*numbers)
        return await poll(self.site, self.clock)


@pytest.fixture
async def pushed(stream: Site, clock: Clock, publisher: Publisher, web: str) -> AsyncIterator[Pushed]:
    hub = FakeHub(verify=False)
    async with serving(hub.app) as hub_at:
        blog = Pushed(stream, clock, publisher, hub, hub_at)
        blog.publishes(1)
        await add(stream, web + "/feed")
        await look_once(stream)
        await blog.asks()
        clock.on(minutes=1)
        await blog.verifies()
        clock.on(minutes=1)
        yield blog


async def test_what_came_before_the_hub_verified_was_not_missed(pushed: Pushed) -> None:
    pushed.publishes(1, 2)
    assert await look_once(pushed.site) == 1  # the look after the verification
    blog = await source(pushed.site)
    assert (blog.entry_count, blog.delivery, blog.missed) == (2, "websub", 0)


async def test_what_a_poll_finds_although_the_source_is_pushed_was_missed(pushed: Pushed) -> None:
    await look_once(pushed.site)
    assert await pushed.polls(1, 2, 3) == timedelta(seconds=pushed.site.config.poll_max)
    blog = await source(pushed.site)
    assert (blog.missed, blog.last_error) == (2, None)
    pushed.publishes(1, 2, 3, 4)
    await look_again(pushed.site, pushed.clock, "ping")
    assert (await source(pushed.site)).missed == 2, "somebody told of that one"
    assert len(pushed.hub.asked) == 1


@pytest.mark.parametrize("hint", [False, True], ids=["a document", "a hint"])
async def test_a_push_soon_after_a_poll_missed_nothing(pushed: Pushed, hint: bool) -> None:
    async def tells() -> None:
        if hint:
            await look_again(pushed.site, pushed.clock, "push")
        else:
            await push(pushed.site, pushed.clock, pushed.publisher.documents["/feed"][0])

    await look_once(pushed.site)
    await pushed.polls(1, 2)
    await tells()
    await tells()
    blog = await source(pushed.site)
    assert (blog.missed, blog.missed_looks, blog.entry_count) == (0, 0, 2)
    assert blog.last_push == pushed.clock.time
    await pushed.polls(1, 2, 3)
    pushed.clock.on(seconds=LATE.total_seconds())
    await tells()
    assert (await source(pushed.site)).missed == 1, "this push was about something else"


async def test_a_hub_that_fell_silent_is_asked_anew_and_polled_around_until_it_speaks(pushed: Pushed) -> None:
    shortest, longest = (timedelta(seconds=pushed.site.config.poll_min), timedelta(seconds=pushed.site.config.poll_max))
    await look_once(pushed.site)
    await pushed.polls(1, 2)
    assert (await source(pushed.site)).last_error is None, "once is no silence"
    assert shortest <= await pushed.polls(1, 2, 3) <= 2 * shortest
    blog = await source(pushed.site)
    assert (blog.state, blog.delivery, blog.missed) == ("active", "websub", 2)
    assert is_a_sentence(blog.last_error) and f"{pushed.hub_at} has told nothing since" in (blog.last_error or "")

    await pushed.asks()
    first, second = pushed.hub.asked
    assert second["hub.topic"] == first["hub.topic"]
    assert second["hub.secret"] != first["hub.secret"]
    assert [one.state for one in await pushed.subscriptions()] == ["active", "pending"], "the old secret holds"
    assert await poll(pushed.site, pushed.clock) <= 2 * shortest
    assert (await source(pushed.site)).last_error == blog.last_error, "a look that finds nothing changes nothing"

    await pushed.verifies()
    assert [one.state for one in await pushed.subscriptions()] == ["leaving", "active"]
    await look_once(pushed.site)
    await push(pushed.site, pushed.clock, pushed.publishes(1, 2, 3, 4))
    assert (await source(pushed.site)).last_error is None
    await poll(pushed.site, pushed.clock)
    assert await poll(pushed.site, pushed.clock) == longest


@on_sqlite
async def test_a_hub_that_stays_silent_is_not_pestered(pushed: Pushed) -> None:
    await look_once(pushed.site)
    for number in range(2, 12):
        await pushed.polls(1, *range(2, number + 1))
        if number < 8:
            await pushed.asks()
    assert len(await pushed.subscriptions()) == 2, "the one that was not verified is enough"
    await pushed.verifies()
    await pushed.polls(*range(1, 13))
    assert len([one for one in await pushed.subscriptions() if one.wanted]) == 1, "not before twice as many polls"


async def test_what_a_ping_should_have_told_is_counted_and_nobody_is_asked(
    stream: Site, clock: Clock, publisher: Publisher, web: str
) -> None:
    publisher.publish("/feed", atom(entry(1)))
    await add(stream, web + "/feed")
    await look_once(stream)
    publisher.publish("/feed", atom(entry(2)))
    await look_again(stream, clock, "ping")
    assert (await source(stream)).last_push == clock.time
    for number in (3, 4, 5):
        publisher.publish("/feed", atom(entry(number)))
        await poll(stream, clock)
    blog = await source(stream)
    assert (blog.delivery, blog.missed, blog.last_error) == ("hub", 3, None)


# -- another address --------------------------------------------------------------------------


async def put_elsewhere(site: Site, url: str) -> Source:
    return await change_source(site, "blog", SourceChange(url=url))


@pytest.mark.parametrize(
    ("looked_before", "document"),
    [(False, atom(entry(1))), (True, atom(entry(5), entry(1))), (True, atom(entry(1))), (True, "<oops")],
    ids=["the first", "one that finds something", "one that finds nothing", "one that fails"],
)
async def test_a_look_under_way_does_not_undo_a_change_of_address(
    stream: Site, clock: Clock, publisher: Publisher, web: str, looked_before: bool, document: str
) -> None:
    publisher.publish("/old", atom(entry(1)))
    publisher.publish("/home", f"<link rel=alternate type='{ATOM}' href='{web}/new'>", "text/html")
    publisher.publish("/new", atom(entry(2)))
    await add(stream, web + "/old")
    if looked_before:
        await look_once(stream)
    publisher.publish("/old", document)
    publisher.asked.clear()
    answers = publisher.hold("/old")
    look = asyncio.create_task(look_again(stream, clock, "ping"))
    await until(lambda: publisher.asked)
    moved = await put_elsewhere(stream, web + "/home")
    answers.set()
    await look
    assert await source(stream) == moved, "nothing that was seen at the old address is put down for the new"
    clock.on(minutes=1)
    assert await look_once(stream) == 1
    blog = await source(stream)
    assert (blog.url, blog.feed_url, blog.state, blog.last_error) == (web + "/home", web + "/new", "active", None)
    assert await titles(stream) == ["Post 2", "Post 1"][: 1 + looked_before]
    assert publisher.asked == ["/old", "/home", "/new"]


@on_sqlite
async def test_a_look_that_ends_a_moment_after_the_change_writes_nothing_over_it(
    stream: Site, clock: Clock, web: str
) -> None:
    await add(stream, web + "/old")
    async with stream.store.begin() as db:
        (due,) = await feeds.claim(db, clock(), 1)
    await put_elsewhere(stream, web + "/new")
    async with stream.store.begin() as db:
        assert await feeds.finish(db, due, clock(), found=True, poll_at=None, url=due.url, discovered=True)
    assert (await source(stream)).feed_url is None
    async with stream.store.begin() as db:
        assert [one.url for one in await feeds.claim(db, clock(), 1)] == [web + "/new"]


async def test_a_stranger_s_topic_that_becomes_a_source_while_it_is_looked_at_is_read_for_the_source(
    stream: Site, clock: Clock, publisher: Publisher, web: str
) -> None:
    publisher.publish("/feed", atom(entry(1)))
    async with stream.store.begin() as db:
        await feeds.ensure(db, web + "/feed", clock())
    answers = publisher.hold("/feed")
    look = asyncio.create_task(look_once(stream))
    await until(lambda: publisher.asked)
    await add(stream, web + "/feed")
    answers.set()
    assert await look == 1
    clock.on(minutes=1)
    await look_once(stream)
    assert await titles(stream) == ["Post 1"]


async def test_what_a_new_address_has_is_history_and_what_comes_after_is_news(pushed: Pushed, web: str) -> None:
    stream, clock, publisher = pushed.site, pushed.clock, pushed.publisher
    await look_once(stream)
    publisher.publish("/new", atom(entry(8), entry(7), hubs=[pushed.hub_at]))
    await put_elsewhere(stream, web + "/new")
    clock.on(minutes=1)
    await look_once(stream)
    await pushed.asks()
    publisher.publish("/new", atom(entry(9), entry(8), entry(7), hubs=[pushed.hub_at]))
    await poll(stream, clock)
    assert [(one.entry.title, one.quiet) for one in await log(stream)] == [
        ("Post 1", True), ("Post 7", True), ("Post 8", True), ("Post 9", False),
    ]  # fmt: skip
    blog = await source(stream)
    assert (blog.delivery, blog.missed, blog.missed_looks) == ("polling", 0, 0), "no hub had promised to tell of these"


@on_sqlite
@pytest.mark.parametrize("path", ["/new", "/feed"], ids=["another", "the same"])
async def test_an_address_with_the_same_entries_changes_none_of_them(
    stream: Site, clock: Clock, publisher: Publisher, web: str, path: str
) -> None:
    publisher.publish("/feed", atom(entry(2), entry(1)))
    publisher.publish("/new", atom(entry(2), entry(1)))
    await add(stream, web + "/feed")
    await look_once(stream)
    before = [one.seq for one in await log(stream)]
    await put_elsewhere(stream, web + path)
    clock.on(minutes=1)
    await look_once(stream)
    assert [one.seq for one in await log(stream)] == before
    publisher.publish(path, atom(entry(3), entry(2), entry(1)))
    await look_again(stream, clock)
    assert [(one.entry.title, one.quiet) for one in await log(stream)][2:] == [("Post 3", False)]


@on_sqlite
async def test_the_address_that_it_has_leaves_a_source_as_it_is(pushed: Pushed, web: str) -> None:
    await look_once(pushed.site)
    before = await source(pushed.site)
    after = await put_elsewhere(pushed.site, web + "/feed")
    assert after == before
    pushed.publishes(1, 2)
    await look_again(pushed.site, pushed.clock)
    assert [one.quiet for one in await log(pushed.site)] == [True, False]


@on_sqlite
async def test_the_old_hub_and_a_walk_under_way_have_no_say_at_a_new_address(
    pushed: Pushed, clock: Clock, web: str
) -> None:
    stream, publisher = pushed.site, pushed.publisher
    publisher.publish("/feed", atom(f"<link rel='next' href='{web}/older'/>", entry(1), hubs=[pushed.hub_at]))
    publisher.publish("/older", atom(entry(0)))
    await look_once(stream)
    await backfill.begin(stream, "blog")
    for _ in range(2):
        async with stream.store.begin() as db:
            (page,) = await backfills.claim(db, clock(), 1)
        if not page.pages:
            await backfill.turn_page(stream, page)
            clock.on(minutes=1)
    await put_elsewhere(stream, web + "/gone")
    await backfill.turn_page(stream, page)
    blog = await source(stream)
    assert (blog.delivery, blog.hub_url, blog.entry_count) == ("polling", None, 1)
    assert [one.state for one in await pushed.subscriptions()] == ["leaving"], "whatever the new address says, or not"
    publisher.publish("/gone", atom(entry(3)))
    clock.on(minutes=1)
    await look_once(stream)
    assert (await backfill.begin(stream, "blog")).next_url == web + "/gone"


@on_sqlite
async def test_what_was_acknowledged_before_the_address_was_changed_stays(pushed: Pushed, web: str) -> None:
    await look_once(pushed.site)
    feed_id = (await source(pushed.site)).feed_id
    assert feed_id is not None
    await pushed.site.inbox.put(Document(feed_id, atom(entry(4)).encode(), ATOM))
    await put_elsewhere(pushed.site, web + "/new")
    pushed.clock.on(minutes=1)
    async with pushed.site.store.begin() as db:
        rows = await inbox.claim(db, pushed.clock(), 10)
    await timer.take_in(pushed.site, rows)
    assert await titles(pushed.site) == ["Post 4", "Post 1"]


@on_sqlite
async def test_what_was_refused_or_failed_at_the_old_address_is_over(pushed: Pushed, web: str) -> None:
    await look_once(pushed.site)
    await subscribe.denied(pushed.site, (await pushed.subscriptions())[-1], "No room.")
    assert (await source(pushed.site)).state == "denied"
    moved = await put_elsewhere(pushed.site, web + "/nothing")
    assert (moved.state, moved.last_error) == ("active", None)
    pushed.clock.on(minutes=1)
    await look_once(pushed.site)
    assert (await source(pushed.site)).state == "failing"
    moved = await put_elsewhere(pushed.site, web + "/feed")
    assert (moved.state, moved.last_error) == ("active", None)


async def test_an_address_that_somebody_subscribed_to_here_becomes_the_source_s(
    stream: Site, clock: Clock, publisher: Publisher, web: str
) -> None:
    publisher.publish("/old", atom(entry(1)))
    publisher.publish("/new", atom(entry(2), entry(1)))
    await add(stream, web + "/old")
    async with stream.store.begin() as db:
        topic = await feeds.ensure(db, web + "/before", clock())
        await feeds.put_elsewhere(db, topic, web + "/new")
    await look_once(stream)
    feed_id = (await put_elsewhere(stream, web + "/new")).feed_id
    async with stream.store.read() as db:
        for path in ("/old", "/before", "/new"):
            assert [row.id for row in await feeds.matching(db, [web + path])] == [feed_id]
    clock.on(minutes=1)
    await look_once(stream)
    assert await titles(stream) == ["Post 2", "Post 1"]
