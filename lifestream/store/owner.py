"""The owner's keys: password, sessions, API tokens; and single facts that have to outlive a restart."""

import asyncio
import hashlib
import hmac
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import bindparam, delete, insert, literal, select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import IntegrityError, SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection

from lifestream.errors import Conflict, InvalidInput, NotFound
from lifestream.log import get_logger
from lifestream.store.database import Store
from lifestream.store.tables import FactRow, SessionRow, TokenRow

log = get_logger(__name__)

SCOPES = ("read", "scrobble", "write", "owner")
SESSION_LASTS = timedelta(days=60)
USED_AGAIN = timedelta(minutes=1)
PASSWORD = "password_hash"
SETUP = "setup_digest"
SERVED_AT = "served_at"
SITE = "site"
WITHDRAWN = "keys_withdrawn"
"""Another value after each token that was revoked and each session that was ended."""
PICTURES = "pictures_key"
"""What the names of pictures are made with, in hex."""
MD5 = "token_md5:"
"""Before a token's digest: the MD5 by which the old scrobble protocols prove that they know the token. A token has 256
random bits, so that neither of its digests leads back to it."""


@dataclass(frozen=True, slots=True)
class Token:
    name: str
    scope: str
    created_at: datetime
    last_used: datetime | None


@dataclass(frozen=True, slots=True)
class Key:
    """A token as it can be recognised without being known: by its digest, its MD5, or the session key made of it.

    `md5` is None for a token that was made before it was kept.
    """

    digest: str
    md5: str | None
    scope: str

    @property
    def session(self) -> str:
        """What a scrobbler is given for the token. It lasts as long as the token does, and is kept nowhere."""
        return hmac.new(self.digest.encode(), b"scrobbler", "sha256").hexdigest()[:32]


class Uses:
    """When tokens were last used: written down beside the requests, of each at most once a minute."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._told: dict[str, datetime] = {}
        self._writing: set[asyncio.Task[None]] = set()

    def note(self, token_digest: str, now: datetime) -> None:
        told = self._told.get(token_digest)
        if told is not None and now - told < USED_AGAIN:
            return
        self._told[token_digest] = now
        task = asyncio.create_task(self._write(token_digest, now))
        self._writing.add(task)
        task.add_done_callback(self._writing.discard)

    async def written(self) -> None:
        """Returns when nothing is left to be written down."""
        await asyncio.gather(*self._writing)

    async def _write(self, token_digest: str, now: datetime) -> None:
        try:
            async with self._store.begin(durable=False) as db:
                await token_used(db, token_digest, now)
        except SQLAlchemyError as error:  # it is only for the owner to see
            log.warning("token", status="use not noted", error=type(error).__name__)


@dataclass(frozen=True, slots=True)
class Session:
    digest: str
    csrf: str


def digest(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()


async def fact(db: AsyncConnection, name: str) -> str | None:
    value: str | None = (await db.execute(_FACT, {"name": name})).scalar_one_or_none()
    return value


async def set_fact(db: AsyncConnection, name: str, value: str) -> None:
    dialect = postgresql if db.dialect.name == "postgresql" else sqlite
    statement = dialect.insert(FactRow).values(name=name, value=value)
    await db.execute(statement.on_conflict_do_update(index_elements=["name"], set_={"value": value}))


async def first_fact(db: AsyncConnection, name: str, value: str) -> str:
    """What was said first, by whichever process: `value` if nothing was yet."""
    dialect = postgresql if db.dialect.name == "postgresql" else sqlite
    await db.execute(dialect.insert(FactRow).values(name=name, value=value).on_conflict_do_nothing())
    said: str = (await db.execute(_FACT, {"name": name})).scalar_one()
    return said


async def drop_fact(db: AsyncConnection, name: str) -> bool:
    return (await db.execute(delete(FactRow).where(FactRow.name == name))).rowcount > 0


async def create_token(db: AsyncConnection, name: str, scope: str, now: datetime) -> str:
    """Makes a token and returns it; it is not kept, only its digest is."""
    if scope not in SCOPES:
        raise InvalidInput(f"“{scope}” is no scope; the scopes are {', '.join(SCOPES)}.")
    if not name.strip() or len(name) > 100:
        raise InvalidInput("A token needs a name of at most 100 characters.")
    token = "ls_" + secrets.token_urlsafe(32)
    try:
        await db.execute(
            insert(TokenRow).values(name=name, digest=digest(token), scope=scope, created_at=now, last_used=None)
        )
    except IntegrityError:
        raise Conflict(f"There is a token “{name}” already; revoke it first or take another name.") from None
    await set_fact(db, MD5 + digest(token), hashlib.md5(token.encode(), usedforsecurity=False).hexdigest())
    return token


async def tokens(db: AsyncConnection) -> Sequence[Token]:
    query = select(TokenRow.name, TokenRow.scope, TokenRow.created_at, TokenRow.last_used).order_by(TokenRow.id)
    rows = await db.execute(query)
    return [Token(row.name, row.scope, row.created_at, row.last_used) for row in rows]


async def revoke_token(db: AsyncConnection, name: str) -> None:
    of_it = select(literal(MD5) + TokenRow.digest).where(TokenRow.name == name)
    await db.execute(delete(FactRow).where(FactRow.name.in_(of_it)))
    if not (await db.execute(delete(TokenRow).where(TokenRow.name == name))).rowcount:
        raise NotFound(f"There is no token “{name}”.")
    await _withdrawn(db)


async def keys(db: AsyncConnection) -> Sequence[Key]:
    return [Key(row.digest, row.value, row.scope) for row in await db.execute(_KEYS)]


async def token_scope(db: AsyncConnection, token: str) -> str | None:
    return (await db.execute(select(TokenRow.scope).where(TokenRow.digest == digest(token)))).scalar_one_or_none()


async def token_used(db: AsyncConnection, token_digest: str, now: datetime) -> None:
    await db.execute(update(TokenRow).where(TokenRow.digest == token_digest).values(last_used=now))


async def open_session(db: AsyncConnection, now: datetime) -> str:
    """Signs the owner in; returns the cookie's value. Old sessions that ended are swept on the way."""
    cookie = secrets.token_urlsafe(32)
    await db.execute(delete(SessionRow).where(SessionRow.expires_at <= now))
    values = {"digest": digest(cookie), "csrf": secrets.token_urlsafe(24), "created_at": now}
    await db.execute(insert(SessionRow).values(values | {"expires_at": now + SESSION_LASTS}))
    return cookie


async def session(db: AsyncConnection, cookie: str, now: datetime) -> Session | None:
    query = select(SessionRow.digest, SessionRow.csrf).where(
        SessionRow.digest == digest(cookie), SessionRow.expires_at > now
    )
    row = (await db.execute(query)).one_or_none()
    return None if row is None else Session(row.digest, row.csrf)


async def close_session(db: AsyncConnection, session_digest: str) -> None:
    await db.execute(delete(SessionRow).where(SessionRow.digest == session_digest))
    await _withdrawn(db)


async def close_all_sessions(db: AsyncConnection) -> None:
    await db.execute(delete(SessionRow))
    await _withdrawn(db)


async def _withdrawn(db: AsyncConnection) -> None:
    await set_fact(db, WITHDRAWN, secrets.token_hex(8))


_KEYS = select(TokenRow.digest, TokenRow.scope, FactRow.value).outerjoin(
    FactRow, FactRow.name == literal(MD5) + TokenRow.digest
)
_FACT = select(FactRow.value).where(FactRow.name == bindparam("name"))
