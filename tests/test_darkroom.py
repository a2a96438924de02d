"""The process in which pictures are made: what becomes of it, and of what is given to it."""

import asyncio
import signal

import pytest

from lifestream import darkroom
from lifestream.darkroom import Darkroom
from lifestream.errors import UnfitPicture
from tests.fakes import until
from tests.paintings import bomb, painted


async def test_one_process_makes_one_picture_after_the_other() -> None:
    room = Darkroom()
    made = await asyncio.gather(*(room.develop(painted(width, 100)) for width in (300, 700)))
    process = room._process
    assert [one.width for one in made] == [300, 700]
    with pytest.raises(UnfitPicture, match="pixels"):
        await room.develop(bomb(8000, 8000))
    assert room._process is process
    await room.aclose()


async def test_a_picture_that_takes_too_long_is_given_up_and_the_next_one_made() -> None:
    room = Darkroom(seconds=0.0)
    with pytest.raises(UnfitPicture, match="longer"):
        await room.develop(painted())
    room._seconds = 20.0
    assert (await room.develop(painted())).width == 900
    await room.aclose()


async def test_a_process_that_dies_takes_one_picture_with_it() -> None:
    room = Darkroom()
    await room.develop(painted())
    assert room._process
    room._process.send_signal(signal.SIGSTOP)
    making = asyncio.create_task(room.develop(painted()))
    await until(room._turn.locked)
    room._process.kill()
    with pytest.raises(UnfitPicture, match="broke"):
        await making
    assert (await room.develop(painted())).width == 900
    await room.aclose()


async def test_it_ends_when_there_is_nothing_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(darkroom, "IDLE_SECONDS", 0.01)
    room = Darkroom()
    await room.develop(painted())
    process = room._process
    assert process
    assert await process.wait() == 0
    assert (await room.develop(painted())).width == 900
    await room.aclose()


async def test_it_yields_to_everything_else_and_has_a_limit() -> None:
    room = Darkroom()
    await room.develop(painted())
    assert room._process
    about = f"/proc/{room._process.pid}"
    with open(f"{about}/stat") as stat, open(f"{about}/limits") as limits:
        assert int(stat.read().rpartition(")")[2].split()[16]) >= darkroom.NICE
        assert str(darkroom.MEMORY) in limits.read()
    await room.aclose()


async def test_whoever_stops_waiting_leaves_no_process_behind() -> None:
    room = Darkroom()
    making = asyncio.create_task(room.develop(painted(4000, 3000)))
    await until(lambda: room._process)
    process = room._process
    making.cancel()
    await asyncio.gather(making, return_exceptions=True)
    assert process and process.returncode is not None and room._process is None
    await room.aclose()
