"""`POST /hub` and `POST /`: the built-in hub's door. Publish pings are accepted from anybody, and subscriptions
put down, to be verified afterwards (W3C WebSub 5; PuSH 0.3 where it differs).
"""

import asyncio
from contextlib import nullcontext
from typing import Any

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from lifestream import exchanges
from lifestream.errors import NotFound
from lifestream.log import get_logger
from lifestream.protocol import hub as rules
from lifestream.protocol.pacing import host_of
from lifestream.publish import hub as hub_work
from lifestream.publish.outbound_feeds import Topic, topic_of
from lifestream.receive.bodies import read_form
from lifestream.receive.limits import HubLimits, require_room
from lifestream.receive.recorded import exchange_of, recorded
from lifestream.site import Site
from lifestream.store import bells, feeds, sources, subscribers
from lifestream.store.inbox import LookAt

log = get_logger(__name__)

NO_SUCH_TOPIC = "This hub serves no topic with that address; it serves this site's feeds and the feeds it follows."


@recorded("ping")
async def ask(request: Request) -> Response:
    site: Site = request.app.state.site
    match rules.parse_request(await read_form(request)):
        case rules.Publish(urls):
            return await _publish(site, urls)
        case rules.Subscribe() | rules.Unsubscribe() as wish:
            told = exchange_of(request)
            told.what = "subscribe" if isinstance(wish, rules.Subscribe) else "unsubscribe"
            told.about, told.known = wish.topic, (wish.callback,)
            return await _subscribe(site, request, wish)
        case rules.Invalid(sentence):
            return _says(sentence, 400)


async def changed(site: Site, urls: tuple[str, ...]) -> bool:
    """Looks at what is said to have changed; whether one of the addresses is a public topic here.

    A private one is looked at all the same.
    """
    async with site.store.read() as db:
        found = await feeds.matching(db, urls)
    allowed = {rules.address_key(url) for url in urls if site.config.hub_topics.allows(url)}
    # A feed without a source counts only while the settings open the hub to it.
    found = [row for row in found if row.visibility is not None or {row.url_key, row.self_key} & allowed]
    exchanges.concerns(row.id for row in found)
    await asyncio.gather(*(site.inbox.put(LookAt(row.id, "ping")) for row in found))
    return any(row.visibility != "private" for row in found) or any([await _own_topic(site, url) for url in urls])


async def _publish(site: Site, urls: tuple[str, ...]) -> Response:
    if await changed(site, urls):
        return Response(status_code=204)
    return _says("No public topic here has that address.", 404)


async def _subscribe(site: Site, request: Request, wish: rules.Subscribe | rules.Unsubscribe) -> Response:
    """202 once it is put down; whether the callback confirms it is found out afterwards (WebSub 5.1.2).

    Who asks in the way of PubSubHubbub 0.3 to have it verified before the answer is given 204 or 409 (0.3, 6.1.2).
    """
    limits: HubLimits = request.app.state.hub_limits
    key = await topic_key(site, wish.topic)
    if key is None and isinstance(wish, rules.Subscribe):
        return _says(NO_SUCH_TOPIC, 404)
    key = key or rules.address_key(wish.topic)
    limits.admit(site, request, wish.callback)
    values = {"topic": wish.topic, "topic_key": key, "callback": wish.callback} | _terms(wish)
    with limits.waiting(wish.callback) if wish.sync else nullcontext(False) as at_once:
        # Not durable: whoever a power cut cost this was told of no subscription yet, and asks again.
        async with site.store.begin(rings=[] if at_once else [bells.HUB], durable=False) as db:
            if isinstance(wish, rules.Subscribe):
                await require_room(site, db, wish.callback, [key])
            request_id = await subscribers.asked(db, values, site.now(), held=at_once)
        log.info("hub", mode=values["mode"], topic=wish.topic, callback_host=host_of(wish.callback))
        if not at_once:
            return _says("Accepted; the callback will be asked whether it wants this.", 202)
        why = await _verify(site, subscribers.Request(id=request_id, host=host_of(wish.callback), **values))
    return _says(why, 409) if why else Response(status_code=204)


def _terms(wish: rules.Subscribe | rules.Unsubscribe) -> dict[str, Any]:
    if isinstance(wish, rules.Subscribe):
        return {
            "mode": "subscribe", "secret": wish.secret, "lease_seconds": rules.clamp_lease(wish.lease_seconds),
            "algorithm": wish.algorithm, "verify_token": wish.verify_token,
        }  # fmt: skip
    return {
        "mode": "unsubscribe", "secret": "", "lease_seconds": 0, "algorithm": "sha256",
        "verify_token": wish.verify_token,
    }  # fmt: skip


async def _verify(site: Site, request: subscribers.Request) -> str:
    answer = await hub_work.ask(site, request)
    async with site.store.begin() as db:
        await hub_work.note_answers(site, db, [answer])
    return answer.why


async def topic_key(site: Site, url: str) -> str | None:
    """What the hub knows this topic by; None where it serves none with that address.

    It serves our own feeds, each under one address, the feeds of public sources, and what the settings add.
    """
    if own := await _own_topic(site, url):
        return rules.address_key(site.config.base_url + own.path)
    key = rules.address_key(url)
    async with site.store.read() as db:
        found = await feeds.matching(db, [url])
    if key.startswith(rules.address_key(site.config.base_url + "/")) or any(
        row.visibility == "private" for row in found
    ):
        return None
    # Not the address that was added: that may be a page, and what is passed on is the feed.
    if any(row.visibility == "public" and key in (row.url_key, row.self_key, row.former_key) for row in found):
        return key
    return key if site.config.hub_topics.allows(url) else None


async def _own_topic(site: Site, url: str) -> Topic | None:
    """The public feed of ours that has this address."""
    topic = topic_of(site.config, url)
    if topic and topic.wanted.source:
        try:
            async with site.store.read() as db:
                await sources.get(db, topic.wanted.source, audience="public")
        except NotFound:
            return None
    return topic


def _says(sentence: str, status: int) -> Response:
    return PlainTextResponse(sentence + "\n", status_code=status, headers={"X-Content-Type-Options": "nosniff"})
