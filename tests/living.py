"""A whole lifestream on a loopback port, with its background work, as people and programs meet it."""

import asyncio
import secrets
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx2
import pytest
from fastapi import FastAPI

from lifestream.app import create_app, running
from lifestream.config import Config
from lifestream.serve import Server, listen, server_config
from lifestream.site import Site
from lifestream.store import owner, sources
from lifestream.types import Source
from tests.fakes import comes

on_sqlite = pytest.mark.parametrize("database", ["sqlite"], indirect=True)
"""For tests of what has nothing to do with the database."""
on_postgresql = pytest.mark.parametrize("database", ["postgresql"], indirect=True)
"""For tests of several processes."""


@dataclass
class Living:
    app: FastAPI
    config: Config
    site: Site
    http: httpx2.AsyncClient
    server: Server
    _key: dict[str, str] = field(default_factory=dict)

    @property
    def url(self) -> str:
        return self.config.base_url

    @property
    def hub(self) -> str:
        return self.config.hub_url

    async def token(self, scope: str) -> dict[str, str]:
        """The header of a fresh token."""
        async with self.site.store.begin() as db:
            made = await owner.create_token(db, f"{scope} {secrets.token_hex(4)}", scope, self.site.now())
        return {"Authorization": f"Bearer {made}"}

    async def owners(self) -> dict[str, str]:
        """The header of the owner's token, made once."""
        if not self._key:
            self._key.update(await self.token("owner"))
        return self._key

    async def adds(self, url: str, *, slug: str = "blog", **more: Any) -> dict[str, Any]:
        """The owner adds a source; gives it once it has left `pending`."""
        values = {"url": url, "slug": slug, **more}
        answer = await self.http.post("/api/sources", json=values, headers=await self.owners())
        assert answer.status_code == 201, answer.text
        return await self.settles(slug)

    async def settles(self, slug: str = "blog") -> dict[str, Any]:
        """The source, once it has left `pending`."""
        return await self.becomes(slug, lambda source: source["state"] != "pending")

    async def becomes(self, slug: str, what: Any, *, within: float = 15.0) -> dict[str, Any]:
        """The source as the API gives it, once it is as `what` says."""

        async def found() -> dict[str, Any] | None:
            answer = await self.http.get(f"/api/sources/{slug}", headers=await self.owners())
            return answer.json() if answer.status_code == 200 and what(answer.json()) else None

        return await comes(found, within=within) or {}

    async def source(self, slug: str = "blog") -> Source:
        async with self.site.store.read() as db:
            return await sources.get(db, slug, audience="owner")

    async def titles(self, **query: Any) -> list[str]:
        answer = await self.http.get("/api/entries", params=query, headers=await self.owners())
        return [one["title"] for one in answer.json()["entries"]]

    async def shows(self, *titles: str, within: float = 10.0) -> None:
        """Returns once the newest entries have these titles; fails when they never come."""
        found: list[str] = []

        async def so() -> bool:
            found[:] = (await self.titles())[: len(titles)]
            return found == list(titles)

        try:
            await comes(so, within=within)
        except TimeoutError:
            raise AssertionError(f"the newest are {found}, not {list(titles)}") from None

    async def posts(self, title: str, **more: Any) -> dict[str, Any]:
        """The owner writes an entry."""
        answer = await self.http.post("/api/entries", json={"title": title} | more, headers=await self.owners())
        assert answer.status_code == 201, answer.text
        made: dict[str, Any] = answer.json()
        return made

    async def pings(self, url: str) -> int:
        answer = await self.http.post("/hub", data={"hub.mode": "publish", "hub.url": url})
        return answer.status_code


@asynccontextmanager
async def living(
    config: Config, *, background: bool = True, takes_over: bool = True, port: int = 0
) -> AsyncIterator[Living]:
    """Serves until the end of the block; `base_url` is where it really is, so that hubs and callbacks work.

    Without `takes_over` live streams go through the messages of ASGI, as on a server that keeps its sockets.
    """
    listening = listen("127.0.0.1", port)
    config = config.model_copy(update={"base_url": f"http://127.0.0.1:{listening.getsockname()[1]}"})
    app = create_app()
    async with AsyncExitStack() as stack:
        stack.callback(listening.close)
        await stack.enter_async_context(running(app, config, background=background))
        settings = server_config(app, config)
        settings.timeout_graceful_shutdown = 1
        if not takes_over:
            settings.ws = settings.http = "auto"
        server = Server(settings)
        task = asyncio.create_task(server.serve_quietly(listening))
        await server.running.wait()

        async def stop() -> None:
            server.should_exit = True
            await task

        stack.push_async_callback(stop)
        http = await stack.enter_async_context(httpx2.AsyncClient(verify=False, base_url=config.base_url, timeout=20))
        yield Living(app, config, app.state.site, http, server)
