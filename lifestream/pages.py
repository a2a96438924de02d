"""The public pages: server-rendered, whole without script. What they show comes through the same gate as the API."""

from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from hashlib import blake2b
from typing import Any, TypedDict
from urllib.parse import urlencode

from sqlalchemy.ext.asyncio import AsyncConnection
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route

from lifestream import around, index
from lifestream.access import Caller, caller_of, wanted_of
from lifestream.around import Day, Lead, Reader, Side
from lifestream.errors import Gone
from lifestream.headers import has_already
from lifestream.protocol.topics import Topic
from lifestream.publish import head
from lifestream.publish.feeds.document import site_title
from lifestream.publish.kept import Basis, Body, Kept, basis
from lifestream.render import Renderer, SiteFacts
from lifestream.site import Site
from lifestream.store import days, entries, listens, owner, sources, stream
from lifestream.store.stream import Stretch
from lifestream.theme import theme_of
from lifestream.types import Filter, Stored
from lifestream.view.filters import filter_title
from lifestream.view.words import date_words, weekday
from lifestream.write import source_json

WAYS_IN = ("/setup", "/login", "/admin")


class Page(TypedDict):
    """A part of the stream, newest first; `days` has its entries as cards under the owner's days.

    `heading` is what the page is called where it is not the day's sentence. `next` leads to what is older, which begins
    on `next_day`. `live`: the page begins with the newest, so it can go on by itself from `seq` at `live_url`.
    `first_run`: there is nothing yet that could bring entries.
    """

    entries: Sequence[Stored]
    days: Sequence[Day]
    heading: str
    lead: Lead
    side: Side
    filter: Filter
    next: str | None
    next_day: date | None
    seq: int
    live: bool
    live_url: str
    feed_url: str
    first_run: bool


async def timeline(request: Request) -> Response:
    """`/`: the stream, newest first; the address says which part of it."""
    return await _timeline(request, wanted_of(request.query_params), "timeline.html", {})


async def source_page(request: Request) -> Response:
    """`/sources/{slug}`: one source's own timeline."""
    site: Site = request.app.state.site
    caller = await caller_of(site, request)
    slug = request.path_params["slug"]
    async with site.store.read() as db:
        source = await sources.get(db, slug, audience=caller.audience)
    return await _timeline(request, Filter(source=slug), "source.html", {"source": source_json(source)})


async def _timeline(request: Request, wanted: Filter, template: str, more: dict[str, Any]) -> Response:
    site: Site = request.app.state.site
    kept: Kept = request.app.state.kept
    caller = await caller_of(site, request)
    if wanted.q:
        await index.before_search(site)
    async with site.store.read() as db:
        known = await basis(db, wanted, caller.audience)
        now = site.now()
        track, remains = await listens.playing(db, now)
    playing = track and track | {"until": f"{now + timedelta(seconds=remains):%Y-%m-%dT%H:%M:%SZ}"}
    key = (
        request.url.path,
        request.url.query,
        theme_of(request),
        site.settings.version,
        known.key,
        playing and tuple(playing.values()),
        f"{now:%Y-%m-%d %H:%M}",
    )
    body = None if caller.scope else kept.get(key)
    if body is None:
        async with site.store.read(long=wanted.searches) as db:
            reader = Reader(db, site.config, caller.audience, now)
            page = await _page(reader, request, wanted, known)
        meta = _head_of(request, wanted, page, more.get("source"))
        body = rendered(request, caller, template, {"page": page, "now": now, "meta": meta, "playing": playing} | more)
        if not caller.scope and page["entries"]:
            kept.put(key, body)
    return reply(request, caller, body, links=head.links(site.config, wanted))


async def _page(reader: Reader, request: Request, wanted: Filter, known: Basis) -> Page:
    before = request.query_params.get("before", "")
    found = await stream.stretch(
        reader.db, audience=reader.audience, wanted=wanted, before=before, day_of=reader.day_of
    )
    return {
        "entries": found.entries,
        "days": await around.days_shown(reader, found.items, wanted, cut=bool(before or found.older)),
        "next": _older(request, found.older),
        "next_day": found.then,
        "seq": known.seq,
        "filter": wanted,
        "lead": await around.lead(reader, wanted),
        "heading": _heading(reader, wanted, before, found),
        "side": await around.side(reader, known.sources),
        "live": not before,
        "live_url": f"/live?{urlencode(_live_query(wanted))}",
        "feed_url": Topic.of("atom", wanted).path,
        "first_run": not found.entries and not before and not wanted and await _nothing_yet(reader.db),
    }


def _head_of(request: Request, wanted: Filter, page: Page, source: Mapping[str, Any] | None) -> head.Head:
    site: Site = request.app.state.site
    if source and source["visibility"] == "private":
        return head.unlisted(source["title"])
    before = request.query_params.get("before", "")
    return head.of_stream(site.config, wanted, page["heading"], source=source["title"] if source else "", before=before)


async def entry_page(request: Request) -> Response:
    """`/entries/{id}`: one entry; 410 and its own words for one that is gone."""
    site: Site = request.app.state.site
    caller = await caller_of(site, request)
    try:
        async with site.store.read() as db:
            stored = await entries.one(db, request.path_params["id"], audience=caller.audience)
            around_it = await _around_entry(Reader(db, site.config, caller.audience, site.now()), stored)
    except Gone:
        return await respond(request, caller, "gone.html", {}, status=410)
    meta = head.of_entry(site.config, stored, site.pictures)
    context = {"stored": stored, "told": head.veiled(stored).entry, "meta": meta}
    return await respond(request, caller, "entry.html", context | around_it)


async def _around_entry(reader: Reader, stored: Stored) -> dict[str, Any]:
    """The entries before and after it, of its kind and of its day; how it came; its place on the day's ribbon."""
    db, audience = reader.db, reader.audience
    day = reader.day_of(stored)
    return {
        "same_kind": await days.beside(db, stored, audience=audience, kind=stored.entry.kind),
        "same_day": await days.beside(db, stored, audience=audience, span=reader.span(day)),
        "via": await days.first_via(db, stored.id),
        "day": day,
        "ribbon": around.ribbon_of(reader, day, await around.minutes_of(reader, day, Filter()), here=stored),
    }


async def sources_page(request: Request) -> Response:
    site: Site = request.app.state.site
    caller = await caller_of(site, request)
    async with site.store.read() as db:
        found = await sources.every(db, audience=caller.audience)
    return await respond(request, caller, "sources.html", {"sources": [source_json(one) for one in found]})


async def hub_page(request: Request) -> Response:
    """`GET /hub` explains itself to a person."""
    caller = await caller_of(request.app.state.site, request)
    return await respond(request, caller, "hub.html", {})


async def about_page(request: Request) -> Response:
    """`/about`: whose stream this is, how to follow it, what it is made of."""
    caller = await caller_of(request.app.state.site, request)
    return await respond(request, caller, "about.html", {})


async def respond(
    request: Request,
    caller: Caller,
    template: str,
    context: Mapping[str, Any],
    *,
    status: int = 200,
    links: str = "",
) -> Response:
    return reply(request, caller, rendered(request, caller, template, context), status=status, links=links)


def rendered(request: Request, caller: Caller, template: str, context: Mapping[str, Any]) -> Body:
    site: Site = request.app.state.site
    renderer: Renderer = request.app.state.renderer
    session = caller.session
    html = renderer.page(
        template,
        {
            "site": site_facts(site),
            "owner": session is not None,
            "csrf": session.csrf if session else "",
            "path": request.url.path,
            "now": site.now(),
            "theme": theme_of(request),
            "meta": head.of_page(site.config, request.url.path),
            **context,
        },
    ).encode()
    return Body(html, f'"{blake2b(html, digest_size=12).hexdigest()}"')


def reply(request: Request, caller: Caller, body: Body, *, status: int = 200, links: str = "") -> Response:
    """A page. What the owner sees is for him alone, so it is never kept by anybody in between; nor is what leads to him
    by anybody at all: the set-up page holds a key.
    """
    way_in = not caller.scope and request.url.path.startswith(WAYS_IN)
    public = "no-store" if way_in else "public, max-age=0, must-revalidate"
    headers = {"Cache-Control": "private, no-cache" if caller.scope else public, "Vary": "Cookie"}
    if links:
        headers["Link"] = links
    if status == 200 and not way_in:
        headers["ETag"] = body.etag
        if has_already(request, body.etag):
            return Response(status_code=304, headers=headers)
    return HTMLResponse(body.content, status, headers)


def site_facts(site: Site) -> SiteFacts:
    config = site.config
    return {
        "title": site_title(config),
        "author": config.author,
        "author_url": config.author_url,
        "note": config.note,
        "picture": config.picture_path,
        "links": config.links,
        "base_url": config.base_url,
        "hub_url": config.hub_url,
        "lang": config.lang,
        "timezone": config.timezone,
    }


def _heading(reader: Reader, wanted: Filter, before: str, found: Stretch) -> str:
    """What the page is called, where it is not the day's sentence."""
    words = [filter_title(wanted)] if wanted else []
    if before and found.entries:
        first = reader.day_of(found.entries[0])
        words.append(f"{weekday(first)} {date_words(first)} and earlier")
    return ", ".join(words)


def _older(request: Request, cursor: str | None) -> str | None:
    if cursor is None:
        return None
    query = {name: value for name, value in request.query_params.items() if name != "before"}
    return f"{request.url.path}?{urlencode(query | {'before': cursor})}"


async def _nothing_yet(db: AsyncConnection) -> bool:
    """In the transaction that is open: a page that waited for a second one could wait for itself."""
    known = await sources.every(db, audience="public")
    return all(source.local for source in known) or await owner.fact(db, owner.PASSWORD) is None


def _live_query(wanted: Filter) -> dict[str, str]:
    query = {name: getattr(wanted, name) for name in ("kind", "source", "tag", "q")}
    if wanted.near:
        query["near"] = f"{wanted.near.lat},{wanted.near.lon},{wanted.near.km}"
    return {name: value for name, value in query.items() if value}


routes = [
    Route("/", timeline, methods=["GET"]),
    Route("/entries/{id}", entry_page, methods=["GET"]),
    Route("/sources", sources_page, methods=["GET"]),
    Route("/sources/{slug}", source_page, methods=["GET"]),
    Route("/hub", hub_page, methods=["GET"]),
    Route("/about", about_page, methods=["GET"]),
]
