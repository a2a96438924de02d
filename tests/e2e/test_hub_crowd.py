"""The hub among many subscribers, one of them slow, and when it is killed while it tells them."""

import asyncio
import sqlite3
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from time import monotonic

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from tests.e2e.processes import SOON, Process
from tests.fakes import serving, until

pytestmark = pytest.mark.slow


@dataclass
class Crowd:
    """Callbacks /0, /1 and so on, that note when each was given what; `slow` answers when it is let."""

    verified: set[str] = field(default_factory=set)
    given: list[tuple[str, float]] = field(default_factory=list)
    slow: str = ""
    let: asyncio.Event = field(default_factory=asyncio.Event)
    wanted: bytes = b""
    killer: int = 0
    reached: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def app(self) -> Starlette:
        return Starlette(routes=[Route("/{who}", self._answer, methods=["GET", "POST"])])

    async def _answer(self, request: Request) -> Response:
        who = request.path_params["who"]
        if request.method == "GET":
            self.verified.add(who)
            return PlainTextResponse(request.query_params["hub.challenge"])
        if self.wanted not in await request.body():
            return Response(status_code=204)
        if who == self.slow:
            await self.let.wait()
        self.given.append((who, monotonic()))
        if len(self.given) == self.killer:
            self.reached.set()
        return Response(status_code=204)

    @property
    def who(self) -> set[str]:
        return {who for who, _ in self.given}


async def subscribe(stream: Process, at: str, crowd: Crowd, count: int) -> None:
    """All at once, to a topic that nobody subscribed to before; returns when each is verified."""
    async with stream.client() as client:

        async def one(number: int) -> int:
            form = {
                "hub.mode": "subscribe", "hub.topic": f"{stream.url}/feed.atom", "hub.callback": f"{at}/{number}",
                "hub.secret": f"secret {number}",
            }  # fmt: skip
            return (await client.post("/hub", data=form)).status_code

        assert Counter(await asyncio.gather(*(one(number) for number in range(count)))) == {202: count}
    await until(lambda: len(crowd.verified) == count, within=SOON)
    await until(lambda: stream.log().count("hub verified") == count, within=SOON)


async def posts(stream: Process, title: str) -> None:
    async with stream.client("write") as client:
        assert (await client.post("/api/entries", json={"title": title})).status_code == 201


def noted(stream: Process) -> set[str]:
    """Those whose answers a hub that was killed had written down."""
    connection = sqlite3.connect(f"file:{stream.folder / 'lifestream.sqlite3'}?mode=ro", uri=True)
    try:
        found = connection.execute("SELECT callback FROM hub_subscribers WHERE last_delivery IS NOT NULL").fetchall()
    finally:
        connection.close()
    return {callback.rpartition("/")[2] for (callback,) in found}


async def test_five_hundred_who_subscribe_at_once_are_all_given_the_next_update(tmp_path: Path) -> None:
    crowd = Crowd(wanted=b"News")
    async with serving(crowd.app) as at, Process(tmp_path) as stream:
        await subscribe(stream, at, crowd, 500)
        await posts(stream, "News")
        await until(lambda: len(crowd.given) == 500, within=SOON)
        assert len(crowd.who) == 500


async def test_one_that_hangs_among_two_hundred_holds_up_nobody(tmp_path: Path) -> None:
    crowd = Crowd(wanted=b"News", slow="17")
    async with serving(crowd.app) as at, Process(tmp_path) as stream:
        await subscribe(stream, at, crowd, 200)
        await posts(stream, "News")
        started = monotonic()
        await until(lambda: len(crowd.given) == 199, within=2.0 + 3.0)
        assert max(when for _, when in crowd.given) - started < 2.0
        crowd.let.set()
        await until(lambda: "17" in crowd.who, within=SOON)


async def test_after_a_kill_in_the_middle_everybody_has_it_and_nobody_whose_answer_was_noted_has_it_twice(
    tmp_path: Path,
) -> None:
    crowd = Crowd(wanted=b"News", killer=200)
    async with serving(crowd.app) as at, Process(tmp_path) as stream:
        await subscribe(stream, at, crowd, 500)
        await posts(stream, "News")
        await asyncio.wait_for(crowd.reached.wait(), SOON)
        stream.kill()
        done = noted(stream)
        assert 0 < len(done) < 500, "it was in the middle"
        await stream.start()
        await until(lambda: len(crowd.who) == 500, within=SOON)
        # Whoever's answer was not written down is asked again: nobody can know that it was not lost.
        again = {who for who, count in Counter(who for who, _ in crowd.given).items() if count > 1}
        assert again & done == set()
