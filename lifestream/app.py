"""Puts everything together: `create_app()` makes the doors, `running(app, config)` the site behind them.

Two apps can live in one process (tests and the demo do that): nothing here is global.
"""

import asyncio
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from typing import Any

import orjson
from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from sqlalchemy.exc import SQLAlchemyError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Mount, Route, WebSocketRoute

from lifestream import (
    __version__,
    admin,
    admin_hooks,
    admin_inspector,
    admin_settings,
    admin_sources,
    api,
    archive,
    index,
    openapi,
    pages,
    pictures,
    showing,
    theme,
    webhooks,
)
from lifestream.access import Caller
from lifestream.config import Config
from lifestream.errors import (
    BadAddress,
    Conflict,
    FetchError,
    Gone,
    InvalidInput,
    LifestreamError,
    NotAllowed,
    NotFound,
    PayloadTooLarge,
    Restarting,
    TooBusy,
    TooManyRequests,
)
from lifestream.headers import SecurityHeaders
from lifestream.log import get_logger
from lifestream.publish import (
    feed_door,
    head,
    lists,
    metrics,
    picture_door,
    playing,
    portrait,
    previews,
    site_files,
    withdrawn,
)
from lifestream.publish import hub as hub_work
from lifestream.publish.encode import Encoder
from lifestream.publish.kept import Kept
from lifestream.publish.longpoll import poll
from lifestream.publish.presence import Presence
from lifestream.publish.sse import events
from lifestream.publish.tail import Tail
from lifestream.publish.websocket import stream
from lifestream.receive import hub, hub_callback, rsscloud, scrobble, timer, webhook
from lifestream.receive.desk import Desk
from lifestream.receive.limits import HubLimits
from lifestream.render import Renderer
from lifestream.site import Site
from lifestream.static_files import Static
from lifestream.store import sources
from lifestream.store.migrate import migrate

log = get_logger(__name__)

STATUS: dict[type[LifestreamError], int] = {
    InvalidInput: 400,
    BadAddress: 400,
    NotFound: 404,
    Conflict: 409,
    Gone: 410,
    PayloadTooLarge: 413,
    Restarting: 503,
    TooBusy: 503,
    TooManyRequests: 429,
    FetchError: 502,
}
"""How the errors look over HTTP; NotAllowed brings its own, anything else is our fault."""
TITLES = {
    400: "This request makes no sense",
    401: "Sign in or send a token",
    403: "Not allowed",
    404: "Not found",
    405: "Not this way",
    409: "In conflict with what is there",
    410: "Gone",
    413: "Too large",
    422: "This request makes no sense",
    429: "Too many requests",
    500: "Something broke here",
    503: "Not now",
}
MACHINE_PATHS = (
    "/hub", "/push/", "/live/", "/hooks/", "/scrobble", "/1/", "/rsscloud", "/healthz", "/readyz", "/metrics",
)  # fmt: skip


def create_app() -> FastAPI:
    """The application's doors. They open onto a site while `running` holds."""
    app = FastAPI(
        title="lifestream", version=__version__, 
        docs_url=None, redoc_url=None, openapi_url="/api/openapi.json", redirect_slashes=False,
    )  # fmt: skip
    app.router.routes.extend(
        [
            # First, because routes are tried in order and these are asked most.
            Route("/push/{token}", hub_callback.verify, methods=["GET"]),
            Route("/push/{token}", hub_callback.receive, methods=["POST"]),
            Route("/hub", hub.ask, methods=["POST"]),
            Route("/", hub.ask, methods=["POST"]),
            Route("/rsscloud/notify", rsscloud.notify, methods=["POST"]),
            Route("/rsscloud/notify", rsscloud.challenge, methods=["GET"]),
            Route("/rsscloud/pleaseNotify", rsscloud.please_notify, methods=["POST"]),
            Route("/rsscloud/ping", rsscloud.ping, methods=["POST"]),
            WebSocketRoute("/live", stream),
            Route("/live/events", events, methods=["GET"]),
            Route("/live/poll", poll, methods=["GET"]),
            Route("/healthz", healthz, methods=["GET"]),
            Route("/readyz", readyz, methods=["GET"]),
            Mount("/static", Static()),
            *webhook.routes,
            *scrobble.routes,
            *feed_door.routes,
            *lists.routes,
            *metrics.routes,
            *previews.routes,
            *site_files.routes,
            *openapi.routes,
            *picture_door.routes,
            *portrait.routes,
            *pages.routes,
            *showing.routes,
            *archive.routes,
            *theme.routes,
            *admin.routes,
            *admin_sources.routes,
            *admin_inspector.routes,
            *admin_sources.acts,  # last: what is done to a source is any word
            *admin_hooks.routes,
            *admin_settings.routes,
        ]
    )
    app.include_router(api.router)
    openapi.describe(app)
    app.add_middleware(SecurityHeaders)
    app.state.meters = metrics.Meters()
    app.add_middleware(metrics.Measured, app.state.meters)
    for kind in (LifestreamError, HTTPException, RequestValidationError, SQLAlchemyError, Exception):
        app.add_exception_handler(kind, problem)
    return app


@asynccontextmanager
async def running(app: FastAPI, config: Config, *, background: bool = True) -> AsyncIterator[None]:
    """Opens the site, starts what runs beside the requests, and ends it all in order.

    `config.base_url` must be known: callbacks and feeds are made from it. Raises SetupError.
    """
    site = Site.open(config)
    renderer = Renderer.of(config, site.pictures)
    app.state.site = site
    app.state.renderer = renderer
    app.state.encoder = encoder = Encoder(renderer)
    app.state.tail = tail = Tail(site, encoder.entry)
    app.state.tries = admin.Tries()
    app.state.wrong_keys = admin.Tries()
    app.state.scrobbles = Desk(site)
    app.state.deliveries = webhooks.Deliveries(site)
    app.state.kept = Kept()
    app.state.pushed_to = {}
    app.state.previews = previews.Previews()
    app.state.hub_limits = HubLimits()
    app.state.waiting_for_pictures = picture_door.Waiting()
    tasks: list[asyncio.Task[None]] = []
    app.state.tasks = tasks

    def settle() -> None:
        renderer.settle(site.config)
        encoder.forget()
        tail.forget()

    site.settings.changed = settle
    try:
        await migrate(site.store)
        await site.prepare()
        wanted: list[Coroutine[Any, Any, None]] = [site.store.watch(), tail.run(), Presence(tail, site.wire).run()]
        wanted += [playing.follow(site, tail), site.exchanges.run(), site.settings.follow(site.store)]
        wanted.append(withdrawn.follow(site, tail))
        if site.wire:
            wanted.append(site.wire.run())
        if background:
            wanted += [worker.run() for worker in timer.workers(site)]
            wanted += [courier.run() for courier in hub_work.couriers(site)]
            wanted += [timer.keep_house(site), hub_work.follow(site), index.follow(site)]
            if site.pictures.kept:
                wanted.append(pictures.follow(site))
        tasks.extend(asyncio.create_task(one) for one in wanted)
        await tail.ready.wait()
        yield
    finally:
        await tail.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await site.aclose()


async def healthz(_request: Request) -> Response:
    """The process is up."""
    return PlainTextResponse("ok\n")


async def readyz(request: Request) -> Response:
    """The database answers and the background work is alive."""
    site: Site = request.app.state.site
    try:
        async with asyncio.timeout(5), site.store.read() as db:
            await sources.every(db, audience="public")
    except (SQLAlchemyError, OSError, TimeoutError):
        return PlainTextResponse("The database does not answer.\n", 503)
    dead = [task for task in request.app.state.tasks if task.done()]
    if dead:
        return PlainTextResponse("A part of the background work has ended; restart lifestream.\n", 503)
    return PlainTextResponse("ok\n")


# -- errors -----------------------------------------------------------------------------------


async def problem(request: Request, error: Exception) -> Response:
    """Every error, said in the caller's form: a problem for programs, one sentence for hubs, a page for people."""
    status, detail = _said(error)
    headers = {}
    if isinstance(error, TooManyRequests):
        headers["Retry-After"] = str(max(1, round(error.retry_after)))
    if status == 503:
        headers["Retry-After"] = "5"
    if status == 401 and request.url.path.startswith("/api"):
        headers["WWW-Authenticate"] = "Bearer"
    if status >= 500:
        say = log.info if isinstance(error, FetchError) else log.error  # what others cannot answer is no fault of ours
        say("request", path=_safe_path(request), status=status, error=type(error).__name__)
    path = request.url.path
    if path.startswith("/api"):
        body = {"type": "about:blank", "title": TITLES.get(status, "Error"), "status": status, "detail": detail}
        return Response(orjson.dumps(body), status, headers, "application/problem+json")
    if path.startswith(MACHINE_PATHS) or request.method not in ("GET", "HEAD") and not path.startswith("/admin"):
        answer = PlainTextResponse(detail + "\n", status, headers)
        if told := request.scope.get("exchange"):  # receive/recorded.py
            told.answered(status, answer.raw_headers, bytes(answer.body))
        return answer
    nowhere = head.unlisted(TITLES.get(status, "Error"))
    context = {"status": status, "title": nowhere.title, "detail": detail, "meta": nowhere}
    response = await pages.respond(request, Caller(), "error.html", context, status=status)
    response.headers.update(headers)
    return response


def _said(error: Exception) -> tuple[int, str]:
    match error:
        case NotAllowed():
            return error.status, str(error)
        case LifestreamError():
            status = next((status for kind, status in STATUS.items() if isinstance(error, kind)), 500)
            return status, str(error)
        case HTTPException(status_code=404):
            return 404, "There is nothing at this address."
        case HTTPException():
            return error.status_code, str(error.detail)
        case RequestValidationError():
            first = error.errors()[0]
            where = ".".join(str(part) for part in first["loc"] if part not in ("body", "query"))
            what = first["msg"].removeprefix("Value error, ")
            return 422, f"{where}: {what}." if where else f"{what}."
        case SQLAlchemyError():
            return 503, "The database cannot take this just now; nothing was changed. Try again in a few seconds."
        case _:
            return 500, "Something broke here; it is in the log. Nothing that was acknowledged is lost."


def _safe_path(request: Request) -> str:
    """The path without the token that the paths of callbacks are made of."""
    parts = request.url.path.split("/")
    return "/push/***" if parts[1:2] == ["push"] else request.url.path
