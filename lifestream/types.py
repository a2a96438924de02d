"""The words lifestream is written in: plain frozen values that every other module passes on.

Nothing here does anything. `RawEntry` and `Feed` are what a document says, before anybody
believed it; `Entry` is clean and safe to show; `Stored` is an entry with its place in the log.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal, get_args

Kind = Literal[
    "article", "note", "photo", "video", "audio", "listen", "watch", "code", "release",
    "like", "repost", "reply", "bookmark", "follow", "checkin", "event", "other",
]  # fmt: skip
KINDS: tuple[Kind, ...] = get_args(Kind)

Via = Literal["push", "ping", "poll", "backfill", "post"]
"""How something was first seen: by a hub's push, by a ping, by our own poll, as history, or written here."""

Visibility = Literal["public", "private"]
Audience = Literal["public", "owner"]
"""Who is looking. `public` never sees a private source; `owner` is the owner's session or a token that may read."""

SourceState = Literal["pending", "active", "denied", "failing", "paused"]
Delivery = Literal["websub", "rsscloud", "polling", "local", "hub"]


# -- what a document says ---------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Text:
    """A piece of text from a document: HTML or plain, with the base its relative links count from."""

    value: str
    html: bool = False
    base: str = ""


@dataclass(frozen=True, slots=True)
class Author:
    name: str = ""
    url: str = ""
    photo: str = ""


@dataclass(frozen=True, slots=True)
class Media:
    """A picture, sound or film. `type` is a media type ("image/jpeg"), or "image", "audio", "video" alone."""

    type: str
    url: str
    width: int | None = None
    height: int | None = None
    alt: str = ""
    thumbnail: str = ""


@dataclass(frozen=True, slots=True)
class Location:
    lat: float
    lon: float
    name: str = ""


@dataclass(frozen=True, slots=True)
class RawEntry:
    """One entry as its document has it: nothing sanitised, dates as written, addresses perhaps relative to `base`."""

    id: str = ""
    link: str = ""
    title: Text | None = None
    content: Text | None = None
    summary: Text | None = None
    published: str = ""
    updated: str = ""
    author: Author | None = None
    tags: tuple[str, ...] = ()
    media: tuple[Media, ...] = ()
    location: Location | None = None
    verb: str = ""
    """An ActivityStreams verb as written: a URI or a word."""
    object_type: str = ""
    in_reply_to: str = ""
    language: str = ""
    base: str = ""
    data: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Tombstone:
    """RFC 6721: the publisher says that the entry with this id is gone."""

    ref: str
    when: str = ""


@dataclass(frozen=True, slots=True)
class Cloud:
    """RSS 2.0's <cloud>: where to ask to be told of changes (rssCloud)."""

    domain: str
    port: int
    path: str
    protocol: str


@dataclass(frozen=True, slots=True)
class Feed:
    """One document, read. `self_url` and `hubs` are what the document itself names, not its HTTP headers."""

    format: Literal["atom", "rss", "json", "activitystreams", "h-feed"]
    title: str = ""
    site_url: str = ""
    self_url: str = ""
    hubs: tuple[str, ...] = ()
    language: str = ""
    author: Author | None = None
    entries: Sequence[RawEntry] = ()
    tombstones: tuple[Tombstone, ...] = ()
    damaged: bool = False
    """The document was ill-formed and had to be repaired or guessed at."""
    next_page: str = ""
    """Where older entries are (RFC 5005, JSON Feed's `next_url`, ActivityStreams' and HTML's `next`)."""
    complete: bool = False
    """The publisher says that there are no other entries than these (RFC 5005, section 2)."""
    cloud: Cloud | None = None
    generator: str = ""
    """The program that wrote the document, as it calls itself."""
    entries_at: str = ""
    """Where the newest entries are, said by a document that has none: an actor, an outbox apart from its pages."""
    moved_to: str = ""
    """Where the feed is from now on, as the document itself says; perhaps its own address."""


# -- what we made of it -----------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Entry:
    """An entry that is safe to show: HTML through the allow-list, addresses absolute http(s), dates aware."""

    kind: Kind = "other"
    verb: str = "post"
    title: str | None = None
    url: str | None = None
    content_html: str = ""
    summary: str = ""
    author: Author | None = None
    published: datetime | None = None
    updated: datetime | None = None
    tags: tuple[str, ...] = ()
    media: tuple[Media, ...] = ()
    location: Location | None = None
    in_reply_to: str = ""
    language: str = ""
    data: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Stored:
    """An entry as the store holds it. `seq` is its place in the log of changes, `first_seq` its first one there."""

    id: str
    seq: int
    first_seq: int
    source: "SourceName"
    entry: Entry
    received: datetime
    ordered_at: datetime
    quiet: bool = False
    """Its latest change was the quiet arrival of history: in the log, never announced."""
    exposed: bool = True
    """The public log may hold it: so its leaving must be told there."""
    deleted: bool = False
    row: int = 0
    """Its row, which orders entries of one moment."""


@dataclass(frozen=True, slots=True)
class SourceName:
    """As much of a source as goes with each of its entries."""

    slug: str
    title: str
    url: str
    visibility: Visibility = "public"
    pictures: bool = True
    """Its pictures are kept here, and shown."""


@dataclass(frozen=True, slots=True)
class Source:
    """A source as the outside sees it. `topic` is what hubs are asked for; `feed_url` what is fetched."""

    id: int
    slug: str
    title: str
    url: str
    site_url: str
    feed_id: int | None
    feed_url: str | None
    topic: str | None
    kind: str
    visibility: Visibility
    state: SourceState
    delivery: Delivery
    hub_choice: str
    hub_url: str | None
    lease_expires: datetime | None
    last_push: datetime | None
    last_fetch: datetime | None
    last_entry: datetime | None
    last_error: str | None
    entry_count: int
    missed: int = 0
    """Entries that a poll found although the source is pushed."""
    missed_looks: int = 0
    """How many polls found such entries since the last push."""
    pushed_since: datetime | None = None
    pictures: bool = True
    """The pictures of its entries are kept here."""
    places: bool = True
    """It is shown where its entries happened."""

    @property
    def local(self) -> bool:
        return self.feed_id is None


@dataclass(frozen=True, slots=True)
class Near:
    lat: float
    lon: float
    km: float


@dataclass(frozen=True, slots=True)
class Filter:
    """What part of the stream is asked for; empty fields ask for everything."""

    kind: str = ""
    source: str = ""
    tag: str = ""
    q: str = ""
    near: Near | None = None

    def __bool__(self) -> bool:
        return self != Filter()

    @property
    def searches(self) -> bool:
        """No index answers it: it may read every entry there is."""
        return bool(self.tag or self.q or self.near)
