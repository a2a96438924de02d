"""A process of its own for strangers' documents, which may be killed: hostile input must not stall the live page.

Repairs, feedparser and the sanitiser promise nothing, so they run against a deadline and under a memory limit.
"""

import math
from collections.abc import Callable
from typing import TypeVar, TypeVarTuple

import anyio
from anyio import BrokenWorkerProcess, CapacityLimiter, to_process
from anyio.lowlevel import RunVar

from lifestream.errors import ParseError, ParseTimeout

MEMORY = 1024 * 1024 * 1024
"""Address space of a worker, in bytes. An idle one has about 100 MB of it."""
WORKERS = 2

Arguments = TypeVarTuple("Arguments")
Answer = TypeVar("Answer")

_free: RunVar[CapacityLimiter] = RunVar("lifestream.parse.worker")


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
