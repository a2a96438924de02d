"""Walks through the history of sources: asking for one, taking the next page in hand, and how far each got."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal
from urllib.parse import urlsplit

from sqlalchemy import ColumnElement, and_, case, delete, func, insert, literal, select, text, update
from sqlalchemy.ext.asyncio import AsyncConnection

from lifestream.store.tables import AnyRow, BackfillRow, Instant, SourceRow
from lifestream.types import Source

HOLD = timedelta(seconds=60)
"""Longer than a page may take (backfill.py)."""
REST = timedelta(seconds=1)
"""Between two pages of one host."""
HOSTS_LOCK = 0x686F7374  # "host"


@dataclass(frozen=True, slots=True)
class Backfill:
    """A walk as it stands: `pages` read, with so many `entries`, of which so many were `added`; `next_url` is next."""

    source_id: int
    slug: str
    state: Literal["walking", "stopped", "failed", "done"]
    next_url: str
    host: str
    pages: int
    entries: int
    added: int
    oldest: datetime | None
    visited: bytes
    error: str
    attempts: int
    due_at: datetime | None
    claimed_until: datetime | None

    def wait(self, now: datetime) -> float:
        """Seconds until the next page may be fetched; not positive when it may be now."""
        return max(((at - now).total_seconds() for at in (self.due_at, self.claimed_until) if at), default=0.0)


async def of(db: AsyncConnection, source: Source) -> Backfill | None:
    """The source's walk, whatever became of it; None when nobody ever asked for one."""
    row = (await db.execute(_WALKS.where(BackfillRow.source_id == source.id))).one_or_none()
    return _backfill(row) if row else None


async def ask(db: AsyncConnection, source: Source, front: str, now: datetime) -> Backfill:
    """Begins at the page `front`, or goes on where a walk stopped or failed. One that is on its way is left alone."""
    await _take_turns(db)
    there = await of(db, source)
    if there is None:
        values = {"source_id": source.id, "visited": b""}
        await db.execute(insert(BackfillRow).values(values | _from_the_front(front, now)))
    elif there.state == "done":
        await _change(db, source.id, **_from_the_front(front, now), visited=b"")
    elif there.state != "walking":
        await _change(db, source.id, state="walking", error="", attempts=0, due_at=now)
    asked = await of(db, source)
    assert asked is not None
    return asked


async def claim(db: AsyncConnection, now: datetime, limit: int, *, only: int | None = None) -> list[Backfill]:
    """Takes up to `limit` due walks in hand, of a host each; `only` that of one source.

    What belongs to the same host is held with it: nobody is asked two things at once.
    """
    await _take_turns(db)
    in_hand = select(BackfillRow.host).where(BackfillRow.claimed_until > now)
    due = _WALKS.where(BackfillRow.due_at <= now, BackfillRow.host.not_in(in_hand))
    if only is not None:
        due = due.where(BackfillRow.source_id == only)
    first: dict[str, AnyRow] = {}
    for row in await db.execute(due.order_by(BackfillRow.due_at, BackfillRow.source_id)):
        first.setdefault(row.host, row)
    taken = list(first.values())[:limit]
    hosts = [row.host for row in taken]
    await db.execute(update(BackfillRow).where(BackfillRow.host.in_(hosts)).values(claimed_until=now + HOLD))
    return [_backfill(row, claimed_until=now + HOLD) for row in taken]


async def still_mine(db: AsyncConnection, walk: Backfill) -> bool:
    """Whether `walk` is in our hands yet: its claim may have ended, or its source may be gone. It stays so to the end
    of this transaction."""
    await _take_turns(db)
    mine = and_(BackfillRow.source_id == walk.source_id, BackfillRow.claimed_until == walk.claimed_until)
    return (await db.execute(select(BackfillRow.source_id).where(mine))).one_or_none() is not None


async def put_down(
    db: AsyncConnection, walk: Backfill, now: datetime, *, due_at: datetime | None, **changed: Any
) -> None:
    """Lets go of a walk that is `still_mine`, with what changed. All else of its host waits as long as it must.

    One that was stopped meanwhile is not due again.
    """
    host = _host(changed.get("next_url", walk.next_url))
    rest = literal(now + REST, Instant)
    mates = and_(BackfillRow.host == walk.host, BackfillRow.source_id != walk.source_id)
    later = case((BackfillRow.due_at < rest, rest), else_=BackfillRow.due_at)
    await db.execute(update(BackfillRow).where(mates).values(claimed_until=None, due_at=later))
    await _change(
        db, walk.source_id, **changed, host=host,
        due_at=case((BackfillRow.state == "walking", literal(due_at, Instant)), else_=None),
        claimed_until=None if host == walk.host else _claim_of(host, now),
    )  # fmt: skip


async def stop(db: AsyncConnection, source_id: int) -> None:
    """Nobody goes on with it until it is asked for again."""
    walking = and_(BackfillRow.source_id == source_id, BackfillRow.state == "walking")
    await db.execute(update(BackfillRow).where(walking).values(state="stopped", due_at=None))


async def forget(db: AsyncConnection, source_id: int) -> None:
    """Nobody goes on with it, and the next one begins at the front. A page that is being read is not taken in."""
    await db.execute(delete(BackfillRow).where(BackfillRow.source_id == source_id))


_WALKS = select(
    BackfillRow.source_id, SourceRow.slug, BackfillRow.state, BackfillRow.next_url, BackfillRow.host,
    BackfillRow.pages, BackfillRow.entries, BackfillRow.added, BackfillRow.oldest, BackfillRow.visited,
    BackfillRow.error, BackfillRow.attempts, BackfillRow.due_at, BackfillRow.claimed_until,
).join(SourceRow, SourceRow.id == BackfillRow.source_id)  # fmt: skip


def _from_the_front(front: str, now: datetime) -> dict[str, Any]:
    host = _host(front)
    return {
        "state": "walking", "next_url": front, "host": host, "pages": 0, "entries": 0, "added": 0, "oldest": None,
        "error": "", "attempts": 0, "due_at": now, "claimed_until": _claim_of(host, now),
    }  # fmt: skip


def _host(url: str) -> str:
    """Scheme, name and port: what politeness counts as one."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.lower()}"


def _claim_of(host: str, now: datetime) -> ColumnElement[Any]:
    """Until when somebody has another walk of this host in hand."""
    held = select(func.max(BackfillRow.claimed_until)).where(BackfillRow.host == host, BackfillRow.claimed_until > now)
    return held.correlate(None).scalar_subquery()


async def _change(db: AsyncConnection, source_id: int, **values: Any) -> None:
    await db.execute(update(BackfillRow).where(BackfillRow.source_id == source_id).values(**values))


async def _take_turns(db: AsyncConnection) -> None:
    """Which hosts are in hand is read and written by one transaction at a time. SQLite has one writer anyway."""
    if db.dialect.name == "postgresql":
        await db.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": HOSTS_LOCK})


def _backfill(row: AnyRow, **changed: Any) -> Backfill:
    return Backfill(**(dict(row._mapping) | changed))
