"""`/rsscloud/notify`: where rssClouds ask whether it was us who registered, and tell that a feed has changed.

Nobody signs this, so it is a hint to look and no more, and only where we registered. Whoever else tells us something,
or asks, learns nothing of what is followed here.

`/rsscloud/pleaseNotify` and `/rsscloud/ping` are our own cloud's: the built-in hub by another name.
"""

import secrets
from urllib.parse import parse_qsl

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from lifestream.errors import FetchError
from lifestream.exchanges import keep_out
from lifestream.log import get_logger
from lifestream.protocol import rsscloud as rules
from lifestream.protocol.links import web_address
from lifestream.protocol.pacing import host_of
from lifestream.publish.hub import TIMEOUT
from lifestream.receive.bodies import query_of, read_form
from lifestream.receive.hub import changed, topic_key
from lifestream.receive.limits import HubLimits, require_room
from lifestream.receive.recorded import exchange_of, recorded
from lifestream.site import Site
from lifestream.store import subscribers, subscriptions
from lifestream.store.inbox import LookAt
from lifestream.subscribe import FORM, VERIFY_WITHIN

log = get_logger(__name__)

WELCOME = (
    "Thanks for the registration. It worked. When the feed changes, you are told. Register again after 24 hours; "
    "your subscription ends after 25."
)


@recorded("challenge")
async def challenge(request: Request) -> Response:
    """The cloud's challenge, given back while we are asking it, else 404: at other times it is somebody who probes."""
    site: Site = request.app.state.site
    asked = dict(reversed(parse_qsl(query_of(request), keep_blank_values=True, errors="replace")))
    since = site.now() - VERIFY_WITHIN
    async with site.store.read() as db:
        ours = await subscriptions.at_a_cloud(db, asked.get("url", ""))
    exchange_of(request).feed_ids = tuple(one.feed_id for one in ours)
    expected = any(one.asked_at and one.asked_at >= since for one in ours)
    answer = asked.get("challenge", "")
    if not expected or not rules.usable_challenge(answer):
        return _says("That was not asked for.", 404)
    return _says(answer)


@recorded("ping")
async def notify(request: Request) -> Response:
    """The same polite answer to everybody."""
    site: Site = request.app.state.site
    told = dict(reversed(await read_form(request)))
    async with site.store.read() as db:
        ours = await subscriptions.at_a_cloud(db, told.get("url", ""))
    told_of = exchange_of(request)
    told_of.feed_ids = tuple(one.feed_id for one in ours)
    told_of.says("ok" if ours else "refused", "" if ours else "No feed of that address is followed by rssCloud.")
    for subscription in ours:
        await site.inbox.put(LookAt(subscription.feed_id, "cloud"))
    return _says("Thank you.\n")


@recorded("subscribe")
async def please_notify(request: Request) -> Response:
    """Registers whoever proves to be there, for 25 hours; the answer says how it went."""
    site: Site = request.app.state.site
    caller = request.client.host if request.client else ""
    form = await read_form(request)
    keep_out(value.strip() for name, value in form if name == "path")  # a callback's path is a password
    asked = rules.parse_registration(form, caller)
    if isinstance(asked, str):
        return _tells(request, "notifyResult", asked, success=False)
    keys: dict[str, str] = {}
    for feed in asked.feeds:
        key = await topic_key(site, feed) if web_address(feed) else None
        if key is None:
            sentence = "This cloud tells of this site's feeds and the feeds it follows, and not of one you name."
            return _tells(request, "notifyResult", sentence, success=False)
        keys[key] = feed
    limits: HubLimits = request.app.state.hub_limits
    limits.admit(site, request, asked.callback)
    async with site.store.read() as db:
        await require_room(site, db, asked.callback, keys)
    exchange_of(request).about = asked.feeds[0]
    with site.exchanges.asking("verify", about=asked.feeds[0], host_only=True, known=[asked.callback]) as told:
        why = await _is_there(site, asked)
        told.says("refused" if why else "ok", why)
    if why:
        log.info("rsscloud not registered", callback_host=host_of(asked.callback), why=why)
        return _tells(request, "notifyResult", why, success=False)
    lasts = int(rules.LASTS.total_seconds())
    async with site.store.begin() as db:
        await require_room(site, db, asked.callback, keys)  # others came while it was asked
        for key, feed in keys.items():
            await subscribers.subscribe(db, feed, key, asked.callback, site.now(), lease_seconds=lasts, kind="rsscloud")
    log.info("rsscloud registered", callback_host=host_of(asked.callback), feeds=len(keys))
    return _tells(request, "notifyResult", WELCOME)


@recorded("ping")
async def ping(request: Request) -> Response:
    """A publisher says that a feed changed: as good as a ping of the hub."""
    site: Site = request.app.state.site
    told = dict(reversed(await read_form(request)))
    url = web_address(told.get("url", ""))
    if not url or not await changed(site, (url,)):
        return _tells(request, "result", "No public topic here has that address.", success=False)
    return _tells(request, "result", "Thanks for the ping.")


async def _is_there(site: Site, asked: rules.Registration) -> str:
    """Asks or tells the callback once, of the first feed; what is wrong, or nothing when it is there and willing."""
    feed, challenge = asked.feeds[0], secrets.token_urlsafe(24)
    client = site.stranger_client
    try:
        if not asked.named:
            told = await client.post(
                asked.callback, body=rules.notification(feed), headers=FORM, timeout=TIMEOUT, read_body=False
            )
            return "" if 200 <= told.status < 300 else f"The callback answered {told.status} to a test."
        url = rules.challenge_url(asked.callback, feed, challenge)
        answer = await client.get(url, redirects=0, max_bytes=4096, timeout=TIMEOUT)
    except FetchError as error:
        return str(error)
    if 200 <= answer.status < 300 and answer.body.strip() == challenge.encode():
        return ""
    return f"The callback answered {answer.status}, but not with the challenge."


def _tells(request: Request, element: str, sentence: str, *, success: bool = True) -> Response:
    if not success:
        exchange_of(request).says("refused", sentence)
    as_json = rules.wants_json(request.headers.get("accept", ""))
    body, media_type = rules.answer(element, success, sentence, as_json=as_json)
    return Response(body, media_type=media_type, headers={"X-Content-Type-Options": "nosniff"})


def _says(text: str, status: int = 200) -> Response:
    return PlainTextResponse(text, status, headers={"X-Content-Type-Options": "nosniff"})
