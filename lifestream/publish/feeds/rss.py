"""RSS 2.0, with <cloud> for rssCloud, and the extensions that Atom has too."""

import html
from datetime import UTC, datetime
from email.utils import format_datetime
from urllib.parse import urlsplit

from lxml import etree

from lifestream.clean.columns import moment_of
from lifestream.protocol.topics import MEDIA_TYPES
from lifestream.publish.feeds.document import Document, rfc3339, urn
from lifestream.publish.feeds.xml import (
    ATOM,
    CONTENT,
    DC,
    EXTENSIONS,
    Element,
    add,
    add_extensions,
    add_person,
    add_tombstones,
)
from lifestream.types import Stored

PLEASE_NOTIFY = "/rsscloud/pleaseNotify"


def write(document: Document) -> bytes:
    namespaces: dict[str | None, str] = {"atom": ATOM, "content": CONTENT, "dc": DC, **EXTENSIONS}
    root = etree.Element("rss", version="2.0", nsmap=namespaces)
    channel = add(root, "", "channel")
    add(channel, "", "title", document.title)
    add(channel, "", "link", document.page_url)
    add(channel, "", "description", f"{document.title}, by {document.author}")
    add(channel, "", "lastBuildDate", _rfc822(moment_of(document.seq)))
    add(channel, "", "generator", "lifestream")
    if document.picture_url:
        _add_image(channel, document)
    add(channel, ATOM, "link", rel="self", href=document.self_url, type=MEDIA_TYPES["rss"])
    add(channel, ATOM, "link", rel="hub", href=document.config.hub_url)
    _add_cloud(channel, document.config.base_url)
    add_tombstones(channel, document)
    for stored in document.entries:
        _add_item(channel, document, stored)
    body: bytes = etree.tostring(root, xml_declaration=True, encoding="utf-8")
    return body


def _add_image(channel: Element, document: Document) -> None:
    image = add(channel, "", "image")
    for name, value in (("url", document.picture_url), ("title", document.title), ("link", document.page_url)):
        add(image, "", name, value)


def _add_cloud(channel: Element, base_url: str) -> None:
    """Where to ask to be told (https://www.rssboard.org/rsscloud-interface), for those who do not speak WebSub."""
    base = urlsplit(base_url)
    secure = base.scheme == "https"
    cloud = add(
        channel, "", "cloud", domain=base.hostname or "", port=str(base.port or (443 if secure else 80)),
        path=base.path + PLEASE_NOTIFY, protocol="https-post" if secure else "http-post",
    )  # fmt: skip
    cloud.set("registerProcedure", "")


def _add_item(channel: Element, document: Document, stored: Stored) -> None:
    entry = stored.entry
    node = add(channel, "", "item")
    if entry.title:
        add(node, "", "title", entry.title)
        if "<" in entry.title or "&" in entry.title:  # RSS does not say whether a title is HTML; Atom does
            add(node, ATOM, "title", entry.title, type="text")
    add(node, "", "link", entry.url or document.entry_url(stored))
    add(node, "", "guid", urn(stored.id), isPermaLink="false")
    add(node, "", "pubDate", _rfc822(entry.published or stored.received))
    if entry.updated:
        add(node, ATOM, "updated", rfc3339(entry.updated))
    if entry.author and (entry.author.name or entry.author.url):
        add(node, DC, "creator", entry.author.name or entry.author.url)
        add_person(node, entry.author)
    for tag in entry.tags:
        add(node, "", "category", tag)
    _add_enclosure(node, stored)
    add_extensions(node, entry)
    if entry.language:
        add(node, DC, "language", entry.language)
    if entry.summary:
        add(node, "", "description", html.escape(entry.summary, quote=False))
    if entry.content_html:
        add(node, CONTENT, "encoded", entry.content_html)
    if document.source is None:
        add(node, "", "source", stored.source.title, url=document.feed_of(stored))


def _add_enclosure(node: Element, stored: Stored) -> None:
    """An item has one; how long it is nobody told us."""
    for media in stored.entry.media:
        if "/" in media.type:
            add(node, "", "enclosure", url=media.url, type=media.type, length="0")
            return


def _rfc822(when: datetime) -> str:
    return format_datetime(when.astimezone(UTC).replace(microsecond=0), usegmt=True)
