"""The real browser that tests look through, and a bad network to put in its way."""

import asyncio
import shutil
from collections import defaultdict
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Literal
from urllib.parse import urlsplit

from playwright.async_api import Browser, Error, Page, async_playwright, expect

from tests.conftest import missing_service

BROWSERS = ("chromium", "chromium-browser", "google-chrome")
SWITCHES = (
    "--no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking "
    "--disable-component-update --disable-sync"
).split()

expect.set_options(timeout=20_000)  # on a busy machine too

Way = Literal["page", "socket", "events", "poll"]
Trouble = Literal["refuses", "swallows", 429, 503] | asyncio.Event
"""What a network does instead of carrying a request; an event: it carries it when that is set."""
WAYS: dict[str, Way] = {"/live": "socket", "/live/events": "events", "/live/poll": "poll"}


@asynccontextmanager
async def chromium(*, without: Sequence[str] = ()) -> AsyncIterator[Browser]:
    """Runs the machine's own Chromium; `without` are switches of Playwright's that it is not given."""
    executable = next(filter(None, map(shutil.which, BROWSERS)), None)
    if executable is None:
        missing_service("Chromium", f"none of {', '.join(BROWSERS)} is installed")
    async with async_playwright() as playwright:
        launch = playwright.chromium.launch
        try:
            browser = await launch(executable_path=executable, args=SWITCHES, ignore_default_args=list(without))
        except Error as error:
            missing_service("Chromium", error)
            raise
        yield browser
        await browser.close()


def complaints_of(page: Page, url: str) -> list[str]:
    """What a browser has to say against a page, from now on: errors, broken rules, requests to elsewhere."""
    found: list[str] = []

    def asked(address: str) -> None:
        if not address.startswith((f"{url}/", url.replace("http", "ws", 1) + "/", "data:")):
            found.append(f"asked {address}")

    page.on("console", lambda said: found.append(said.text) if said.type in ("error", "warning") else None)
    page.on("pageerror", lambda error: found.append(str(error)))
    page.on("requestfailed", lambda request: found.append(f"failed {request.url}"))
    page.on("request", lambda request: asked(request.url))
    page.on("websocket", lambda socket: asked(socket.url))
    return found


class Network:
    """Carries each request of a browser to the server at `server`, or does to it what `trouble` says of its way.

    One connection is one request, so each is known for what it is. `holding`: so many wait for an answer in vain.
    """

    def __init__(self, server: str) -> None:
        self.server = server
        self.trouble: dict[Way, Trouble] = {}
        self.asked: list[Way] = []
        self.holding = 0
        self.url = ""
        self._cuts: dict[Way, tuple[int, asyncio.Event]] = {}
        self._open: dict[Way, set[asyncio.StreamWriter]] = defaultdict(set)

    def open(self, way: Way) -> int:
        """How many connections to browsers there are."""
        return len(self._open[way])

    def cut(self, *ways: Way) -> None:
        """Ends what is open."""
        for way in ways:
            for browser in self._open[way]:
                browser.transport.abort()

    def cut_after(self, way: Way, count: int) -> asyncio.Event:
        """Ends the connection that has the last of the next `count` bytes; the event says when."""
        self._cuts[way] = count, asyncio.Event()
        return self._cuts[way][1]

    def say(self, way: Way, data: bytes, *, last: bool = False) -> None:
        """Puts words into the server's mouth."""
        for browser in self._open[way]:
            browser.write(data)
            if last:
                browser.close()

    async def serve(self, browser_reader: asyncio.StreamReader, browser: asyncio.StreamWriter) -> None:
        way: Way = "page"
        try:
            head = await browser_reader.readuntil(b"\r\n\r\n")
            way = WAYS.get(urlsplit(head.split(b" ", 2)[1].decode()).path, "page")
            if way != "page":
                self.asked.append(way)
            self._open[way].add(browser)
            match self.trouble.get(way):
                case None:
                    await self._carry(way, head, browser_reader, browser)
                case "refuses":
                    browser.transport.abort()
                case "swallows":
                    self.holding += 1
                    try:
                        await browser_reader.read()
                    finally:
                        self.holding -= 1
                case asyncio.Event() as lifted:
                    await lifted.wait()
                    await self._carry(way, head, browser_reader, browser)
                case status:
                    browser.write(b"HTTP/1.1 %d No\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}" % status)
        except (OSError, asyncio.IncompleteReadError):
            browser.transport.abort()
        finally:
            self._open[way].discard(browser)
            browser.close()

    async def _carry(
        self, way: Way, head: bytes, browser_reader: asyncio.StreamReader, browser: asyncio.StreamWriter
    ) -> None:
        address = urlsplit(self.server)
        server_reader, server = await asyncio.open_connection(address.hostname, address.port)
        server.write(head.replace(b"Connection: keep-alive", b"Connection: close"))
        up = asyncio.create_task(_pump(browser_reader, server))
        try:
            while data := await server_reader.read(65536):
                browser.write(self._until_cut(way, data))
                await browser.drain()
                if self._is_cut(way):
                    return
        finally:
            up.cancel()
            server.transport.abort()

    def _until_cut(self, way: Way, data: bytes) -> bytes:
        if way not in self._cuts:
            return data
        count, cut = self._cuts[way]
        self._cuts[way] = count - len(data), cut
        return data[:count]

    def _is_cut(self, way: Way) -> bool:
        if way not in self._cuts or self._cuts[way][0] > 0:
            return False
        self._cuts.pop(way)[1].set()
        return True


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(65536):
        writer.write(data)
    writer.transport.abort()


@asynccontextmanager
async def network(server: str) -> AsyncIterator[Network]:
    """A network of its own loopback port, to the end of the block."""
    made = Network(server)
    listening = await asyncio.start_server(made.serve, "127.0.0.1", 0)
    made.url = f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}"
    try:
        yield made
    finally:
        listening.close()
        made.cut("page", "socket", "events", "poll")
