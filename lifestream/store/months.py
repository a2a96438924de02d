"""The public entries month by month (UTC), for the sitemap."""

from collections.abc import Sequence
from datetime import UTC, datetime

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from lifestream.clean.columns import moment_of
from lifestream.store import days
from lifestream.store.tables import EntryRow, SourceRow
from lifestream.view.calendar import Span

MOST = 50_000
"""Addresses in one sitemap (https://www.sitemaps.org/protocol.html)."""


async def with_entries(db: AsyncConnection, now: datetime) -> list[Span]:
    """The months that have any, newest first."""
    oldest: datetime | None = (await db.execute(select(func.min(EntryRow.ordered_at)))).scalar_one()
    if oldest is None:
        return []
    spans = [month(oldest.year, oldest.month)]
    while spans[-1].end <= now:
        spans.append(month(spans[-1].end.year, spans[-1].end.month))
    counts = await days.counts(db, spans, audience="public")
    return [span for span, count in zip(spans, counts, strict=True) if count][::-1]


async def public_ids(db: AsyncConnection, span: Span) -> Sequence[tuple[str, datetime]]:
    """The newest entries of a month, and when each last changed."""
    query = (
        select(EntryRow.public_id, EntryRow.seq)
        .join(SourceRow, SourceRow.id == EntryRow.source_id)
        .where(EntryRow.ordered_at >= span.start, EntryRow.ordered_at < span.end, EntryRow.deleted_by == "")
        .where(SourceRow.visibility == "public")
        .order_by(EntryRow.ordered_at.desc(), EntryRow.id.desc())
        .limit(MOST)
    )
    return [(row.public_id, moment_of(row.seq)) for row in await db.execute(query)]


def month(year: int, number: int) -> Span:
    after = (year + 1, 1) if number == 12 else (year, number + 1)
    return Span(datetime(year, number, 1, tzinfo=UTC), datetime(*after, 1, tzinfo=UTC))
