"""The durable inbox: what arrives is on disk before it is acknowledged.

`Inbox.put` returns once the notification is committed; many share a commit (store/together.py).
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Literal, Protocol

from sqlalchemy import delete, insert, update
from sqlalchemy.ext.asyncio import AsyncConnection

from lifestream.store import bells, due, feeds
from lifestream.store.among import among
from lifestream.store.database import Store
from lifestream.store.tables import AnyRow, InboxRow
from lifestream.store.together import Together
from lifestream.types import Source

HOLD = timedelta(seconds=60)
MOST_IN_ONE_COMMIT = 500
MOST_ATTEMPTS = 3


@dataclass(frozen=True, slots=True)
class LookAt:
    """Something may be new there: a ping, a hub's push without its document, or what a cloud tells."""

    feed_id: int
    via: Literal["ping", "push", "cloud"]


@dataclass(frozen=True, slots=True)
class Document:
    """A document pushed to us whose signature is right."""

    feed_id: int
    body: bytes
    media_type: str


Notification = LookAt | Document


DueLook = tuple[feeds.DueFeed, Source | None]


class Looks(Protocol):
    """Who looks at feeds in this process, if anybody does (receive/timer.py)."""

    async def claim(self, db: AsyncConnection) -> Sequence[DueLook]: ...

    def start(self, items: Sequence[DueLook]) -> None: ...


class Inbox:
    """`looks` is told of a look as it is put down, so that a ping does not have to wait for another transaction."""

    def __init__(self, store: Store) -> None:
        self.looks: Looks | None = None
        self._store = store
        self._together = Together(self._commit, MOST_IN_ONE_COMMIT)

    async def put(self, notification: Notification) -> None:
        """Returns when it is on disk; raises what the database raised when it is not."""
        await self._together.ask(notification)

    async def _commit(self, notifications: Sequence[Notification]) -> Sequence[None]:
        now = datetime.now(UTC)
        documents = [one for one in notifications if isinstance(one, Document)]
        looks = [one for one in notifications if isinstance(one, LookAt)]
        claimed: Sequence[DueLook] = []
        counts = Counter(look.feed_id for look in looks)
        async with self._store.begin(rings=[bells.INBOX] * bool(documents)) as db:
            if documents:
                await db.execute(_INSERT, [_row(one, now) for one in documents])
            if looks:
                vias = {look.feed_id: look.via for look in looks}
                await feeds.ask(db, {feed_id: (counts[feed_id], vias[feed_id]) for feed_id in counts}, now)
                claimed = await self.looks.claim(db) if self.looks else []
        if self.looks:
            self.looks.start(claimed)
        if counts.keys() - {feed.id for feed, _ in claimed}:  # the others must wait their turn
            self._store.bells.ring(bells.FEEDS)
        return [None] * len(notifications)


async def claim(db: AsyncConnection, now: datetime, limit: int) -> Sequence[AnyRow]:
    return await due.claim(db, InboxRow, now=now, limit=limit, hold=HOLD)


async def done(db: AsyncConnection, ids: Sequence[int]) -> None:
    await db.execute(_DONE, {"rows": list(ids)})


async def again(db: AsyncConnection, row_id: int, at: datetime) -> None:
    """Puts a document back that could not be worked off."""
    await db.execute(
        update(InboxRow)
        .where(InboxRow.id == row_id)
        .values(due_at=at, attempts=InboxRow.attempts + 1, claimed_until=None)
    )


def _row(document: Document, now: datetime) -> dict[str, Any]:
    return {
        "feed_id": document.feed_id,
        "body": document.body,
        "media_type": document.media_type,
        "received_at": now,
        "due_at": now,
    }


_INSERT = insert(InboxRow)
_DONE = delete(InboxRow).where(among(InboxRow.id, "rows"))
