"""The built-in hub's work: follows the log for our own feeds, asks callbacks what they want, delivers, retries.

W3C WebSub 5.3 (verification of intent) and 7 (content distribution). What a subscriber is still to be given is a
row; a newer document takes an older one's place, so a callback that was away gets the newest and gets it once.
"""

import asyncio
import secrets
from collections.abc import Sequence
from random import random
from urllib.parse import urlsplit

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from lifestream.errors import FetchError, NotFound
from lifestream.log import get_logger
from lifestream.protocol import hub as rules
from lifestream.protocol.hub import address_key
from lifestream.publish.outbound_feeds import feed_path, render
from lifestream.receive.timer import Worker
from lifestream.site import Site
from lifestream.store import bells, changes, feeds, gate, owner, subscribers
from lifestream.store.subscribers import Content, DueDelivery, Request
from lifestream.store.tables import HubDeliveryRow, HubRequestRow
from lifestream.types import Filter

log = get_logger(__name__)

POSITION = "hub_position"
POSITION_LOCK = 0x687562  # "hub"
PAGE = 500
NOTED_EVERY = 600_000_000
"""Ten minutes of the log's clock, in µs."""
VERIFY_ATTEMPTS = 3
VERIFY_TIMEOUT = 10.0
DELIVERY_TIMEOUT = 10.0
DELIVERIES_AT_ONCE = 50


async def follow(site: Site) -> None:
    """Turns changes in the log into deliveries of the feeds that they are in; runs until cancelled."""
    bell = site.store.bells[bells.LOG]
    position: int | None = None
    while True:
        heard = bell.strokes
        try:
            if position is None:
                position = await start(site)
            position, more = await distribute_from(site, position)
        except Exception as error:  # the database is away; the position is still where it was
            log.error("hub", status="failed", error=type(error).__name__)
            await asyncio.sleep(1.0)
            continue
        if not more:
            await bell.heard(heard, timeout=5.0)


async def start(site: Site) -> int:
    """Where distribution stands. A new site starts at the head: history is not news."""
    async with site.store.begin() as db:
        known = await owner.fact(db, POSITION)
        if known is not None:
            return int(known)
        head = await changes.head(db)
        await owner.set_fact(db, POSITION, str(head))
        return head


async def distribute_from(site: Site, position: int) -> tuple[int, bool]:
    """Takes one page of the log; returns how far that went and whether there is more.

    What is distributed and how far we are is one commit. While nobody subscribes to our own feeds, the position is
    only noted now and then: what is read twice after a restart is no newer than what was delivered, and goes nowhere.
    """
    async with site.store.read() as db:
        if await subscribers.anybody(db, site.now()):
            slugs, upto, more = await _news(db, position)
            wanted = bool(slugs) and bool(await _wanted(site, db, slugs))
        else:
            slugs, upto, more, wanted = set(), await changes.head(db), False, False
    if wanted:
        async with site.store.begin(rings=[bells.HUB]) as db:
            if db.dialect.name == "postgresql":  # several processes take turns
                await db.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": POSITION_LOCK})
            await _distribute(site, db, slugs)
            await owner.set_fact(db, POSITION, str(upto))
    elif upto // NOTED_EVERY != position // NOTED_EVERY:
        async with site.store.begin(durable=False) as db:
            await owner.set_fact(db, POSITION, str(upto))
    return upto, more


async def _news(db: AsyncConnection, position: int) -> tuple[set[str], int, bool]:
    """Whose feeds changed since `position`, how far that goes, and whether there is more."""
    page = await changes.after(db, position, audience="public", limit=PAGE)
    slugs = {one.source.slug for one in page if gate.told(one, "public", Filter())}
    return slugs, page[-1].seq if page else position, len(page) == PAGE


async def _wanted(site: Site, db: AsyncConnection, slugs: set[str]) -> set[str]:
    """The topics of ours, of these sources or of all, that somebody subscribed to."""
    keys = [address_key(site.config.base_url + feed_path(slug)) for slug in ["", *slugs]]
    return await subscribers.topics_with_subscribers(db, keys, site.now())


async def _distribute(site: Site, db: AsyncConnection, slugs: set[str]) -> int:
    """Puts the feeds that hold entries of these sources out for their subscribers; returns how many feeds had any."""
    if not slugs:
        return 0
    now = site.now()
    own = {address_key(site.config.base_url + feed_path(slug)): slug for slug in ["", *slugs]}
    wanted = await subscribers.topics_with_subscribers(db, list(own), now)
    for key in wanted:
        try:
            feed = await render(db, site.config, now, slug=own[key])
        except NotFound:  # made private or removed: what was still to be delivered of it must not go out any more
            await subscribers.withdraw(db, [key])
            continue
        await subscribers.distribute(db, Content(feed.self_url, key, feed.seq, feed.media_type, feed.body), now)
    return len(wanted)


def workers(site: Site) -> list[Worker[Request] | Worker[DueDelivery]]:
    async def requests(db: AsyncConnection, limit: int) -> Sequence[Request]:
        return await subscribers.claim_requests(db, site.now(), limit)

    async def deliveries(db: AsyncConnection, limit: int) -> Sequence[DueDelivery]:
        return await subscribers.claim_deliveries(db, site.now(), limit)

    return [
        Worker(site, bells.HUB, HubRequestRow, requests, lambda one: verify(site, one), concurrency=8),
        Worker(
            site, bells.HUB, HubDeliveryRow, deliveries, lambda one: deliver(site, one),
            concurrency=DELIVERIES_AT_ONCE,
        ),
    ]  # fmt: skip


async def verify(site: Site, request: Request) -> None:
    """Asks the callback whether it wants this (WebSub 5.3). Only a 2xx that echoes the challenge counts."""
    challenge = secrets.token_urlsafe(24)
    lease = request.lease_seconds if request.mode == "subscribe" else None
    url = rules.verification_url(request.callback, request.mode, request.topic, challenge, lease, request.verify_token)
    try:
        response = await site.stranger_client.get(url, redirects=0, max_bytes=4096, timeout=VERIFY_TIMEOUT)
    except FetchError as error:
        await _not_verified(site, request, str(error), temporary=True)
        return
    if not rules.verified(response.status, response.body, challenge):
        temporary = response.status >= 500
        await _not_verified(site, request, f"answered {response.status}, not the challenge", temporary=temporary)
        return
    async with site.store.begin(rings=[bells.HUB, bells.FEEDS]) as db:
        await subscribers.verified(db, request, site.now())
        await _look_at_strangers_topic(site, db, request)
        await subscribers.drop_request(db, request)
    log.info("hub verified", mode=request.mode, topic=request.topic, callback_host=_host(request.callback))


async def _look_at_strangers_topic(site: Site, db: AsyncConnection, request: Request) -> None:
    """A topic that the settings open the hub to is looked at from the moment that somebody has confirmed to want it."""
    if request.mode != "subscribe" or not site.config.hub_topics.allows(request.topic):
        return
    ours = request.topic_key.startswith(address_key(site.config.base_url + "/"))
    if not ours and not await feeds.matching(db, [request.topic]):
        await feeds.ensure(db, request.topic, site.now(), discovered=True)


async def _not_verified(site: Site, request: Request, why: str, *, temporary: bool) -> None:
    """What stood before stays as it is (WebSub 5.1). A callback that could not be reached is asked twice more."""
    again_at = rules.retry_at(request.attempts + 1, site.now(), random())
    async with site.store.begin(durable=False) as db:
        if temporary and request.attempts + 1 < VERIFY_ATTEMPTS and again_at is not None:
            await subscribers.ask_again(db, request, again_at)
        else:
            await subscribers.drop_request(db, request)
    log.info("hub not verified", mode=request.mode, callback_host=_host(request.callback), why=why)


async def deliver(site: Site, due: DueDelivery) -> bool:
    """POSTs the topic's newest document, signed where a secret was agreed; the answer's body is not read.

    True: a newer one may have come meanwhile.
    """
    headers = rules.delivery_headers(
        due.media_type, site.config.hub_url, due.topic, due.body, due.secret, due.algorithm
    )
    outcome: rules.Delivered | rules.Ended | rules.Failed
    try:
        response = await site.stranger_client.post(
            due.callback, body=due.body, headers=headers, timeout=DELIVERY_TIMEOUT, read_body=False
        )
        outcome = rules.judge_delivery(response.status)
    except FetchError as error:
        outcome = rules.Failed(str(error))
    now = site.now()
    async with site.store.begin() as db:
        match outcome:
            case rules.Delivered():
                await subscribers.delivered(db, due, now)
            case rules.Ended():
                await subscribers.end(db, due.subscriber_id)
            case rules.Failed(why):
                await subscribers.failed(db, due, why, rules.retry_at(due.attempts + 1, now, random()))
    said = type(outcome).__name__.lower()
    log.info("delivery", status=said, topic=due.topic, callback_host=_host(due.callback), attempt=due.attempts + 1)
    return True


def _host(callback: str) -> str:
    """All of a callback that may be logged: the rest is as good as a password."""
    return urlsplit(callback).netloc
