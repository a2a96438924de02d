"""The built-in hub's books: what was asked of it, and who is subscribed; deliveries.py has what each is to be given."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache
from typing import Any, Literal

from sqlalchemy import bindparam, delete, func, or_, select, union, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncConnection

from lifestream.protocol.pacing import host_of
from lifestream.store import due
from lifestream.store.among import among
from lifestream.store.tables import (
    FeedNameRow,
    FeedRow,
    HubContentRow,
    HubDeliveryRow,
    HubRequestRow,
    HubSubscriberRow,
)

HOLD = timedelta(seconds=30)
"""Of a claim: who dies with one in hand holds it up for no longer."""
Kind = Literal["websub", "rsscloud"]


@dataclass(frozen=True, slots=True)
class Request:
    """What a callback is to be asked (subscribe, unsubscribe) or told (denied)."""

    id: int
    mode: Literal["subscribe", "unsubscribe", "denied"]
    topic: str
    topic_key: str
    callback: str
    host: str
    secret: str
    algorithm: str
    lease_seconds: int
    verify_token: str

    @property
    def doubtful(self) -> bool:
        return False


# -- requests ---------------------------------------------------------------------------------


async def asked(db: AsyncConnection, values: dict[str, Any], now: datetime, *, held: bool = False) -> int:
    """Puts a request down, in the place of one for the same topic and callback that is not verified yet; its id.

    `held`: whoever puts it down sees to it himself.
    """
    values = values | {
        "host": host_of(values["callback"]), "created_at": now, "due_at": now,
        "claimed_until": now + HOLD if held else None,
    }  # fmt: skip
    statement = upsert(db.dialect.name, HubRequestRow, tuple(values), ("topic_key", "callback"), "id")
    return int((await db.execute(statement, values)).scalar_one())


async def claim_requests(
    db: AsyncConnection, now: datetime, limit: int, crowded: Sequence[str] = (), *, doubtful: bool = True
) -> list[Request]:
    """Those longest due first, but of no host that is `crowded`. What a callback says to a request nobody knows yet, so
    none is `doubtful`."""
    rows = await db.execute(_CLAIM_REQUESTS, {"now": now, "until": now + HOLD, "most": limit, "crowded": list(crowded)})
    return [Request(*row) for row in sorted(rows, key=lambda row: row.id)]


async def drop_request(db: AsyncConnection, request: Request) -> None:
    """Only this one: a newer one under the same topic and callback has another secret or mode."""
    this = {"id": request.id, "mode": request.mode, "secret": request.secret, "lease": request.lease_seconds}
    await db.execute(_DROP_REQUEST, this)


async def verified(db: AsyncConnection, request: Request, now: datetime) -> None:
    """The subscriber confirmed it: only now does the request count (WebSub 5.1).

    One that is no longer there was overtaken by a newer one, which is verified: it must not undo that. Nor must one
    whose topic was taken away meanwhile, which is to be told so.
    """
    if (await db.execute(_MODE_NOW, {"id": request.id})).scalar_one_or_none() in (None, "denied"):
        return
    if request.mode == "unsubscribe":
        await _remove(db, _is(request.topic_key, request.callback))
        return
    await subscribe(
        db, request.topic, request.topic_key, request.callback, now, lease_seconds=request.lease_seconds,
        secret=request.secret, algorithm=request.algorithm,
    )  # fmt: skip


async def subscribe(
    db: AsyncConnection,
    topic: str,
    topic_key: str,
    callback: str,
    now: datetime,
    *,
    lease_seconds: int,
    kind: Kind = "websub",
    secret: str = "",
    algorithm: str = "sha256",
) -> None:
    """A subscription that was confirmed, in the place of an older one; but rssCloud's in no living one of WebSub's."""
    values = {
        "kind": kind, "topic": topic, "topic_key": topic_key, "callback": callback, "host": host_of(callback),
        "secret": secret, "algorithm": algorithm, "lease_seconds": lease_seconds, "verified_at": now,
        "expires_at": now + timedelta(seconds=lease_seconds), "failures": 0, "last_error": "",
    }  # fmt: skip
    await db.execute(_subscribing(db.dialect.name, tuple(values), kind), values)


async def deny(db: AsyncConnection, keys: Sequence[str], now: datetime) -> None:
    """These topics are not for everybody any more: nothing more of them goes out, and whoever waits for it is told so.

    rssCloud has no word for that; there the silence has to do.
    """
    of_these = HubSubscriberRow.topic_key.in_(keys)
    columns = (HubSubscriberRow.topic, HubSubscriberRow.topic_key, HubSubscriberRow.callback)
    for row in (await db.execute(select(*columns).where(of_these, HubSubscriberRow.kind == "websub"))).all():
        await asked(db, dict(row._mapping) | {"mode": "denied", "secret": "", "lease_seconds": 0}, now)
    waiting = update(HubRequestRow).where(HubRequestRow.topic_key.in_(keys), HubRequestRow.mode == "subscribe")
    await db.execute(waiting.values(mode="denied", due_at=now, claimed_until=None))
    await _remove(db, of_these)
    await db.execute(delete(HubContentRow).where(HubContentRow.topic_key.in_(keys)))


# -- who is there -----------------------------------------------------------------------------


async def topics_of_feed(db: AsyncConnection, feed_id: int, now: datetime) -> set[str]:
    """The keys, of all that this feed is known by, that somebody is subscribed to here."""
    return set((await db.execute(_TOPICS_OF_FEED, {"feed": feed_id, "now": now})).scalars())


async def topics_under(db: AsyncConnection, key: str, now: datetime) -> dict[str, str]:
    """Those whose key starts with this one: key -> an address that a subscriber gave it."""
    rows = await db.execute(_TOPICS_UNDER, {"beginning": _literally(key) + "%", "now": now})
    return {row.topic_key: row.topic for row in rows}


async def parts_under(db: AsyncConnection, key: str, now: datetime) -> set[str]:
    """The keys with a query that start with this one, of topics that somebody has subscribed to or wants to."""
    return set((await db.execute(_PARTS_UNDER, {"beginning": _literally(key) + "%?%", "now": now})).scalars())


async def anybody(db: AsyncConnection, now: datetime) -> bool:
    """Whether there is a subscriber at all."""
    return (await db.execute(_ANYBODY, {"now": now})).first() is not None


async def feeds_with_subscribers(db: AsyncConnection, feed_ids: Sequence[int], now: datetime) -> list[int]:
    """Which of these feeds somebody is subscribed to here, by whatever address."""
    return list((await db.execute(_FEEDS_WITH_SUBSCRIBERS, {"feeds": list(feed_ids), "now": now})).scalars())


async def counts(db: AsyncConnection) -> tuple[int, int]:
    """How many subscribers there are, and how many deliveries wait."""
    subscribers = (await db.execute(select(func.count()).select_from(HubSubscriberRow))).scalar_one()
    return subscribers, (await db.execute(select(func.count()).select_from(HubDeliveryRow))).scalar_one()


async def is_there(db: AsyncConnection, topic_key: str, callback: str) -> bool:
    return (await db.execute(_IS_THERE, {"key": topic_key, "callback": callback})).first() is not None


async def crowd(db: AsyncConnection, host: str) -> tuple[int, int]:
    """How many subscriptions there are, verified or not, at this callback host and in all."""
    (known, at_host), (waiting, waiting_at_host) = [
        (await db.execute(counting, {"host": host})).one() for counting in (_CROWD, _CROWD_WAITING)
    ]
    return at_host + waiting_at_host, known + waiting


async def drop_expired(db: AsyncConnection, now: datetime) -> int:
    """Ends the subscriptions whose lease is over (WebSub 5.3: it must be enforced), and documents nobody waits for."""
    ended = await _remove(db, HubSubscriberRow.expires_at <= now)
    wanted = select(HubSubscriberRow.topic_key)
    await db.execute(delete(HubContentRow).where(HubContentRow.topic_key.not_in(wanted)))
    return ended


async def end(db: AsyncConnection, subscriber_ids: Iterable[int]) -> None:
    await _remove(db, HubSubscriberRow.id.in_(subscriber_ids))


# -- the small print --------------------------------------------------------------------------


def not_crowded(table: type[HubRequestRow | HubDeliveryRow]) -> Any:
    """Of none of the hosts that `crowded` are."""
    return ~among(table.host, "crowded")


def _literally(text: str) -> str:
    """As LIKE has it."""
    return re.sub(r"([\\%_])", r"\\\1", text)


def _is(topic_key: str, callback: str) -> Any:
    return (HubSubscriberRow.topic_key == topic_key) & (HubSubscriberRow.callback == callback)


async def _remove(db: AsyncConnection, condition: Any) -> int:
    """Ends subscriptions; what was still to be delivered to them goes with them. Returns how many they were."""
    going = select(HubSubscriberRow.id).where(condition)
    await db.execute(delete(HubDeliveryRow).where(HubDeliveryRow.subscriber_id.in_(going)))
    return (await db.execute(delete(HubSubscriberRow).where(condition))).rowcount


@cache
def _subscribing(dialect: str, names: tuple[str, ...], kind: Kind) -> Any:
    """Who subscribed by WebSub confirmed that topic, and is sent it signed: no form of rssCloud's ends that."""
    making: Any = (postgresql if dialect == "postgresql" else sqlite).insert(HubSubscriberRow)
    changed = {name: making.excluded[name] for name in names}
    over = HubSubscriberRow.expires_at <= making.excluded.verified_at
    free = or_(HubSubscriberRow.kind == kind, over) if kind == "rsscloud" else None
    return making.on_conflict_do_update(index_elements=["topic_key", "callback"], set_=changed, where=free)


@cache
def upsert(dialect: str, table: Any, names: tuple[str, ...], key: tuple[str, ...], returns: str = "") -> Any:
    statement: Any = (postgresql if dialect == "postgresql" else sqlite).insert(table)
    changed = {name: statement.excluded[name] for name in names if name not in key}
    statement = statement.on_conflict_do_update(index_elements=list(key), set_=changed)
    return statement.returning(getattr(table, returns)) if returns else statement


# Made once: to build a statement, and to find its compiled form, costs more than SQLite takes to run it.
alive = HubSubscriberRow.expires_at > bindparam("now", type_=HubSubscriberRow.expires_at.type)
_CLAIM_REQUESTS = due.claiming(HubRequestRow, not_crowded(HubRequestRow)).returning(
    HubRequestRow.id, HubRequestRow.mode, HubRequestRow.topic, HubRequestRow.topic_key, HubRequestRow.callback,
    HubRequestRow.host, HubRequestRow.secret, HubRequestRow.algorithm, HubRequestRow.lease_seconds,
    HubRequestRow.verify_token,
)  # fmt: skip
_DROP_REQUEST = delete(HubRequestRow).where(
    HubRequestRow.id == bindparam("id"),
    HubRequestRow.mode == bindparam("mode"),
    HubRequestRow.secret == bindparam("secret"),
    HubRequestRow.lease_seconds == bindparam("lease"),
)
_MODE_NOW = select(HubRequestRow.mode).where(HubRequestRow.id == bindparam("id")).with_for_update()
_IS_THERE = select(HubSubscriberRow.id).where(
    HubSubscriberRow.topic_key == bindparam("key"), HubSubscriberRow.callback == bindparam("callback")
)
_CROWD, _CROWD_WAITING = (
    select(func.count(), func.count().filter(table.host == bindparam("host"))).select_from(table)
    for table in (HubSubscriberRow, HubRequestRow)
)
_KEYS_OF_FEED = union(
    select(FeedRow.url_key).where(FeedRow.id == bindparam("feed")),
    select(FeedRow.self_key).where(FeedRow.id == bindparam("feed")),
    select(FeedNameRow.key).where(FeedNameRow.feed_id == bindparam("feed")),
)
_TOPICS_OF_FEED = (
    select(HubSubscriberRow.topic_key).where(HubSubscriberRow.topic_key.in_(_KEYS_OF_FEED), alive).distinct()
)
_TOPICS_UNDER = (
    select(HubSubscriberRow.topic_key, func.min(HubSubscriberRow.topic).label("topic"))
    .where(HubSubscriberRow.topic_key.like(bindparam("beginning"), escape="\\"), alive)
    .group_by(HubSubscriberRow.topic_key)
)
_PARTS_UNDER = (
    select(HubSubscriberRow.topic_key)
    .where(HubSubscriberRow.topic_key.like(bindparam("beginning"), escape="\\"), alive)
    .union(
        select(HubRequestRow.topic_key).where(
            HubRequestRow.topic_key.like(bindparam("beginning"), escape="\\"), HubRequestRow.mode == "subscribe"
        )
    )
)
_ANYBODY = select(HubSubscriberRow.id).where(alive).limit(1)
_topic = HubSubscriberRow.topic_key
_FORMER = select(FeedNameRow.key).where(FeedNameRow.feed_id == FeedRow.id).correlate(FeedRow)
_FEEDS_WITH_SUBSCRIBERS = (
    select(FeedRow.id)
    .join(
        HubSubscriberRow,
        or_(
            HubSubscriberRow.topic_key.in_((FeedRow.url_key, FeedRow.self_key)), HubSubscriberRow.topic_key.in_(_FORMER)
        ),
    )
    .where(among(FeedRow.id, "feeds"), alive)
    .distinct()
)
