"""`/rsscloud/notify`: where rssClouds ask whether it was us who registered, and tell that a feed has changed.

Nobody signs this, so it is a hint to look and no more, and only where we registered. Whoever else tells us something,
or asks, learns nothing of what is followed here.
"""

from urllib.parse import parse_qsl

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from lifestream.protocol import rsscloud as rules
from lifestream.receive.bodies import query_of, read_form
from lifestream.site import Site
from lifestream.store import subscriptions
from lifestream.store.inbox import LookAt
from lifestream.subscribe import VERIFY_WITHIN


async def challenge(request: Request) -> Response:
    """The cloud's challenge, given back while we are asking it, else 404: at other times it is somebody who probes."""
    site: Site = request.app.state.site
    asked = dict(reversed(parse_qsl(query_of(request), keep_blank_values=True, errors="replace")))
    since = site.now() - VERIFY_WITHIN
    async with site.store.read() as db:
        ours = await subscriptions.at_a_cloud(db, asked.get("url", ""))
    expected = any(one.asked_at and one.asked_at >= since for one in ours)
    answer = asked.get("challenge", "")
    if not expected or not rules.usable_challenge(answer):
        return _says("That was not asked for.", 404)
    return _says(answer)


async def notify(request: Request) -> Response:
    """The same polite answer to everybody."""
    site: Site = request.app.state.site
    told = dict(reversed(await read_form(request)))
    async with site.store.read() as db:
        ours = await subscriptions.at_a_cloud(db, told.get("url", ""))
    for subscription in ours:
        await site.inbox.put(LookAt(subscription.feed_id, "cloud"))
    return _says("Thank you.\n")


def _says(text: str, status: int = 200) -> Response:
    return PlainTextResponse(text, status, headers={"X-Content-Type-Options": "nosniff"})
