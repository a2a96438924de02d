"""Runs the web server (uvicorn) in this process, and ends it within seconds when told to."""

import asyncio
import contextlib
import signal
import socket
import sys
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

import uvicorn

from lifestream.admin import new_setup_link
from lifestream.app import create_app, running
from lifestream.config import Config
from lifestream.connections import protocols
from lifestream.errors import SetupError
from lifestream.site import Site
from lifestream.store import owner

GRACE_SECONDS = 4
BACKLOG = 4096
"""Connections that may wait to be accepted: after a restart everybody comes back at once."""
MOST_FILES = 100_000


def serve(config: Config, *, host: str, port: int, background: bool) -> None:
    """Serves until SIGTERM or SIGINT. Raises SetupError when the port is taken or the database cannot be used."""
    as_many_files_as_allowed()
    config, listening = bound(config, host, port)
    run_loop(serve_on(config, listening, background=background))


def as_many_files_as_allowed() -> None:
    """Each viewer is an open file, and the usual limit of 1,024 is a soft one."""
    try:
        import resource
    except ImportError:  # Windows
        return
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with contextlib.suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, MOST_FILES) if hard > 0 else MOST_FILES, hard))


def run_loop(main: Coroutine[Any, Any, None]) -> None:
    """Runs `main` on uvloop, which takes a third less time on a request's way, where there is one."""
    try:
        import uvloop
    except ImportError:
        asyncio.run(main)
    else:
        uvloop.run(main)


async def serve_on(
    config: Config, listening: socket.socket, *, background: bool = True, announces: bool = True
) -> None:
    """Serves on a socket that listens, until SIGTERM or SIGINT."""
    app = create_app()
    async with running(app, config, background=background):
        server = Server(server_config(app, config), (lambda: announce(app.state.site)) if announces else None)
        # Ours, not uvicorn's: it ends by raising the signal again, which kills the process before it has tidied up.
        for one in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(one, server.handle_exit, one, None)
        await server.serve_quietly(listening)


def server_config(app: object, config: Config) -> uvicorn.Config:
    proxies = [str(network) for network in config.trusted_proxies.networks] + sorted(config.trusted_proxies.hosts)
    return uvicorn.Config(
        app,  # type: ignore[arg-type]
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=bool(proxies),
        forwarded_allow_ips=proxies or "",
        ws_max_size=4096,
        backlog=BACKLOG,
        **protocols(),
        ws_per_message_deflate=False,
        timeout_graceful_shutdown=GRACE_SECONDS,
        timeout_keep_alive=30,
    )


class Server(uvicorn.Server):
    """uvicorn's server that tells open streams to come back before it waits for connections to end."""

    def __init__(self, config: uvicorn.Config, announce: Callable[[], Awaitable[None]] | None = None) -> None:
        super().__init__(config)
        self._announce = announce
        self.running = asyncio.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if not self.should_exit:
            self.running.set()
            if self._announce is not None:
                await self._announce()

    async def serve_quietly(self, listening: socket.socket) -> None:
        """Serves without taking over the process's signals, for an app among others in one process."""
        await self._serve([listening])

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        tail = getattr(getattr(self.config.app, "state", None), "tail", None)
        if tail is not None:
            for server in self.servers:  # first, or they come back to this process
                server.close()
            await tail.close()
        await super().shutdown(sockets)


async def work(config: Config) -> None:
    """Background work alone, until SIGTERM or SIGINT."""
    app = create_app()
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for one in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(one, stop.set)
    async with running(app, config):
        await stop.wait()


def bound(config: Config, host: str, port: int) -> tuple[Config, socket.socket]:
    """A socket that listens, and the settings that know where. Raises SetupError."""
    listening = listen(host, port)
    return config.model_copy(update={"base_url": _with_port(config.base_url, port, listening)}), listening


def listen(host: str, port: int) -> socket.socket:
    """A socket that is bound, so that the port is known before anything is started on it."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listening = socket.socket(family, socket.SOCK_STREAM)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((host, port))
    except OSError as error:
        listening.close()
        reason = error.strerror or str(error)
        raise SetupError(f"Cannot listen on {host}:{port} ({reason}); give another --port or --host.") from None
    listening.listen(BACKLOG)
    listening.setblocking(False)
    return listening


def _with_port(base_url: str, asked: int, listening: socket.socket) -> str:
    """With `--port 0` the system chose the port; the base URL made of it must say which."""
    given = listening.getsockname()[1]
    return f"{base_url[: -len(':0')]}:{given}" if asked == 0 and base_url.endswith(":0") else base_url


async def announce(site: Site) -> None:
    """Where to look, and the one-time set-up link while there is no owner: on stdout, for the person who started it."""
    async with site.store.begin(durable=False) as db:
        await owner.set_fact(db, owner.SERVED_AT, site.config.base_url)
    lines = [f"lifestream is at {site.config.base_url}"]
    link = await new_setup_link(site)
    if link:
        lines.append(f"Make it yours (this link works once): {link}")
    with contextlib.suppress(BrokenPipeError):
        print("\n".join(lines), file=sys.stdout, flush=True)
