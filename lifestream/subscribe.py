"""Our subscriptions at hubs: choosing one, asking, being verified or denied, renewing, leaving (W3C WebSub 5); and at
rssClouds, for feeds that have no hub.

A subscription is a row with a due time: `work` does what is due of it. The row is committed before the hub is
asked, because a hub may verify before it answers; an active row and its secret stay good until a renewal is verified.
"""

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from random import random
from urllib.parse import urlencode

from sqlalchemy.ext.asyncio import AsyncConnection

from lifestream.client import Client
from lifestream.errors import FetchError
from lifestream.log import bound, get_logger
from lifestream.protocol import rsscloud
from lifestream.protocol import subscriber as rules
from lifestream.protocol.caching import retry_after_seconds
from lifestream.protocol.hub import address_key
from lifestream.protocol.known_hubs import known_hub
from lifestream.protocol.links import Advertised
from lifestream.site import Site
from lifestream.store import bells, feeds, sources, subscriptions
from lifestream.store.subscriptions import Subscription, Way
from lifestream.types import Cloud, Source

log = get_logger(__name__)

FORM = {"Content-Type": "application/x-www-form-urlencoded"}
VERIFY_WITHIN = timedelta(minutes=2)
"""A hub that accepted a request and did not verify it by then is asked again."""
HUB_REDIRECTS = 5
ONE_HUB_FOR = timedelta(minutes=10)
"""So long a feed that names another hub is not believed, lest it sends us to one after the other."""
PUSHED: tuple[Way, ...] = ("websub", "rsscloud")
"""Deliveries by somebody who promised it, behind which we poll to see whether it is so. A ping promises nothing."""


@dataclass(frozen=True, slots=True)
class Hub:
    """Who is to push a feed, in which way, and by what name the feed is known there."""

    kind: Way
    url: str
    topic: str


async def settle(
    site: Site,
    db: AsyncConnection,
    source: Source,
    feed_id: int,
    feed_url: str,
    advertised: Advertised,
    cloud: Cloud | None,
    now: datetime,
    *,
    in_turn: bool,
) -> bool | None:
    """Brings the subscriptions in line with what the feed advertises now; says whether a hub pushes it or will.

    A hub or topic that is no longer named is left; a new one is asked. Where this look was not `in_turn`, but somebody
    else's wish, that waits until the hubs of this feed were left in peace for a while; then None says: another time.
    """
    if not source.hub_url and not choose_hub(site, source, feed_url, advertised, cloud):
        return False
    wanted = [one for one in await subscriptions.of_feed(db, feed_id) if one.wanted]
    hub = choose_hub(site, source, feed_url, advertised, cloud, wanted)
    there = any(hub == _hub_of(one) for one in wanted)
    if hub and not there:
        if not in_turn and await subscriptions.asked_since(db, feed_id, now - ONE_HUB_FOR):
            return None
        await _begin(db, feed_id, hub, now)
    for subscription in wanted:
        if hub != _hub_of(subscription):
            await subscriptions.leave(db, subscription.id, now)
    if (hub.url if hub else "") != (source.hub_url or ""):
        await sources.change(db, source, hub_url=hub.url if hub else "")
    if not hub and source.delivery in PUSHED:
        await sources.change(db, source, delivery="polling")
    return bool(hub)


def choose_hub(
    site: Site,
    source: Source,
    feed_url: str,
    advertised: Advertised,
    cloud: Cloud | None,
    asked: Sequence[Subscription] = (),
) -> Hub | None:
    """Whom to ask for this source; None where our own hub is enough.

    Of the hubs that the feed names, which must all be told of what is new (WebSub 6), one that was `asked` already and
    does its part is as good as the first; one that does not makes room for the next. Then comes a hub that we know of,
    then a cloud. No self: the address fetched is the topic.
    """
    if source.hub_choice in ("builtin", "none"):
        return None
    topic = advertised.self_url or feed_url
    if source.hub_choice != "auto":
        return Hub("websub", source.hub_choice, topic)
    if advertised.hubs:
        ours = {address_key(site.config.hub_url), address_key(site.config.base_url + "/")}
        named = rules.secure_first([hub for hub in advertised.hubs if address_key(hub) not in ours])
        return Hub("websub", _best_of(named, asked), topic) if named else None
    if known := known_hub(feed_url):
        return Hub("websub", *known)
    at = rsscloud.cloud_url(cloud) if cloud else ""
    here = address_key(at).startswith(address_key(site.config.base_url + "/"))
    return Hub("rsscloud", at, feed_url) if at and not here else None


def _best_of(named: Sequence[str], asked: Sequence[Subscription]) -> str:
    def state(hub: str) -> str:
        states = {rules.standing(one.state, one.attempts) for one in asked if one.hub_url == hub}
        return next((state for state in ("holds", "hopes", "fails") if state in states), "")

    return min(named, key=lambda hub: ("holds", "hopes", "", "fails").index(state(hub)))


async def ask_anew(db: AsyncConnection, feed_id: int, now: datetime) -> None:
    """A hub fell silent: asks it for another subscription, with a new secret; the old one holds until it is verified.

    A cloud, which knows no secrets, is asked as for a renewal. Who was asked and has not verified is not asked twice.
    """
    there = [one for one in await subscriptions.of_feed(db, feed_id) if one.wanted]
    for one in there:
        if one.kind == "rsscloud":
            await subscriptions.change(db, one.id, due_at=now)
    websub = [one for one in there if one.kind == "websub"]
    if websub and all(one.state != "pending" for one in websub):
        await _begin(db, feed_id, _hub_of(websub[-1]), now)


async def _begin(db: AsyncConnection, feed_id: int, hub: Hub, now: datetime) -> None:
    token = secrets.token_urlsafe(rules.TOKEN_BYTES)
    secret = secrets.token_urlsafe(rules.SECRET_BYTES) if hub.kind == "websub" else ""
    await subscriptions.add(
        db, feed_id=feed_id, kind=hub.kind, hub_url=hub.url, topic=hub.topic, token=token, secret=secret, now=now
    )


def _hub_of(subscription: Subscription) -> Hub:
    return Hub(subscription.kind, subscription.hub_url, subscription.topic)


async def work(site: Site, subscription: Subscription) -> None:
    """Does what is due: asks the hub to subscribe, renew or unsubscribe."""
    now = site.now()
    with bound(hub=subscription.hub_url, topic=subscription.topic):
        cloud = subscription.kind == "rsscloud"
        if subscription.state == "leaving" and (cloud or subscription.attempts >= rules.LEAVE_ATTEMPTS):
            await _end(site, subscription)
            return
        if subscription.state == "active" and subscription.expires_at and subscription.expires_at <= now:
            await _lapsed(site, subscription)
        mode = "unsubscribe" if subscription.state == "leaving" else "subscribe"
        again_at = rules.retry_at(subscription.attempts + 1, now, random())
        # Before the request, not after it: the hub may verify first.
        async with site.store.begin() as db:
            await subscriptions.change(
                db, subscription.id, asking=mode, asked_at=now, attempts=subscription.attempts + 1,
                due_at=_before_the_end(subscription, max(again_at, now + VERIFY_WITHIN), now),
            )  # fmt: skip
        what = "renewal" if mode == "subscribe" and subscription.state == "active" else mode
        with site.exchanges.asking(what, feed_ids=[subscription.feed_id], known=[subscription.secret]) as told:
            error, rest = (await _ask_cloud(site, subscription), 0.0) if cloud else await _ask(site, subscription, mode)
            told.says("failed" if error else "ok", error or subscription.topic)
        if cloud and not error:
            now = site.now()
            await _holds(site, subscription, now + rsscloud.LASTS, rsscloud.renew_at(now, random()), now)
        async with site.store.begin() as db:
            if error:
                again_at = max(again_at, now + timedelta(seconds=rest))
                await subscriptions.change(
                    db, subscription.id, due_at=_before_the_end(subscription, again_at, now), last_error=error
                )
            if rules.standing(subscription.state, subscription.attempts + 1) == "fails":
                await feeds.read_again(db, subscription.feed_id)  # the feed may name another hub
            await subscriptions.change(db, subscription.id, claimed_until=None)
        if error:
            log.warning("hub asked", mode=mode, status="failed", error=error)
        else:
            log.info("hub asked", mode=mode, status="accepted")


def _before_the_end(subscription: Subscription, at: datetime, now: datetime) -> datetime:
    """Not later than the lease's end, which must be noticed."""
    ends = subscription.expires_at
    return min(at, ends) if subscription.state == "active" and ends and ends > now else at


async def _ask(site: Site, subscription: Subscription, mode: str) -> tuple[str, float]:
    """Sends the request; returns what is wrong, or nothing when the hub took it (WebSub 5.1.2), and for how many
    seconds it wants to be left alone.
    """
    callback = f"{site.config.base_url}/push/{subscription.token}"
    if mode == "subscribe":
        form = rules.subscribe_form(
            subscription.topic, callback, subscription.secret, old_hub=subscription.attempts > 0
        )
    else:
        form = rules.unsubscribe_form(subscription.topic, callback)
    try:
        client = await _client(site, subscription)
        response = await client.post(
            subscription.hub_url, body=urlencode(form).encode(), headers=FORM, redirects=HUB_REDIRECTS
        )
    except FetchError as error:
        return str(error), 0.0
    outcome = rules.judge_response(
        response.status, hub_url=response.url, location=response.headers.get("location"),
        reason=response.body[:1000].decode("utf-8", "replace"),
        retry_after=retry_after_seconds(response.headers.get("retry-after"), site.now()),
    )  # fmt: skip
    match outcome:
        case rules.Accepted():
            return "", 0.0
        case rules.Redirect(url):
            return f"The hub redirects too often, at last to {url}.", 0.0
        case rules.Refused(why, rest):
            return why, min(rest or 0.0, rules.LONGEST_REST)


async def _ask_cloud(site: Site, subscription: Subscription) -> str:
    """Registers; returns what is wrong, or nothing when the cloud took it. It asks us back before it answers."""
    form = rsscloud.please_notify_form(site.config.base_url, subscription.topic)
    try:
        client = await _client(site, subscription)
        response = await client.post(
            subscription.hub_url, body=urlencode(form).encode(), headers=FORM, redirects=HUB_REDIRECTS, read_body=False
        )
    except FetchError as error:
        return str(error)
    return rsscloud.judge_answer(response.status, response.body)


async def _client(site: Site, subscription: Subscription) -> Client:
    """A hub that the owner chose is asked wherever it is."""
    async with site.store.read() as db:
        source = (await sources.of_feeds(db, [subscription.feed_id])).get(subscription.feed_id)
        feed_url = await subscriptions.feed_url(db, subscription)
    chosen = source is not None and source.hub_choice == subscription.hub_url
    return site.client if chosen else site.client_for(subscription.hub_url, named_by=feed_url)


async def verified(site: Site, subscription: Subscription, mode: str, granted: int | None) -> None:
    """The hub checked that it was us."""
    now = site.now()
    if mode == "subscribe":
        lease = rules.clamp_lease(granted)
        await _holds(site, subscription, now + lease, rules.renew_at(now, lease, random()), now)
        return
    async with site.store.begin(rings=[bells.FEEDS, bells.SUBSCRIPTIONS]) as db:
        await subscriptions.change(db, subscription.id, state="ended", asking="", due_at=None)
        await feeds.drop_if_unused(db, subscription.feed_id)


async def _holds(
    site: Site, subscription: Subscription, expires_at: datetime, renew_at: datetime, now: datetime
) -> None:
    """From now on we are told; what came in between is fetched once more. An older one that this replaces is left."""
    async with site.store.begin(rings=[bells.FEEDS, bells.SUBSCRIPTIONS]) as db:
        await subscriptions.change(
            db, subscription.id, state="active", asking="", verified_at=now, expires_at=expires_at, due_at=renew_at,
            attempts=0, last_error="",
        )  # fmt: skip
        for other in await subscriptions.of_feed(db, subscription.feed_id):
            if other.id < subscription.id and other.wanted and _hub_of(other) == _hub_of(subscription):
                await subscriptions.leave(db, other.id, now)
        source = (await sources.of_feeds(db, [subscription.feed_id])).get(subscription.feed_id)
        if source:
            settled = {"state": "active"} if source.state in ("pending", "denied") and source.last_fetch else {}
            await sources.pushed_by(db, source, subscription.kind, now, hub_url=subscription.hub_url, **settled)
        if subscription.state != "active" or (subscription.expires_at and subscription.expires_at <= now):
            await feeds.ask(db, {subscription.feed_id: (1, "hub")}, now)
    log.info("hub verified", hub=subscription.hub_url, topic=subscription.topic, until=expires_at.isoformat())


async def denied(site: Site, subscription: Subscription, reason: str) -> None:
    """The hub will not push this (WebSub 5.2); it may say so at any time. The source goes on by polling."""
    now = site.now()
    async with site.store.begin() as db:
        await subscriptions.change(
            db, subscription.id, state="denied", asking="", expires_at=None, last_error=reason,
            due_at=now + rules.ASK_AGAIN_AFTER_DENIAL,
        )  # fmt: skip
        source = (await sources.of_feeds(db, [subscription.feed_id])).get(subscription.feed_id)
        if source and source.state != "paused":
            sentence = f"The hub refused the subscription{': ' + reason if reason else '.'} The feed is polled instead."
            await sources.change(db, source, state="denied", delivery="polling", last_error=sentence)
            await feeds.ask(db, {subscription.feed_id: (1, "hub")}, now)
    log.warning("hub denied", hub=subscription.hub_url, topic=subscription.topic, reason=reason)


async def _lapsed(site: Site, subscription: Subscription) -> None:
    """The lease ran out before a renewal was verified: until then the feed is polled."""
    async with site.store.begin() as db:
        await subscriptions.change(db, subscription.id, state="pending", expires_at=None)
        source = (await sources.of_feeds(db, [subscription.feed_id])).get(subscription.feed_id)
        if source:
            await sources.change(db, source, delivery="polling")
            await feeds.ask(db, {subscription.feed_id: (1, "hub")}, site.now())
    log.warning("lease over", hub=subscription.hub_url, topic=subscription.topic)


async def _end(site: Site, subscription: Subscription) -> None:
    """The hub was told often enough; pushes to this callback are answered 410 from now on."""
    async with site.store.begin() as db:
        await subscriptions.change(db, subscription.id, state="ended", asking="", due_at=None, claimed_until=None)
    log.info("hub left", hub=subscription.hub_url, topic=subscription.topic)
