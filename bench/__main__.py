"""Runs the benchmarks, or those named: `python -m bench latency pushes`."""

import asyncio
import json
import os
import platform
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from bench import fanout, hooks, hub, ingest, latency, pages, pushes
from lifestream.store import sqlite_version

ALL = {
    "latency": latency.measure, "pushes": pushes.measure, "hooks": hooks.measure, "ingest": ingest.measure,
    "fanout": fanout.measure, "pages": pages.measure, "hub": hub.measure,
}  # fmt: skip
RESULTS = Path(__file__).with_name("results.json")
AIMS = {
    "latency.ping_to_page_p50_ms": "< 8", "latency.ping_to_page_p99_ms": "< 20", "latency.resident_mb": "< 150",
    "pushes.accepted_per_second": "≥ 1000", "hooks.singles_per_second": "≥ 1000",
    "hooks.batched_listens_per_second": "≥ 5000", "hooks.imported_listens_per_second": "≥ 5000",
    "ingest.real_new_per_second": "≥ 2480",
    "ingest.photos_new_per_second": "≥ 8000", "ingest.unchanged_polls_per_second": "≥ 500",
    "ingest.huge_document_mb": "≤ 250", "ingest.real_new_to_reader": "≥ 5",
    "fanout.websocket_cpu_s_per_million_to_floor": "≤ 1.25", "fanout.sse_cpu_s_per_million_to_floor": "≤ 1.25",
    "fanout.websocket_last_p50_ms_to_floor": "≤ 1.3", "fanout.sse_last_p50_ms_to_floor": "≤ 1.3",
    "fanout.websocket_kb_per_connection": "≤ 4", "fanout.sse_kb_per_connection": "≤ 4",
    "fanout.burst_deliveries_per_s": "> 1,000,000", "fanout.slow_growth_mb": "≤ 100", "fanout.herd_s": "≤ 10",
    "hub.first_p50_ms": "< 50", "hub.deliveries_per_second": "≥ 1500", "hub.lost": "0", "hub.twice": "0",
    **{
        f"pages.{database}_home_{figure}": aim
        for database in ("sqlite", "postgresql")
        for figure, aim in (("p95_ms", "< 20"), ("per_second", "≥ 200"), ("p95_to_the_shortest", "≤ 1.5"))
    },
}  # fmt: skip


def main(names: list[str]) -> None:
    results = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    results["machine"] = {
        "cpus": os.cpu_count(), "python": platform.python_version(), "sqlite": ".".join(map(str, sqlite_version())),
        "system": f"{platform.system()} {platform.machine()}", "load_before": round(os.getloadavg()[0], 2),
        "when": datetime.now(UTC).isoformat(timespec="seconds"),
    }  # fmt: skip
    for name in names or ALL:
        if found := asyncio.run(ALL[name]()):
            results[name] = _rounded(found)
    table = Table("figure", "value", "aim", title="lifestream benchmarks")
    for name in ALL:
        for key, value in results.get(name, {}).items():
            if not isinstance(value, dict):
                table.add_row(f"{name}: {key}", f"{value:,.{1 if value > 10 else 2}f}", AIMS.get(f"{name}.{key}", ""))
    console = Console()
    console.print(table)
    if "fanout" in results:
        console.print(fanout.table(results["fanout"]))
    if "pages" in results:
        console.print(pages.table(results["pages"]))
    RESULTS.write_text(json.dumps(results, indent=2) + "\n")


def _rounded(found: Any) -> Any:
    return {key: _rounded(value) for key, value in found.items()} if isinstance(found, dict) else round(found, 2)


if __name__ == "__main__":  # the parser's process imports this again
    main(sys.argv[1:])
