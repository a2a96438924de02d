"""The owner's pages for what goes over the wire: the inspector, a source with its log and its test, our hub."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from itertools import groupby
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from lifestream import inspector, trial
from lifestream.access import Caller, caller_of
from lifestream.admin import owners_form
from lifestream.errors import Conflict
from lifestream.pages import respond
from lifestream.paths import number
from lifestream.site import Site
from lifestream.store import sources, subscriptions
from lifestream.store.exchanges import OUTCOMES, WHATS, Kept, Wanted
from lifestream.trial import Link
from lifestream.types import Source
from lifestream.write import source_json

SHOWN = 4000
"""Characters of a body in the list; an exchange's own page has all that is kept."""
WIDE, HIGH = 680, 20
"""Of the waterfall, and of each of its steps."""
FIRST_HOUR = 9
"""The steps are coloured like the hours from this one on."""
FACES = {"ok": "g", "refused": "r", "failed": "r"}


@dataclass(frozen=True, slots=True)
class Bar:
    hour: str
    x: float
    y: int
    width: float


@dataclass(frozen=True, slots=True)
class Row:
    """An exchange as the pages show it."""

    kept: Kept
    words: str
    about: str
    day: date
    at: str
    result: str
    face: str
    bars: Sequence[Bar]
    request: str
    answer: str
    more: bool
    """Not all of its bodies is shown here."""
    curl: str


async def inspector_page(request: Request) -> Response:
    """`/admin/inspector`: everything, newest first; the address says which part of it."""
    caller = await caller_of(request.app.state.site, request)
    if caller.session is None:
        return RedirectResponse("/login", 303)
    site: Site = request.app.state.site
    asked = {name: request.query_params.get(name, "") for name in ("source", "what", "direction", "outcome")}
    wanted = Wanted(what=asked["what"], direction=asked["direction"], outcome=asked["outcome"])
    if asked["source"]:
        wanted = await inspector.of_source(site, asked["source"], wanted)
    async with site.store.read() as db:
        known = await sources.every(db, audience="owner")
    context = await _log(request, wanted, "/admin/inspector") | {
        "sources": known,
        "asked": asked,
        "whats": WHATS,
        "outcomes": OUTCOMES,
    }
    return await respond(request, caller, "admin_inspector.html", context)


async def exchange_page(request: Request) -> Response:
    """`/admin/inspector/{id}`: one exchange, with all that is kept of it."""
    site: Site = request.app.state.site
    caller = await caller_of(site, request)
    if caller.session is None:
        return RedirectResponse("/login", 303)
    kept = await inspector.one(site, request.path_params["id"])
    return await respond(request, caller, "admin_exchange.html", {"row": row_of(site, kept, whole=True)})


async def source_page(request: Request) -> Response:
    """`/admin/sources/{slug}`: how a source is doing, what can be done, and what went over the wire for it."""
    caller = await caller_of(request.app.state.site, request)
    if caller.session is None:
        return RedirectResponse("/login", 303)
    return await _source(request, caller, ())


async def try_source(request: Request) -> Response:
    """The source's page with what came of a test push."""
    caller, _ = await owners_form(request)
    links = await trial.try_out(request.app.state.site, request.app.state.tail, request.path_params["slug"])
    return await _source(request, caller, links)


async def ask_hub(request: Request) -> Response:
    """The source's page with what its hub said."""
    caller, _ = await owners_form(request)
    try:
        links = [await trial.ask_hub(request.app.state.site, request.path_params["slug"])]
    except Conflict as error:
        links = [Link("The hub was not asked", "failed", str(error))]
    return await _source(request, caller, links)


async def _source(request: Request, caller: Caller, links: Sequence[Link]) -> Response:
    site: Site = request.app.state.site
    async with site.store.read() as db:
        source = await sources.get(db, request.path_params["slug"], audience="owner")
        ours = await subscriptions.of_feed(db, source.feed_id) if source.feed_id is not None else []
    log = await _log(request, Wanted(source_id=source.id), f"/admin/sources/{quote(source.slug)}")
    context = {"source": source_json(source), "doing": _doing(source), "subscriptions": ours, "links": links}
    return await respond(request, caller, "admin_source.html", context | log)


async def hub_page(request: Request) -> Response:
    """`/admin/hub`: who is subscribed at our hub."""
    site: Site = request.app.state.site
    caller = await caller_of(site, request)
    if caller.session is None:
        return RedirectResponse("/login", 303)
    return await respond(request, caller, "admin_hub.html", {"subscriptions": await inspector.hub(site)})


# -- the parts of it --------------------------------------------------------------------------


async def _log(request: Request, wanted: Wanted, path: str) -> dict[str, Any]:
    site: Site = request.app.state.site
    before = request.query_params.get("before", "")
    found, more = await inspector.listing(site, wanted, before=before)
    rows = [row_of(site, one) for one in found]
    query = {name: value for name, value in request.query_params.items() if value and name != "before"}
    return {
        "days": [(day, list(group)) for day, group in groupby(rows, key=lambda row: row.day)],
        "earlier": f"{path}?{urlencode(query | {'before': more})}" if more else None,
        "newest": f"{path}?{urlencode(query)}" if query else path,
        "is_newest": not before,
    }


def row_of(site: Site, kept: Kept, *, whole: bool = False) -> Row:
    local = kept.at.astimezone(site.config.zone)
    wire = inspector.wire_of(kept)
    most = None if whole else SHOWN
    request, answer = wire["request"], wire["answer"]
    return Row(
        kept=kept,
        words=inspector.WORDS.get((kept.direction, kept.what), kept.what),
        about=", ".join(part for part in (kept.title or kept.about, _where(kept)) if part),
        day=local.date(),
        at=f"{local:%H:%M:%S}.{local.microsecond // 1000:03}",
        result=_result(kept),
        face="n" if kept.status == 304 else FACES.get(kept.outcome, "n"),
        bars=_bars(kept),
        request=_message(f"{kept.method} {kept.url}", request, most),
        answer=_message(str(kept.status or "No answer"), answer, most),
        more=not whole and any(part and len(part["body"]) > SHOWN for part in (request, answer)),
        curl=wire["curl"] or "",
    )


def _where(kept: Kept) -> str:
    return f"at {urlsplit(kept.url).netloc}" if kept.direction == "out" else ""


def _result(kept: Kept) -> str:
    status = str(kept.status) if kept.status is not None else "no answer"
    return status if kept.outcome == "ok" else f"{status}, {kept.outcome}"


def _bars(kept: Kept) -> list[Bar]:
    """Where in its time each step was taken, each from the end of the one before."""
    end = max((step.at for step in kept.steps), default=0.0) or 1.0
    ends = [step.at / end * WIDE for step in kept.steps]
    return [
        Bar(f"h{FIRST_HOUR + number:02}", round(start, 1), HIGH * number + 3, round(max(stop - start, 2.0), 1))
        for number, (start, stop) in enumerate(zip([0.0, *ends], ends, strict=False))
    ]


def _message(first: str, message: dict[str, Any] | None, most: int | None) -> str:
    if message is None:
        return f"{first}\n\nOnly the newest exchanges are kept with their headers and bodies."
    headers = "\n".join(f"{name}: {value}" for name, value in message["headers"])
    body = message["body"][:most]
    cut = f"\n… {message['size']:,} bytes in all" if len(body) < len(message["body"]) else ""
    return "\n".join(part for part in (first, headers) if part) + (f"\n\n{body}{cut}" if body else "")


def _doing(source: Source) -> str:
    """How a source is doing, in a sentence."""
    match source.state:
        case "pending":
            return "It is being looked at for the first time."
        case "paused":
            return "It is paused: nothing is taken in."
        case "failing" | "denied":
            return source.last_error or "It needs you."
    if source.last_error:
        return source.last_error
    arrival = {
        "websub": "Its hub pushes it.", "rsscloud": "Its cloud tells of news.", "hub": "It is pushed through our hub.",
        "polling": "It is checked from time to time.", "local": "It is written here.",
    }  # fmt: skip
    return f"It is fine. {arrival[source.delivery]}"


routes = [
    Route("/admin/inspector", inspector_page, methods=["GET"]),
    Route(f"/admin/inspector/{number('id')}", exchange_page, methods=["GET"]),
    Route("/admin/hub", hub_page, methods=["GET"]),
    Route("/admin/sources/{slug}", source_page, methods=["GET"]),
    Route("/admin/sources/{slug}/test", try_source, methods=["POST"]),
    Route("/admin/sources/{slug}/ping", ask_hub, methods=["POST"]),
]
