"""One stream of changes, three transports, one meaning: each fact holds on each, however the bytes get there."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from lifestream.config import Config
from tests.fakes import SOON, comes
from tests.followers import TRANSPORTS, Cut, Transport, following
from tests.living import Living, living, on_sqlite
from tests.stories import deletes, edits, gets_history, has_source, shows_to, writes

pytestmark = on_sqlite


@pytest.fixture(params=[True, False], ids=["on the socket", "through ASGI"])
async def stream(config: Config, request: pytest.FixtureRequest) -> AsyncIterator[Living]:
    async with living(config, background=False, takes_over=request.param) as stream, asyncio.timeout(6 * SOON):
        yield stream


@pytest.fixture(params=TRANSPORTS)
def by(request: pytest.FixtureRequest) -> Transport:
    transport: Transport = request.param
    return transport


async def test_entries_come_as_they_happen(stream: Living, by: Transport) -> None:
    async with following(stream.url, by) as follower:
        assert follower.hello == {"type": "hello", "seq": 0, "reset": False}
        made = await stream.posts("one", tags=["x"])
        assert await follower.next() == {"type": "entry", "seq": made["seq"], "prev": 0, "entry": made}
        await stream.http.delete(f"/api/entries/{made['id']}", headers=await stream.owners())
        gone = await follower.next()
        assert gone == {"type": "delete", "seq": gone["seq"], "prev": made["seq"], "id": made["id"]}


async def test_history_and_then_what_comes_in_one_request(stream: Living, by: Transport) -> None:
    one = await stream.posts("one")
    await stream.posts("two")
    async with following(stream.url, by, after=one["seq"]) as follower:
        assert follower.hello == {"type": "hello", "seq": one["seq"], "reset": False}
        two = await follower.next()
        await stream.posts("three")
        three = await follower.next()
        assert [message["entry"]["title"] for message in (two, three)] == ["two", "three"]
        assert (two["prev"], three["prev"]) == (one["seq"], two["seq"])


async def test_zero_is_from_the_oldest_and_never_a_reset(stream: Living, by: Transport) -> None:
    async with following(stream.url, by, after=0) as follower:
        assert not follower.hello["reset"]
        await stream.posts("one")
        assert await follower.title() == "one"


async def test_a_position_that_no_log_knows_asks_to_load_afresh(stream: Living, by: Transport) -> None:
    one = await stream.posts("one")
    async with following(stream.url, by, after=one["seq"] + 1000) as follower:
        hello = follower.hello if by != "poll" else await anext(follower._messages)
        assert hello == {"type": "hello", "seq": one["seq"], "reset": True}
        await stream.posts("two")
        assert await follower.title() == "two"


async def test_filters_are_those_of_the_page(stream: Living, by: Transport) -> None:
    async with following(stream.url, by, kind="photo", q="paws", source="notes") as follower:
        await stream.posts("paws, but no photo")
        photo = await stream.posts("soft paws", kind="photo")
        assert await follower.title() == "soft paws"
        await stream.http.patch(f"/api/entries/{photo['id']}", json={"title": "ears"}, headers=await stream.owners())
        assert await follower.title() == photo["id"], "edited out of the filter"


async def test_private_sources_are_for_the_owner(stream: Living, by: Transport) -> None:
    await has_source(stream.site, "diary", "private")
    async with (
        following(stream.url, by) as anybody,
        following(stream.url, by, headers=await stream.token("read")) as owner,
    ):
        secret = await writes(stream.site, "secret", "diary")
        await edits(stream.site, secret, title="more secret")
        await deletes(stream.site, secret)
        await writes(stream.site, "for all")
        assert await anybody.title() == "for all"
        told = [await owner.title() for _ in range(2)]
        while told[-1] != "for all":
            told.append(await owner.title())
        assert secret.id in told


async def test_a_source_made_private_leaves_as_deletes(stream: Living, by: Transport) -> None:
    await has_source(stream.site, "diary")
    one = await writes(stream.site, "one", "diary")
    async with following(stream.url, by, after=one.seq) as follower:
        await shows_to(stream.site, "diary", "private")
        assert await follower.title() == one.id


async def test_what_was_taken_back_is_not_told_again_from_memory(stream: Living, by: Transport) -> None:
    await has_source(stream.site, "diary")
    one = await writes(stream.site, "one", "diary")
    two = await writes(stream.site, "two")
    async with following(stream.url, by, after=0) as early:
        assert [await early.title() for _ in range(2)] == ["one", "two"]
        await shows_to(stream.site, "diary", "private")
        await deletes(stream.site, two)
        assert [await early.title() for _ in range(2)] == [one.id, two.id]
    async with following(stream.url, by, after=0) as late:
        assert [await late.title() for _ in range(2)] == [one.id, two.id]


async def test_history_is_never_told(stream: Living, by: Transport) -> None:
    async with following(stream.url, by, after=0) as follower:
        await gets_history(stream.site, "old")
        await stream.posts("new")
        assert await follower.title() == "new"


async def test_a_client_that_went_is_forgotten(stream: Living, by: Transport) -> None:
    tail = stream.app.state.tail

    async def here(count: int) -> bool:
        return len(tail._streams) == count

    async with following(stream.url, by, after=0) as follower:
        reading = asyncio.ensure_future(follower.next())
        await comes(lambda: here(1))
        reading.cancel()
        await asyncio.gather(reading, return_exceptions=True)
    await comes(lambda: here(0))
    assert tail._groups == {}


async def test_at_the_end_streams_are_told_to_come_back(config: Config, by: Transport) -> None:
    async with living(config, background=False) as stream:
        async with following(stream.url, by, after=0) as follower:
            await stream.posts("one")
            assert await follower.title() == "one"
            waiting = asyncio.ensure_future(follower.next())
            await comes(lambda: _parked(stream))
            stream.server.should_exit = True
            async with asyncio.timeout(SOON):
                with pytest.raises(Cut if by != "poll" else Exception) as end:
                    await waiting
    if by == "websocket":
        assert end.value.why == 1012
    if by == "sse":
        assert end.value.why["event"] == "bye"
        assert 1000 <= int(end.value.why["retry"]) < 5000


async def _parked(stream: Living) -> bool:
    return stream.app.state.tail.viewers == 1


async def test_whoever_comes_and_goes_sees_each_change_once_and_in_order(stream: Living, by: Transport) -> None:
    made: list[int] = []

    async def writer() -> None:
        for number in range(30):
            made.append((await stream.posts(f"{number}"))["seq"])

    async def reader(stay: int) -> list[int]:
        """Leaves after so many changes, and comes back with the last one it saw."""
        seen = [0]
        while len(seen) <= 30:
            async with following(stream.url, by, after=seen[-1]) as follower:
                assert not follower.hello["reset"]
                for _ in range(min(stay, 31 - len(seen))):
                    message = await follower.next()
                    assert message["prev"] == seen[-1]
                    seen.append(message["seq"])
        return seen[1:]

    _, *seen = await asyncio.gather(writer(), *(reader(stay) for stay in (1, 3, 7, 30)))
    assert seen == [made] * 4
