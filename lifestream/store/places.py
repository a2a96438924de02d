"""Where entries happened. An index of those few that carry a place answers, however many there are beside them."""

from sqlalchemy import ColumnElement, and_, func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from lifestream.store import gate
from lifestream.store.rows import STORED, to_stored
from lifestream.store.tables import EntryRow, SourceRow
from lifestream.types import Audience, Stored


async def newest(db: AsyncConnection, *, audience: Audience, limit: int) -> list[Stored]:
    """The newest entries whose place is shown, newest first."""
    query = (
        select(*STORED)
        .join(SourceRow, SourceRow.id == EntryRow.source_id)
        .where(_shown(audience))
        .order_by(EntryRow.ordered_at.desc(), EntryRow.id.desc())
        .limit(limit)
    )
    return [to_stored(row) for row in await db.execute(query)]


async def count(db: AsyncConnection, *, audience: Audience) -> int:
    query = select(func.count()).select_from(EntryRow).join(SourceRow, SourceRow.id == EntryRow.source_id)
    found: int = (await db.execute(query.where(_shown(audience)))).scalar_one()
    return found


def _shown(audience: Audience) -> ColumnElement[bool]:
    """An entry that was deleted has lost its place too."""
    return and_(EntryRow.lat.is_not(None), SourceRow.places, gate.readable(audience))
