"""`/push/{token}`: where hubs verify our subscriptions and push what is new (W3C WebSub 5.3 and 7).

The token alone says which subscription it is; the Link headers are not believed (WebSub 7).
"""

from time import monotonic
from urllib.parse import parse_qsl

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from lifestream import subscribe
from lifestream.log import get_logger
from lifestream.protocol import subscriber as rules
from lifestream.protocol.signatures import compared
from lifestream.receive.bodies import query_of, read_body
from lifestream.receive.recorded import exchange_of, recorded
from lifestream.site import Site
from lifestream.store import subscriptions
from lifestream.store.inbox import Document, LookAt
from lifestream.store.subscriptions import Subscription

log = get_logger(__name__)

REMEMBERED = 1.0
"""Seconds for which a callback is not looked up again: a hub in full flow pushes hundreds of times in one."""
MOST_REMEMBERED = 1000

Recent = dict[str, tuple[float, Subscription]]


@recorded("challenge")
async def verify(request: Request) -> Response:
    """The hub asks whether it was us who asked. 404 for anything but what was asked (WebSub 5.3.1)."""
    if request.method == "HEAD":  # nobody can read a challenge out of it, so it is no verification
        return Response(status_code=405, headers={"Allow": "GET, POST"})
    site: Site = request.app.state.site
    told = exchange_of(request)
    async with site.store.read() as db:
        subscription = await subscriptions.by_token(db, _token(request))
    expected = None
    if subscription is not None:
        expected = rules.Expected(topic=subscription.topic, wanted=subscription.wanted)
        told.feed_ids = (subscription.feed_id,)
    query = query_of(request)
    pairs = parse_qsl(query, keep_blank_values=True, errors="replace")
    match rules.answer_verification(pairs, query, expected):
        case rules.Confirm(challenge, mode, lease_seconds):
            lease = f", for {lease_seconds:,} seconds" if lease_seconds else ""
            told.says("ok", f"{mode} confirmed{lease}")
            if subscription is not None:
                await subscribe.verified(site, subscription, mode, lease_seconds)
            return PlainTextResponse(challenge, headers={"X-Content-Type-Options": "nosniff"})
        case rules.Denied(reason):
            told.what = "denial"
            told.says("refused", reason or "without a reason")
            if subscription is not None:
                await subscribe.denied(site, subscription, reason)
            return PlainTextResponse("noted")
        case rules.Refuse(reason):
            told.says("refused", reason)
            return PlainTextResponse(reason, status_code=404)


@recorded("push")
async def receive(request: Request) -> Response:
    """A push: into the inbox, then 202. Only what carries the right signature is used as it is."""
    site: Site = request.app.state.site
    told = exchange_of(request)
    body = await read_body(request, site.config.max_feed_bytes)
    subscription = await _recent(request.app.state.pushed_to, site, _token(request))
    if subscription is None:
        told.says("refused", "There is no subscription at this callback, or no more.")
        return PlainTextResponse("There is no subscription here.", status_code=404)
    told.stranger = False
    header = request.headers.get("x-hub-signature")
    told.feed_ids, told.known = (subscription.feed_id,), (subscription.secret,)
    match rules.judge_notification(header, body, subscription.secret, subscription.state):
        case rules.Use(status):
            told.step("Signature checked", f"{(header or '').partition('=')[0]}, matches")
            site.exchanges.track(told, subscription.feed_id, body)
            media_type = request.headers.get("content-type", "")
            await site.inbox.put(Document(subscription.feed_id, body, media_type))
            return Response(status_code=status)
        case rules.Hint(why, status):
            told.says("ok" if status < 400 else "refused", f"{why}: nothing of it is used, the feed is looked at")
            await site.inbox.put(LookAt(subscription.feed_id, "push"))
            log.warning("push", status="hint", hub=subscription.hub_url, why=why)
            return PlainTextResponse(why, status_code=status)
        case rules.Ignore(why, status):
            wrong = f": {compared(header, body, subscription.secret)}" if header and status < 300 else ""
            told.says("refused", why + wrong)
            # For a wrong signature the answer is the same as for a right one: nobody can probe the secret.
            log.warning("push", status="ignored", hub=subscription.hub_url, why=why)
            return Response(status_code=status)


def _token(request: Request) -> str:
    token: str = request.path_params["token"]
    return token.replace("\0", "")  # PostgreSQL's text cannot hold it


async def _recent(recent: Recent, site: Site, token: str) -> Subscription | None:
    until, subscription = recent.get(token, (0.0, None))
    if subscription is not None and until > monotonic():
        return subscription
    async with site.store.read() as db:
        subscription = await subscriptions.by_token(db, token)
    if subscription is not None:
        if len(recent) >= MOST_REMEMBERED:
            recent.clear()
        recent[token] = (monotonic() + REMEMBERED, subscription)
    return subscription
