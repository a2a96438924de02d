"""SQLite without a thread for each statement: what SQLAlchemy's aiosqlite dialect needs, on `sqlite3` itself.

An indexed look-up in a local file takes some 20 µs; handing it to a thread and back takes 150 to 300, and a transaction
has a dozen. So statements run where they are called. Two things may wait for long and do not: COMMIT, which waits for
the disk, runs in a thread unless the disk has proved quick; and BEGIN IMMEDIATE, which waits for another process, is
tried again from the event loop.
Queries that may read very much go through aiosqlite and its thread instead (`Store.read(long=True)`).
"""

import asyncio
import sqlite3
from collections.abc import Callable, Iterable, Sequence
from time import monotonic
from typing import Any

LOCKED = {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_BUSY | (1 << 8), sqlite3.SQLITE_LOCKED}
TRY_AGAIN = 0.005
QUICK = 0.002
SLOW_FOR = 100


class InlineCursor:
    def __init__(self, connection: "InlineConnection") -> None:
        self._connection = connection
        self._cursor = connection.raw.cursor()

    async def __aenter__(self) -> "InlineCursor":
        return self

    async def execute(self, sql: str, parameters: Sequence[Any] = ()) -> "InlineCursor":
        if sql.startswith("BEGIN"):
            await self._connection.wait_for_turn(lambda: self._cursor.execute(sql, parameters))
        else:
            self._cursor.execute(sql, parameters)
        return self

    async def executemany(self, sql: str, parameters: Iterable[Sequence[Any]]) -> "InlineCursor":
        self._cursor.executemany(sql, parameters)
        return self

    async def fetchall(self) -> list[Any]:
        return self._cursor.fetchall()

    async def fetchone(self) -> Any:
        return self._cursor.fetchone()

    async def close(self) -> None:
        self._cursor.close()

    @property
    def description(self) -> Any:
        return self._cursor.description

    @property
    def rowcount(self) -> int:
        return self._cursor.rowcount

    @property
    def lastrowid(self) -> int | None:
        return self._cursor.lastrowid


class InlineConnection:
    """`busy_seconds`: how long to wait for another process's transaction before "database is locked"."""

    def __init__(self, raw: sqlite3.Connection, busy_seconds: float) -> None:
        self.raw = raw
        self._busy_seconds = busy_seconds
        self._committing = False
        self._disk_is_slow = SLOW_FOR
        self.waits_for_disk = True
        self._connection: sqlite3.Connection | None = raw  # the dialect looks whether it is there

    def cursor(self) -> InlineCursor:
        return InlineCursor(self)

    def run(self, *statements: str) -> None:
        for sql in statements:
            self.raw.execute(sql)

    def data_version(self) -> int | None:
        """A number that changes when another connection commits; None while a COMMIT of ours is on its way."""
        if self._committing or self._connection is None:
            return None
        version: int = self.raw.execute("PRAGMA data_version").fetchone()[0]
        return version

    async def create_function(self, *arguments: Any, **named: Any) -> None:
        self.raw.create_function(*arguments, **named)

    async def commit(self) -> None:
        if not self.raw.in_transaction:
            return
        if self.waits_for_disk and self._disk_is_slow > 0:
            self._committing = True
            try:
                await _finished(asyncio.to_thread(self._timed_commit))
            finally:
                self._committing = False
        else:
            self._timed_commit()

    def _timed_commit(self) -> None:
        """A quick disk answers sooner than a thread would; one slow answer, and the next hundred go through one."""
        started = monotonic()
        self.raw.commit()
        self._disk_is_slow = SLOW_FOR if monotonic() - started > QUICK else self._disk_is_slow - 1

    async def rollback(self) -> None:
        self.raw.rollback()

    async def close(self) -> None:
        self._connection = None
        self.raw.close()

    def stop(self) -> None:
        self._connection = None
        self.raw.close()

    @property
    def closed(self) -> bool:
        return self._connection is None

    async def wait_for_turn(self, begin: Callable[[], object]) -> None:
        loop = asyncio.get_running_loop()
        deadline = loop.time() + self._busy_seconds
        while True:
            try:
                begin()
                return
            except sqlite3.OperationalError as error:
                if error.sqlite_errorcode not in LOCKED or loop.time() > deadline:
                    raise
            await asyncio.sleep(TRY_AGAIN)


async def _finished(work: Any) -> None:
    """Waits for `work` even when cancelled: a connection must not be used while its COMMIT is on its way."""
    task = asyncio.ensure_future(work)
    cancelled: asyncio.CancelledError | None = None
    while not task.done():
        try:
            await asyncio.shield(task)
        except asyncio.CancelledError as error:
            cancelled = error
    task.result()
    if cancelled is not None:
        raise cancelled
