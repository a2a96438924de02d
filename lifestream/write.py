"""What the owner writes: entries into local sources, and sources to follow. The API, the forms and the commands all
come through here, so that the same words are checked the same way.
"""

import html
from datetime import UTC, datetime
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, field_validator
from sqlalchemy.ext.asyncio import AsyncConnection

from lifestream.clean.dates import parse_date
from lifestream.clean.html import clean_with_pictures, summary_of, text_of
from lifestream.errors import Conflict, InvalidInput
from lifestream.protocol import addresses
from lifestream.protocol.hub import address_key
from lifestream.site import Site
from lifestream.store import (
    backfills,
    bells,
    changes,
    entries,
    feeds,
    idempotency,
    owner,
    pictures,
    sources,
    subscriptions,
)
from lifestream.types import KINDS, Entry, Kind, Location, Media, Source, Stored, Visibility

MEDIA = 50


class Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", str_strip_whitespace=True)

    @field_validator("*", mode="before")
    @classmethod
    def _without_nul(cls, value: Any) -> Any:
        """PostgreSQL's text cannot hold it, and nobody means it."""
        if isinstance(value, list):
            return [cls._without_nul(one) for one in value]
        return value.replace("\0", "") if isinstance(value, str) else value


class NewToken(Strict):
    name: str = Field(min_length=1, max_length=100)
    scope: str = "write"


class LocationIn(Strict):
    lat: float = Field(ge=-90, le=90)
    lon: float = Field(ge=-180, le=180)
    name: str = Field("", max_length=500)


class MediaIn(Strict):
    type: str = Field("image", max_length=100)
    url: str = Field(max_length=8192)
    width: int | None = Field(None, ge=1, le=100_000)
    height: int | None = Field(None, ge=1, le=100_000)
    alt: str = Field("", max_length=5000)
    thumbnail: str = Field("", max_length=8192)


class EntryIn(Strict):
    """An entry's words. Where none of title, content and url is given there is nothing to post."""

    title: str | None = Field(None, max_length=1000)
    content_html: str | None = Field(None, max_length=1024 * 1024)
    content_text: str | None = Field(None, max_length=1024 * 1024)
    url: str | None = Field(None, max_length=8192)
    kind: str | None = None
    published: str | None = Field(None, max_length=100)
    tags: list[Annotated[str, Field(max_length=200)]] | None = Field(None, max_length=100)
    location: LocationIn | None = None
    media: list[MediaIn] | None = Field(None, max_length=MEDIA)


class NewEntry(EntryIn):
    source: str = sources.NOTES


class NewSource(Strict):
    url: str = Field(min_length=1, max_length=8192)
    title: str = Field("", max_length=200)
    slug: str = Field("", max_length=64)
    kind: str = ""
    visibility: Visibility = "public"
    hub: str = Field("auto", max_length=8192)


class AddressIn(Strict):
    url: str = Field(min_length=1, max_length=8192)


class SourceChange(Strict):
    url: str | None = Field(None, min_length=1, max_length=8192)
    title: str | None = Field(None, min_length=1, max_length=200)
    kind: str | None = None
    visibility: Visibility | None = None
    places: bool | None = None
    pictures: bool | None = None
    hub: str | None = Field(None, min_length=1, max_length=8192)


# -- entries ---------------------------------------------------------------------------------


async def write_entry(site: Site, slug: str, entry: Entry, key: str | None = None) -> Stored:
    """Puts an entry into a local source. Raises NotFound, or Conflict where the source is a feed."""
    now = site.now()
    async with site.store.begin(rings=[bells.LOG]) as db:
        if key and (public_id := await idempotency.used(db, key)):
            return await entries.one(db, public_id, audience="owner")
        source = await sources.get(db, slug, audience="owner")
        if not source.local:
            raise Conflict(f"“{slug}” is fed by {source.url}; entries are written into local sources only.")
        public_id = await entries.add(db, source, entry, now=now)
        await sources.counted(db, source, entries.Recorded(new=1, living=1), now)
        if key:
            await idempotency.remember(db, key, public_id, now)
        return await entries.one(db, public_id, audience="owner")


def made_from(given: EntryIn, base: Entry, now: datetime, *, edited: bool = False) -> Entry:
    """`base` with what was given put in its place, cleaned. Raises InvalidInput, naming the field."""
    fields = given.model_fields_set
    values: dict[str, Any] = {name: getattr(base, name) for name in Entry.__dataclass_fields__}
    if "title" in fields:
        values["title"] = given.title or None
    if given.content_html is not None or given.content_text is not None:
        raw = given.content_html if given.content_html is not None else paragraphs(given.content_text or "")
        values["content_html"], shown = clean_with_pictures(raw, given.url or "")
        if given.media is None and not base.media:
            values["media"] = shown[:MEDIA]
        values["summary"] = summary_of(text_of(values["content_html"]))
    if "url" in fields:
        values["url"] = _http(given.url, "url") if given.url else None
    if given.kind:
        values["kind"] = _kind(given.kind)
    if given.published:
        values["published"] = _date(given.published)
    if given.tags is not None:
        values["tags"] = tuple(dict.fromkeys(tag.strip() for tag in given.tags if tag.strip()))
    if "location" in fields:
        values["location"] = Location(**given.location.model_dump()) if given.location else None
    if given.media is not None:
        values["media"] = tuple(_media(one) for one in given.media)
    entry = Entry(**values)
    if not (entry.title or entry.content_html or entry.url or entry.media or entry.location):
        raise InvalidInput("There is nothing in this entry: give it a title, content_html or content_text, or a url.")
    if edited:
        return Entry(**(values | {"updated": now}))
    return entry if entry.published else Entry(**(values | {"published": now}))


def paragraphs(text: str) -> str:
    """Plain text as HTML: blank lines part paragraphs, single ones break lines."""
    blocks = (block.strip() for block in text.replace("\r\n", "\n").split("\n\n"))
    return "".join(f"<p>{html.escape(block, quote=False).replace(chr(10), '<br>')}</p>" for block in blocks if block)


# -- sources ---------------------------------------------------------------------------------


async def do_to_source(site: Site, slug: str, action: str) -> Source:
    """Refresh, pause or resume a source, or ask its hub to subscribe again now. Raises NotFound, Conflict."""
    now = site.now()
    async with site.store.begin(rings=[bells.FEEDS, bells.SUBSCRIPTIONS]) as db:
        source = await sources.get(db, slug, audience="owner")
        if action == "pause":
            await sources.pause(db, source)
        elif action == "resume":
            await sources.resume(db, source, now)
        elif action == "subscribe":
            await _ask_hub_again(db, source, now)
        elif source.feed_id is not None:
            await feeds.ask(db, {source.feed_id: (1, "poll")}, now)
        return await sources.get(db, slug, audience="owner")


async def change_source(site: Site, slug: str, change: SourceChange) -> Source:
    now = site.now()
    async with site.store.begin(rings=[bells.LOG, bells.HUB, bells.FEEDS, bells.SUBSCRIPTIONS]) as db:
        await changes.in_turn(db)  # a look that records is at an end before this, or knows of it
        source = await sources.get(db, slug, audience="owner")
        await sources.rename(db, source, title=change.title, kind=change.kind)
        if change.visibility:
            await sources.set_visibility(db, source, change.visibility, now)
        if change.places is not None:
            await sources.set_places(db, source, change.places, now)
        if change.pictures is not None:
            await pictures.switch(db, source, change.pictures)
        if change.hub:
            await _choose_hub(db, source, change.hub, now)
        if change.url:
            await _put_elsewhere(db, source, typed_address(change.url), now)
        return await sources.get(db, slug, audience="owner")


async def add_source(site: Site, new: NewSource) -> Source:
    """Raises InvalidInput for an address that is none, Conflict for one that is followed already."""
    now = site.now()
    async with site.store.begin(rings=[bells.FEEDS]) as db:
        if new.url.startswith("local:"):
            slug = new.slug or new.url.removeprefix("local:")
            if not slug:
                raise InvalidInput("url: a local source needs a name, as in local:diary.")
            slug = await sources.add_local(db, slug, now=now, title=new.title, kind=new.kind, visibility=new.visibility)
        else:
            slug = await sources.add_feed(
                db, typed_address(new.url), now=now, title=new.title, slug=new.slug, kind=new.kind,
                visibility=new.visibility, hub_choice=_hub(new.hub),
            )  # fmt: skip
        return await sources.get(db, slug, audience="owner")


def typed_address(url: str) -> str:
    """An address as people type it, `blog.example/feed` too. Raises InvalidInput for what is none."""
    return _http(addresses.with_scheme(url), "url")


def source_json(source: Source) -> dict[str, Any]:
    return {
        "slug": source.slug,
        "title": source.title,
        "url": source.url,
        "feed_url": source.feed_url,
        "topic": source.topic,
        "kind": source.kind,
        "visibility": source.visibility,
        "state": source.state,
        "delivery": source.delivery,
        "hub_url": source.hub_url,
        "lease_expires": moment(source.lease_expires),
        "last_push": moment(source.last_push),
        "last_fetch": moment(source.last_fetch),
        "last_entry": moment(source.last_entry),
        "last_error": source.last_error,
        "entry_count": source.entry_count,
        "missed": source.missed,
        "pictures": source.pictures,
        "places": source.places,
    }


# -- the parts of it --------------------------------------------------------------------------


async def _ask_hub_again(db: AsyncConnection, source: Source, now: datetime) -> None:
    ours = await subscriptions.of_feed(db, source.feed_id) if source.feed_id is not None else []
    wanted = [one for one in ours if one.wanted]
    if not wanted:
        raise Conflict(f"“{source.slug}” has no hub that could be asked.")
    for one in wanted:
        await subscriptions.change(db, one.id, due_at=now)


async def _choose_hub(db: AsyncConnection, source: Source, choice: str, now: datetime) -> None:
    """Who is to push a source from now on; the next look, which is due, leaves the others. Raises InvalidInput for a
    choice that is none, Conflict for a local source."""
    if source.feed_id is None:
        raise Conflict(f"“{source.slug}” is a local source: no hub pushes it.")
    refused = {"state": "active", "last_error": ""} if source.state == "denied" else {}
    await sources.change(db, source, hub_choice=_hub(choice), **refused)
    await feeds.read_again(db, source.feed_id)
    await feeds.ask(db, {source.feed_id: (1, "poll")}, now)


async def _put_elsewhere(db: AsyncConnection, source: Source, url: str, now: datetime) -> None:
    """Where a source is followed from now on; what it has stays. Raises Conflict where another one is."""
    if source.feed_id is None:
        raise Conflict(f"“{source.slug}” is a local source: it has no address elsewhere.")
    others = await feeds.others(db, source.feed_id, {address_key(url)})
    slug = next(filter(None, others.values()), None) or await sources.at_address(db, url)
    if slug not in (None, source.slug):
        raise Conflict(f"{url} is followed already, as the source “{slug}”.")
    await sources.change(db, source, url=url, added_key=address_key(url))
    if url != source.feed_url:
        refused = {"state": "active"} if source.state in ("denied", "failing") else {}
        await sources.change(db, source, last_error="", delivery="polling", hub_url="", **refused)
        await subscriptions.leave_all(db, source.feed_id, now)
        await backfills.forget(db, source.id)
        await feeds.put_elsewhere(db, source.feed_id, url)
    await feeds.ask(db, {source.feed_id: (1, "poll")}, now)


def token_json(token: owner.Token) -> dict[str, Any]:
    return {
        "name": token.name, "scope": token.scope, "created_at": moment(token.created_at),
        "last_used": moment(token.last_used),
    }  # fmt: skip


def moment(when: datetime | None) -> str | None:
    return when.astimezone(UTC).isoformat().replace("+00:00", "Z") if when else None


def _http(url: str, field: str) -> str:
    try:
        return addresses.check_url(url)
    except ValueError as error:
        raise InvalidInput(f"{field}: {error}") from None


def _hub(choice: str) -> str:
    return choice if choice in ("auto", "builtin", "none") else _http(choice, "hub")


def _kind(kind: str) -> Kind:
    for known in KINDS:
        if kind == known:
            return known
    raise InvalidInput(f"kind: “{kind[:40]}” is no kind of entry; the kinds are {', '.join(KINDS)}.")


def _date(text: str) -> datetime:
    when = parse_date(text)
    if when is None:
        raise InvalidInput(f"published: “{text[:40]}” is no date; write it as 2026-11-21T14:31:00Z.")
    return when


def _media(one: MediaIn) -> Media:
    thumbnail = _http(one.thumbnail, "thumbnail") if one.thumbnail else ""
    return Media(one.type, _http(one.url, "media"), one.width, one.height, one.alt, thumbnail)
