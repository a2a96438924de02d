"""The origin that Pushpin asks: it subscribes every WebSocket to the channel "feed".  usage: pushpin_origin.py PORT"""

import asyncio
import sys

SUBSCRIBE = b'c:{"type":"subscribe","channel":"feed"}'
OPEN = b"OPEN\r\nTEXT %x\r\n%s\r\n" % (len(SUBSCRIBE), SUBSCRIBE)
HEAD = (
    b"HTTP/1.1 200 OK\r\nContent-Type: application/websocket-events\r\n"
    b'Sec-WebSocket-Extensions: grip; message-prefix=""\r\nContent-Length: %d\r\n\r\n'
)


async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """WebSocket-over-HTTP, and nothing else."""
    try:
        while True:
            head = (await reader.readuntil(b"\r\n\r\n")).lower()
            length = int(head.split(b"content-length:")[1].split(b"\r\n")[0]) if b"content-length:" in head else 0
            events = OPEN if (await reader.readexactly(length)).startswith(b"OPEN") else b""
            writer.write(HEAD % len(events) + events)
    except (asyncio.IncompleteReadError, ConnectionError):
        writer.close()


async def main(port: int) -> None:
    server = await asyncio.start_server(answer, "127.0.0.1", port, backlog=4096)
    await server.serve_forever()


asyncio.run(main(int(sys.argv[1])))
