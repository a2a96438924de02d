"""The public pages: server-rendered, whole without script. What they show comes through the same gate as the API."""

from collections.abc import Mapping
from itertools import groupby
from typing import Any
from urllib.parse import urlencode

from sqlalchemy.ext.asyncio import AsyncConnection
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route

from lifestream import index
from lifestream.access import Caller, caller_of, wanted_of
from lifestream.errors import Gone
from lifestream.publish.outbound_feeds import feed_path, render, site_title
from lifestream.render import Renderer
from lifestream.site import Site
from lifestream.store import changes, entries, owner, sources
from lifestream.types import Filter, Stored
from lifestream.write import source_json

PAGE = 50


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
    caller = await caller_of(site, request)
    before = request.query_params.get("before", "")
    if wanted.q:
        await index.before_search(site)
    async with site.store.read(long=wanted.searches) as db:
        # The position first: what comes between the two reads is then told again, and not missed.
        seq = await changes.head(db)
        found, older = await entries.page(db, audience=caller.audience, wanted=wanted, before=before, limit=PAGE)
        first_run = not found and not before and not wanted and await _nothing_yet(db)
    path = request.url.path
    query = {name: value for name, value in request.query_params.items() if name != "before"}
    page = {
        "entries": found,
        "days": by_day(request.app.state.renderer, found),
        "next": f"{path}?{urlencode(query | {'before': older})}" if older else None,
        "seq": seq,
        "filter": wanted,
        "live": not before,
        "live_url": f"/live?{urlencode(_live_query(wanted))}",
        "feed_url": feed_path(wanted.source),
        "first_run": first_run,
    }
    return await respond(request, caller, template, {"page": page} | more, links=True)


async def entry_page(request: Request) -> Response:
    """`/entries/{id}`: one entry; 410 and its own words for one that is gone."""
    site: Site = request.app.state.site
    caller = await caller_of(site, request)
    try:
        async with site.store.read() as db:
            stored = await entries.one(db, request.path_params["id"], audience=caller.audience)
    except Gone:
        return await respond(request, caller, "gone.html", {}, status=410)
    return await respond(request, caller, "entry.html", {"stored": stored})


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


async def atom(request: Request) -> Response:
    """`/feed.atom` and `/sources/{slug}/feed.atom`, with self and hub as Link headers too (WebSub 4)."""
    site: Site = request.app.state.site
    async with site.store.read() as db:
        feed = await render(db, site.config, site.now(), slug=request.path_params.get("slug", ""))
    etag = f'"{feed.seq:x}"'
    headers = {
        "ETag": etag,
        "Cache-Control": "public, max-age=0, must-revalidate",
        "Link": f'<{site.config.hub_url}>; rel="hub", <{feed.self_url}>; rel="self"',
        "Access-Control-Allow-Origin": "*",
    }
    if etag in (one.strip().removeprefix("W/") for one in request.headers.get("if-none-match", "").split(",")):
        return Response(status_code=304, headers=headers)
    return Response(feed.body, headers=headers | {"Content-Type": feed.media_type})


async def respond(
    request: Request,
    caller: Caller,
    template: str,
    context: Mapping[str, Any],
    *,
    status: int = 200,
    links: bool = False,
) -> Response:
    """A page. What the owner sees is for him alone, so it is never kept by anybody in between."""
    site: Site = request.app.state.site
    renderer: Renderer = request.app.state.renderer
    session = caller.session
    body = renderer.page(
        template,
        {
            "site": site_facts(site),
            "owner": session is not None,
            "csrf": session.csrf if session else "",
            "path": request.url.path,
            "now": site.now(),
            **context,
        },
    )
    headers = {
        "Cache-Control": "private, no-cache" if session else "public, max-age=0, must-revalidate",
        "Vary": "Cookie",
    }
    if links:
        headers["Link"] = f'<{site.config.hub_url}>; rel="hub", <{site.config.base_url}/feed.atom>; rel="alternate"'
    return HTMLResponse(body, status, headers)


def site_facts(site: Site) -> dict[str, str]:
    config = site.config
    return {
        "title": site_title(config),
        "author": config.author,
        "author_url": config.author_url,
        "base_url": config.base_url,
        "hub_url": config.hub_url,
        "lang": config.lang,
        "timezone": config.timezone,
    }


def by_day(renderer: Renderer, found: list[Stored]) -> list[tuple[Any, list[Stored]]]:
    """The entries under the owner's days."""
    return [(day, list(group)) for day, group in groupby(found, key=renderer.day_of)]


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
    Route("/sources/{slug}/feed.atom", atom, methods=["GET"]),
    Route("/feed.atom", atom, methods=["GET"]),
    Route("/hub", hub_page, methods=["GET"]),
]
