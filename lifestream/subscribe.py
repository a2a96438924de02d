"""Our subscriptions at hubs: choosing one, asking, being verified or denied, renewing, leaving (W3C WebSub 5).

A subscription is a row with a due time: `work` does what is due of it. The row is committed before the hub is
asked, because a hub may verify before it answers; an active row and its secret stay good until a renewal is verified.
"""

import secrets
from datetime import datetime, timedelta
from random import random
from urllib.parse import urlencode

from sqlalchemy.ext.asyncio import AsyncConnection

from lifestream.errors import FetchError
from lifestream.log import bound, get_logger
from lifestream.protocol import subscriber as rules
from lifestream.protocol.hub import address_key
from lifestream.protocol.links import Advertised
from lifestream.site import Site
from lifestream.store import bells, feeds, sources, subscriptions
from lifestream.store.subscriptions import Subscription
from lifestream.types import Source

log = get_logger(__name__)

FORM = {"Content-Type": "application/x-www-form-urlencoded"}
VERIFY_WITHIN = timedelta(minutes=2)
"""A hub that accepted a request and did not verify it by then is asked again."""
HUB_REDIRECTS = 5


async def settle(
    site: Site,
    db: AsyncConnection,
    source: Source,
    feed_id: int,
    feed_url: str,
    advertised: Advertised,
    now: datetime,
) -> bool:
    """Brings the subscriptions in line with what the feed advertises now; says whether a hub pushes it or will.

    A hub or topic that is no longer named is left; a new one is asked. No self: the address fetched is the topic.
    """
    hub = choose_hub(site, source, advertised)
    if not hub and not source.hub_url:
        return False
    topic = advertised.self_url or feed_url
    there = False
    for subscription in await subscriptions.of_feed(db, feed_id):
        if hub and subscription.wanted and (subscription.hub_url, subscription.topic) == (hub, topic):
            there = True
        elif subscription.wanted:
            await subscriptions.leave(db, subscription.id, now)
    if hub and not there:
        token, secret = secrets.token_urlsafe(24), secrets.token_urlsafe(32)
        await subscriptions.add(db, feed_id=feed_id, hub_url=hub, topic=topic, token=token, secret=secret, now=now)
    if (hub or "") != (source.hub_url or ""):
        await sources.change(db, source, hub_url=hub or "")
    if not hub and source.delivery == "websub":
        await sources.change(db, source, delivery="polling")
    return bool(hub)


def choose_hub(site: Site, source: Source, advertised: Advertised) -> str | None:
    """The hub to ask for this source; None where our own is enough. The first one named is the publisher's choice."""
    if source.hub_choice in ("builtin", "none"):
        return None
    if source.hub_choice != "auto":
        return source.hub_choice
    ours = {address_key(site.config.hub_url), address_key(site.config.base_url + "/")}
    return next((hub for hub in advertised.hubs if address_key(hub) not in ours), None)


async def work(site: Site, subscription: Subscription) -> None:
    """Does what is due: asks the hub to subscribe, renew or unsubscribe."""
    now = site.now()
    with bound(hub=subscription.hub_url, topic=subscription.topic):
        if subscription.state == "leaving" and subscription.attempts >= rules.LEAVE_ATTEMPTS:
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
        error = await _ask(site, subscription, mode)
        async with site.store.begin() as db:
            if error:
                await subscriptions.change(
                    db, subscription.id, due_at=_before_the_end(subscription, again_at, now), last_error=error
                )
            await subscriptions.change(db, subscription.id, claimed_until=None)
        if error:
            log.warning("hub asked", mode=mode, status="failed", error=error)
        else:
            log.info("hub asked", mode=mode, status="accepted")


def _before_the_end(subscription: Subscription, at: datetime, now: datetime) -> datetime:
    """Not later than the lease's end, which must be noticed."""
    ends = subscription.expires_at
    return min(at, ends) if subscription.state == "active" and ends and ends > now else at


async def _ask(site: Site, subscription: Subscription, mode: str) -> str:
    """Sends the request; returns what is wrong, or nothing when the hub took it (WebSub 5.1.2)."""
    callback = f"{site.config.base_url}/push/{subscription.token}"
    if mode == "subscribe":
        form = rules.subscribe_form(
            subscription.topic, callback, subscription.secret, old_hub=subscription.attempts > 0
        )
    else:
        form = rules.unsubscribe_form(subscription.topic, callback)
    try:
        response = await site.client.post(
            subscription.hub_url, body=urlencode(form).encode(), headers=FORM, redirects=HUB_REDIRECTS
        )
    except FetchError as error:
        return str(error)
    reason = response.body[:1000].decode("utf-8", "replace")
    location = response.headers.get("location")
    outcome = rules.judge_response(response.status, hub_url=response.url, location=location, reason=reason)
    match outcome:
        case rules.Accepted():
            return ""
        case rules.Redirect(url):
            return f"The hub redirects too often, at last to {url}."
        case rules.Refused(why):
            return why


async def verified(site: Site, subscription: Subscription, mode: str, granted: int | None) -> None:
    """The hub checked that it was us. From now on it pushes; what came in between is fetched once more."""
    now = site.now()
    rings = [bells.FEEDS, bells.SUBSCRIPTIONS]
    async with site.store.begin(rings=rings) as db:
        if mode == "unsubscribe":
            await subscriptions.change(db, subscription.id, state="ended", asking="", due_at=None)
            await feeds.drop_if_unused(db, subscription.feed_id)
            return
        lease = rules.clamp_lease(granted)
        await subscriptions.change(
            db, subscription.id, state="active", asking="", verified_at=now, expires_at=now + lease,
            due_at=rules.renew_at(now, lease, random()), attempts=0, last_error="",
        )  # fmt: skip
        source = (await sources.of_feeds(db, [subscription.feed_id])).get(subscription.feed_id)
        if source:
            settled = {"state": "active"} if source.state in ("pending", "denied") and source.last_fetch else {}
            await sources.change(db, source, delivery="websub", hub_url=subscription.hub_url, **settled)
        if subscription.state != "active" or (subscription.expires_at and subscription.expires_at <= now):
            await feeds.ask(db, {subscription.feed_id: (1, "poll")}, now)
    log.info("hub verified", hub=subscription.hub_url, topic=subscription.topic, lease=int(lease.total_seconds()))


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
            await feeds.ask(db, {subscription.feed_id: (1, "poll")}, now)
    log.warning("hub denied", hub=subscription.hub_url, topic=subscription.topic, reason=reason)


async def _lapsed(site: Site, subscription: Subscription) -> None:
    """The lease ran out before a renewal was verified: until then the feed is polled."""
    async with site.store.begin() as db:
        await subscriptions.change(db, subscription.id, state="pending", expires_at=None)
        source = (await sources.of_feeds(db, [subscription.feed_id])).get(subscription.feed_id)
        if source:
            await sources.change(db, source, delivery="polling")
            await feeds.ask(db, {subscription.feed_id: (1, "poll")}, site.now())
    log.warning("lease over", hub=subscription.hub_url, topic=subscription.topic)


async def _end(site: Site, subscription: Subscription) -> None:
    """The hub was told often enough; pushes to this callback are answered 410 from now on."""
    async with site.store.begin() as db:
        await subscriptions.change(db, subscription.id, state="ended", asking="", due_at=None, claimed_until=None)
    log.info("hub left", hub=subscription.hub_url, topic=subscription.topic)
