"""Where a document says its hub, its own address and its feeds are: Link headers (RFC 8288) and <link> in HTML.

`discover` is the conversation that finds the feed behind an address (W3C WebSub 4). It fetches nothing: it names
addresses, and is given the pages that somebody fetched.
"""

import re
from collections.abc import Generator, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from urllib.parse import urljoin, urlsplit

from lifestream.errors import FetchError, ParseError
from lifestream.protocol.forge_pages import forge_of, webhook_hint
from lifestream.protocol.markup import html_tree
from lifestream.types import Feed

HUBS = 100
LINKS = 200
ALTERNATES_TRIED = 3
LED_ON = 2
"""From an actor to the outbox, from there to its first page."""
HEADER_CHARS = 16 * 1024
ADDRESS_CHARS = 4096
NOT_A_FEED = "This is not a feed."
LINKS_OF_A_PAGE = ("its Link headers", 'the <link rel="alternate"> in its head')


@dataclass(frozen=True, slots=True)
class Link:
    url: str
    rels: frozenset[str]
    type: str = ""
    title: str = ""


@dataclass(frozen=True, slots=True)
class Advertised:
    """What a document and its headers name: hubs to ask, and the topic to ask for."""

    hubs: tuple[str, ...] = ()
    self_url: str = ""


@dataclass(frozen=True, slots=True)
class Page:
    """A fetched document. `url` is where it was in the end, `links` its Link headers as they came.

    `feed` is what it says if it is a feed; `why` says what it is if it is none.
    """

    url: str
    body: bytes
    media_type: str
    links: tuple[str, ...] = ()
    feed: Feed | None = None
    why: str = ""


@dataclass(frozen=True, slots=True)
class Discovery:
    """`asked` is the address that was asked for, `feed_url` the one that answered."""

    asked: str
    feed_url: str
    feed: Feed
    page: Page
    advertised: Advertised


def discover(url: str) -> Generator[str, Page, Discovery]:
    """The feed at `url`, or the best that the page there links to. A `FetchError` may be thrown in for a page."""
    page, itself = yield from _at(url)
    if itself and _is_meant_as_feed(itself):
        return itself
    unreadable: dict[str, str] = {}
    for candidate in _alternates(page, besides=(url, page.url)):
        try:
            alternate, found = yield from _at(candidate)
        except FetchError as error:
            unreadable[candidate] = str(error)
            continue
        if found:
            return found
        unreadable[candidate] = alternate.why
    if itself:
        return itself
    raise ParseError(nothing_found(page, unreadable))


def nothing_found(page: Page, unreadable: Mapping[str, str], guessed: Iterable[str] = ()) -> str:
    """What was seen where there is no feed, what was tried, and what to do. `unreadable` are the addresses that the
    page links to, each with why it is no feed; those of the same site are told by their path.
    """
    site = urljoin(page.url, "/").rstrip("/")
    usual = [url.removeprefix(site) for url in guessed]
    if unreadable:
        seen = {url.removeprefix(site): why for url, why in unreadable.items()} | {"the page itself": page.why}
        told = " — ".join(f"{where}: {why or NOT_A_FEED}" for where, why in seen.items())
        said = f"{page.url} links to feeds, but none of them can be read. Tried {told}"
        more = f"Tried {', '.join(usual)}, too." if usual else ""
    else:
        said = f"{page.url} answered, but names no feed and holds none. {page.why or NOT_A_FEED}"
        more = f"Tried {', '.join([*LINKS_OF_A_PAGE, *usual])}."
    hint = webhook_hint(forge_of(page.body, page.media_type))
    return " ".join(filter(None, [said, more, hint]))


def advertised(header_links: Iterable[Link], document_hubs: Sequence[str], document_self: str) -> Advertised:
    """WebSub 4: what the headers name wins over the document, for hubs and for the topic each."""
    header_links = list(header_links)
    hubs = [link.url for link in header_links if "hub" in link.rels] or document_hubs
    selves = [link.url for link in header_links if "self" in link.rels] or [document_self]
    return Advertised(
        hubs=tuple(dict.fromkeys(hub for hub in map(web_address, hubs) if hub))[:HUBS],
        self_url=web_address(selves[0]),
    )


def feeds_in(links: Iterable[Link]) -> list[Link]:
    """The feeds among these links, best first: posts before comments, Atom and JSON before RSS."""
    feeds: dict[str, Link] = {}
    for link in links:
        if "alternate" in link.rels and "stylesheet" not in link.rels and link.type in _FEED_TYPES:
            feeds.setdefault(link.url, link)
    return sorted(feeds.values(), key=lambda link: (is_of_comments(link.url, link.title), _FEED_TYPES.index(link.type)))


def is_of_comments(url: str, title: str) -> bool:
    return bool(_COMMENTS.search(title) or _COMMENTS.search(urlsplit(url).path))


def parse_link_header(values: Iterable[str], base: str) -> list[Link]:
    """All links in these headers that lead from this document to an http(s) address.

    Lenient where the wild is: rel without quotes, a missing `;`, commas in addresses. A link whose anchor is another
    document is none of this one's (RFC 8288, 3.2).
    """
    links: list[Link] = []
    for value in values:
        for found in _HEADER_LINK.finditer(value[:HEADER_CHARS]):
            parameters = _parameters(found[2])
            url = web_address(found[1], base)
            if url and _about(parameters.get("anchor", ""), base):
                links.append(_link(url, parameters))
    return links[:LINKS]


def html_links(body: bytes, media_type: str, base: str) -> list[Link]:
    """The hub, self and alternate links in the page's <head>: in the body anybody may have written (WebSub 8.1)."""
    root = html_tree(body, media_type)
    head = root.find("head") if root is not None else None
    if head is None:
        return []
    base = next((at for node in head.iter("base") if (at := web_address(node.get("href", ""), base))), base)
    links: list[Link] = []
    for node in islice(head.iter("link"), LINKS):
        link = _link(web_address(node.get("href", ""), base), dict(node.attrib))
        if link.url and link.rels & {"hub", "self", "alternate"}:
            links.append(link)
    return links


def web_address(text: str, base: str = "") -> str:
    """`text` as an absolute http(s) address; "" when it is none. What is absolute already stays as it is."""
    text = text.strip()
    if _NOT_IN_ADDRESSES.search(text):
        return ""
    try:
        address = urljoin(base, text) if base and not _ABSOLUTE.match(text) else text
        parts = urlsplit(address)
        usable = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
    except ValueError:  # a port or an IPv6 address that is none
        return ""
    return address if usable and len(address) <= ADDRESS_CHARS else ""


_NOT_IN_ADDRESSES = re.compile(r"[\x00-\x20\x7f<>\"\\\ud800-\udfff]")
_ABSOLUTE = re.compile(r"https?://", re.I)
_HEADER_LINK = re.compile(r'<([^<>]*)>((?:"(?:[^"\\]|\\.)*"|[^"<])*)')
_PARAMETER = re.compile(r'(?<![\w*-])([A-Za-z0-9_*-]{1,40})\s{0,9}=\s{0,9}(?:"((?:[^"\\]|\\.)*)"|([^\s;,"]+))')
_COMMENTS = re.compile(r"\b(comments?|commentaires?|kommentare?|comentarios|commenti)\b|/comments?[/.]", re.I)

# Best first. Plain application/json comes last: WordPress links its API that way from every page.
_FEED_TYPES = (
    "application/atom+xml",
    "application/feed+json",
    "application/rss+xml",
    "application/rdf+xml",
    "application/xml",
    "text/xml",
    "application/activity+json",
    "application/json",
)


def _at(url: str) -> Generator[str, Page, tuple[Page, Discovery | None]]:
    """What is at `url`; where that only says where its entries are, what is there, under the name it had."""
    page = yield url
    found, name = _found(url, page), ""
    for _ in range(LED_ON):
        if found is None or not (elsewhere := found.feed.entries_at):
            break
        name = name or found.feed.title
        page = yield elsewhere
        found = _found(elsewhere, page)
    if found and name and not found.feed.title:
        found = replace(found, feed=replace(found.feed, title=name))
    return page, found


def _found(asked: str, page: Page) -> Discovery | None:
    if page.feed is None:
        return None
    headers = parse_link_header(page.links, page.url)
    return Discovery(asked, page.url, page.feed, page, advertised(headers, page.feed.hubs, page.feed.self_url))


def _is_meant_as_feed(found: Discovery) -> bool:
    """A page with some microformats may be a feed by accident; one that names a hub is so on purpose."""
    return found.feed.format != "h-feed" or bool(found.advertised.hubs)


def _alternates(page: Page, besides: tuple[str, ...]) -> list[str]:
    in_headers = feeds_in(parse_link_header(page.links, page.url))
    in_html = feeds_in(html_links(page.body, page.media_type, page.url))
    urls = dict.fromkeys(link.url for link in [*in_headers, *in_html])
    return [url for url in urls if url not in besides][:ALTERNATES_TRIED]


def _link(url: str, parameters: dict[str, str]) -> Link:
    return Link(
        url=url,
        rels=frozenset(parameters.get("rel", "").lower().split()),
        type=parameters.get("type", "").partition(";")[0].strip().lower(),
        title=" ".join(parameters.get("title", "").split())[:200],
    )


def _parameters(text: str) -> dict[str, str]:
    """The first of each name counts (RFC 8288, 3.3)."""
    found: dict[str, str] = {}
    for match in _PARAMETER.finditer(text):
        value = re.sub(r"\\(.)", r"\1", match[2]) if match[2] is not None else match[3]
        found.setdefault(match[1].lower(), value)
    return found


def _about(anchor: str, base: str) -> bool:
    """Whether a link with this anchor speaks of the document itself."""
    try:
        return not anchor.strip() or urljoin(base, anchor.strip()) == base
    except ValueError:
        return False
