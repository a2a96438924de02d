"""Small programs that stand in for the rest of the web: a publisher, a hub, a subscriber, on real sockets."""

import asyncio
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TypeVar
from urllib.parse import parse_qsl, urlencode

import httpx2
import uvicorn
from fastapi import FastAPI
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from lifestream.serve import listen
from lifestream.site import Site
from lifestream.store import owner

T = TypeVar("T")

SOON = 10.0
"""Seconds within which everything that is awaited here happens, on the slowest machine."""


class AppClient(httpx2.AsyncClient):
    """The app without a socket; `token(scope)` makes the keys."""

    def __init__(self, app: FastAPI, base_url: str) -> None:
        super().__init__(transport=httpx2.ASGITransport(app), base_url=base_url)
        self.app = app

    @property
    def site(self) -> Site:
        site: Site = self.app.state.site
        return site

    async def token(self, scope: str) -> dict[str, str]:
        """The header of a fresh token."""
        async with self.site.store.begin() as db:
            token = await owner.create_token(db, f"{scope} {secrets.token_hex(4)}", scope, self.site.now())
        return {"Authorization": f"Bearer {token}"}


class Prompt(uvicorn.Server):
    """uvicorn looks ten times a second whether it should stop; this one is told."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.over = asyncio.Event()

    async def main_loop(self) -> None:
        await self.on_tick(0)
        await self.over.wait()

    async def shutdown(self, sockets: object = None) -> None:
        for server in self.servers:
            server.close()
        for connection in list(self.server_state.connections):
            connection.shutdown()
        if tasks := set(self.server_state.tasks):
            _, late = await asyncio.wait(tasks, timeout=0.5)
            for task in late:
                task.cancel()
        await self.lifespan.shutdown()


@asynccontextmanager
async def serving(app: object, *, lifespan: str = "off") -> AsyncIterator[str]:
    """Runs an ASGI app on a loopback port; gives its base URL."""
    listening = listen("127.0.0.1", 0)
    config = uvicorn.Config(app, log_config=None, access_log=False, lifespan=lifespan, timeout_graceful_shutdown=1)  # type: ignore[arg-type]
    server = Prompt(config)
    task = asyncio.create_task(server._serve([listening]))
    while not server.started and not task.done():
        await asyncio.sleep(0.001)
    try:
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"
    finally:
        server.over.set()
        await task
        listening.close()


@dataclass
class Publisher:
    """Documents at paths, or at a path with its query; answers conditional GETs; remembers who asked for what."""

    documents: dict[str, tuple[bytes, str]] = field(default_factory=dict)
    answers: dict[str, Response] = field(default_factory=dict)
    headers: dict[str, dict[str, str]] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    held: dict[str, asyncio.Event] = field(default_factory=dict)

    def hold(self, path: str) -> asyncio.Event:
        """Answers for `path` wait, with the document of when they were asked for, until the event is set."""
        self.held[path] = asyncio.Event()
        return self.held[path]

    def publish(self, path: str, body: bytes | str, media_type: str = "application/atom+xml") -> None:
        self.documents[path] = (body.encode() if isinstance(body, str) else body, media_type)

    @property
    def app(self) -> Starlette:
        return Starlette(routes=[Route("/{path:path}", self._answer)])

    async def _answer(self, request: Request) -> Response:
        path = f"{request.url.path}?{request.url.query}"
        if path not in self.documents and path not in self.answers:
            path = request.url.path
        self.asked.append(path)
        if path in self.answers:
            return self.answers[path]
        if path not in self.documents:
            return PlainTextResponse("no such page", 404)
        body, media_type = self.documents[path]
        if path in self.held:
            await self.held[path].wait()
        etag = f'"{hash(body):x}"'
        headers = {"ETag": etag, **self.headers.get(path, {})}
        if request.headers.get("if-none-match") == etag:
            return Response(status_code=304, headers=headers)
        return Response(body, media_type=media_type, headers=headers)


@dataclass
class Received:
    """One request that a fake was sent."""

    method: str
    query: dict[str, str]
    headers: dict[str, str]
    body: bytes


@dataclass
class Subscriber:
    """A callback: confirms what it is asked, keeps what it is given."""

    confirms: bool = True
    status: int = 204
    verifications: list[dict[str, str]] = field(default_factory=list)
    deliveries: asyncio.Queue[Received] = field(default_factory=asyncio.Queue)
    verified: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def app(self) -> Starlette:
        return Starlette(routes=[Route("/{path:path}", self._answer, methods=["GET", "POST"])])

    async def _answer(self, request: Request) -> Response:
        query = dict(parse_qsl(request.url.query, keep_blank_values=True))
        if request.method == "GET":
            self.verifications.append(query)
            self.verified.set()
            return PlainTextResponse(
                query.get("hub.challenge", "") if self.confirms else "no", 200 if self.confirms else 404
            )
        body = await request.body()
        await self.deliveries.put(Received("POST", query, dict(request.headers), body))
        return Response(status_code=self.status)


@dataclass
class FakeHub:
    """A hub that verifies and pushes when told to. `sign` makes the signature header of a body."""

    asked: list[dict[str, str]] = field(default_factory=list)
    verify: bool = True
    lease: str = "86400"
    answer: int = 202
    verifications: list[tuple[int, str]] = field(default_factory=list)
    subscribed: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def app(self) -> Starlette:
        return Starlette(routes=[Route("/{path:path}", self._answer, methods=["GET", "POST"])])

    async def _answer(self, request: Request) -> Response:
        form = dict(parse_qsl((await request.body()).decode(), keep_blank_values=True))
        self.asked.append(form)
        if self.answer == 202 and self.verify:
            # Before the answer: a subscriber must cope with hubs that are that quick.
            await self.verify_intent(form)
        return PlainTextResponse("ok" if self.answer < 300 else "no, thank you", self.answer)

    async def verify_intent(self, form: dict[str, str], **changed: str) -> tuple[int, str]:
        query = {"hub.mode": form["hub.mode"], "hub.topic": form["hub.topic"], "hub.challenge": "c-" + "x" * 18}
        if form["hub.mode"] == "subscribe":
            query["hub.lease_seconds"] = self.lease
        query |= changed
        async with httpx2.AsyncClient(verify=False) as http:
            answer = await http.get(form["hub.callback"] + "?" + urlencode(query))
        self.verifications.append((answer.status_code, answer.text))
        if answer.status_code == 200 and answer.text == query["hub.challenge"]:
            self.subscribed.set()
        return answer.status_code, answer.text


async def until(what: Callable[[], object], *, within: float = SOON) -> None:
    """Waits for something that another task brings about; fails when it does not come."""
    async with asyncio.timeout(within):
        while not what():
            await asyncio.sleep(0.005)


async def comes(what: Callable[[], Awaitable[T]], *, within: float = SOON) -> T:
    """Asks again and again until the answer is something true; gives it, and fails when there is none in time."""
    async with asyncio.timeout(within):
        while not (found := await what()):
            await asyncio.sleep(0.01)
    return found
