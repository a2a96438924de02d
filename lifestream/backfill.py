"""History: walks back through the older pages of a source's feed, one page at a time, politely.

    the feed ──older──→ page 2 ──older──→ page 3 ──…──→ the end

Each page is a claim of its own on the walk's row (store/backfills.py) and ends in one transaction: its entries,
quietly, and where the next page is. So a walk goes on where it was, whoever dies, and whoever takes it up.
docs/sources.md says which feeds have older pages.
"""

import asyncio
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import blake2b
from typing import Any
from urllib.parse import urlsplit

from lifestream.arrival import Arrival, history, record_history
from lifestream.clean.dates import plausible
from lifestream.errors import BadStatus, Conflict, LifestreamError, NotFound, ParseError, TimedOut, Unreachable
from lifestream.fetch import Document, fetch
from lifestream.log import bound, get_logger
from lifestream.protocol.links import parse_link_header, web_address
from lifestream.reading import read_document
from lifestream.site import Site
from lifestream.store import backfills, bells, changes, entries, sources
from lifestream.store.backfills import Backfill
from lifestream.types import Feed, Source
from lifestream.write import moment

log = get_logger(__name__)

PAGE_WITHIN = 50.0
"""Seconds for fetching, reading and cleaning a page; shorter than a claim."""
MOST_PAGES = 10_000
MOST_ATTEMPTS = 8
RETRY_FIRST, RETRY_LONGEST = timedelta(seconds=30), timedelta(hours=1)
PATIENCE = timedelta(days=1)
"""The longest Retry-After that is waited for."""
LOOK_AGAIN = 1.0
MARK_BYTES = 8

_COME_LATER = frozenset((408, 425, 429))
_NOTHING_THERE = frozenset((404, 410))
_PAGED = re.compile(r"(?<=[?&])paged=(\d{1,9})(?=&|$)")
_WORDPRESS_API = "https://api.w.org/"


@dataclass(frozen=True, slots=True)
class HistoryPage:
    """A page that was read. `arrival` is None for the feed's own: what is new there is news, and comes in by a look."""

    arrival: Arrival | None
    entries: int
    oldest: datetime | None
    mark: bytes
    """Of its entries, to recognise it by; empty where there are none."""
    older: str


async def begin(site: Site, slug: str) -> Backfill:
    """Asks for a walk: from the front, or on from where one stopped or failed. Raises Conflict where none can be."""
    async with site.store.begin(rings=[bells.BACKFILLS]) as db:
        source = await sources.get(db, slug, audience="owner")
        return await backfills.ask(db, source, _front(source), site.now())


async def stand(site: Site, slug: str) -> Backfill:
    """How far the source's walk is. Raises NotFound where nobody asked for one."""
    async with site.store.read() as db:
        found = await backfills.of(db, await sources.get(db, slug, audience="owner"))
    if found is None:
        raise NotFound(f"Nobody asked for the history of “{slug}” yet.")
    return found


async def walk(site: Site, slug: str, tell: Callable[[Backfill], None]) -> Backfill:
    """Begins, and stays to the end, sharing the pages with a server if one runs; `tell` is given each stand.

    Being cancelled stops the walk, for the server too.
    """
    at = await begin(site, slug)
    try:
        while at.state == "walking":
            tell(at)
            await _a_step(site, at)
            at = await stand(site, slug)
    except asyncio.CancelledError:
        async with site.store.begin() as db:
            await backfills.stop(db, at.source_id)
        raise
    return at


async def _a_step(site: Site, at: Backfill) -> None:
    """The next page if it may be fetched now; else a while of waiting."""
    now = site.now()
    if (wait := at.wait(now)) > 0:
        await asyncio.sleep(min(wait, LOOK_AGAIN))
        return
    async with site.store.begin(durable=False) as db:
        claimed = await backfills.claim(db, now, 1, only=at.source_id)
    for one in claimed:
        await turn_page(site, one)


def backfill_json(at: Backfill) -> dict[str, Any]:
    return {
        "source": at.slug,
        "state": at.state,
        "pages": at.pages,
        "entries": at.entries,
        "added": at.added,
        "oldest": moment(at.oldest),
        "next_url": None if at.state == "done" else at.next_url,
        "error": at.error or None,
    }


# -- one page ---------------------------------------------------------------------------------


async def turn_page(site: Site, at: Backfill) -> None:
    """Takes in the page that a claimed walk stands before. Whatever goes wrong becomes the walk's state."""
    with bound(source=at.slug, via="backfill"):
        try:
            async with asyncio.timeout(PAGE_WITHIN):
                page = await _read(site, at)
            await _take_in(site, at, page)
        except asyncio.CancelledError:  # we are to end: who takes this up need not wait for our claim to end too
            await _put_down(site, at, due_at=site.now())
            raise
        except Exception as error:
            if not isinstance(error, LifestreamError | TimeoutError):
                log.exception("backfill", status="broken", page=at.pages + 1)
            await _not_read(site, at, error)


async def _read(site: Site, at: Backfill) -> HistoryPage:
    async with site.store.read() as db:
        source = await sources.get(db, at.slug, audience="owner")
    with site.exchanges.asking("fetch", slug=at.slug) as told:
        document = await fetch(site.client_for(at.next_url, named_by=_front(source)), at.next_url)
        told.says("ok", f"page {at.pages + 1} of the history")
    assert isinstance(document, Document)
    reading = await read_document(document.body, document.media_type, document.url)
    is_front, now = not at.entries, site.now()
    arrival = None if is_front else await history(site, source, reading, document.url, now)
    dates = [item.published for item in reading.items if item.published and plausible(item.published, now)]
    return HistoryPage(
        arrival=arrival,
        entries=len(reading.items),
        oldest=min(dates, default=None),
        mark=_mark(*sorted(item.identity for item in reading.items)) if reading.items else b"",
        older=older_page(at.next_url, document, reading.feed),
    )


async def _take_in(site: Site, at: Backfill, page: HistoryPage) -> None:
    here, seen = _mark(at.next_url), _marks(at.visited)
    if page.mark in seen:  # it comes again, under another address: so does what it leads to
        await _put_down(site, at, due_at=None, state="done", error="")
        return
    now = site.now()
    older = "" if _mark(page.older) in seen | {here} else page.older
    over = bool(older) and at.pages + 1 >= MOST_PAGES
    done = entries.Recorded()
    async with site.store.begin(rings=[bells.BACKFILLS]) as db:
        await changes.in_turn(db)
        if not await backfills.still_mine(db, at):
            return
        if page.arrival:
            done = await record_history(db, page.arrival, now)
        changed: dict[str, Any] = {
            "pages": at.pages + 1, "entries": at.entries + page.entries, "added": at.added + done.new,
            "oldest": min(filter(None, (at.oldest, page.oldest)), default=None), "attempts": 0,
            "visited": at.visited + here + page.mark,
            "error": f"There are older pages: a walk ends after {MOST_PAGES:,}." if over else "",
        }  # fmt: skip
        if older and not over:
            await backfills.put_down(db, at, now, due_at=now + backfills.REST, next_url=older, **changed)
        else:
            await backfills.put_down(db, at, now, due_at=None, state="done", **changed)
    if done.any:
        site.store.bells.ring(bells.LOG)
    log.info("backfill", status="ok", page=at.pages + 1, entries=page.entries, new=done.new)


async def _not_read(site: Site, at: Backfill, error: Exception) -> None:
    """Tried again later, given up, or the end: behind the last page there is nothing."""
    why = _sentence(error)
    due_at = None
    changed: dict[str, Any] = {"error": why, "attempts": at.attempts + 1}
    if _is_the_end(at, error):
        changed = {"state": "done", "error": ""}
    elif _may_pass(error) and at.attempts + 1 < MOST_ATTEMPTS:
        due_at = site.now() + wait_after(at.attempts + 1, getattr(error, "retry_after", None))
    else:
        changed["state"] = "failed"
    await _put_down(site, at, due_at=due_at, **changed)
    log.info("backfill", status=changed.get("state", "later"), page=at.pages + 1, error=why)


async def _put_down(site: Site, at: Backfill, *, due_at: datetime | None, **changed: Any) -> None:
    async with site.store.begin(rings=[bells.BACKFILLS]) as db:
        if await backfills.still_mine(db, at):
            await backfills.put_down(db, at, site.now(), due_at=due_at, **changed)


# -- the rules of it --------------------------------------------------------------------------


def older_page(asked: str, document: Document, feed: Feed) -> str:
    """Where the entries before these are; "" when nobody says, or there are none.

    What the document names comes first (RFC 5005, JSON Feed, ActivityStreams), then its Link headers. WordPress names
    nothing, but counts: ?paged=2.
    """
    links = parse_link_header(document.links, document.url)
    if named := feed.next_page or ("" if feed.entries else feed.entries_at):
        return web_address(named, document.url)
    if in_headers := [link.url for link in links if link.rels & {"prev-archive", "next"}]:
        return in_headers[0]
    wordpress = "wordpress" in feed.generator.lower() or any(_WORDPRESS_API in link.rels for link in links)
    return _counted_on(asked) if wordpress and feed.entries and not feed.complete else ""


def wait_after(attempts: int, retry_after: float | None) -> timedelta:
    """After so many attempts in vain. What the server asks for makes the wait longer, never shorter."""
    wait = min(RETRY_FIRST * (1 << attempts - 1), RETRY_LONGEST)
    return max(wait, min(timedelta(seconds=min(retry_after or 0.0, 1e6)), PATIENCE))


def _counted_on(url: str) -> str:
    if found := _PAGED.search(url):
        return f"{url[: found.start(1)]}{int(found[1]) + 1}{url[found.end(1) :]}"
    return f"{url}{'&' if urlsplit(url).query else '?'}paged=2"


def _is_the_end(at: Backfill, error: Exception) -> bool:
    """Behind its last page WordPress answers 404, and what does not know the query something that is no feed.

    A page that somebody named is there: where it is missing, that is no end but a loss.
    """
    if not at.pages or not _PAGED.search(at.next_url):
        return False
    return isinstance(error, ParseError) or (isinstance(error, BadStatus) and error.status in _NOTHING_THERE)


def _may_pass(error: Exception) -> bool:
    """What we did not expect may: a database that was away, a fault of ours that the next version mends."""
    if isinstance(error, BadStatus):
        return error.status >= 500 or error.status in _COME_LATER
    return isinstance(error, TimedOut | Unreachable) or not isinstance(error, LifestreamError)


def _sentence(error: Exception) -> str:
    if isinstance(error, LifestreamError):
        return str(error)
    if isinstance(error, TimeoutError):
        return f"This page took longer than {PAGE_WITHIN:g} s."
    return f"This page could not be taken in ({type(error).__name__}); the log says more."


def _front(source: Source) -> str:
    """Where a walk begins. Raises Conflict for a source that cannot be walked."""
    if source.local:
        raise Conflict(f"“{source.slug}” is a local source: all that was ever in it is here.")
    if source.state == "paused":
        raise Conflict(f"“{source.slug}” is paused; resume it first.")
    if source.feed_url is None:
        raise Conflict(f"The feed of “{source.slug}” has not been read yet; its history can be when that is done.")
    return source.feed_url


def _mark(*parts: str) -> bytes:
    return blake2b("\n".join(parts).encode("utf-8", "surrogatepass"), digest_size=MARK_BYTES).digest()


def _marks(visited: bytes) -> set[bytes]:
    return {visited[start : start + MARK_BYTES] for start in range(0, len(visited), MARK_BYTES)}
