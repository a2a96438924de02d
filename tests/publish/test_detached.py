"""What happens on a socket that a live stream has taken over, seen from its other end."""

import asyncio
import contextlib
from collections.abc import AsyncIterator

import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed
from websockets.frames import Frame, Opcode

from lifestream.config import Config
from lifestream.publish import detached, tail
from lifestream.store import owner
from tests.fakes import SOON, until
from tests.living import Living, living, on_sqlite

pytestmark = on_sqlite


@pytest.fixture
async def stream(config: Config) -> AsyncIterator[Living]:
    async with living(config, background=False) as stream, asyncio.timeout(6 * SOON):
        yield stream


@contextlib.asynccontextmanager
async def opened(stream: Living) -> AsyncIterator[ClientConnection]:
    async with connect(stream.url.replace("http", "ws") + "/live", ping_interval=None) as client:
        await client.recv()
        yield client


async def raw(stream: Living, request: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """A connection that has sent a request, and its answer from the first byte on."""
    reader, writer = await asyncio.open_connection("127.0.0.1", int(stream.url.rpartition(":")[2]))
    writer.write(request.replace("\n", "\r\n").encode())
    return reader, writer


HANDSHAKE = """GET /live HTTP/1.1
Host: x
Connection: Upgrade
Upgrade: websocket
Sec-WebSocket-Version: 13
Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==

"""


async def test_a_ping_is_answered(stream: Living) -> None:
    async with opened(stream) as client:
        pong = await client.ping(b"are you there?")
        async with asyncio.timeout(SOON):
            await pong


async def test_a_close_is_answered_with_its_own_code_and_the_socket_closed(stream: Living) -> None:
    reader, writer = await raw(stream, HANDSHAKE)
    await reader.readuntil(b'"reset":false}')
    writer.write(Frame(Opcode.CLOSE, (3001).to_bytes(2, "big") + b"enough").serialize(mask=True))
    rest = await reader.read()
    assert rest.endswith(Frame(Opcode.CLOSE, (3001).to_bytes(2, "big")).serialize(mask=False))
    await until(lambda: stream.app.state.tail.viewers == 0)
    writer.close()


@pytest.mark.parametrize(
    ("said", "code"), [(b"\xc1\x80\0\0\0\0", 1002), (b"\x81\x05hello", 1002), (b"\x81\xff" + b"\xff" * 12, 1009)]
)
async def test_who_does_not_speak_websocket_is_told_and_closed(stream: Living, said: bytes, code: int) -> None:
    reader, writer = await raw(stream, HANDSHAKE)
    await reader.readuntil(b'"reset":false}')
    writer.write(said)
    rest = await reader.read()
    assert code.to_bytes(2, "big") in rest
    writer.close()


async def test_a_client_that_does_not_answer_pings_is_ended(stream: Living) -> None:
    reader, writer = await raw(stream, HANDSHAKE)
    await reader.readuntil(b'"count":1}')  # hello, and who is here
    (one,) = stream.app.state.tail._streams
    one.beat()
    assert Frame(Opcode.PING, b"").serialize(mask=False) in await reader.readexactly(2)
    one.beat()
    with pytest.raises(ConnectionResetError):
        await reader.read()
    assert stream.app.state.tail.viewers == 0
    writer.close()


async def test_a_client_that_answers_pings_stays(stream: Living) -> None:
    reader, writer = await raw(stream, HANDSHAKE)
    await reader.readuntil(b'"count":1}')  # hello, and who is here
    (one,) = stream.app.state.tail._streams
    for _ in range(3):
        one.beat()
        assert await reader.readexactly(2) == Frame(Opcode.PING, b"").serialize(mask=False)
        writer.write(Frame(Opcode.PONG, b"").serialize(mask=True))
        await until(lambda: one._heard)
    await stream.posts("one")
    assert b"one" in await reader.readuntil(b"one")
    writer.close()


async def test_events_are_kept_alive_by_comments(config: Config, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tail, "BEAT", 0.01)
    async with living(config, background=False) as stream:
        reader, writer = await raw(stream, "GET /live/events HTTP/1.1\nHost: x\n\n")
        async with asyncio.timeout(SOON):
            await reader.readuntil(b"\r\n3\r\n:\n\n\r\n")
        writer.close()


async def test_events_say_how_to_handle_them(stream: Living) -> None:
    reader, writer = await raw(stream, "GET /live/events HTTP/1.1\nHost: x\nOrigin: https://reader.example\n\n")
    head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
    for line in (
        "content-type: text/event-stream",
        "cache-control: no-store",
        "x-accel-buffering: no",
        "access-control-allow-origin: *",
        "x-content-type-options: nosniff",
    ):
        assert line in head
    assert b"retry: 2000\n\ndata: " in await reader.readuntil(b'"reset":false}')
    writer.close()


async def test_the_head_of_events_is_all_that_head_gets(stream: Living) -> None:
    answer = await stream.http.head("/live/events")
    assert (answer.status_code, answer.headers["content-type"]) == (200, "text/event-stream; charset=utf-8")
    assert stream.app.state.tail.viewers == 0


async def test_the_event_source_of_a_foreign_page_has_no_cookie_of_use(stream: Living) -> None:
    reader, writer = await raw(stream, "GET /live/events HTTP/1.1\nHost: x\nCookie: a=b\n\n")
    head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
    assert "access-control-allow-origin" not in head
    writer.close()


async def test_what_an_event_source_says_last_counts_more_than_its_old_address(stream: Living) -> None:
    one, two = await stream.posts("one"), await stream.posts("two")
    request = f"GET /live/events?after=0 HTTP/1.1\nHost: x\nLast-Event-ID: {one['seq']}\n\n"
    reader, writer = await raw(stream, request)
    told = await reader.readuntil(f"id: {two['seq']}".encode())
    assert f"id: {one['seq']}".encode() not in told
    writer.close()


@pytest.mark.parametrize("query", ["after=x", "kind=x", "near=1", "wait=x", "wait=-1"])
async def test_what_makes_no_sense_is_refused_in_a_sentence(stream: Living, query: str) -> None:
    answer = await stream.http.get(f"/live/poll?{query}")
    assert (answer.status_code, answer.headers["content-type"]) == (400, "text/plain; charset=utf-8")
    if not query.startswith("wait"):
        assert (await stream.http.get(f"/live/events?{query}")).status_code == 400


async def test_a_poll_that_hears_nothing_answers_with_the_position_it_was_asked_for(stream: Living) -> None:
    one = await stream.posts("one")
    answer = await stream.http.get(f"/live/poll?after={one['seq']}&wait=0")
    assert answer.json() == {"seq": one["seq"], "reset": False, "changes": []}
    assert answer.headers["cache-control"] == "no-store"


async def test_a_client_that_reads_a_burst_slowly_is_not_ended_for_it(stream: Living) -> None:
    """It falls behind, leaves the living, and is brought up to date when it has read what it has."""
    async with connect(
        stream.url.replace("http", "ws") + "/live", max_queue=1, max_size=None, close_timeout=0.1
    ) as client:
        await client.recv()
        client.transport.pause_reading()
        (one,) = stream.app.state.tail._streams
        made = []
        while not one.full:
            made.append((await stream.posts(f"{len(made)}", content_text="x" * 200_000))["seq"])
        made.append((await stream.posts("the last"))["seq"])
        assert one in stream.app.state.tail._behind
        client.transport.resume_reading()
        told = []
        async with asyncio.timeout(SOON):
            while len(told) < len(made):
                try:
                    message = await client.recv(decode=False)
                except ConnectionClosed as closed:
                    raise AssertionError(f"ended: {closed}") from None
                if message.startswith(b'{"type":"entry"'):
                    told.append(int(message[22:].partition(b",")[0]))
        assert told == made


async def test_who_talks_and_talks_is_ended(stream: Living) -> None:
    reader, writer = await raw(stream, HANDSHAKE)
    await reader.readuntil(b'"reset":false}')
    for _ in range(20):
        writer.write(Frame(Opcode.TEXT, b"x" * 4000).serialize(mask=True))
    assert (1008).to_bytes(2, "big") in await reader.read()
    writer.close()


async def test_who_says_goodbye_with_its_hands_full_is_not_waited_for_long(
    stream: Living, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(detached, "LINGER", 0.1)
    reader, writer = await raw(stream, HANDSHAKE)
    await reader.readuntil(b'"reset":false}')
    writer.transport.pause_reading()  # type: ignore[attr-defined]
    (one,) = stream.app.state.tail._streams
    while not one.full:
        await stream.posts("long", content_text="x" * 400_000)
    writer.write(Frame(Opcode.CLOSE, (1000).to_bytes(2, "big")).serialize(mask=True))
    await until(lambda: one.gone)
    await until(lambda: one.transport.is_closing() and one.transport.get_extra_info("socket").fileno() == -1)
    writer.close()


async def test_what_follows_a_request_for_events_does_no_harm(stream: Living) -> None:
    request = "GET /live/events HTTP/1.1\nHost: x\n\nGET /heal"
    reader, writer = await raw(stream, request)
    await reader.readuntil(b'"reset":false}')
    await stream.posts("one")
    assert b"one" in await reader.readuntil(b"one")
    writer.close()


async def test_the_owners_stream_ends_when_he_signs_out(stream: Living) -> None:
    async with stream.site.store.begin() as db:
        cookie = await owner.open_session(db, stream.site.now())
        session = await owner.session(db, cookie, stream.site.now())
    signed_in = {"Cookie": f"lifestream={cookie}", "Origin": stream.url}
    address = stream.url.replace("http", "ws") + "/live"
    async with connect(address) as anybody, connect(address, additional_headers=signed_in) as his:
        assert session is not None
        answer = await stream.http.post("/logout", data={"csrf": session.csrf}, headers=signed_in)
        assert answer.status_code == 303
        with pytest.raises(ConnectionClosed):
            while True:
                await his.recv()
        assert his.close_code == 1012
        await stream.posts("for all")
        while b"for all" not in await anybody.recv(decode=False):
            pass
