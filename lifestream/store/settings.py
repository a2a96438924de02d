"""What the owner chose on the settings page, a fact for each field; and his picture, which is in every copy of the
database and here for every process.
"""

from base64 import b64decode, b64encode
from collections.abc import Mapping
from hashlib import blake2b

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from lifestream.config import CHOSEN
from lifestream.store import owner
from lifestream.store.tables import FactRow

FACT = "setting:"
"""Before a field's name; the values are JSON."""
PICTURE = "owner_picture"


async def chosen(db: AsyncConnection) -> Mapping[str, str]:
    return {row.name.removeprefix(FACT): row.value for row in await db.execute(_CHOSEN)}


async def choose(db: AsyncConnection, field: str, value: str | None) -> None:
    """None: what is the default holds again."""
    if value is None:
        await owner.drop_fact(db, FACT + field)
    else:
        await owner.set_fact(db, FACT + field, value)


async def picture(db: AsyncConnection) -> bytes | None:
    kept = await owner.fact(db, PICTURE)
    return None if kept is None else b64decode(kept)


async def put_picture(db: AsyncConnection, content: bytes | None) -> None:
    """None: there is none any more."""
    if content is None:
        await owner.drop_fact(db, PICTURE)
        await choose(db, "picture", None)
    else:
        await owner.set_fact(db, PICTURE, b64encode(content).decode())
        await choose(db, "picture", f'"{version_of(content)}"')


def version_of(picture: bytes) -> str:
    return blake2b(picture, digest_size=8).hexdigest()


_CHOSEN = select(FactRow.name, FactRow.value).where(FactRow.name.in_([FACT + field for field in CHOSEN]))
