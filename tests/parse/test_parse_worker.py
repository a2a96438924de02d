"""Documents that are large or broken are read elsewhere, and given up in time."""

import os
import time
from collections.abc import Callable

import anyio
import pytest

from lifestream.errors import ParseError, ParseTimeout
from lifestream.parse import worker
from lifestream.parse.worker import IN_PLACE, MEMORY, in_worker, parse_document
from lifestream.types import Feed

MB = 1024 * 1024
URL = "https://b.example/feed"
SMALL = b'<feed xmlns="http://www.w3.org/2005/Atom"><title>Small</title></feed>'
LARGE = (
    b"<rss><channel><title>Large</title><item><description>"
    + b"x" * IN_PLACE
    + b"</description></item></channel></rss>"
)
BROKEN = b"<rss><channel><title>Broken</title><item><title>AT&T</title></item></channel></rss>"


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


async def test_a_small_document_is_read_in_place(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker, "in_worker", None)
    assert (await parse_document(SMALL, "", URL)).title == "Small"


async def test_large_and_broken_documents_are_read_in_the_worker() -> None:
    assert (await parse_document(LARGE, "", URL)).title == "Large"
    broken = await parse_document(BROKEN, "", URL)
    assert (broken.title, broken.damaged) == ("Broken", True)


async def test_what_is_no_feed_is_refused_from_the_worker_too() -> None:
    with pytest.raises(ParseError, match="HTML page"):
        await parse_document(b"<!doctype html>" + b"x" * IN_PLACE, "", URL)


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
    assert (await parse_document(LARGE, "", URL)).title == "Large"


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
