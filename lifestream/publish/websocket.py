"""`/live` over WebSocket: the log of changes as text frames, from any position on."""

import asyncio
from collections import deque
from collections.abc import Sequence
from typing import Any

from starlette.websockets import WebSocket, WebSocketDisconnect

from lifestream.access import caller_of, same_site, wanted_of
from lifestream.errors import LifestreamError
from lifestream.protocol import live
from lifestream.publish.tail import Tail, View
from lifestream.site import Site

TOO_SLOW = 4008
COME_BACK = 1012
POLICY = 1008
BACKLOG_BYTES = 1024 * 1024
"""What a client may leave unread before it is closed; it comes back with `after` and misses nothing."""
CATCH_UP_BYTES = 256 * 1024


class Backlog:
    """What one client is still to be sent, bounded."""

    def __init__(self) -> None:
        self._messages: deque[bytes] = deque()
        self._size = 0
        self._something = asyncio.Event()
        self._low = asyncio.Event()
        self._low.set()
        self.overflowed = False

    def offer(self, message: bytes) -> None:
        # What waits already counts, not the new message: one that is longer than the bound must get through, or its
        # reader would come back to the same one for ever.
        self.overflowed = self.overflowed or self._size > BACKLOG_BYTES
        if self.overflowed:
            self._something.set()
            return
        self._messages.append(message)
        self._size += len(message)
        if self._size > CATCH_UP_BYTES:
            self._low.clear()
        self._something.set()

    async def drained(self) -> None:
        """Waits until a stream that is catching up may be given more."""
        await self._low.wait()

    async def take(self) -> bytes:
        while not self._messages:
            self._something.clear()
            await self._something.wait()
        message = self._messages.popleft()
        self._size -= len(message)
        if self._size <= CATCH_UP_BYTES:
            self._low.set()
        return message


async def stream(websocket: WebSocket) -> None:
    site: Site = websocket.app.state.site
    tail: Tail = websocket.app.state.tail
    try:
        caller = await caller_of(site, websocket)
        after = live.parse_position(websocket.query_params.get("after"))
        view = View(caller.audience, wanted_of(websocket.query_params))
    except LifestreamError as error:
        await websocket.close(POLICY, str(error)[:120])
        return
    if caller.by_cookie and not same_site(site, websocket):
        # Cross-site WebSocket hijacking: a foreign page must not read the owner's stream with his cookie.
        await websocket.close(POLICY, "Other sites may not open this with a cookie.")
        return
    await websocket.accept()
    await _serve(websocket, tail, view, after)


async def _serve(websocket: WebSocket, tail: Tail, view: View, after: int | None) -> None:
    backlog = Backlog()
    start = await tail.start(after)
    backlog.offer(live.hello(start.position, start.reset))
    tasks: list[asyncio.Task[Any]] = [
        asyncio.create_task(_send(websocket, backlog)),
        asyncio.create_task(_listen(websocket)),
        asyncio.create_task(tail.closing.wait()),
        asyncio.create_task(_join(tail, view, start, backlog)),
    ]
    try:
        ended = await _first_end(tasks)
        if ended is tasks[0]:
            await websocket.close(TOO_SLOW, "You are too slow; come back with after.")
        elif ended is tasks[2]:
            await websocket.close(COME_BACK, "Restarting; come back with after.")
    except (WebSocketDisconnect, RuntimeError):
        pass
    finally:
        tail.leave(view, backlog)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _join(tail: Tail, view: View, start: live.Start, backlog: Backlog) -> None:
    await tail.join(view, start.position, backlog)
    await asyncio.Event().wait()  # ends with the others


async def _first_end(tasks: Sequence[asyncio.Task[Any]]) -> asyncio.Task[Any]:
    done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    ended = next(task for task in tasks if task in done)
    ended.result()
    return ended


async def _send(websocket: WebSocket, backlog: Backlog) -> None:
    """Returns when the client fell too far behind."""
    while not backlog.overflowed:
        message = await backlog.take()
        await websocket.send_text(message.decode())


async def _listen(websocket: WebSocket) -> None:
    """Clients have nothing to say; this only learns that one is gone."""
    while True:
        message = await websocket.receive()
        if message["type"] == "websocket.disconnect":
            return
