"""The way most people write it: FastAPI, one await per subscriber. The server's command line says the port.

POST /publish: the body is the message; it is acknowledged before it is sent.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI, Request, Response, WebSocket, WebSocketDisconnect

subscribers: set[WebSocket] = set()
inbox: asyncio.Queue[str] = asyncio.Queue()


async def broadcast() -> None:
    while True:
        message = await inbox.get()
        for websocket in list(subscribers):
            try:
                await websocket.send_text(message)
            except (WebSocketDisconnect, RuntimeError):
                subscribers.discard(websocket)


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    task = asyncio.create_task(broadcast())
    yield
    task.cancel()


app = FastAPI(lifespan=lifespan)


@app.post("/publish")
async def publish(request: Request) -> Response:
    inbox.put_nowait((await request.body()).decode())
    return Response(status_code=204)


@app.websocket("/ws")
async def subscribe(websocket: WebSocket) -> None:
    await websocket.accept()
    subscribers.add(websocket)
    try:
        while True:
            await websocket.receive_text()
    except WebSocketDisconnect:
        pass
    finally:
        subscribers.discard(websocket)
