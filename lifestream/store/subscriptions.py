"""Our subscriptions at other people's hubs and clouds: asking, being verified, leases, leaving."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal

from sqlalchemy import bindparam, delete, insert, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from lifestream.store import due
from lifestream.store.tables import AnyRow, FeedRow, SourceRow, SubscriptionRow

HOLD = timedelta(seconds=90)
Way = Literal["websub", "rsscloud"]


@dataclass(frozen=True, slots=True)
class Subscription:
    """`asking` is what the hub was last asked and has not verified: "subscribe", "unsubscribe" or ""."""

    id: int
    feed_id: int
    kind: Way
    hub_url: str
    topic: str
    token: str
    secret: str
    state: str
    asking: str
    asked_at: datetime | None
    expires_at: datetime | None
    attempts: int

    @property
    def wanted(self) -> bool:
        return self.state in ("pending", "active", "denied")


async def of_feed(db: AsyncConnection, feed_id: int) -> list[Subscription]:
    rows = await db.execute(_OF_FEED, {"feed": feed_id})
    return [_subscription(row) for row in rows]


async def by_token(db: AsyncConnection, token: str) -> Subscription | None:
    row = (await db.execute(_BY_TOKEN, {"token": token})).one_or_none()
    return None if row is None else _subscription(row)


async def at_a_cloud(db: AsyncConnection, feed_url: str) -> list[Subscription]:
    """Those that an rssCloud may tell of `feed_url`."""
    rows = await db.execute(_AT_A_CLOUD, {"topic": feed_url.replace("\0", "")})  # PostgreSQL's text cannot hold it
    return [_subscription(row) for row in rows]


async def add(
    db: AsyncConnection,
    *,
    feed_id: int,
    hub_url: str,
    topic: str,
    token: str,
    secret: str,
    now: datetime,
    kind: Way = "websub",
) -> None:
    """A subscription that is to be asked for at once; committed before the hub is asked, which may verify first."""
    values = {
        "feed_id": feed_id, "kind": kind, "hub_url": hub_url, "topic": topic, "token": token, "secret": secret,
        "due_at": now,
    }  # fmt: skip
    await db.execute(insert(SubscriptionRow).values(values))


async def leave(db: AsyncConnection, subscription_id: int, now: datetime) -> None:
    """It is no longer wanted: the hub is to be told."""
    values = {"state": "leaving", "asking": "unsubscribe", "due_at": now, "attempts": 0}
    await change(db, subscription_id, **values)


async def leave_all(db: AsyncConnection, feed_id: int, now: datetime) -> None:
    """No hub pushes this feed any more: what comes from one of them is not believed."""
    for one in await of_feed(db, feed_id):
        if one.wanted:
            await leave(db, one.id, now)


async def change(db: AsyncConnection, subscription_id: int, **values: Any) -> None:
    await db.execute(update(SubscriptionRow).where(SubscriptionRow.id == subscription_id).values(values))


async def asked_since(db: AsyncConnection, feed_id: int, since: datetime) -> bool:
    """Whether a hub was asked anything for this feed since then, or is about to be."""
    lately = or_(
        SubscriptionRow.asked_at > since, SubscriptionRow.asked_at.is_(None) & (SubscriptionRow.state != "ended")
    )
    query = select(SubscriptionRow.id).where(SubscriptionRow.feed_id == feed_id, lately)
    return (await db.execute(query.limit(1))).one_or_none() is not None


async def drop_ended(db: AsyncConnection, before: datetime) -> None:
    """Forgets those that ended and of which no hub was asked anything since `before`."""
    long_ago = or_(SubscriptionRow.asked_at.is_(None), SubscriptionRow.asked_at <= before)
    await db.execute(delete(SubscriptionRow).where(SubscriptionRow.state == "ended", long_ago))


async def claim(db: AsyncConnection, now: datetime, limit: int) -> list[Subscription]:
    rows = await due.claim(db, SubscriptionRow, now=now, limit=limit, hold=HOLD)
    return [_subscription(row) for row in rows]


async def feed_url(db: AsyncConnection, subscription: Subscription) -> str:
    """Where its feed is fetched from, also when the source is gone."""
    url: str = (await db.execute(select(FeedRow.url).where(FeedRow.id == subscription.feed_id))).scalar_one()
    return url


async def waiting_sources(db: AsyncConnection, before: datetime) -> Sequence[AnyRow]:
    """Sources still `pending` although their document is here and the hub had since `before` to verify: (id, slug)."""
    query = (
        select(SourceRow.id, SourceRow.slug)
        .join(FeedRow, FeedRow.id == SourceRow.feed_id)
        .where(SourceRow.state == "pending", FeedRow.first_document_at <= before)
    )
    return (await db.execute(query)).all()


_ALL = select(*SubscriptionRow.__table__.columns)
_OF_FEED = _ALL.where(SubscriptionRow.feed_id == bindparam("feed"), SubscriptionRow.state != "ended").order_by(
    SubscriptionRow.id
)
_AT_A_CLOUD = _ALL.where(
    SubscriptionRow.kind == "rsscloud",
    SubscriptionRow.topic == bindparam("topic"),
    SubscriptionRow.state.in_(("pending", "active")),
)
_BY_TOKEN = _ALL.where(SubscriptionRow.token == bindparam("token"))


def _subscription(row: AnyRow) -> Subscription:
    return Subscription(
        id=row.id,
        feed_id=row.feed_id,
        kind=row.kind,
        hub_url=row.hub_url,
        topic=row.topic,
        token=row.token,
        secret=row.secret,
        state=row.state,
        asking=row.asking,
        asked_at=row.asked_at,
        expires_at=row.expires_at,
        attempts=row.attempts,
    )
