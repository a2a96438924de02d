"""How many signed one-entry pushes a second are accepted, each durable before its 2xx, and stored."""

import asyncio
import json
from time import perf_counter

from bench.stage import Server, add_sources, entry, feed, request, signed_push, stage

PUSHES = 5000
CONNECTIONS = 32


async def measure() -> dict[str, float]:
    async with stage(advertises_hub=True) as (server, publisher):
        await add_sources(server, publisher, 1)
        subscription = next(iter(publisher.subscriptions.values()))
        requests = [signed_push(subscription, feed(b"", [entry(number)])) for number in range(PUSHES)]
        cpu, started = server.cpu_seconds(), perf_counter()
        waiting = iter(requests)
        delays = [
            one for part in await asyncio.gather(*(_push(server, waiting) for _ in range(CONNECTIONS))) for one in part
        ]
        accepted = perf_counter() - started
        await _stored(server)
        stored = perf_counter() - started
        delays.sort()
        return {
            "accepted_per_second": PUSHES / accepted,
            "stored_per_second": PUSHES / stored,
            "answer_p50_ms": delays[len(delays) // 2] * 1000,
            "answer_p99_ms": delays[len(delays) * 99 // 100] * 1000,
            "cpu_ms_per_push": (server.cpu_seconds() - cpu) / PUSHES * 1000,
            "resident_mb_after": server.resident_mb(),
        }


async def _push(server: Server, waiting: object) -> list[float]:
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    delays = []
    for one in waiting:  # type: ignore[attr-defined]
        started = perf_counter()
        writer.write(one)
        head = await reader.readuntil(b"\r\n\r\n")
        assert b" 202 " in head, head
        delays.append(perf_counter() - started)
    writer.close()
    return delays


async def _stored(server: Server) -> None:
    """Until every entry that was pushed is there: nothing that was acknowledged may be missing."""
    async with asyncio.timeout(120):
        while True:
            _, answer = await request(server.port, "GET", "/api/sources")
            if sum(source["entry_count"] for source in json.loads(answer)) >= PUSHES:
                return
            await asyncio.sleep(0.05)
