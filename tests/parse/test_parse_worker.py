"""What may take long is done elsewhere, and given up in time."""

import os
import time
from collections.abc import Callable

import anyio
import pytest

from lifestream.errors import ParseError, ParseTimeout
from lifestream.parse import worker
from lifestream.parse.worker import MEMORY, in_worker
from lifestream.types import Feed

MB = 1024 * 1024
URL = "https://b.example/feed"


def never_ends(body: bytes, media_type: str, url: str) -> Feed:
    while True:
        pass


def eats_memory(body: bytes, media_type: str, url: str) -> Feed:
    return Feed("atom", title=str(len([bytearray(64 * MB) for _ in range(1024)])))


def dies(body: bytes, media_type: str, url: str) -> Feed:
    os._exit(3)


def raises(body: bytes, media_type: str, url: str) -> Feed:
    raise UnicodeDecodeError("utf-8", b"x", 0, 1, "as feedparser does")


def names_its_process(body: bytes, media_type: str, url: str) -> Feed:
    return Feed("atom", title=str(os.getpid()))


async def test_a_reader_that_never_ends_is_killed_while_others_go_on() -> None:
    turns = 0

    async def others() -> None:
        nonlocal turns
        while True:
            await anyio.lowlevel.checkpoint()
            turns += 1

    started = time.monotonic()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(others)
        with pytest.raises(ParseTimeout, match="longer than 0.5 s"):
            await in_worker(never_ends, b"", "", URL, timeout=0.5, memory=MEMORY)
        tasks.cancel_scope.cancel()
    assert turns > 1000
    assert time.monotonic() - started < 5
    assert (await in_worker(names_its_process, b"", "", URL, timeout=5, memory=MEMORY)).title


async def test_a_reader_that_eats_memory_is_stopped() -> None:
    with pytest.raises(ParseTimeout, match="memory"):
        await in_worker(eats_memory, b"", "", URL, timeout=10, memory=512 * MB)


@pytest.mark.parametrize(("reader", "said"), [(dies, "broke the reader"), (raises, "UnicodeDecodeError")])
async def test_a_reader_that_fails_is_one_sentence(reader: Callable[[bytes, str, str], Feed], said: str) -> None:
    with pytest.raises(ParseError, match=said):
        await in_worker(reader, b"", "", URL, timeout=10, memory=MEMORY)


async def test_the_worker_is_kept_warm_and_is_another_process() -> None:
    first = await in_worker(names_its_process, b"", "", URL, timeout=10, memory=MEMORY)
    second = await in_worker(names_its_process, b"", "", URL, timeout=10, memory=MEMORY)
    assert first.title == second.title != str(os.getpid())


async def test_waiting_for_a_free_worker_does_not_count() -> None:
    done: list[str] = []

    async def read() -> None:
        done.append((await in_worker(names_its_process, b"", "", URL, timeout=5, memory=MEMORY)).title)

    async with anyio.create_task_group() as tasks:
        for _ in range(6):
            tasks.start_soon(read)
    assert len(done) == 6
    assert len(set(done)) <= worker.WORKERS
