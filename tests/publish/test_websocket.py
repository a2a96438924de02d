"""`/live` over real sockets: the hello, resuming, closing codes, whose cookie counts."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import orjson
import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from lifestream.config import Config
from lifestream.store import entries, owner, sources
from lifestream.types import Entry
from lifestream.write import EntryIn, made_from
from tests.fakes import SOON, comes
from tests.living import Living, living, on_sqlite
from tests.stories import deletes, edits, has_source, writes

Message = dict[str, Any]


@pytest.fixture
async def stream(config: Config) -> AsyncIterator[Living]:
    async with living(config, background=False) as stream:
        yield stream


def address(stream: Living, query: str = "") -> str:
    return stream.url.replace("http:", "ws:") + "/live" + query


@asynccontextmanager
async def reading(stream: Living, query: str = "", **how: Any) -> AsyncIterator[tuple[ClientConnection, Message]]:
    """A client that has read its hello."""
    async with connect(address(stream, query), **how) as client:
        yield client, await said(client)


async def said(client: ClientConnection) -> Message:
    """The next message; those that are not about entries are none of ours."""
    async with asyncio.timeout(SOON):
        while True:
            message: Message = orjson.loads(await client.recv())
            if message["type"] in ("hello", "entry", "delete"):
                return message


async def ends(client: ClientConnection) -> int | None:
    """Reads until the end; the code it came with."""
    async with asyncio.timeout(SOON):
        try:
            while True:
                await client.recv()
        except ConnectionClosed as closed:
            return closed.rcvd.code if closed.rcvd else None


async def signed_in(stream: Living) -> dict[str, str]:
    """The header of the owner's session."""
    async with stream.site.store.begin() as db:
        cookie = await owner.open_session(db, stream.site.now())
    return {"Cookie": f"lifestream={cookie}"}


async def test_hello_comes_first_and_entries_as_they_happen(stream: Living) -> None:
    async with reading(stream) as (client, hello):
        assert hello == {"type": "hello", "seq": 0, "reset": False}
        made = await stream.posts("one", tags=["x"])
        message = await said(client)
        assert message == {"type": "entry", "seq": made["seq"], "prev": 0, "entry": made}
        await stream.http.delete(f"/api/entries/{made['id']}", headers=await stream.owners())
        gone = await said(client)
        assert gone == {"type": "delete", "seq": gone["seq"], "prev": made["seq"], "id": made["id"]}


@on_sqlite
async def test_frames_are_text(stream: Living) -> None:
    async with connect(address(stream)) as client:
        assert isinstance(await client.recv(), str)


async def test_a_client_that_comes_back_goes_on_where_it_was(stream: Living) -> None:
    async with reading(stream) as (client, _):
        await stream.posts("one")
        position = (await said(client))["seq"]
    await stream.posts("two")
    await stream.posts("three")
    async with reading(stream, f"?after={position}") as (client, hello):
        assert hello == {"type": "hello", "seq": position, "reset": False}
        two, three = await said(client), await said(client)
        assert [one["entry"]["title"] for one in (two, three)] == ["two", "three"]
        assert (two["prev"], three["prev"]) == (position, two["seq"])
        await stream.posts("four")
        assert (await said(client))["prev"] == three["seq"]


async def test_zero_is_from_the_beginning_and_beyond_the_head_is_a_reset(stream: Living) -> None:
    one = await stream.posts("one")
    async with reading(stream, "?after=0") as (client, hello):
        assert hello == {"type": "hello", "seq": 0, "reset": False}
        assert (await said(client))["entry"]["title"] == "one"
    async with reading(stream, f"?after={one['seq'] + 1000}") as (client, hello):
        assert hello == {"type": "hello", "seq": one["seq"], "reset": True}
        await stream.posts("two")
        assert (await said(client))["entry"]["title"] == "two"


@on_sqlite
async def test_an_empty_position_is_none(stream: Living) -> None:
    one = await stream.posts("one")
    async with reading(stream, "?after=") as (_, hello):
        assert hello == {"type": "hello", "seq": one["seq"], "reset": False}


@pytest.mark.parametrize("query", ["?after=x", "?after=-1", "?after=9e9", "?after=" + "9" * 40, "?kind=x", "?near=1"])
@on_sqlite
async def test_what_makes_no_sense_is_refused_before_the_handshake(stream: Living, query: str) -> None:
    with pytest.raises(InvalidStatus):
        async with connect(address(stream, query)):
            pass


@on_sqlite
async def test_filters_are_those_of_the_page(stream: Living) -> None:
    async with reading(stream, "?kind=photo&tag=Kitten&q=paws") as (client, _):
        await stream.posts("no photo of paws", tags=["kitten"])
        await stream.posts("paws", kind="photo", tags=["kitten"])
        assert (await said(client))["entry"]["title"] == "paws"


async def test_only_the_owner_sees_private_sources(stream: Living) -> None:
    await has_source(stream.site, "diary", "private")
    session, token = await signed_in(stream), await stream.token("read")
    origin = {"Origin": stream.url}
    async with (
        reading(stream) as (anybody, _),
        reading(stream, additional_headers=session | origin) as (by_cookie, _),
        reading(stream, additional_headers=token) as (by_token, _),
    ):
        secret = await writes(stream.site, "secret", "diary")
        await writes(stream.site, "for all")
        assert (await said(anybody))["entry"]["title"] == "for all"
        for client in (by_cookie, by_token):
            assert (await said(client))["entry"]["title"] == "secret"
            assert (await said(client))["entry"]["title"] == "for all"
        secret = await edits(stream.site, secret, title="more secret")
        await deletes(stream.site, secret)
        await writes(stream.site, "the end")
        assert (await said(anybody))["entry"]["title"] == "the end"


@on_sqlite
async def test_a_scrobblers_token_sees_what_anybody_sees(stream: Living) -> None:
    await has_source(stream.site, "diary", "private")
    async with reading(stream, additional_headers=await stream.token("scrobble")) as (client, _):
        await writes(stream.site, "secret", "diary")
        await writes(stream.site, "for all")
        assert (await said(client))["entry"]["title"] == "for all"


@pytest.mark.parametrize("origin", ["https://evil.example", "null", "http://127.0.0.1:1", None])
@on_sqlite
async def test_a_foreign_page_cannot_use_the_owners_cookie(stream: Living, origin: str | None) -> None:
    headers = await signed_in(stream) | ({"Origin": origin} if origin else {})
    with pytest.raises(InvalidStatus) as refused:
        async with connect(address(stream), additional_headers=headers):
            pass
    assert refused.value.response.status_code == 403


@on_sqlite
async def test_a_foreign_page_may_read_what_anybody_may(stream: Living) -> None:
    async with reading(stream, additional_headers={"Origin": "https://reader.example"}) as (_, hello):
        assert hello["type"] == "hello"


@on_sqlite
async def test_a_token_that_is_none_is_refused(stream: Living) -> None:
    with pytest.raises(InvalidStatus):
        async with connect(address(stream), additional_headers={"Authorization": "Bearer ls_nonsense"}):
            pass


@on_sqlite
async def test_a_client_that_does_not_read_is_closed_and_misses_nothing(stream: Living) -> None:
    words = "x" * 400_000
    async with connect(address(stream, "?after=0"), max_queue=1, max_size=None) as client:
        assert orjson.loads(await client.recv())["type"] == "hello"
        transport = client.transport
        transport.pause_reading()
        async with reading(stream, max_size=None) as (quick, _):
            for number in range(40):
                await stream.posts(f"{number}", content_text=words)
                assert (await said(quick))["entry"]["title"] == f"{number}", "the others go on"
        transport.resume_reading()
        told: list[int] = []
        try:
            async with asyncio.timeout(SOON):
                while True:
                    message = orjson.loads(await client.recv())
                    if message["type"] == "entry":
                        told.append(message["seq"])
        except ConnectionClosed as closed:
            assert closed.rcvd is not None and closed.rcvd.code == 4008
    async with reading(stream, f"?after={max(told, default=0)}", max_size=None) as (client, hello):
        assert not hello["reset"]
        rest = [(await said(client))["seq"] for _ in range(40 - len(told))]
    assert len(told) < 40
    assert told + rest == sorted(set(told + rest))
    assert len(told + rest) == 40


@on_sqlite
async def test_a_client_that_reads_is_given_long_entries_however_many_it_missed(stream: Living) -> None:
    for number, size in enumerate((300_000, 300_000, 300_000, 300_000, 1_000_000, 300_000)):
        await stream.posts(f"{number}", content_text="<" * (size // 4))
    async with reading(stream, "?after=0", max_size=None) as (client, _):
        assert [(await said(client))["entry"]["title"] for _ in range(6)] == [str(number) for number in range(6)]


@on_sqlite
async def test_a_client_that_reads_is_not_thrown_out_by_a_burst_of_long_entries(stream: Living) -> None:
    async with reading(stream, max_size=None) as (client, _):
        body = {"content_text": "x" * 30_000}
        async with stream.site.store.begin(rings=["log"]) as db:
            notes = await sources.get(db, "notes", audience="owner")
            for number in range(100):
                entry = made_from(EntryIn(title=f"{number}", **body), Entry(), stream.site.now())
                await entries.add(db, notes, entry, now=stream.site.now())
        assert [(await said(client))["entry"]["title"] for _ in range(100)] == [str(number) for number in range(100)]


@on_sqlite
async def test_on_shutdown_streams_end_with_1012(config: Config) -> None:
    async with living(config, background=False) as stream:
        client = await connect(address(stream))
        await client.recv()
        stream.server.should_exit = True
        assert await ends(client) == 1012


@on_sqlite
async def test_what_a_client_says_is_ignored(stream: Living) -> None:
    async with reading(stream) as (client, _):
        await client.send("hello?")
        await client.send(b"\xff\xfe")
        await stream.posts("one")
        assert (await said(client))["entry"]["title"] == "one"


@on_sqlite
async def test_a_client_that_went_is_forgotten(stream: Living) -> None:
    tail = stream.app.state.tail
    async with reading(stream), reading(stream, "?kind=photo"):

        async def both() -> bool:
            return tail.viewers == 2

        await comes(both)

    async def nobody() -> bool:
        return tail.viewers == 0

    await comes(nobody)


async def test_many_clients_that_come_and_go_see_each_change_once_and_in_order(stream: Living) -> None:
    made: list[int] = []
    done = asyncio.Event()

    async def writer() -> None:
        for number in range(30):
            made.append((await stream.posts(f"{number}"))["seq"])
        done.set()

    async def follower(stay: int) -> list[int]:
        """Leaves after so many changes, and comes back with the last one it saw."""
        seen: list[int] = []
        while not (done.is_set() and len(seen) >= 30):
            async with reading(stream, f"?after={seen[-1] if seen else 0}") as (client, hello):
                assert not hello["reset"]
                position = hello["seq"]
                for _ in range(min(stay, 30 - len(seen))):
                    message = await said(client)
                    assert message["prev"] == position
                    position = message["seq"]
                    seen.append(position)
            if len(seen) >= 30:
                await done.wait()
        return seen

    results = await asyncio.gather(writer(), *(follower(stay) for stay in (1, 3, 7, 30)))
    for seen in results[1:]:
        assert seen == made
