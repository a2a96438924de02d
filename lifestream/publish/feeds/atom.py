"""Atom (RFC 4287), with tombstones (RFC 6721), threading (RFC 4685), GeoRSS, Media RSS and ActivityStreams 1.0."""

from lxml import etree

from lifestream.clean.columns import moment_of
from lifestream.protocol.topics import MEDIA_TYPES
from lifestream.publish.feeds.document import Document, rfc3339, shortened, urn
from lifestream.publish.feeds.xml import (
    ATOM,
    ATOM_MEDIA,
    EXTENSIONS,
    LANG,
    Element,
    add,
    add_extensions,
    add_person,
    add_tombstones,
    legal,
)
from lifestream.types import Author, Stored


def write(document: Document) -> bytes:
    namespaces: dict[str | None, str] = {None: ATOM, "atommedia": ATOM_MEDIA, **EXTENSIONS}
    root = etree.Element(f"{{{ATOM}}}feed", nsmap=namespaces)
    add(root, ATOM, "id", document.self_url)
    add(root, ATOM, "title", document.title)
    add(root, ATOM, "updated", rfc3339(moment_of(document.seq)))
    add(root, ATOM, "link", rel="self", href=document.self_url, type=MEDIA_TYPES["atom"])
    add(root, ATOM, "link", rel="hub", href=document.config.hub_url)
    add(root, ATOM, "link", rel="alternate", href=document.page_url, type="text/html")
    add_person(root, Author(document.author, document.config.author_url))
    add(root, ATOM, "generator", "lifestream")
    if document.picture_url:
        add(root, ATOM, "icon", document.picture_url)
    add_tombstones(root, document)
    for stored in document.entries:
        _add_entry(root, document, stored)
    body: bytes = etree.tostring(root, xml_declaration=True, encoding="utf-8")
    return body


def _add_entry(root: Element, document: Document, stored: Stored) -> None:
    entry = stored.entry
    published = entry.published or stored.received
    node = add(root, ATOM, "entry")
    if entry.language:
        node.set(LANG, legal(entry.language))
    add(node, ATOM, "id", urn(stored.id))
    add(node, ATOM, "title", entry.title or shortened(entry.summary) or stored.source.title)
    add(node, ATOM, "published", rfc3339(published))
    add(node, ATOM, "updated", rfc3339(entry.updated or published))
    add(node, ATOM, "link", rel="alternate", href=entry.url or document.entry_url(stored), type="text/html")
    add(node, ATOM, "link", rel="via", href=document.entry_url(stored), type="text/html")
    if entry.author and (entry.author.name or entry.author.url):
        add_person(node, entry.author)
    for tag in entry.tags:
        add(node, ATOM, "category", term=tag)
    _add_enclosures(node, stored)
    add_extensions(node, entry)
    if entry.content_html:
        add(node, ATOM, "content", entry.content_html, type="html")
    elif entry.summary:
        add(node, ATOM, "summary", entry.summary)
    if document.source is None:
        _add_source(node, document, stored)


def _add_enclosures(node: Element, stored: Stored) -> None:
    """For programs that know no Media RSS: podcast players, most of all."""
    for media in stored.entry.media:
        kind = media.type if "/" in media.type else ""
        link = add(node, ATOM, "link", rel="enclosure", href=media.url, type=kind, title=media.alt)
        for name, pixels in (("width", media.width), ("height", media.height)):
            if pixels:
                link.set(f"{{{ATOM_MEDIA}}}{name}", str(pixels))


def _add_source(node: Element, document: Document, stored: Stored) -> None:
    """RFC 4287, section 4.2.11: of which feed of ours this entry is a part."""
    feed = document.feed_of(stored)
    source = add(node, ATOM, "source")
    add(source, ATOM, "id", feed)
    add(source, ATOM, "title", stored.source.title)
    add(source, ATOM, "link", rel="self", href=feed, type=MEDIA_TYPES["atom"])
