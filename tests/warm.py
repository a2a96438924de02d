"""The command `lifestream` in a process of its own that starts warm: forked from one that has imported everything.

So a test waits for what a command does, and not each time a second for Python to read it. What is said of a start
itself is tried cold, as are the programs of a wheel.
"""

import atexit
import gc
import json
import os
import select
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any

SOON = 60.0
HERE = Path(__file__).parents[1]


class Process:
    """A command that runs; for whoever waits for it, it is like a `subprocess.Popen`."""

    def __init__(self, arguments: Sequence[str], *, cwd: Path, env: Mapping[str, str], files: Sequence[Any]) -> None:
        """`files` are what it reads from, writes to and complains to."""
        self.returncode: int | None = None
        self._starter = socket.socket(socket.AF_UNIX)
        self._starter.connect(_starter())
        wanted = json.dumps([list(arguments), str(cwd), dict(env)]).encode()
        socket.send_fds(self._starter, [wanted], [file.fileno() for file in files])
        self._starter.shutdown(socket.SHUT_WR)
        self._said = self._starter.makefile()
        self.pid = int(self._said.readline())

    def poll(self) -> int | None:
        """The exit code; None while it runs."""
        if self.returncode is None and select.select([self._starter], [], [], 0)[0]:
            self._ended()
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        """The exit code, once there is one. Raises subprocess.TimeoutExpired."""
        if self.returncode is None:
            if not select.select([self._starter], [], [], timeout)[0]:
                raise subprocess.TimeoutExpired("lifestream", timeout or 0)
            self._ended()
        assert self.returncode is not None
        return self.returncode

    def send_signal(self, number: int) -> None:
        if self.poll() is None:
            os.kill(self.pid, number)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)

    def _ended(self) -> None:
        self.returncode = int(self._said.readline())
        self._said.close()
        self._starter.close()


def run(
    arguments: Sequence[str], *, cwd: Path, env: Mapping[str, str], said: str = "", within: float = SOON
) -> "subprocess.CompletedProcess[str]":
    """Runs a command to its end, which must come in time."""
    with tempfile.TemporaryFile("w+") as read, tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as err:
        read.write(said)
        read.seek(0)
        process = Process(arguments, cwd=cwd, env=env, files=(read, out, err))
        try:
            code = process.wait(within)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            raise
        out.seek(0)
        err.seek(0)
        return subprocess.CompletedProcess(["lifestream", *arguments], code, out.read(), err.read())


@cache
def _starter() -> str:
    """The socket of the process that starts the others; it ends with this one."""
    path = f"{tempfile.mkdtemp(prefix='lifestream-warm-')}/socket"
    environ = os.environ | {"OBJC_DISABLE_INITIALIZE_FORK_SAFETY": "YES"}  # else macOS forbids what is done here
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.warm", path],
        cwd=HERE, env=environ, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
    )  # fmt: skip
    atexit.register(process.__exit__, None, None, None)
    assert process.stdout and process.stdout.readline() == b"ready\n"
    return path


# -- the process that starts the others -----------------------------------------------------


def _start_others(path: str) -> None:
    import lifestream.__main__
    import lifestream.app
    import lifestream.cli
    import lifestream.serve  # noqa: F401

    gc.freeze()
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(path)
        listening.listen(50)
        print("ready", flush=True)
        while sys.stdin not in select.select([listening, sys.stdin], [], [])[0]:
            asking, _ = listening.accept()
            if os.fork() == 0:
                listening.close()
                _start(asking)
                return
            asking.close()
            _bury()
    os.unlink(path)
    os.rmdir(os.path.dirname(path))


def _bury() -> None:
    """Takes leave of those that have ended."""
    with suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass


def _start(asking: socket.socket) -> None:
    """Starts one, tells its number, and when it has ended its exit code. In what it starts it is that command."""
    wanted, files, _, _ = socket.recv_fds(asking, 2**16, 3)
    while more := asking.recv(2**16):
        wanted += more
    if pid := os.fork():
        for file in files:
            os.close(file)
        with suppress(BrokenPipeError):  # who asked has gone
            asking.sendall(b"%d\n" % pid)
            asking.sendall(b"%d\n" % os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
        os._exit(0)
    asking.close()
    for number, file in enumerate(files):
        os.dup2(file, number)
        os.close(file)
    arguments, folder, environ = json.loads(wanted)
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environ)
    sys.stdin, sys.stdout, sys.stderr = open(0), open(1, "w", buffering=1), open(2, "w", buffering=1)
    sys.argv = ["lifestream", *arguments]
    sys.modules["__main__"] = sys.modules["lifestream.__main__"]
    sys.modules["lifestream.__main__"].main()


if __name__ == "__main__":
    _start_others(sys.argv[1])
