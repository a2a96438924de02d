"""`serve --workers N`: several processes that share one listening socket, each as `serve` alone would be.

The parent listens, migrates and says where it is; then it starts processes, and starts anew what dies. Each of them has
the end of a pipe that closes when the parent ends, in whatever way, and ends with it as it would on SIGTERM.
"""

import asyncio
import signal
import socket
import sys
from multiprocessing import get_context, resource_tracker
from multiprocessing.connection import Connection
from time import monotonic

from sqlalchemy.exc import SQLAlchemyError

from lifestream import log
from lifestream.config import Config
from lifestream.errors import LifestreamError
from lifestream.serve import GRACE_SECONDS, announce, as_many_files_as_allowed, bound, run_loop, serve_on
from lifestream.site import Site
from lifestream.store.migrate import migrate

logger = log.get_logger(__name__)

END_SECONDS = GRACE_SECONDS + 6
SHORTEST_PAUSE, LONGEST_PAUSE = 0.1, 30.0
"""Seconds before a process that died is started anew."""
STEADY = 10.0
"""One that lived so many seconds is not taken for one that dies at its start."""

spawning = get_context("spawn")


def supervise(config: Config, *, host: str, port: int, background: bool, workers: int) -> None:
    """Serves until SIGTERM or SIGINT. Raises SetupError when the port is taken or the database cannot be used."""
    as_many_files_as_allowed()
    config, listening = bound(config, host, port)
    run_loop(_supervise(config, listening, background, workers))


async def _supervise(config: Config, listening: socket.socket, background: bool, workers: int) -> None:
    site = Site.open(config)
    try:
        await migrate(site.store)
        await site.prepare()
        await announce(site)
    finally:
        await site.aclose()
    stop = asyncio.Event()
    for one in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(one, stop.set)
    keeping = [asyncio.create_task(_keep(number + 1, config, listening, background)) for number in range(workers)]
    await stop.wait()
    listening.close()
    for task in keeping:
        task.cancel()
    await asyncio.gather(*keeping, return_exceptions=True)


async def _keep(number: int, config: Config, listening: socket.socket, background: bool) -> None:
    """Has one process running until cancelled."""
    pause = SHORTEST_PAUSE
    while True:
        began = monotonic()
        try:
            why: object = await _one(number, config, listening, background)
        except OSError as error:  # there was no memory to start it, say
            why = error.strerror
        pause = next_pause(pause, monotonic() - began)
        logger.warning("process", number=number, status="ended", why=why, again_in=pause)
        await asyncio.sleep(pause)


def next_pause(pause: float, lived: float) -> float:
    return SHORTEST_PAUSE if lived > STEADY else min(pause * 2, LONGEST_PAUSE)


async def _one(number: int, config: Config, listening: socket.socket, background: bool) -> int | None:
    """The exit code of a process that ended by itself. Cancelled, it ends the process."""
    child = _Child(config, listening, background)
    logger.info("process", number=number, status="started", pid=child.process.pid)
    try:
        await child.ended.wait()
    finally:
        await child.end()
    return child.process.exitcode


class _Child:
    def __init__(self, config: Config, listening: socket.socket, background: bool) -> None:
        theirs, self._ours = spawning.Pipe(duplex=False)
        self.process = spawning.Process(target=_serve, args=(config, listening, background, theirs))
        # Ctrl-C goes to all processes of a terminal; the parent alone is to mind it, so the others inherit it blocked.
        # multiprocessing's own helper unblocks it as it starts: so it goes first.
        resource_tracker.ensure_running()
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        try:
            self.process.start()
        finally:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
        theirs.close()
        self.ended = asyncio.Event()
        asyncio.get_running_loop().add_reader(self.process.sentinel, self._reap)

    def _reap(self) -> None:
        asyncio.get_running_loop().remove_reader(self.process.sentinel)
        self.process.join()
        self.ended.set()

    async def end(self) -> None:
        self._ours.close()
        try:
            await asyncio.wait_for(self.ended.wait(), END_SECONDS)
        except TimeoutError:
            self.process.kill()
            await self.ended.wait()


# -- in the process that serves ---------------------------------------------------------------


def _serve(config: Config, listening: socket.socket, background: bool, parent: Connection) -> None:
    log.configure(config.log_format)
    try:
        run_loop(_serve_until_the_parent_ends(config, listening, background, parent))
    except (LifestreamError, SQLAlchemyError) as error:
        logger.error("process", status="failed", error=str(error).splitlines()[0])
        sys.exit(1)


async def _serve_until_the_parent_ends(
    config: Config, listening: socket.socket, background: bool, parent: Connection
) -> None:
    loop = asyncio.get_running_loop()

    def ends() -> None:
        loop.remove_reader(parent.fileno())
        signal.raise_signal(signal.SIGTERM)

    loop.add_reader(parent.fileno(), ends)
    await serve_on(config, listening, background=background, announces=False)
