"""`POST /hub` and `POST /`: the built-in hub's door. Publish pings are accepted from anybody, and subscriptions
put down, to be verified afterwards (W3C WebSub 5; PuSH 0.3 where it differs).
"""

import asyncio
from typing import Any
from urllib.parse import urlsplit

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from lifestream.errors import NotFound
from lifestream.log import get_logger
from lifestream.protocol import hub as rules
from lifestream.receive.bodies import read_form
from lifestream.site import Site
from lifestream.store import bells, feeds, sources, subscribers
from lifestream.store.inbox import LookAt

log = get_logger(__name__)

OWN_FEEDS = {"/feed.atom"}
NO_SUCH_TOPIC = "This hub serves no topic with that address; it serves this site's feeds and the feeds it follows."


async def ask(request: Request) -> Response:
    site: Site = request.app.state.site
    match rules.parse_request(await read_form(request)):
        case rules.Publish(urls):
            return await _publish(site, urls)
        case rules.Subscribe() as wish:
            return await _subscribe(site, wish)
        case rules.Unsubscribe() as wish:
            return await _subscribe(site, wish)
        case rules.Invalid(sentence):
            return _says(sentence, 400)


async def _publish(site: Site, urls: tuple[str, ...]) -> Response:
    """204 when one of the addresses is a public topic here. A private one is looked at all the same."""
    async with site.store.read() as db:
        found = await feeds.matching(db, urls)
    allowed = {rules.address_key(url) for url in urls if site.config.hub_topics.allows(url)}
    # A feed without a source counts only while the settings open the hub to it.
    found = [row for row in found if row.visibility is not None or {row.url_key, row.self_key} & allowed]
    await asyncio.gather(*(site.inbox.put(LookAt(row.id, "ping")) for row in found))
    if any(row.visibility != "private" for row in found):
        return Response(status_code=204)
    if any([await _is_own_feed(site, url) for url in urls]):
        return Response(status_code=204)
    return _says("No public topic here has that address.", 404)


async def _subscribe(site: Site, wish: rules.Subscribe | rules.Unsubscribe) -> Response:
    """202 once it is put down; whether the callback confirms it is found out afterwards (WebSub 5.1.2)."""
    topic_key = rules.address_key(wish.topic)
    if isinstance(wish, rules.Subscribe) and not await _is_topic(site, wish.topic):
        return _says(NO_SUCH_TOPIC, 404)
    now = site.now()
    mode = "subscribe" if isinstance(wish, rules.Subscribe) else "unsubscribe"
    values: dict[str, Any] = {"mode": mode, "topic": wish.topic, "topic_key": topic_key, "callback": wish.callback}
    if isinstance(wish, rules.Subscribe):
        values |= {
            "secret": wish.secret, "lease_seconds": rules.clamp_lease(wish.lease_seconds),
            "algorithm": wish.algorithm,
        }  # fmt: skip
    else:
        values |= {"secret": "", "lease_seconds": 0, "algorithm": "sha256"}
    values["verify_token"] = wish.verify_token
    async with site.store.begin(rings=[bells.HUB]) as db:
        await subscribers.asked(db, values, now)
    log.info("hub", mode=mode, topic=wish.topic, callback_host=urlsplit(wish.callback).netloc)
    return _says("Accepted; the callback will be asked whether it wants this.", 202)


async def _is_topic(site: Site, url: str) -> bool:
    """Whether the hub serves it: our own feeds, the feeds of public sources, what the settings add."""
    if await _is_own_feed(site, url):
        return True
    async with site.store.read() as db:
        found = await feeds.matching(db, [url])
    if any(row.visibility == "private" for row in found):
        return False
    # Not the address that was added: that may be a page, and what is passed on is the feed.
    key = rules.address_key(url)
    if any(row.visibility == "public" and key in (row.url_key, row.self_key) for row in found):
        return True
    return site.config.hub_topics.allows(url)


async def _is_own_feed(site: Site, url: str) -> bool:
    base = rules.address_key(site.config.base_url + "/")
    key = rules.address_key(url)
    path = "/" + key.removeprefix(base)
    if not key.startswith(base):
        return False
    if path in OWN_FEEDS:
        return True
    prefix, _, rest = path.removeprefix("/").partition("/")
    slug, _, name = rest.partition("/")
    if prefix != "sources" or name != "feed.atom":
        return False
    try:
        async with site.store.read() as db:
            await sources.get(db, slug, audience="public")
    except NotFound:
        return False
    return True


def _says(sentence: str, status: int) -> Response:
    return PlainTextResponse(sentence + "\n", status_code=status, headers={"X-Content-Type-Options": "nosniff"})
