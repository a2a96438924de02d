"""How many webhooks and listens a second are accepted, each on disk before its answer.

Maloja 3.2.3 took 206 single scrobbles and 272 listens in batches a second; both came over one connection after another.
"""

import asyncio
import hashlib
import hmac
import json
import os
from collections.abc import Iterator, Sequence
from itertools import chain
from time import perf_counter, time

from bench.stage import Server, alone, request

CONNECTIONS = int(os.environ.get("BENCH_CONNECTIONS", "16"))
DELIVERIES, SINGLES, BATCHES, IMPORTS = 2000, 4000, 100, 5
IN_A_BATCH, IN_AN_IMPORT = 50, 1000
SECRET = "bench"
JSON = "Content-Type: application/json"


async def measure() -> dict[str, float]:
    async with alone() as server:
        owner = (JSON, f"Authorization: Bearer {server.token}")
        hook = json.dumps({"adapter": "gitea", "slug": "code", "secret": SECRET}).encode()
        status, answer = await request(server.port, "POST", "/api/hooks", hook, *owner)
        assert status == 201, answer
        start = int(time()) - 3600
        numbers = iter(range(10**9))
        figures = await _timed(server, "webhooks", [_push(number) for number in range(DELIVERIES)], 1)
        await _are_there(server, "code", DELIVERIES)
        for name, many, each in (
            ("singles", SINGLES, 1), ("batched_listens", BATCHES, IN_A_BATCH),
            ("imported_listens", IMPORTS, IN_AN_IMPORT),
        ):  # fmt: skip
            requests = [_submission(server.token, start, numbers, each) for _ in range(many)]
            figures |= await _timed(server, name, requests, each)
        await _are_there(server, "listens", SINGLES + BATCHES * IN_A_BATCH + IMPORTS * IN_AN_IMPORT)
        return figures


async def _timed(server: Server, name: str, requests: Sequence[bytes], each: int) -> dict[str, float]:
    """Sends them over some connections that are kept; `each` is how many things one carries."""
    cpu, started = server.cpu_seconds(), perf_counter()
    waiting = iter(requests)
    delays = sorted(chain(*await asyncio.gather(*(_sent(server, waiting) for _ in range(CONNECTIONS)))))
    count = len(requests) * each
    return {
        f"{name}_per_second": count / (perf_counter() - started),
        f"{name}_answer_p50_ms": delays[len(delays) // 2] * 1000,
        f"{name}_answer_p99_ms": delays[len(delays) * 99 // 100] * 1000,
        f"{name}_cpu_ms_each": (server.cpu_seconds() - cpu) / count * 1000,
    }


async def _sent(server: Server, waiting: Iterator[bytes]) -> list[float]:
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    delays = []
    for one in waiting:
        started = perf_counter()
        writer.write(one)
        head = await reader.readuntil(b"\r\n\r\n")
        assert b" 200 " in head, head
        length = next(line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:"))
        await reader.readexactly(int(length.partition(b":")[2]))
        delays.append(perf_counter() - started)
    writer.close()
    return delays


def _push(number: int) -> bytes:
    """A push of one commit, as Gitea signs it; each to a branch of its own, so that each is an entry."""
    commit = hashlib.sha1(b"%d" % number).hexdigest()
    place = "https://git.example/mara/boat"
    payload = {
        "ref": f"refs/heads/topic-{number}", "before": "1" * 40, "after": commit,
        "compare_url": f"{place}/compare/1...{commit}", "total_commits": 1,
        "commits": [{
            "id": commit, "message": "Mend the net\n\nIt had holes.", "url": f"{place}/commit/{commit}",
            "author": {"name": "Mara", "email": "mara@example.org"}, "timestamp": "2026-11-21T10:00:00Z",
        }],
        "repository": {"full_name": "mara/boat", "html_url": place, "private": False},
        "sender": {"login": "mara", "html_url": "https://git.example/mara"},
    }  # fmt: skip
    body = json.dumps(payload).encode()
    signature = hmac.new(SECRET.encode(), body, hashlib.sha256).hexdigest()
    return _post(
        "/hooks/code", body, f"X-Gitea-Event: push\r\nX-Gitea-Delivery: {number}\r\nX-Gitea-Signature: {signature}"
    )


def _submission(token: str, start: int, numbers: Iterator[int], count: int) -> bytes:
    listens = [
        {"listened_at": start + number % 3000, "track_metadata": {
            "artist_name": f"Artist {number % 97}", "track_name": f"Track {number}", "release_name": "An album",
            "additional_info": {"duration_ms": 214_000, "submission_client": "bench"},
        }} for number in (next(numbers) for _ in range(count))
    ]  # fmt: skip
    body = json.dumps({"listen_type": "import" if count > 1 else "single", "payload": listens}).encode()
    return _post("/scrobble/1/submit-listens", body, f"Authorization: Token {token}")


def _post(path: str, body: bytes, headers: str) -> bytes:
    head = f"POST {path} HTTP/1.1\r\nHost: bench\r\n{JSON}\r\n{headers}\r\nContent-Length: {len(body)}\r\n\r\n"
    return head.encode() + body


async def _are_there(server: Server, slug: str, count: int) -> None:
    """Nothing that was acknowledged may be missing."""
    _, answer = await request(server.port, "GET", f"/api/sources/{slug}")
    there = json.loads(answer)["entry_count"]
    assert there == count, f"{slug}: {there} of {count} are there"
