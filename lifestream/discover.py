"""What could be followed at an address: every feed that is found there, best first, with a preview of each.

Adding a source finds its one feed by itself (flow.py); this is for the owner who wants to choose. Nothing is stored.
"""

import asyncio
from collections import Counter
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from urllib.parse import urljoin, urlsplit

from lifestream.clean.entries import clean_all
from lifestream.errors import FetchError, NotFound, ParseError, TimedOut
from lifestream.fetch import Document, fetch
from lifestream.parse.worker import in_worker
from lifestream.protocol.hub import address_key
from lifestream.protocol.known_hubs import known_hub
from lifestream.protocol.links import LED_ON, Link, advertised, feeds_in, html_links, is_of_comments, parse_link_header
from lifestream.reading import Reading, read_document
from lifestream.site import Site
from lifestream.store import sources
from lifestream.types import Entry, Kind

WELL_KNOWN = ("/feed", "/feed.xml", "/atom.xml", "/rss", "/rss.xml", "/index.xml", "/feed.json", "/feed/")
"""Where feeds are that no page links to."""
LINKED_TRIED = 10
AT_ONCE = 4
WITHIN = 30.0
"""Seconds for all of it; what was found by then is what there is."""
SAMPLE = 20
"""The newest entries, by which the kind is guessed."""
PREVIEWED = 3

_BEST_FIRST = ("atom", "json", "activitystreams", "rss", "h-feed")
_LONG_AGO = datetime.min.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class FoundFeed:
    """A feed as it would be followed. `followed` is the source that has it already; `entries` are its newest ones."""

    url: str
    self_url: str
    title: str
    kind: Kind
    format: str
    hub: str | None
    pushed: bool
    count: int
    entries: tuple[Entry, ...]
    followed: str | None = None


@dataclass(frozen=True, slots=True)
class Listing:
    """`tried` are the addresses that were asked."""

    feeds: tuple[FoundFeed, ...]
    tried: tuple[str, ...]


async def feeds_at(site: Site, url: str, *, within: float = WITHIN) -> Listing:
    """The feeds at `url`: it is one, or links to some, or has some where they usually are.

    Raises FetchError when there is no answer at `url`, NotFound when there is no feed.
    """
    search = _Search(site)
    try:
        async with asyncio.timeout(within):
            await search.everywhere(url)
    except TimeoutError:
        if search.page is None:
            host = urlsplit(url).hostname
            raise TimedOut(f"{host} did not answer within {within:g} s; try again later.", url=url) from None
    if not search.found:
        raise NotFound(_nothing_at(search.page.url if search.page else url, search.tried[1:]))
    return Listing(await _with_followed(site, _merged(sorted(search.found, key=_rank))), tuple(search.tried))


class _Search:
    """One look around: each address is asked once."""

    def __init__(self, site: Site) -> None:
        self.page: Document | None = None
        self.tried: list[str] = []
        self.found: list[FoundFeed] = []
        self._site = site
        self._turns = asyncio.Semaphore(AT_ONCE)

    async def everywhere(self, url: str) -> None:
        """Goes on to the next place only where the ones before had no more than a page that may be a feed by chance."""
        self.tried.append(url)
        self.page = page = await self._document(url)
        links = _links(page)
        await self._take(page)
        if self._only_pages():
            await self._visit({link.url: link.title for link in links[:LINKED_TRIED]})
        if self._only_pages():
            await self._visit({urljoin(page.url, path): "" for path in WELL_KNOWN})

    def _only_pages(self) -> bool:
        return all(one.format == "h-feed" for one in self.found)

    async def _visit(self, titles: dict[str, str]) -> None:
        new = {url: title for url, title in titles.items() if url not in self.tried}
        self.tried += new
        await asyncio.gather(*(self._look(url, title) for url, title in new.items()))

    async def _look(self, url: str, title: str) -> None:
        async with self._turns:
            with suppress(FetchError):
                await self._take(await self._document(url), title)

    async def _document(self, url: str) -> Document:
        with self._site.exchanges.asking("discovery", about=url):
            document = await fetch(self._site.client, url)
        assert isinstance(document, Document)
        return document

    async def _take(self, document: Document, title: str = "") -> None:
        """Adds what is here, or where this says that its entries are."""
        try:
            reading = await read_document(document.body, document.media_type, document.url)
            for _ in range(LED_ON):
                if not (elsewhere := reading.feed.entries_at):
                    break
                title = title or reading.feed.title
                self.tried.append(elsewhere)
                document = await self._document(elsewhere)
                reading = await read_document(document.body, document.media_type, document.url)
            if reading.feed.entries or reading.feed.format != "h-feed":
                self.found.append(await _found(document, reading, title, self._site.now()))
        except (FetchError, ParseError):  # so nothing that can be followed is here
            pass


async def _found(document: Document, reading: Reading, title: str, now: datetime) -> FoundFeed:
    feed = reading.feed
    told = advertised(parse_link_header(document.links, document.url), feed.hubs, feed.self_url)
    known = known_hub(document.url)
    hub = told.hubs[0] if told.hubs else known[0] if known else None
    items = sorted(reading.items, key=lambda item: item.published or _LONG_AGO, reverse=True)
    cleaned = await in_worker(clean_all, items[:SAMPLE], feed, document.url, None, now)
    kinds = Counter(entry.kind for entry in cleaned).most_common(1)
    return FoundFeed(
        url=document.url,
        self_url=told.self_url,
        title=(feed.title or title or urlsplit(document.url).hostname or "")[:200],
        kind=kinds[0][0] if kinds else "other",
        format=feed.format,
        hub=hub,
        pushed=bool(hub or feed.cloud),
        count=len(items),
        entries=tuple(cleaned[:PREVIEWED]),
    )


def _links(page: Document) -> list[Link]:
    return [
        *feeds_in(parse_link_header(page.links, page.url)),
        *feeds_in(html_links(page.body, page.media_type, page.url)),
    ]


def _rank(found: FoundFeed) -> tuple[bool, bool, int]:
    return is_of_comments(found.url, found.title), not found.pushed, _BEST_FIRST.index(found.format)


def _merged(found: Iterable[FoundFeed]) -> list[FoundFeed]:
    """The same feed once: found at one address, or naming one address as its own in one format."""
    kept: list[FoundFeed] = []
    known: set[tuple[str, str]] = set()
    for one in found:
        names = {("", address_key(one.url)), (one.format, address_key(one.self_url or one.url))}
        if not names & known:
            kept.append(one)
        known |= names
    return kept


async def _with_followed(site: Site, found: Iterable[FoundFeed]) -> tuple[FoundFeed, ...]:
    """Told apart by the addresses they are fetched from, as `add_source` does: what a document says of itself is not
    enough to be somebody's."""
    async with site.store.read() as db:
        return tuple([replace(one, followed=await sources.at_address(db, one.url)) for one in found])


def _nothing_at(url: str, tried: Sequence[str]) -> str:
    """In a sentence what was seen: addresses of the same site by their path."""
    site = urljoin(url, "/").rstrip("/")
    asked = ", ".join(dict.fromkeys(one.removeprefix(site) for one in tried))
    return f"{url} answered, but names no feed and holds none{f'. Tried {asked}' if asked else ''}."
