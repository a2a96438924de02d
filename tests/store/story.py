"""Short words in which the store's tests tell their stories."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import func, select

from lifestream.clean.columns import MICROSECOND, Columns, columns
from lifestream.clean.entries import Identified, clean, identify, tombstone_identities
from lifestream.decide import decide_document
from lifestream.store import changes, entries, feeds, sources
from lifestream.store.database import Store
from lifestream.store.entries import Recorded
from lifestream.types import Audience, Entry, Feed, Filter, RawEntry, Source, Stored, Text, Tombstone, Via

NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)
SECOND = timedelta(seconds=1)
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)
NO_TIME = MICROSECOND
BLOG = "https://blog.example/feed"


async def feed_source(store: Store, url: str = BLOG, *, slug: str = "blog", now: datetime = NOON, **how: Any) -> Source:
    async with store.begin() as db:
        await sources.add_feed(db, url, slug=slug, now=now, **how)
        return await sources.get(db, slug, audience="owner")


async def local_source(store: Store, slug: str = "diary", **how: Any) -> Source:
    async with store.begin() as db:
        await sources.add_local(db, slug, now=NOON, **how)
        return await sources.get(db, slug, audience="owner")


async def again(store: Store, source: Source) -> Source:
    """The source as it is now."""
    async with store.read() as db:
        return await sources.get(db, source.slug, audience="owner")


def raw(number: int, words: str = "hello", **more: Any) -> RawEntry:
    more = {"updated": f"2026-11-20T10:{number:02}:00Z"} | more
    content = Text(words)
    return RawEntry(id=f"urn:{number}", title=Text(f"Post {number}"), content=content, **more)


async def arrives(
    store: Store,
    source: Source,
    *found: RawEntry,
    gone: Sequence[Tombstone] = (),
    now: datetime = NOON,
    quiet: bool = False,
    via: Via = "push",
) -> Recorded:
    """A document of the source with these entries goes the way that documents go."""
    feed = Feed(format="atom", entries=found, tombstones=tuple(gone))
    items, tombstones = identify(feed, BLOG), tombstone_identities(feed)
    async with store.begin() as db:
        await changes.in_turn(db)
        known = await entries.known(db, source.id, items, tombstones)
        decisions = decide_document(items, tombstones, known.by_identity, known.by_link)[::-1]

        def columns_of(item: Identified) -> Columns:
            return columns(clean(item, feed, BLOG, None, now))

        return await entries.record(db, source, decisions, columns_of, now=now, via=via, quiet=quiet)


async def note(store: Store, source: Source, title: str, *, now: datetime = NOON, **more: Any) -> str:
    """The owner writes an entry; returns its id."""
    async with store.begin() as db:
        return await entries.add(db, source, Entry(**({"kind": "note", "title": title} | more)), now=now)


async def removed(store: Store, public_id: str, *, now: datetime = NOON) -> None:
    """The owner deletes an entry."""
    async with store.begin() as db:
        await entries.remove(db, await entries.one(db, public_id, audience="owner"), now=now)


async def log(store: Store, after: int = 0, *, audience: Audience = "owner", limit: int = 1000) -> list[Stored]:
    async with store.read() as db:
        return list(await changes.after(db, after, audience=audience, limit=limit))


async def head(store: Store) -> int:
    async with store.read() as db:
        return await changes.head(db)


async def titles(store: Store, audience: Audience = "owner", wanted: Filter | None = None) -> list[str | None]:
    async with store.read() as db:
        found, _ = await entries.page(db, audience=audience, wanted=wanted or Filter(), limit=200)
    return [one.entry.title for one in found]


async def flipped(store: Store, source: Source, visibility: Any, *, now: datetime = NOON) -> Source:
    """Who sees the source changes; returns it as it is then."""
    async with store.begin() as db:
        await sources.set_visibility(db, source, visibility, now)
    return await again(store, source)


async def count(store: Store, table: Any) -> int:
    async with store.read() as db:
        return (await db.execute(select(func.count()).select_from(table))).scalar_one()


async def row(store: Store, table: Any) -> Any:
    """The only row of a table."""
    async with store.read() as db:
        return (await db.execute(select(*table.__table__.columns))).one()


async def claimed(store: Store, now: datetime, limit: int = 10) -> list[feeds.DueFeed]:
    async with store.begin() as db:
        return await feeds.claim(db, now, limit)
