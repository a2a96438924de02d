"""Sources: the feeds that are followed, and the local ones that are written into."""

import re
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import datetime
from typing import Any, cast
from urllib.parse import urlsplit

from sqlalchemy import BigInteger, Table, Text, bindparam, case, delete, func, insert, or_, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from lifestream.errors import Conflict, InvalidInput, NotFound
from lifestream.protocol.hub import address_key
from lifestream.protocol.silence import LATE
from lifestream.store import changes, entries, feeds, gate, subscribers
from lifestream.store.among import among
from lifestream.store.tables import AnyRow, BackfillRow, FeedRow, SourceRow, SubscriptionRow
from lifestream.types import KINDS, Audience, Delivery, Source, Visibility

SLUG = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,62}[a-z0-9])?")
NOTES = "notes"


async def add_feed(
    db: AsyncConnection,
    url: str,
    *,
    now: datetime,
    title: str = "",
    slug: str = "",
    kind: str = "",
    visibility: Visibility = "public",
    hub_choice: str = "auto",
) -> str:
    """Adds a source for the page or feed at `url`, to be discovered by the next look; returns its slug."""
    feed_id = await feeds.ensure(db, url, now)
    await feeds.forget(db, feed_id)
    same = (await db.execute(select(SourceRow.slug).where(SourceRow.feed_id == feed_id))).scalar_one_or_none()
    added = await _with_added_key(db, url)
    if same or added:
        raise Conflict(f"{url} is followed already, as the source “{same or added}”.")
    slug = await free_slug(db, slug, title or (urlsplit(url).hostname or "source").removeprefix("www."))
    values = {
        "slug": slug, "title": title, "title_given": bool(title), "url": url, "added_key": address_key(url),
        "feed_id": feed_id, "kind": _known_kind(kind), "visibility": visibility, "state": "pending",
        "hub_choice": hub_choice, "created_at": now,
    }  # fmt: skip
    await _insert(db, values)
    return slug


async def add_local(
    db: AsyncConnection,
    slug: str,
    *,
    now: datetime,
    title: str = "",
    kind: str = "",
    visibility: Visibility = "public",
) -> str:
    """Makes a source that is written into from here; returns its slug."""
    values = {
        "slug": await free_slug(db, slug, slug), "title": title or slug.capitalize(), "title_given": True,
        "url": f"local:{slug}", "kind": _known_kind(kind), "visibility": visibility, "state": "active",
        "delivery": "local", "created_at": now,
    }  # fmt: skip
    await _insert(db, values)
    return str(values["slug"])


async def ensure_notes(db: AsyncConnection, now: datetime) -> None:
    """The local source `notes` exists from the start, whichever of several processes starts first."""
    there = (await db.execute(select(SourceRow.id).where(SourceRow.slug == NOTES))).scalar_one_or_none()
    if there is None:
        with suppress(Conflict):
            async with db.begin_nested():
                await add_local(db, NOTES, now=now, kind="note")


async def every(db: AsyncConnection, *, audience: Audience) -> list[Source]:
    rows = await db.execute(_SOURCES.where(gate.readable(audience)).order_by(SourceRow.id))
    return [_source(row) for row in rows]


async def get(db: AsyncConnection, slug: str, *, audience: Audience) -> Source:
    """The source. Raises NotFound, also for one that `audience` may not see."""
    which = SourceRow.slug == slug.replace("\0", "")  # PostgreSQL's text cannot hold it
    row = (await db.execute(_SOURCES.where(which, gate.readable(audience)))).one_or_none()
    if row is None:
        raise NotFound(f"There is no source “{slug}”.")
    return _source(row)


async def at_address(db: AsyncConnection, url: str) -> str | None:
    """The slug of the source that was added or is fetched at this address."""
    key = address_key(url)
    query = (
        select(SourceRow.slug)
        .outerjoin(FeedRow, FeedRow.id == SourceRow.feed_id)
        .where(SourceRow.removed.is_(False), or_(SourceRow.added_key == key, FeedRow.url_key == key))
    )
    return (await db.execute(query.limit(1))).scalar_one_or_none()


async def of_feeds(db: AsyncConnection, feed_ids: Sequence[int]) -> dict[int, Source]:
    """The sources of these feeds, by feed. For the flow itself, which sees all."""
    rows = await db.execute(_OF_FEEDS, {"feeds": feed_ids})
    return {row.feed_id: _source(row) for row in rows}


async def change(db: AsyncConnection, source: Source, **values: Any) -> None:
    await db.execute(_CHANGE, {"row": source.id, **values})


async def rename(db: AsyncConnection, source: Source, *, title: str | None, kind: str | None) -> None:
    values: dict[str, Any] = {}
    if title:
        values |= {"title": title, "title_given": True}
    if kind is not None:
        values["kind"] = _known_kind(kind)
    if values:
        await change(db, source, **values)


async def counted(
    db: AsyncConnection,
    source: Source,
    done: entries.Recorded,
    now: datetime,
    *,
    feed_title: str = "",
    told: bool = False,
    **values: Any,
) -> None:
    """Keeps a source's books after entries were recorded. `feed_title` counts where the owner gave none.

    `told`: a push brought them, or said that there is something. So push works, and what a poll found a moment ago
    it did not miss.
    """
    if done.new:
        values |= {"last_entry": now}
    counts = {"row": source.id, "more": done.living, "feed_title": feed_title}
    if told:
        await db.execute(_COUNTED_AND_TOLD, counts | values | {"told_at": now, "recently": now - LATE})
    else:
        await db.execute(_COUNTED, counts | values)


async def missed(db: AsyncConnection, source: Source, count: int, now: datetime) -> Source:
    """A poll found `count` entries that push had not told of; returns the source with one more such look."""
    await db.execute(_MISSED, {"row": source.id, "count": count, "missed_at": now, "recently": now - LATE})
    return replace(source, missed=source.missed + count, missed_looks=source.missed_looks + 1)


async def pushed_by(db: AsyncConnection, source: Source, delivery: Delivery, now: datetime, **values: Any) -> None:
    """It is pushed from now on, if it was not already; what a poll finds before the next look was there before."""
    if source.delivery != delivery:
        values |= {"delivery": delivery, "pushed_since": now, "missed_lately": 0, "missed_looks": 0}
    if values:
        await change(db, source, **values)


async def set_visibility(db: AsyncConnection, source: Source, visibility: Visibility, now: datetime) -> None:
    """Flips who sees a source. Its entries get new numbers, so that every stream learns of it.

    Made private, they are told as deletes to the public; made public, they arrive quietly, as history does.
    """
    if visibility == source.visibility:
        return
    await changes.in_turn(db)
    await change(db, source, visibility=visibility)
    if visibility == "private":
        await subscribers.deny(db, await _topic_keys(db, source), now)
    values = {"quiet": False} if visibility == "private" else {"quiet": True, "exposed": True}
    await entries.renumber_source(db, source.id, now=now, values=values)


async def set_places(db: AsyncConnection, source: Source, shown: bool, now: datetime) -> None:
    """Shows or hides where a source's entries happened. They get new numbers, so that whoever has them learns of it."""
    if shown == source.places:
        return
    await changes.in_turn(db)
    await change(db, source, places=shown)
    await entries.renumber_source(db, source.id, now=now, values={"quiet": False}, only_placed=True)


async def remove(db: AsyncConnection, source: Source, now: datetime) -> None:
    """Removes a source and its entries; tombstones stay, so that open pages and subscribers learn of it."""
    await changes.in_turn(db)
    await entries.renumber_source(db, source.id, now=now, values=entries.gone_with_source())
    gone = {"removed": True, "slug": f"{source.slug}~{source.id}", "feed_id": None, "added_key": "", "entry_count": 0}
    await change(db, source, **gone)
    await db.execute(delete(BackfillRow).where(BackfillRow.source_id == source.id))
    if source.feed_id is not None:
        await subscribers.deny(db, await _topic_keys(db, source), now)
        leaving = {"state": "leaving", "asking": "unsubscribe", "due_at": now, "attempts": 0}
        wanted = SubscriptionRow.state.in_(("pending", "active", "denied"))
        of_it = SubscriptionRow.feed_id == source.feed_id
        await db.execute(update(SubscriptionRow).where(of_it, wanted).values(leaving))
        await db.execute(update(FeedRow).where(FeedRow.id == source.feed_id).values(due_at=None, poll_at=None))
        await feeds.drop_if_unused(db, source.feed_id)


async def _topic_keys(db: AsyncConnection, source: Source) -> list[str]:
    """What subscribers at our hub may know its feed by."""
    return await feeds.keys(db, source.feed_id) if source.feed_id is not None else []


async def pause(db: AsyncConnection, source: Source) -> None:
    _must_be_fed(source)
    await change(db, source, state="paused")
    await db.execute(update(FeedRow).where(FeedRow.id == source.feed_id).values(due_at=None))


async def resume(db: AsyncConnection, source: Source, now: datetime) -> None:
    _must_be_fed(source)
    if source.state == "paused":
        await change(db, source, state="active" if source.last_fetch else "pending")
        await db.execute(update(FeedRow).where(FeedRow.id == source.feed_id).values(due_at=now))


async def leave_pending(db: AsyncConnection, source_ids: Sequence[int]) -> None:
    """Their documents are here; the hub may verify later."""
    waiting = SourceRow.id.in_(source_ids) & (SourceRow.state == "pending")
    await db.execute(update(SourceRow).where(waiting).values(state="active"))


def _must_be_fed(source: Source) -> None:
    if source.feed_id is None:
        raise Conflict(f"“{source.slug}” is a local source: nothing arrives there that could be held back.")


_lease = (
    select(func.max(SubscriptionRow.expires_at))
    .where(SubscriptionRow.feed_id == FeedRow.id, SubscriptionRow.state == "active")
    .scalar_subquery()
)
_SOURCES = (
    select(
        SourceRow.id, SourceRow.slug, SourceRow.title, SourceRow.url, SourceRow.site_url, SourceRow.feed_id,
        SourceRow.kind, SourceRow.visibility, SourceRow.state, SourceRow.delivery, SourceRow.hub_choice,
        SourceRow.hub_url, SourceRow.last_push, SourceRow.last_entry, SourceRow.last_error,
        SourceRow.entry_count, SourceRow.missed, SourceRow.missed_looks, SourceRow.pushed_since,
        SourceRow.pictures, SourceRow.places,
        FeedRow.url.label("feed_url"), FeedRow.self_url, FeedRow.discovered,
        FeedRow.fetched_at, _lease.label("lease_expires"),
    )
    .outerjoin(FeedRow, FeedRow.id == SourceRow.feed_id)
    .where(SourceRow.removed.is_(False))
)  # fmt: skip
_OF_FEEDS = _SOURCES.where(among(SourceRow.feed_id, "feeds"))
_table = cast(Table, SourceRow.__table__)
_CHANGE = update(_table).where(_table.c.id == bindparam("row"))
_feed_title = func.coalesce(func.nullif(bindparam("feed_title", type_=Text), ""), _table.c.title)
_COUNTED = _CHANGE.values(
    entry_count=_table.c.entry_count + bindparam("more", type_=BigInteger),
    title=case((_table.c.title_given, _table.c.title), else_=_feed_title),
)
_lately = case((_table.c.last_missed >= bindparam("recently"), _table.c.missed_lately), else_=0)
_COUNTED_AND_TOLD = _COUNTED.values(
    last_push=bindparam("told_at"), missed=_table.c.missed - _lately, missed_lately=0, missed_looks=0
)
_count = bindparam("count", type_=BigInteger)
_MISSED = _CHANGE.values(
    missed=_table.c.missed + _count,
    missed_lately=_lately + _count,
    missed_looks=_table.c.missed_looks + 1,
    last_missed=bindparam("missed_at"),
)


def _source(row: AnyRow) -> Source:
    feed_url = row.feed_url if row.discovered else None
    return Source(
        id=row.id,
        slug=row.slug,
        title=row.title or row.slug,
        url=row.url,
        site_url=row.site_url,
        feed_id=row.feed_id,
        feed_url=feed_url,
        topic=(row.self_url or feed_url) if feed_url else None,
        kind=row.kind or "other",
        visibility=row.visibility,
        state=row.state,
        delivery=row.delivery,
        hub_choice=row.hub_choice,
        hub_url=row.hub_url or None,
        lease_expires=row.lease_expires,
        last_push=row.last_push,
        last_fetch=row.fetched_at,
        last_entry=row.last_entry,
        last_error=row.last_error or None,
        entry_count=row.entry_count,
        missed=row.missed,
        missed_looks=row.missed_looks,
        pushed_since=row.pushed_since,
        pictures=row.pictures,
        places=row.places,
    )


async def _with_added_key(db: AsyncConnection, url: str) -> str | None:
    query = select(SourceRow.slug).where(SourceRow.added_key == address_key(url), SourceRow.removed.is_(False))
    return (await db.execute(query.limit(1))).scalar_one_or_none()


async def free_slug(db: AsyncConnection, asked: str, hint: str) -> str:
    """The slug that was asked for, or one made from `hint`, with a number if need be."""
    if asked:
        if not SLUG.fullmatch(asked):
            raise InvalidInput(f"“{asked}” cannot be a slug: small letters, digits and hyphens, at most 64.")
        taken = (await db.execute(select(SourceRow.id).where(SourceRow.slug == asked))).scalar_one_or_none()
        if taken is not None:
            raise Conflict(f"There is a source “{asked}” already.")
        return asked
    stem = re.sub(r"[^a-z0-9]+", "-", hint.casefold()).strip("-")[:48].strip("-") or "source"
    taken_slugs = set((await db.execute(select(SourceRow.slug).where(SourceRow.slug.startswith(stem)))).scalars())
    numbered = (f"{stem}-{number}" for number in range(2, len(taken_slugs) + 3))
    return next(slug for slug in (stem, *numbered) if slug not in taken_slugs)


async def _insert(db: AsyncConnection, values: dict[str, Any]) -> None:
    try:
        await db.execute(insert(SourceRow).values(values))
    except IntegrityError:  # somebody else was quicker
        raise Conflict(f"There is a source “{values['slug']}”, or one of this address, already.") from None


def _known_kind(kind: str) -> str:
    if kind and kind not in KINDS:
        raise InvalidInput(f"“{kind}” is no kind of entry; the kinds are {', '.join(KINDS)}.")
    return kind
