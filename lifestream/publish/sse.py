"""`/live/events`: the same stream as Server-Sent Events (HTML, section 9.2)."""

import asyncio
from contextlib import aclosing

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from lifestream.access import may_follow, wanted_of
from lifestream.errors import Restarting
from lifestream.protocol import live
from lifestream.publish.detached import DetachedEvents, retry_after_restart
from lifestream.publish.queued import Queued
from lifestream.publish.tail import Tail, View
from lifestream.site import Site

RETRY = 2000
HEADERS = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
"""A proxy must neither keep nor hold back what is told."""


async def events(request: Request) -> Response:
    site: Site = request.app.state.site
    tail: Tail = request.app.state.tail
    query = request.query_params
    # A browser that reconnects by itself asks for the old address; what it says beside it is newer.
    after = live.parse_position(request.headers.get("last-event-id") or query.get("after"))
    view = View(await may_follow(site, request), wanted_of(query))
    start = await tail.start(after)
    if tail.closing.is_set():
        raise Restarting("This process ends just now; ask again in a second.")
    return _Stream(tail, view, start)


class _Stream(Response):
    def __init__(self, tail: Tail, view: View, start: live.Start) -> None:
        super().__init__(headers=HEADERS, media_type="text/event-stream")
        del self.headers["content-length"]
        self._tail, self._view, self._start = tail, view, start

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
        if scope["method"] == "HEAD":
            await send({"type": "http.response.body"})
            return
        hello = live.sse_retry(RETRY) + live.sse(live.hello(self._start.position, self._start.reset))
        await send({"type": "http.response.body", "body": hello, "more_body": True})
        detached = DetachedEvents(self._tail, self._view)
        if detached.take(scope):
            await self._tail.join(self._view, self._start.position, detached)
        else:
            await self._through_asgi(receive, send)

    async def _through_asgi(self, receive: Receive, send: Send) -> None:
        queued = Queued(self._tail, self._view, live.sse, live.HEARTBEAT)
        leaving = asyncio.create_task(_leaves(receive, queued))
        try:
            async with aclosing(queued.follow(self._start.position)) as told:
                async for data in told:
                    await send({"type": "http.response.body", "body": data, "more_body": True})
            last = b"" if queued.was_too_slow else live.sse_bye(retry_after_restart())
            await send({"type": "http.response.body", "body": last})
        except RuntimeError:  # the client is gone, or was in this moment
            pass
        finally:
            leaving.cancel()


async def _leaves(receive: Receive, queued: Queued) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
    queued.come_back()
