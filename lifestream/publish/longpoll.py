"""`/live/poll`: the same stream for networks that let nothing but plain requests through."""

import asyncio
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from lifestream.access import may_follow, wanted_of
from lifestream.errors import InvalidInput
from lifestream.protocol import live
from lifestream.publish.tail import Tail, View
from lifestream.site import Site

WAIT = 25.0
LONGEST_WAIT = 55.0


async def poll(request: Request) -> Response:
    site: Site = request.app.state.site
    tail: Tail = request.app.state.tail
    query = request.query_params
    after = live.parse_position(query.get("after"))
    wait = _seconds(query.get("wait"))
    view = View(await may_follow(site, request), wanted_of(query))
    start = await tail.start(after)
    changes = () if start.reset else await tail.missed(view, start.position)
    if not (changes or start.reset or tail.closing.is_set()):
        parked = Parked(tail, view)
        if await parked.wait(request, start.position, wait):
            changes = await tail.missed(view, start.position)
    seq = changes[-1][0] if changes else start.position
    body = live.poll_answer(seq, start.reset, [message for _, message in changes])
    return Response(body, media_type="application/json", headers={"Cache-Control": "no-store"})


class Parked:
    """A listener that only wants to know that there is something."""

    def __init__(self, tail: Tail, view: View) -> None:
        self.tail = tail
        self.view = view
        self.gone = False
        self._something = False
        self.woken = asyncio.Event()

    @staticmethod
    def framing(message: bytes, seq: int | None) -> bytes:
        return b"" if seq is None else message

    def write(self, data: bytes) -> bool:
        if data:
            self._something = True
            self.woken.set()
        return True

    @property
    def full(self) -> bool:
        return False

    async def drained(self) -> None:
        pass

    def too_slow(self) -> None:
        self.come_back()

    def beat(self) -> None:
        pass

    def come_back(self) -> None:
        self.gone = True
        self.woken.set()

    async def wait(self, request: Request, position: int, seconds: float) -> bool:
        """Until something after `position` is told in this view, the client goes, or the time is over.

        Says whether there was something.
        """
        self.tail.open(self.view, self)
        tasks: list[asyncio.Task[Any]] = [
            asyncio.create_task(self.woken.wait()),
            asyncio.create_task(_leaves(request)),
        ]
        joining = asyncio.create_task(self.tail.join(self.view, position, self))
        try:
            await asyncio.wait(tasks, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        finally:
            self.gone = True
            self.tail.leave(self.view, self)
            for task in [*tasks, joining]:
                task.cancel()
        return self._something


async def _leaves(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass


def _seconds(text: str | None) -> float:
    if not text:
        return WAIT
    if not (text.isascii() and text.isdigit() and len(text) < 10):
        raise InvalidInput(f"`wait` is a number of seconds, up to {LONGEST_WAIT:.0f}.")
    return min(float(text), LONGEST_WAIT)
