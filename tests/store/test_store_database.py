"""Transactions, bells, and what SQLite is told when a connection opens."""

import asyncio
import sqlite3
import sys
from pathlib import Path

import pytest
from sqlalchemy import text
from sqlalchemy.exc import OperationalError, SQLAlchemyError

from lifestream.config import Config
from lifestream.errors import SetupError
from lifestream.site import Site
from lifestream.store import bells, owner, sqlite_version
from lifestream.store.database import Store
from lifestream.store.migrate import migrate
from tests.fakes import until
from tests.store.story import local_source, note, titles

SET_FACT = """
import asyncio, sys
from pathlib import Path
from lifestream.store.database import Store
from lifestream.store import owner

async def main():
    store = Store("", Path(sys.argv[1]))
    async with store.begin() as db:
        await owner.set_fact(db, "mood", "good")
    await store.aclose()

asyncio.run(main())
"""


on_sqlite = pytest.mark.parametrize("database", ["sqlite"], indirect=True)
"""About what only SQLite has."""


@pytest.fixture
def sqlite_only(config: Config) -> Path:
    assert config.sqlite_path is not None
    return config.sqlite_path


async def fact(store: Store, name: str) -> str | None:
    async with store.read() as db:
        return await owner.fact(db, name)


async def pragma(store: Store, name: str) -> object:
    """As a connection that may write has it."""
    async with store.engine.connect() as connection:
        return (await connection.execute(text(f"PRAGMA {name}"))).scalar_one()


async def test_what_a_transaction_wrote_is_there_for_other_connections_when_it_ends(site: Site) -> None:
    async with site.store.begin() as db:
        await owner.set_fact(db, "mood", "good")
        assert await fact(site.store, "mood") is None
    assert await fact(site.store, "mood") == "good"


async def test_a_transaction_that_fails_leaves_nothing_and_rings_nothing(site: Site) -> None:
    strokes = site.store.bells[bells.LOG].strokes
    with pytest.raises(ZeroDivisionError):
        async with site.store.begin(rings=[bells.LOG]) as db:
            await owner.set_fact(db, "mood", "good")
            raise ZeroDivisionError
    assert await fact(site.store, "mood") is None
    assert site.store.bells[bells.LOG].strokes == strokes


async def test_a_transaction_that_is_cancelled_leaves_nothing_and_the_next_one_works(site: Site) -> None:
    inside = asyncio.Event()

    async def write() -> None:
        async with site.store.begin(rings=[bells.LOG]) as db:
            await owner.set_fact(db, "mood", "good")
            inside.set()
            await asyncio.Event().wait()

    task = asyncio.create_task(write())
    await inside.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert await fact(site.store, "mood") is None
    async with site.store.begin() as db:
        await owner.set_fact(db, "mood", "better")
    assert await fact(site.store, "mood") == "better"


async def test_bells_ring_only_after_the_commit(site: Site) -> None:
    bell = site.store.bells[bells.LOG]
    async with site.store.begin(rings=[bells.LOG]) as db:
        await owner.set_fact(db, "mood", "good")
        inside = bell.strokes
    assert bell.strokes == inside + 1
    assert site.store.bells[bells.HUB].strokes == 0


async def test_who_waits_for_a_bell_finds_what_it_rang_for(site: Site) -> None:
    bell = site.store.bells[bells.LOG]

    async def wait() -> str | None:
        await bell.heard(heard, timeout=10)
        return await fact(site.store, "mood")

    heard = bell.strokes
    waiting = asyncio.create_task(wait())
    await asyncio.sleep(0)
    async with site.store.begin(rings=[bells.LOG]) as db:
        await owner.set_fact(db, "mood", "good")
    assert await waiting == "good"


async def test_a_bell_that_rang_before_the_wait_is_not_missed(site: Site) -> None:
    bell = site.store.bells[bells.LOG]
    heard = bell.strokes
    bell.ring()
    await bell.heard(heard)


async def test_nobody_waits_for_a_silent_bell_longer_than_agreed(site: Site) -> None:
    bell = site.store.bells[bells.LOG]
    await bell.heard(bell.strokes, timeout=0.001)


@on_sqlite
async def test_reading_cannot_write(site: Site, sqlite_only: Path) -> None:
    for long in (False, True):
        with pytest.raises(OperationalError, match="readonly"):
            async with site.store.read(long=long) as db:
                await owner.set_fact(db, "mood", "good")


@on_sqlite
async def test_a_read_is_one_snapshot(site: Site, sqlite_only: Path) -> None:
    async with site.store.read() as db:
        assert await owner.fact(db, "mood") is None
        async with site.store.begin() as writing:
            await owner.set_fact(writing, "mood", "good")
        assert await owner.fact(db, "mood") is None
    assert await fact(site.store, "mood") == "good"


@on_sqlite
async def test_a_writer_says_at_its_begin_that_it_writes(site: Site, sqlite_only: Path) -> None:
    """Else a read that becomes a write fails at once instead of waiting."""
    other = sqlite3.connect(sqlite_only, timeout=0)
    async with site.store.begin() as db:
        await db.execute(text("SELECT 1"))
        with pytest.raises(sqlite3.OperationalError, match="locked"):
            other.execute("BEGIN IMMEDIATE")
    other.close()


@on_sqlite
async def test_a_writer_waits_for_another_process_without_holding_up_the_loop(site: Site, sqlite_only: Path) -> None:
    other = sqlite3.connect(sqlite_only, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    diary = asyncio.create_task(local_source(site.store))
    for _ in range(20):
        await asyncio.sleep(0)
    assert not diary.done()
    other.execute("COMMIT")
    other.close()
    assert (await diary).slug == "diary"


@on_sqlite
async def test_sqlite_writes_ahead_and_waits_for_the_disk(site: Site, sqlite_only: Path) -> None:
    assert await pragma(site.store, "journal_mode") == "wal"
    assert await pragma(site.store, "synchronous") == 2  # FULL
    assert await pragma(site.store, "foreign_keys") == 1


@on_sqlite
async def test_a_claim_need_not_wait_for_the_disk_and_what_follows_does(site: Site, sqlite_only: Path) -> None:
    async with site.store.begin(durable=False) as db:
        assert (await db.execute(text("PRAGMA synchronous"))).scalar_one() == 1  # NORMAL
        await owner.set_fact(db, "mood", "good")
    assert await fact(site.store, "mood") == "good"
    assert await pragma(site.store, "synchronous") == 2


@on_sqlite
async def test_a_claim_that_fails_leaves_the_next_commit_durable(site: Site, sqlite_only: Path) -> None:
    with pytest.raises(ZeroDivisionError):
        async with site.store.begin(durable=False):
            raise ZeroDivisionError
    assert await pragma(site.store, "synchronous") == 2


@on_sqlite
async def test_a_wal_that_nobody_copies_is_copied_and_begins_anew(
    site: Site, sqlite_only: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lifestream.store.database.LONG_WAL", 100_000)
    wal = sqlite_only.with_name(sqlite_only.name + "-wal")

    async def claims(many: int, word: str) -> int:
        """How long the WAL is after as many commits that are not durable."""
        for number in range(many):
            async with site.store.begin(durable=False) as db:
                await owner.set_fact(db, f"mood{number}", word * 4000)
        return wal.stat().st_size

    long = await claims(20, "good")
    assert long > 200_000
    await site.store.checkpoint()
    assert await claims(10, "well") == long, "it is written from its beginning again"
    assert await fact(site.store, "mood9") == "well" * 4000
    assert await fact(site.store, "mood19") == "good" * 4000


@on_sqlite
async def test_a_wal_is_copied_while_somebody_reads_and_somebody_writes(
    site: Site, sqlite_only: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lifestream.store.database.LONG_WAL", 0)
    async with site.store.read() as db:
        assert await owner.fact(db, "mood") is None
        async with site.store.begin(durable=False) as writing:
            await owner.set_fact(writing, "mood", "good")
            copying = asyncio.create_task(site.store.checkpoint())
            assert await fact(site.store, "mood") is None
        await copying
        assert await owner.fact(db, "mood") is None
    assert await fact(site.store, "mood") == "good"


async def test_a_foreign_key_holds(site: Site) -> None:
    with pytest.raises(SQLAlchemyError):
        async with site.store.begin() as db:
            await db.execute(text("INSERT INTO idempotency_keys (key, entry_id, created_at) VALUES ('k', 12345, 0)"))


async def test_many_at_once_get_their_turn(site: Site) -> None:
    diary = await local_source(site.store)
    async with asyncio.TaskGroup() as group:
        for number in range(40):
            group.create_task(note(site.store, diary, str(number)))
            group.create_task(titles(site.store))
    assert len(await titles(site.store)) == 40


@on_sqlite
async def test_the_commit_of_another_process_rings_every_bell(site: Site, sqlite_only: Path) -> None:
    watch = asyncio.create_task(site.store.watch())
    await note(site.store, await local_source(site.store), "our own is rung for by who writes it")
    assert not any(site.store.bells[name].strokes for name in bells.NAMES)
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", SET_FACT, str(sqlite_only))
    assert await process.wait() == 0
    await until(lambda: all(site.store.bells[name].strokes for name in bells.NAMES))
    assert await fact(site.store, "mood") == "good"
    watch.cancel()
    with pytest.raises(asyncio.CancelledError):
        await watch


def test_sqlalchemy_uses_the_sqlite_that_was_put_in_place() -> None:
    import aiosqlite.core

    assert aiosqlite.core.sqlite3 is sys.modules["sqlite3"]  # type: ignore[attr-defined]
    assert sys.modules["sqlite3"].sqlite_version_info == sqlite_version()


@on_sqlite
async def test_the_version_that_is_told_is_the_one_that_runs(site: Site, sqlite_only: Path) -> None:
    for store_reads in (site.store.read(), site.store.read(long=True), site.store.begin()):
        async with store_reads as db:
            version = (await db.execute(text("SELECT sqlite_version()"))).scalar_one()
            assert tuple(map(int, version.split("."))) == sqlite_version()


# -- what cannot be used ----------------------------------------------------------------------


async def refusal(path: Path) -> str:
    """What `migrate` says of such a database."""
    with pytest.raises(SetupError) as caught:
        store = Store("", path)
        try:
            await migrate(store)
        finally:
            await store.aclose()
    return str(caught.value)


def one_sentence(message: str) -> bool:
    return "\n" not in message and message.endswith(".") and "Traceback" not in message


async def test_a_file_that_is_no_database_is_refused_in_one_sentence(tmp_path: Path) -> None:
    path = tmp_path / "letter.txt"
    path.write_text("Dear database,\n" * 200)
    message = await refusal(path)
    assert one_sentence(message) and str(path) in message and "not a database" in message
    assert path.read_text().startswith("Dear database")


async def test_a_directory_is_refused_in_one_sentence(tmp_path: Path) -> None:
    message = await refusal(tmp_path)
    assert one_sentence(message) and str(tmp_path) in message


async def test_a_folder_that_cannot_be_made_is_refused_in_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    message = await refusal(tmp_path / "file" / "data" / "lifestream.sqlite3")
    assert one_sentence(message) and str(tmp_path / "file" / "data") in message


async def test_a_database_that_may_not_be_written_is_refused_in_one_sentence(tmp_path: Path) -> None:
    path = tmp_path / "lifestream.sqlite3"
    path.write_bytes(b"")
    path.chmod(0o400)
    if _may_write(path):
        pytest.skip("this user may write everything")
    message = await refusal(path)
    assert one_sentence(message) and str(path) in message


async def test_a_database_that_somebody_else_holds_is_refused_in_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lifestream.store.database.BUSY_SECONDS", 0.0)
    path = tmp_path / "lifestream.sqlite3"
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("PRAGMA journal_mode = WAL")
    other.execute("BEGIN IMMEDIATE")
    message = await refusal(path)
    other.close()
    assert one_sentence(message) and "locked" in message


async def test_a_postgresql_that_does_not_answer_is_told_in_one_sentence_without_the_password(tmp_path: Path) -> None:
    store = Store(f"postgresql+psycopg://mara:hunter2@/db?host={tmp_path}", None)
    with pytest.raises(SetupError) as caught:
        await migrate(store)
    await store.aclose()
    message = str(caught.value)
    assert one_sentence(message) and "LIFESTREAM_DATABASE_URL" in message and "hunter2" not in message


def _may_write(path: Path) -> bool:
    try:
        path.open("ab").close()
    except OSError:
        return False
    return True
