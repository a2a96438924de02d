"""Where documents are read: small well-formed ones in place, all others in a process of their own that may be killed.

Hostile input must not stall the live page. A document of `IN_PLACE` bytes is read in half a millisecond, the worst that
could be thought of in 15, while a warm worker answers in one; larger ones take the worker no longer than us. Repairs
and feedparser promise nothing, so they run against a deadline and under a memory limit.
"""

import math
from collections.abc import Callable
from typing import TypeVar, TypeVarTuple

import anyio
from anyio import BrokenWorkerProcess, CapacityLimiter, to_process
from anyio.lowlevel import RunVar

from lifestream.errors import ParseError, ParseTimeout
from lifestream.parse import parse, parse_well_formed
from lifestream.types import Feed

IN_PLACE = 16 * 1024
MEMORY = 1024 * 1024 * 1024
"""Address space of a worker, in bytes. An idle one has about 100 MB of it."""
WORKERS = 2

Arguments = TypeVarTuple("Arguments")
Answer = TypeVar("Answer")

_free: RunVar[CapacityLimiter] = RunVar("lifestream.parse.worker")


async def parse_document(
    body: bytes, media_type: str, url: str, *, timeout: float = 10.0, memory: int = MEMORY
) -> Feed:
    """The feed in this document. `ParseTimeout` when reading it took too long or too much memory, else `ParseError`."""
    if len(body) <= IN_PLACE:
        try:
            if (feed := parse_well_formed(body, media_type, url)) is not None:
                return feed
        except (ValueError, TypeError, AttributeError, LookupError, RecursionError, AssertionError) as error:
            raise ParseError(f"The document could not be read: {type(error).__name__}.") from error
    return await in_worker(parse, body, media_type, url, timeout=timeout, memory=memory)


async def in_worker(
    work: Callable[[*Arguments], Answer], *arguments: *Arguments, timeout: float = 10.0, memory: int = MEMORY
) -> Answer:
    """`work` in a worker process, which is killed when time is up. Waiting for a free worker is not counted.

    `work` and its arguments travel by pickle; what it raises becomes a `ParseError`.
    """
    async with _limiter():
        try:
            with anyio.fail_after(timeout):
                return await to_process.run_sync(
                    _bounded, work, memory, *arguments, cancellable=True, limiter=CapacityLimiter(math.inf)
                )
        except TimeoutError as error:
            raise ParseTimeout(f"Reading the document took longer than {timeout:g} s; it was given up.") from error
        except BrokenWorkerProcess as error:
            raise ParseError("Reading the document broke the reader; the document was given up.") from error


def _bounded(work: Callable[[*Arguments], Answer], memory: int, *arguments: *Arguments) -> Answer:
    """Runs in the worker. Whatever a stranger's document makes a library raise ends here as a `ParseError`."""
    _limit_memory(memory)
    try:
        return work(*arguments)
    except ParseError as error:
        raise type(error)(str(error)) from None  # causes may hold what cannot travel between processes
    except MemoryError:
        raise ParseTimeout("Reading the document took too much memory; it was given up.") from None
    except Exception as error:
        raise ParseError(f"The document could not be read: {type(error).__name__}.") from None


def _limit_memory(memory: int) -> None:
    """RLIMIT_AS where the system has it; the hard limit stays, so that a later call may ask for more."""
    try:
        import resource

        resource.setrlimit(resource.RLIMIT_AS, (memory, resource.getrlimit(resource.RLIMIT_AS)[1]))
    except (ImportError, ValueError, OSError):
        pass


def _limiter() -> CapacityLimiter:
    """One for each event loop; anyio keeps as many workers warm as were ever busy at once."""
    try:
        return _free.get()
    except LookupError:
        made = CapacityLimiter(WORKERS)
        _free.set(made)
        return made
