"""From a publish ping to the entry at a browser: ping, conditional fetch, parse, clean, durable store, WebSocket."""

import asyncio
import json
from time import perf_counter

import websockets

from bench.stage import add_sources, entry, ping, stage

PINGS = 200
FEEDS = 40
"""So many that no feed's bucket (ten looks at once, five a second) is what is measured."""
PAUSE = 0.02


async def measure() -> dict[str, float]:
    async with stage(advertises_hub=False) as (server, publisher):
        await add_sources(server, publisher, FEEDS)
        resident = server.resident_mb()
        delays = []
        cpu = server.cpu_seconds()
        async with websockets.connect(f"ws://127.0.0.1:{server.port}/live", compression=None) as live:
            await live.recv()
            for number in range(PINGS):
                path = f"/f/{number % FEEDS}"
                publisher.entries[path].append(entry(number))
                started = perf_counter()
                pinged = asyncio.create_task(ping(server, publisher.url + path))
                while (message := json.loads(await asyncio.wait_for(live.recv(), 10)))["type"] != "entry":
                    pass
                delays.append(perf_counter() - started)
                assert message["entry"]["title"] == f"Entry {number}", message
                assert await pinged == 204
                await asyncio.sleep(PAUSE)
        delays.sort()
        return {
            "ping_to_page_p50_ms": delays[PINGS // 2] * 1000,
            "ping_to_page_p99_ms": delays[PINGS * 99 // 100] * 1000,
            "ping_to_page_max_ms": delays[-1] * 1000,
            "cpu_ms_per_ping": (server.cpu_seconds() - cpu) / PINGS * 1000,
            "resident_mb": resident,
            "resident_mb_after": server.resident_mb(),
        }
