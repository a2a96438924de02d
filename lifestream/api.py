"""The API under `/api`: JSON in, JSON out, problems as RFC 9457. The pages use nothing that it does not offer."""

import asyncio
from collections.abc import Callable, Coroutine
from datetime import datetime
from typing import Annotated, Any, Literal
from urllib.parse import urlencode

import orjson
from fastapi import APIRouter, Depends, Header, Path, Query, Request, Response
from fastapi.routing import APIRoute

from lifestream import __version__, backfill, discover, index, inspector, profile, trial, webhooks
from lifestream.access import Caller, caller_of, wanted_of
from lifestream.clean.dates import ordered_at
from lifestream.protocol.live import parse_position
from lifestream.protocol.players import players
from lifestream.publish.encode import Encoder
from lifestream.receive.bodies import read_body
from lifestream.render import Renderer
from lifestream.site import Site
from lifestream.store import bells, changes, entries, gate, hooks, owner, sources
from lifestream.store.exchanges import Wanted
from lifestream.types import Entry, Filter, SourceName, Stored
from lifestream.write import (
    AddressIn,
    EntryIn,
    NewEntry,
    NewSource,
    NewToken,
    SourceChange,
    add_source,
    change_source,
    do_to_source,
    made_from,
    moment,
    source_json,
    token_json,
    typed_address,
    write_entry,
)

MOST = 200
JSON = "application/json"
BODY_LIMIT = 4 * 1024 * 1024
"""An entry's content may have 1 MiB of text, and JSON may write a character as six."""
PICTURE_BODY = {"requestBody": {"required": True, "content": {"image/*": {}}}}


class Bounded(APIRoute):
    """Reads a body within bounds before FastAPI reads it without any."""

    limit = BODY_LIMIT

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handle = super().get_route_handler()

        async def handler(request: Request) -> Response:
            request._body = await read_body(request, self.limit)
            return await handle(request)

        return handler


class WithPicture(Bounded):
    limit = profile.MOST_BYTES


router = APIRouter(prefix="/api", route_class=Bounded)
pictures = APIRouter(route_class=WithPicture)


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
LogLimit = Annotated[int, Query(ge=1, le=inspector.MOST)]


def wanted_exchanges(what: str = "", direction: str = "", outcome: str = "") -> Wanted:
    return Wanted(what=what, direction=direction, outcome=outcome)


WantedOf = Annotated[Wanted, Depends(wanted_exchanges)]


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
    """A filter may go through the whole log: so each page of it is read by itself, and others read in between."""
    items: list[bytes] = []
    async with site.store.read() as db:
        head = await changes.head(db)
    while len(items) < limit and position < head:
        async with site.store.read() as db:
            page = await changes.after(db, position, audience=caller.audience, wanted=wanted, limit=MOST, upto=head)
        for change in page:
            told = gate.told(change, caller.audience, wanted, with_quiet=True)
            if told:
                items.append(encoder.entry(change) if told == "entry" else encoder.tombstone(change))
            position = change.seq
            if len(items) == limit:
                break
        if len(page) < MOST and len(items) < limit:
            position = head
        await asyncio.sleep(0)
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
        stored = await entries.one(db, id, audience="owner", whole=True)
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
    return _json(source_json(await change_source(site, slug, change)))


@router.delete("/sources/{slug}", status_code=204, dependencies=[may("owner")])
async def delete_source(slug: str, site: SiteOf) -> None:
    async with site.store.begin(rings=[bells.LOG, bells.SUBSCRIPTIONS, bells.HUB]) as db:
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


@router.get("/sources/{slug}/log", dependencies=[may("owner")])
async def get_log(
    slug: str, request: Request, site: SiteOf, wanted: WantedOf, before: str = "", limit: LogLimit = inspector.LIMIT
) -> Response:
    """The source's protocol log, newest first; a `Link` of rel next leads to older ones. Durations are milliseconds."""
    return await _log(request, site, await inspector.of_source(site, slug, wanted), before, limit)


@router.post("/sources/{slug}/test", dependencies=[may("owner")])
async def try_source(slug: str, request: Request, site: SiteOf) -> Response:
    """Pushes a made-up entry to ourselves, which only the owner sees and which is removed at once: each link of the
    way from the callback to the live page, with its verdict."""
    links = await trial.try_out(site, request.app.state.tail, slug)
    return _json(
        {"ok": all(one.verdict != "failed" for one in links), "links": [trial.link_json(one) for one in links]}
    )


@router.post("/sources/{slug}/ping", dependencies=[may("owner")])
async def ping_hub(slug: str, site: SiteOf) -> Response:
    """Asks the source's hub to look at it, and to push what is new."""
    link = await trial.ask_hub(site, slug)
    return _json({"ok": link.verdict == "ok", "links": [trial.link_json(link)]})


@router.post("/sources/{slug}/{action}", dependencies=[may("owner")])
async def act_on_source(
    slug: str, action: Literal["refresh", "pause", "resume", "subscribe"], site: SiteOf
) -> Response:
    return _json(source_json(await do_to_source(site, slug, action)))


@router.post("/discover", dependencies=[may("owner")])
async def post_discover(asked: AddressIn, site: SiteOf, renderer: RendererOf) -> Response:
    """The feeds at an address, best first, each with its newest entries as they would look. Nothing is stored."""
    listing = await discover.feeds_at(site, typed_address(asked.url))
    found = [_found_feed(one, renderer, site.now()) for one in listing.feeds]
    unreadable = [{"url": url, "why": why} for url, why in listing.unreadable.items()]
    return _json({"feeds": found, "tried": listing.tried, "unreadable": unreadable})


# -- what went over the wire ------------------------------------------------------------------


@router.get("/exchanges", dependencies=[may("owner")])
async def list_exchanges(
    request: Request, site: SiteOf, wanted: WantedOf, before: str = "", limit: LogLimit = inspector.LIMIT
) -> Response:
    """The protocol log of everything, newest first."""
    return await _log(request, site, wanted, before, limit)


@router.get("/exchanges/{id}", dependencies=[may("owner")])
async def get_exchange(id: Annotated[int, Path(ge=1, lt=2**63)], site: SiteOf) -> Response:
    """An exchange with its headers and bodies, as far as they are kept; nothing in them is secret."""
    return _json(inspector.exchange_json(await inspector.one(site, id), whole=True))


@router.get("/hub/subscriptions", dependencies=[may("owner")])
async def list_hub_subscriptions(site: SiteOf) -> Response:
    """Who is subscribed at our hub, or wants to be."""
    return _json([inspector.hub_subscription_json(one) for one in await inspector.hub(site)])


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


# -- tokens -----------------------------------------------------------------------------------


@router.get("/tokens", dependencies=[may("owner")])
async def list_tokens(site: SiteOf) -> Response:
    """The tokens, and when each was last used. They themselves are kept nowhere."""
    async with site.store.read() as db:
        return _json([token_json(one) for one in await owner.tokens(db)])


@router.post("/tokens", status_code=201, dependencies=[may("owner")])
async def post_token(new: NewToken, site: SiteOf) -> Response:
    """Makes a token. This answer is the only one with it; with scope `scrobble` it says what to enter at players."""
    async with site.store.begin() as db:
        token = await owner.create_token(db, new.name, new.scope, site.now())
        made = next(one for one in await owner.tokens(db) if one.name == new.name)
    set_up = {one.name: one.settings for one in players(site.config.base_url, token)} if new.scope == "scrobble" else {}
    return _json(token_json(made) | {"token": token, "set_up": set_up}, 201)


@router.delete("/tokens/{name:path}", status_code=204, dependencies=[may("owner")])
async def delete_token(name: str, site: SiteOf) -> None:
    """Makes a token worthless, at once."""
    async with site.store.begin(rings=[bells.KEYS]) as db:
        await owner.revoke_token(db, name)


# -- settings ---------------------------------------------------------------------------------


@router.get("/settings", dependencies=[may("owner")])
async def get_settings(site: SiteOf) -> Response:
    return _json(profile.settings_json(site))


@router.patch("/settings", dependencies=[may("owner")])
async def patch_settings(change: profile.SettingsChange, site: SiteOf) -> Response:
    """Changes what is given, at once and for every page and feed; empty, it is the default again. `picture` is an
    address, from which the picture is fetched and then kept here."""
    await profile.change(site, change)
    return _json(profile.settings_json(site))


@pictures.put("/settings/picture", dependencies=[may("owner")], openapi_extra=PICTURE_BODY)
async def put_picture(request: Request, site: SiteOf) -> Response:
    """The body is the picture: JPEG, PNG, WebP, AVIF or GIF."""
    await profile.send_picture(site, await request.body())
    return _json(profile.settings_json(site))


router.include_router(pictures)


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
        "moved_to": found.moved_to,
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


async def _log(request: Request, site: Site, wanted: Wanted, before: str, limit: int) -> Response:
    found, more = await inspector.listing(site, wanted, before=before, limit=limit)
    query = urlencode(dict(request.query_params) | {"before": more})
    headers = {"Link": f'<{request.url.path}?{query}>; rel="next"'} if more else {}
    return _json([inspector.exchange_json(one) for one in found], 200, headers)


def _json(value: Any, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    return Response(orjson.dumps(value), status, headers, JSON)


def _listing(items: list[bytes], more: str | None, seq: int) -> Response:
    tail = orjson.dumps({"next": more, "seq": seq})[1:]
    return Response(b'{"entries":[' + b",".join(items) + b"]," + tail, media_type=JSON)
