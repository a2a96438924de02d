"""Documents that are looked at: asking for a look, claiming one, and what came of it."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, cast

from sqlalchemy import BigInteger, Table, bindparam, delete, or_, select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncConnection

from lifestream.protocol.hub import address_key
from lifestream.protocol.pacing import SPACING, Pace, host_of
from lifestream.store import due
from lifestream.store.among import among
from lifestream.store.tables import (
    AnyRow,
    FeedNameRow,
    FeedRow,
    HostRow,
    HubSubscriberRow,
    InboxRow,
    SourceRow,
    SubscriptionRow,
)

LOOK_HOLD = timedelta(seconds=90)
"""Longer than the client's deadline and the parser's together."""


READ_AGAIN = {"etag": "", "last_modified": "", "body_digest": ""}
"""What is remembered of a document in which something is left to do: the next look takes it for new."""


@dataclass(frozen=True, slots=True)
class DueFeed:
    """A feed to look at now. `asked` is what this look will have answered."""

    id: int
    url: str
    self_url: str
    discovered: bool
    etag: str
    last_modified: str
    body_digest: str
    moved_to: str
    has_document: bool
    fetched_at: datetime | None
    failures: int
    interval: int
    asked: int
    via: str
    pace: Pace


async def ensure(db: AsyncConnection, url: str, now: datetime, *, discovered: bool = False) -> int:
    """The row for `url`, made if it is not there; due at once."""
    dialect = postgresql if db.dialect.name == "postgresql" else sqlite
    values = {"url": url, "url_key": address_key(url), "discovered": discovered, "pace_at": now, "due_at": now}
    statement = dialect.insert(FeedRow).values(values)
    statement = statement.on_conflict_do_update(index_elements=["url_key"], set_={"due_at": now})
    return int((await db.execute(statement.returning(FeedRow.id))).scalar_one())


async def forget(db: AsyncConnection, feed_id: int) -> None:
    """What was seen there before is not known to a source that is added now: the next look takes in everything."""
    values = {
        "discovered": False, "etag": "", "last_modified": "", "body_digest": "", "moved_to": None,
        "first_document_at": None,
        "fetched_at": None, "failures": 0, "interval": 0,
    }  # fmt: skip
    await db.execute(update(FeedRow).where(FeedRow.id == feed_id).values(values))


async def read_again(db: AsyncConnection, feed_id: int) -> None:
    await db.execute(update(FeedRow).where(FeedRow.id == feed_id).values(READ_AGAIN))


async def ask(db: AsyncConnection, asked: Mapping[int, tuple[int, str]], now: datetime) -> None:
    """Asks for looks: feed -> (how often, via). All that is asked before a look begins is answered by that one.

    A ping does not hurry a search for a feed that has failed before: each is many requests, and anybody may ping.
    """
    await _take_turns(db, asked)
    for row in (await db.execute(_ASKED, {"feeds": list(asked)})).all():
        count, via = asked[row.id]
        if via == "ping" and row.failures and not row.discovered and row.due_at is not None:
            continue
        soonest = _pace(row).next_at(now)
        due_at = None if row.state == "paused" else min(row.due_at or soonest, soonest)
        await db.execute(_ASK, {"feed": row.id, "count": count, "asked_via": via, "due_at": due_at})


async def claim(db: AsyncConnection, now: datetime, limit: int) -> list[DueFeed]:
    """Takes up to `limit` due feeds in hand. A poll waits while its host was polled a moment ago; nothing else does."""
    rows = await due.claim(db, FeedRow, now=now, limit=limit, hold=LOOK_HOLD)
    polls: dict[str, list[AnyRow]] = {}
    for row in rows:
        if row.first_document_at and row.asked <= row.looked:
            polls.setdefault(host_of(row.url), []).append(row)
    late: set[int] = set()
    for host in sorted(polls):  # in one order, so that two who want several never wait in a ring
        waiting = await _without_first(db, host, polls[host], now)
        late.update(row.id for row in waiting)
    return [_due_feed(row) for row in rows if row.id not in late]


async def finish(
    db: AsyncConnection, feed: DueFeed, now: datetime, *, found: bool, poll_at: datetime | None, **changed: Any
) -> bool:
    """Ends the look. What was asked since it began makes the feed due again, when its bucket allows; says whether.

    `found`: the look saw something that was not there before, which resets the bucket's gap.
    """
    pace = feed.pace.found(now, found)
    await _take_turns(db, [feed.id])
    row = (await db.execute(_ASKED, {"feeds": [feed.id]})).one_or_none()
    if row is None:
        return False
    elsewhere = row.url != feed.url  # put there meanwhile: what was seen is not what is there
    again = bool(elsewhere or row.asked > feed.asked)
    due_at = pace.next_at(now) if again else poll_at
    values = {
        "feed": feed.id, "looked": feed.asked, "due_at": None if row.state == "paused" else due_at,
        "poll_at": poll_at, "claimed_until": None, "pace_tokens": pace.tokens, "pace_at": pace.at,
        "pace_gap": pace.gap, "pace_last": pace.last,
    }  # fmt: skip
    await db.execute(_CHANGE, values | ({} if elsewhere else changed))
    return again


async def still_meant(db: AsyncConnection, feed: DueFeed, *, followed: bool) -> bool:
    """Whether what this look saw is of use: meanwhile the feed may have been put elsewhere or removed, or a topic of
    strangers have become a source, which wants all of it."""
    query = select(SourceRow.id).select_from(FeedRow).outerjoin(SourceRow, SourceRow.feed_id == FeedRow.id)
    row = (await db.execute(query.where(FeedRow.id == feed.id, FeedRow.url == feed.url))).one_or_none()
    return row is not None and (followed or row.id is None)


async def matching(db: AsyncConnection, urls: Iterable[str]) -> Sequence[AnyRow]:
    """Feeds with any of these addresses: as added, as fetched or as the feed names itself; with who may know of them.

    Rows of (id, url_key, self_key, former_key, added_key, visibility); visibility is None for a feed without a source.
    """
    return (await db.execute(_MATCHING, {"keys": {address_key(url) for url in urls}})).all()


async def keys(db: AsyncConnection, feed_id: int) -> list[str]:
    """All that subscribers at our hub may know the feed by."""
    itself = select(FeedRow.url_key, FeedRow.self_key).where(FeedRow.id == feed_id)
    former = select(FeedNameRow.key).where(FeedNameRow.feed_id == feed_id)
    return [key for query in (itself, former) for row in await db.execute(query) for key in row if key]


async def moves(db: AsyncConnection, feed_id: int, key: str) -> None:
    """Keeps the address that the feed has until now, which becomes `key`."""
    dialect = postgresql if db.dialect.name == "postgresql" else sqlite
    old = select(FeedRow.url_key, FeedRow.id).where(FeedRow.id == feed_id)
    keeping = dialect.insert(FeedNameRow).from_select(["key", "feed_id"], old)
    keeping = keeping.on_conflict_do_update(index_elements=["key"], set_={"feed_id": keeping.excluded.feed_id})
    await db.execute(delete(FeedNameRow).where(FeedNameRow.key == key))
    await db.execute(keeping)


async def put_elsewhere(db: AsyncConnection, feed_id: int, url: str) -> None:
    """Its owner gave it another address: found out there by the next look, as the same feed.

    What is new to us there, when that look comes, is no news: who wrote it did so before.
    """
    key = address_key(url)
    await _join(db, feed_id, key)
    await moves(db, feed_id, key)
    await db.execute(update(FeedRow).where(FeedRow.id == feed_id).values(url=url, url_key=key, self_key=""))
    await forget(db, feed_id)


async def others(db: AsyncConnection, feed_id: int, keys: Iterable[str]) -> dict[str, str]:
    """Which of these addresses another feed is fetched from, and the slug of its source ("" for a stranger's topic)."""
    rows = await db.execute(_OTHERS, {"keys": keys, "feed": feed_id})
    return {row.url_key: row.slug or "" for row in rows}


async def _join(db: AsyncConnection, feed_id: int, key: str) -> None:
    """Makes a stranger's topic of this address one with the feed, which will serve those who subscribed to it."""
    query = select(FeedRow.id).where(FeedRow.url_key == key, FeedRow.id != feed_id)
    topic = (await db.execute(query)).scalar_one_or_none()
    if topic is not None:
        for row in (FeedNameRow, SubscriptionRow):
            await db.execute(update(row).where(row.feed_id == topic).values(feed_id=feed_id))
        await db.execute(delete(InboxRow).where(InboxRow.feed_id == topic))  # nobody follows it: it would be dropped
        await db.execute(delete(FeedRow).where(FeedRow.id == topic))


async def drop_if_unused(db: AsyncConnection, feed_id: int) -> None:
    """Removes a feed that has no source, no subscription of ours, no subscriber and nothing in the inbox."""
    await db.execute(_DROP_UNUSED.where(FeedRow.id == feed_id))


async def drop_unused(db: AsyncConnection) -> int:
    """Removes all such feeds: topics of strangers that nobody wants any more. Returns how many they were."""
    return (await db.execute(_DROP_UNUSED)).rowcount


async def _without_first(db: AsyncConnection, host: str, polls: Sequence[AnyRow], now: datetime) -> Sequence[AnyRow]:
    """Lets the first of these polls go if it is the host's time, and puts the others back; returns those."""
    dialect = postgresql if db.dialect.name == "postgresql" else sqlite
    taking = dialect.insert(HostRow).values(host=host, free_at=now + SPACING)
    # Also where it is further away than it can be: a clock that was set back must not stop us.
    free = or_(HostRow.free_at <= now, HostRow.free_at > now + SPACING)
    taking = taking.on_conflict_do_update(index_elements=["host"], set_={"free_at": now + SPACING}, where=free)
    if (await db.execute(taking.returning(HostRow.host))).one_or_none():
        polls = polls[1:]
    free_at = (await db.execute(select(HostRow.free_at).where(HostRow.host == host))).scalar_one()
    for number, row in enumerate(polls):
        await db.execute(_CHANGE, {"feed": row.id, "due_at": free_at + number * SPACING, "claimed_until": None})
    return polls


async def _take_turns(db: AsyncConnection, feed_ids: Iterable[int]) -> None:
    """Who asks for a look and who ends one wait for each other, else a ping between reading and writing is lost.

    In a statement of its own, so that the next one reads what the other has committed; in one order, so that two
    who want several never wait in a ring. On SQLite there is one writer anyway.
    """
    if db.dialect.name == "postgresql":
        query = select(FeedRow.id).where(FeedRow.id.in_(feed_ids)).order_by(FeedRow.id)
        await db.execute(query.with_for_update(key_share=True))


# Made once: to build a statement, and to find its compiled form, costs more than SQLite takes to run it.
_table = cast(Table, FeedRow.__table__)
_PACE = (FeedRow.pace_tokens, FeedRow.pace_at, FeedRow.pace_gap, FeedRow.pace_last)
_ASKED = (
    select(
        FeedRow.id, FeedRow.url, FeedRow.asked, *_PACE, FeedRow.due_at, FeedRow.failures, FeedRow.discovered,
        SourceRow.state,
    )
    .outerjoin(SourceRow, SourceRow.feed_id == FeedRow.id)
    .where(among(FeedRow.id, "feeds"))
)  # fmt: skip
_CHANGE = update(_table).where(_table.c.id == bindparam("feed"))
_ASK = _CHANGE.values(asked=_table.c.asked + bindparam("count", type_=BigInteger))
_MATCHING = (
    select(
        FeedRow.id,
        FeedRow.url_key,
        FeedRow.self_key,
        FeedNameRow.key.label("former_key"),
        SourceRow.added_key,
        SourceRow.visibility,
    )
    .outerjoin(SourceRow, SourceRow.feed_id == FeedRow.id)
    .outerjoin(FeedNameRow, (FeedNameRow.feed_id == FeedRow.id) & among(FeedNameRow.key, "keys"))
    .where(
        or_(
            among(FeedRow.url_key, "keys"),
            among(FeedRow.self_key, "keys"),
            among(SourceRow.added_key, "keys"),
            FeedNameRow.key.is_not(None),
        )
    )
)


_OTHERS = (
    select(FeedRow.url_key, SourceRow.slug)
    .outerjoin(SourceRow, SourceRow.feed_id == FeedRow.id)
    .where(among(FeedRow.url_key, "keys"), FeedRow.id != bindparam("feed"))
)
_FORMER_KEYS = select(FeedNameRow.key).where(FeedNameRow.feed_id == FeedRow.id).correlate(FeedRow)
_DROP_UNUSED = delete(FeedRow).where(
    ~select(SourceRow.id).where(SourceRow.feed_id == FeedRow.id).correlate(FeedRow).exists(),
    ~select(SubscriptionRow.id).where(SubscriptionRow.feed_id == FeedRow.id).correlate(FeedRow).exists(),
    ~select(InboxRow.id).where(InboxRow.feed_id == FeedRow.id).correlate(FeedRow).exists(),
    *(
        ~select(HubSubscriberRow.id).where(HubSubscriberRow.topic_key.in_(keys)).correlate(FeedRow).exists()
        for keys in ((FeedRow.url_key, FeedRow.self_key), _FORMER_KEYS)
    ),
)


def _pace(row: AnyRow) -> Pace:
    return Pace(tokens=row.pace_tokens, at=row.pace_at, gap=row.pace_gap, last=row.pace_last)


def _due_feed(row: AnyRow) -> DueFeed:
    return DueFeed(
        id=row.id,
        url=row.url,
        self_url=row.self_url,
        discovered=row.discovered,
        etag=row.etag,
        last_modified=row.last_modified,
        body_digest=row.body_digest,
        moved_to=row.moved_to or "",
        has_document=row.first_document_at is not None,
        fetched_at=row.fetched_at,
        failures=row.failures,
        interval=row.interval,
        asked=row.asked,
        via=row.asked_via if row.asked > row.looked else "poll",
        pace=_pace(row).started(row.claimed_until - LOOK_HOLD),
    )
