"""POSTs by the thousand: the hub's deliveries, each of them one write, one small answer, and little else.

HTTP/1.1 (RFC 9112) straight on asyncio's transports, for an eighth of what a client for all purposes takes. It goes
where `dial.py` lets it, follows no redirect, and reads no more of an answer than says what became of the delivery.
Nothing is sent twice: a request that met a closing connection fails, and the hub tries it again when that is due.
"""

import asyncio
import re
import ssl
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import cast

from httptools import HttpParserError, HttpParserUpgrade, HttpResponseParser

from lifestream.dial import GLANCE_BYTES, GLANCE_SECONDS, KEEP_SECONDS, KEPT, Dialler, Place, Refused, failure, late
from lifestream.errors import Unreachable

Fields = Sequence[tuple[bytes, bytes]]

MOST_BYTES = 16 * 1024
"""Of an answer that are read, its header among them."""

_FIELD = re.compile(rb"[!#-'*+.^-z|~0-9A-Z-]+: [\t -~\x80-\xff]*")


class _BrokenOff(Exception):
    """What came back is no answer in HTTP, or too little of one."""


@dataclass(frozen=True, slots=True)
class Answer:
    """`body` is no more than the first 4 KiB."""

    status: int
    fields: Fields
    body: bytes


class Poster:
    """Keeps connections to whom it posted; close it at the end."""

    def __init__(self, dialler: Dialler, tls: ssl.SSLContext, user_agent: bytes) -> None:
        self._dialler = dialler
        self._tls = tls
        self._user_agent = user_agent
        self._idle: dict[tuple[str, str], list[_Connection]] = {}
        self._kept = 0

    async def post(self, place: Place, fields: Fields, body: bytes, timeout: float) -> Answer:
        """Raises FetchError."""
        parts = (self._head(place, fields, len(body)), body)
        try:
            async with asyncio.timeout(timeout):
                connection = self._take(place) or await self._dial(place)
                try:
                    return await connection.ask(parts)
                finally:
                    self._put_back(connection)
        except TimeoutError as error:
            raise late(place) from error
        except (_BrokenOff, Refused, OSError) as error:
            raise failure(error, place) from error

    def close(self) -> None:
        for connection in [one for kept in self._idle.values() for one in kept]:
            connection.close()
        self._idle.clear()

    def _head(self, place: Place, fields: Fields, length: int) -> bytes:
        lines = [b"Host: " + place.authority, b"User-Agent: " + self._user_agent, b"Content-Length: %d" % length]
        lines += [name + b": " + value for name, value in fields]
        if not all(map(_FIELD.fullmatch, lines)):
            raise Unreachable(f"The request to {place.host} cannot be written as HTTP.", url=place.url)
        return b"POST %b HTTP/1.1\r\n%b\r\n\r\n" % (place.path, b"\r\n".join(lines))

    async def _dial(self, place: Place) -> "_Connection":
        return await self._dialler.dial(partial(_Connection, place.origin, self._forget), place, self._tls)

    def _take(self, place: Place) -> "_Connection | None":
        """The one that was used last, so that those there are too many of come to their end."""
        while kept := self._idle.get(place.origin):
            connection = kept[-1]
            self._forget(connection)
            if connection.wakes():
                return connection
        return None

    def _put_back(self, connection: "_Connection") -> None:
        if self._kept < KEPT and connection.rests():
            self._idle.setdefault(connection.origin, []).append(connection)
            self._kept += 1
        else:
            connection.close()

    def _forget(self, connection: "_Connection") -> None:
        kept = self._idle.get(connection.origin, [])
        if connection in kept:
            kept.remove(connection)
            self._kept -= 1
            if not kept:
                del self._idle[connection.origin]


class _Connection(asyncio.Protocol):
    """One request after another, each with its answer. What httptools and the transport call stands at the end."""

    def __init__(self, origin: tuple[str, str], ended: Callable[["_Connection"], None]) -> None:
        self.origin = origin
        self._ended = ended
        self._transport: asyncio.Transport | None = None
        self._answer: asyncio.Future[Answer] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._good = True
        """Fit for another request."""

    async def ask(self, parts: Sequence[bytes]) -> Answer:
        assert self._transport
        self._answer = asyncio.get_running_loop().create_future()
        self._parser = HttpResponseParser(self)
        self._status = 0
        self._fields: list[tuple[bytes, bytes]] = []
        self._body = b""
        self._received = 0
        if not self._good:  # it was closed, or spoke, between being dialled and now
            raise _BrokenOff
        self._transport.writelines(parts)
        return await self._answer

    def rests(self) -> bool:
        """False when it is of no more use. An answer that came before all was sent leaves the rest in the way."""
        answered = self._answer is not None and self._answer.done() and not self._answer.cancelled()
        if not (answered and self._good and self._transport) or self._transport.get_write_buffer_size():
            return False
        self._wait(KEEP_SECONDS, self.close)
        return True

    def wakes(self) -> bool:
        self._wait_no_more()
        return self._good

    def close(self) -> None:
        self._good = False
        self._wait_no_more()
        if self._transport:
            self._transport.abort()

    def _wait(self, seconds: float, then: Callable[[], None]) -> None:
        self._timer = asyncio.get_running_loop().call_later(seconds, then)

    def _wait_no_more(self) -> None:
        if self._timer:
            self._timer.cancel()
            self._timer = None

    def _settle(self) -> None:
        """The answer stands as far as it came; it is none before its status has come."""
        if not self._answer or self._answer.done():
            return
        self._wait_no_more()
        if self._status:
            self._answer.set_result(Answer(self._status, self._fields, self._body[:GLANCE_BYTES]))
        else:
            self._answer.set_exception(_BrokenOff())

    def _break_off(self) -> None:
        self._good = False
        self._settle()

    # What asyncio's transport calls.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is none by inheritance

    def data_received(self, data: bytes) -> None:
        if not self._answer or self._answer.done():  # nobody asked
            self.close()
            return
        room = MOST_BYTES - self._received
        self._received += len(data)
        try:
            self._parser.feed_data(data[:room])
        except (HttpParserError, HttpParserUpgrade):
            self._break_off()
            return
        if self._received > MOST_BYTES:
            self._break_off()
        elif self._status and not self._answer.done() and not self._timer:
            self._wait(GLANCE_SECONDS, self._break_off)

    def eof_received(self) -> None:
        self._break_off()

    def connection_lost(self, error: Exception | None) -> None:
        self._break_off()
        self._ended(self)

    # What httptools calls.

    def on_message_begin(self) -> None:
        if self._status:  # a second answer
            self._good = False

    def on_header(self, name: bytes, value: bytes) -> None:
        self._fields.append((name, value))

    def on_headers_complete(self) -> None:
        status = self._parser.get_status_code()
        if status >= 200:
            self._status = status
        else:  # RFC 9110, section 15.2: what is only on the way to an answer
            self._fields = []

    def on_body(self, body: bytes) -> None:
        if len(self._body) < GLANCE_BYTES:
            self._body += body

    def on_message_complete(self) -> None:
        if self._status:
            self._good = self._good and self._parser.should_keep_alive()
            self._settle()
