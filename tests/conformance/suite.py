"""What the W3C's test suite for WebSub (websub.rocks) plays in its tests: a publisher, a subscriber and a hub."""

import asyncio
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl

import httpx2
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from lifestream.protocol.links import parse_link_header
from lifestream.protocol.signatures import METHODS, check_hub_signature
from tests.fakes import SOON, Received, serving


@dataclass
class Suite:
    """A topic at /pub, and a callback at /sub that confirms what it asked for and keeps what it is given."""

    at: str = ""
    media_type: str = "text/html; charset=UTF-8"
    posts: list[str] = field(default_factory=lambda: ["the first"])
    secret: str = ""
    wanted: str = ""
    """The mode that was asked for; all else is answered 404."""
    confirms: bool = True
    verifications: list[dict[str, str]] = field(default_factory=list)
    denied: list[dict[str, str]] = field(default_factory=list)
    deliveries: asyncio.Queue[Received] = field(default_factory=asyncio.Queue)
    looks: int = 0
    token: str = field(default_factory=lambda: secrets.token_hex(8))

    @property
    def topic(self) -> str:
        return f"{self.at}/pub/{self.token}"

    @property
    def callback(self) -> str:
        return f"{self.at}/sub/{self.token}"

    @property
    def document(self) -> bytes:
        """As its media type has it; the hub is not to care."""
        return "\n".join(["A blog", *reversed(self.posts)]).encode()

    @property
    def app(self) -> Starlette:
        return Starlette(
            routes=[Route("/pub/{token}", self._topic), Route("/sub/{token}", self._called, methods=["GET", "POST"])]
        )

    async def _topic(self, _request: Request) -> Response:
        self.looks += 1
        return Response(self.document, headers={"Content-Type": self.media_type})

    async def _called(self, request: Request) -> Response:
        query = dict(parse_qsl(request.url.query, keep_blank_values=True))
        if request.method == "POST":
            await self.deliveries.put(Received("POST", query, dict(request.headers), await request.body()))
            return Response(status_code=200)
        if query.get("hub.mode") == "denied":
            self.denied.append(query)
            return PlainTextResponse("")
        self.verifications.append(query)
        if not self.confirms or query.get("hub.mode") != self.wanted or query.get("hub.topic") != self.topic:
            return PlainTextResponse("not asked for", 404)
        return Response(query.get("hub.challenge", ""), media_type="application/octet-stream")

    async def asks(self, hub: str, mode: str = "subscribe", **more: str) -> httpx2.Response:
        self.wanted = mode
        form = {"hub.mode": mode, "hub.topic": self.topic, "hub.callback": self.callback} | more
        if self.secret and mode == "subscribe":
            form["hub.secret"] = self.secret
        async with httpx2.AsyncClient(verify=False) as http:
            return await http.post(hub, data=form)

    async def publishes(self, hub: str, text: str) -> int:
        self.posts.append(text)
        async with httpx2.AsyncClient(verify=False) as http:
            return (await http.post(hub, data={"hub.mode": "publish", "hub.topic": self.topic})).status_code

    async def given(self, hub: str) -> Received:
        """The next delivery, after all that the suite checks of one."""
        async with asyncio.timeout(SOON):
            received = await self.deliveries.get()
        assert received.body, "a fat ping"
        assert received.body.strip() == self.document.strip(), "what the topic says now"
        assert received.headers["content-type"] == self.media_type
        links = parse_link_header([received.headers["link"]], "")
        assert [link.url for link in links if "hub" in link.rels][:1] == [hub]
        assert [link.url for link in links if "self" in link.rels] == [self.topic]
        signature = received.headers.get("x-hub-signature")
        if self.secret:
            assert signature and signature.partition("=")[0] in METHODS
            assert check_hub_signature(signature, received.body, self.secret) == "right"
        else:
            assert signature is None
        return received


@asynccontextmanager
async def suite(**what: Any) -> AsyncIterator[Suite]:
    playing = Suite(**what)
    async with serving(playing.app) as at:
        playing.at = at
        yield playing
