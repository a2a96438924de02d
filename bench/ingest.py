"""Feed bytes → parsed → cleaned → committed → searchable, on one core: entries a second, new and then unchanged.

The documents are made here; BENCH_FEEDS names a folder of real ones to take besides. feedparser alone, which
only parses, and lemon24/reader, where it is installed, read the same ones in the same run.
"""

import asyncio
import logging
import os
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from time import perf_counter
from types import SimpleNamespace
from typing import Any

from sqlalchemy import update

import lifestream.store  # noqa: F401  first: it may have to put another sqlite3 in place
from lifestream import flow, index, log
from lifestream.config import Config
from lifestream.protocol.addresses import Networks
from lifestream.reading import read_document
from lifestream.receive.timer import BATCH
from lifestream.site import Site
from lifestream.store import feeds, sources
from lifestream.store.migrate import migrate
from lifestream.store.tables import FeedRow

BLOGS, POSTS = 60, 25
PHOTO_FEEDS, PHOTOS = 40, 100
POLLED = 400
HUGE = 100_000
READER = "reader is not installed: pip install reader"


@dataclass(frozen=True)
class Given:
    name: str
    body: bytes


def posts() -> list[Given]:
    """Blogs with posts of some paragraphs, as static site generators write them."""
    words = "The ferry honked at the cathedral while the fog came up the river, and nobody minded. "
    text = "".join(f'&lt;p&gt;{words * 4}&lt;a href="/more"&gt;more&lt;/a&gt;&lt;/p&gt;' for _ in range(6))
    return [
        Given(f"blog-{blog}", _feed(blog, POSTS, lambda number: f'<content type="html">{number} {text}</content>'))
        for blog in range(BLOGS)
    ]


def photos() -> list[Given]:
    """Small entries: a picture, a title, three tags."""

    def photo(number: int) -> str:
        tags = "".join(f'<category term="tag{number % k}"/>' for k in (3, 5, 7))
        return f'<link rel="enclosure" type="image/jpeg" href="https://photo.example/{number}.jpg"/>{tags}'

    return [Given(f"photos-{feed}", _feed(1000 + feed, PHOTOS, photo)) for feed in range(PHOTO_FEEDS)]


def real() -> list[Given]:
    folder = os.environ.get("BENCH_FEEDS")
    if not folder:
        return []
    return [Given(path.name, path.read_bytes()) for path in sorted(Path(folder).iterdir()) if _is_feed(path)]


def _is_feed(path: Path) -> bool:
    return path.suffix in (".xml", ".atom", ".rdf", ".rss", ".json") and path.is_file()


def _feed(feed: int, count: int, more: Callable[[int], str]) -> bytes:
    one = "".join(
        f"<entry><id>urn:bench:{feed}:{number}</id><title>Entry {number}</title>"
        f'<link href="https://blog{feed}.example/{number}"/><updated>2026-{1 + number % 11:02}-10T10:00:00Z</updated>'
        f"{more(number)}</entry>"
        for number in range(count)
    )
    return f'<feed xmlns="http://www.w3.org/2005/Atom"><title>Bench {feed}</title>{one}</feed>'.encode()


async def measure() -> dict[str, float]:
    log.configure("text", level=logging.ERROR)
    with one_core():
        figures: dict[str, float] = {}
        for name, given in (("posts", posts()), ("photos", photos()), ("real", real())):
            if given:
                figures |= {f"{name}_{key}": value for key, value in (await _ingest(given)).items()}
                figures |= {f"{name}_{key}": value for key, value in _others(given).items()}
                if theirs := figures.get(f"{name}_reader_new_per_second"):
                    figures[f"{name}_new_to_reader"] = figures[f"{name}_new_per_second"] / theirs
        figures["unchanged_polls_per_second"] = await _polls()
    figures["huge_document_mb"] = _huge()
    return figures


@contextmanager
def one_core() -> Any:
    """This process, and those it starts, on one processor."""
    if not hasattr(os, "sched_setaffinity"):
        yield
        return
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {max(before)})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


async def _ingest(given: Sequence[Given]) -> dict[str, float]:
    with tempfile.TemporaryDirectory(prefix="lifestream-bench-") as folder:
        async with _fresh(folder) as site:
            rows = [await _pushed(site, one, number) for number, one in enumerate(given)]
            await read_document(b"<feed/>" + b" " * 20_000, "", "http://blog.example/")  # the worker is warm
            new = await _taken_in(site, rows)
            count = await _count(site)
            same = await _taken_in(site, rows)
            assert await _count(site) == count, "the same documents again made other entries"
    return {"entries": count, "new_per_second": count / new, "unchanged_per_second": count / same}


@asynccontextmanager
async def _fresh(folder: str) -> AsyncIterator[Site]:
    site = Site.open(Config(data_dir=Path(folder)))
    await migrate(site.store)
    await site.prepare()
    yield site
    await site.aclose()


async def _taken_in(site: Site, rows: Sequence[Any]) -> float:
    """Seconds until these documents are stored and can be searched; in batches, as pushes are taken in."""
    started = perf_counter()
    for at in range(0, len(rows), BATCH):
        await flow.work_off(site, rows[at : at + BATCH])
    await index.up_to_the_head(site)
    return perf_counter() - started


async def _pushed(site: Site, given: Given, number: int) -> Any:
    """A source, and a push of this document for it."""
    async with site.store.begin(durable=False) as db:
        slug = await sources.add_feed(db, f"https://blog{number}.example/feed", now=site.now())
        source = await sources.get(db, slug, audience="owner")
    return SimpleNamespace(id=-1, feed_id=source.feed_id, body=given.body, media_type="")


async def _count(site: Site) -> int:
    async with site.store.read() as db:
        return sum(source.entry_count for source in await sources.every(db, audience="owner"))


def _others(given: Sequence[Given]) -> dict[str, float]:
    """The same documents, read by others."""
    import feedparser

    xml = [one for one in given if not one.name.endswith(".json")]
    started = perf_counter()
    count = sum(len(feedparser.parse(BytesIO(one.body)).entries) for one in xml)
    figures = {"feedparser_alone_per_second": count / (perf_counter() - started)}
    try:
        from reader import make_reader
    except ImportError:
        print(READER, file=sys.stderr)
        return figures
    with tempfile.TemporaryDirectory(prefix="lifestream-bench-") as folder:
        for one in given:
            Path(folder, one.name).write_bytes(one.body)
        reader = make_reader(f"{folder}/reader.sqlite", feed_root=folder)
        for one in given:
            reader.add_feed(one.name)
        started = perf_counter()
        reader.update_feeds()
        reader.enable_search()
        reader.update_search()
        taken = perf_counter() - started
        figures["reader_new_per_second"] = (reader.get_entry_counts().total or 0) / taken
        reader.close()
    return figures


async def _polls() -> float:
    """Looks a second at feeds that say 304."""
    body = posts()[0].body
    head = b'HTTP/1.1 %d OK\r\nETag: "1"\r\nContent-Type: application/atom+xml\r\nContent-Length: %d\r\n\r\n'

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                asked = await reader.readuntil(b"\r\n\r\n")
                known = b"if-none-match" in asked.lower()
                writer.write(head % (304, 0) if known else head % (200, len(body)) + body)
        except (asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    base = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    with tempfile.TemporaryDirectory(prefix="lifestream-bench-") as folder:
        site = Site.open(Config(data_dir=Path(folder), allow_networks=Networks.parse("127.0.0.0/8")))
        await migrate(site.store)
        await site.prepare()
        for number in range(POLLED):
            async with site.store.begin(durable=False) as db:
                await sources.add_feed(db, f"{base}/{number}", now=site.now())
        await _look_at_all(site)
        async with site.store.begin(durable=False) as db:
            await db.execute(update(FeedRow).values(poll_at=site.now(), asked=FeedRow.asked + 1, due_at=site.now()))
        started = perf_counter()
        looked = await _look_at_all(site)
        taken = perf_counter() - started
        await site.aclose()
    server.close()
    return looked / taken


async def _look_at_all(site: Site) -> int:
    """Eight at once, as the worker does it; returns how many there were."""
    total = 0
    while True:
        async with site.store.begin(durable=False) as db:
            claimed = await feeds.claim(db, site.now(), 8)
            by_feed = await sources.of_feeds(db, [feed.id for feed in claimed]) if claimed else {}
        if not claimed:
            return total
        total += len(claimed)
        await asyncio.gather(*(flow.look(site, feed, by_feed.get(feed.id)) for feed in claimed))


HUGE_ALONE = """
import asyncio, resource, sys
from bench import ingest
asyncio.run(ingest.take_in_one(int(sys.argv[1])))
ours = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
theirs = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
print(max(ours, theirs) / 1024)
"""


def _huge() -> float:
    """Peak resident memory, in MB, of the hungrier of the processes that take in one document of very many entries."""
    done = subprocess.run([sys.executable, "-c", HUGE_ALONE, str(HUGE)], capture_output=True, text=True, check=True)
    return float(done.stdout.split()[-1])  # the log stands before it


async def take_in_one(count: int) -> None:
    """One document of `count` small entries, into a fresh database."""
    given = Given("huge", _feed(0, count, lambda number: f"<summary>Words of {number}</summary>"))
    with tempfile.TemporaryDirectory(prefix="lifestream-bench-") as folder:
        async with _fresh(folder) as site:
            await _taken_in(site, [await _pushed(site, given, 0)])
            assert await _count(site) == count
