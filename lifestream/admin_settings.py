"""The owner's page for settings: plain forms, each for a part of them, which say "Saved" where that was done."""

from collections.abc import Awaitable, Callable, Mapping
from functools import cache
from typing import Any
from zoneinfo import available_timezones

from pydantic import ValidationError
from starlette.datastructures import UploadFile
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from lifestream import profile
from lifestream.access import Caller, caller_of
from lifestream.admin import from_own_page, signed_in
from lifestream.errors import LifestreamError, NotFound
from lifestream.pages import respond
from lifestream.profile import MOST_LINKS, LinkIn, SettingsChange
from lifestream.receive.bodies import read_body
from lifestream.site import Site
from lifestream.store import sources
from lifestream.types import Source, Visibility
from lifestream.write import SourceChange, change_source, source_json

Form = Mapping[str, Any]
"""What was sent, by the field's name: text, or a file."""
EMPTY_ROWS = 2
"""Of links, for more of them."""


async def settings_page(request: Request) -> Response:
    site: Site = request.app.state.site
    caller = await caller_of(site, request)
    if caller.session is None:
        return RedirectResponse("/login", 303)
    return await _page(request, caller, saved=request.query_params.get("saved", ""))


async def save(request: Request) -> Response:
    site: Site = request.app.state.site
    part = request.path_params["part"]
    if part not in SAVES:
        raise NotFound("There is no such part of the settings.")
    caller = await signed_in(request)
    request._body = await read_body(request, profile.MOST_BYTES)
    async with request.form(max_files=1, max_fields=5000) as form:
        from_own_page(request, caller, str(form.get("csrf", "")))
        given = dict(form)
        try:
            await SAVES[part](site, given)
        except ValidationError as error:
            why = error.errors()[0]["msg"].removeprefix("Value error, ") + "."
            return await _page(request, caller, wrong=part, error=why, form=given)
        except LifestreamError as error:
            return await _page(request, caller, wrong=part, error=str(error), form=given)
    return RedirectResponse(f"/admin/settings?saved={part}#{part}", 303)


async def _page(
    request: Request, caller: Caller, *, saved: str = "", wrong: str = "", error: str = "", form: Form | None = None
) -> Response:
    """`form` is what was typed into the part that is `wrong`."""
    site: Site = request.app.state.site
    async with site.store.read() as db:
        found = await sources.every(db, audience="owner")
    settings = profile.settings_json(site)
    typed = {name: value for name, value in (form or {}).items() if isinstance(value, str)}
    rows = min(MOST_LINKS, len(settings["links"]) + EMPTY_ROWS)
    links = [
        *({"name": one["name"], "url": one["url"]} for one in settings["links"]),
        *[{"name": "", "url": ""}] * rows,
    ]
    context = {
        "settings": settings | (typed if wrong in ("owner", "time", "look") else {}),
        "links": _typed_links(typed) if wrong == "links" else links[:rows],
        "sources": [source_json(one) for one in found],
        "zones": zones(),
        "saved": saved,
        "wrong": wrong,
        "error": error,
    }
    response = await respond(request, caller, "admin_settings.html", context, status=422 if error else 200)
    response.headers["Cache-Control"] = "no-store"
    return response


@cache
def zones() -> list[str]:
    """The time zones by the names of their places."""
    return sorted(name for name in available_timezones() if "/" in name and not name.startswith(("Etc/", "SystemV/")))


# -- what each form saves ---------------------------------------------------------------------


async def _save_owner(site: Site, form: Form) -> None:
    await _change(site, form, "title", "author", "author_url", "note")


async def _save_time(site: Site, form: Form) -> None:
    await _change(site, form, "timezone", "lang")


async def _save_look(site: Site, form: Form) -> None:
    await _change(site, form, "theme")


async def _change(site: Site, form: Form, *fields: str) -> None:
    """What is fixed is not in the form."""
    await profile.change(site, SettingsChange(**{field: form[field] for field in fields if field in form}))


async def _save_picture(site: Site, form: Form) -> None:
    file = form.get("file")
    if isinstance(file, UploadFile) and file.size:
        await profile.send_picture(site, await file.read())
    elif "remove" in form or form.get("url"):
        await profile.change(site, SettingsChange(picture="" if "remove" in form else form["url"]))


async def _save_links(site: Site, form: Form) -> None:
    """A row without a word in it is none."""
    links = [LinkIn(**row) for row in _typed_links(form) if any(row.values())]
    await profile.change(site, SettingsChange(links=links))


async def _save_sources(site: Site, form: Form) -> None:
    """Those that were on the page, as far as something else was chosen for them."""
    async with site.store.read() as db:
        found = await sources.every(db, audience="owner")
    for source in found:
        if f"{source.slug}.shown" in form and (change := _changed(source, form)):
            await change_source(site, source.slug, SourceChange(**change))


def _changed(source: Source, form: Form) -> dict[str, Any]:
    visibility: Visibility = "public" if f"{source.slug}.public" in form else "private"
    wanted = {"visibility": visibility} | {name: f"{source.slug}.{name}" in form for name in ("pictures", "places")}
    return {name: value for name, value in wanted.items() if value != getattr(source, name)}


def _typed_links(form: Form) -> list[dict[str, str]]:
    rows = range(MOST_LINKS)
    return [
        {"name": str(form[f"name{row}"]).strip(), "url": str(form.get(f"url{row}", "")).strip()}
        for row in rows
        if f"name{row}" in form
    ]


SAVES: Mapping[str, Callable[[Site, Form], Awaitable[None]]] = {
    "owner": _save_owner,
    "picture": _save_picture,
    "links": _save_links,
    "time": _save_time,
    "look": _save_look,
    "sources": _save_sources,
}

routes = [
    Route("/admin/settings", settings_page, methods=["GET"]),
    Route("/admin/settings/{part}", save, methods=["POST"]),
]
