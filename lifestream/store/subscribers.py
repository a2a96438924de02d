"""The built-in hub's books: what was asked of it, who is subscribed, what each is still to be given."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timedelta
from functools import cache
from typing import Any, Literal

from sqlalchemy import BigInteger, Integer, bindparam, delete, func, literal, or_, select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncConnection

from lifestream.protocol.pacing import host_of
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


@dataclass(frozen=True, slots=True)
class Content:
    """A topic's document as it is to be delivered. A higher `version` is newer."""

    topic: str
    topic_key: str
    version: int
    media_type: str
    body: bytes


@dataclass(frozen=True, slots=True)
class DueDelivery:
    """What one subscriber is to be sent now: the newest content of its topic, which goes by `topic` there."""

    subscriber_id: int
    kind: Kind
    callback: str
    host: str
    doubtful: bool
    secret: str
    algorithm: str
    topic: str
    content: Content
    attempts: int


@dataclass(frozen=True, slots=True)
class Failure:
    """`again_at` is None where this content is given up on, not its subscriber."""

    sent: DueDelivery
    error: str
    again_at: datetime | None


# -- requests ---------------------------------------------------------------------------------


async def asked(db: AsyncConnection, values: dict[str, Any], now: datetime, *, held: bool = False) -> int:
    """Puts a request down, in the place of one for the same topic and callback that is not verified yet; its id.

    `held`: whoever puts it down sees to it himself.
    """
    values = values | {
        "host": host_of(values["callback"]), "created_at": now, "due_at": now,
        "claimed_until": now + HOLD if held else None,
    }  # fmt: skip
    statement = _upsert(db.dialect.name, HubRequestRow, tuple(values), ("topic_key", "callback"), "id")
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


async def topics_with_subscribers(db: AsyncConnection, keys: Sequence[str], now: datetime) -> set[str]:
    return set((await db.execute(_TOPICS_WITH_SUBSCRIBERS, {"keys": list(keys), "now": now})).scalars())


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


# -- deliveries -------------------------------------------------------------------------------


async def distribute(db: AsyncConnection, content: Content, now: datetime) -> bool:
    """Makes `content` what every subscriber of its topic is to be given next, in the place of anything older.

    Says whether it was new. What was given out already goes to nobody twice.
    """
    mine = HubContentRow.topic_key == content.topic_key
    known = (await db.execute(select(HubContentRow.version, HubContentRow.body).where(mine))).one_or_none()
    if known is not None and known.body == content.body:
        return False
    if known is not None and known.version >= content.version:  # the clock went back, or an entry left the feed
        content = replace(content, version=known.version + 1)
    values = asdict(content)
    await db.execute(_upsert(db.dialect.name, HubContentRow, tuple(values), ("topic_key",)), values)
    due = {"key": content.topic_key, "version": content.version, "now": now}
    await db.execute(_making_due(db.dialect.name), due)
    return True


async def claim_deliveries(
    db: AsyncConnection, now: datetime, limit: int, crowded: Sequence[str] = (), *, doubtful: bool = True
) -> list[DueDelivery]:
    """Those longest due first, but of no host that is `crowded`, and only if wanted of callbacks that are doubtful."""
    claiming = {"now": now, "until": now + HOLD, "most": limit, "crowded": list(crowded), "doubtful_too": doubtful}
    claimed = {row.subscriber_id: row for row in await db.execute(_CLAIM_DELIVERIES, claiming)}
    if not claimed:
        return []
    subscribed = (await db.execute(_TO_WHOM, {"ids": list(claimed), "now": now})).all()
    keys = list({row.topic_key for row in subscribed})
    contents = {row.topic_key: Content(*row) for row in await db.execute(_CONTENTS, {"keys": keys})}
    found = [
        DueDelivery(
            row.id, row.kind, row.callback, row.host, bool(claimed[row.id].doubtful), row.secret, row.algorithm,
            row.topic, contents[row.topic_key], claimed[row.id].attempts,
        )
        for row in subscribed
        if row.topic_key in contents
    ]  # fmt: skip
    if idle := claimed.keys() - {one.subscriber_id for one in found}:  # the lease is over
        await db.execute(delete(HubDeliveryRow).where(HubDeliveryRow.subscriber_id.in_(idle)))
    return sorted(found, key=lambda one: (claimed[one.subscriber_id].due_at, one.subscriber_id))


async def delivered(db: AsyncConnection, sent: Sequence[DueDelivery], now: datetime) -> bool:
    """They have these versions. Says whether something newer came meanwhile, which is due at once."""
    ids = [one.subscriber_id for one in sent]
    await db.execute(_WELL, {"ids": ids, "now": now})
    by_version: dict[int, list[int]] = {}
    for one in sent:
        by_version.setdefault(one.content.version, []).append(one.subscriber_id)
    for version, those in by_version.items():
        await db.execute(_DONE, {"ids": those, "upto": version})
    return (await db.execute(_FREE, {"ids": ids})).rowcount > 0


async def failed(db: AsyncConnection, failure: Failure) -> bool:
    """Not given. It is tried again, or not before the topic changes; the subscription stays (WebSub 7).

    Says whether something newer came meanwhile, which is due at once.
    """
    sent = failure.sent
    change = {"failures": HubSubscriberRow.failures + 1, "last_error": failure.error}
    await db.execute(update(HubSubscriberRow).where(HubSubscriberRow.id == sent.subscriber_id).values(change))
    mine = HubDeliveryRow.subscriber_id == sent.subscriber_id
    this = mine & (HubDeliveryRow.version <= sent.content.version)
    if failure.again_at is None:
        await db.execute(delete(HubDeliveryRow).where(this))
    else:
        retry = {"due_at": failure.again_at, "attempts": sent.attempts + 1}
        await db.execute(update(HubDeliveryRow).where(this).values(retry))
    free = update(HubDeliveryRow).where(mine).values(claimed_until=None, doubtful=True)
    there = (await db.execute(free.returning(HubDeliveryRow.version))).scalars()
    return any(version > sent.content.version for version in there)


async def end(db: AsyncConnection, subscriber_ids: Iterable[int]) -> None:
    await _remove(db, HubSubscriberRow.id.in_(subscriber_ids))


# -- the small print --------------------------------------------------------------------------


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
def _upsert(dialect: str, table: Any, names: tuple[str, ...], key: tuple[str, ...], returns: str = "") -> Any:
    statement: Any = (postgresql if dialect == "postgresql" else sqlite).insert(table)
    changed = {name: statement.excluded[name] for name in names if name not in key}
    statement = statement.on_conflict_do_update(index_elements=list(key), set_=changed)
    return statement.returning(getattr(table, returns)) if returns else statement


@cache
def _making_due(dialect: str) -> Any:
    """A claim in somebody's hand stays: it is released with that delivery's outcome."""
    now = bindparam("now", type_=HubDeliveryRow.due_at.type)
    values = {
        "subscriber_id": HubSubscriberRow.id, "host": HubSubscriberRow.host, "doubtful": _IS_DOUBTFUL,
        "version": bindparam("version", type_=HubDeliveryRow.version.type), "due_at": now, "attempts": literal(0),
    }  # fmt: skip
    mine = HubSubscriberRow.topic_key == bindparam("key")
    making: Any = (postgresql if dialect == "postgresql" else sqlite).insert(HubDeliveryRow)
    making = making.from_select(list(values), select(*values.values()).where(mine, _alive))
    changed = {name: making.excluded[name] for name in values if name != "subscriber_id"}
    return making.on_conflict_do_update(index_elements=["subscriber_id"], set_=changed)


def _claiming(table: Any, key: Any, *more: Any) -> Any:
    now = bindparam("now", type_=table.due_at.type)
    due = (
        select(key.label("due"))
        .where(table.due_at <= now, or_(table.claimed_until.is_(None), table.claimed_until <= now))
        .where(table.host.not_in(bindparam("crowded", expanding=True)), *more)
        .order_by(table.due_at, key)
        .limit(bindparam("most", type_=Integer))
        .with_for_update(skip_locked=True)
        .cte("claimed")  # beside the UPDATE, not in it: a plan may run a subquery again, and claim more
    )
    until = bindparam("until", type_=table.due_at.type)
    return update(table).where(key.in_(select(due.c.due))).values(claimed_until=until)


# Made once: to build a statement, and to find its compiled form, costs more than SQLite takes to run it.
_IS_DOUBTFUL = or_(HubSubscriberRow.failures > 0, HubSubscriberRow.last_delivery.is_(None))
_alive = HubSubscriberRow.expires_at > bindparam("now", type_=HubSubscriberRow.expires_at.type)
_CLAIM_REQUESTS = _claiming(HubRequestRow, HubRequestRow.id).returning(
    HubRequestRow.id, HubRequestRow.mode, HubRequestRow.topic, HubRequestRow.topic_key, HubRequestRow.callback,
    HubRequestRow.host, HubRequestRow.secret, HubRequestRow.algorithm, HubRequestRow.lease_seconds,
    HubRequestRow.verify_token,
)  # fmt: skip
_CLAIM_DELIVERIES = _claiming(
    HubDeliveryRow,
    HubDeliveryRow.subscriber_id,
    or_(HubDeliveryRow.doubtful.is_(False), bindparam("doubtful_too", type_=HubDeliveryRow.doubtful.type)),
).returning(HubDeliveryRow.subscriber_id, HubDeliveryRow.doubtful, HubDeliveryRow.due_at, HubDeliveryRow.attempts)
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
_IDS: Any = bindparam("ids", expanding=True)
_WELL = (
    update(HubSubscriberRow)
    .where(HubSubscriberRow.id.in_(_IDS))
    .values(last_delivery=bindparam("now", type_=HubSubscriberRow.expires_at.type), failures=0, last_error="")
)
_DONE = delete(HubDeliveryRow).where(
    HubDeliveryRow.subscriber_id.in_(_IDS), HubDeliveryRow.version <= bindparam("upto", type_=BigInteger)
)
_FREE = update(HubDeliveryRow).where(HubDeliveryRow.subscriber_id.in_(_IDS)).values(claimed_until=None, doubtful=False)
_TO_WHOM = select(
    HubSubscriberRow.id, HubSubscriberRow.kind, HubSubscriberRow.callback, HubSubscriberRow.host,
    HubSubscriberRow.secret, HubSubscriberRow.algorithm, HubSubscriberRow.topic, HubSubscriberRow.topic_key,
).where(HubSubscriberRow.id.in_(bindparam("ids", expanding=True)), _alive)  # fmt: skip
_CONTENTS = select(
    HubContentRow.topic, HubContentRow.topic_key, HubContentRow.version, HubContentRow.media_type, HubContentRow.body
).where(HubContentRow.topic_key.in_(bindparam("keys", expanding=True)))
_TOPICS_WITH_SUBSCRIBERS = (
    select(HubSubscriberRow.topic_key)
    .where(HubSubscriberRow.topic_key.in_(bindparam("keys", expanding=True)), _alive)
    .distinct()
)
_TOPICS_UNDER = (
    select(HubSubscriberRow.topic_key, func.min(HubSubscriberRow.topic).label("topic"))
    .where(HubSubscriberRow.topic_key.like(bindparam("beginning"), escape="\\"), _alive)
    .group_by(HubSubscriberRow.topic_key)
)
_PARTS_UNDER = (
    select(HubSubscriberRow.topic_key)
    .where(HubSubscriberRow.topic_key.like(bindparam("beginning"), escape="\\"), _alive)
    .union(
        select(HubRequestRow.topic_key).where(
            HubRequestRow.topic_key.like(bindparam("beginning"), escape="\\"), HubRequestRow.mode == "subscribe"
        )
    )
)
_ANYBODY = select(HubSubscriberRow.id).where(_alive).limit(1)
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
    .where(FeedRow.id.in_(bindparam("feeds", expanding=True)), _alive)
    .distinct()
)
