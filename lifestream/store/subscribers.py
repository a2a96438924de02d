"""The built-in hub's books: what was asked of it, who is subscribed, what each is still to be given."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Literal

from sqlalchemy import bindparam, delete, func, select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncConnection

from lifestream.store import due
from lifestream.store.tables import FeedRow, HubContentRow, HubDeliveryRow, HubRequestRow, HubSubscriberRow

VERIFY_HOLD = timedelta(seconds=60)
DELIVERY_HOLD = timedelta(seconds=60)


@dataclass(frozen=True, slots=True)
class Request:
    """A subscribe or unsubscribe whose intent is still to be verified."""

    id: int
    mode: Literal["subscribe", "unsubscribe"]
    topic: str
    topic_key: str
    callback: str
    secret: str
    algorithm: str
    lease_seconds: int
    verify_token: str
    attempts: int


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
    """What one subscriber is to be sent now: the newest content of its topic."""

    subscriber_id: int
    callback: str
    secret: str
    algorithm: str
    topic: str
    version: int
    media_type: str
    body: bytes
    attempts: int


async def asked(db: AsyncConnection, values: dict[str, Any], now: datetime) -> None:
    """Puts a request down, in the place of an earlier one for the same topic and callback that is not verified yet."""
    values = values | {"created_at": now, "due_at": now, "attempts": 0, "claimed_until": None}
    await _upsert(db, HubRequestRow, values, ("topic_key", "callback"))


async def claim_requests(db: AsyncConnection, now: datetime, limit: int) -> list[Request]:
    rows = await due.claim(db, HubRequestRow, now=now, limit=limit, hold=VERIFY_HOLD)
    return [
        Request(
            row.id, row.mode, row.topic, row.topic_key, row.callback, row.secret, row.algorithm,
            row.lease_seconds, row.verify_token, row.attempts,
        )
        for row in rows
    ]  # fmt: skip


async def ask_again(db: AsyncConnection, request: Request, at: datetime) -> None:
    change = {"due_at": at, "attempts": request.attempts + 1, "claimed_until": None}
    await db.execute(update(HubRequestRow).where(HubRequestRow.id == request.id).values(change))


async def drop_request(db: AsyncConnection, request: Request) -> None:
    """Only the one that was verified: a newer one under the same topic and callback has another secret or mode."""
    await db.execute(
        delete(HubRequestRow).where(
            HubRequestRow.id == request.id,
            HubRequestRow.mode == request.mode,
            HubRequestRow.secret == request.secret,
            HubRequestRow.lease_seconds == request.lease_seconds,
        )
    )


async def verified(db: AsyncConnection, request: Request, now: datetime) -> None:
    """The subscriber confirmed it: only now does the request count (WebSub 5.1).

    One that is no longer there was overtaken by a newer one, which is verified: it must not undo that.
    """
    there = select(HubRequestRow.id).where(HubRequestRow.id == request.id).with_for_update()
    if (await db.execute(there)).scalar_one_or_none() is None:
        return
    key = (HubSubscriberRow.topic_key == request.topic_key) & (HubSubscriberRow.callback == request.callback)
    if request.mode == "unsubscribe":
        gone = select(HubSubscriberRow.id).where(key).scalar_subquery()
        await db.execute(delete(HubDeliveryRow).where(HubDeliveryRow.subscriber_id == gone))
        await db.execute(delete(HubSubscriberRow).where(key))
        return
    values = {
        "topic": request.topic, "topic_key": request.topic_key, "callback": request.callback,
        "secret": request.secret, "algorithm": request.algorithm, "lease_seconds": request.lease_seconds,
        "verified_at": now, "expires_at": now + timedelta(seconds=request.lease_seconds),
        "failures": 0, "last_error": "",
    }  # fmt: skip
    await _upsert(db, HubSubscriberRow, values, ("topic_key", "callback"))


async def topics_with_subscribers(db: AsyncConnection, keys: Sequence[str], now: datetime) -> set[str]:
    return set((await db.execute(_TOPICS_WITH_SUBSCRIBERS, {"keys": list(keys), "now": now})).scalars())


async def anybody(db: AsyncConnection, now: datetime) -> bool:
    """Whether there is a subscriber at all."""
    return (await db.execute(_ANYBODY, {"now": now})).first() is not None


async def feeds_with_subscribers(db: AsyncConnection, feed_ids: Sequence[int], now: datetime) -> list[int]:
    """Which of these feeds somebody is subscribed to here."""
    return list((await db.execute(_FEEDS_WITH_SUBSCRIBERS, {"feeds": list(feed_ids), "now": now})).scalars())


async def distribute(db: AsyncConnection, content: Content, now: datetime) -> None:
    """Makes `content` what every subscriber of its topic is to be given next, in the place of anything older."""
    mine = HubContentRow.topic_key == content.topic_key
    known = (await db.execute(select(HubContentRow.version).where(mine))).scalar_one_or_none() or 0
    if known >= content.version:  # it was given out already, or the clock went back
        if (await db.execute(select(HubContentRow.body).where(mine))).scalar_one() == content.body:
            return
        content = replace(content, version=known + 1)
    await _upsert(db, HubContentRow, asdict(content), ("topic_key",))
    subscribers = select(HubSubscriberRow.id).where(
        HubSubscriberRow.topic_key == content.topic_key, HubSubscriberRow.expires_at > now
    )
    rows = [
        {"subscriber_id": one, "version": content.version, "due_at": now, "attempts": 0}
        for one in (await db.execute(subscribers)).scalars()
    ]
    if rows:
        await _upsert(db, HubDeliveryRow, rows, ("subscriber_id",))


async def withdraw(db: AsyncConnection, keys: Sequence[str]) -> None:
    """What is still to be delivered of these topics is not delivered: they are not for everybody any more."""
    subscribed = select(HubSubscriberRow.id).where(HubSubscriberRow.topic_key.in_(keys))
    await db.execute(delete(HubDeliveryRow).where(HubDeliveryRow.subscriber_id.in_(subscribed)))
    await db.execute(delete(HubContentRow).where(HubContentRow.topic_key.in_(keys)))


async def claim_deliveries(db: AsyncConnection, now: datetime, limit: int) -> list[DueDelivery]:
    claimed = await due.claim(db, HubDeliveryRow, now=now, limit=limit, hold=DELIVERY_HOLD)
    attempts = {row.subscriber_id: row.attempts for row in claimed}
    if not attempts:
        return []
    query = (
        select(
            HubSubscriberRow.id, HubSubscriberRow.callback, HubSubscriberRow.secret, HubSubscriberRow.algorithm,
            HubSubscriberRow.topic, HubContentRow.version, HubContentRow.media_type, HubContentRow.body,
        )
        .join(HubContentRow, HubContentRow.topic_key == HubSubscriberRow.topic_key)
        .where(HubSubscriberRow.id.in_(attempts), HubSubscriberRow.expires_at > now)
    )  # fmt: skip
    found = [
        DueDelivery(
            row.id, row.callback, row.secret, row.algorithm, row.topic, row.version, row.media_type, row.body,
            attempts[row.id],
        )
        for row in await db.execute(query)
    ]  # fmt: skip
    expired = set(attempts) - {one.subscriber_id for one in found}
    if expired:
        await db.execute(delete(HubDeliveryRow).where(HubDeliveryRow.subscriber_id.in_(expired)))
    return found


async def delivered(db: AsyncConnection, sent: DueDelivery, now: datetime) -> None:
    """It has this version. A newer one that came meanwhile is due at once."""
    change = {"last_delivery": now, "failures": 0, "last_error": ""}
    await db.execute(update(HubSubscriberRow).where(HubSubscriberRow.id == sent.subscriber_id).values(change))
    mine = HubDeliveryRow.subscriber_id == sent.subscriber_id
    await db.execute(delete(HubDeliveryRow).where(mine, HubDeliveryRow.version <= sent.version))
    await db.execute(update(HubDeliveryRow).where(mine).values(claimed_until=None))


async def failed(db: AsyncConnection, sent: DueDelivery, error: str, again_at: datetime | None) -> None:
    """Not given. It is tried at `again_at`, or not before the topic changes again; it stays subscribed (WebSub 7)."""
    change = {"failures": HubSubscriberRow.failures + 1, "last_error": error}
    await db.execute(update(HubSubscriberRow).where(HubSubscriberRow.id == sent.subscriber_id).values(change))
    mine = HubDeliveryRow.subscriber_id == sent.subscriber_id
    if again_at is None:
        await db.execute(delete(HubDeliveryRow).where(mine, HubDeliveryRow.version <= sent.version))
        await db.execute(update(HubDeliveryRow).where(mine).values(claimed_until=None))
        return
    retry = {"due_at": again_at, "attempts": sent.attempts + 1, "claimed_until": None}
    await db.execute(update(HubDeliveryRow).where(mine, HubDeliveryRow.version <= sent.version).values(retry))
    fresh = {"claimed_until": None}
    await db.execute(update(HubDeliveryRow).where(mine, HubDeliveryRow.version > sent.version).values(fresh))


async def end(db: AsyncConnection, subscriber_id: int) -> None:
    await db.execute(delete(HubDeliveryRow).where(HubDeliveryRow.subscriber_id == subscriber_id))
    await db.execute(delete(HubSubscriberRow).where(HubSubscriberRow.id == subscriber_id))


async def drop_expired(db: AsyncConnection, now: datetime) -> int:
    """Ends the subscriptions whose lease is over (WebSub 5.3: it must be enforced), and documents nobody waits for."""
    over = select(HubSubscriberRow.id).where(HubSubscriberRow.expires_at <= now)
    await db.execute(delete(HubDeliveryRow).where(HubDeliveryRow.subscriber_id.in_(over)))
    ended = await db.execute(delete(HubSubscriberRow).where(HubSubscriberRow.expires_at <= now))
    wanted = select(HubSubscriberRow.topic_key)
    await db.execute(delete(HubContentRow).where(HubContentRow.topic_key.not_in(wanted)))
    return ended.rowcount


async def counts(db: AsyncConnection) -> tuple[int, int]:
    """How many subscribers there are, and how many deliveries wait."""
    subscribers = (await db.execute(select(func.count()).select_from(HubSubscriberRow))).scalar_one()
    return subscribers, (await db.execute(select(func.count()).select_from(HubDeliveryRow))).scalar_one()


_alive = HubSubscriberRow.expires_at > bindparam("now", type_=HubSubscriberRow.expires_at.type)
_TOPICS_WITH_SUBSCRIBERS = (
    select(HubSubscriberRow.topic_key)
    .where(HubSubscriberRow.topic_key.in_(bindparam("keys", expanding=True)), _alive)
    .distinct()
)
_ANYBODY = select(HubSubscriberRow.id).where(_alive).limit(1)
_FEEDS_WITH_SUBSCRIBERS = (
    select(FeedRow.id)
    .join(HubSubscriberRow, HubSubscriberRow.topic_key.in_((FeedRow.url_key, FeedRow.self_key)))
    .where(FeedRow.id.in_(bindparam("feeds", expanding=True)), _alive)
    .distinct()
)


async def _upsert(db: AsyncConnection, table: Any, values: Any, key: tuple[str, ...]) -> None:
    dialect = postgresql if db.dialect.name == "postgresql" else sqlite
    rows = values if isinstance(values, list) else [values]
    statement: Any = dialect.insert(table)
    changed = {name: statement.excluded[name] for name in rows[0] if name not in key}
    if table is HubDeliveryRow:
        # A claim in somebody's hand stays: it is released with that delivery's outcome.
        changed["due_at"] = statement.excluded["due_at"]
    await db.execute(statement.on_conflict_do_update(index_elements=list(key), set_=changed), rows)
