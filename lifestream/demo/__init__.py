"""`lifestream demo`: a stream on a throw-away database that moves by itself, offline, through the real path.

Three web servers in one process: small publishers, a lifestream that is their hub, and the one you look at. A
publisher changes its feed and pings its hub; the hub fetches the feed and pushes it, signed, to the other's callback.
"""

import asyncio
import signal
import socket
import tempfile
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path
from urllib.parse import urlencode

from fastapi import FastAPI

from lifestream import log
from lifestream.app import create_app, running
from lifestream.config import Config
from lifestream.demo.publishers import Publisher, application, publishers
from lifestream.errors import FetchError
from lifestream.protocol.addresses import Networks
from lifestream.protocol.hub import TopicRule
from lifestream.serve import Server, listen, run_loop, server_config
from lifestream.site import Site
from lifestream.write import NewSource, add_source

LOOPBACK = Networks.parse("127.0.0.0/8,::1/128,localhost")


def run(host: str, port: int) -> None:
    """Runs until it is told to stop. Raises SetupError when the port is taken."""
    log.configure(level=30)
    with tempfile.TemporaryDirectory(prefix="lifestream-demo-") as folder:
        run_loop(_run(host, port, Path(folder)))


async def _run(host: str, port: int, folder: Path) -> None:
    stop = asyncio.Event()
    for one in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(one, stop.set)
    async with stream(host, port, folder) as url:
        print(f"The demo is at {url}\nIt forgets everything when it ends (Ctrl-C).", flush=True)
        await stop.wait()


@asynccontextmanager
async def stream(host: str, port: int, folder: Path) -> AsyncIterator[str]:
    """The whole demo, running; gives the address to look at."""
    async with AsyncExitStack() as stack:
        theirs = listen("127.0.0.1", 0)
        publishers_url = f"http://127.0.0.1:{theirs.getsockname()[1]}"
        between = listen("127.0.0.1", 0)
        hub_url = f"http://127.0.0.1:{between.getsockname()[1]}"
        ours = listen(host, port)
        url = f"http://{host}:{ours.getsockname()[1]}"

        made = publishers(publishers_url, f"{hub_url}/hub")
        await stack.enter_async_context(_serving(application(made), Config(base_url=publishers_url), theirs))
        hub = _config(folder / "hub", hub_url, hub_topics=TopicRule.parse(publishers_url))
        await _open(stack, hub, between)
        app = await _open(stack, _config(folder / "stream", url, title="Mara's demo stream", author="Mara"), ours)
        for one in made:
            one.looks_back(app.state.site.now())
            await add_source(app.state.site, NewSource(url=one.feed_url, slug=one.slug, kind=one.kind))
        for one in made:
            task = asyncio.create_task(_publish(app.state.site, one, f"{hub_url}/hub"))
            stack.push_async_callback(_cancel, task)
        yield url


async def _open(stack: AsyncExitStack, config: Config, listening: socket.socket) -> FastAPI:
    """Starts a lifestream that ends with `stack`."""
    app = create_app()
    await stack.enter_async_context(running(app, config))
    await stack.enter_async_context(_serving(app, config, listening))
    return app


def _config(folder: Path, url: str, **more: object) -> Config:
    return Config(base_url=url, data_dir=folder, allow_networks=LOOPBACK, **more)


@asynccontextmanager
async def _serving(app: object, config: Config, listening: socket.socket) -> AsyncIterator[None]:
    server = Server(server_config(app, config))
    task = asyncio.create_task(server.serve_quietly(listening))
    await server.running.wait()
    try:
        yield
    finally:
        server.should_exit = True
        await task


async def _publish(site: Site, publisher: Publisher, hub: str) -> None:
    """Writes something new every few seconds, and pings the hub as any publisher would."""
    form = urlencode([("hub.mode", "publish"), ("hub.url", publisher.feed_url)]).encode()
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    while True:
        await asyncio.sleep(publisher.pause())
        publisher.write_something(site.now())
        with suppress(FetchError):  # the hub is going down with us
            await site.client.post(hub, body=form, headers=headers)


async def _cancel(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
