"""Our own feeds: the stream, or a part of it, as Atom, RSS or JSON Feed. Each is a topic of the built-in hub.

What the hub delivers is what a GET returns: the bytes come from the log, and change only when it does; or when a
tombstone has had its time.
"""

import re
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import blake2b
from urllib.parse import parse_qsl, unquote, urlsplit

from sqlalchemy.ext.asyncio import AsyncConnection

from lifestream.access import wanted_of
from lifestream.clean.columns import microseconds
from lifestream.config import Config
from lifestream.errors import InvalidInput
from lifestream.protocol.hub import address_key
from lifestream.protocol.topics import FORMATS, Format, Topic
from lifestream.publish.feeds import atom, jsonfeed, rss
from lifestream.publish.feeds.document import Document, site_title
from lifestream.store import entries, sources
from lifestream.types import Filter, Source
from lifestream.view.filters import filter_title

__all__ = ["OwnFeed", "Topic", "render", "topic_of"]

MOST_ENTRIES = 50
TOMBSTONES_LAST = timedelta(days=30)
PATH = re.compile(rf"(?:/sources/([^/]+))?/feed\.({'|'.join(FORMATS)})")
WRITERS = {"atom": atom.write, "rss": rss.write, "json": jsonfeed.write}


@dataclass(frozen=True, slots=True)
class OwnFeed:
    """A feed of ours, as bytes. `seq` is the newest change in it, which is its version too."""

    self_url: str
    media_type: str
    body: bytes
    seq: int

    @property
    def etag(self) -> str:
        """With the digest: a title changes without a change in the log."""
        return f'"{self.seq:x}-{blake2b(self.body, digest_size=6).hexdigest()}"'


def topic_of(config: Config, url: str) -> Topic | None:
    """The feed of ours that has this address, in whatever spelling; http and https alike. Whether what it asks for is
    there to be seen, `render` says."""
    try:
        parts, base = urlsplit(url.strip()), urlsplit(config.base_url)
        if address_key(f"{parts.scheme}://{parts.netloc}/") != address_key(f"{base.scheme}://{base.netloc}/"):
            return None
        if not parts.path.startswith(base.path):
            return None
        return asked_for(parts.path.removeprefix(base.path), dict(parse_qsl(parts.query)))
    except (ValueError, InvalidInput):
        return None


def asked_for(path: str, query: dict[str, str]) -> Topic | None:
    """Raises InvalidInput for a filter that makes no sense."""
    match = PATH.fullmatch(path)
    if match is None:
        return None
    slug, name = match.groups()
    return Topic.of(_format(name), wanted_of(query | ({"source": unquote(slug)} if slug else {})))


async def render(db: AsyncConnection, config: Config, now: datetime, topic: Topic) -> OwnFeed:
    """The feed as the public sees it. Raises NotFound for a source that is not there or is private.

    Where `topic.wanted.q` is asked for, `index.before_search` goes before the transaction.
    """
    document = await _document(db, config, now, topic)
    return OwnFeed(document.self_url, topic.media_type, WRITERS[topic.format](document), document.seq)


async def _document(db: AsyncConnection, config: Config, now: datetime, topic: Topic) -> Document:
    wanted = topic.wanted
    source = await sources.get(db, wanted.source, audience="public") if wanted.source else None
    found, _ = await entries.page(db, audience="public", wanted=wanted, limit=MOST_ENTRIES)
    gone = await entries.tombstones(db, wanted=wanted, since=now - TOMBSTONES_LAST, limit=MOST_ENTRIES)
    newest = max([stored.seq for stored in found] + [microseconds(when) for _, when in gone], default=0)
    return Document(config, topic, _title(config, wanted, source), source, found, gone, newest)


def _title(config: Config, wanted: Filter, source: Source | None) -> str:
    if source and wanted == Filter(source=source.slug):
        return source.title
    return f"{filter_title(wanted)} – {site_title(config)}" if wanted else site_title(config)


def _format(name: str) -> Format:
    return next(known for known in FORMATS if known == name)
