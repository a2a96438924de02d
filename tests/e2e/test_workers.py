"""`serve --workers`: several processes that are one to whoever looks."""

import os
import re
import signal
from collections import Counter
from contextlib import AsyncExitStack
from pathlib import Path

import httpx2
import pytest
from websockets.exceptions import ConnectionClosed

from tests.documents import atom, entry
from tests.e2e.processes import SOON, Live, Process, environ, lifestream
from tests.fakes import Publisher, comes, serving
from tests.living import on_postgresql
from tests.redis_server import RedisServer

pytestmark = [pytest.mark.slow, on_postgresql]

SECONDS_TO_END = 8.0
STREAMS = 12
ENTRIES = 30


def several(folder: Path, database: str, redis: RedisServer) -> Process:
    return Process(folder, "serve", "--workers", "2", database_url=database, redis_url=redis.url)


async def pids(stream: Process, starts: int) -> list[int]:
    """Of the processes in the order of their starts, once so many were started."""
    await stream.says(r"(?s)" + ".*status=started" * starts)
    return [int(pid) for pid in re.findall(r"pid=(\d+) status=started", stream.log())]


async def close_code(live: Live) -> int | None:
    with pytest.raises(ConnectionClosed) as closed:
        while True:
            await live.next()
    return closed.value.rcvd.code if closed.value.rcvd else None


async def test_processes_that_die_come_back_and_meanwhile_the_others_serve(
    tmp_path: Path, database: str, redis: RedisServer
) -> None:
    async with several(tmp_path, database, redis) as stream:
        started = await pids(stream, 2)
        async with stream.client("write") as client:
            for number, pid in enumerate(started):
                os.kill(pid, signal.SIGKILL)
                for _ in range(5):
                    answer = await comes(lambda: _asked(client), within=SOON)
                    assert answer.status_code == 200
                started = await pids(stream, 3 + number)
                assert f"why=-{int(signal.SIGKILL)}" in stream.log()
        assert stream.log().count(" is at http") == 1
        assert await stream.stop(within=SECONDS_TO_END) == 0


async def _asked(client: httpx2.AsyncClient) -> httpx2.Response | None:
    """None when the connection was one of a process that died."""
    try:
        return await client.get("/api/entries")
    except httpx2.TransportError:
        return None


async def test_what_is_written_through_one_is_told_by_all_and_sigterm_ends_all(
    tmp_path: Path, database: str, redis: RedisServer
) -> None:
    async with (
        several(tmp_path, database, redis) as stream,
        stream.client("write") as client,
        AsyncExitStack() as opened,
    ):
        await pids(stream, 2)
        lives = [await opened.enter_async_context(stream.live()) for _ in range(STREAMS)]
        await client.post("/api/entries", json={"content_text": "Through the API"})
        await stream.run("post", "From the command line")
        for live in lives:
            assert (await live.entry())["summary"] == "Through the API"
            assert (await live.entry())["summary"] == "From the command line"
        assert await stream.stop(within=SECONDS_TO_END) == 0
        assert Counter([await close_code(live) for live in lives]) == {1012: STREAMS}
        assert "error" not in stream.log() and "Traceback" not in stream.log()


async def test_the_processes_end_when_the_one_that_started_them_is_killed(
    tmp_path: Path, database: str, redis: RedisServer
) -> None:
    async with several(tmp_path, database, redis) as stream, AsyncExitStack() as opened:
        await pids(stream, 2)
        lives = [await opened.enter_async_context(stream.live()) for _ in range(STREAMS)]
        stream.kill()
        assert Counter([await close_code(live) for live in lives]) == {1012: STREAMS}

        async def nobody_listens() -> bool:
            try:
                async with httpx2.AsyncClient() as client:
                    await client.get(f"{stream.url}/healthz")
            except httpx2.ConnectError:
                return True
            except httpx2.TransportError:  # it was still in the queue when the last one ended
                pass
            return False

        await comes(nobody_listens, within=SOON)


async def test_they_share_the_background_work(tmp_path: Path, database: str, redis: RedisServer) -> None:
    publisher = Publisher()
    publisher.publish("/blog", atom(*(entry(number, "Long " * 200) for number in range(ENTRIES))))
    async with serving(publisher.app) as url, several(tmp_path, database, redis) as stream:
        await stream.run("source", "add", f"{url}/blog", "--slug", "blog")
        async with stream.client("read") as client:

            async def all_there() -> bool:
                found = (await client.get("/api/entries?source=blog&limit=200")).json()
                return len(found["entries"]) == ENTRIES

            await comes(all_there, within=SOON)
        assert "Traceback" not in stream.log()


@pytest.mark.parametrize("redis_url", ["", "redis://:hunter2@127.0.0.1/?colour=blue"])
def test_no_redis_or_one_that_can_never_be_is_one_line(tmp_path: Path, database: str, redis_url: str) -> None:
    settings = environ(database_url=database, redis_url=redis_url)
    ended = lifestream("serve", "--workers", "2", "--port", "0", cwd=tmp_path, env=settings)
    assert ended.returncode == 1 and ended.stdout == ""
    assert "LIFESTREAM_REDIS_URL" in ended.stderr and ended.stderr.count("\n") == 1, ended.stderr
    assert "hunter2" not in ended.stderr
