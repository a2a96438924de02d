"""A live stream through the messages of ASGI, where the socket itself cannot be had: one queue, one await for each."""

import asyncio
from collections import deque
from collections.abc import AsyncGenerator

from lifestream.publish.detached import BACKLOG_BYTES
from lifestream.publish.tail import Framing, Tail, View


class Queued:
    """A listener of the tail whose bytes are taken out again by `follow`. Where the server does not send signs of life
    itself, `heartbeat` is one.
    """

    def __init__(self, tail: Tail, view: View, framing: Framing, heartbeat: bytes = b"") -> None:
        self.tail = tail
        self.view = view
        self.framing = framing
        self._heartbeat = heartbeat
        self.gone = False
        self.was_too_slow = False
        self._waiting: deque[bytes] = deque()
        self._size = 0
        self._something = asyncio.Event()
        self._room = asyncio.Event()
        self._room.set()

    def write(self, data: bytes) -> bool:
        # What waits already counts, not what comes: a message longer than the bound must get through.
        if self._size > BACKLOG_BYTES or self.gone:
            return False
        self._waiting.append(data)
        self._size += len(data)
        if self._size > BACKLOG_BYTES:
            self._room.clear()
        self._something.set()
        return True

    @property
    def full(self) -> bool:
        return not self._room.is_set()

    async def drained(self) -> None:
        await self._room.wait()

    def beat(self) -> None:
        if self._heartbeat:
            self.write(self._heartbeat)

    def too_slow(self) -> None:
        self.was_too_slow = True
        self.come_back()

    def come_back(self) -> None:
        if not self.gone:
            self.gone = True
            self.tail.leave(self.view, self)
            self._something.set()
            self._room.set()

    async def follow(self, position: int) -> AsyncGenerator[bytes, None]:
        """What the stream says from `position` on."""
        self.tail.open(self.view, self)
        joining = asyncio.create_task(self.tail.join(self.view, position, self))
        try:
            while not self.gone:
                if not self._waiting:
                    self._something.clear()
                    await self._something.wait()
                    continue
                data = self._waiting.popleft()
                self._size -= len(data)
                if self._size <= BACKLOG_BYTES:
                    self._room.set()
                yield data
        finally:
            self.come_back()
            joining.cancel()
