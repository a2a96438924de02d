"""The API under `/api`: JSON in, JSON out, problems as RFC 9457. The pages use nothing that it does not offer."""

import asyncio
from collections.abc import Callable, Coroutine
from datetime import datetime
from typing import Annotated, Any, Literal

import orjson
from fastapi import APIRouter, Depends, Header, Query, Request, Response
from fastapi.routing import APIRoute

from lifestream import __version__, backfill, discover, index, webhooks
from lifestream.access import Caller, caller_of, wanted_of
from lifestream.clean.dates import ordered_at
from lifestream.protocol.live import parse_position
from lifestream.publish.encode import Encoder
from lifestream.receive.bodies import read_body
from lifestream.render import Renderer
from lifestream.site import Site
from lifestream.store import bells, changes, entries, gate, hooks, sources
from lifestream.types import Entry, Filter, SourceName, Stored
from lifestream.write import (
    AddressIn,
    EntryIn,
    NewEntry,
    NewSource,
    SourceChange,
    add_source,
    do_to_source,
    made_from,
    moment,
    source_json,
    typed_address,
    write_entry,
)

MOST = 200
JSON = "application/json"
BODY_LIMIT = 4 * 1024 * 1024
"""An entry's content may have 1 MiB of text, and JSON may write a character as six."""


class Bounded(APIRoute):
    """Reads a body within bounds before FastAPI reads it without any."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handle = super().get_route_handler()

        async def handler(request: Request) -> Response:
            request._body = await read_body(request, BODY_LIMIT)
            return await handle(request)

        return handler


router = APIRouter(prefix="/api", route_class=Bounded)


def site_of(request: Request) -> Site:
    site: Site = request.app.state.site
    return site


def renderer_of(request: Request) -> Renderer:
    renderer: Renderer = request.app.state.renderer
    return renderer


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
RendererOf = Annotated[Renderer, Depends(renderer_of)]
EncoderOf = Annotated[Encoder, Depends(encoder_of)]
CallerOf = Annotated[Caller, Depends(caller)]


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
    if wanted.q:
        await index.before_search(site)
    async with site.store.read(long=wanted.searches) as db:
        seq = await changes.head(db)
        found, more = await entries.page(db, audience=caller.audience, wanted=wanted, before=before, limit=limit)
    return _listing([encoder.entry(one) for one in found], more, seq)


async def _changes(site: Site, encoder: Encoder, caller: Caller, wanted: Filter, position: int, limit: int) -> Response:
    items: list[bytes] = []
    async with site.store.read() as db:
        head = await changes.head(db)
        while len(items) < limit and position < head:
            page = await changes.after(db, position, audience=caller.audience, limit=MOST, upto=head)
            for change in page:
                told = gate.told(change, caller.audience, wanted, with_quiet=True)
                if told:
                    items.append(encoder.entry(change) if told == "entry" else encoder.tombstone(change))
                position = change.seq
                if len(items) == limit:
                    break
            if len(page) < MOST and len(items) < limit:
                position = head
            await asyncio.sleep(0)  # a filter may go through the whole log
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


@router.post("/sources/{slug}/backfill", status_code=202, dependencies=[may("owner")])
async def post_backfill(slug: str, site: SiteOf) -> Response:
    """Has the source's history fetched, in the background; where an earlier walk was interrupted, it goes on."""
    asked = await backfill.begin(site, slug)
    return _json(backfill.backfill_json(asked), 202, {"Location": f"/api/sources/{slug}/backfill"})


@router.get("/sources/{slug}/backfill", dependencies=[may("owner")])
async def get_backfill(slug: str, site: SiteOf) -> Response:
    """How far the walk through the source's history is, or was."""
    return _json(backfill.backfill_json(await backfill.stand(site, slug)))


@router.post("/sources/{slug}/{action}", dependencies=[may("owner")])
async def act_on_source(slug: str, action: Literal["refresh", "pause", "resume"], site: SiteOf) -> Response:
    return _json(source_json(await do_to_source(site, slug, action)))


@router.post("/discover", dependencies=[may("owner")])
async def post_discover(asked: AddressIn, site: SiteOf, renderer: RendererOf) -> Response:
    """The feeds at an address, best first, each with its newest entries as they would look. Nothing is stored."""
    listing = await discover.feeds_at(site, typed_address(asked.url))
    found = [_found_feed(one, renderer, site.now()) for one in listing.feeds]
    return _json({"feeds": found, "tried": listing.tried})


# -- hooks ------------------------------------------------------------------------------------


@router.get("/hooks", dependencies=[may("owner")])
async def list_hooks(site: SiteOf) -> Response:
    """The webhooks, each with what came last. Their secrets are not shown."""
    return _json(await webhooks.listing(site))


@router.get("/hooks/{slug}", dependencies=[may("owner")])
async def get_hook(slug: str, site: SiteOf) -> Response:
    """A webhook with its last deliveries, newest first, and what became of each."""
    return _json(await webhooks.shown(site, slug))


@router.post("/hooks", status_code=201, dependencies=[may("owner")])
async def post_hook(new: webhooks.NewHook, site: SiteOf) -> Response:
    """Makes a webhook: with a `topic` it pings, else it posts. This answer is the only one with its `secret`."""
    hook, set_up = await webhooks.add_hook(site, new)
    return _hook_with_secret(site, hook, set_up, 201)


@router.post("/hooks/{slug}/rotate", dependencies=[may("owner")])
async def rotate_hook(slug: str, change: webhooks.NewSecret, site: SiteOf) -> Response:
    """Another secret; the one before stays good for a week."""
    hook, set_up = await webhooks.rotate_hook(site, slug, change.secret)
    return _hook_with_secret(site, hook, set_up, 200)


@router.delete("/hooks/{slug}", status_code=204, dependencies=[may("owner")])
async def delete_hook(slug: str, site: SiteOf) -> None:
    """What it posted stays."""
    async with site.store.begin() as db:
        await hooks.remove(db, slug)


@router.get("/version")
async def version() -> dict[str, str]:
    return {"name": "lifestream", "version": __version__}


# -- the parts of it --------------------------------------------------------------------------


def _found_feed(found: discover.FoundFeed, renderer: Renderer, now: datetime) -> dict[str, Any]:
    source = SourceName(slug="", title=found.title, url=found.url)
    return {
        "url": found.url,
        "title": found.title,
        "kind": found.kind,
        "format": found.format,
        "hub": found.hub,
        "pushed": found.pushed,
        "count": found.count,
        "followed": found.followed,
        "entries": [
            {
                "title": entry.title,
                "url": entry.url,
                "published": moment(entry.published),
                "kind": entry.kind,
                "summary": entry.summary,
                "html": renderer.entry_card(
                    Stored("", 0, 0, source, entry, received=now, ordered_at=ordered_at(entry.published, now))
                ),
            }
            for entry in found.entries
        ],
    }


def _hook_with_secret(site: Site, hook: hooks.Hook, set_up: str, status: int) -> Response:
    secret = {"secret": hook.secret, "set_up": set_up}
    return _json(webhooks.hook_json(site, hook) | secret, status, {"Location": f"/api/hooks/{hook.slug}"})


def _json(value: Any, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    return Response(orjson.dumps(value), status, headers, JSON)


def _listing(items: list[bytes], more: str | None, seq: int) -> Response:
    tail = orjson.dumps({"next": more, "seq": seq})[1:]
    return Response(b'{"entries":[' + b",".join(items) + b"]," + tail, media_type=JSON)
