"""The archive: days, and calendars of months and years. Through the same gate as the stream, whole without script."""

from collections.abc import Sequence
from datetime import date
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from lifestream import around
from lifestream.access import caller_of, wanted_of
from lifestream.around import Reader
from lifestream.errors import NotFound
from lifestream.pages import respond
from lifestream.paths import number
from lifestream.site import Site
from lifestream.store import days
from lifestream.types import Stored
from lifestream.view import bursts, calendar
from lifestream.view.calendar import Span

MOST = 500
"""Entries of a day that are shown; of a day with more, the page says where the rest is."""


async def day_page(request: Request) -> Response:
    """`/day/2026-11-21`: one of the owner's days, newest first or `?order=oldest` first; filters work here too."""
    site: Site = request.app.state.site
    caller = await caller_of(site, request)
    wanted = wanted_of(request.query_params)
    oldest_first = request.query_params.get("order") == "oldest"
    day = calendar.day_of(request.path_params["day"])
    async with site.store.read(long=wanted.searches) as db:
        reader = Reader(db, site.config, caller.audience, site.now())
        if day is None or day > reader.today:
            raise NotFound("There is no such day.")
        span = reader.span(day)
        found = await days.entries_of(
            db, span, audience=caller.audience, wanted=wanted, oldest_first=oldest_first, limit=MOST
        )
        context: dict[str, Any] = {
            "day": day,
            "lead": await around.past(reader, day, wanted),
            "cards": around.with_below(reader, _cards(reader, found, oldest_first)),
            "shown_count": len(found),
            "filter": wanted,
            "oldest_first": oldest_first,
            "beside": await _days_beside(reader, span),
        }
    return await respond(request, caller, "day.html", context)


async def month_page(request: Request) -> Response:
    """`/2026/11`: a month, each day that has entries a link."""
    return await _calendars(request, calendar.month_of(request.url.path[1:]), "month.html")


async def year_page(request: Request) -> Response:
    """`/2026`: twelve months."""
    return await _calendars(request, calendar.month_of(request.url.path[1:] + "/01"), "year.html")


async def _calendars(request: Request, first: date | None, template: str) -> Response:
    site: Site = request.app.state.site
    caller = await caller_of(site, request)
    async with site.store.read(long=True) as db:
        reader = Reader(db, site.config, caller.audience, site.now())
        if first is None or first > reader.today:
            raise NotFound("There is no such month or year.")
        firsts = [first] if template == "month.html" else calendar.months_of_year(first.year)
        last = calendar.days_of_month(firsts[-1])[-1]
        span = Span(reader.span(first).start, reader.span(last).end)
        context = {"months": await around.months(reader, firsts), "beside": await _days_beside(reader, span)}
    return await respond(request, caller, template, context)


def _cards(reader: Reader, found: Sequence[Stored], oldest_first: bool) -> list[bursts.Item]:
    if not oldest_first:
        return bursts.gathered(found, reader.day_of)
    return bursts.gathered(found[::-1], reader.day_of)[::-1]


async def _days_beside(reader: Reader, span: Span) -> tuple[date | None, date | None]:
    """The last day before and the first day after that have entries."""
    earlier, later = await days.around(reader.db, span, audience=reader.audience)
    return (
        earlier.astimezone(reader.zone).date() if earlier else None,
        later.astimezone(reader.zone).date() if later else None,
    )


routes = [
    Route("/day/{day}", day_page, methods=["GET"]),
    Route(f"/{number('year')}/{number('month')}", month_page, methods=["GET"]),
    Route(f"/{number('year')}", year_page, methods=["GET"]),
]
