"""The line from what arrives to the log, with real databases and a real publisher."""

import asyncio
import gzip
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import select
from starlette.responses import RedirectResponse, Response, StreamingResponse

from lifestream import flow
from lifestream.receive import timer
from lifestream.site import Site
from lifestream.store import changes, entries, feeds, inbox, sources
from lifestream.store.inbox import Document
from lifestream.store.tables import EntryRow, FeedRow
from lifestream.types import Filter, Source, Stored
from tests.documents import atom, entry, tombstone
from tests.fakes import Publisher, serving
from tests.living import on_sqlite

ATOM = "application/atom+xml"


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
