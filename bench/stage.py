"""What the benchmarks play on: a real `lifestream serve` process, and one small publisher that is its own hub."""

import asyncio
import hashlib
import hmac
import json
import os
import re
import subprocess
import sys
import tempfile
from collections import defaultdict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import parse_qsl, urlencode, urlsplit

HEAD = b"HTTP/1.1 %d OK\r\nContent-Type: %s\r\nContent-Length: %d\r\n%s\r\n"
CLOCK_TICKS = os.sysconf("SC_CLK_TCK")
COMMAND = [sys.executable, "-m", "lifestream"]


@dataclass
class Server:
    """A lifestream in a process of its own."""

    folder: Path
    token: str
    process: subprocess.Popen[str] = field(init=False)
    url: str = field(init=False)

    @classmethod
    async def fresh(cls, folder: Path) -> "Server":
        """With an empty database, in `folder`."""
        made = await asyncio.create_subprocess_exec(
            *COMMAND, "token", "create", "bench", "--scope", "owner", env=_environment(folder),
            stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip
        token, errors = await made.communicate()
        assert made.returncode == 0, errors.decode()
        server = cls(folder, token.decode().strip())
        await server.start(port=0)
        return server

    async def start(self, port: int) -> None:
        log = self.folder / "log"
        with log.open("a") as stderr:
            self.process = subprocess.Popen(
                [*COMMAND, "serve", "--port", str(port)], env=_environment(self.folder), stdout=subprocess.PIPE,
                stderr=stderr, text=True,
            )  # fmt: skip
        assert self.process.stdout is not None
        line = await asyncio.to_thread(self.process.stdout.readline)
        assert line, f"the server did not start: {log.read_text()}"
        self.url = line.split()[-1]

    async def stop(self) -> None:
        self.process.terminate()
        await asyncio.to_thread(self.process.wait, 20)

    @property
    def port(self) -> int:
        return urlsplit(self.url).port or 80

    def resident_mb(self) -> float:
        """Resident memory of the server and of its parser processes, in MB."""
        pids = [self.process.pid, *_children(self.process.pid)]
        kilobytes = [re.search(r"VmRSS:\s+(\d+)", Path(f"/proc/{pid}/status").read_text()) for pid in pids]
        return sum(int(found[1]) for found in kilobytes if found) / 1024

    def cpu_seconds(self) -> float:
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / CLOCK_TICKS


@dataclass
class Publisher:
    """Feeds `/f/N` that name `/hub` as their hub; it verifies at once and keeps what it was asked for."""

    url: str = ""
    entries: dict[str, list[bytes]] = field(default_factory=lambda: defaultdict(list))
    subscriptions: dict[str, dict[str, str]] = field(default_factory=dict)
    advertises_hub: bool = True

    def document(self, path: str, newest: int = 10) -> bytes:
        links = b'<link rel="self" href="%s"/>' % (self.url + path).encode()
        if self.advertises_hub:
            links += b'<link rel="hub" href="%s/hub"/>' % self.url.encode()
        return feed(links, self.entries[path][-newest:][::-1])

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                length = re.search(rb"(?i)content-length: (\d+)", head)
                body = await reader.readexactly(int(length[1])) if length else b""
                method, target, _ = head.split(b" ", 2)
                if method == b"POST":
                    writer.write(HEAD % (202, b"text/plain", 0, b""))
                    await self._verify(dict(parse_qsl(body.decode())))
                else:
                    document = self.document(target.decode())
                    writer.write(HEAD % (200, b"application/atom+xml", len(document), b"") + document)
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()

    async def _verify(self, form: dict[str, str]) -> None:
        query = {"hub.mode": form["hub.mode"], "hub.topic": form["hub.topic"], "hub.challenge": "bench"}
        target = urlsplit(form["hub.callback"])
        status, _ = await request(
            target.port or 80, "GET", f"{target.path}?{urlencode(query | {'hub.lease_seconds': '864000'})}"
        )
        if status == 200:
            self.subscriptions[form["hub.topic"]] = form


def feed(links: bytes, entries: list[bytes]) -> bytes:
    return b'<feed xmlns="http://www.w3.org/2005/Atom"><title>Bench</title>%s%s</feed>' % (links, b"".join(entries))


def entry(number: int) -> bytes:
    return (
        b"<entry><id>urn:bench:%d</id><title>Entry %d</title><updated>2026-11-21T10:00:00Z</updated>"
        b'<link href="http://blog.example/%d"/><content type="html">&lt;p&gt;Words of &lt;b&gt;entry&lt;/b&gt; %d, '
        b"enough of them to look like a note that somebody wrote.&lt;/p&gt;</content></entry>"
    ) % (number, number, number, number)


def signed_push(subscription: dict[str, str], body: bytes) -> bytes:
    """The whole HTTP request by which a hub pushes `body`."""
    signature = hmac.new(subscription["hub.secret"].encode(), body, hashlib.sha256).hexdigest()
    path = urlsplit(subscription["hub.callback"]).path
    return (
        f"POST {path} HTTP/1.1\r\nHost: bench\r\nContent-Type: application/atom+xml\r\n"
        f"X-Hub-Signature: sha256={signature}\r\nContent-Length: {len(body)}\r\n\r\n"
    ).encode() + body


async def request(port: int, method: str, target: str, body: bytes = b"", *headers: str) -> tuple[int, bytes]:
    """One request on a connection of its own; returns the status and the body."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    lines = [f"{method} {target} HTTP/1.1", f"Host: 127.0.0.1:{port}", f"Content-Length: {len(body)}", *headers]
    writer.write("\r\n".join([*lines, "Connection: close", "", ""]).encode() + body)
    answer = await reader.read()
    writer.close()
    head, _, rest = answer.partition(b"\r\n\r\n")
    return int(head.split(b" ", 2)[1]), rest


async def add_sources(server: Server, publisher: Publisher, count: int) -> None:
    """Follows `count` feeds and waits until each is settled."""
    headers = (f"Authorization: Bearer {server.token}", "Content-Type: application/json")
    for number in range(count):
        body = json.dumps({"url": f"{publisher.url}/f/{number}", "slug": f"f{number}"}).encode()
        status, answer = await request(server.port, "POST", "/api/sources", body, *headers)
        assert status == 201, answer
    async with asyncio.timeout(60):
        while True:
            _, answer = await request(server.port, "GET", "/api/sources")
            states = [source["state"] for source in json.loads(answer)]
            if states.count("active") > count:
                return
            await asyncio.sleep(0.1)


async def ping(server: Server, url: str) -> int:
    form = urlencode({"hub.mode": "publish", "hub.url": url}).encode()
    status, _ = await request(server.port, "POST", "/hub", form, "Content-Type: application/x-www-form-urlencoded")
    return status


@asynccontextmanager
async def stage(*, advertises_hub: bool) -> AsyncIterator[tuple[Server, Publisher]]:
    """A fresh lifestream on SQLite, and the publisher."""
    publisher = Publisher(advertises_hub=advertises_hub)
    listening = await asyncio.start_server(publisher.serve, "127.0.0.1", 0)
    publisher.url = f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}"
    try:
        async with alone() as server:
            yield server, publisher
    finally:
        listening.close()


@asynccontextmanager
async def alone() -> AsyncIterator[Server]:
    """A fresh lifestream on SQLite."""
    with tempfile.TemporaryDirectory(prefix="lifestream-bench-") as folder:
        server = await Server.fresh(Path(folder))
        try:
            yield server
        finally:
            await server.stop()


def _environment(folder: Path) -> dict[str, str]:
    return os.environ | {"LIFESTREAM_DATA_DIR": str(folder), "LIFESTREAM_ALLOW_NETWORKS": "127.0.0.0/8"}


def _children(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
