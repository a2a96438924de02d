"""uvicorn's connections, with one thing added: a live stream may take the transport over (publish/detached.py).

This leans on a few names inside uvicorn, which is pinned; where they are not as expected, `detach` gives None and
the stream goes through ASGI messages instead.
"""

import asyncio
from typing import Any

from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.http11 import Request

from lifestream.publish.detached import EXTENSION

try:
    from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
except ImportError:  # PyPy: no httptools, and streams go through ASGI
    HttpToolsProtocol = None  # type: ignore[assignment, misc]


class _Handed:
    """Stands where the transport was: what uvicorn still does to it when the application has returned does nothing."""

    def close(self) -> None:
        pass

    def is_closing(self) -> bool:
        return True


class WebSocketConnection(WebSocketsSansIOProtocol):
    def handle_connect(self, event: Request) -> None:
        super().handle_connect(event)
        if scope := getattr(self, "scope", None):  # the application's task starts a tick later
            scope["extensions"][EXTENSION] = self

    def detach(self, protocol: asyncio.Protocol) -> asyncio.Transport | None:
        if not self.handshake_complete or self.disconnected or self.transport.is_closing():
            return None
        self.stop_keepalive()
        if self.read_paused:
            self.transport.resume_reading()
        self.connections.discard(self)
        del self.scope["extensions"][EXTENSION]
        transport, self.transport = self.transport, _Handed()  # type: ignore[assignment]
        transport.set_protocol(protocol)
        return transport


if HttpToolsProtocol is not None:

    class HttpConnection(HttpToolsProtocol):
        def on_headers_complete(self) -> None:
            super().on_headers_complete()
            self.scope["extensions"] = {EXTENSION: self}  # type: ignore[dict-item]

        def detach(self, protocol: asyncio.Protocol) -> asyncio.Transport | None:
            cycle = self.cycle
            if self.pipeline or cycle.disconnected or not cycle.chunked_encoding or self.transport.is_closing():
                return None
            cycle.response_complete = True  # for uvicorn the answer ends here, and the connection with it
            self.connections.discard(self)
            self.flow.resume_reading()
            cycle.scope.pop("extensions", None)
            self.parser = None  # type: ignore[assignment]  # as at the end of any connection: they hold each other
            transport, self.transport = self.transport, _Handed()  # type: ignore[assignment]
            cycle.transport = transport
            transport.set_protocol(protocol)
            return transport


def protocols() -> dict[str, Any]:
    """The settings by which uvicorn uses these."""
    return {"ws": WebSocketConnection} | ({"http": HttpConnection} if HttpToolsProtocol is not None else {})
