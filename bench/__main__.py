"""Runs the benchmarks, or those named: `python -m bench latency pushes`."""

import asyncio
import json
import os
import platform
import sys
from datetime import UTC, datetime
from pathlib import Path

from rich.console import Console
from rich.table import Table

from bench import latency, pushes
from lifestream.store import sqlite_version

ALL = {"latency": latency.measure, "pushes": pushes.measure}
RESULTS = Path(__file__).with_name("results.json")
AIMS = {
    "latency.ping_to_page_p50_ms": "< 8", "latency.ping_to_page_p99_ms": "< 20", "latency.resident_mb": "< 150",
    "pushes.accepted_per_second": "≥ 1000",
}  # fmt: skip


def main(names: list[str]) -> None:
    results = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    results["machine"] = {
        "cpus": os.cpu_count(), "python": platform.python_version(), "sqlite": ".".join(map(str, sqlite_version())),
        "system": f"{platform.system()} {platform.machine()}", "load_before": round(os.getloadavg()[0], 2),
        "when": datetime.now(UTC).isoformat(timespec="seconds"),
    }  # fmt: skip
    for name in names or ALL:
        results[name] = {key: round(value, 2) for key, value in asyncio.run(ALL[name]()).items()}
    table = Table("figure", "value", "aim", title="lifestream benchmarks")
    for name in ALL:
        for key, value in results.get(name, {}).items():
            table.add_row(f"{name}: {key}", f"{value:,.1f}", AIMS.get(f"{name}.{key}", ""))
    Console().print(table)
    RESULTS.write_text(json.dumps(results, indent=2) + "\n")


main(sys.argv[1:])
