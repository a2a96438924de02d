"""The tables, as docs/schema.md explains them. The migrations make them; a test compares the two.

Times are whole microseconds since 1970 in UTC: one form on SQLite and PostgreSQL, that sorts, and that the
log's numbers share. JSON is kept as text for the same reason.
"""

from datetime import datetime
from typing import Any, TypeAlias

import orjson
from sqlalchemy import (
    BigInteger,
    Dialect,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Row,
    Select,
    String,
    Text,
    UniqueConstraint,
    column,
    false,
    table,
    text,
    true,
)
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column
from sqlalchemy.types import TypeDecorator

from lifestream.clean.columns import json_of, microseconds, moment_of

AnyRow: TypeAlias = Row[*tuple[Any, ...]]
AnySelect: TypeAlias = Select[*tuple[Any, ...]]


class Instant(TypeDecorator[datetime]):
    """A moment: aware in Python, microseconds since 1970 in the database."""

    impl = BigInteger
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> int | None:
        return None if value is None else microseconds(value)

    def process_result_value(self, value: int | None, dialect: Dialect) -> datetime | None:
        return None if value is None else moment_of(value)


class Json(TypeDecorator[Any]):
    """A JSON value kept as text."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: Any, dialect: Dialect) -> str | None:
        return None if value is None else json_of(value)

    def process_result_value(self, value: str | None, dialect: Dialect) -> Any:
        return None if value is None else orjson.loads(value)


class Base(DeclarativeBase):
    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "fk": "fk_%(table_name)s_%(column_0_N_name)s",
            "pk": "pk_%(table_name)s",
        }
    )
    type_annotation_map = {datetime: Instant, dict[str, Any]: Json, list[Any]: Json, int: BigInteger, str: Text}


# SQLite numbers rows by itself only in a column that is exactly INTEGER.
Id = BigInteger().with_variant(Integer, "sqlite")


class FeedRow(Base):
    """A document that is looked at: its address, how to ask again, and when. "Look at this" is a due row here.

    `asked` counts what asked for a look, `looked` how much of that has been answered; a look that begins with
    asked = 7 and ends with asked = 9 is followed by exactly one more. The four `pace_` columns are the
    contract's bucket. A feed without a source is one that strangers subscribe to at our hub.
    """

    __tablename__ = "feeds"

    id: Mapped[int] = mapped_column(Id, primary_key=True)
    url: Mapped[str]
    url_key: Mapped[str] = mapped_column(unique=True)
    """The address without what two spellings of it may differ in: what pings and subscriptions are matched by."""
    self_url: Mapped[str] = mapped_column(default="")
    self_key: Mapped[str] = mapped_column(default="", index=True)
    discovered: Mapped[bool] = mapped_column(default=False)
    etag: Mapped[str] = mapped_column(default="")
    last_modified: Mapped[str] = mapped_column(default="")
    body_digest: Mapped[str] = mapped_column(default="")
    first_document_at: Mapped[datetime | None]
    fetched_at: Mapped[datetime | None]
    moved_to: Mapped[str | None]
    """Where the last look was sent for good (301, 308). Said twice in a row, it becomes `url`."""
    failures: Mapped[int] = mapped_column(default=0)
    interval: Mapped[int] = mapped_column(default=0)
    poll_at: Mapped[datetime | None]
    due_at: Mapped[datetime | None] = mapped_column(index=True)
    claimed_until: Mapped[datetime | None]
    asked: Mapped[int] = mapped_column(default=0)
    looked: Mapped[int] = mapped_column(default=0)
    asked_via: Mapped[str] = mapped_column(default="")
    pace_tokens: Mapped[float] = mapped_column(default=10.0)
    pace_at: Mapped[datetime]
    pace_gap: Mapped[float] = mapped_column(default=0.0)
    pace_last: Mapped[datetime | None]


class FeedNameRow(Base):
    """An address that a feed had before it moved: pings, and who subscribes at our hub, may still use it."""

    __tablename__ = "feed_names"

    key: Mapped[str] = mapped_column(primary_key=True)
    feed_id: Mapped[int] = mapped_column(ForeignKey("feeds.id", ondelete="CASCADE"), index=True)


class HostRow(Base):
    """When a host may be polled again: so many feeds that live together are not all asked for at once."""

    __tablename__ = "hosts"

    host: Mapped[str] = mapped_column(primary_key=True)
    free_at: Mapped[datetime]


class SourceRow(Base):
    """Where entries come from: a feed, or this machine itself (`feed_id` is null)."""

    __tablename__ = "sources"

    id: Mapped[int] = mapped_column(Id, primary_key=True)
    slug: Mapped[str] = mapped_column(unique=True)
    title: Mapped[str] = mapped_column(default="")
    title_given: Mapped[bool] = mapped_column(default=False)
    """The owner named it, so the document's own title does not rename it."""
    url: Mapped[str]
    added_key: Mapped[str] = mapped_column(default="", index=True)
    """The address that was added, in the form pings are matched by."""
    site_url: Mapped[str] = mapped_column(default="")
    feed_id: Mapped[int | None] = mapped_column(ForeignKey("feeds.id"), unique=True)
    kind: Mapped[str] = mapped_column(default="")
    visibility: Mapped[str] = mapped_column(default="public")
    state: Mapped[str] = mapped_column(default="pending")
    delivery: Mapped[str] = mapped_column(default="polling")
    hub_choice: Mapped[str] = mapped_column(default="auto")
    hub_url: Mapped[str] = mapped_column(default="")
    last_push: Mapped[datetime | None]
    last_entry: Mapped[datetime | None]
    last_error: Mapped[str] = mapped_column(default="")
    entry_count: Mapped[int] = mapped_column(default=0)
    pushed_since: Mapped[datetime | None]
    missed: Mapped[int] = mapped_column(default=0, server_default="0")
    """Entries that a poll found although the source is pushed; `missed_lately` of them a push may still take back."""
    missed_lately: Mapped[int] = mapped_column(default=0, server_default="0")
    missed_looks: Mapped[int] = mapped_column(default=0, server_default="0")
    last_missed: Mapped[datetime | None]
    created_at: Mapped[datetime]
    pictures: Mapped[bool] = mapped_column(default=True, server_default=true())
    """The pictures of its entries are kept here."""
    places: Mapped[bool] = mapped_column(default=True, server_default=true())
    """It is shown where its entries happened."""
    removed: Mapped[bool] = mapped_column(default=False)
    """Removed by the owner; the row stays for its entries' tombstones, under a slug nobody can have."""


class SubscriptionRow(Base):
    """Ours at somebody's hub. The secret and the lease stay good until a renewal is verified (WebSub 5.1).

    `asking` is what the hub was last asked and has not verified: "subscribe", "unsubscribe" or nothing. At an rssCloud
    `hub_url` is where we register, and `topic` the feed as we named it there; it has no use for token and secret.
    """

    __tablename__ = "subscriptions"
    __table_args__ = (Index("ix_subscriptions_due_at", "due_at"),)

    id: Mapped[int] = mapped_column(Id, primary_key=True)
    feed_id: Mapped[int] = mapped_column(ForeignKey("feeds.id"), index=True)
    kind: Mapped[str] = mapped_column(default="websub", server_default="websub")
    """websub, rsscloud"""
    hub_url: Mapped[str]
    topic: Mapped[str]
    token: Mapped[str] = mapped_column(unique=True)
    secret: Mapped[str]
    state: Mapped[str] = mapped_column(default="pending")
    """pending, active, denied, leaving, ended"""
    asking: Mapped[str] = mapped_column(default="subscribe")
    asked_at: Mapped[datetime | None]
    verified_at: Mapped[datetime | None]
    expires_at: Mapped[datetime | None]
    due_at: Mapped[datetime | None]
    claimed_until: Mapped[datetime | None]
    attempts: Mapped[int] = mapped_column(default=0)
    last_error: Mapped[str] = mapped_column(default="")


class InboxRow(Base):
    """A document that was pushed to us and acknowledged, and is not worked off yet."""

    __tablename__ = "inbox"

    id: Mapped[int] = mapped_column(Id, primary_key=True)
    feed_id: Mapped[int] = mapped_column(ForeignKey("feeds.id"))
    body: Mapped[bytes] = mapped_column(LargeBinary)
    media_type: Mapped[str]
    received_at: Mapped[datetime]
    due_at: Mapped[datetime] = mapped_column(index=True)
    attempts: Mapped[int] = mapped_column(default=0)
    claimed_until: Mapped[datetime | None]


_PLACED = text("lat IS NOT NULL")
_CHANGED = text("seq <> first_seq")
_PLACED_ORDER = ("ordered_at", "id", "source_id", "lat", "lon")


class EntryRow(Base):
    """An entry, and its latest place in the log of changes (`seq`). Deleted ones stay as tombstones."""

    __tablename__ = "entries"
    __table_args__ = (
        UniqueConstraint("source_id", "identity"),
        Index("ix_entries_ordered_at", "ordered_at", "id", "source_id", "kind", "deleted_by"),
        Index("ix_entries_kind_ordered", "kind", "ordered_at", "id"),
        Index("ix_entries_source_ordered", "source_id", "ordered_at", "id"),
        Index("ix_entries_source_link", "source_id", "link_key"),
        Index("ix_entries_placed", *_PLACED_ORDER, sqlite_where=_PLACED, postgresql_where=_PLACED),
        Index("ix_entries_changed", "seq", sqlite_where=_CHANGED, postgresql_where=_CHANGED),
    )

    id: Mapped[int] = mapped_column(Id, primary_key=True)
    public_id: Mapped[str] = mapped_column(unique=True)
    source_id: Mapped[int] = mapped_column(ForeignKey("sources.id"))
    identity: Mapped[str] = mapped_column(String(64))
    link_key: Mapped[str] = mapped_column(String(64), default="")
    title_key: Mapped[str] = mapped_column(String(64), default="")
    digest: Mapped[str] = mapped_column(String(64), default="")
    churn: Mapped[int] = mapped_column(default=0)
    seq: Mapped[int] = mapped_column(unique=True)
    first_seq: Mapped[int]
    quiet: Mapped[bool] = mapped_column(default=False)
    exposed: Mapped[bool] = mapped_column(default=True)
    deleted_by: Mapped[str] = mapped_column(default="")
    """Nobody (""), its "source", its "absence" from a document that is complete, or the "owner"."""
    kind: Mapped[str]
    verb: Mapped[str] = mapped_column(default="post")
    title: Mapped[str | None]
    url: Mapped[str | None]
    content_html: Mapped[str] = mapped_column(default="")
    summary: Mapped[str] = mapped_column(default="")
    author: Mapped[dict[str, Any] | None]
    published: Mapped[datetime | None]
    published_offset: Mapped[int] = mapped_column(default=0)
    """Minutes east of UTC that the publisher wrote."""
    updated: Mapped[datetime | None]
    received: Mapped[datetime]
    ordered_at: Mapped[datetime]
    tags: Mapped[list[Any]]
    media: Mapped[list[Any]]
    lat: Mapped[float | None]
    lon: Mapped[float | None]
    place: Mapped[str] = mapped_column(default="")
    in_reply_to: Mapped[str] = mapped_column(default="")
    language: Mapped[str] = mapped_column(default="")
    data: Mapped[dict[str, Any]]
    first_via: Mapped[str] = mapped_column(default="poll")


def _plain(kind: Any) -> Any:
    return kind.impl_instance if isinstance(kind, TypeDecorator) else kind


PLAIN_ENTRIES = table(
    EntryRow.__tablename__, *(column(one.name, _plain(one.type)) for one in EntryRow.__table__.columns)
)
"""The table of entries for what `clean/columns.py` made: moments are numbers and JSON is text already."""


class HubRequestRow(Base):
    """What a callback is still to be asked or told: one row for each topic and callback, the last counts."""

    __tablename__ = "hub_requests"
    __table_args__ = (UniqueConstraint("topic_key", "callback"),)

    id: Mapped[int] = mapped_column(Id, primary_key=True)
    mode: Mapped[str]
    """subscribe, unsubscribe, or denied: that is told and not asked"""
    topic: Mapped[str]
    topic_key: Mapped[str]
    callback: Mapped[str]
    host: Mapped[str] = mapped_column(default="", server_default=text("''"))
    """The callback's scheme, name and port."""
    secret: Mapped[str] = mapped_column(default="")
    algorithm: Mapped[str] = mapped_column(default="sha256")
    lease_seconds: Mapped[int] = mapped_column(default=0)
    verify_token: Mapped[str] = mapped_column(default="")
    created_at: Mapped[datetime]
    due_at: Mapped[datetime] = mapped_column(index=True)
    claimed_until: Mapped[datetime | None]


class HubSubscriberRow(Base):
    """Somebody's verified subscription at our hub."""

    __tablename__ = "hub_subscribers"
    __table_args__ = (UniqueConstraint("topic_key", "callback"),)

    id: Mapped[int] = mapped_column(Id, primary_key=True)
    kind: Mapped[str] = mapped_column(default="websub", server_default="websub")
    """websub, rsscloud: which is told the topic's address and nothing else"""
    topic: Mapped[str]
    topic_key: Mapped[str]
    callback: Mapped[str]
    host: Mapped[str] = mapped_column(default="", server_default=text("''"), index=True)
    secret: Mapped[str] = mapped_column(default="")
    algorithm: Mapped[str] = mapped_column(default="sha256")
    lease_seconds: Mapped[int]
    verified_at: Mapped[datetime]
    expires_at: Mapped[datetime] = mapped_column(index=True)
    last_delivery: Mapped[datetime | None]
    failures: Mapped[int] = mapped_column(default=0)
    last_error: Mapped[str] = mapped_column(default="")


class HubContentRow(Base):
    """The newest document of a topic that has subscribers: what a delivery sends, whenever it gets through."""

    __tablename__ = "hub_contents"

    topic_key: Mapped[str] = mapped_column(primary_key=True)
    topic: Mapped[str]
    version: Mapped[int]
    media_type: Mapped[str]
    body: Mapped[bytes] = mapped_column(LargeBinary)


class HubDeliveryRow(Base):
    """What a subscriber has not been given yet; at most one row each, since the newest content wins."""

    __tablename__ = "hub_deliveries"

    subscriber_id: Mapped[int] = mapped_column(
        Id, ForeignKey("hub_subscribers.id", ondelete="CASCADE"), primary_key=True, autoincrement=False
    )
    host: Mapped[str] = mapped_column(default="", server_default=text("''"))
    doubtful: Mapped[bool] = mapped_column(default=False, server_default=false())
    """Nothing reached this callback yet, or the last delivery did not."""
    version: Mapped[int]
    due_at: Mapped[datetime] = mapped_column(index=True)
    attempts: Mapped[int] = mapped_column(default=0)
    claimed_until: Mapped[datetime | None]


class TokenRow(Base):
    """An API token: only its SHA-256 is kept."""

    __tablename__ = "tokens"

    id: Mapped[int] = mapped_column(Id, primary_key=True)
    name: Mapped[str] = mapped_column(unique=True)
    digest: Mapped[str] = mapped_column(unique=True)
    scope: Mapped[str]
    created_at: Mapped[datetime]
    last_used: Mapped[datetime | None]


class SessionRow(Base):
    """The owner, signed in somewhere: only the SHA-256 of the cookie is kept."""

    __tablename__ = "sessions"

    digest: Mapped[str] = mapped_column(primary_key=True)
    csrf: Mapped[str]
    created_at: Mapped[datetime]
    expires_at: Mapped[datetime] = mapped_column(index=True)


class IdempotencyRow(Base):
    """An `Idempotency-Key` that was used, and the entry it made."""

    __tablename__ = "idempotency_keys"

    key: Mapped[str] = mapped_column(primary_key=True)
    entry_id: Mapped[int] = mapped_column(ForeignKey("entries.id"))
    created_at: Mapped[datetime]


class FactRow(Base):
    """Single facts: the owner's password hash, the set-up link's hash, where a follower of the log stands."""

    __tablename__ = "facts"

    name: Mapped[str] = mapped_column(primary_key=True)
    value: Mapped[str]


class BackfillRow(Base):
    """A walk through the older pages of a source's feed, and how far it got. One for each source.

    A claim is for the whole host: its other walks wait meanwhile, so that nobody is asked two things at once.
    """

    __tablename__ = "backfills"

    source_id: Mapped[int] = mapped_column(Id, ForeignKey("sources.id"), primary_key=True, autoincrement=False)
    state: Mapped[str] = mapped_column(default="walking")
    """walking, stopped, failed, done"""
    next_url: Mapped[str]
    """The page to fetch next. Where a walk failed or was stopped, it goes on there."""
    host: Mapped[str] = mapped_column(index=True)
    pages: Mapped[int] = mapped_column(default=0)
    entries: Mapped[int] = mapped_column(default=0)
    added: Mapped[int] = mapped_column(default=0)
    oldest: Mapped[datetime | None]
    visited: Mapped[bytes] = mapped_column(LargeBinary, default=b"")
    """Of each page so far eight bytes of its address's digest, and eight of its entries': how a loop is noticed."""
    error: Mapped[str] = mapped_column(default="")
    attempts: Mapped[int] = mapped_column(default=0)
    due_at: Mapped[datetime | None] = mapped_column(index=True)
    claimed_until: Mapped[datetime | None]


class ExchangeRow(Base):
    """A step of some protocol, as it went over the wire; docs/inspector.md. Nothing in it is secret."""

    __tablename__ = "exchanges"
    __table_args__ = (Index("ix_exchanges_source_at", "source_id", "at"),)

    id: Mapped[int] = mapped_column(Id, primary_key=True)
    at: Mapped[datetime] = mapped_column(index=True)
    source_id: Mapped[int | None] = mapped_column(ForeignKey("sources.id"))
    about: Mapped[str]
    """What it is about where no source is: a topic, a hook, a subscriber's host."""
    direction: Mapped[str]
    """in, out"""
    what: Mapped[str]
    method: Mapped[str]
    url: Mapped[str]
    status: Mapped[int | None]
    took: Mapped[float]
    """Milliseconds from its start to the answer."""
    outcome: Mapped[str]
    """ok, refused, failed"""
    detail: Mapped[str]
    alike: Mapped[int]
    """How many more of the same kind came in the same second and are not kept."""
    steps: Mapped[list[Any]]
    wire: Mapped[bytes | None] = mapped_column(LargeBinary)
    """Headers and bodies, as JSON packed by zlib."""


class HookRow(Base):
    """A webhook's address. It pings `topic`, or posts where there is none. The secret is kept in clear: it signs."""

    __tablename__ = "hooks"

    id: Mapped[int] = mapped_column(Id, primary_key=True)
    slug: Mapped[str] = mapped_column(unique=True)
    adapter: Mapped[str]
    topic: Mapped[str] = mapped_column(default="")
    secret: Mapped[str]
    old_secret: Mapped[str] = mapped_column(default="")
    old_until: Mapped[datetime | None]
    created_at: Mapped[datetime]


class HookDeliveryRow(Base):
    """What came to a hook lately, and what became of it."""

    __tablename__ = "hook_deliveries"
    __table_args__ = (Index("ix_hook_deliveries_hook", "hook_id", "id"),)

    id: Mapped[int] = mapped_column(Id, primary_key=True)
    hook_id: Mapped[int] = mapped_column(ForeignKey("hooks.id", ondelete="CASCADE"))
    received_at: Mapped[datetime]
    status: Mapped[int]
    outcome: Mapped[str]
    """posted, pinged, test, duplicate, ignored, unreadable, refused"""
    verdict: Mapped[str]


class HookSeenRow(Base):
    """A mark by which a delivery is known again: its id, or the digest of what it says."""

    __tablename__ = "hook_seen"

    hook_id: Mapped[int] = mapped_column(
        Id, ForeignKey("hooks.id", ondelete="CASCADE"), primary_key=True, autoincrement=False
    )
    mark: Mapped[str] = mapped_column(String(64), primary_key=True)
    seen_at: Mapped[datetime] = mapped_column(index=True)


_DUE = text("due_at IS NOT NULL")


class PictureRow(Base):
    """A picture that entries show: to be fetched, kept, given up, or to be removed because none shows it any more."""

    __tablename__ = "pictures"
    __table_args__ = (
        Index("ix_pictures_due", "newest", sqlite_where=_DUE, postgresql_where=_DUE),
        Index("ix_pictures_due_host", "host", sqlite_where=_DUE, postgresql_where=_DUE),
    )

    name: Mapped[str] = mapped_column(String(24), primary_key=True)
    """The keyed digest of `url` (protocol/pictures.py): what its files and its address are called."""
    url: Mapped[str]
    host: Mapped[str]
    state: Mapped[str] = mapped_column(default="due")
    """due, kept, lost, gone"""
    why: Mapped[str] = mapped_column(default="")
    """What the last try failed of."""
    at_home: Mapped[bool] = mapped_column(default=False, server_default=false())
    """It came from where only the owner's networks lead."""
    newest: Mapped[datetime]
    """The `ordered_at` of the newest entry with it: the newest are fetched first."""
    width: Mapped[int | None]
    height: Mapped[int | None]
    bytes: Mapped[int] = mapped_column(default=0)
    attempts: Mapped[int] = mapped_column(default=0)
    due_at: Mapped[datetime | None]
    claimed_until: Mapped[datetime | None]


class EntryPictureRow(Base):
    """Which entries show which pictures."""

    __tablename__ = "entry_pictures"

    entry_id: Mapped[int] = mapped_column(Id, ForeignKey("entries.id"), primary_key=True, autoincrement=False)
    name: Mapped[str] = mapped_column(String(24), primary_key=True, index=True)
    in_media: Mapped[bool]
    """It stands in the entry's `media` by itself, so its size belongs there; else it is a cover, a poster, a face."""
