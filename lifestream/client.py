"""The one HTTP client for every outgoing request: feeds, hubs, callbacks. Nobody sends us where we must not go by it.

It goes where `dial.py` lets it, each hop of a redirect anew. Time and bytes are bounded, the latter after
decompression. No proxies from the environment, no cookies, HTTP/1.1 only.

It stands on httpcore2, the transport of httpx2, whose pool takes a network backend; nothing else imports either. The
hub's deliveries, which come by the thousand, go by `post.py`.
"""

import asyncio
import ssl
import zlib
from collections.abc import Coroutine, Iterable, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, replace
from functools import cache, lru_cache
from typing import Any, cast
from urllib.parse import urljoin

import httpcore2

from lifestream import exchanges
from lifestream.dial import (
    GLANCE_BYTES,
    GLANCE_SECONDS,
    KEEP_SECONDS,
    KEPT,
    Dialler,
    IPAddress,
    Place,
    Refused,
    Resolve,
    connect,
    failure,
    late,
    place_of,
)
from lifestream.errors import BadAddress, FetchError, TooLarge, TooManyRedirects, Unreachable
from lifestream.protocol.addresses import Networks

try:
    from lifestream.post import Poster
except ImportError:  # PyPy: no httptools, and deliveries go the way of all else
    Poster = None  # type: ignore[assignment, misc]

CONNECTIONS = 250
BUFFER = 256 * 1024
MEMBERS = 1000
"""Of one gzip answer: an empty member has 20 bytes, so a body full of them is small, and slow to unpack."""

_REDIRECTS = frozenset((301, 302, 303, 307, 308))
_PERMANENT = frozenset((301, 308))
_PERSONAL = frozenset((b"authorization", b"cookie", b"proxy-authorization"))

Fields = list[tuple[bytes, bytes]]


class Headers:
    """The header fields of an answer, in their order; names are compared without case."""

    __slots__ = ("_fields",)

    def __init__(self, fields: Iterable[tuple[bytes, bytes]] = ()) -> None:
        self._fields = [(name.lower(), value) for name, value in fields]

    def get(self, name: str, default: str = "") -> str:
        """The first field of this name."""
        wanted = name.lower().encode()
        return next((value.decode("latin-1") for key, value in self._fields if key == wanted), default)

    @property
    def fields(self) -> Sequence[tuple[bytes, bytes]]:
        return self._fields

    def get_list(self, name: str) -> list[str]:
        """Every field of this name, one string for each line."""
        wanted = name.lower().encode()
        return [value.decode("latin-1") for key, value in self._fields if key == wanted]


@dataclass(frozen=True, slots=True)
class Response:
    """An answer, whatever its status. The body is whole for 2xx; of others, no more than its first 4 KiB.

    `url` is the address that answered; `permanent_url` where an unbroken chain of 301 and 308 led from the first hop.
    """

    url: str
    status: int
    headers: Headers
    body: bytes
    permanent_url: str | None


@dataclass(frozen=True, slots=True)
class _Call:
    """What is sent, and what bounds the answer; None is the client's own bound."""

    method: bytes
    url: str
    fields: Fields
    body: bytes
    timeout: float | None = None
    max_bytes: int | None = None
    redirects: int = 0
    read_body: bool = True

    def for_another_origin(self) -> "_Call":
        """Without what was meant for the one it was made for."""
        return replace(self, fields=[field for field in self.fields if field[0].lower() not in _PERSONAL])


class Client:
    """Keeps connections; make one, use it from everywhere, close it at the end.

    `answer_timeout` bounds connecting and the answer's header, `total_timeout` a call with all its redirects and body.
    Every failure is one of `FetchError`'s kinds.
    """

    def __init__(
        self,
        *,
        allow: Networks,
        user_agent: str,
        max_bytes: int,
        connect_timeout: float = 10.0,
        answer_timeout: float = 15.0,
        total_timeout: float = 60.0,
        resolve: Resolve | None = None,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self._user_agent = _octets(user_agent)
        self._max_bytes = max_bytes
        self._answer_timeout = answer_timeout
        self._total_timeout = total_timeout
        self._dialler = Dialler(allow, connect_timeout, resolve)
        self._poster = Poster(self._dialler, tls or _tls(), self._user_agent) if Poster is not None else None
        self._pool = httpcore2.AsyncConnectionPool(
            ssl_context=tls or _tls(),
            max_connections=CONNECTIONS,
            max_keepalive_connections=KEPT,
            keepalive_expiry=KEEP_SECONDS,
            network_backend=_Guard(self._dialler),
        )

    async def get(
        self,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        timeout: float | None = None,
        max_bytes: int | None = None,
        redirects: int = 5,
        read_body: bool = True,
    ) -> Response:
        """With `redirects=0` a redirect is an answer like others; without `read_body` so is a 2xx: 4 KiB of body."""
        fields = [(b"Accept-Encoding", b"gzip"), *_fields(headers)]
        return await self._send(_Call(b"GET", url, fields, b"", timeout, max_bytes, redirects, read_body))

    async def post(
        self,
        url: str,
        *,
        body: bytes,
        headers: Mapping[str, str],
        timeout: float | None = None,
        max_bytes: int | None = None,
        redirects: int = 0,
        read_body: bool = True,
    ) -> Response:
        """Redirects, when followed, are followed by the same POST: hubs move (WebSub 5.1.1), and many say so by 301.

        303 asks for a GET and is not followed. Nothing sent by https is sent again by http: a form may hold a secret.
        """
        fields = [(b"Content-Length", b"%d" % len(body)), *_fields(headers)]
        return await self._send(_Call(b"POST", url, fields, body, timeout, max_bytes, redirects, read_body))

    async def deliver(self, url: str, *, body: bytes, headers: Mapping[str, str], timeout: float) -> Response:
        """A POST of many alike, by the short way (post.py). A redirect is an answer like others; of no body more than
        4 KiB are read."""
        if self._poster is None:
            return await self.post(url, body=body, headers=headers, timeout=timeout, read_body=False)
        call = _Call(b"POST", url, _fields(headers), body)
        return await _noted(call, _delivered(self._poster, call, timeout))

    async def aclose(self) -> None:
        if self._poster:
            self._poster.close()
        await self._pool.aclose()
        self._dialler.close()

    async def _send(self, call: _Call) -> Response:
        return await _noted(call, self._follow(call))

    async def _follow(self, call: _Call) -> Response:
        """The request, and as many redirects as are allowed."""
        place = place_of(call.url)
        permanent = None
        unbroken = True
        visited = [place.url]
        try:
            async with asyncio.timeout(self._total_timeout if call.timeout is None else call.timeout):
                while True:
                    status, headers, content = await self._exchange(call, place)
                    following = _following(call.method, place, status, headers) if call.redirects else None
                    if following is None:
                        return Response(place.url, status, headers, content, permanent)
                    if following.url in visited:
                        raise TooManyRedirects(f"{place.host} redirects in a circle.", url=place.url)
                    if len(visited) > call.redirects:
                        most = f"More than {call.redirects} redirects"
                        sentence = f"{most}, the last at {place.host}; use the address they end at."
                        raise TooManyRedirects(sentence, url=place.url)
                    if following.origin != place.origin:
                        call = call.for_another_origin()
                    unbroken = unbroken and status in _PERMANENT
                    permanent = following.url if unbroken else permanent
                    visited.append(following.url)
                    place = following
        except TimeoutError as error:
            raise late(place) from error

    async def _exchange(self, call: _Call, place: Place) -> tuple[int, Headers, bytes]:
        """One request and its answer. Timeouts pass; all else that libraries raise becomes ours here."""
        request = httpcore2.Request(
            call.method,
            _target(place),
            headers=[(b"Host", place.authority), (b"User-Agent", self._user_agent), *call.fields],
            content=call.body,
        )
        try:
            async with asyncio.timeout(self._answer_timeout):
                answer = await self._pool.handle_async_request(request)
            try:
                headers = Headers(answer.headers)
                if call.read_body and 200 <= answer.status < 300:
                    limit = self._max_bytes if call.max_bytes is None else call.max_bytes
                    return answer.status, headers, await _whole(answer, headers, place, limit)
                return answer.status, headers, await _glance(answer)
            finally:
                await answer.aclose()
        except TimeoutError:
            raise
        except (httpcore2.NetworkError, httpcore2.ProtocolError, OSError, Refused, zlib.error) as error:
            raise _told(error, place) from error


async def _delivered(poster: Poster, call: _Call, timeout: float) -> Response:
    place = place_of(call.url)
    answer = await poster.post(place, call.fields, call.body, timeout)
    return Response(place.url, answer.status, Headers(answer.fields), answer.body, None)


async def _noted(call: _Call, answering: Coroutine[Any, Any, Response]) -> Response:
    """What came of it is written down, where anybody wants that."""
    noted = exchanges.calling(call.method.decode(), call.url, call.fields, call.body)
    if noted is None:
        return await answering
    try:
        response = await answering
    except BaseException as error:
        noted.failed(error)
        raise
    noted.answered(response.status, response.headers.fields, response.body)
    return response


# -- where a request goes ---------------------------------------------------------------------


@lru_cache(maxsize=1024)
def _target(place: Place) -> httpcore2.URL:
    scheme, _ = place.origin
    return httpcore2.URL(scheme=scheme, host=place.host, port=place.port, target=place.path)


def _following(method: bytes, place: Place, status: int, headers: Headers) -> Place | None:
    """Where this answer redirects to; None when it is none that is followed. Raises BadAddress."""
    location = headers.get("location")
    if status not in _REDIRECTS or not location or (method == b"POST" and status == 303):
        return None
    try:
        location = location.encode("latin-1").decode()  # many write UTF-8, unescaped
    except UnicodeDecodeError:
        pass
    try:
        following = place_of(urljoin(place.url, location))
    except (BadAddress, ValueError) as error:
        raise BadAddress(f"{place.host} redirects to where we do not go: {error}", url=place.url) from error
    if method == b"POST" and place.origin[0] == "https" and following.origin[0] == "http":
        sentence = f"{place.host} redirects from https to http, where what was sent could be read on the way."
        raise BadAddress(sentence, url=place.url)
    return following


def _fields(headers: Mapping[str, str] | None) -> Fields:
    return [(name.encode(), _octets(value)) for name, value in headers.items()] if headers else []


def _octets(value: str) -> bytes:
    """Latin-1, as answers are read, so that an ETag goes back as it came; UTF-8 for what does not fit."""
    try:
        return value.encode("latin-1")
    except UnicodeEncodeError:
        return value.encode()


# -- what comes back --------------------------------------------------------------------------


async def _whole(answer: httpcore2.Response, headers: Headers, place: Place, limit: int) -> bytes:
    """The body, unpacked by ourselves: libraries make 64 MiB of a chunk of 64 KiB before anybody can count."""
    coding = ", ".join(headers.get_list("content-encoding")).strip().lower()
    if coding not in ("", "identity", "gzip", "x-gzip"):
        sentence = f"{place.host} packed its answer as {coding[:40]!r}; only gzip was asked for and can be read."
        raise Unreachable(sentence, url=place.url)
    declared = headers.get("content-length")
    if declared.isdecimal() and int(declared) > limit:
        raise _too_large(place, limit)
    unpack = _Gunzip() if coding.endswith("gzip") else None
    parts: list[bytes] = []
    sent = size = 0
    async with aclosing(answer.aiter_stream()) as chunks:
        async for chunk in chunks:
            sent += len(chunk)
            part = unpack.feed(chunk, limit - size + 1) if unpack else chunk
            size += len(part)
            if size > limit or sent > limit:
                raise _too_large(place, limit)
            parts.append(part)
    if unpack and sent and not unpack.complete:
        raise Unreachable(f"{place.host} broke off in the middle of its answer; try again later.", url=place.url)
    return b"".join(parts)


async def _glance(answer: httpcore2.Response) -> bytes:
    """What comes at once of a body that matters little. A short one is read to its end, so its connection is kept."""
    start = b""
    try:
        async with asyncio.timeout(GLANCE_SECONDS), aclosing(answer.aiter_stream()) as chunks:
            async for chunk in chunks:
                start += chunk
                if len(start) > GLANCE_BYTES:
                    break
    except (TimeoutError, httpcore2.NetworkError, httpcore2.ProtocolError):
        pass
    return start[:GLANCE_BYTES]


class _Gunzip:
    """gzip, one member after another (RFC 1952, section 2.2), never making more than it is asked for."""

    def __init__(self) -> None:
        self._member = zlib.decompressobj(wbits=31)
        self._members = 1
        self._over = False

    @property
    def complete(self) -> bool:
        return self._over or self._member.eof

    def feed(self, data: bytes, most: int) -> bytes:
        """At most `most` bytes. When it is that many, the rest is lost: `most` is one more than anybody wants."""
        made = b""
        while data and not self._over and len(made) < most:
            if self._member.eof:
                if not data.startswith(b"\x1f"):  # padding after the last member
                    self._over = True
                    break
                self._members += 1
                if self._members > MEMBERS:
                    raise zlib.error("thousands of members")
                self._member = zlib.decompressobj(wbits=31)
            made += self._member.decompress(data, most - len(made))
            data = self._member.unused_data
        return made


def _too_large(place: Place, limit: int) -> TooLarge:
    size = f"{limit / 2**20:.3g} MiB" if limit >= 2**20 else f"{limit / 2**10:.3g} KiB"
    return TooLarge(f"The answer of {place.host} is larger than {size}, the most that is read here.", url=place.url)


def _told(error: Exception, place: Place) -> FetchError:
    match error:
        case zlib.error():
            sentence = f"{place.host} says that its answer is gzip, but it is not."
        case httpcore2.LocalProtocolError():
            sentence = f"The request to {place.host} cannot be written as HTTP: {error}."
        case _:
            return failure(error, place)
    return Unreachable(sentence, url=place.url)


# -- the connection ---------------------------------------------------------------------------


class _Guard(httpcore2.AsyncNetworkBackend):
    """What httpcore2 dials by. The name stays the one in SNI and Host."""

    def __init__(self, dialler: Dialler) -> None:
        self._dialler = dialler

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore2.SOCKET_OPTION] | None = None,
    ) -> httpcore2.AsyncNetworkStream:
        connect_by = asyncio.get_running_loop().time() + self._dialler.timeout
        async with asyncio.timeout_at(connect_by):
            return _Stream(await self._dialler.addresses(host, port), port, connect_by)


class _Stream(asyncio.Protocol, httpcore2.AsyncNetworkStream):
    """One connection, straight on asyncio's transport; the deadlines for what comes after dialling are `Client`'s.

    It is dialled when it is known whether it is for TLS. (To dial first and hand over the socket is not safe: when that
    is cancelled, uvloop and the socket both close the same descriptor, which may by then be another connection's.)
    """

    def __init__(self, addresses: Sequence[IPAddress], port: int, connect_by: float) -> None:
        self._addresses = addresses
        self._port = port
        self._connect_by = connect_by
        self._transport: asyncio.Transport | None = None
        self._unsent: list[bytes] = []
        self._received = bytearray()
        self._ended = False
        self._error: Exception | None = None
        self._full = False
        self._held = False
        self._waiter: asyncio.Future[None] | None = None

    # What httpcore2 calls. Its timeouts are not set, so none come.

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        await self._flush()
        while not self._received and not self._ended:
            if self._held and self._transport:
                self._held = False
                self._transport.resume_reading()
            await self._change()
        if self._error and not self._received:
            raise httpcore2.ReadError(str(self._error)) from self._error
        data = bytes(self._received[:max_bytes])
        del self._received[:max_bytes]
        return data

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:
        """Kept until the answer is waited for: header and body then leave in one piece."""
        self._unsent.append(buffer)

    async def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore2.AsyncNetworkStream:
        await self._open({"ssl": ssl_context, "server_hostname": server_hostname})
        return self

    async def aclose(self) -> None:
        if self._transport:
            self._transport.abort()

    def get_extra_info(self, info: str) -> Any:
        """An idle connection that has something to read was closed by the other side, or speaks out of turn."""
        return bool(self._received) or self._ended if info == "is_readable" else None

    # What asyncio's transport calls.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is none by inheritance

    def data_received(self, data: bytes) -> None:
        self._received += data
        if len(self._received) > BUFFER and self._transport and not self._held:
            self._held = True
            self._transport.pause_reading()
        self._changed()

    def eof_received(self) -> None:
        self._ended = True
        self._changed()

    def connection_lost(self, error: Exception | None) -> None:
        self._ended = True
        self._error = error
        self._changed()

    def pause_writing(self) -> None:
        self._full = True

    def resume_writing(self) -> None:
        self._full = False
        self._changed()

    async def _open(self, tls: dict[str, Any]) -> None:
        await connect(lambda: self, self._addresses, self._port, self._connect_by, tls)

    async def _flush(self) -> None:
        """Waits until the system took it, or an answer came first: a server may refuse a body that it has not read."""
        if not self._unsent:
            return
        if self._transport is None:
            await self._open({})
        assert self._transport
        self._transport.write(b"".join(self._unsent))
        self._unsent.clear()
        while self._full and not self._received and not self._ended:
            await self._change()

    async def _change(self) -> None:
        self._waiter = asyncio.get_running_loop().create_future()
        await self._waiter

    def _changed(self) -> None:
        if self._waiter and not self._waiter.done():
            self._waiter.set_result(None)


@cache
def _tls() -> ssl.SSLContext:
    """One for all clients: reading the system's certificates takes tens of milliseconds."""
    return httpcore2.default_ssl_context()
