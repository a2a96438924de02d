"""Repairs, from cheap to desperate, for feeds that are no well-formed XML: known damage is mended in the text, then
lxml reads over what is left, then feedparser, which is slow and reads nearly anything. All of it is marked `damaged`.
"""

import re
from collections import deque
from functools import partial
from html.entities import html5
from io import BytesIO
from types import ModuleType
from typing import Any

from lxml import etree

from lifestream.errors import ParseError
from lifestream.parse import encodings
from lifestream.parse.atom_rss import feed_of, xml_parser
from lifestream.parse.document import CONTENT_CHARS, HUBS, MEDIA, TAGS, TEXT_CHARS, TITLE_CHARS, Document, safe_text
from lifestream.parse.extensions import media_type, pixels
from lifestream.parse.names import absolute
from lifestream.parse.seen import what_was_seen
from lifestream.types import Author, Feed, Media, RawEntry, Text

_KNOWN_PREFIXES = {
    "atom": "http://www.w3.org/2005/Atom", "content": "http://purl.org/rss/1.0/modules/content/",
    "dc": "http://purl.org/dc/elements/1.1/", "media": "http://search.yahoo.com/mrss/",
    "georss": "http://www.georss.org/georss", "geo": "http://www.w3.org/2003/01/geo/wgs84_pos#",
    "activity": "http://activitystrea.ms/spec/1.0/", "thr": "http://purl.org/syndication/thread/1.0",
    "at": "http://purl.org/atompub/tombstones/1.0", "itunes": "http://www.itunes.com/dtds/podcast-1.0.dtd",
    "rdf": "http://www.w3.org/1999/02/22-rdf-syntax-ns#", "feedburner": "http://rssnamespace.org/feedburner/ext/1.0",
}  # fmt: skip
_BEGINNING = re.compile(r"<(?:[A-Za-z0-9_-]{1,30}:)?(?:feed|rss|RDF|entry|item|channel)(?=[\s>/])")
_ENTITY = re.compile(r"<!ENTITY\s+([A-Za-z_][\w.-]{0,40})\s")
_CDATA = re.compile(r"(<!\[CDATA\[.*?\]\]>)", re.S)
_REFERENCE = re.compile(r"&(?:#(\d{1,10});|#[xX]([0-9a-fA-F]{1,8});|([A-Za-z][A-Za-z0-9]{0,31});)?")
_PREFIXED = re.compile(r"</?([A-Za-z_][\w.-]{0,40}):|\s([A-Za-z_][\w.-]{0,40}):[A-Za-z_][\w.-]{0,60}\s{0,3}=")
_DECLARES = re.compile(r"xmlns:([A-Za-z_][\w.-]{0,40})\s{0,3}=")
_ENDING = re.compile(r"</(?:[A-Za-z0-9_-]{1,30}:)?(feed|rss|RDF)\s{0,100}>")
_ENTRY_ENDING = re.compile(r"</(?:[A-Za-z0-9_-]{1,30}:)?(?:entry|item)\s{0,100}>")
_ENTRY = re.compile(r"<(?:[A-Za-z0-9_-]{1,30}:)?(?:entry|item)[\s>/]")
_OBJECT = re.compile(r"<activity:object>[^<]*(?:<(?!/?activity:object>)[^<]*)*</activity:object>")
_OBJECTS_DEEP = 3
_XML_OWN = ("amp", "lt", "gt", "quot", "apos")


def read(document: Document, reader: ModuleType) -> Feed:
    """What can be saved. A format that knows its own repairs says so with `repair`."""
    if hasattr(reader, "repair"):
        feed: Feed = reader.repair(document)
        return feed
    text = mend(encodings.decode(document.body, document.media_type))
    if not text:
        raise ParseError(what_was_seen(document))
    expected, best = len(_ENTRY.findall(text)), None
    for attempt in (_strictly, _over_the_rest, _with_feedparser):
        found = attempt(text, document.url)
        if found is not None and (best is None or _size(found) > _size(best)):
            best = found
        if best is not None and _size(best) >= expected:
            break
    if best is None or (expected and not _size(best)):
        raise ParseError(what_was_seen(document))
    return best


def _size(feed: Feed) -> int:
    return len(feed.entries) + len(feed.tombstones)


# -- mending the text -------------------------------------------------------------------------


def mend(text: str) -> str:
    """The document from its root element to its end, with the usual damage undone; "" if it has no beginning."""
    text = safe_text(text)
    beginning = _BEGINNING.search(text)
    if beginning is None:
        return ""
    own_entities = frozenset(_ENTITY.findall(text[: beginning.start()]))
    parts = _CDATA.split(_whole(text[beginning.start() :]))
    parts[::2] = [_REFERENCE.sub(partial(_reference, own_entities), part) for part in parts[::2]]
    return _declare_prefixes(_close_empty("".join(parts)))


def _whole(text: str) -> str:
    """One root: a second document or rubbish behind it goes; a document cut off ends after its last whole entry."""
    ending = _last(_ENDING, text)
    first = _BEGINNING.match(text)
    root = first[0].strip("<").rpartition(":")[2] if first else ""
    if ending is not None:
        second = _BEGINNING.search(text, 1) if root in ("feed", "rss", "RDF") else None
        while second is not None and second[0].strip("<").rpartition(":")[2] != root:
            second = _BEGINNING.search(text, second.end())
        if second is not None and (earlier := _ENDING.search(text, 0, second.start())):
            ending = earlier
        return text[: ending.end()]
    return _cut_off(text, first[0] if first else "", root)


def _cut_off(text: str, opening: str, root: str) -> str:
    if root not in ("feed", "rss", "RDF"):
        return text
    last = _last(_ENTRY_ENDING, text)
    if last is None:
        return text
    channel = "</channel>" if root == "rss" and "<channel" in text else ""
    return f"{text[: last.end()]}{channel}</{opening[1:]}>"


def _close_empty(text: str) -> str:
    """Elements that are always empty, written as HTML would: never closed."""
    for name in ("media:content", "media:thumbnail", "atom:link", "atom10:link", "enclosure"):
        if f"<{name} " in text and f"</{name}" not in text:
            text = re.sub(rf"(<{name}\s[^<>]*)(?<!/)>", r"\1/>", text)
    return text


def _last(pattern: re.Pattern[str], text: str) -> re.Match[str] | None:
    return next(iter(deque(pattern.finditer(text), maxlen=1)), None)


def _reference(own_entities: frozenset[str], found: re.Match[str]) -> str:
    """A legal reference stays, an HTML one is decoded, an illegal one goes, a bare ampersand is escaped. An entity the
    document declares itself goes too: never expanded, whatever it would have said."""
    decimal, hexadecimal, name = found.groups()
    if decimal or hexadecimal:
        number = int(decimal) if decimal else int(hexadecimal, 16)
        return f"&#{number};" if number <= 0x10FFFF and safe_text(chr(number)) else ""
    if name is None:
        return "&amp;"
    if name in _XML_OWN:
        return found[0]
    if name in own_entities:
        return ""
    character = html5.get(f"{name};")
    if character is None:
        return f"&amp;{name};"
    return "".join(f"&#{ord(c)};" for c in character)


def _declare_prefixes(text: str) -> str:
    used = {one or other for one, other in _PREFIXED.findall(text)}
    missing = sorted(used - set(_DECLARES.findall(text)) - {"xml", "xmlns"})[:200]
    if not missing:
        return text
    where = _BEGINNING.match(text)
    at = where.end() if where else 0
    declared = "".join(
        f' xmlns:{prefix}="{_KNOWN_PREFIXES.get(prefix, "urn:undeclared:" + prefix)}"' for prefix in missing
    )
    return f"{text[:at]}{declared}{text[at:]}"


# -- reading what was mended ------------------------------------------------------------------


def _strictly(text: str, url: str) -> Feed | None:
    return _tree(text, url, recover=False)


def _over_the_rest(text: str, url: str) -> Feed | None:
    return _tree(text, url, recover=True)


def _tree(text: str, url: str, *, recover: bool) -> Feed | None:
    try:
        root = etree.fromstring(text.encode("utf-8", "replace"), xml_parser(encoding="utf-8", recover=recover))
    except (etree.XMLSyntaxError, ValueError):
        return None
    return feed_of(root, url, damaged=True) if root is not None and isinstance(root.tag, str) else None


def _with_feedparser(text: str, url: str) -> Feed | None:
    """Its own sanitiser and URL resolving are off: both are done, better, when an entry is cleaned. Given a
    stream, as it would open or fetch what a string names. It raises what it likes (UnicodeError too): all caught."""
    import feedparser

    try:
        found = feedparser.parse(
            BytesIO(without_objects(text).encode("utf-8", "replace")),
            sanitize_html=False,
            resolve_relative_uris=False,
        )
        return _from_feedparser(found, url)
    except Exception:
        return None


def without_objects(text: str) -> str:
    """feedparser takes what is in an activity's object for the entry's own id, title and content."""
    for _ in range(_OBJECTS_DEEP):
        text = _OBJECT.sub("", text)
    return text


def _from_feedparser(found: Any, url: str) -> Feed | None:
    about = found.feed
    if not found.entries and not about.get("title"):
        return None
    links = [(link.get("rel"), absolute(str(link.get("href", "")), url)) for link in about.get("links", ())]
    return Feed(
        format="atom" if str(found.get("version", "")).startswith("atom") else "rss",
        title=safe_text(str(about.get("title", "")))[:TEXT_CHARS],
        site_url=absolute(str(about.get("link", "")), url)[:TEXT_CHARS],
        self_url=next((href for rel, href in links if rel == "self"), "")[:TEXT_CHARS],
        hubs=tuple(href for rel, href in links if rel == "hub" and href)[:HUBS],
        language=str(about.get("language", ""))[:40],
        entries=tuple(_entry(each, url) for each in found.entries),
        damaged=True,
        next_page=next((href for rel, href in links if rel == "next"), "")[:TEXT_CHARS],
        generator=safe_text(str(about.get("generator", "")))[:TEXT_CHARS],
    )


def _entry(each: Any, base: str) -> RawEntry:
    content = next(iter(each.get("content") or ()), None) or each.get("summary_detail")
    return RawEntry(
        id=safe_text(str(each.get("id", ""))),
        link=safe_text(str(each.get("link", ""))),
        title=_text(each.get("title_detail"), TITLE_CHARS),
        content=_text(content, CONTENT_CHARS),
        summary=_text(each.get("summary_detail"), CONTENT_CHARS) if each.get("content") else None,
        published=str(each.get("published", ""))[:100],
        updated=str(each.get("updated", ""))[:100] if "updated" in each else "",
        author=Author(safe_text(str(each["author"]))[:TEXT_CHARS]) if each.get("author") else None,
        tags=tuple(safe_text(str(tag["term"]))[:TEXT_CHARS] for tag in each.get("tags", ()) if tag.get("term"))[:TAGS],
        media=tuple(_media(each, base))[:MEDIA],
        base=base,
    )


def _media(each: Any, base: str) -> list[Media]:
    found = {}
    for given in (*each.get("enclosures", ()), *each.get("media_content", ())):
        url = absolute(str(given.get("href") or given.get("url") or ""), base)
        if url and len(url) <= TEXT_CHARS:
            kind = media_type(str(given.get("type", "")), str(given.get("medium", "")), url)
            found[url] = Media(kind, url, pixels(given.get("width")), pixels(given.get("height")))
    return list(found.values())


def _text(detail: Any, limit: int) -> Text | None:
    said = safe_text(str(detail.get("value", ""))).strip() if detail else ""
    return Text(said[:limit], html="html" in str(detail.get("type", ""))) if said else None
