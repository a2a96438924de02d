"""From a publish ping to a thousand subscribers: how soon the first and the last of them has the signed document.

Beside Flask-WebSub's hub, in the same run and with the same subscribers.
"""

import asyncio
import hashlib
import hmac
import re
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from time import perf_counter
from urllib.parse import parse_qs, urlencode, urlsplit

from bench.stage import Server, alone, request

SUBSCRIBERS = 1000
ROUNDS = 5
BODY = 8 * 1024
ASKED_AT_ONCE = 50
SETTLED = 60.0
"""Seconds within which all are verified, or have what is new."""
LENGTH = re.compile(rb"(?i)content-length: *(\d+)")
SIGNED = re.compile(rb"(?i)x-hub-signature: *(sha\d+)=([0-9a-f]+)")
FORM = "Content-Type: application/x-www-form-urlencoded"


@dataclass
class Neighbours:
    """A feed, and subscribers to it that check what they are given, all on one port."""

    url: str = ""
    links: str = ""
    """A Link header for the feed, for a hub that will not do without."""
    document: bytes = b""
    verified: set[str] = field(default_factory=set)
    given: dict[str, float] = field(default_factory=dict)
    twice: int = 0
    done: asyncio.Event = field(default_factory=asyncio.Event)

    def publish(self, number: int) -> None:
        head = (
            f'<feed xmlns="http://www.w3.org/2005/Atom"><id>urn:bench</id><title>Bench</title><entry>'
            f"<id>urn:bench:{number}</id><title>Entry {number}</title><updated>2026-11-21T10:00:00Z</updated><content>"
        )
        tail = "</content></entry></feed>"
        self.document = (head + "x" * (BODY - len(head) - len(tail)) + tail).encode()
        self.given.clear()
        self.twice = 0
        self.done.clear()

    def answer(self, head: bytes, body: bytes) -> bytes:
        method, target, _ = head.split(b" ", 2)
        path = urlsplit(target.decode())
        if path.path == "/feed":
            return _http(200, self.document, f"Content-Type: application/atom+xml\r\n{self.links}")
        if method == b"GET":
            self.verified.add(path.path)
            return _http(200, parse_qs(path.query)["hub.challenge"][0].encode())
        signed = SIGNED.search(head)
        assert signed, "a delivery without a signature"
        secret = path.path.encode()
        assert hmac.new(secret, body, getattr(hashlib, signed[1].decode())).hexdigest().encode() == signed[2]
        if body == self.document:
            self.twice += path.path in self.given
            self.given[path.path] = perf_counter()
            if len(self.given) == SUBSCRIBERS:
                self.done.set()
        return _http(204)


class Connection(asyncio.Protocol):
    def __init__(self, neighbours: Neighbours) -> None:
        self._neighbours = neighbours
        self._buffer = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        head, found, body = self._buffer.partition(b"\r\n\r\n")
        if not found:
            return
        length = LENGTH.search(head)
        size = int(length[1]) if length else 0
        if len(body) < size:
            return
        self._buffer = body[size:]
        self._transport.write(self._neighbours.answer(head, body[:size]))


async def measure() -> dict[str, float]:
    found = await _lifestream()
    peer = await _flask_websub()
    return found | {f"flask_websub_{name}": value for name, value in peer.items()}


async def _lifestream() -> dict[str, float]:
    async with _neighbours() as neighbours, alone() as server:
        neighbours.publish(0)
        topic = f"{neighbours.url}/feed"
        await _follows(server, topic)
        cpu = server.cpu_seconds()
        verified = await _subscribe(neighbours, server.port, "/hub", topic)
        verifying = server.cpu_seconds() - cpu
        await asyncio.sleep(1)  # the last ones are still being written down
        cpu = server.cpu_seconds()
        figures = await _rounds(neighbours, server.port, topic, "hub.url")
        delivering = (server.cpu_seconds() - cpu) / ROUNDS / SUBSCRIBERS
        return figures | {
            "verified_per_second": SUBSCRIBERS / verified,
            "cpu_ms_per_verification": verifying / SUBSCRIBERS * 1000,
            "cpu_ms_per_delivery": delivering * 1000,
            "resident_mb_after": server.resident_mb(),
        }


async def _flask_websub() -> dict[str, float]:
    async with _neighbours() as neighbours:
        port = _free_port()
        hub = [sys.executable, str(Path(__file__).with_name("peers") / "flask_hub.py"), str(port)]
        with subprocess.Popen(hub, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
            try:
                assert process.stdout is not None
                await asyncio.to_thread(process.stdout.readline)
                topic = f"{neighbours.url}/feed"
                neighbours.links = f'Link: <http://127.0.0.1:{port}/hub>; rel="hub", <{topic}>; rel="self"\r\n'
                verified = await _subscribe(neighbours, port, "/hub", topic)
                await asyncio.sleep(1)
                figures = await _rounds(neighbours, port, topic, "hub.topic")
            finally:
                process.kill()
    return figures | {"verified_per_second": SUBSCRIBERS / verified}


async def _rounds(neighbours: Neighbours, port: int, topic: str, name: str) -> dict[str, float]:
    first: list[float] = []
    last: list[float] = []
    lost = twice = 0
    form = urlencode({"hub.mode": "publish", name: topic}).encode()
    for number in range(1, ROUNDS + 1):
        neighbours.publish(number)
        started = perf_counter()
        status, answer = await request(port, "POST", "/hub", form, FORM)
        assert 200 <= status < 300, answer
        try:
            await asyncio.wait_for(neighbours.done.wait(), SETTLED)
        except TimeoutError:
            lost += SUBSCRIBERS - len(neighbours.given)
        times = sorted(neighbours.given.values())
        first.append(times[0] - started)
        last.append(times[-1] - started)
        twice += neighbours.twice
        await asyncio.sleep(0.5)
    return {
        "first_p50_ms": sorted(first)[ROUNDS // 2] * 1000,
        "last_p50_ms": sorted(last)[ROUNDS // 2] * 1000,
        "deliveries_per_second": SUBSCRIBERS / sorted(last)[ROUNDS // 2],
        "deliveries_per_second_best": SUBSCRIBERS / min(last),
        "lost": lost,
        "twice": twice,
    }


async def _follows(server: Server, url: str) -> None:
    headers = (f"Authorization: Bearer {server.token}", "Content-Type: application/json")
    status, answer = await request(
        server.port, "POST", "/api/sources", f'{{"url": "{url}", "slug": "bench"}}'.encode(), *headers
    )
    assert status == 201, answer
    async with asyncio.timeout(SETTLED):
        while b'"state":"active"' not in (await request(server.port, "GET", "/api/sources/bench"))[1]:
            await asyncio.sleep(0.05)


async def _subscribe(neighbours: Neighbours, port: int, path: str, topic: str) -> float:
    """Subscribes them all; returns the seconds until the last was verified."""
    started = perf_counter()
    waiting = iter(range(SUBSCRIBERS))

    async def ask() -> None:
        for number in waiting:
            form = {"hub.mode": "subscribe", "hub.topic": topic, "hub.callback": f"{neighbours.url}/to/{number}"}
            body = urlencode(form | {"hub.secret": f"/to/{number}"}).encode()
            status, answer = await request(port, "POST", path, body, FORM)
            assert status == 202, answer

    await asyncio.gather(*(ask() for _ in range(ASKED_AT_ONCE)))
    async with asyncio.timeout(SETTLED):
        while len(neighbours.verified) < SUBSCRIBERS:
            await asyncio.sleep(0.01)
    return perf_counter() - started


@asynccontextmanager
async def _neighbours() -> AsyncIterator[Neighbours]:
    neighbours = Neighbours()
    listening = await asyncio.get_running_loop().create_server(lambda: Connection(neighbours), "127.0.0.1", 0)
    neighbours.url = f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}"
    try:
        yield neighbours
    finally:
        listening.close()


def _free_port() -> int:
    import socket

    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def _http(status: int, body: bytes = b"", headers: str = "") -> bytes:
    return f"HTTP/1.1 {status} OK\r\nContent-Length: {len(body)}\r\n{headers}\r\n".encode() + body
