"""`/metrics` for Prometheus: what this process did since its start, and how the database stands.

Nothing is counted for it on the live path: requests are counted as they are answered, what goes over the wire where it
is written down anyway (recorder.py), and the rest is looked up when somebody asks.
"""

from collections.abc import Iterable, Iterator
from ipaddress import ip_address
from time import perf_counter
from typing import Any
from urllib.parse import urlsplit

from prometheus_client import CollectorRegistry, Counter, GCCollector, Histogram, Info, PlatformCollector
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.exposition import choose_encoder
from prometheus_client.process_collector import ProcessCollector
from sqlalchemy.ext.asyncio import AsyncConnection
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from lifestream import __version__
from lifestream.access import LOOPBACK_NAMES, caller_of
from lifestream.clean.columns import EPOCH
from lifestream.errors import NotAllowed
from lifestream.protocol import live
from lifestream.publish.detached import sse_framing
from lifestream.publish.longpoll import Parked
from lifestream.site import Site
from lifestream.store import changes, due, search, sources

METHODS = frozenset("GET HEAD POST PUT PATCH DELETE OPTIONS".split())
SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0)
TRANSPORTS = {sse_framing: "sse", live.sse: "sse", Parked.framing: "longpoll"}
"""By how their messages are written; every other one is a WebSocket's."""


class Meters:
    """What is counted as it happens, of one application."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        for collector in (ProcessCollector, PlatformCollector, GCCollector):
            collector(registry=self.registry)
        Info("lifestream_build", "Which lifestream this is.", registry=self.registry).info({"version": __version__})
        self.requests = Counter(
            "lifestream_requests", "Requests answered.", ("method", "route", "status"), registry=self.registry
        )
        self.seconds = Histogram(
            "lifestream_request_seconds", "Until the answer began.", ("method", "route"), registry=self.registry,
            buckets=SECONDS,
        )  # fmt: skip
        self._found: dict[tuple[str, str, int], tuple[Counter, Histogram]] = {}

    def of(self, method: str, route: str, status: int) -> tuple[Counter, Histogram]:
        """Those of one route and outcome; to find them by their labels each time would cost more than to count."""
        key = (method, route, status)
        found = self._found.get(key)
        if found is None:
            found = self._found[key] = self.requests.labels(*key), self.seconds.labels(method, route)
        return found


class Measured:
    """Counts requests by the route that answered; their addresses say too much, and there is no end of them."""

    def __init__(self, app: ASGIApp, meters: Meters) -> None:
        self._app = app
        self._meters = meters
        self._served: dict[Any, list[Any]] = {}
        """The routes of each endpoint: most have one."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began = perf_counter()

        async def counted(message: Message) -> None:
            if message["type"] == "http.response.start":
                method = scope["method"] if scope["method"] in METHODS else "other"
                route = self._route(scope)
                requests, seconds = self._meters.of(method, route, message["status"])
                requests.inc()
                seconds.observe(perf_counter() - began)
            await send(message)

        await self._app(scope, receive, counted)

    def _route(self, scope: Scope) -> str:
        """The path as it is declared. FastAPI names the route only of its own; of the others the endpoint tells."""
        if route := scope.get("route"):
            return str(route.path)
        endpoint = scope.get("endpoint")
        if endpoint is None:
            return "none"
        if endpoint not in self._served:
            every = scope["app"].router.routes
            self._served[endpoint] = [route for route in every if getattr(route, "endpoint", None) is endpoint]
        taken = (route for route in self._served[endpoint] if route.path_regex.match(scope["path"]))
        return next((str(route.path) for route in taken), "/static")


# -- the page ---------------------------------------------------------------------------------


async def metrics(request: Request) -> Response:
    site: Site = request.app.state.site
    await _must_be_allowed(site, request)
    async with site.store.read() as db:
        found = [*await _database(site, db), *_process(request)]
    meters: Meters = request.app.state.meters
    encode, media_type = choose_encoder(request.headers.get("accept", ""))
    return Response(encode(_Collected(meters.registry, found)), headers={"Content-Type": media_type})


async def _must_be_allowed(site: Site, request: Request) -> None:
    """What is measured tells of private things. Raises NotAllowed."""
    if _is_near(site, request):
        return
    if (await caller_of(site, request)).audience != "owner":
        raise NotAllowed(
            "The metrics are for this machine, for LIFESTREAM_ALLOW_NETWORKS, and for tokens of scope read.", status=403
        )


def _is_near(site: Site, request: Request) -> bool:
    """Behind a proxy that is not told of in the settings, everybody seems to be on this machine; so does a stranger's
    page in a browser here whose host's name leads to us by now (DNS rebinding). The name asked for tells them apart.
    """
    forwarded = "x-forwarded-for" in request.headers or "forwarded" in request.headers
    if request.client is None or (forwarded and not site.config.trusted_proxies.networks):
        return False
    try:
        address = ip_address(request.client.host)
        asked = urlsplit(f"//{request.headers.get('host', '')}").hostname
    except ValueError:
        return False
    if address.is_loopback:
        return not forwarded and asked in LOOPBACK_NAMES
    return site.config.allow_networks.allows(address)


class _Collected(CollectorRegistry):
    """What was counted, and what was just looked up."""

    def __init__(self, counted: CollectorRegistry, found: Iterable[Metric]) -> None:
        super().__init__()
        self._counted, self._found = counted, found

    def collect(self) -> Iterator[Metric]:
        yield from self._counted.collect()
        yield from self._found


def _process(request: Request) -> Iterator[Metric]:
    """What this process knows of itself."""
    state = request.app.state
    streams = GaugeMetricFamily("lifestream_streams", "Open live streams.", labels=["transport"])
    open_now = dict.fromkeys(("websocket", "sse", "longpoll"), 0)
    for framing, count in state.tail.framings().items():
        open_now[TRANSPORTS.get(framing, "websocket")] += count
    for transport, count in open_now.items():
        streams.add_metric([transport], count)
    yield streams
    wire = CounterMetricFamily(
        "lifestream_exchanges", "Pushes, pings, webhooks, looks, deliveries, by outcome.",
        labels=["direction", "what", "outcome"],
    )  # fmt: skip
    for labels, count in state.site.exchanges.counts.items():
        wire.add_metric(labels, count)
    yield wire


async def _database(site: Site, db: AsyncConnection) -> list[Metric]:
    """How everything stands, the same in every process."""
    now = site.now()
    head = await changes.head(db)
    found = await sources.every(db, audience="owner")
    entries = GaugeMetricFamily("lifestream_entries", "Living entries.", labels=["visibility"])
    states = GaugeMetricFamily("lifestream_sources", "Sources.", labels=["state", "delivery"])
    for visibility in ("public", "private"):
        entries.add_metric([visibility], sum(one.entry_count for one in found if one.visibility == visibility))
    for state, delivery in sorted({(one.state, one.delivery) for one in found}):
        states.add_metric([state, delivery], sum((one.state, one.delivery) == (state, delivery) for one in found))
    missed = GaugeMetricFamily("lifestream_missed_entries", "Entries that a push should have brought.")
    missed.add_metric([], sum(one.missed for one in found))
    waiting = GaugeMetricFamily("lifestream_due", "Rows that are due and not done.", labels=["queue"])
    for queue, count in (await due.waiting(db, now)).items():
        waiting.add_metric([queue], count)
    age = GaugeMetricFamily("lifestream_log_head_age_seconds", "Since the newest change in the log.")
    age.add_metric([], max(0.0, (now - EPOCH).total_seconds() - head / 1e6) if head else 0.0)
    behind = GaugeMetricFamily("lifestream_behind_seconds", "Of the log, not yet taken.", labels=["follower"])
    position = await search.position(db)  # the hub notes its own seldom while it has nothing to tell
    behind.add_metric(["search"], max(0, head - position) / 1e6 if position else 0.0)
    return [entries, states, missed, waiting, age, behind]


routes = [Route("/metrics", metrics, methods=["GET"])]
