"""The API under `/api`: JSON in, JSON out, problems as RFC 9457. The pages use nothing that it does not offer."""

import html
from datetime import UTC, datetime
from typing import Annotated, Any, Literal

import orjson
from fastapi import APIRouter, Depends, Header, Query, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from lifestream import __version__
from lifestream.access import Caller, caller_of, wanted_of
from lifestream.clean.dates import parse_date
from lifestream.clean.html import clean_html, summary_of, text_of
from lifestream.errors import Conflict, InvalidInput
from lifestream.protocol import addresses
from lifestream.protocol.live import parse_position
from lifestream.publish.encode import Encoder
from lifestream.site import Site
from lifestream.store import bells, changes, entries, feeds, gate, idempotency, sources
from lifestream.types import KINDS, Entry, Filter, Kind, Location, Media, Source, Stored, Visibility

MOST = 200
JSON = "application/json"

router = APIRouter(prefix="/api")


def site_of(request: Request) -> Site:
    site: Site = request.app.state.site
    return site


def encoder_of(request: Request) -> Encoder:
    encoder: Encoder = request.app.state.encoder
    return encoder


async def caller(request: Request) -> Caller:
    """Who asks. A cookie reads what the owner may read, and changes nothing: for that the API wants a token."""
    found = await caller_of(site_of(request), request)
    if found.by_cookie and request.method not in ("GET", "HEAD"):
        return Caller()
    return found


def may(what: str) -> Any:
    async def check(found: Annotated[Caller, Depends(caller)]) -> Caller:
        found.must(what)
        return found

    return Depends(check)


SiteOf = Annotated[Site, Depends(site_of)]
EncoderOf = Annotated[Encoder, Depends(encoder_of)]
CallerOf = Annotated[Caller, Depends(caller)]


# -- what is sent to us -----------------------------------------------------------------------


class Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", str_strip_whitespace=True)


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
    media: list[MediaIn] | None = Field(None, max_length=50)


class NewEntry(EntryIn):
    source: str = sources.NOTES


class NewSource(Strict):
    url: str = Field(min_length=1, max_length=8192)
    title: str = Field("", max_length=200)
    slug: str = Field("", max_length=64)
    kind: str = ""
    visibility: Visibility = "public"
    hub: str = Field("auto", max_length=8192)


class SourceChange(Strict):
    title: str | None = Field(None, min_length=1, max_length=200)
    kind: str | None = None
    visibility: Visibility | None = None


# -- entries ----------------------------------------------------------------------------------


@router.get("/entries")
async def list_entries(
    request: Request,
    site: SiteOf,
    encoder: EncoderOf,
    caller: CallerOf,
    before: str = "",
    after: str | None = None,
    limit: Annotated[int, Query(ge=1, le=MOST)] = 50,
    kind: str = "",
    source: str = "",
    tag: str = "",
    near: str = "",
    q: str = "",
) -> Response:
    """Newest first, or with `after=N` what changed since, oldest change first, deletions included."""
    wanted = wanted_of(request.query_params)
    if after is not None:
        return await _changes(site, encoder, caller, wanted, parse_position(after) or 0, limit)
    async with site.store.read() as db:
        seq = await changes.head(db)
        found, more = await entries.page(db, audience=caller.audience, wanted=wanted, before=before, limit=limit)
    return _listing([encoder.entry(one) for one in found], more, seq)


async def _changes(site: Site, encoder: Encoder, caller: Caller, wanted: Filter, position: int, limit: int) -> Response:
    items: list[bytes] = []
    async with site.store.read() as db:
        head = await changes.head(db)
        while len(items) < limit and position < head:
            page = await changes.after(db, position, audience=caller.audience, limit=limit, upto=head)
            for change in page:
                told = gate.told(change, caller.audience, wanted, with_quiet=True)
                if told:
                    items.append(encoder.entry(change) if told == "entry" else encoder.tombstone(change))
                position = change.seq
                if len(items) == limit:
                    break
            if len(page) < limit and len(items) < limit:
                position = head
    return _listing(items, None, position if items or position == head else head)


@router.get("/entries/{id}")
async def get_entry(id: str, site: SiteOf, encoder: EncoderOf, caller: CallerOf) -> Response:
    async with site.store.read() as db:
        stored = await entries.one(db, id, audience=caller.audience)
    return Response(encoder.entry(stored), media_type=JSON)


@router.post("/entries", status_code=201, dependencies=[may("write")])
async def post_entry(
    new: NewEntry,
    site: SiteOf,
    encoder: EncoderOf,
    idempotency_key: Annotated[str | None, Header(max_length=255)] = None,
) -> Response:
    """Writes into a local source. The same `Idempotency-Key` again returns the first call's entry."""
    stored = await write_entry(site, new.source, made_from(new, Entry(kind="note"), site.now()), idempotency_key)
    headers = {"Location": f"/api/entries/{stored.id}"}
    return Response(encoder.entry(stored), 201, headers, JSON)


@router.patch("/entries/{id}", dependencies=[may("write")])
async def patch_entry(id: str, change: EntryIn, site: SiteOf, encoder: EncoderOf) -> Response:
    now = site.now()
    async with site.store.begin(rings=[bells.LOG]) as db:
        stored = await entries.one(db, id, audience="owner")
        await entries.edit(db, stored, made_from(change, stored.entry, now, edited=True), now=now)
        stored = await entries.one(db, id, audience="owner")
    return Response(encoder.entry(stored), media_type=JSON)


@router.delete("/entries/{id}", status_code=204, dependencies=[may("write")])
async def delete_entry(id: str, site: SiteOf) -> None:
    """Deletes for good: what its source still says of it does not bring it back."""
    now = site.now()
    async with site.store.begin(rings=[bells.LOG]) as db:
        stored = await entries.one(db, id, audience="owner")
        source = await sources.get(db, stored.source.slug, audience="owner")
        await entries.remove(db, stored, now=now)
        await sources.counted(db, source, entries.Recorded(deleted=1, living=-1), now)


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
        values["content_html"] = clean_html(raw, given.url or "")
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


# -- sources ----------------------------------------------------------------------------------


@router.get("/sources")
async def list_sources(site: SiteOf, caller: CallerOf) -> Response:
    async with site.store.read() as db:
        found = await sources.every(db, audience=caller.audience)
    return _json([source_json(one) for one in found])


@router.get("/sources/{slug}")
async def get_source(slug: str, site: SiteOf, caller: CallerOf) -> Response:
    async with site.store.read() as db:
        return _json(source_json(await sources.get(db, slug, audience=caller.audience)))


@router.post("/sources", status_code=201, dependencies=[may("owner")])
async def post_source(new: NewSource, site: SiteOf) -> Response:
    """Follows a feed or the page that links to one, or makes a local source (`local:SLUG`); discovery comes after."""
    source = await add_source(site, new)
    return _json(source_json(source), 201, {"Location": f"/api/sources/{source.slug}"})


@router.patch("/sources/{slug}", dependencies=[may("owner")])
async def patch_source(slug: str, change: SourceChange, site: SiteOf) -> Response:
    now = site.now()
    async with site.store.begin(rings=[bells.LOG]) as db:
        source = await sources.get(db, slug, audience="owner")
        await sources.rename(db, source, title=change.title, kind=change.kind)
        if change.visibility:
            await sources.set_visibility(db, source, change.visibility, now)
        return _json(source_json(await sources.get(db, slug, audience="owner")))


@router.delete("/sources/{slug}", status_code=204, dependencies=[may("owner")])
async def delete_source(slug: str, site: SiteOf) -> None:
    async with site.store.begin(rings=[bells.LOG, bells.SUBSCRIPTIONS]) as db:
        await sources.remove(db, await sources.get(db, slug, audience="owner"), site.now())


@router.post("/sources/{slug}/{action}", dependencies=[may("owner")])
async def act_on_source(slug: str, action: Literal["refresh", "pause", "resume"], site: SiteOf) -> Response:
    return _json(source_json(await do_to_source(site, slug, action)))


async def do_to_source(site: Site, slug: str, action: str) -> Source:
    """Refresh, pause or resume a source."""
    now = site.now()
    async with site.store.begin(rings=[bells.FEEDS]) as db:
        source = await sources.get(db, slug, audience="owner")
        if action == "pause":
            await sources.pause(db, source)
        elif action == "resume":
            await sources.resume(db, source, now)
        elif source.feed_id is not None:
            await feeds.ask(db, {source.feed_id: (1, "poll")}, now)
        return await sources.get(db, slug, audience="owner")


async def add_source(site: Site, new: NewSource) -> Source:
    """Raises InvalidInput for an address that is none, Conflict for one that is followed already."""
    now = site.now()
    async with site.store.begin(rings=[bells.FEEDS]) as db:
        if new.url.startswith("local:"):
            slug = new.slug or new.url.removeprefix("local:")
            slug = await sources.add_local(db, slug, now=now, title=new.title, kind=new.kind, visibility=new.visibility)
        else:
            slug = await sources.add_feed(
                db, _http(new.url, "url"), now=now, title=new.title, slug=new.slug, kind=new.kind,
                visibility=new.visibility, hub_choice=_hub(new.hub),
            )  # fmt: skip
        return await sources.get(db, slug, audience="owner")


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
        "lease_expires": _moment(source.lease_expires),
        "last_push": _moment(source.last_push),
        "last_fetch": _moment(source.last_fetch),
        "last_entry": _moment(source.last_entry),
        "last_error": source.last_error,
        "entry_count": source.entry_count,
    }


@router.get("/version")
async def version() -> dict[str, str]:
    return {"name": "lifestream", "version": __version__}


# -- the parts of it --------------------------------------------------------------------------


def _json(value: Any, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    return Response(orjson.dumps(value), status, headers, JSON)


def _listing(items: list[bytes], more: str | None, seq: int) -> Response:
    tail = orjson.dumps({"next": more, "seq": seq})[1:]
    return Response(b'{"entries":[' + b",".join(items) + b"]," + tail, media_type=JSON)


def _moment(when: datetime | None) -> str | None:
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
