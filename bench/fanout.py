"""Fan-out: what it costs to tell N idle clients of one entry, beside other servers and beside a loop in C, the floor.

lifestream is the whole application: entries are posted to its API, stored durably, rendered and told. The others are
given messages that are as long on the wire. `fanload.c` plays the clients.
"""

import asyncio
import json
import os
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import websockets
from rich.table import Table

from bench.peers import FLOOR, FLOOR_SSE, HERE, PEERS, Missing, Peer
from bench.stage import Server, alone, request
from lifestream.config import Config
from lifestream.site import Site
from lifestream.store import entries, sources
from lifestream.types import Entry

FEW, MANY = 1000, 5000
ROUNDS = 2
"""The quieter one counts: others use the machine too."""
TEXT = 40
"""Characters of an entry's title after its stamp: with card and all it is about 1 kB of JSON."""
TITLE = '{"title":"{{stamp}} {{pad}}"}'
LIFESTREAM, LIFESTREAM_SSE = "lifestream", "lifestream, SSE"
PATHS = {LIFESTREAM: "/live", LIFESTREAM_SSE: "/live/events"}
TOGETHER = 200
"""Entries in one transaction, as an import or a feed's first look writes them."""
BURSTS = 4
BURST_EVERY = 1.5
PREPARING = 0.5
"""Seconds that writing so many may take before the commit; more counts as time to tell of them."""


async def measure() -> dict[str, Any]:
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    if sys.platform != "linux" or shutil.which("cc") is None or 0 <= most < MANY + 200:
        print(f"fanout: skipped; it needs Linux, a C compiler (cc), and `ulimit -Hn` of {MANY + 200} or more.")
        return {}
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    with tempfile.TemporaryDirectory(prefix="fanout-") as name:
        folder = Path(name)
        for program in (HERE.with_name("fanload.c"), HERE / "floor.c"):
            subprocess.run(["cc", "-O2", "-o", folder / program.stem, program], check=True)
        async with alone() as server:
            entry_bytes, message_bytes = await _sizes(server)
            publishing = await _publishing(folder, server)
        beside = await _beside_others(folder, message_bytes, publishing)
        return {
            "entry_bytes": entry_bytes,
            "message_bytes": message_bytes,
            "publish_cpu_ms": publishing,
            **_to_the_floor(beside[str(MANY)]),
            **await _burst(folder),
            **await _slow(folder),
            **await _herd(folder),
            "beside_others": beside,
        }


def table(found: dict[str, Any]) -> Table:
    """Everybody's figures, those of most deliveries for their CPU first."""
    shown = Table(
        "clients", "server", "deliveries/s", "CPU s / million", "× floor", "kB / client", "last p50 ms", "× floor",
        "last p99 ms", "lost", "others' cores", title="fanout: an entry to all clients",
    )  # fmt: skip
    for count, rows in found["beside_others"].items():
        for name, row in sorted(rows.items(), key=lambda item: item[1]["cpu_s_per_million"]):
            base = _floor_of(name, rows)
            cpu, last = row["cpu_s_per_million"], row["last_p50_ms"]
            shown.add_row(
                f"{int(count):,}", name, f"{row['deliveries_per_s']:,.0f}", f"{cpu:.2f}",
                f"{cpu / base['cpu_s_per_million']:.2f}", f"{row['kb_per_connection']:.1f}", f"{last:.1f}",
                f"{last / base['last_p50_ms']:.2f}", f"{row['last_p99_ms']:.1f}", f"{row['lost']:,.0f}",
                f"{row['others_cores']:.2f}",
            )  # fmt: skip
        shown.add_section()
    return shown


def _floor_of(name: str, rows: dict[str, Any]) -> dict[str, float]:
    return rows[FLOOR_SSE if name in (LIFESTREAM_SSE, FLOOR_SSE) else FLOOR]


def _to_the_floor(rows: dict[str, Any]) -> dict[str, float]:
    found = {}
    for name, key in ((LIFESTREAM, "websocket"), (LIFESTREAM_SSE, "sse")):
        row, base = rows[name], _floor_of(name, rows)
        for figure in ("cpu_s_per_million", "cpu_s_per_million_telling", "cpu_s_per_million_paced", "last_p50_ms"):
            found[f"{key}_{figure}_to_floor"] = row[figure] / base[figure]
        found[f"{key}_kb_per_connection"] = row["kb_per_connection"]
    return found


async def _sizes(server: Server) -> tuple[int, int]:
    """Of an entry in JSON, and of the message that carries it."""
    title = "ts=123456789012345 n=100 ".ljust(25 + TEXT, "x")
    async with websockets.connect(f"ws://127.0.0.1:{server.port}/live", compression=None) as live:
        headers = (f"Authorization: Bearer {server.token}", "Content-Type: application/json")
        await request(server.port, "POST", "/api/entries", json.dumps({"title": title}).encode(), *headers)
        async for message in live:
            if '"type":"entry"' in message:
                return len(json.dumps(json.loads(message)["entry"], separators=(",", ":")).encode()), len(message)
    raise AssertionError("the live stream ended")


async def _publishing(folder: Path, server: Server) -> float:
    """CPU milliseconds for one entry through the API with one client to tell of it."""
    found = await _load(folder, _on_stage(server), 1, "--window", "1", "--saturate", "3")
    return found["saturated"]["cpu_s"] / found["saturated"]["published"] * 1000


# -- beside others -----------------------------------------------------------------------------


async def _beside_others(folder: Path, message_bytes: int, publishing: float) -> dict[str, Any]:
    """Round-robin over all of them, so that noise hits all alike."""
    names = [LIFESTREAM, LIFESTREAM_SSE, *(name for name in PEERS if _is_there(name, folder))]
    found: dict[str, Any] = {str(count): {} for count in (FEW, MANY)}
    for _ in range(ROUNDS):
        for count in (FEW, MANY):
            for name in names:
                try:
                    row = await _one(folder, name, count, message_bytes, publishing)
                except Failed as why:
                    if name in (*PATHS, FLOOR, FLOOR_SSE):
                        raise
                    print(f"fanout: {name} with {count} clients: {why}")
                    continue
                best = found[str(count)].get(name)
                if best is None or row["others_cores"] < best["others_cores"]:
                    found[str(count)][name] = row
    return found


def _is_there(name: str, folder: Path) -> bool:
    try:
        PEERS[name](folder)
    except Missing as what:
        print(f"fanout: without {name}; it needs {what}")
        return False
    return True


async def _one(folder: Path, name: str, count: int, message_bytes: int, publishing: float) -> dict[str, float]:
    seconds = ["--saturate", "2", "--pace", "3"] if count == MANY else ["--saturate", "1.5", "--pace", "2"]
    async with _running(name, folder) as (peer, pids):
        if name in PATHS:
            pad = TEXT
        else:
            pad = message_bytes - len('{"text":"ts=123456789012345 n=100 "}')
            publishing = 0.0
        found = await _load(folder, (peer, pids), count, *seconds, "--rate", str(peer.rate), "--pad", str(pad))
    full, paced = found["saturated"], found["paced"]
    telling = full["cpu_s"] - full["published"] * publishing / 1000
    return {
        "deliveries_per_s": full["deliveries_per_s"],
        "cpu_s_per_million": full["cpu_s_per_1m"],
        "cpu_s_per_million_telling": telling / full["deliveries"] * 1e6,
        "cpu_s_per_million_paced": paced["cpu_s_per_1m"],
        "kb_per_connection": found["kb_per_connection"],
        "connect_cpu_ms": found["connect_cpu_ms"],
        "last_p50_ms": paced["last_ms"]["p50"],
        "last_p99_ms": paced["last_ms"]["p99"],
        "lost": found["lost"],
        "others_cores": max(full["others_cores"], paced["others_cores"]),
    }


# -- what only lifestream is asked -------------------------------------------------------------


async def _burst(folder: Path) -> dict[str, float]:
    """Many entries in each transaction of another process, as an import writes them: they are told together."""
    async with alone() as server:

        async def write() -> None:
            for number in range(BURSTS):
                await _write_together(server.folder, number * TOGETHER)
                await asyncio.sleep(BURST_EVERY)

        listen = str(BURSTS * (PREPARING + BURST_EVERY) + 1)
        found = await _load(folder, _on_stage(server), MANY, "--listen", listen, meanwhile=write)
        heard = found["heard"]
        return {
            "burst_deliveries_per_s": heard["deliveries_per_s"],
            "burst_cpu_s_per_million": heard["cpu_s_per_1m"],
            "burst_lost": MANY * BURSTS * TOGETHER - heard["deliveries"],
        }


async def _slow(folder: Path) -> dict[str, float]:
    """2,000 clients that never read, beside 200 that do, and long entries."""
    async with alone() as server:
        body = '{"title":"{{stamp}}","content_text":"{{pad}}"}'
        options = ["--slow", "2000", "--rcvbuf", "4096", "--body", body, "--pad", "8000", "--warmup", "0"]
        before = most = server.resident_mb()
        load = asyncio.create_task(_load(folder, _on_stage(server), 2200, *options, "--pace", "6", "--rate", "10"))
        while not load.done():
            most = max(most, server.resident_mb())
            await asyncio.sleep(0.1)
        found = await load
        return {
            "slow_growth_mb": most - before,
            "slow_last_p50_ms": found["paced"]["last_ms"]["p50"],
            "slow_last_p99_ms": found["paced"]["last_ms"]["p99"],
            "slow_lost": found["lost"],
        }


async def _herd(folder: Path) -> dict[str, float]:
    """The server is killed and started again: all clients come back at once, to hear what was written meanwhile."""
    async with alone() as server:
        started = 0

        async def restart() -> None:
            nonlocal started
            await _write_together(server.folder, 0)
            await asyncio.sleep(BURST_EVERY)
            server.process.kill()
            await asyncio.to_thread(server.process.wait)
            await _write_together(server.folder, TOGETHER)
            started = time.monotonic_ns()
            await server.start(server.port)

        options = ["--reconnect", "100", "--resume-key", '"seq":', "--resume-param", "after", "--inflight", str(MANY)]
        found = await _load(
            folder, _on_stage(server), MANY, *options, "--listen", "4", "--drain", "60", meanwhile=restart
        )
        complete = max(found["all_back_ns"], found["heard"]["last_at_ns"])
        return {
            "herd_s": (complete - started) / 1e9,
            "herd_lost": MANY * 2 * TOGETHER - found["heard"]["deliveries"],
        }


async def _write_together(folder: Path, after: int) -> None:
    """Entries number `after` + 1 and on in one transaction, whose commit begins at the time that they bear."""
    site = Site.open(Config.from_env({"LIFESTREAM_DATA_DIR": str(folder)}))
    commit = time.monotonic_ns() + int(PREPARING * 1e9)
    async with site.store.begin() as db:
        source = await sources.get(db, sources.NOTES, audience="owner")
        for number in range(TOGETHER):
            stamp = f"ts={commit + number} n={after + number + 1}"
            await entries.add(db, source, Entry(kind="note", title=f"{stamp} {'x' * TEXT}"), now=site.now())
        await sources.counted(db, source, entries.Recorded(new=TOGETHER, living=TOGETHER), site.now())
        await asyncio.sleep((commit - time.monotonic_ns()) / 1e9)
    await site.aclose()


# -- the players -------------------------------------------------------------------------------


class Failed(Exception):
    """A server that did not start, or not take all clients."""


def _on_stage(server: Server, path: str = "/live") -> tuple[Peer, list[int]]:
    url = f"http://127.0.0.1:{server.port}"
    subscribe = url + path if path == "/live/events" else url.replace("http", "ws") + path
    options = ["--header", f"Authorization: Bearer {server.token}", "--body", TITLE, "--pad", str(TEXT)]
    return Peer([], subscribe, f"{url}/api/entries", options), [server.process.pid]


@asynccontextmanager
async def _running(name: str, folder: Path) -> AsyncIterator[tuple[Peer, list[int]]]:
    if name in PATHS:
        async with alone() as server:
            yield _on_stage(server, PATHS[name])
        return
    peer = PEERS[name](folder)
    with (folder / "log").open("w") as log:
        processes = [subprocess.Popen(one, stdout=log, stderr=log, start_new_session=True) for one in peer.commands]
    try:
        for url in (peer.subscribe, peer.publish):
            await _answers(urlsplit(url).port or 80)
        await asyncio.sleep(peer.settling)
        yield peer, [process.pid for process in processes]
    finally:
        for process in processes:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGTERM)
        for process in processes:
            try:
                await asyncio.to_thread(process.wait, 5)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)


async def _answers(port: int) -> None:
    for _ in range(100):
        with suppress(ConnectionError):
            (await asyncio.open_connection("127.0.0.1", port))[1].close()
            return
        await asyncio.sleep(0.1)
    raise Failed("it did not start")


async def _load(
    folder: Path, on_stage: tuple[Peer, list[int]], count: int, *options: str,
    meanwhile: Callable[[], Awaitable[None]] | None = None,
) -> dict[str, Any]:  # fmt: skip
    """What fanload finds with `count` clients; without `meanwhile` it also publishes."""
    peer, pids = on_stage
    command = [str(folder / "fanload"), "-n", str(count), *(part for pid in pids for part in ("--pid", str(pid)))]
    if meanwhile is None:
        command += ["--publish", peer.publish]
    process = await asyncio.create_subprocess_exec(
        *command, *peer.options, *options, peer.subscribe, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert process.stderr is not None
    try:
        said = b""
        while not said.endswith(b"ready\n") and (line := await process.stderr.readline()):
            said += line
        if meanwhile is not None:
            await meanwhile()
        output, errors = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
    if process.returncode:
        raise Failed((said + errors).decode().strip()[:300])
    found: dict[str, Any] = json.loads(output)
    missing = sum(found.get(part, {}).get("missing", 0) for part in ("saturated", "paced"))
    not_there = count - found["connected"]
    found["lost"] = not_there + missing + found["gaps"] + found["repeats"] + found["reorders"]
    return found
