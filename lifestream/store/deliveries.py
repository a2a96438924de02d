"""What the hub's subscribers are still to be given: for each the newest content of its topic, and when it is due."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from functools import cache
from typing import Any

from sqlalchemy import BigInteger, bindparam, delete, literal, or_, select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncConnection

from lifestream.store import due
from lifestream.store.among import among
from lifestream.store.subscribers import HOLD, Kind, alive, not_crowded, upsert
from lifestream.store.tables import HubContentRow, HubDeliveryRow, HubSubscriberRow


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
    await db.execute(upsert(db.dialect.name, HubContentRow, tuple(values), ("topic_key",)), values)
    newest = {"key": content.topic_key, "version": content.version, "now": now}
    await db.execute(_making_due(db.dialect.name), newest)
    return True


async def claim(
    db: AsyncConnection, now: datetime, limit: int, crowded: Sequence[str] = (), *, doubtful: bool = True
) -> list[DueDelivery]:
    """Those longest due first, but of no host that is `crowded`, and only if wanted of callbacks that are doubtful."""
    claiming = {"now": now, "until": now + HOLD, "most": limit, "crowded": list(crowded), "doubtful_too": doubtful}
    claimed = {row.subscriber_id: row for row in await db.execute(_CLAIM, claiming)}
    if not claimed:
        return []
    subscribed = (await db.execute(_TO_WHOM, {"ids": claimed, "now": now})).all()
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
    making = making.from_select(list(values), select(*values.values()).where(mine, alive))
    changed = {name: making.excluded[name] for name in values if name != "subscriber_id"}
    return making.on_conflict_do_update(index_elements=["subscriber_id"], set_=changed)


# Made once, as in subscribers.py.
_IS_DOUBTFUL = or_(HubSubscriberRow.failures > 0, HubSubscriberRow.last_delivery.is_(None))
_CLAIM = due.claiming(
    HubDeliveryRow,
    not_crowded(HubDeliveryRow),
    or_(HubDeliveryRow.doubtful.is_(False), bindparam("doubtful_too", type_=HubDeliveryRow.doubtful.type)),
).returning(HubDeliveryRow.subscriber_id, HubDeliveryRow.doubtful, HubDeliveryRow.due_at, HubDeliveryRow.attempts)
_WELL = (
    update(HubSubscriberRow)
    .where(among(HubSubscriberRow.id, "ids"))
    .values(last_delivery=bindparam("now", type_=HubSubscriberRow.expires_at.type), failures=0, last_error="")
)
_DONE = delete(HubDeliveryRow).where(
    among(HubDeliveryRow.subscriber_id, "ids"), HubDeliveryRow.version <= bindparam("upto", type_=BigInteger)
)
_FREE = (
    update(HubDeliveryRow).where(among(HubDeliveryRow.subscriber_id, "ids")).values(claimed_until=None, doubtful=False)
)
_TO_WHOM = select(
    HubSubscriberRow.id, HubSubscriberRow.kind, HubSubscriberRow.callback, HubSubscriberRow.host,
    HubSubscriberRow.secret, HubSubscriberRow.algorithm, HubSubscriberRow.topic, HubSubscriberRow.topic_key,
).where(among(HubSubscriberRow.id, "ids"), alive)  # fmt: skip
_CONTENTS = select(
    HubContentRow.topic, HubContentRow.topic_key, HubContentRow.version, HubContentRow.media_type, HubContentRow.body
).where(among(HubContentRow.topic_key, "keys"))
