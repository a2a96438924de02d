"""Small web servers on loopback, well-behaved and hostile, and a name server: what the HTTP client is tried out on."""

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv6Address, ip_address
from pathlib import Path

from lifestream.client import Client
from lifestream.protocol.addresses import Networks

KIB, MIB = 1024, 1024 * 1024
MS = 0.001
LOOPBACK = "127.0.0.0/8"

Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@dataclass
class Asked:
    method: str
    target: str
    headers: dict[str, str]
    body: bytes


@dataclass
class Server:
    """`asked` and `connections` are what reached it."""

    port: int = 0
    asked: list[Asked] = field(default_factory=list)
    connections: int = 0

    def url(self, path: str = "/", host: str = "127.0.0.1") -> str:
        return f"http://{host}:{self.port}{path}"


@asynccontextmanager
async def serving(
    answer: bytes | Callable[[Asked], bytes] | None = None,
    *,
    raw: Handler | None = None,
    greeting: bytes = b"",
    host: str = "127.0.0.1",
    tls: ssl.SSLContext | None = None,
) -> AsyncIterator[Server]:
    """Answers request after request on each connection; `raw` instead is handed the connection after one request."""
    server = Server()
    tasks: dict[asyncio.Task[None], asyncio.StreamWriter] = {}

    def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        server.connections += 1
        writer.write(greeting)
        tasks[asyncio.create_task(talk(reader, writer))] = writer

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError, asyncio.IncompleteReadError):
            while True:
                asked = await request(reader)
                server.asked.append(asked)
                if raw:
                    await raw(reader, writer)
                    break
                writer.write(answer(asked) if callable(answer) else answer or ok())
                await writer.drain()
        writer.transport.abort()

    listening = await asyncio.start_server(connected, host, 0, ssl=tls)
    server.port = listening.sockets[0].getsockname()[1]
    try:
        yield server
    finally:
        listening.close()
        for task, writer in tasks.items():
            task.cancel()
            writer.transport.abort()
        await asyncio.gather(*tasks, return_exceptions=True)


async def request(reader: asyncio.StreamReader) -> Asked:
    first, *lines = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").strip().split("\r\n")
    method, target, _ = first.split()
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    return Asked(method, target, headers, await reader.readexactly(int(headers.get("content-length", 0))))


def ok(body: bytes = b"", *headers: str, status: str = "200 OK") -> bytes:
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", *headers]
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + body


def redirect(to: str, status: int = 302) -> bytes:
    return ok(b"moved", f"Location: {to}", status=f"{status} Moved")


async def for_ever(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await asyncio.Event().wait()


def writing(*parts: bytes, then: Handler | None = None) -> Handler:
    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.writelines(parts)
        await writer.drain()
        if then:
            await then(reader, writer)
        else:
            writer.write_eof()
            await reader.read()

    return handler


class Names:
    """A resolver that answers from a list: each time the next answer, the last one for ever."""

    def __init__(self, **answers: Sequence[Sequence[str]]) -> None:
        self.answers = {name.replace("_", "."): list(answer) for name, answer in answers.items()}
        self.asked: list[str] = []

    async def __call__(self, host: str, port: int) -> list[IPv4Address | IPv6Address]:
        self.asked.append(host)
        answers = self.answers.get(host)
        if not answers:
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        return [ip_address(address) for address in (answers.pop(0) if len(answers) > 1 else answers[0])]


@asynccontextmanager
async def client(allow: str = LOOPBACK, **options: object) -> AsyncIterator[Client]:
    settings = {"user_agent": "lifestream-test", "max_bytes": MIB, **options}
    made = Client(allow=Networks.parse(allow), **settings)  # type: ignore[arg-type]
    try:
        yield made
    finally:
        await made.aclose()


async def drip(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """One byte at a time: each comes soon, and all of them never."""
    while True:
        writer.write(b"x")
        await asyncio.sleep(5 * MS)


def server_tls(certificate: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    return context


# A key for these tests only, good for feeds.example until 2125.
CERTIFICATE = """\
-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgfzXTl+Vl54u8G8Yq
maXsTYAbVXucv0AFY8nioQ3vkL+hRANCAAStDIXnV9h+3DB/cgW4QDhbBhVNvgc/
aS31ToiWmG8XMNVq6oO0h1GLoTby1J1qNOjGmveu/FJ9N7oraWsM9Si2
-----END PRIVATE KEY-----
-----BEGIN CERTIFICATE-----
MIIBoTCCAUegAwIBAgIUPdkio/yc9dizpleFoXyvvTardNowCgYIKoZIzj0EAwIw
GDEWMBQGA1UEAwwNZmVlZHMuZXhhbXBsZTAgFw0yNjExMjExMTU5NDNaGA8yMTI2
MTAyODExNTk0M1owGDEWMBQGA1UEAwwNZmVlZHMuZXhhbXBsZTBZMBMGByqGSM49
AgEGCCqGSM49AwEHA0IABK0MhedX2H7cMH9yBbhAOFsGFU2+Bz9pLfVOiJaYbxcw
1Wrqg7SHUYuhNvLUnWo06Maa9678Un03uitpawz1KLajbTBrMB0GA1UdDgQWBBSc
+JW1wTUi8pv+z0hbSxX/j2e0NjAfBgNVHSMEGDAWgBSc+JW1wTUi8pv+z0hbSxX/
j2e0NjAPBgNVHRMBAf8EBTADAQH/MBgGA1UdEQQRMA+CDWZlZWRzLmV4YW1wbGUw
CgYIKoZIzj0EAwIDSAAwRQIhAL3xmvVq5aLLaUGJAQU4/MKy/eb8D4Qd+CfXG9YK
F2hmAiBDStSoo3GXWxingfa60TM/8cGLrLFQDztHYkDvKBvPdQ==
-----END CERTIFICATE-----
"""
