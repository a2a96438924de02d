"""What a lifestream acknowledged outlives the process that said so: by `kill -9` at any moment, and by SIGTERM."""

import asyncio
import random
import sqlite3
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx2
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route
from websockets.exceptions import ConnectionClosed, InvalidHandshake

from lifestream.protocol.signatures import check_hub_signature, sign
from tests.e2e.processes import SOON, Live, Process
from tests.fakes import FakeHub, Publisher, comes, serving, until

pytestmark = pytest.mark.slow

ROUNDS = 5
GOES_AWAY = (httpx2.TransportError, OSError, ConnectionClosed, InvalidHandshake)
"""What a client of a server that was killed sees."""
SECONDS_TO_END = 6.0


@dataclass
class Followed:
    """A blog that a lifestream follows, and the hub that pushes it."""

    stream: Process
    publisher: Publisher
    hub: FakeHub
    url: str

    async def push(self, client: httpx2.AsyncClient, *titles: str) -> int:
        """Sends a document with these entries as the hub would; returns the status."""
        subscription = self.hub.asked[0]
        body = document(*titles)
        headers = {"X-Hub-Signature": sign(body, subscription["hub.secret"]), "Content-Type": "application/atom+xml"}
        return (await client.post(subscription["hub.callback"], content=body, headers=headers)).status_code


@dataclass
class Ledger:
    """Who writes keeps trying until it is told 2xx; then it is in here."""

    stream: Process
    acknowledged: list[str] = field(default_factory=list)
    up: asyncio.Event = field(default_factory=asyncio.Event)

    async def write(self, prefix: str, send: Any) -> None:
        """Sends one thing after the other, each until it is acknowledged; runs until cancelled."""
        for number in range(1_000_000):
            title = f"{prefix} {number}"
            while True:
                await self.up.wait()
                try:
                    status = await send(title)
                except GOES_AWAY:
                    await asyncio.sleep(0)
                    continue
                assert 200 <= status < 300, f"{title} was answered {status}"
                break
            self.acknowledged.append(title)

    async def grows(self, by: int) -> None:
        wanted = len(self.acknowledged) + by
        await until(lambda: len(self.acknowledged) >= wanted, within=SOON)


@dataclass
class Log:
    """The entries there are, by id, as somebody knows them who reads the changes since the beginning."""

    client: httpx2.AsyncClient
    position: int = 0
    titles: dict[str, str] = field(default_factory=dict)

    async def read(self) -> set[str]:
        """Reads what is new; returns all titles."""
        while True:
            page = (await self.client.get("/api/entries", params={"after": self.position, "limit": 200})).json()
            self.titles.update({entry["id"]: entry["title"] for entry in page["entries"]})
            self.position = page["seq"]
            if not page["entries"]:
                return set(self.titles.values())

    async def has(self, wanted: set[str]) -> None:
        """Waits until all of these are there."""

        async def there() -> bool:
            return wanted <= await self.read()

        await comes(there, within=SOON)


def document(*titles: str) -> bytes:
    entries = "".join(
        f"<entry><id>urn:e:{title}</id><title>{title}</title><updated>2026-01-01T00:00:00Z</updated></entry>"
        for title in titles
    )
    return f'<feed xmlns="http://www.w3.org/2005/Atom"><id>urn:f</id><title>Blog</title>{entries}</feed>'.encode()


@asynccontextmanager
async def followed(folder: Path) -> AsyncIterator[Followed]:
    """A lifestream whose source `blog` is pushed."""
    publisher, hub = Publisher(), FakeHub()
    async with serving(publisher.app) as site_url, serving(hub.app) as hub_url, Process(folder) as stream:
        url = f"{site_url}/feed"
        publisher.publish("/feed", document("history"))
        publisher.headers["/feed"] = {"Link": f'<{hub_url}>; rel="hub", <{url}>; rel="self"'}
        await stream.run("source", "add", url, "--slug", "blog")
        await until(hub.subscribed.is_set, within=SOON)
        yield Followed(stream, publisher, hub, url)


async def blog(client: httpx2.AsyncClient) -> dict[str, Any]:
    found: dict[str, Any] = (await client.get("/api/sources/blog")).json()
    return found


def rows(stream: Process, table: str) -> int:
    """How many rows a table of a server that does not run has."""
    connection = sqlite3.connect(f"file:{stream.folder / 'lifestream.sqlite3'}?mode=ro", uri=True)
    try:
        return int(connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0])
    finally:
        connection.close()


async def follow(stream: Process, up: asyncio.Event, heard: list[dict[str, Any]], position: int) -> None:
    """Listens from `position` on, and again from where it was when the connection is lost; runs until cancelled."""
    while True:
        await up.wait()
        try:
            async with stream.live(f"?after={position}") as live:
                assert live.position == position and not live.heard[0]["reset"]
                while True:
                    message = await live.next()
                    if message["type"] == "entry":
                        heard.append(message["entry"])
                        position = live.position
        except (*GOES_AWAY, TimeoutError):
            await asyncio.sleep(0)


async def test_whatever_was_acknowledged_is_there_once_however_often_the_server_is_killed(tmp_path: Path) -> None:
    async with followed(tmp_path) as site, site.stream.client("write") as client:
        ledger = Ledger(site.stream)
        heard: list[dict[str, Any]] = []

        async def post(title: str) -> int:
            key = {"Idempotency-Key": title}
            return (await client.post("/api/entries", json={"title": title}, headers=key)).status_code

        writers = [ledger.write(f"pushed {one}", lambda title: site.push(client, title)) for one in range(4)]
        writers += [ledger.write(f"posted {one}", post) for one in range(4)]
        start = (await client.get("/api/entries")).json()["seq"]
        async with asyncio.TaskGroup() as tasks:
            running = [tasks.create_task(one) for one in writers]
            running.append(tasks.create_task(follow(site.stream, ledger.up, heard, start)))
            for _ in range(ROUNDS):
                ledger.up.set()
                await ledger.grows(random.randint(1, 200))
                ledger.up.clear()
                site.stream.kill()
                await site.stream.start()
            for writer in running[:-1]:
                writer.cancel()
            ledger.up.set()
            log = Log(client)
            await log.has(set(ledger.acknowledged))
            await until(lambda: heard and heard[-1]["seq"] == log.position, within=SOON)
            running[-1].cancel()

        there = Counter(log.titles.values())
        assert [title for title, count in there.items() if count > 1] == []
        sequence = [entry["seq"] for entry in heard]
        assert sequence == sorted(set(sequence)), "the follower heard each once, in order"
        assert Counter(entry["title"] for entry in heard) == there - Counter(["history"])


async def test_what_was_acknowledged_and_not_yet_worked_off_is_worked_off_after_a_kill(tmp_path: Path) -> None:
    async with followed(tmp_path) as site, site.stream.client() as client:
        before = await blog(client)
        wanted = {f"{number} {one}" for number in range(40) for one in range(50)}
        pushes = (site.push(client, *(f"{number} {one}" for one in range(50))) for number in range(40))
        assert set(await asyncio.gather(*pushes)) == {202}
        site.stream.kill()
        assert rows(site.stream, "inbox") > 0, "there was work left"

        await site.stream.start()
        log = Log(client)
        await log.has(wanted)
        assert len(log.titles) == len(wanted) + 1
        after = await blog(client)
        kept = ("state", "delivery", "hub_url", "topic", "lease_expires")
        assert {name: after[name] for name in kept} == {name: before[name] for name in kept}
        assert await site.push(client, "later") == 202, "the subscription is as good as before"
        assert len(site.hub.asked) == 1


async def test_a_look_that_was_cut_off_is_taken_again_after_the_restart(tmp_path: Path) -> None:
    asked, answers = asyncio.Event(), asyncio.Event()

    async def feed(_request: Request) -> Response:
        asked.set()
        await answers.wait()
        return Response(document("here at last"), media_type="application/atom+xml")

    async with serving(Starlette(routes=[Route("/feed", feed)])) as url, Process(tmp_path) as stream:
        await stream.run("source", "add", f"{url}/feed", "--slug", "blog")
        await asyncio.wait_for(asked.wait(), SOON)
        stream.kill()
        answers.set()
        await stream.start()
        async with stream.client() as client:

            async def active() -> bool:
                return bool((await blog(client))["state"] == "active")

            await comes(active, within=SOON)
            assert await Log(client).read() == {"here at last"}


async def test_a_delivery_that_was_cut_off_is_made_after_the_restart(tmp_path: Path) -> None:
    secret = "between us"
    hangs, reached = asyncio.Event(), asyncio.Event()
    given: list[tuple[bytes, str]] = []

    async def callback(request: Request) -> Response:
        if request.method == "GET":
            return PlainTextResponse(request.query_params["hub.challenge"])
        given.append((await request.body(), request.headers["x-hub-signature"]))
        reached.set()
        if not hangs.is_set():
            await hangs.wait()
        return Response(status_code=204)

    app = Starlette(routes=[Route("/callback", callback, methods=["GET", "POST"])])
    async with serving(app) as url, Process(tmp_path) as stream, stream.client("write") as client:
        form = {
            "hub.mode": "subscribe", "hub.topic": f"{stream.url}/feed.atom", "hub.callback": f"{url}/callback",
            "hub.secret": secret,
        }  # fmt: skip
        assert (await client.post("/hub", data=form)).status_code == 202
        await stream.says("hub verified")
        await client.post("/api/entries", json={"title": "News"})
        await asyncio.wait_for(reached.wait(), SOON)
        stream.kill()
        hangs.set()
        await stream.start()
        await stream.says("status=delivered")

        first, again = given
        assert again == first, "the same document, with the same signature"
        assert b"News" in again[0]
        assert check_hub_signature(again[1], again[0], secret) == "right"


async def test_sigterm_sends_open_streams_away_to_come_back_and_the_next_start_goes_on(tmp_path: Path) -> None:
    async with Process(tmp_path) as stream, stream.client("write") as client:
        async with stream.live() as one, stream.live("?kind=note") as another, stream.live("?after=0") as third:
            for number in range(20):
                await client.post("/api/entries", json={"content_text": f"Note {number}", "kind": "note"})
            assert await stream.stop(within=SECONDS_TO_END) == 0
            assert [await close_code(live) for live in (one, another, third)] == [1012] * 3
            last = another.position
            assert one.position == third.position == last
        assert "error" not in stream.log() and "Traceback" not in stream.log()

        await stream.start()
        async with stream.live(f"?after={last}") as live:
            assert live.position == last
            await client.post("/api/entries", json={"content_text": "Back again"})
            assert (await live.entry())["summary"] == "Back again"
        assert "error" not in stream.log() and "Traceback" not in stream.log()
        assert await stream.stop(within=SECONDS_TO_END) == 0


async def close_code(live: Live) -> int | None:
    """What the server closed a stream with, once it has been read to its end."""
    with pytest.raises(ConnectionClosed) as closed:
        while True:
            await live.next()
    return closed.value.rcvd.code if closed.value.rcvd else None
