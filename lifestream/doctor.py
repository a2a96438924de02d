"""`lifestream doctor`: looks at the set-up and says what to do about what is wrong."""

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from ipaddress import ip_address
from urllib.parse import urlsplit

from sqlalchemy import text

from lifestream.config import Config
from lifestream.errors import FetchError, LifestreamError
from lifestream.site import Site, client_for_commands
from lifestream.store import SAFE_SQLITE, owner, pictures, sqlite_version
from lifestream.store.migrate import newest, pending

MIB = 1024 * 1024
DISK_NEEDED = 200 * MIB
CLOCK_SKEW = timedelta(seconds=5)


@dataclass(frozen=True, slots=True)
class Finding:
    check: str
    ok: bool
    says: str


async def examine(config: Config, *, told_where: bool = True) -> list[Finding]:
    """Every check, each on its own: one that fails does not stop the others. Where the base URL was made up, not
    `told_where`, that of the last server counts."""
    site = Site.open(config)
    try:
        database = await _database(site)
        if database.ok and not told_where:
            site = await site.where_it_was_served()
        findings = [database, _sqlite(config), _disk(config), _base_url(site.config), await _redis(site)]
        if database.ok:
            findings += [await _owner(site), await _pictures(site), await _clock(site)]
        findings.append(await _hub(site))
        return findings
    finally:
        await site.aclose()


async def _database(site: Site) -> Finding:
    try:
        old = await pending(site.store)
    except Exception as error:
        return Finding("database", False, f"It cannot be opened: {_first_line(error)}")
    where = site.config.sqlite_path or "PostgreSQL"
    if old:
        return Finding("database", False, f"{where} is not at version {newest()}; run `lifestream migrate`.")
    return Finding("database", True, f"{where}, version {newest()}.")


def _sqlite(config: Config) -> Finding:
    if config.sqlite_path is None:
        return Finding("sqlite", True, "Not used.")
    version = ".".join(map(str, sqlite_version()))
    if sqlite_version() < SAFE_SQLITE:
        return Finding(
            "sqlite", False,
            f"SQLite {version} has a fault that can damage a database which two programs write at the "
            "same instant; it is mended in 3.51.3. Stop the server before other commands that write, or update Python.",
        )  # fmt: skip
    return Finding("sqlite", True, f"SQLite {version}.")


async def _redis(site: Site) -> Finding:
    if site.wire is None:
        if site.config.redis_url:
            return Finding("redis", True, "Not used: SQLite serves one process, which needs none.")
        return Finding("redis", True, "Not used; needed when more than one process serves.")
    try:
        await site.wire.ping()
    except Exception as error:
        return Finding(
            "redis", False, f"LIFESTREAM_REDIS_URL does not answer ({_first_line(error)}) Is the server running?"
        )
    return Finding("redis", True, "It answers.")


def _disk(config: Config) -> Finding:
    place = config.data_dir if config.data_dir.is_dir() else config.data_dir.absolute().parent
    free = shutil.disk_usage(place).free
    says = f"{free // MIB:,} MiB free at {place}."
    return Finding("disk", free > DISK_NEEDED, says if free > DISK_NEEDED else says + " Make room: writes will fail.")


def _base_url(config: Config) -> Finding:
    parts = urlsplit(config.base_url)
    host = parts.hostname or ""
    if host == "localhost" or _is(host, lambda address: address.is_private or address.is_loopback):
        return Finding(
            "base URL", True,
            f"{config.base_url} is reachable from this machine or network only: hubs outside cannot push to it. "
            "Set LIFESTREAM_BASE_URL to the public address when there is one.",
        )  # fmt: skip
    if parts.scheme != "https":
        return Finding("base URL", False, f"{config.base_url} is public without TLS; put it behind https.")
    return Finding("base URL", True, config.base_url)


async def _owner(site: Site) -> Finding:
    async with site.store.read() as db:
        there = await owner.fact(db, owner.PASSWORD) is not None
    if there:
        return Finding("owner", True, "A password is set.")
    return Finding("owner", False, "No password is set: run `lifestream password`, or open the link that serve prints.")


async def _pictures(site: Site) -> Finding:
    quota = site.config.media_quota
    if not site.pictures.kept:
        return Finding("pictures", True, "None are kept: the pages link to them.")
    async with site.store.read(long=True) as db:
        used = await pictures.used(db)
    says = f"{used // MIB:,} of {quota // MIB:,} MiB taken."
    if used >= quota:
        return Finding("pictures", False, f"{says} No more are fetched: set LIFESTREAM_MEDIA_QUOTA to a larger number.")
    return Finding("pictures", True, says)


async def _clock(site: Site) -> Finding:
    if site.store.is_sqlite:
        return Finding("clock", True, f"{site.now():%Y-%m-%d %H:%M:%S} UTC.")
    async with site.store.read() as db:
        theirs = (await db.execute(text("SELECT clock_timestamp()"))).scalar_one()
    skew = abs(theirs - site.now())
    if skew > CLOCK_SKEW:
        return Finding("clock", False, f"This machine and the database differ by {skew}; run a time service on both.")
    return Finding("clock", True, f"{site.now():%Y-%m-%d %H:%M:%S} UTC, as the database's.")


async def _hub(site: Site) -> Finding:
    """Whether the base URL leads to a lifestream; only a running server can answer."""
    url = site.config.base_url + "/healthz"
    client = client_for_commands(site.config)
    try:
        response = await client.get(url)
    except FetchError as error:
        return Finding(
            "hub", False, f"{site.config.hub_url} does not answer ({_first_line(error)}) Is the server running?"
        )
    finally:
        await client.aclose()
    if response.status != 200 or response.body.strip() != b"ok":
        return Finding(
            "hub", False, f"{site.config.base_url} answers, but it is no lifestream; check LIFESTREAM_BASE_URL."
        )
    return Finding("hub", True, f"{site.config.hub_url} answers.")


def _is(host: str, what: Callable[..., bool]) -> bool:
    try:
        return what(ip_address(host))
    except ValueError:
        return False


def _first_line(error: Exception) -> str:
    if isinstance(error, LifestreamError):
        return str(error)
    return (str(getattr(error, "orig", None) or error) or type(error).__name__).splitlines()[0]
