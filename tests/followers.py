"""Clients of the live stream, one for each transport, that do what the contract asks of clients."""

from collections import deque
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any, Literal, get_args
from urllib.parse import urlencode

import httpx2
import orjson
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

Message = dict[str, Any]
Transport = Literal["websocket", "sse", "poll"]
TRANSPORTS: tuple[Transport, ...] = get_args(Transport)


class Cut(Exception):
    """The stream ended. `why` is a WebSocket code, or what Server-Sent Events said last."""

    def __init__(self, why: Any = None) -> None:
        super().__init__(why)
        self.why = why


class Follower:
    """What one connection says. `hello` is what the contract says of a start; polls answer for it as they go."""

    def __init__(self, messages: AsyncIterator[Message], hello: Message) -> None:
        self._messages = messages
        self.hello = hello
        self.others: list[Message] = []
        """What was said that is no change."""

    async def next(self) -> Message:
        """The next change. Raises Cut when the stream ends."""
        async for message in self._messages:
            if message["type"] in ("entry", "delete"):
                return message
            self.others.append(message)
        raise Cut

    async def title(self) -> str:
        """The title of the entry that is told next, or the id of the one that is told to be gone."""
        message = await self.next()
        return message["entry"]["title"] if message["type"] == "entry" else message["id"]  # type: ignore[no-any-return]


@asynccontextmanager
async def following(
    url: str, transport: Transport, after: int | None = None, headers: dict[str, str] | None = None, **query: str
) -> AsyncIterator[Follower]:
    """Follows until the end of the block. Raises Cut when there is no start."""
    if after is not None:
        query["after"] = str(after)
    opens = {"websocket": _websocket, "sse": _sse, "poll": _poll}[transport]
    async with AsyncExitStack() as stack:
        messages = await opens(stack, url, query, headers or {})
        if transport == "poll" and after is not None:
            hello = {"type": "hello", "seq": after, "reset": False}
        else:
            hello = await anext(messages)
        yield Follower(messages, hello)


async def _websocket(
    stack: AsyncExitStack, url: str, query: dict[str, str], headers: dict[str, str]
) -> AsyncIterator[Message]:
    address = f"{url.replace('http', 'ws', 1)}/live?{urlencode(query)}"
    socket = await stack.enter_async_context(connect(address, additional_headers=headers, max_size=None))

    async def messages() -> AsyncIterator[Message]:
        try:
            while True:
                yield orjson.loads(await socket.recv())
        except ConnectionClosed as closed:
            raise Cut(closed.rcvd.code if closed.rcvd else None) from None

    return messages()


async def _sse(
    stack: AsyncExitStack, url: str, query: dict[str, str], headers: dict[str, str]
) -> AsyncIterator[Message]:
    http = await stack.enter_async_context(httpx2.AsyncClient(verify=False, timeout=60))
    answer = await stack.enter_async_context(http.stream("GET", f"{url}/live/events", params=query, headers=headers))
    assert answer.status_code == 200, answer.status_code

    async def messages() -> AsyncIterator[Message]:
        event: dict[str, str] = {}
        async for line in answer.aiter_lines():
            if line:
                name, _, value = line.partition(":")
                event[name] = value.removeprefix(" ")
                continue
            if event.get("event") == "bye":
                raise Cut(event)
            if "data" in event:
                message: Message = orjson.loads(event["data"])
                carries = message["type"] in ("entry", "delete")
                assert event.get("id") == (str(message["seq"]) if carries else None)
                yield message
            event = {}

    return messages()


async def _poll(
    stack: AsyncExitStack, url: str, query: dict[str, str], headers: dict[str, str]
) -> AsyncIterator[Message]:
    http = await stack.enter_async_context(httpx2.AsyncClient(verify=False, base_url=url, headers=headers, timeout=60))

    async def messages() -> AsyncIterator[Message]:
        waiting: deque[Message] = deque()
        first = "after" not in query
        while True:
            answer = await http.get("/live/poll", params={"wait": "0" if first else "25"} | query)
            assert answer.status_code == 200, answer.text
            said = answer.json()
            query["after"] = str(said["seq"])
            if said["reset"] or first:
                first = False
                yield {"type": "hello", "seq": said["seq"], "reset": said["reset"]}
            waiting.extend(said["changes"])
            while waiting:
                yield waiting.popleft()

    return messages()
