"""A lifestream in a process of its own, as its users run it, and what is asked of it over the wire.

It starts warm (tests/warm.py); a `ColdProcess` starts from nothing, as it does at its users'.
"""

import asyncio
import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, Self

import httpx2
from websockets.asyncio.client import ClientConnection, connect

from tests import warm
from tests.fakes import until

SOON = 20.0
"""Seconds within which all that is awaited here happens, on a busy machine too."""
LOOPBACK = "127.0.0.0/8"
PROGRAM = (sys.executable, "-m", "lifestream")

Message = dict[str, Any]


class Process:
    """`lifestream serve`, or another command that listens, with its data in `folder`; killed when left.

    It keeps its port when it is started again. Keywords are settings: `title="Mara"` is LIFESTREAM_TITLE.
    """

    def __init__(self, folder: Path, *command: str, **settings: str) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self.command = command or ("serve",)
        self.environ = environ(**({"data_dir": str(folder), "allow_networks": LOOPBACK} | settings))
        self.url = ""
        self._log = folder / "process.log"
        self._log_starts = 0
        self._process: subprocess.Popen[bytes] | warm.Process | None = None

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.kill()
        if error is not None:
            print(f"--- the log of {self.folder} ---\n{self._log.read_text()}")

    async def start(self) -> None:
        """Starts it, again if need be, and waits until it says where it is."""
        port = self.url.rpartition(":")[2] or "0"
        with self._log.open("ab") as log:
            self._log_starts = log.tell()
            self._process = self._begin([*self.command, "--port", port], log)
        self.url = (await self.says(r" is at (http://\S+)\n"))[1]

    def _begin(self, arguments: list[str], log: BinaryIO) -> "subprocess.Popen[bytes] | warm.Process":
        with open(os.devnull) as nothing:
            return warm.Process(arguments, cwd=self.folder, env=self.environ, files=(nothing, log, log))

    async def says(self, pattern: str) -> re.Match[str]:
        """Waits until the log since the start has a match."""
        found: list[re.Match[str]] = []

        def said() -> bool:
            match = re.search(pattern, self.log())
            found.extend([match] if match else [])
            assert match or self.exit_code is None, f"it ended with {self.exit_code} and said:\n{self.log()}"
            return bool(match)

        await until(said, within=SOON)
        return found[0]

    def log(self) -> str:
        """What it printed since it was started, out and error."""
        return self._log.read_bytes()[self._log_starts :].decode()

    @property
    def exit_code(self) -> int | None:
        """None while it runs."""
        return self._process.poll() if self._process else None

    def kill(self) -> None:
        """As when the power goes: no time for a last word."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    async def stop(self, within: float = SOON) -> int:
        """Asks it to end, as an init system does; returns the exit code."""
        assert self._process is not None
        self._process.send_signal(signal.SIGTERM)
        await until(lambda: self.exit_code is not None, within=within)
        return self._process.wait()

    async def run(self, *arguments: str) -> str:
        """Runs another command beside the server, on its data; returns what it prints."""
        ended = await asyncio.to_thread(warm.run, arguments, cwd=self.folder, env=self.environ, within=SOON)
        assert ended.returncode == 0, f"lifestream {' '.join(arguments)} said: {ended.stderr}"
        return ended.stdout

    async def token(self, scope: str) -> dict[str, str]:
        """The header of a fresh token."""
        token = await self.run("token", "create", scope, "--scope", scope)
        return {"Authorization": f"Bearer {token.strip()}"}

    @asynccontextmanager
    async def client(self, scope: str = "") -> AsyncIterator[httpx2.AsyncClient]:
        """An HTTP client of this server, with a token if a scope is given."""
        headers = await self.token(scope) if scope else {}
        async with httpx2.AsyncClient(base_url=self.url, headers=headers, timeout=SOON) as client:
            yield client

    @asynccontextmanager
    async def live(self, query: str = "") -> AsyncIterator["Live"]:
        """An open WebSocket that was said hello to."""
        address = f"{self.url.replace('http', 'ws', 1)}/live{query}"
        async with connect(address, max_size=None, open_timeout=SOON) as socket:
            live = Live(socket)
            live.position = (await live.next())["seq"]
            yield live


class ColdProcess(Process):
    """For what is said of the start itself."""

    def _begin(self, arguments: list[str], log: BinaryIO) -> "subprocess.Popen[bytes] | warm.Process":
        return subprocess.Popen(
            [*PROGRAM, *arguments],
            cwd=self.folder, env=self.environ, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
        )  # fmt: skip


class Live:
    """What a client hears, in order; it fails where the stream has a gap."""

    def __init__(self, socket: ClientConnection) -> None:
        self.socket = socket
        self.position = 0
        self.heard: list[Message] = []

    async def next(self) -> Message:
        message: Message = json.loads(await asyncio.wait_for(self.socket.recv(), SOON))
        if message["type"] in ("entry", "delete"):
            assert message["prev"] <= self.position < message["seq"], "a gap, or a change told twice"
            self.position = message["seq"]
        self.heard.append(message)
        return message

    async def entry(self, wanted: Callable[[Message], object] = bool) -> Message:
        """The next entry that is wanted."""
        async with asyncio.timeout(SOON):
            while True:
                message = await self.next()
                if message["type"] == "entry" and wanted(message["entry"]):
                    found: Message = message["entry"]
                    return found


def environ(**settings: str) -> dict[str, str]:
    """This environment with these settings of lifestream and no others."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("LIFESTREAM_")}
    given = {f"LIFESTREAM_{name.upper()}": value for name, value in settings.items() if value}
    return clean | {"PYTHONUNBUFFERED": "1"} | given


def lifestream(*arguments: str, cwd: Path, env: dict[str, str]) -> "subprocess.CompletedProcess[str]":
    """Runs a command from a cold start to its end, which must come soon."""
    return subprocess.run(
        [*PROGRAM, *arguments],
        cwd=cwd, env=env, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=SOON,
    )  # fmt: skip


async def curl(*arguments: str) -> str:
    """Runs curl, which must succeed; returns the status that it was answered."""
    command = ["curl", "-sS", "-o", os.devnull, "-w", "%{http_code}", *arguments]
    ended = await asyncio.to_thread(subprocess.run, command, capture_output=True, text=True, timeout=SOON)
    assert ended.returncode == 0, ended.stderr
    return ended.stdout
