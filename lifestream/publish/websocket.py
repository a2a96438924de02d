"""`/live` over WebSocket: the log of changes as text frames, from any position on."""

import asyncio
from contextlib import aclosing

from sqlalchemy.exc import SQLAlchemyError
from starlette.websockets import WebSocket, WebSocketDisconnect

from lifestream.access import may_follow, wanted_of
from lifestream.errors import LifestreamError
from lifestream.log import get_logger
from lifestream.protocol import live
from lifestream.publish.detached import COME_BACK, POLICY, TOO_SLOW, DetachedWebSocket
from lifestream.publish.queued import Queued
from lifestream.publish.tail import Tail, View
from lifestream.site import Site

log = get_logger(__name__)

AGAIN_LATER = 1013


async def stream(websocket: WebSocket) -> None:
    site: Site = websocket.app.state.site
    tail: Tail = websocket.app.state.tail
    try:
        after = live.parse_position(websocket.query_params.get("after"))
        view = View(await may_follow(site, websocket), wanted_of(websocket.query_params))
        start = await tail.start(after)
    except LifestreamError as error:
        await websocket.close(POLICY, str(error)[:120])
        return
    except SQLAlchemyError as error:
        log.error("stream", status="failed", error=type(error).__name__)
        await websocket.close(AGAIN_LATER, "The database does not answer; come back in a while.")
        return
    await websocket.accept()
    if tail.closing.is_set():
        await websocket.close(COME_BACK, "Restarting; come back with after.")
        return
    hello = live.hello(start.position, start.reset)
    detached = DetachedWebSocket(tail, view)
    if detached.take(websocket.scope):
        detached.write(detached.framing(hello, None))
        await tail.join(view, start.position, detached)
    else:
        await _through_asgi(websocket, Queued(tail, view, _lines), start.position, hello)


async def _through_asgi(websocket: WebSocket, queued: Queued, position: int, hello: bytes) -> None:
    leaving = asyncio.create_task(_leaves(websocket, queued))
    try:
        await websocket.send_text(hello.decode())
        async with aclosing(queued.follow(position)) as told:
            async for lines in told:
                for message in lines.splitlines():
                    await websocket.send_text(message.decode())
        code, why = (TOO_SLOW, "You are too slow") if queued.was_too_slow else (COME_BACK, "Restarting")
        await websocket.close(code, f"{why}; come back with after.")
    except (WebSocketDisconnect, RuntimeError):  # the client is gone, or was in this moment
        pass
    finally:
        leaving.cancel()


async def _leaves(websocket: WebSocket, queued: Queued) -> None:
    """Clients have nothing to say; this only learns that one is gone."""
    while (await websocket.receive())["type"] != "websocket.disconnect":
        pass
    queued.come_back()


def _lines(message: bytes, _seq: int | None) -> bytes:
    return message + b"\n"
