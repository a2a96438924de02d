"""Opens the database and hands out transactions: one writer on SQLite, a pool on PostgreSQL.

    async with store.begin(rings=("log",)) as db: ...     # commits at the end, then rings the bells
    async with store.read() as db: ...                    # one snapshot on SQLite; cannot write there

A write commits with fsync unless it says `durable=False`, which is for claims and the like: what is lost of
those at a power cut is done again.
"""

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import event
from sqlalchemy.exc import DBAPIError, OperationalError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine
from sqlalchemy.pool import AsyncAdaptedQueuePool

from lifestream.errors import SetupError
from lifestream.store.bells import Bells
from lifestream.store.inline_sqlite import InlineConnection

BUSY_SECONDS = 10.0
READERS = 4
CHECKPOINT_PAGES = 1000
LONG_WAL = 16 * 2**20
"""Bytes. A longer one is made short again when it can be."""
COPY_WAL = "PRAGMA wal_checkpoint(PASSIVE)"
"""As far as nobody reads what it would write over."""
LOOK_AGAIN = 0.05
"""Seconds between two looks for what another process wrote (SQLite)."""
LISTEN_AGAIN = 1.0


class Store:
    """A database that is open. Close it with `aclose()`."""

    def __init__(self, url: str, sqlite_path: Path | None) -> None:
        self.url = url
        self.sqlite_path = sqlite_path
        self.bells = Bells()
        self.indexing = asyncio.Lock()
        """Held by whoever brings the search index up to date in this process."""
        if sqlite_path is not None:
            try:
                sqlite_path.parent.mkdir(parents=True, exist_ok=True)
            except OSError as error:
                reason = error.strerror or type(error).__name__
                raise SetupError(f"The folder {sqlite_path.parent} cannot be made ({reason}).") from error
            self._writer = _sqlite_engine(sqlite_path, writes=True)
            self._reader = _sqlite_engine(sqlite_path, writes=False)
            self._patient = _sqlite_engine(sqlite_path, writes=False, inline=False)
        else:
            self._writer = self._reader = self._patient = create_async_engine(
                url,
                hide_parameters=True,
                pool_size=10,
                max_overflow=10,
                pool_pre_ping=True,
                connect_args={"connect_timeout": 10},
            )

    @property
    def is_sqlite(self) -> bool:
        return self.sqlite_path is not None

    @property
    def engine(self) -> AsyncEngine:
        return self._writer

    @asynccontextmanager
    async def begin(self, *, rings: Iterable[str] = (), durable: bool = True) -> AsyncIterator[AsyncConnection]:
        """A transaction that may write. On SQLite it is the only one while it lasts, so keep it short."""
        async with self._writer.connect() as connection:
            if durable:
                async with connection.begin():
                    yield connection
            else:
                async with self._relaxed(connection), connection.begin():
                    yield connection
        for name in rings:
            self.bells.ring(name)

    @asynccontextmanager
    async def read(self, *, long: bool = False) -> AsyncIterator[AsyncConnection]:
        """A snapshot to read from. `long`: the query may go through very many rows, and must not hold up the loop."""
        async with (self._patient if long else self._reader).connect() as connection:
            yield connection

    @asynccontextmanager
    async def _relaxed(self, connection: AsyncConnection) -> AsyncIterator[None]:
        """Commits inside do not wait for the disk. SQLite ignores these PRAGMAs inside a transaction: so they go first.

        In WAL mode NORMAL keeps the order of commits and only leaves out the fsync; a checkpoint would bring it back.
        """
        if not self.is_sqlite:  # PostgreSQL's group commit makes it not worth a statement
            yield
            return
        driver = await _driver(connection)
        driver.waits_for_disk = False
        driver.run("PRAGMA synchronous = NORMAL", "PRAGMA wal_autocheckpoint = 0")
        try:
            yield
        finally:
            driver.waits_for_disk = True
            if not driver.closed:  # a transaction that was cancelled while it waited takes its connection with it
                driver.run("PRAGMA synchronous = FULL", f"PRAGMA wal_autocheckpoint = {CHECKPOINT_PAGES}")

    async def checkpoint(self) -> None:
        """Makes SQLite's WAL begin anew if it has become long, as it does while nobody makes a durable commit.

        It does so when nothing is left in it that the database has not. So first most of it is copied while others
        write on, then what they wrote meanwhile, while they wait.
        """
        if self.sqlite_path is None or _wal_size(self.sqlite_path) <= LONG_WAL:
            return
        async with self._patient.connect() as connection:  # has a thread, so that the loop does not wait for the disk
            driver: Any = (await connection.get_raw_connection()).driver_connection
            await driver.execute_fetchall(COPY_WAL)
            async with self._writer.connect():
                await driver.execute_fetchall(COPY_WAL)

    async def watch(self) -> None:
        """Rings every bell when another process has written; runs until cancelled.

        SQLite tells the writer's own connection, through `PRAGMA data_version` (3 µs a call), of all commits but its
        own. On PostgreSQL this is the slow net under the wake-ups: nothing waits longer than a second.
        """
        if not self.is_sqlite:
            while True:
                await asyncio.sleep(LISTEN_AGAIN)
                self.bells.ring_all()
        driver: InlineConnection | None = None
        seen: int | None = None
        while True:
            if driver is None or driver.closed:  # at the start, or the pool has made a new one
                async with self._writer.connect() as connection:
                    driver = await _driver(connection)
                seen = None
            version = driver.data_version()
            if version is not None and version != seen:
                seen = version
                self.bells.ring_all()
            await asyncio.sleep(LOOK_AGAIN)

    async def aclose(self) -> None:
        for engine in {self._writer, self._reader, self._patient}:
            await engine.dispose()


def _sqlite_engine(path: Path, *, writes: bool, inline: bool = True) -> AsyncEngine:
    async def open_inline() -> InlineConnection:
        # A writer waits for its turn without holding up the loop; a reader waits for nobody, but at a recovery.
        raw = sqlite3.connect(
            path, timeout=0.005 if writes else 1.0, isolation_level=None, check_same_thread=False, cached_statements=256
        )
        return InlineConnection(raw, BUSY_SECONDS)

    engine = create_async_engine(
        f"sqlite+aiosqlite:///{path}",
        hide_parameters=True,  # an error in the log must not carry entries or secrets
        poolclass=AsyncAdaptedQueuePool,
        pool_size=1 if writes else READERS,
        max_overflow=0,
        pool_timeout=60,
        **({"async_creator": open_inline} if inline else {"connect_args": {"timeout": BUSY_SECONDS}}),
    )

    @event.listens_for(engine.sync_engine, "connect")
    def opened(connection: Any, _record: Any) -> None:
        if not inline:  # we say BEGIN ourselves: the driver's own would be DEFERRED
            connection.isolation_level = None
        cursor = connection.cursor()
        for pragma in (
            "journal_mode = WAL",
            "foreign_keys = ON",
            "synchronous = FULL",
            f"journal_size_limit = {LONG_WAL}",
            "cache_size = -8000",
            "temp_store = MEMORY",
            "query_only = OFF" if writes else "query_only = ON",
            f"wal_autocheckpoint = {CHECKPOINT_PAGES if writes else 0}",
        ):
            cursor.execute(f"PRAGMA {pragma}")
        cursor.close()
        # The built-in lower() knows ASCII only; who filters by a word beyond it asks for this one.
        connection.create_function("unicode_lower", 1, lowered, deterministic=True)

    @event.listens_for(engine.sync_engine, "begin")
    def begun(connection: Any) -> None:
        # A read that turns into a write in the middle fails at once instead of waiting, so a writer says so first.
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")

    return engine


def _wal_size(path: Path) -> int:
    try:
        return path.with_name(f"{path.name}-wal").stat().st_size
    except FileNotFoundError:
        return 0


def lowered(text: str | None) -> str | None:
    return None if text is None else text.lower()


async def _driver(connection: AsyncConnection) -> InlineConnection:
    driver = (await connection.get_raw_connection()).driver_connection
    assert isinstance(driver, InlineConnection)
    return driver


def explain(error: DBAPIError, sqlite_path: Path | None) -> SetupError:
    """The sentence for a database that cannot be used."""
    reason = str(error.orig).splitlines()[0] if error.orig else type(error).__name__
    if sqlite_path is not None:
        hint = "check that the folder is there, that the disk has room and that you may write to it"
        return SetupError(f"The database {sqlite_path} cannot be used ({reason}); {hint}.")
    if isinstance(error, OperationalError):
        return SetupError(
            f"The PostgreSQL server does not answer ({reason}); check LIFESTREAM_DATABASE_URL and that it runs."
        )
    return SetupError(f"The database answered with an error ({reason}).")
