"""Other servers that tell many clients of one message, each as its makers would have it, with one core to itself."""

import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from string import Template

HERE = Path(__file__).parent
FLOOR, FLOOR_SSE = "C loop, the floor", "C loop, SSE"


class Missing(Exception):
    """What would have to be installed."""


@dataclass(frozen=True)
class Peer:
    """How to start one and how to talk to it: the addresses where it is subscribed to and published to."""

    commands: Sequence[Sequence[str]]
    subscribe: str
    publish: str
    options: Sequence[str] = ()
    """Of fanload."""
    rate: float = 5
    """Messages a second at which it is not busy, with 5,000 clients."""
    settling: float = 0
    """Seconds between its listening and its being ready."""


def floor(folder: Path, path: str = "ws") -> Peer:
    (port,) = _free_ports(1)
    scheme = "ws" if path == "ws" else "http"
    return Peer(
        [[str(folder / "floor"), port]], f"{scheme}://127.0.0.1:{port}/{path}", f"http://127.0.0.1:{port}/publish"
    )


def floor_sse(folder: Path) -> Peer:
    return floor(folder, "sse")


def naive(folder: Path) -> Peer:
    (port,) = _free_ports(1)
    command = [sys.executable, "-m", "uvicorn", "naive:app", "--app-dir", str(HERE), "--port", port]
    options = ["--log-level", "warning", "--no-access-log", "--backlog", "4096"]
    return _peer([*command, *options], port)


def broadcast(folder: Path) -> Peer:
    port, publish = _free_ports(2)
    command = [sys.executable, str(HERE / "broadcast.py"), port, publish]
    return Peer([command], f"ws://127.0.0.1:{port}/", f"http://127.0.0.1:{publish}/")


def npm_ws(folder: Path) -> Peer:
    (port,) = _free_ports(1)
    return _peer(_node("ws", "ws.js", port), port)


def socket_io(folder: Path) -> Peer:
    (port,) = _free_ports(1)
    return Peer(
        [_node("socket.io", "socketio.js", port)], f"ws://127.0.0.1:{port}/socket.io/?EIO=4&transport=websocket",
        f"http://127.0.0.1:{port}/publish", ["--send", "40", "--ready", "40", "--reply", "2=3"],
    )  # fmt: skip


def nchan(folder: Path) -> Peer:
    (port,) = _free_ports(1)
    conf = _filled("nchan.conf", folder, port=port)
    nginx = _program("nginx", "Debian: apt install libnginx-mod-nchan nginx-light")
    command = [nginx, "-c", str(conf), "-e", str(folder / "nginx.log")]
    if subprocess.run([*command, "-t"], capture_output=True).returncode:
        raise Missing("nginx without nchan; Debian: apt install libnginx-mod-nchan")
    return _peer(command, port)


def pushpin(folder: Path) -> Peer:
    runner = _program("pushpin", "Debian: apt install pushpin zurl")
    port, publish, origin, push, sub, command = _free_ports(6)
    conf = _filled(
        "pushpin.conf", folder, port=port, publish_port=publish, push_port=push, sub_port=sub, command_port=command
    )
    item = '{"items":[{"channel":"feed","formats":{"ws-message":{"content":"{\\"text\\":\\"{{stamp}} {{pad}}\\"}"}}}]}'
    commands = [
        [sys.executable, str(HERE / "pushpin_origin.py"), origin],
        [runner, "--config", str(conf), "--route", f"* 127.0.0.1:{origin},over_http"],
    ]
    options = ["--body", item, "--inflight", "64"]
    publish_url = f"http://127.0.0.1:{publish}/publish/"
    return Peer(commands, f"ws://127.0.0.1:{port}/ws", publish_url, options, rate=1, settling=2)


PEERS: dict[str, Callable[[Path], Peer]] = {
    FLOOR: floor,
    FLOOR_SSE: floor_sse,
    "nginx nchan": nchan,
    "websockets broadcast": broadcast,
    "npm ws": npm_ws,
    "Socket.IO": socket_io,
    "FastAPI, naive": naive,
    "Pushpin": pushpin,
}


def _peer(command: Sequence[str], port: str) -> Peer:
    return Peer([command], f"ws://127.0.0.1:{port}/ws", f"http://127.0.0.1:{port}/publish")


def _program(name: str, how: str) -> str:
    found = shutil.which(name, path=os.environ.get("PATH", "") + ":/usr/sbin")
    if found is None:
        raise Missing(how)
    return found


def _node(package: str, script: str, port: str) -> list[str]:
    node = _program("node", "Node.js")
    look = [node, "-e", f"require.resolve({package!r}, {{paths: [{str(HERE)!r}]}})"]
    if subprocess.run(look, capture_output=True).returncode:
        raise Missing(f"the npm package {package}: npm install --no-save --prefix bench socket.io ws, or NODE_PATH")
    return [node, str(HERE / script), port]


def _filled(name: str, folder: Path, **ports: str) -> Path:
    conf = folder / name
    conf.write_text(Template((HERE / name).read_text()).substitute(ports, folder=folder))
    return conf


def _free_ports(count: int) -> list[str]:
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [str(one.getsockname()[1]) for one in sockets]
    for one in sockets:
        one.close()
    return ports
