"""The built-in hub's work: follows the log for our own feeds, asks callbacks what they want, delivers, retries.

W3C WebSub 5.3 (verification of intent) and 7 (content distribution), and what rssCloud tells its subscribers. What a
subscriber is still to be given is a row; a newer document takes an older one's place, so a callback that was away gets
the newest and gets it once.
"""

import secrets
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from random import random

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from lifestream import index
from lifestream.errors import FetchError, NotFound
from lifestream.log import get_logger
from lifestream.protocol import hub as rules
from lifestream.protocol import rsscloud
from lifestream.protocol.hub import address_key
from lifestream.publish.courier import Courier
from lifestream.publish.outbound_feeds import render, topic_of
from lifestream.site import Site
from lifestream.store import bells, changes, deliveries, feeds, gate, owner, subscribers
from lifestream.store.deliveries import Content, DueDelivery, Failure
from lifestream.store.subscribers import Request
from lifestream.store.tables import HubDeliveryRow, HubRequestRow
from lifestream.subscribe import FORM
from lifestream.types import Filter, Stored

log = get_logger(__name__)

POSITION = "hub_position"
POSITION_LOCK = 0x687562  # "hub"
PAGE = 500
NOTED_EVERY = 600_000_000
"""Ten minutes of the log's clock, in µs."""
TIMEOUT = 10.0
"""Seconds that a callback has, for an answer as for taking a delivery."""
AT_ONCE = 100
PER_HOST = 10
REST = 0.01
"""Seconds: who looks at the page comes first."""
GONE = "This topic is not public here any more."


# -- from the log to what is due --------------------------------------------------------------


async def follow(site: Site) -> None:
    """Turns changes in the log into deliveries of the feeds that they are in; runs until cancelled."""
    position: int | None = None

    async def distribute() -> None:
        nonlocal position
        if position is None:
            position = await start(site)
        more = True
        while more:
            position, more = await distribute_from(site, position)

    await bells.follow(site.store.bells[bells.LOG], "hub", distribute, every=5.0, rest=REST)


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
    base = address_key(site.config.base_url + "/")
    async with site.store.read() as db:
        topics = await subscribers.topics_under(db, base, site.now())
        page = await changes.after(db, position, audience="public", limit=PAGE) if topics else []
        upto = page[-1].seq if page else position if topics else await changes.head(db)
    news = await _news(site, topics, page) if page else News()
    if news:
        await _put_out(site, news, upto)
    elif upto // NOTED_EVERY != position // NOTED_EVERY:
        async with site.store.begin(durable=False) as db:
            await owner.set_fact(db, POSITION, str(upto))
    return upto, len(page) == PAGE


@dataclass(frozen=True, slots=True)
class News:
    """Feeds of ours that changed, as they are now; and the keys of those that are not for everybody any more."""

    contents: Sequence[Content] = ()
    gone: Sequence[str] = ()

    def __bool__(self) -> bool:
        return bool(self.contents or self.gone)


async def _news(site: Site, topics: dict[str, str], page: Sequence[Stored]) -> News:
    """Each feed that somebody subscribed to and that these changes may be in is rendered once."""
    contents: list[Content] = []
    gone: list[str] = []
    now = site.now()
    for key, url in topics.items():
        topic = topic_of(site.config, url)
        if topic is None or not any(_concerns(change, topic.wanted) for change in page):
            continue
        if topic.wanted.q:
            await index.before_search(site)
        try:
            async with site.store.read() as db:
                feed = await render(db, site.config, now, topic)
        except NotFound:
            gone.append(key)
        else:
            contents.append(Content(feed.self_url, key, feed.seq, feed.media_type, feed.body))
    return News(contents, gone)


def _concerns(change: Stored, wanted: Filter) -> bool:
    if wanted.source and change.source.slug != wanted.source and not change.deleted:
        return False
    return gate.told(change, "public", wanted) is not None


async def _put_out(site: Site, news: News, upto: int) -> None:
    async with site.store.begin(rings=[bells.DELIVERIES, bells.HUB]) as db:
        if db.dialect.name == "postgresql":  # several processes take turns
            await db.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": POSITION_LOCK})
            if int(await owner.fact(db, POSITION) or 0) >= upto:  # another one has put out what is as new
                return
        now = site.now()
        for content in news.contents:
            await deliveries.distribute(db, content, now)
        if news.gone:
            await subscribers.deny(db, news.gone, now)
        await owner.set_fact(db, POSITION, str(upto))


# -- what callbacks are asked and given -------------------------------------------------------


def couriers(site: Site) -> "tuple[Courier[Request, Answer], Courier[DueDelivery, Outcome]]":
    return (
        Courier(
            site, bells.HUB, HubRequestRow, claim=subscribers.claim_requests,
            send=partial(ask, site), note=partial(note_answers, site),
            durable=True, within=TIMEOUT, at_once=AT_ONCE, per_host=PER_HOST,
        ),
        # Not durable: what a power cut forgets is delivered twice. A killed process forgets nothing.
        Courier(
            site, bells.DELIVERIES, HubDeliveryRow, claim=deliveries.claim,
            send=partial(deliver, site), note=partial(note_deliveries, site),
            durable=False, within=TIMEOUT, at_once=AT_ONCE, per_host=PER_HOST,
        ),
    )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Answer:
    """`why` says why not; it is empty where the callback confirmed, or was told."""

    request: Request
    why: str = ""


async def ask(site: Site, request: Request) -> Answer:
    """Asks the callback whether it wants this, once (WebSub 5.3). Only a 2xx that echoes the challenge counts.

    It is not asked again by itself: whoever sends us a request causes one of ours and no more. A denial is told, and
    what is answered to it counts for nothing (WebSub 5.2).
    """
    challenge = secrets.token_urlsafe(24)
    if request.mode == "denied":
        url = rules.denial_url(request.callback, request.topic, GONE)
    else:
        url = rules.verification_url(
            request.callback, request.mode, request.topic, challenge, request.lease_seconds, request.verify_token
        )
    what = "denial" if request.mode == "denied" else "verify"
    try:
        with site.exchanges.asking(what, about=request.topic, host_only=True, known=[request.callback]) as told:
            response = await site.stranger_client.get(url, redirects=0, max_bytes=4096, timeout=TIMEOUT)
            confirmed = request.mode == "denied" or rules.verified(response.status, response.body, challenge)
            why = "" if confirmed else f"The callback answered {response.status}, but not with the challenge."
            told.says("refused" if why else "ok", why or request.mode)
    except FetchError as error:
        return Answer(request, str(error))
    return Answer(request, why)


async def note_answers(site: Site, db: AsyncConnection, answers: Sequence[Answer]) -> bool:
    """What stood before stays as it is unless the callback confirmed (WebSub 5.1)."""
    for answer in answers:
        request = answer.request
        if not answer.why and request.mode != "denied":
            await subscribers.verified(db, request, site.now())
            await _look_at_strangers_topic(site, db, request)
        await subscribers.drop_request(db, request)
        said = "hub not verified" if answer.why else "hub denied" if request.mode == "denied" else "hub verified"
        log.info(said, mode=request.mode, topic=request.topic, callback_host=request.host, why=answer.why)
    return False


async def _look_at_strangers_topic(site: Site, db: AsyncConnection, request: Request) -> None:
    """A topic that the settings open the hub to is looked at from the moment that somebody has confirmed to want it."""
    if request.mode != "subscribe" or not site.config.hub_topics.allows(request.topic):
        return
    ours = request.topic_key.startswith(address_key(site.config.base_url + "/"))
    if not ours and not await feeds.matching(db, [request.topic]):
        await feeds.ensure(db, request.topic, site.now(), discovered=True)
        site.store.bells.ring(bells.FEEDS)


@dataclass(frozen=True, slots=True)
class Outcome:
    sent: DueDelivery
    verdict: rules.Delivered | rules.Ended | rules.Failed


async def deliver(site: Site, due: DueDelivery) -> Outcome:
    """POSTs the topic's newest document, signed where a secret was agreed; the answer's body is not read."""
    body, headers = _parcel(site, due)
    try:
        with site.exchanges.asking("deliver", about=due.topic, host_only=True, known=[due.callback]) as told:
            response = await site.stranger_client.deliver(due.callback, body=body, headers=headers, timeout=TIMEOUT)
            verdict = rules.judge_delivery(response.status)
            if isinstance(verdict, rules.Failed):  # a redirect, too
                told.says("failed", verdict.why)
    except FetchError as error:
        return Outcome(due, rules.Failed(str(error)))
    return Outcome(due, verdict)


def _parcel(site: Site, due: DueDelivery) -> tuple[bytes, dict[str, str]]:
    if due.kind == "rsscloud":
        return rsscloud.notification(due.topic), FORM
    content = due.content
    return content.body, rules.delivery_headers(
        content.media_type, site.config.hub_url, due.topic, content.body, due.secret, due.algorithm
    )


async def note_deliveries(site: Site, db: AsyncConnection, outcomes: Sequence[Outcome]) -> bool:
    """Says whether newer content came for one of them meanwhile."""
    now = site.now()
    arrived = [one.sent for one in outcomes if isinstance(one.verdict, rules.Delivered)]
    more = await deliveries.delivered(db, arrived, now) if arrived else False
    for topic, count in Counter(sent.topic for sent in arrived).items():
        log.info("delivery", status="delivered", topic=topic, count=count)
    for one in outcomes:
        match one.verdict:
            case rules.Ended():
                await subscribers.end(db, [one.sent.subscriber_id])
                log.info("delivery", status="ended", topic=one.sent.topic, callback_host=one.sent.host)
            case rules.Failed(why):
                again_at = rules.retry_at(one.sent.attempts + 1, now, random())
                more |= await deliveries.failed(db, Failure(one.sent, why, again_at))
                log.info(
                    "delivery", status="failed", topic=one.sent.topic, callback_host=one.sent.host,
                    attempt=one.sent.attempts + 1, why=why,
                )  # fmt: skip
    return more
