"""A process of its own in which pictures are made: slow work, on strangers' files, with libraries that promise nothing.

It is started when there is something to do and ends when there was nothing for a while. It yields to everything else on
the machine, has a memory limit, and is killed when one picture takes too long. It is told lengths and bytes, and
answers with a line of JSON and bytes: nothing that it says is taken for more than data.
"""

import asyncio
import json
import os
import sys
from asyncio.subprocess import DEVNULL, PIPE, Process
from contextlib import suppress
from typing import BinaryIO

from lifestream.errors import UnfitPicture
from lifestream.protocol.pictures import Developed

SECONDS = 20.0
IDLE_SECONDS = 30.0
MEMORY = 1024**3
"""Address space, in bytes: fifty million pixels take some 200 MB, and are held twice."""
NICE = 10
_LENGTH = 8


class Darkroom:
    """One process, one picture at a time. Close it with `aclose()`."""

    def __init__(self, seconds: float = SECONDS) -> None:
        self._seconds = seconds
        self._turn = asyncio.Lock()
        self._process: Process | None = None
        self._idle: asyncio.TimerHandle | None = None

    async def develop(self, body: bytes) -> Developed:
        """The picture in the sizes that are kept. Raises UnfitPicture."""
        async with self._turn:
            self._keep_open()
            process = self._process = self._process or await _started()
            try:
                async with asyncio.timeout(self._seconds):
                    made = await _asked(process, body)
            except TimeoutError:
                await self._kill()
                raise UnfitPicture(f"It took longer than {self._seconds:g} s to read.") from None
            except (EOFError, ConnectionError):
                await self._kill()
                raise UnfitPicture("It broke the program that reads pictures.") from None
            except asyncio.CancelledError:
                await self._kill()
                raise
            except UnfitPicture:
                self._close_later()
                raise
            self._close_later()
            return made

    async def aclose(self) -> None:
        self._keep_open()
        await self._kill()

    def _keep_open(self) -> None:
        if self._idle:
            self._idle.cancel()
            self._idle = None

    def _close_later(self) -> None:
        self._idle = asyncio.get_running_loop().call_later(IDLE_SECONDS, self._close)

    def _close(self) -> None:
        """It ends when it hears no more."""
        if self._process and self._process.stdin:
            self._process.stdin.close()
        self._process = None

    async def _kill(self) -> None:
        process, self._process = self._process, None
        if process:
            with suppress(ProcessLookupError):
                process.kill()
            await process.wait()


async def _started() -> Process:
    return await asyncio.create_subprocess_exec(
        sys.executable, "-m", "lifestream.darkroom", stdin=PIPE, stdout=PIPE, stderr=DEVNULL
    )


async def _asked(process: Process, body: bytes) -> Developed:
    assert process.stdin and process.stdout
    process.stdin.write(len(body).to_bytes(_LENGTH) + body)
    await process.stdin.drain()
    line = await process.stdout.readline()
    if not line.endswith(b"\n"):
        raise EOFError
    answer = json.loads(line)
    if "unfit" in answer:
        raise UnfitPicture(answer["unfit"])
    files = [await process.stdout.readexactly(size) for size in answer["files"]]
    return Developed(answer["width"], answer["height"], tuple(files))


# -- in the process ---------------------------------------------------------------------------


def _work(source: BinaryIO, target: BinaryIO) -> None:
    """Answers until it is told nothing more."""
    from lifestream.clean.pictures import developed  # here alone: its library takes a twentieth of a second to import

    while length := source.read(_LENGTH):
        try:
            made = developed(source.read(int.from_bytes(length)))
        except UnfitPicture as error:
            _say(target, {"unfit": str(error)})
        else:
            _say(target, {"width": made.width, "height": made.height, "files": [len(file) for file in made.files]})
            target.writelines(made.files)
        target.flush()


def _say(target: BinaryIO, answer: dict[str, object]) -> None:
    target.write(json.dumps(answer).encode() + b"\n")


def _humbly() -> None:
    """After everything else on this machine, and with no more memory than a picture may take."""
    with suppress(ImportError, OSError, ValueError, AttributeError):
        import resource

        os.nice(NICE)
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))


if __name__ == "__main__":
    _humbly()
    _work(sys.stdin.buffer, sys.stdout.buffer)
