"""What could be followed at an address: every feed that is found there, best first, with a preview of each.

Adding a source finds its one feed by itself (flow.py); this is for the owner who wants to choose. Nothing is stored.
"""

import asyncio
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from urllib.parse import urljoin, urlsplit

from lifestream.clean.entries import clean_all
from lifestream.errors import FetchError, NotFound, ParseError, TimedOut
from lifestream.fetch import Document, fetch
from lifestream.parse.worker import in_worker
from lifestream.protocol.hub import address_key
from lifestream.protocol.known_hubs import known_hub
from lifestream.protocol.links import (
    LED_ON,
    Link,
    Page,
    advertised,
    feeds_in,
    html_links,
    is_of_comments,
    nothing_found,
    parse_link_header,
)
from lifestream.protocol.moves import moved_to
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
    """A feed as it would be followed. `followed` is the source that has it already; `entries` are its newest ones;
    `moved_to` where it says that it is from now on."""

    url: str
    self_url: str
    title: str
    kind: Kind
    format: str
    hub: str | None
    pushed: bool
    count: int
    entries: tuple[Entry, ...]
    moved_to: str | None = None
    followed: str | None = None


@dataclass(frozen=True, slots=True)
class Listing:
    """`tried` are the addresses that were asked; `unreadable` those of them that were said to be feeds and gave none,
    each with why."""

    feeds: tuple[FoundFeed, ...]
    tried: tuple[str, ...]
    unreadable: Mapping[str, str]


async def feeds_at(site: Site, url: str, *, within: float = WITHIN) -> Listing:
    """The feeds at `url`: it is one, or links to some, or has some where they usually are.

    Raises FetchError when there is no answer at `url`, NotFound when there is no feed.
    """
    search = _Search(site, url)
    try:
        async with asyncio.timeout(within):
            await search.everywhere()
    except TimeoutError:
        if search.page is None:
            host = urlsplit(url).hostname
            raise TimedOut(f"{host} did not answer within {within:g} s; try again later.", url=url) from None
    assert search.page
    unreadable = {one: why for one, why in search.why.items() if one in search.named}
    if not search.found:
        guessed = [one for one in search.tried[1:] if one not in unreadable]
        raise NotFound(nothing_found(_page(search.page, search.why.get(url, "")), unreadable, guessed))
    feeds = await _with_followed(site, _merged(sorted(search.found, key=_rank)))
    return Listing(feeds, tuple(search.tried), unreadable)


class _Search:
    """One look around: each address is asked once. `named` are those that somebody said are feeds, `moves` those that
    feeds say they have moved to; `why` says of each address that gave none what was there instead.
    """

    def __init__(self, site: Site, url: str) -> None:
        self.page: Document | None = None
        self.tried: list[str] = []
        self.named: set[str] = set()
        self.moves: dict[str, str] = {}
        self.found: list[FoundFeed] = []
        self.why: dict[str, str] = {}
        self._site = site
        self._url = url
        self._turns = asyncio.Semaphore(AT_ONCE)

    async def everywhere(self) -> None:
        """Goes on to the next place only where the ones before had no more than a page that may be a feed by chance."""
        self.tried.append(self._url)
        self.page = page = await self._document(self._url)
        links = {link.url: link.title for link in _links(page)[:LINKED_TRIED]}
        with self._told(self._url):
            await self._take(page)
        if self._only_pages():
            await self._visit_named(links)
        await self._visit_named(dict(self.moves))
        if self._only_pages():
            await self._visit({urljoin(page.url, path): "" for path in WELL_KNOWN})

    def _only_pages(self) -> bool:
        return all(one.format == "h-feed" for one in self.found)

    async def _visit_named(self, titles: dict[str, str]) -> None:
        self.named |= titles.keys() - {self._url}
        await self._visit(titles)

    async def _visit(self, titles: dict[str, str]) -> None:
        new = {url: title for url, title in titles.items() if url not in self.tried}
        self.tried += new
        await asyncio.gather(*(self._look(url, title) for url, title in new.items()))

    async def _look(self, url: str, title: str) -> None:
        with self._told(url):
            async with self._turns:
                await self._take(await self._document(url), title)

    @contextmanager
    def _told(self, url: str) -> Iterator[None]:
        """Keeps what is wrong with an address, also where time runs out inside."""
        self.why[url] = "Time ran out before it was read."
        try:
            yield
        except (FetchError, ParseError) as error:
            self.why[url] = str(error)
        else:
            del self.why[url]

    async def _document(self, url: str) -> Document:
        client = self._site.client_for(url, named_by=self._url)
        with self._site.exchanges.asking("discovery", about=url):
            document = await fetch(client, url)
        assert isinstance(document, Document)
        return document

    async def _take(self, document: Document, title: str = "") -> None:
        """Adds what is here, or where this says that its entries are. Raises ParseError where neither is a feed."""
        reading = await read_document(document.body, document.media_type, document.url)
        for _ in range(LED_ON):
            if not (elsewhere := reading.feed.entries_at):
                break
            title = title or reading.feed.title
            self.tried.append(elsewhere)
            document = await self._document(elsewhere)
            reading = await read_document(document.body, document.media_type, document.url)
        feed = reading.feed
        if to := moved_to(feed, self._url, document.url):
            self.moves[to] = title or feed.title
        if not feed.entries and (to or feed.format == "h-feed"):
            raise ParseError(f"It only says that the feed has moved to {to}." if to else "This page has no entries.")
        self.found.append(await _found(document, reading, title, to, self._site.now()))


async def _found(document: Document, reading: Reading, title: str, moved: str, now: datetime) -> FoundFeed:
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
        moved_to=moved or None,
    )


def _page(document: Document, why: str) -> Page:
    return Page(document.url, document.body, document.media_type, document.links, why=why)


def _links(page: Document) -> list[Link]:
    return [
        *feeds_in(parse_link_header(page.links, page.url)),
        *feeds_in(html_links(page.body, page.media_type, page.url)),
    ]


def _rank(found: FoundFeed) -> tuple[bool, bool, bool, int]:
    comments = is_of_comments(found.url, found.title)
    return comments, bool(found.moved_to), not found.pushed, _BEST_FIRST.index(found.format)


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
