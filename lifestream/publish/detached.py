"""Live streams on sockets that were taken over from the web server: the same bytes are written to all of them.

The request was answered by the application like any other; then the transport is handed to one of these, and all
that the web server kept for it is freed: 2 kB for each client instead of 31. Where the server does not hand its
transports out (another server, a test client) `queued.py` does the same with one queue and one await for each.
"""

import asyncio
import contextlib
import socket
import struct
from random import random
from typing import Protocol, cast

from starlette.types import Scope

from lifestream.protocol import frames, live
from lifestream.publish.tail import Framing, Tail, View

BACKLOG_BYTES = 32 * 1024
"""What a client may leave unread beyond what the kernel holds for it."""
KERNEL_BYTES = 128 * 1024
LINGER = 10.0
"""Seconds that a client has to read its end."""
MOST_SAID = 64 * 1024
"""What a client may say between two beats; pongs are all that it has to."""
POLICY = 1008
TOO_SLOW = 4008
COME_BACK = 1012
EXTENSION = "lifestream.connection"
"""Where the scope of a request has its Connection, among its extensions."""


class Connection(Protocol):
    """A connection of the web server that can be taken over."""

    def detach(self, protocol: asyncio.Protocol) -> asyncio.Transport | None:
        """Hands the transport to `protocol`; None when it cannot be handed out just now."""


class Detached(asyncio.Protocol):
    """A listener of the tail right on its transport."""

    __slots__ = ("_deadline", "_paused", "_resumed", "gone", "tail", "transport", "view")

    def __init__(self, tail: Tail, view: View) -> None:
        self.tail = tail
        self.view = view
        self.gone = False
        self._paused = False
        self._resumed: asyncio.Future[None] | None = None
        self._deadline: asyncio.TimerHandle | None = None

    def take(self, scope: Scope) -> bool:
        """Takes over the socket of a request that was answered so far; False when it cannot be had."""
        connection: Connection | None = (scope.get("extensions") or {}).get(EXTENSION)
        transport = connection.detach(self) if connection else None
        if transport is None:
            return False
        self.transport = transport
        transport.set_write_buffer_limits(high=BACKLOG_BYTES, low=BACKLOG_BYTES // 4)
        with contextlib.suppress(OSError):
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, KERNEL_BYTES)
        self.tail.open(self.view, self)
        if transport.is_closing():  # it went while it was being accepted: nobody will call connection_lost
            self.connection_lost(None)
        return True

    # -- what the tail asks of it ---------------------------------------------------------------

    @property
    def framing(self) -> Framing:
        raise NotImplementedError

    def write(self, data: bytes) -> bool:
        if self._paused or self.gone:
            return False
        try:
            self.transport.write(data)
        except RuntimeError:  # uvloop: closed, and connection_lost comes in a moment
            self._leave()
        return True

    @property
    def full(self) -> bool:
        return self._paused

    async def drained(self) -> None:
        while self._paused and not self.gone:
            self._resumed = asyncio.get_running_loop().create_future()
            await self._resumed

    def beat(self) -> None:
        raise NotImplementedError

    def too_slow(self) -> None:
        if not self.gone:
            self._end(self._reproach())

    def come_back(self) -> None:
        if not self.gone:
            self._end(self._goodbye())

    # -- what it says at the end ----------------------------------------------------------------

    def _reproach(self) -> bytes:
        raise NotImplementedError

    def _goodbye(self) -> bytes:
        raise NotImplementedError

    def _end(self, last_words: bytes) -> None:
        self._leave()
        self.transport.write(last_words)
        self._deadline = asyncio.get_running_loop().call_later(LINGER * (0.5 + random() / 2), self.abort)

    def abort(self) -> None:
        """Ends at once. Without the RST the kernel would keep what is unread, and the client would never hear of it."""
        self._leave()
        with contextlib.suppress(OSError, RuntimeError):
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.transport.abort()

    def _leave(self) -> None:
        if not self.gone:
            self.gone = True
            self.tail.leave(self.view, self)
            self._resume()

    @property
    def _socket(self) -> socket.socket:
        return cast(socket.socket, self.transport.get_extra_info("socket"))

    # -- what the transport tells it ------------------------------------------------------------

    def pause_writing(self) -> None:
        self._paused = True

    def resume_writing(self) -> None:
        self._paused = False
        self._resume()

    def _resume(self) -> None:
        if self._resumed is not None and not self._resumed.done():
            self._resumed.set_result(None)
        self._resumed = None

    def connection_lost(self, exc: Exception | None) -> None:
        self._leave()
        if self._deadline is not None:
            self._deadline.cancel()


def websocket_framing(message: bytes, _seq: int | None) -> bytes:
    return frames.text(message)


PING = frames.ping()


class DetachedWebSocket(Detached):
    __slots__ = ("_heard", "_rest")

    @property
    def framing(self) -> Framing:
        return websocket_framing

    def __init__(self, tail: Tail, view: View) -> None:
        super().__init__(tail, view)
        self._heard = 1
        """Bytes since the last sign of life that was asked for."""
        self._rest = b""

    def beat(self) -> None:
        if not self._heard:  # not even a pong since the last time
            self.abort()
        elif self.write(PING):
            self._heard = 0

    def _reproach(self) -> bytes:
        return frames.close(TOO_SLOW, "You are too slow; come back with after.")

    def _goodbye(self) -> bytes:
        return frames.close(COME_BACK, "Restarting; come back with after.")

    def data_received(self, data: bytes) -> None:
        self._heard += len(data)
        try:
            if self._heard > MOST_SAID:
                raise frames.BadFrame(POLICY, "You have nothing to say here.")
            control, self._rest = frames.read(self._rest + data)
        except frames.BadFrame as error:
            if not self.gone:
                self._end(frames.close(error.code, str(error)))
            self.transport.close()
            return
        for opcode, payload in control:
            if opcode == frames.PING:
                self.write(frames.pong(payload))
            elif opcode == frames.CLOSE:
                if not self.gone:  # else it is the answer to ours
                    self._end(frames.close_back(payload))
                self.transport.close()
                return


def sse_framing(message: bytes, seq: int | None) -> bytes:
    """An event as one chunk of an answer that has no end (RFC 9112, 7.1)."""
    return chunk(live.sse(message, seq))


def chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


LAST_CHUNK = b"0\r\n\r\n"
HEARTBEAT = chunk(live.HEARTBEAT)


class DetachedEvents(Detached):
    """Server-Sent Events; what the client might still send is not read."""

    __slots__ = ()

    @property
    def framing(self) -> Framing:
        return sse_framing

    def beat(self) -> None:
        self.write(HEARTBEAT)

    def _reproach(self) -> bytes:
        return LAST_CHUNK

    def _goodbye(self) -> bytes:
        return chunk(live.sse_bye(retry_after_restart())) + LAST_CHUNK

    def _end(self, last_words: bytes) -> None:
        super()._end(last_words)
        self.transport.close()


def retry_after_restart() -> int:
    """Milliseconds, different for each client, so that they do not all come back at the same moment."""
    return 1000 + int(random() * 4000)
