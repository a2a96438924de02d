"""Calls that may be made twice and count once: the `Idempotency-Key` of POST /api/entries."""

from datetime import datetime, timedelta

from sqlalchemy import delete, insert, select, text
from sqlalchemy.ext.asyncio import AsyncConnection

from lifestream.store.tables import EntryRow, IdempotencyRow

KEPT = timedelta(days=7)
KEY_LOCKS = 0x69646D  # "idm"


async def used(db: AsyncConnection, key: str) -> str | None:
    """The id of the entry that this key made, if it was used. On PostgreSQL two calls with one key take turns here."""
    if db.dialect.name == "postgresql":
        lock = text("SELECT pg_advisory_xact_lock(:space, hashtext(:key))")
        await db.execute(lock, {"space": KEY_LOCKS, "key": key})
    query = select(EntryRow.public_id).join(IdempotencyRow, IdempotencyRow.entry_id == EntryRow.id)
    return (await db.execute(query.where(IdempotencyRow.key == key))).scalar_one_or_none()


async def remember(db: AsyncConnection, key: str, public_id: str, now: datetime) -> None:
    await db.execute(delete(IdempotencyRow).where(IdempotencyRow.created_at < now - KEPT))
    entry_id = select(EntryRow.id).where(EntryRow.public_id == public_id).scalar_subquery()
    await db.execute(insert(IdempotencyRow).values(key=key, entry_id=entry_id, created_at=now))
