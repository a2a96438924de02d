"""The owner's pages for sources: how each is doing, adding one, the handshake with its hub. Whole without script."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from time import monotonic
from typing import Any
from urllib.parse import quote, urlsplit

from pydantic import ValidationError
from sqlalchemy.ext.asyncio import AsyncConnection
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from lifestream import discover, trial
from lifestream.access import Caller, caller_of, led_here
from lifestream.admin import owners_form
from lifestream.clean.dates import ordered_at
from lifestream.discover import FoundFeed
from lifestream.errors import Conflict, InvalidInput, LifestreamError, NotFound
from lifestream.handshake import TOLD_BY, Known, Step, handshake_of
from lifestream.pages import respond
from lifestream.site import Site
from lifestream.store import bells, exchanges, health, sources
from lifestream.store.exchanges import Kept, Wanted
from lifestream.types import Source, SourceName, Stored, Visibility
from lifestream.view import calendar
from lifestream.view import health as rules
from lifestream.view.health import Action, Delay, Lease, Look, Standing, State, Trouble
from lifestream.view.words import counted, date_words
from lifestream.write import NewSource, SourceChange, add_source, change_source, do_to_source, typed_address

LOOKED_FOR = 20.0
"""Seconds for which the owner waits for what there is at an address."""
AGAIN = 3
"""Seconds until the page of a handshake is loaded again."""
SAID = {"refresh": "Looking now: ", "pause": "Paused: ", "resume": "Going on: ", "subscribe": "Asking the hub again: "}
FORMATS = {
    "atom": "Atom", "rss": "RSS", "json": "JSON Feed", "activitystreams": "ActivityStreams",
    "h-feed": "The page itself",
}  # fmt: skip
NOTHING: dict[str, Any] = {
    "url": "", "error": "", "nothing": False, "feeds": [], "best": None, "tried": (), "unreadable": {}, "took": "",
    "form": None,
}  # fmt: skip
PLAIN = {"title": "", "slug": "", "kind": "", "visibility": "", "hub": "auto"}


# -- how they are doing -----------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Row:
    """A source in the table."""

    source: Source
    state: State
    arrival: tuple[str, str]
    """A symbol, and how its entries come."""
    detail: str
    came: str
    failed: str
    said: str
    """What the bars say, in words."""
    delay: str
    lease: Lease | None
    action: Action


@dataclass(frozen=True, slots=True)
class Panel:
    """A source that needs its owner."""

    source: Source
    trouble: Trouble
    since: datetime | None
    since_when: str
    tries: int
    cause: str


@dataclass(frozen=True, slots=True)
class Health:
    """What is known of all sources at one moment."""

    sources: Sequence[Source]
    standings: Mapping[int, Standing]
    looks: Mapping[int, Look]
    hooked: set[str]
    came: Mapping[int, list[int]]
    failed: Mapping[int, list[int]]
    delays: Mapping[int, float]
    pushes: Sequence[tuple[datetime, float]]
    states: Mapping[int, State]

    def standing(self, source: Source) -> Standing | None:
        return self.standings.get(source.feed_id or 0)

    def look(self, source: Source) -> Look | None:
        return self.looks.get(source.feed_id or 0)


async def sources_page(request: Request) -> Response:
    """`/admin/sources`: the owner's sources, those that need him first."""
    site: Site = request.app.state.site
    caller = await caller_of(site, request)
    if caller.session is None:
        return RedirectResponse("/login", 303)
    await site.exchanges.flush()
    now = site.now()
    today = calendar.span_of(now.astimezone(site.config.zone).date(), site.config.zone)
    async with site.store.read() as db:
        known = await _health(db, now, today.start)
        needy = [await _panel(db, site, known, one) for one in known.sources if known.states[one.id] == "needs"]
    delays = [Delay(at.astimezone(site.config.zone), took) for at, took in known.pushes]
    context = {
        "rows": [_row(known, one, now) for one in rules.in_order(known.states, known.sources)],
        "needy": needy,
        "heading": rules.sentence(list(known.states.values())),
        "arrivals": rules.arrivals(known.sources, known.hooked),
        "plot": rules.plot_of(delays, today),
        "said": request.query_params.get("said", "")[:200],
    }
    return await respond(request, caller, "admin_sources.html", context)


async def _health(db: AsyncConnection, now: datetime, midnight: datetime) -> Health:
    found = await sources.every(db, audience="owner")
    standings = await health.standings(db)
    return Health(
        sources=found,
        standings=standings,
        looks=await health.looks(db),
        hooked=await health.hooked(db),
        came=await health.came(db, now),
        failed=await health.failed(db, now),
        delays=await health.usual_delays(db, [one for one in found if one.last_entry]),
        pushes=await health.pushes(db, midnight),
        states={one.id: rules.state_of(one, standings.get(one.feed_id or 0)) for one in found},
    )


async def _panel(db: AsyncConnection, site: Site, known: Health, source: Source) -> Panel:
    look = known.look(source)
    clock = f"{look.due_at.astimezone(site.config.zone):%H:%M}" if look and look.due_at else ""
    trouble = rules.trouble_of(source, known.standing(source), look, clock)
    since, tries = rules.since(await health.tries(db, source, trouble.tries))
    cause = "" if source.state == "failing" else rules.guess(trouble.what, site.config.base_url, source.hub_url)
    when = _when(since, site.now().astimezone(site.config.zone)) if since else ""
    return Panel(source, trouble, since, when, tries, cause)


def _row(known: Health, source: Source, now: datetime) -> Row:
    state, standing = known.states[source.id], known.standing(source)
    came, failed = known.came.get(source.id, []), known.failed.get(source.id, [])
    delay = known.delays.get(source.id)
    return Row(
        source=source,
        state=state,
        arrival=_arrival(source, known),
        detail=_detail(source, standing),
        came=rules.bars(came),
        failed=rules.bars(failed, down=True),
        said=rules.day_said(came, failed),
        delay=rules.lasting(delay) if delay is not None else "",
        lease=rules.lease_of(standing, now),
        action=_action(source, state, standing),
    )


def _arrival(source: Source, known: Health) -> tuple[str, str]:
    if source.local:
        return ("hook", "Webhook") if source.slug in known.hooked else ("note", "Written here")
    if source.delivery == "polling":
        return "clock", f"Checked {rules.every_so_often(known.look(source))}"
    return "bolt", {"websub": "Pushed", "rsscloud": "Pushed by rssCloud", "hub": "Pings our hub"}[source.delivery]


def _detail(source: Source, standing: Standing | None) -> str:
    if source.last_error:
        return source.last_error
    if standing and standing.in_vain and standing.last_error:
        return standing.last_error
    if source.missed:
        return f"Push missed {counted(source.missed, 'entry', 'entries')}, found by looking"
    if source.delivery in rules.PUSHED:
        host = urlsplit(source.hub_url or "").hostname or ""
        return host if source.last_push else "Subscribed, no push yet"
    if standing and source.hub_url:
        return f"{urlsplit(source.hub_url).hostname} was asked to push"
    return "No hub in the feed" if source.delivery == "polling" else ""


def _action(source: Source, state: State, standing: Standing | None) -> Action:
    """The one that is most likely to be wanted."""
    if state == "paused":
        return Action("Resume", "resume")
    if state == "needs" and source.state != "failing" and standing:
        return Action("Ask again", "subscribe")
    if state == "waiting":
        return Action("Handshake", link="handshake")
    if source.local:
        return Action("Test", "test")
    return Action("Ping", "ping") if source.delivery == "websub" else Action("Check now", "refresh")


async def act(request: Request) -> Response:
    """What a form asks to be done to a source; then the page that it came from."""
    site: Site = request.app.state.site
    slug, action = request.path_params["slug"], request.path_params["action"]
    _, form = await owners_form(request)
    if action == "remove":
        async with site.store.begin(rings=[bells.LOG, bells.SUBSCRIPTIONS, bells.HUB]) as db:
            await sources.remove(db, await sources.get(db, slug, audience="owner"), site.now())
        return _to("/admin/sources", f"“{slug}” was removed.")
    if action == "address":
        return await _put_elsewhere(site, slug, form.get("url", ""))
    back = _handshake_of(slug) if form.get("back") == "handshake" else "/admin/sources"
    return _to(back, await _done(site, slug, action))


async def _put_elsewhere(site: Site, slug: str, url: str) -> Response:
    try:
        await change_source(site, slug, SourceChange(url=url))
    except (ValidationError, InvalidInput, Conflict) as error:
        return _to("/admin/sources", _sentence(error))
    return _to(_handshake_of(slug), f"Followed from now on at its new address: {slug}")


def _sentence(error: Exception) -> str:
    return error.errors()[0]["msg"] + "." if isinstance(error, ValidationError) else str(error)


async def _done(site: Site, slug: str, action: str) -> str:
    """Does it; says so in a sentence."""
    if action == "poll":
        await change_source(site, slug, SourceChange(hub="none"))
        return f"Checked from now on, without its hub: {slug}"
    if action not in SAID:
        raise InvalidInput(f"“{action}” is nothing that can be done to a source.")
    await do_to_source(site, slug, action)
    return SAID[action] + slug


def _to(path: str, said: str) -> Response:
    return RedirectResponse(f"{path}?said={quote(said)}", 303)


# -- adding one -------------------------------------------------------------------------------


async def add_page(request: Request) -> Response:
    """`/admin/sources/add`; with `?url=`, what could be followed there; a link from elsewhere only fills the field."""
    site: Site = request.app.state.site
    caller = await caller_of(site, request)
    if caller.session is None:
        return RedirectResponse("/login", 303)
    url = request.query_params.get("url", "").strip()
    if not url or not led_here(site, request):
        return await _add(request, caller, {"url": url})
    began = monotonic()
    try:
        listing = await discover.feeds_at(site, typed_address(url), within=LOOKED_FOR)
    except InvalidInput as error:
        return await _add(request, caller, {"url": url, "error": str(error)})
    except LifestreamError as error:
        nothing = isinstance(error, NotFound)
        found = {"url": url, "error": str(error), "nothing": nothing, "form": PLAIN | {"url": url}}
        return await _add(request, caller, found)
    feeds = [_offered(request, number, one) for number, one in enumerate(listing.feeds)]
    best = next((one["feed"] for one in feeds if not one["feed"].followed), None)
    took = rules.lasting(monotonic() - began)
    found = {
        "url": url, "feeds": feeds, "best": best, "tried": listing.tried, "unreadable": listing.unreadable,
        "took": took, "form": await _guessed(site, best),
    }  # fmt: skip
    return await _add(request, caller, found)


async def _add(request: Request, caller: Caller, context: dict[str, Any]) -> Response:
    site: Site = request.app.state.site
    shown = NOTHING | context | {"poll_every": rules.lasting(site.config.poll_min)}
    return await respond(request, caller, "admin_add.html", shown, status=422 if shown["error"] else 200)


def _offered(request: Request, number: int, found: FoundFeed) -> dict[str, Any]:
    """A feed with its newest entries as they would look; nobody's pictures are fetched for that."""
    now: datetime = request.app.state.site.now()
    source = SourceName("", found.title, found.url, pictures=False)
    return {
        "feed": found,
        "format": FORMATS[found.format],
        "hub": urlsplit(found.hub).hostname if found.hub else "",
        "newest": next((entry for entry in found.entries), None),
        "cards": [
            Stored(f"f{number}-{place}", 0, 0, source, entry, received=now, ordered_at=ordered_at(entry.published, now))
            for place, entry in enumerate(found.entries)
        ],
    }


async def _guessed(site: Site, best: FoundFeed | None) -> dict[str, str] | None:
    """What the owner may leave as it is."""
    if best is None:
        return None
    hint = best.title.replace("’", "").replace("'", "") or urlsplit(best.url).hostname or ""
    async with site.store.read() as db:
        slug = await sources.free_slug(db, "", hint)
    kind = best.kind if best.kind != "other" else ""
    return PLAIN | {"url": best.url, "title": best.title, "slug": slug, "kind": kind}


async def add(request: Request) -> Response:
    site: Site = request.app.state.site
    caller, form = await owners_form(request)
    given = PLAIN | {name: form.get(name, "") for name in ("url", *PLAIN)}
    asked = _of_the_chosen(form, {name: given[name] for name in ("url", "title", "slug", "kind")})
    visibility: Visibility = "private" if given["visibility"] == "private" else "public"
    try:
        hub = given["hub"].strip() or "auto"
        source = await add_source(site, NewSource(**asked, visibility=visibility, hub=hub))
    except (ValidationError, LifestreamError) as error:
        return await _add(request, caller, {"url": given["url"], "error": _sentence(error), "form": given})
    page = "/admin/sources" if source.local else _handshake_of(source.slug)
    return _to(page, f"“{source.slug}” was added.")


def _of_the_chosen(form: Mapping[str, str], asked: dict[str, str]) -> dict[str, str]:
    """What was guessed of the best feed says nothing of another one: unless the owner changed it, it does not count."""
    if form.get("best", asked["url"]) == asked["url"]:
        return asked
    return asked | {name: "" for name in ("title", "slug", "kind") if asked[name] == form.get(f"best_{name}")}


# -- the handshake ----------------------------------------------------------------------------


async def handshake_page(request: Request) -> Response:
    """`/admin/sources/{slug}/handshake`: its rows, loaded again until there is no more to come; `?still` stops that."""
    site: Site = request.app.state.site
    caller = await caller_of(site, request)
    if caller.session is None:
        return RedirectResponse("/login", 303)
    slug = request.path_params["slug"]
    await site.exchanges.flush()
    async with site.store.read() as db:
        source = await sources.get(db, slug, audience="owner")
        told = await _told(db, source)
        standing = (await health.standings(db)).get(source.feed_id or 0)
        look = (await health.looks(db)).get(source.feed_id or 0, Look(None, 0))
    if source.local:
        return RedirectResponse(f"/admin/sources/{quote(slug)}", 303)
    now = site.now()
    handshake = handshake_of(Known(source, standing, look.due_at, told, site.config.base_url, now))
    still = "still" in request.query_params
    context = {
        "source": source,
        "steps": [_shown(step, now.astimezone(site.config.zone)) for step in handshake.steps],
        "actions": handshake.actions,
        "reloads": handshake.waits and not still,
        "said": request.query_params.get("said", "")[:200],
    }
    response = await respond(request, caller, "admin_handshake.html", context)
    if context["reloads"]:
        response.headers["Refresh"] = f"{AGAIN}; url={_handshake_of(slug)}"
    return response


async def _told(db: AsyncConnection, source: Source) -> list[Kept]:
    """The newest exchange of each kind that the handshake is told by, newest first."""
    wanted = [Wanted(source.id, what, direction) for direction, what in TOLD_BY]
    found = [kept for one in wanted for kept in await exchanges.page(db, one, limit=1)]
    return sorted(found, key=lambda kept: kept.at, reverse=True)


def _shown(step: Step, now: datetime) -> tuple[Step, str]:
    """With when it was, or how long it lasts."""
    if step.waited is not None:
        minutes, seconds = divmod(int(step.waited.total_seconds()), 60)
        return step, f"{minutes}:{seconds:02} so far" if minutes < 60 else f"{rules.lasting(60.0 * minutes)} so far"
    return step, _when(step.at, now, precisely=True) if step.at else ""


def _when(moment: datetime, now: datetime, *, precisely: bool = False) -> str:
    """In the owner's zone, where `now` is: of today the time, else the day, too."""
    at = moment.astimezone(now.tzinfo)
    if at.date() != now.date():
        return f"{date_words(at)}, {at:%H:%M}"
    return f"{at:%H:%M:%S}.{at.microsecond // 1000:03}" if precisely else f"{at:%H:%M}"


async def ping(request: Request) -> Response:
    """Asks the hub for a push; the handshake's page shows from the log what it said."""
    await owners_form(request)
    slug = request.path_params["slug"]
    try:
        await trial.ask_hub(request.app.state.site, slug)
    except Conflict as error:
        return _to(_handshake_of(slug), str(error))
    return RedirectResponse(_handshake_of(slug), 303)


def _handshake_of(slug: str) -> str:
    return f"/admin/sources/{quote(slug)}/handshake"


routes = [
    Route("/admin/sources", sources_page, methods=["GET"]),
    Route("/admin/sources", add, methods=["POST"]),
    Route("/admin/sources/add", add_page, methods=["GET"]),
    Route("/admin/sources/{slug}/handshake", handshake_page, methods=["GET"]),
    Route("/admin/sources/{slug}/handshake", ping, methods=["POST"]),
]
acts = [Route("/admin/sources/{slug}/{action}", act, methods=["POST"])]
"""Tried last: what is done to a source is any word."""
