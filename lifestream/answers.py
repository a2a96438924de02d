"""What the API answers, as types: for its description (openapi.py), and for whoever wants to know at a glance."""

from typing import Any, Literal

from pydantic import BaseModel

from lifestream.types import Kind

Moment = str
"""RFC 3339, in UTC."""


class Person(BaseModel):
    name: str
    url: str
    photo: str


class Media(BaseModel):
    """A picture, sound or film. `type` is a media type, or only image, audio or video."""

    type: str
    url: str
    width: int | None
    height: int | None
    alt: str
    thumbnail: str


class Place(BaseModel):
    lat: float
    lon: float
    name: str


class SourceRef(BaseModel):
    slug: str
    title: str
    url: str


class Entry(BaseModel):
    """One thing that somebody did. A client has not met it if and only if `first_seq` is greater than its position."""

    id: str
    seq: int
    first_seq: int
    source: SourceRef
    kind: Kind
    verb: str
    title: str | None
    url: str | None
    content_html: str
    summary: str
    author: Person | None
    published: Moment | None
    updated: Moment | None
    received: Moment
    tags: list[str]
    media: list[Media]
    location: Place | None
    data: dict[str, Any]
    deleted: bool
    html: str


class Entries(BaseModel):
    """`next` is the cursor for older ones; `seq` a position in the log, to go on from with `after`."""

    entries: list[Entry]
    next: str | None
    seq: int


class Source(BaseModel):
    """`topic` is its rel=self, what hubs are asked for."""

    slug: str
    title: str
    url: str
    feed_url: str | None
    topic: str | None
    kind: Kind
    visibility: Literal["public", "private"]
    state: Literal["pending", "active", "denied", "failing", "paused"]
    delivery: Literal["websub", "rsscloud", "polling", "local", "hub"]
    hub_url: str | None
    lease_expires: Moment | None
    last_push: Moment | None
    last_fetch: Moment | None
    last_entry: Moment | None
    last_error: str | None
    entry_count: int
    missed: int
    pictures: bool
    places: bool


class Backfill(BaseModel):
    """A walk through a source's history."""

    source: str
    state: Literal["walking", "stopped", "failed", "done"]
    pages: int
    entries: int
    added: int
    oldest: Moment | None
    next_url: str | None
    error: str | None


class PreviewEntry(BaseModel):
    title: str | None
    url: str | None
    published: Moment | None
    kind: Kind
    summary: str
    html: str


class FoundFeed(BaseModel):
    """`pushed`: a hub tells of news. `moved_to`: where it says that it is from now on. `followed`: the slug of the
    source that it is already."""

    url: str
    title: str
    kind: str | None
    format: str
    hub: str | None
    pushed: bool
    count: int
    moved_to: str | None
    followed: str | None
    entries: list[PreviewEntry]


class UnreadableFeed(BaseModel):
    url: str
    why: str


class FoundFeeds(BaseModel):
    """`tried` are the addresses that were asked; `unreadable` those that were named as feeds and gave none."""

    feeds: list[FoundFeed]
    tried: list[str]
    unreadable: list[UnreadableFeed]


class Step(BaseModel):
    name: str
    at: float
    detail: str


class Exchange(BaseModel):
    """A request and its answer, in the protocol log. `duration` and the `at` of its steps are milliseconds."""

    id: int
    time: Moment
    source: str | None
    about: str
    direction: Literal["in", "out"]
    what: str
    method: str
    url: str
    status: int | None
    duration: float
    outcome: Literal["ok", "refused", "failed"]
    detail: str
    alike: int
    steps: list[Step]


class Subscription(BaseModel):
    """Somebody who is subscribed at the hub, or wants to be."""

    callback: str
    topic: str
    kind: str
    state: str
    lease_seconds: int | None
    lease_expires: Moment | None
    last_delivery: Moment | None
    next_delivery: Moment | None
    failures: int
    last_error: str | None


class TrialLink(BaseModel):
    name: str
    verdict: str
    ms: float | None
    detail: str


class Trial(BaseModel):
    """The links of the way that was tried, each with its verdict."""

    ok: bool
    links: list[TrialLink]


class Delivery(BaseModel):
    received: Moment
    status: int
    outcome: str
    verdict: str


class Hook(BaseModel):
    """A webhook. `deliveries` where one is asked for; `secret` and `set_up` only where it was just made."""

    slug: str
    adapter: str
    action: Literal["ping", "post"]
    topic: str | None
    source: str | None
    url: str
    created_at: Moment
    last_delivery: Delivery | None
    deliveries: list[Delivery] | None = None
    secret: str | None = None
    set_up: str | None = None


class Token(BaseModel):
    """A key of the API. `token` and `set_up` only where it was just made."""

    name: str
    scope: Literal["read", "scrobble", "write", "owner"]
    created_at: Moment
    last_used: Moment | None
    token: str | None = None
    set_up: dict[str, Any] | None = None


class Link(BaseModel):
    """A page that is the owner's too."""

    name: str
    url: str


class Settings(BaseModel):
    """What holds now. `picture` is where the owner's is, or empty; `fixed` are the fields that a variable of the
    environment sets, by its name: they cannot be changed here."""

    title: str
    author: str
    author_url: str
    note: str
    picture: str
    links: list[Link]
    timezone: str
    lang: str
    theme: Literal["system", "light", "dark"]
    fixed: dict[str, str]


class Version(BaseModel):
    name: str
    version: str


class Problem(BaseModel):
    """RFC 9457: what went wrong, and in `detail` what to do about it."""

    type: str
    title: str
    status: int
    detail: str
