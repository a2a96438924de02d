"""A source that lives for a second, to try out the way of a push. It is private: no visitor, feed or hub sees it."""

from datetime import datetime

from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from lifestream.store import sources, subscriptions
from lifestream.store.tables import EntryRow, FeedRow, SubscriptionRow
from lifestream.types import Source


async def begin(db: AsyncConnection, tried: Source, url: str, token: str, secret: str, now: datetime) -> Source:
    """With a subscription as if its hub had verified. Nobody ever looks at `url`."""
    slug = await sources.add_feed(
        db, url, now=now, title=f"Test of {tried.title}"[:200], slug="", visibility="private", hub_choice="none"
    )
    source = await sources.get(db, slug, audience="owner")
    assert source.feed_id is not None
    await db.execute(update(FeedRow).where(FeedRow.id == source.feed_id).values(discovered=True, due_at=None))
    await sources.change(db, source, state="active")
    await subscriptions.add(db, feed_id=source.feed_id, hub_url=url, topic=url, token=token, secret=secret, now=now)
    mine = SubscriptionRow.token == token
    await db.execute(update(SubscriptionRow).where(mine).values(state="active", asking="", due_at=None))
    return source


async def stored(db: AsyncConnection, source: Source) -> bool:
    query = select(EntryRow.id).where(EntryRow.source_id == source.id)
    return (await db.execute(query.limit(1))).first() is not None


async def end(db: AsyncConnection, source: Source, now: datetime) -> None:
    """It goes as every removed source does, but that there is no hub to be told."""
    mine = SubscriptionRow.feed_id == source.feed_id
    await db.execute(update(SubscriptionRow).where(mine).values(state="ended", asking="", due_at=None))
    await sources.remove(db, source, now)
