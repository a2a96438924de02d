"""What Prometheus is told, and who may ask."""

import asyncio
from typing import Any

import httpx2
import pytest
from prometheus_client.parser import text_string_to_metric_families
from websockets.asyncio.client import connect

from lifestream.app import create_app, running
from lifestream.config import Config
from lifestream.protocol.addresses import Networks
from tests.fakes import AppClient, comes
from tests.living import living, on_sqlite
from tests.stories import writes

STRANGER = ("203.0.113.7", 1234)
LOOPBACK = ("127.0.0.1", 1234)


def samples(text: str) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def value(found: Any, name: str, **labels: str) -> float:
    return float(found.get((name, tuple(sorted(labels.items()))), 0.0))


async def scraped(client: AppClient) -> Any:
    answer = await client.get("/metrics")
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/plain")
    return samples(answer.text)


async def test_requests_are_counted_by_their_route(client: AppClient) -> None:
    stored = await writes(client.site, "one")
    for path in ("/opml", f"/entries/{stored.id}", "/entries/nothing", f"/api/entries/{stored.id}", "/nowhere/at/all"):
        await client.get(path)
    found = await scraped(client)
    for route, status in (
        ("/opml", "200"), ("/entries/{id}", "200"), ("/entries/{id}", "404"), ("/api/entries/{id}", "200"),
        ("none", "404"),
    ):  # fmt: skip
        labels = {"method": "GET", "route": route, "status": status}
        assert value(found, "lifestream_requests_total", **labels) == 1, (route, status)
    assert value(found, "lifestream_request_seconds_count", method="GET", route="/entries/{id}") == 2


async def test_how_the_database_stands_is_told(client: AppClient) -> None:
    await writes(client.site, "one")
    found = await scraped(client)
    assert value(found, "lifestream_entries", visibility="public") == 1
    assert value(found, "lifestream_sources", state="active", delivery="local") == 1
    assert value(found, "lifestream_due", queue="inbox") == 0
    assert 0 < value(found, "lifestream_log_head_age_seconds") < 60
    assert value(found, "process_resident_memory_bytes") > 0
    assert any(name == "lifestream_build_info" for name, _ in found)


@on_sqlite
async def test_what_goes_over_the_wire_is_counted_with_what_came_of_it(client: AppClient) -> None:
    await client.post("/push/nobody", content=b"<feed/>")
    found = await scraped(client)
    assert value(found, "lifestream_exchanges_total", direction="in", what="push", outcome="refused") == 1


@on_sqlite
@pytest.mark.parametrize(
    ("path", "body", "what"),
    [
        ("/hooks/nobodys", b"{}", "webhook"), ("/hub", b"x" * 70_000, "ping"), ("/hub", b"hub.mode=what", "ping"),
        ("/scrobble/2.0/", b"method=track.scrobble&sk=x", "scrobble"), ("/push/x", b"", "push"),
        ("/rsscloud/pleaseNotify", b"protocol=soap", "subscribe"), ("/rsscloud/ping", b"url=x", "ping"),
    ],
    ids=["no-hook", "too-large", "no-mode", "no-session", "no-subscription", "no-protocol", "no-topic"],
)  # fmt: skip
async def test_what_was_refused_counts_as_refused(client: AppClient, path: str, body: bytes, what: str) -> None:
    await client.post(path, content=body)
    found = await scraped(client)
    counted = {dict(labels)["outcome"]: count for (name, labels), count in found.items() if ("what", what) in labels}
    assert counted == {"refused": 1.0}


@on_sqlite
async def test_a_browser_that_asks_whether_it_may_scrobble_counts_for_no_scrobble(client: AppClient) -> None:
    assert (await client.options("/scrobble/1/submit-listens")).status_code == 204
    assert not [labels for _, labels in await scraped(client) if ("what", "scrobble") in labels]


@on_sqlite
async def test_two_applications_count_for_themselves(client: AppClient, config: Config) -> None:
    await client.get("/sources")
    app = create_app()
    async with running(app, config, background=False), AppClient(app, config.base_url) as other:
        found = await scraped(other)
    assert value(found, "lifestream_requests_total", method="GET", route="/sources", status="200") == 0


@on_sqlite
async def test_open_streams_are_counted_by_transport(config: Config) -> None:
    async with living(config, background=False) as site:
        async with (
            connect(site.url.replace("http:", "ws:") + "/live"), site.http.stream("GET", "/live/events"),
            asyncio.TaskGroup() as group,
        ):  # fmt: skip
            parked = group.create_task(site.http.get("/live/poll?wait=50"))

            async def all_there() -> bool:
                found = samples((await site.http.get("/metrics")).text)
                return [value(found, "lifestream_streams", transport=one) for one in TRANSPORTS] == [1, 1, 1]

            await comes(all_there)
            parked.cancel()


TRANSPORTS = ("websocket", "sse", "longpoll")


async def asked_by(client: AppClient, peer: tuple[str, int], **headers: str) -> int:
    transport = httpx2.ASGITransport(client.app, client=peer)
    async with httpx2.AsyncClient(transport=transport, base_url=client.site.config.base_url) as http:
        named = {name.replace("_", "-"): given for name, given in headers.items()}
        return (await http.get("/metrics", headers=named)).status_code


@pytest.fixture
def config(config: Config) -> Config:
    return config.model_copy(update={"allow_networks": Networks.parse("192.168.0.0/16")})


@on_sqlite
async def test_only_who_may_know_is_told(client: AppClient) -> None:
    assert await asked_by(client, LOOPBACK) == 200
    assert await asked_by(client, ("::1", 1)) == 200
    assert await asked_by(client, ("192.168.1.9", 1)) == 200
    assert await asked_by(client, STRANGER) == 403
    assert await asked_by(client, ("unix", 0)) == 403
    for scope, status in (("read", 200), ("owner", 200), ("scrobble", 403)):
        assert await asked_by(client, STRANGER, **(await client.token(scope))) == status, scope
    assert await asked_by(client, STRANGER, Authorization="Bearer nonsense") == 401


@on_sqlite
async def test_this_machine_has_to_ask_by_its_own_name(client: AppClient) -> None:
    """A proxy that says nothing, or a page whose name leads here by now, comes from this machine, too."""
    for host, status in (
        ("localhost", 200), ("127.0.0.1:8000", 200), ("[::1]:8000", 200), ("stream.example", 403), ("[oops", 403),
        ("127.0.0.1.evil.example", 403), ("", 403),
    ):  # fmt: skip
        assert await asked_by(client, LOOPBACK, Host=host) == status, host


@on_sqlite
async def test_behind_a_proxy_nobody_is_taken_for_this_machine(client: AppClient) -> None:
    for header in ("X_Forwarded_For", "Forwarded"):
        assert await asked_by(client, LOOPBACK, **{header: "203.0.113.7"}) == 403
        assert await asked_by(client, ("192.168.1.9", 1), **{header: "203.0.113.7"}) == 403
