"""The pages to look at from afar: `/screen`, one entry at a time, and `/globe`, where entries happened."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from lifestream import index
from lifestream.access import caller_of, wanted_of
from lifestream.around import Reader, minutes_of
from lifestream.pages import respond
from lifestream.render import Renderer
from lifestream.site import Site
from lifestream.store import changes, entries, places
from lifestream.types import Stored
from lifestream.view import globe, showing
from lifestream.view.filters import stream_url
from lifestream.view.globe import View
from lifestream.view.ribbon import HEIGHTS, OTHERS, SLIM, Tick, ribbon
from lifestream.view.showing import Slide

LOOKED_THROUGH = 50
"""The first picture is looked for among so many of the newest entries; else the newest of them is shown."""
PLACES_SHOWN = 20
ABOVE_NOTHING = View(25, 0)


@dataclass(frozen=True, slots=True)
class Spot:
    """A place of the globe's list. `point` is where it is on the drawing, unless it is on the other side."""

    stored: Stored
    name: str
    where: str
    at: datetime
    when: str
    lat: float
    lon: float
    point: tuple[int, int] | None


async def screen(request: Request) -> Response:
    """`/screen`: without script the newest, again and again; with it, screen.js goes on from there."""
    site: Site = request.app.state.site
    renderer: Renderer = request.app.state.renderer
    caller = await caller_of(site, request)
    wanted = wanted_of(request.query_params)
    if wanted.q:
        await index.before_search(site)
    now = site.now()
    async with site.store.read(long=wanted.searches) as db:
        seq = await changes.head(db)
        found, _ = await entries.page(db, audience=caller.audience, wanted=wanted, limit=LOOKED_THROUGH)
        reader = Reader(db, site.config, caller.audience, now)
        minutes = await minutes_of(reader, reader.today, wanted)
    here = now.astimezone(site.config.zone)
    stored, slide = _first(found, renderer)
    ticks = [Tick(one.at.astimezone(here.tzinfo), one.kind, one.count) for one in minutes]
    context = {
        "stored": stored,
        "slide": slide,
        "local": stored.ordered_at.astimezone(here.tzinfo) if stored else here,
        "said": showing.when_said,
        "here": here,
        "last": found[0].ordered_at if found else None,
        "ribbon": ribbon(ticks, height=SLIM, now=here),
        "heights": {"other": OTHERS} | HEIGHTS,
        "stream": stream_url(wanted),
        "query": stream_url(wanted).removeprefix("/"),
        "seq": seq,
    }
    return await respond(request, caller, "screen.html", context)


def _first(found: Sequence[Stored], renderer: Renderer) -> tuple[Stored, Slide] | tuple[None, None]:
    """The newest with a picture, or else the newest."""
    slides = [(stored, slide) for stored in found if (slide := renderer.slide(stored))]
    photo = next(((stored, slide) for stored, slide in slides if slide.look == "photo"), None)
    return photo or next(iter(slides), (None, None))


async def globe_page(request: Request) -> Response:
    """`/globe`, above the newest place."""
    site: Site = request.app.state.site
    renderer: Renderer = request.app.state.renderer
    caller = await caller_of(site, request)
    async with site.store.read() as db:
        seq = await changes.head(db)
        found = await places.newest(db, audience=caller.audience, limit=PLACES_SHOWN)
        count = await places.count(db, audience=caller.audience)
    view = _above(found[0]) if found else ABOVE_NOTHING
    land, grid = globe.globe(renderer.land, view)
    here = site.now().astimezone(site.config.zone)
    context = {
        "spots": [_spot(stored, view, here) for stored in found],
        "count": count,
        "most": PLACES_SHOWN,
        "view": view,
        "land": land,
        "grid": grid,
        "seq": seq,
    }
    return await respond(request, caller, "globe.html", context)


def _above(stored: Stored) -> View:
    place = stored.entry.location
    return View(round(place.lat, 2), round(place.lon, 2)) if place else ABOVE_NOTHING


def _spot(stored: Stored, view: View, here: datetime) -> Spot:
    entry, at = stored.entry, stored.ordered_at.astimezone(here.tzinfo)
    name, above = showing.name_of(entry), _above(stored)
    place = entry.location.name if entry.location else ""
    return Spot(
        stored=stored,
        name=name,
        where=place if place and place != name else globe.coordinates(above.lat, above.lon),
        at=at,
        when=showing.when_brief(at, here),
        lat=above.lat,
        lon=above.lon,
        point=view.point(above.lat, above.lon),
    )


routes = [
    Route("/screen", screen, methods=["GET"]),
    Route("/globe", globe_page, methods=["GET"]),
]
