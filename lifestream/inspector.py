"""Reading the protocol log, for the API, the commands and the owner's pages."""

from dataclasses import replace
from typing import Any

from lifestream.errors import InvalidInput, NotFound
from lifestream.protocol.masking import as_curl
from lifestream.site import Site
from lifestream.store import exchanges, hub_subscriptions, sources
from lifestream.store.exchanges import OUTCOMES, WHATS, Kept, Wanted
from lifestream.store.hub_subscriptions import HubSubscription
from lifestream.write import moment

LIMIT, MOST = 50, 200
WORDS = {
    ("out", "discovery"): "Looked for a feed",
    ("out", "fetch"): "Fetched the feed",
    ("out", "subscribe"): "Asked to be told",
    ("in", "subscribe"): "Somebody asked to be told",
    ("out", "renewal"): "Asked to renew",
    ("out", "unsubscribe"): "Asked to be told no more",
    ("in", "unsubscribe"): "Somebody asked to be told no more",
    ("in", "challenge"): "Checked that it was us",
    ("in", "denial"): "Refused us",
    ("out", "denial"): "Told that it is over",
    ("in", "push"): "Push",
    ("in", "ping"): "Ping",
    ("out", "ping"): "Pinged a hub",
    ("out", "verify"): "Checked that it was them",
    ("out", "deliver"): "Delivered",
    ("in", "webhook"): "Webhook",
    ("in", "scrobble"): "Scrobble",
    ("out", "test"): "Test, sent",
    ("in", "test"): "Test, received",
}


async def listing(site: Site, wanted: Wanted, *, before: str = "", limit: int = LIMIT) -> tuple[list[Kept], str]:
    """Exchanges, newest first, up to this moment in this process; and the cursor for more, or nothing."""
    for value, known in ((wanted.what, WHATS), (wanted.outcome, OUTCOMES), (wanted.direction, ("in", "out"))):
        if value and value not in known:
            raise InvalidInput(f"“{value[:40]}” is none of {', '.join(known)}.")
    await site.exchanges.flush()
    async with site.store.read() as db:
        found = await exchanges.page(db, wanted, before=before, limit=limit + 1)
    return found[:limit], found[limit - 1].cursor if len(found) > limit else ""


async def of_source(site: Site, slug: str, wanted: Wanted) -> Wanted:
    """The same, of this source alone. Raises NotFound."""
    async with site.store.read() as db:
        return replace(wanted, source_id=(await sources.get(db, slug, audience="owner")).id)


async def one(site: Site, exchange_id: int) -> Kept:
    """Raises NotFound."""
    async with site.store.read() as db:
        found = await exchanges.one(db, exchange_id)
    if found is None:
        raise NotFound("This exchange is not in the log: it may have been dropped for newer ones.")
    return found


async def hub(site: Site) -> list[HubSubscription]:
    async with site.store.read() as db:
        return await hub_subscriptions.every(db, site.now())


def exchange_json(kept: Kept, *, whole: bool = False) -> dict[str, Any]:
    """`duration` and the `at` of its steps are milliseconds. `whole`: with headers and bodies, where they are kept."""
    shown = {
        "id": kept.id,
        "time": moment(kept.at),
        "source": kept.slug or None,
        "about": kept.about,
        "direction": kept.direction,
        "what": kept.what,
        "method": kept.method,
        "url": kept.url,
        "status": kept.status,
        "duration": kept.took,
        "outcome": kept.outcome,
        "detail": kept.detail,
        "alike": kept.alike,
        "steps": [{"name": step.name, "at": step.at, "detail": step.detail} for step in kept.steps],
    }
    return shown | wire_of(kept) if whole else shown


def wire_of(kept: Kept) -> dict[str, Any]:
    """The request, the answer, and the request as a command; nothing where they are not kept any more."""
    if kept.wire is None:
        return {"request": None, "answer": None, "curl": None}
    wire = exchanges.unpacked(kept.wire)
    request = wire["request"]
    headers = [(name, value) for name, value in request["headers"]]
    return wire | {"curl": as_curl(kept.method, kept.url, headers, request["body"])}


def hub_subscription_json(one: HubSubscription) -> dict[str, Any]:
    return {
        "callback": one.callback,
        "topic": one.topic,
        "kind": one.kind,
        "state": one.state,
        "lease_seconds": one.lease_seconds,
        "lease_expires": moment(one.lease_expires),
        "last_delivery": moment(one.last_delivery),
        "next_delivery": moment(one.next_delivery),
        "failures": one.failures,
        "last_error": one.last_error or None,
    }
