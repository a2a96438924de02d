"""Our own feeds: the stream, or one source, as Atom (RFC 4287) with tombstones (RFC 6721), self and hub.

A feed's bytes depend on the log alone, never on the clock: what the hub delivers is what a GET returns.
"""

import re
import uuid
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from urllib.parse import quote

from lxml import etree
from sqlalchemy.ext.asyncio import AsyncConnection

from lifestream.config import Config
from lifestream.store import entries, sources
from lifestream.store.tables import EPOCH, MICROSECOND
from lifestream.types import Filter, Source, Stored

ATOM = "http://www.w3.org/2005/Atom"
TOMBSTONES = "http://purl.org/atompub/tombstones/1.0"
GEORSS = "http://www.georss.org/georss"
THREADING = "http://purl.org/syndication/thread/1.0"
MEDIA_TYPE = "application/atom+xml; charset=utf-8"
MOST_ENTRIES = 50
TOMBSTONES_LAST = timedelta(days=30)
NOT_IN_XML = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
NAMESPACE = uuid.UUID("6c696665-7374-5265-a06d-656e74726965")
"""What the entries' ids are made under; fixed, so that they never change."""


@dataclass(frozen=True, slots=True)
class OwnFeed:
    """A feed of ours, as bytes. `seq` is the newest change in it, which is its version too."""

    self_url: str
    media_type: str
    body: bytes
    seq: int


def feed_path(slug: str = "") -> str:
    return f"/sources/{quote(slug)}/feed.atom" if slug else "/feed.atom"


async def render(db: AsyncConnection, config: Config, now: datetime, *, slug: str = "") -> OwnFeed:
    """The public stream, or a public source's part of it. Raises NotFound for any other source."""
    source = await sources.get(db, slug, audience="public") if slug else None
    wanted = Filter(source=slug)
    found, _ = await entries.page(db, audience="public", wanted=wanted, limit=MOST_ENTRIES)
    gone = await entries.tombstones(db, wanted=wanted, since=now - TOMBSTONES_LAST, limit=MOST_ENTRIES)
    self_url = config.base_url + feed_path(slug)
    newest = max([stored.seq for stored in found] + [(when - EPOCH) // MICROSECOND for _, when in gone], default=0)
    root = _head(config, source, self_url, newest)
    for public_id, when in gone:
        etree.SubElement(root, f"{{{TOMBSTONES}}}deleted-entry", ref=urn(public_id), when=_moment(when))
    for stored in found:
        root.append(_entry(config, stored))
    body: bytes = etree.tostring(root, xml_declaration=True, encoding="utf-8")
    return OwnFeed(self_url, MEDIA_TYPE, body, newest)


def urn(public_id: str) -> str:
    """An entry's Atom id: the same wherever this site lives."""
    return uuid.uuid5(NAMESPACE, public_id).urn


def _head(config: Config, source: Source | None, self_url: str, newest: int) -> etree._Element:
    namespaces = {None: ATOM, "at": TOMBSTONES, "georss": GEORSS, "thr": THREADING}
    root = etree.Element(f"{{{ATOM}}}feed", nsmap=namespaces)
    _text(root, "id", self_url)
    _text(root, "title", source.title if source else site_title(config))
    _text(root, "updated", _moment(EPOCH + newest * MICROSECOND))
    _link(root, "self", self_url, "application/atom+xml")
    _link(root, "hub", config.hub_url)
    page = f"{config.base_url}/sources/{quote(source.slug)}" if source else f"{config.base_url}/"
    _link(root, "alternate", page, "text/html")
    author = etree.SubElement(root, f"{{{ATOM}}}author")
    _text(author, "name", config.author or site_title(config))
    if config.author_url:
        _text(author, "uri", config.author_url)
    return root


def _entry(config: Config, stored: Stored) -> etree._Element:
    entry = stored.entry
    node = etree.Element(f"{{{ATOM}}}entry")
    _text(node, "id", urn(stored.id))
    _text(node, "title", entry.title or entry.summary[:80] or stored.source.title)
    published = entry.published or stored.received
    _text(node, "published", _moment(published))
    _text(node, "updated", _moment(entry.updated or published))
    _link(node, "alternate", entry.url or f"{config.base_url}/entries/{stored.id}", "text/html")
    _link(node, "via", f"{config.base_url}/entries/{stored.id}", "text/html")
    if entry.author and entry.author.name:
        author = etree.SubElement(node, f"{{{ATOM}}}author")
        _text(author, "name", entry.author.name)
        if entry.author.url:
            _text(author, "uri", entry.author.url)
    for tag in entry.tags:
        etree.SubElement(node, f"{{{ATOM}}}category", term=_legal(tag))
    for media in entry.media:
        kind = media.type if "/" in media.type else ""
        _link(node, "enclosure", media.url, kind)
    if entry.location:
        point = etree.SubElement(node, f"{{{GEORSS}}}point")
        point.text = f"{entry.location.lat} {entry.location.lon}"
    if entry.in_reply_to:
        etree.SubElement(node, f"{{{THREADING}}}in-reply-to", ref=_legal(entry.in_reply_to))
    if entry.content_html:
        content = _text(node, "content", entry.content_html)
        content.set("type", "html")
    elif entry.summary:
        _text(node, "summary", entry.summary)
    return node


def site_title(config: Config) -> str:
    return config.title or (f"{config.author}'s stream" if config.author else "Lifestream")


def _text(parent: etree._Element, name: str, text: str) -> etree._Element:
    node = etree.SubElement(parent, f"{{{ATOM}}}{name}")
    node.text = _legal(text)
    return node


def _link(parent: etree._Element, rel: str, href: str, media_type: str = "") -> None:
    node = etree.SubElement(parent, f"{{{ATOM}}}link", rel=rel, href=_legal(href))
    if media_type:
        node.set("type", media_type)


def _legal(text: str) -> str:
    return NOT_IN_XML.sub("", text)


def _moment(when: datetime) -> str:
    return when.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
