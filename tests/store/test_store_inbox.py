"""The inbox: what was put is on disk, many share a commit, and a hint is counted and never queued twice."""

import asyncio
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
import pytest
from sqlalchemy import event
from sqlalchemy.exc import IntegrityError

from lifestream.site import Site
from lifestream.store import bells, due, feeds, inbox
from lifestream.store.inbox import MOST_IN_ONE_COMMIT, Document, LookAt
from lifestream.store.tables import FeedRow, InboxRow
from tests.store.story import HOUR, NO_TIME, SECOND, count, feed_source, row

NOWHERE = 12345


@pytest.fixture
async def feed(site: Site) -> int:
    """A feed that nobody has asked to look at."""
    source = await feed_source(site.store, now=site.now())
    assert source.feed_id is not None
    async with site.store.begin() as db:
        (claimed,) = await feeds.claim(db, site.now(), 1)
        await feeds.finish(db, claimed, site.now(), found=True, poll_at=site.now() + HOUR)
    return source.feed_id


@contextmanager
def counting_commits(site: Site) -> Iterator[list[int]]:
    commits: list[int] = []

    def committed(_connection: object) -> None:
        commits.append(1)

    event.listen(site.store.engine.sync_engine, "commit", committed)
    yield commits
    event.remove(site.store.engine.sync_engine, "commit", committed)


def bodies_on_disk(site: Site) -> list[bytes]:
    """Seen from outside, with another connection."""
    query = "SELECT body FROM inbox ORDER BY id"
    if site.store.sqlite_path is not None:
        connection = sqlite3.connect(site.store.sqlite_path)
        found = connection.execute(query).fetchall()
        connection.close()
        return [bytes(one[0]) for one in found]
    with psycopg.connect(site.store.url.replace("+psycopg", "")) as server:
        return [bytes(one[0]) for one in server.execute(query).fetchall()]


async def claimed_bodies(site: Site, limit: int = 1000) -> list[bytes]:
    async with site.store.begin() as db:
        return [one.body for one in await inbox.claim(db, site.now(), limit)]


async def test_what_was_put_is_on_disk_when_put_returns(site: Site, feed: int) -> None:
    await site.inbox.put(Document(feed, b"<feed/>", "application/atom+xml"))
    assert bodies_on_disk(site) == [b"<feed/>"]


async def test_a_document_keeps_its_bytes_and_media_type(site: Site, feed: int) -> None:
    await site.inbox.put(Document(feed, bytes(range(256)), "application/atom+xml; charset=x"))
    kept = await row(site.store, InboxRow)
    assert (kept.feed_id, kept.body, kept.media_type, kept.attempts) == (
        feed, bytes(range(256)), "application/atom+xml; charset=x", 0,
    )  # fmt: skip


async def test_many_at_once_share_few_commits(site: Site, feed: int) -> None:
    with counting_commits(site) as commits:
        await asyncio.gather(*(site.inbox.put(Document(feed, b"%d" % n, "")) for n in range(200)))
    assert len(commits) <= 5
    assert len(bodies_on_disk(site)) == 200


async def test_no_commit_takes_more_than_it_should(site: Site, feed: int) -> None:
    with counting_commits(site) as commits:
        await asyncio.gather(*(site.inbox.put(LookAt(feed, "ping")) for _ in range(2 * MOST_IN_ONE_COMMIT)))
    assert len(commits) >= 2
    assert (await row(site.store, FeedRow)).asked == 2 * MOST_IN_ONE_COMMIT


async def test_what_comes_while_a_commit_is_on_its_way_is_in_the_next(site: Site, feed: int) -> None:
    first = asyncio.create_task(site.inbox.put(Document(feed, b"1", "")))
    await asyncio.sleep(0)
    await asyncio.gather(first, *(site.inbox.put(Document(feed, b"2", "")) for _ in range(3)))
    assert bodies_on_disk(site) == [b"1", b"2", b"2", b"2"]


async def test_documents_are_worked_off_in_the_order_they_came(site: Site, feed: int) -> None:
    await asyncio.gather(*(site.inbox.put(Document(feed, b"%d" % n, "")) for n in range(30)))
    await site.inbox.put(Document(feed, b"30", ""))
    taken = [await claimed_bodies(site, 7) for _ in range(5)]
    assert [body for part in taken for body in part] == [b"%d" % n for n in range(31)]


async def test_a_claimed_document_is_not_claimed_again_until_its_claim_ends(site: Site, feed: int) -> None:
    await site.inbox.put(Document(feed, b"1", ""))
    now = site.now()
    async with site.store.begin() as db:
        assert len(await inbox.claim(db, now, 10)) == 1
        assert await inbox.claim(db, now + inbox.HOLD - NO_TIME, 10) == []
        assert len(await inbox.claim(db, now + inbox.HOLD, 10)) == 1


async def test_a_document_that_is_done_is_gone_and_one_put_back_comes_again_later(site: Site, feed: int) -> None:
    await asyncio.gather(*(site.inbox.put(Document(feed, body, "")) for body in (b"done", b"back")))
    now = site.now()
    async with site.store.begin() as db:
        done, back = await inbox.claim(db, now, 10)
        await inbox.done(db, [done.id])
        await inbox.again(db, back.id, now + SECOND)
        assert await inbox.claim(db, now, 10) == []
        (again,) = await inbox.claim(db, now + SECOND, 10)
    assert (again.body, again.attempts) == (b"back", 1)


async def test_when_the_commit_fails_everybody_who_waits_is_told(site: Site, feed: int) -> None:
    puts = [site.inbox.put(Document(NOWHERE, b"", "")) for _ in range(3)]
    told = await asyncio.gather(*puts, return_exceptions=True)
    assert [type(one) for one in told] == [IntegrityError] * 3
    assert bodies_on_disk(site) == []


async def test_after_a_failure_the_next_one_gets_through(site: Site, feed: int) -> None:
    with pytest.raises(IntegrityError):
        await site.inbox.put(Document(NOWHERE, b"", ""))
    await site.inbox.put(Document(feed, b"good", ""))
    assert bodies_on_disk(site) == [b"good"]


async def test_who_gives_up_waiting_harms_nobody_else(site: Site, feed: int) -> None:
    impatient = asyncio.create_task(site.inbox.put(Document(feed, b"1", "")))
    patient = asyncio.create_task(site.inbox.put(Document(feed, b"2", "")))
    await asyncio.sleep(0)
    impatient.cancel()
    await patient
    assert b"2" in bodies_on_disk(site)


async def test_a_hundred_hints_are_one_due_look(site: Site, feed: int) -> None:
    await asyncio.gather(*(site.inbox.put(LookAt(feed, "ping")) for _ in range(100)))
    asked = await row(site.store, FeedRow)
    assert (asked.asked, asked.looked, asked.asked_via) == (100, 0, "ping")
    assert await count(site.store, InboxRow) == 0
    async with site.store.begin() as db:
        (look,) = await feeds.claim(db, site.now() + SECOND, 10)
        await feeds.finish(db, look, site.now(), found=False, poll_at=site.now() + HOUR)
    async with site.store.read() as db:
        assert await due.next_due(db, FeedRow) > site.now() + HOUR - 60 * SECOND


async def test_a_hint_for_a_feed_that_is_gone_is_forgotten(site: Site) -> None:
    await site.inbox.put(LookAt(NOWHERE, "ping"))
    assert await count(site.store, FeedRow) == 0


async def test_each_kind_of_notification_rings_its_own_bell(site: Site, feed: int) -> None:
    feeds_rang, inbox_rang = site.store.bells[bells.FEEDS].strokes, site.store.bells[bells.INBOX].strokes
    await site.inbox.put(LookAt(feed, "ping"))
    assert site.store.bells[bells.FEEDS].strokes == feeds_rang + 1
    assert site.store.bells[bells.INBOX].strokes == inbox_rang
    await site.inbox.put(Document(feed, b"", ""))
    assert site.store.bells[bells.FEEDS].strokes == feeds_rang + 1
    assert site.store.bells[bells.INBOX].strokes == inbox_rang + 1
