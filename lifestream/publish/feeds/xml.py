"""What Atom and RSS have in common: the namespaces of their extensions, and what is written in them."""

import re
from typing import Any, TypeAlias

from lxml import etree

from lifestream.publish.feeds.document import OBJECT_TYPES, Document, about_of, rfc3339, urn, verb_of
from lifestream.types import Author, Entry, Media

ATOM = "http://www.w3.org/2005/Atom"
ACTIVITY = "http://activitystrea.ms/spec/1.0/"
ATOM_MEDIA = "http://purl.org/syndication/atommedia"
CONTENT = "http://purl.org/rss/1.0/modules/content/"
DC = "http://purl.org/dc/elements/1.1/"
GEORSS = "http://www.georss.org/georss"
MEDIA = "http://search.yahoo.com/mrss/"
THREADING = "http://purl.org/syndication/thread/1.0"
TOMBSTONES = "http://purl.org/atompub/tombstones/1.0"
EXTENSIONS: dict[str | None, str] = {
    "activity": ACTIVITY,
    "at": TOMBSTONES,
    "georss": GEORSS,
    "media": MEDIA,
    "thr": THREADING,
}
LANG = "{http://www.w3.org/XML/1998/namespace}lang"

SCHEMA = "http://activitystrea.ms/schema/1.0/"
NOT_IN_XML = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")

Element: TypeAlias = Any
"""lxml has no types."""


def add(parent: Element, namespace: str, name: str, text: str = "", **attributes: str) -> Element:
    """An element with what it says. An attribute that says nothing is left out."""
    node = etree.SubElement(parent, f"{{{namespace}}}{name}" if namespace else name)
    if text:
        node.text = legal(text)
    for attribute, value in attributes.items():
        if value:
            node.set(attribute, legal(value))
    return node


def legal(text: str) -> str:
    return NOT_IN_XML.sub("", text)


def add_tombstones(parent: Element, document: Document) -> None:
    """RFC 6721."""
    for public_id, when in document.gone:
        add(parent, TOMBSTONES, "deleted-entry", ref=urn(public_id), when=rfc3339(when))


def add_person(parent: Element, author: Author) -> None:
    """An Atom person construct (RFC 4287, section 3.2), which must have a name."""
    node = add(parent, ATOM, "author")
    add(node, ATOM, "name", author.name or author.url)
    if author.url:
        add(node, ATOM, "uri", author.url)
    if author.photo:
        add(node, ATOM, "link", rel="avatar", href=author.photo)


def add_extensions(node: Element, entry: Entry) -> None:
    for media in entry.media:
        _add_media(node, media)
    if place := entry.location:
        add(node, GEORSS, "point", f"{place.lat} {place.lon}")
        if place.name:
            add(node, GEORSS, "featurename", place.name)
    if entry.in_reply_to:
        page = entry.in_reply_to if entry.in_reply_to.startswith(("http://", "https://")) else ""
        add(node, THREADING, "in-reply-to", ref=entry.in_reply_to, href=page)
    _add_activity(node, entry)


def _add_media(node: Element, media: Media) -> None:
    """Media RSS, which has room for its size and for what it shows."""
    content = add(
        node, MEDIA, "content", url=media.url, type=media.type if "/" in media.type else "",
        medium=media.type.partition("/")[0], width=str(media.width or ""), height=str(media.height or ""),
    )  # fmt: skip
    if media.alt:
        add(content, MEDIA, "description", media.alt, type="plain")
    if media.thumbnail:
        add(content, MEDIA, "thumbnail", url=media.thumbnail)


def _add_activity(node: Element, entry: Entry) -> None:
    """ActivityStreams 1.0: what was done, and to what."""
    verb, object_type = verb_of(entry), OBJECT_TYPES.get(entry.kind, "")
    if verb == "post" and not object_type:
        return
    add(node, ACTIVITY, "verb", SCHEMA + verb)
    if object_type:
        add(node, ACTIVITY, "object-type", SCHEMA + object_type)
    about = about_of(entry)
    if not about or verb == "post":
        return
    thing = add(node, ACTIVITY, "object")
    if about.get("type"):
        add(thing, ACTIVITY, "object-type", SCHEMA + about["type"])
    if about.get("url"):
        add(thing, ATOM, "id", about["url"])
        add(thing, ATOM, "link", rel="alternate", type="text/html", href=about["url"])
    if about.get("title"):
        add(thing, ATOM, "title", about["title"])
    if about.get("author"):
        add_person(thing, Author(about["author"]))
