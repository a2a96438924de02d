"""Atom 1.0 (RFC 4287) and 0.3, RSS 0.9x, 1.0 and 2.0: a thin reader on lxml for documents that are well-formed XML.

One table of names serves all dialects, since real feeds mix them. No entity is expanded, nothing is fetched, no tree is
huge. What is ill-formed raises `IllFormed` and is `illformed.py`'s business.
"""

import re
from collections import deque
from collections.abc import Iterable, Iterator
from html import unescape
from itertools import chain
from typing import Any

from lxml import etree

from lifestream.errors import ParseError
from lifestream.parse import encodings
from lifestream.parse.activity import (
    about_of,
    last_word,
    media_shared,
    object_type_of,
    place_of,
    visited,
    with_the_posting,
)
from lifestream.parse.document import CONTENT_CHARS, HUBS, TAGS, TEXT_CHARS, TITLE_CHARS, Document, IllFormed
from lifestream.parse.extensions import PLACES, RATED, author_of, episode_of, is_sensitive, location_of, media_of
from lifestream.parse.names import (
    XML_LANG,
    Children,
    Element,
    absolute,
    base_of,
    children,
    first_text,
    inner_html,
    name_of,
    text,
)
from lifestream.parse.packed import Packed
from lifestream.types import Author, Cloud, Feed, Location, RawEntry, Text, Tombstone

FEEDS = ("atom:feed", "feed", "rss", "rdf:RDF", "RDF", "channel")
ENTRIES = ("atom:entry", "entry", "item")
LONG = 4 * 1024 * 1024
"""A longer document is never in memory as a tree, which would take ten times its size."""
PIECE = 64 * 1024
_LOOKS = re.compile(rb"<(?:[A-Za-z0-9_-]{1,30}:)?(feed|rss|RDF|entry|item|channel|deleted-entry)[\s>/]")
_TAG = re.compile("<[A-Za-z/!]")
_HTML_IN_TITLE = re.compile(
    r"&(?:#\d{1,7}|#[xX][\da-fA-F]{1,6}|[A-Za-z][A-Za-z\d]{1,31});"
    r"|</?(?:a|abbr|b|big|br|cite|code|del|em|font|i|img|ins|kbd|mark|p|q|s|small|span|strike|strong|sub|sup|tt|u|wbr)\b[^<>]*>"
)
# DOCTYPE inert, nothing fetched, depth and text bounded by libxml2's own limits.
_SAFE: dict[str, Any] = {
    "resolve_entities": False, "no_network": True, "load_dtd": False, "dtd_validation": False,
    "attribute_defaults": False, "huge_tree": False, "remove_comments": True, "remove_pis": True,
}  # fmt: skip
_IANA = "http://www.iana.org/assignments/relation/"


def sniff(document: Document) -> bool:
    head = document.body[: 64 * 1024]
    return bool(_LOOKS.search(head.replace(b"\0", b"") if b"\0" in head[:64] else head))


def read(document: Document) -> Feed:
    body, forced = document.body, encodings.override(document.body, document.media_type)
    if forced is None:
        body = encodings.undouble(body)
    try:
        if len(body) > LONG:
            return _read_long(body, forced, document.url)
        root = etree.fromstring(body, xml_parser(encoding=forced))
    except (etree.XMLSyntaxError, ValueError) as error:
        raise IllFormed(f"The document is not well-formed XML: {error}.") from error
    return feed_of(root, document.url)


def _read_long(body: bytes, encoding: str | None, url: str) -> Feed:
    """Without ever having all entries in memory: it is read once for what it says of itself, wherever that stands, and
    once more for its entries."""
    walk = _LongDocument(body, encoding)
    deque(walk, maxlen=0)
    return feed_of(walk.root, url, entries=_LongDocument(body, encoding))


class _LongDocument:
    """Its entries one by one, each gone from the tree when the next one comes. `root` is there at the end, and has what
    is left."""

    def __init__(self, body: bytes, encoding: str | None) -> None:
        self.root: Element = None
        self._feed: Element = None
        self._body = body
        self._parser = etree.XMLPullParser(("end",), tag=("{*}entry", "{*}item"), encoding=encoding, **_SAFE)

    def __iter__(self) -> Iterator[Element]:
        before: Element = None
        for start in range(0, len(self._body), PIECE):
            self._parser.feed(self._body[start : start + PIECE])
            for _, element in self._parser.read_events():
                if name_of(element.tag) not in ENTRIES or not self._is_the_feeds(element):
                    continue
                yield element
                # Never the last one: libxml2 may be about to add to the text behind it.
                if before is not None:
                    before.getparent().remove(before)
                before = element
        self.root = self._parser.close()

    def _is_the_feeds(self, entry: Element) -> bool:
        """Whether it is an entry of the feed that `feed_of` takes, and not of one that somebody wrote into an entry."""
        if self._feed is None:
            self._feed = _feed_in(entry.getroottree().getroot())
        parent = entry.getparent()
        if self._feed is None or parent is None:
            return False
        return parent is self._feed or parent is next(iter(children(self._feed).get("channel", ())), None)


def xml_parser(*, encoding: str | None = None, recover: bool = False) -> "etree.XMLParser":
    return etree.XMLParser(encoding=encoding, recover=recover, **_SAFE)


def feed_of(root: Element, url: str, *, damaged: bool = False, entries: Iterable[Element] | None = None) -> Feed:
    """The feed in this tree: its root, or (pages that wrap one) the first one inside. `entries` are those of a long
    document, which are not in the tree."""
    name = name_of(root.tag)
    if name == "at:deleted-entry":  # RFC 6721: a document of its own (application/atomdeleted+xml)
        stone = _tombstone(root)
        return Feed("atom", tombstones=(stone,) if stone.ref else (), damaged=damaged)
    if name not in FEEDS and name not in ENTRIES:
        root, damaged = _feed_in(root), True
        if root is None:
            raise ParseError(f"This is XML, but no feed: its outermost element is <{name.lstrip('?:')[:60]}>.")
        name = name_of(root.tag)
    if name in ENTRIES:
        return _bare_entry(root, url, damaged)
    found = children(root)
    base = base_of(root, url)
    for channel in found.get("channel", ())[:1]:
        for inner, elements in children(channel).items():
            found.setdefault(inner, []).extend(elements)
        base = base_of(channel, base)
    return _feed(root, found, base, is_rss=name not in ("atom:feed", "feed"), damaged=damaged, long=entries)


def _feed_in(root: Element) -> Element | None:
    """The root, or the first feed that is wrapped in something else."""
    if name_of(root.tag) in FEEDS:
        return root
    inside = (node for node in root.iter("{*}feed", "{*}rss", "{*}RDF") if name_of(node.tag) in FEEDS)
    return next(inside, None)


def _feed(
    root: Element, found: Children, base: str, *, is_rss: bool, damaged: bool, long: Iterable[Element] | None = None
) -> Feed:
    links = _links(found)
    site = absolute(_alternate(links) or first_text(found, "link"), base)
    # RSS says nothing of relative addresses; its writers mean the site, not the place where the feed happens to be.
    entry_base = site if is_rss and site else base
    tombstones = [_tombstone(element) for element in found.get("at:deleted-entry", ())]
    elements = [element for name in ENTRIES for element in found.get(name, ())] if long is None else long
    entries = _entries(elements, entry_base, site, tombstones)
    every = tuple(entries) if long is None else Packed.of(entries)
    return Feed(
        format="rss" if is_rss else "atom",
        title=_plain_title(_title(found))[:TEXT_CHARS],
        site_url=site[:TEXT_CHARS],
        self_url=next((a for rel, href, _ in links if rel == "self" and (a := absolute(href, base))), "")[:TEXT_CHARS],
        hubs=_hubs(links, base),
        language=(root.get(XML_LANG) or first_text(found, "language", "dc:language"))[:40],
        author=author_of(found, base),
        entries=every,
        tombstones=tuple(stone for stone in tombstones if stone.ref),
        damaged=damaged,
        next_page=_older(links, base),
        complete="fh:complete" in found,
        cloud=_cloud(found),
        generator=first_text(found, "atom:generator", "generator")[:TEXT_CHARS],
        moved_to=absolute(first_text(found, "itunes:new-feed-url"), base)[:TEXT_CHARS],
    )


def _entries(elements: Iterable[Element], base: str, site: str, tombstones: list[Tombstone]) -> Iterator[RawEntry]:
    inside: list[Element] = []
    for element in chain(elements, inside):
        if not len(element):
            continue
        within = children(element)
        if "item" in within and element.tag.endswith("item"):  # what a broken feed left inside comes out as a neighbour
            inside += within["item"]
        entry = _entry(element, within, base, site)
        if entry.verb and last_word(entry.verb) == "delete" and entry.id:  # OStatus: it asks for its own removal
            tombstones.append(Tombstone(entry.id, entry.updated or entry.published))
        else:
            yield entry


def _bare_entry(root: Element, url: str, damaged: bool) -> Feed:
    """One entry as a whole document, as some hubs push it; what is known of its feed is in atom:source."""
    base = base_of(root, url)
    source = next(iter(children(root).get("atom:source", ())), None)
    found: Children = children(source) if source is not None else {}
    wrapped = etree.Element("rss" if name_of(root.tag) == "item" else "{http://www.w3.org/2005/Atom}feed")
    feed_children = {name: kids for name, kids in found.items() if name not in ENTRIES}
    feed_children[name_of(root.tag)] = [root]
    return _feed(wrapped, feed_children, base, is_rss=name_of(root.tag) == "item", damaged=damaged)


# -- one entry --------------------------------------------------------------------------------


def _entry(element: Element, found: Children, base: str, site: str) -> RawEntry:
    base = base_of(element, base)
    if "activity:object" in found:
        found = with_the_posting(found)
    links = _links(found)
    content, summary = _content(found, base)
    media = media_of(found, base)
    location = None if PLACES.isdisjoint(found) else _location(found)
    return RawEntry(
        id=_id(element, found),
        link=_link(found, links),
        title=_title(found),
        content=content,
        summary=summary,
        published=first_text(
            found, "atom:published", "published", "pubDate", "pubdate", "atom:issued", "dcterms:issued", "dc:date",
            "dcterms:created", "atom:created",
        )[:100],
        updated=first_text(found, "atom:updated", "updated", "atom:modified", "dcterms:modified")[:100],
        author=_author(found, base),
        tags=_tags(found),
        media=media or (media_shared(found, base) if "activity:object" in found else ()),
        location=location,
        verb=first_text(found, "activity:verb")[:TEXT_CHARS],
        object_type=object_type_of(found) if "activity:verb" in found or "activity:object-type" in found else "",
        in_reply_to=_in_reply_to(found),
        language=_language(element, found)[:40],
        base=base,
        data=_data(found, base, site, location),
    )  # fmt: skip


def _id(element: Element, found: Children) -> str:
    """Character for character (RFC 4287, section 4.2.6.1), except for the line breaks of a pretty printer."""
    for name in ("atom:id", "guid", "id", "dc:identifier"):
        for given in found.get(name, ()):
            if (said := text(given)).strip():
                return said.strip() if "\n" in said else said
    return element.get("{http://www.w3.org/1999/02/22-rdf-syntax-ns#}about") or ""


def _links(found: Children) -> list[tuple[str, str, str]]:
    """Atom links anywhere, as (rel, href, type)."""
    if "atom:link" not in found and "link" not in found:
        return []
    return [
        (_rel(link.get("rel")), href, link.get("type") or "")
        for name in ("atom:link", "link")
        for link in found.get(name, ())
        if (href := (link.get("href") or "").strip())
    ]


def _rel(given: str | None) -> str:
    """A missing rel is "alternate" (RFC 4287, section 4.2.7.2); registered ones may be spelt as addresses."""
    return given.strip().removeprefix(_IANA).lower() if given else "alternate"


def _alternate(links: list[tuple[str, str, str]]) -> str:
    """The first link to a page; among several, one that says it is HTML."""
    first = ""
    for rel, href, kind in links:
        if rel == "alternate":
            if "html" in kind:
                return href
            first = first or href
    return first


def _link(found: Children, links: list[tuple[str, str, str]]) -> str:
    """The entry's page. A tracker's address gives way to the real one; a guid is an address unless it denies it."""
    if page := first_text(found, "feedburner:origLink", "link") or _alternate(links):
        return page
    for guid in found.get("guid", ()):
        if guid.get("isPermaLink", "true").lower() != "false" and (said := text(guid).strip()).startswith("http"):
            return said
    if source := next((source for c in found.get("atom:content", ()) if (source := c.get("src"))), ""):
        return str(source)
    # Atom entries whose id is their page are common enough to be believed.
    return given if (given := first_text(found, "atom:id")).startswith(("http://", "https://")) else ""


def _title(found: Children) -> Text | None:
    for name in ("atom:title", "title"):
        for element in found.get(name, ()):
            kind = element.get("type")
            if kind is not None or name == "atom:title":
                said, is_html = _construct(element, kind or "text")
            else:
                said = text(element)
                is_html = bool(_HTML_IN_TITLE.search(said))
            if said := said.strip():
                return Text(said[:TITLE_CHARS], is_html)
    said = first_text(found, "dc:title", "media:title")
    return Text(said[:TITLE_CHARS]) if said else None


def _plain_title(title: Text | None) -> str:
    """Enough for a suggestion to the owner; whoever shows it escapes it."""
    if title is None:
        return ""
    return unescape(re.sub(r"<[^<>]*>", "", title.value)).strip() if title.html else title.value


def _content(found: Children, base: str) -> tuple[Text | None, Text | None]:
    """Content and summary; a summary that is all there is stays a summary."""
    summary = _first_construct(found, ("atom:summary", "summary"), "text", base)
    content = _first_construct(found, ("atom:content",), "text", base) or _first_construct(
        found, ("content:encoded", "xhtml:body", "xhtml:div", "fullitem", "content"), "html", base
    )
    described = _first_construct(found, ("description",), "html", base)
    if content is None and described is not None:
        return _as_written(described), summary
    summary = summary or described
    if content is None and summary is None:
        said = first_text(found, "dc:description", "media:description", "itunes:summary")
        for group in found.get("media:group", ()) if not said else ():
            said = said or first_text(children(group), "media:description")
        return (Text(said[:CONTENT_CHARS]) if said else None), None
    return content, summary


def _as_written(described: Text) -> Text:
    """A description is HTML, says RSS; one that has lines, and no tag, was written as plain text."""
    said = described.value.strip()
    if described.html and "\n" in said and not _TAG.search(said):
        return Text(unescape(said), base=described.base)
    return described


def _first_construct(found: Children, names: tuple[str, ...], default: str, base: str) -> Text | None:
    """The richest of these elements: markup before plain text, else the first that says something."""
    plain: Text | None = None
    for name in names:
        for element in found.get(name, ()):
            kind = "xhtml" if name.startswith("xhtml:") else element.get("type") or default
            said, is_html = _construct(element, kind)
            if said.strip() and (is_html or plain is None):
                made = Text(said, is_html, base_of(element, base))
                if is_html:
                    return made
                plain = made
    return plain


def _construct(element: Element, kind: str) -> tuple[str, bool]:
    """A text construct (RFC 4287, section 3.1), and whether it is HTML. Atom 0.3 has media types, and a `mode`."""
    kind, mode = kind.lower().strip(), element.get("mode")
    if kind in ("xhtml", "application/xhtml+xml") or (mode == "xml" and len(element)):
        return inner_html(element)[:CONTENT_CHARS], True
    if kind in ("html", "text/html") or (mode == "escaped" and kind != "text/plain"):
        return text(element)[:CONTENT_CHARS], True
    if "/" in kind and not kind.startswith("text/"):  # inline XML or base64: nothing a person could read
        return "", False
    return text(element)[:CONTENT_CHARS], False


def _author(found: Children, base: str) -> Author | None:
    """The entry's own author, else that of the feed it was taken from (RFC 4287, section 4.2.1)."""
    if own := author_of(found, base):
        return own
    for source in found.get("atom:source", ()):
        if inherited := author_of(children(source), base):
            return inherited
    return None


def _tags(found: Children) -> tuple[str, ...]:
    """Labels and terms. Categories that only say what kind of thing a machine takes this for are none."""
    tags: dict[str, None] = {}
    for element in found.get("atom:category", ()):
        if not (element.get("scheme") or "").endswith("#kind"):
            tags[(element.get("label") or element.get("term") or text(element)).strip()[:TEXT_CHARS]] = None
    for name in ("category", "dc:subject"):
        for element in found.get(name, ()):
            tags[(text(element) or element.get("label") or element.get("term") or "").strip()[:TEXT_CHARS]] = None
    tags.pop("", None)
    return tuple(tags)[:TAGS]


def _location(found: Children) -> Location | None:
    at = location_of(found)
    if at is None or at.name or "activity:object" not in found:
        return at
    return Location(at.lat, at.lon, place_of(found))


def _language(element: Element, found: Children) -> str:
    """Of the entry, else of its content, as Mastodon writes it."""
    said: str = element.get(XML_LANG) or first_text(found, "dc:language")
    for content in found.get("atom:content", ()):
        said = said or content.get(XML_LANG) or ""
    return said


def _data(found: Children, base: str, site: str, location: Location | None) -> dict[str, Any]:
    """What only some kinds of entries have. A place that is on no map is named at least."""
    data = episode_of(found)
    if "activity:object" in found:
        if about := about_of(found, base) or (visited(found, base) if location is None else {}):
            data["about"] = about
        for name, element in (("start", "xcal:dtstart"), ("end", "xcal:dtend")):
            if element in found and (moment := first_text(found, element)):
                data[name] = moment[:100]
    if not RATED.isdisjoint(found) and is_sensitive(found):
        data["sensitive"] = True
    if "flickr:date_taken" in found:
        data["taken"] = first_text(found, "flickr:date_taken")[:100]
    if ("atom:source" in found or "source" in found) and (source := _source(found, base, site)):
        data["source"] = source
    return data


def _source(found: Children, base: str, site: str) -> dict[str, str]:
    """The feed that an entry was taken from, where that is another than this one."""
    for element in found.get("atom:source", ()):
        within = children(element)
        url = absolute(_alternate(_links(within)), base_of(element, base))
        title = _plain_title(_title(within))
        return {"title": title[:TEXT_CHARS], "url": url[:TEXT_CHARS]} if url and url != site else {}
    for element in found.get("source", ()):
        if url := absolute(element.get("url") or "", base):
            return {"title": text(element).strip()[:TEXT_CHARS], "url": url[:TEXT_CHARS]}
    return {}


def _in_reply_to(found: Children) -> str:
    """RFC 4685: the page that is answered, else its id."""
    for element in found.get("thr:in-reply-to", ()):
        if said := (element.get("href") or element.get("ref") or "").strip():
            return str(said)[:TEXT_CHARS]
    return ""


# -- small things of the feed -----------------------------------------------------------------


def _hubs(links: list[tuple[str, str, str]], base: str) -> tuple[str, ...]:
    hubs = (absolute(href, base) for rel, href, _ in links if rel == "hub")
    return tuple(dict.fromkeys(hub for hub in hubs if hub and len(hub) <= TEXT_CHARS))[:HUBS]


def _older(links: list[tuple[str, str, str]], base: str) -> str:
    """RFC 5005: the next page (section 3), else the archive before this document (section 4)."""
    for wanted in ("next", "prev-archive"):
        for rel, href, _ in links:
            if rel == wanted and (address := absolute(href, base)):
                return address[:TEXT_CHARS]
    return ""


def _cloud(found: Children) -> Cloud | None:
    for element in found.get("cloud", ()):
        domain, port = (element.get("domain") or "").strip(), (element.get("port") or "80").strip()
        if domain and port.isascii() and port.isdigit() and 0 < int(port[:6]) < 65536:
            path, protocol = element.get("path") or "/", element.get("protocol") or "http-post"
            return Cloud(domain[:253], int(port), path.strip()[:TEXT_CHARS], protocol.strip().lower()[:40])
    return None


def _tombstone(element: Element) -> Tombstone:
    return Tombstone(element.get("ref") or "", (element.get("when") or "")[:100])
