"""The websockets library's own broadcast(), on uvloop.  usage: broadcast.py PORT PUBLISH_PORT"""

import asyncio
import sys

import uvloop
from websockets.asyncio.server import ServerConnection, broadcast, serve

subscribers: set[ServerConnection] = set()
inbox: asyncio.Queue[str] = asyncio.Queue()


async def subscribe(connection: ServerConnection) -> None:
    subscribers.add(connection)
    try:
        await connection.wait_closed()
    finally:
        subscribers.discard(connection)


async def publish(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while True:
            head = await reader.readuntil(b"\r\n\r\n")
            length = int(head.lower().split(b"content-length:")[1].split(b"\r\n")[0])
            inbox.put_nowait((await reader.readexactly(length)).decode())
            writer.write(b"HTTP/1.1 204 No Content\r\n\r\n")
    except (asyncio.IncompleteReadError, ConnectionError):
        writer.close()


async def main(port: int, publish_port: int) -> None:
    publishing = await asyncio.start_server(publish, "127.0.0.1", publish_port)
    async with publishing, serve(subscribe, "127.0.0.1", port, compression=None, backlog=4096):
        while True:
            broadcast(subscribers, await inbox.get())
            await asyncio.sleep(0)


uvloop.run(main(*map(int, sys.argv[1:])))
