"""`lifestream demo`, as a newcomer starts it."""

import asyncio
from pathlib import Path

import pytest

from tests.e2e.processes import SOON, Process

pytestmark = pytest.mark.slow

SECONDS_TO_MOVE = 10.0
ENOUGH_SOURCES = 3


async def test_the_demo_moves_within_ten_seconds_and_leaves_nothing_behind(tmp_path: Path) -> None:
    async with Process(tmp_path, "demo", data_dir="", allow_networks="") as demo:
        async with demo.live() as live, asyncio.timeout(SOON):
            first = await asyncio.wait_for(live.entry(), SECONDS_TO_MOVE)
            seen = {first["source"]["slug"]}
            while len(seen) < ENOUGH_SOURCES:
                seen.add((await live.entry())["source"]["slug"])

        async with demo.client() as client:
            page = (await client.get("/")).text
            assert page.count("<article") >= ENOUGH_SOURCES
            sources = (await client.get("/api/sources")).json()
            followed = [one for one in sources if one["delivery"] != "local"]
            assert {one["delivery"] for one in followed} == {"websub"}
            assert {one["last_error"] for one in followed} == {None}
        assert await demo.stop() == 0
        assert "error" not in demo.log() and "Traceback" not in demo.log()
    assert {one.name for one in tmp_path.iterdir()} == {"process.log"}, "it leaves nothing behind"
