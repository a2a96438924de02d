"""How much strangers may ask of the built-in hub, so that it is no weapon in their hands and no burden to its owner.

Each request to subscribe causes one request of ours, to a callback that somebody else named: so there is a bound for
each caller, for each callback's host (scheme, name and port), and for all together. Callers in the owner's own
networks are held to the last one only. The bounds on rates are this process's.
"""

from collections import Counter
from ipaddress import ip_address
from time import monotonic

from starlette.requests import Request

from lifestream.errors import TooManyRequests
from lifestream.protocol.hub import address_key
from lifestream.protocol.limits import Buckets
from lifestream.protocol.pacing import host_of
from lifestream.site import Site
from lifestream.store import subscribers

CALLER = (120, 1.0)
"""So many requests at once, and so many a second after that."""
HOST = (600, 5.0)
ALL = (5000, 50.0)
MOST_AT_A_HOST = 5000
MOST = 50_000
"""Subscriptions that are kept."""
MOST_VIEWS = 200
"""Feeds of ours that somebody subscribes to: each is made anew with every change."""
FULL = 3600.0
"""Seconds after which somebody who found the hub full may come again."""
WAITING = 20
WAITING_FOR_A_HOST = 4
"""Callers that wait for their verification (PubSubHubbub 0.3). More are answered at once, as WebSub has it."""


class HubLimits:
    def __init__(self) -> None:
        self._callers, self._hosts, self._all = Buckets(*CALLER), Buckets(*HOST), Buckets(*ALL)
        self._waiting: Counter[str] = Counter()

    async def admit(self, site: Site, request: Request, callback: str, topic_key: str, *, joins: bool) -> None:
        """Counts a request that will have us ask `callback`. Raises TooManyRequests for one too many.

        `joins`: it may come to one more subscription.
        """
        self._in_time(site, request, host_of(callback))
        if joins:
            await _has_room(site, callback, topic_key)

    def waits(self, callback: str) -> bool:
        """Whether the caller may wait until its callback was asked; if so, `waited` is to be called afterwards."""
        host = host_of(callback)
        if self._waiting.total() >= WAITING or self._waiting[host] >= WAITING_FOR_A_HOST:
            return False
        self._waiting[host] += 1
        return True

    def waited(self, callback: str) -> None:
        self._waiting[host_of(callback)] -= 1

    def _in_time(self, site: Site, request: Request, host: str) -> None:
        caller = request.client.host if request.client else ""
        asked = [(self._all, "", "This hub is asked too much just now")]
        if not _is_at_home(site, caller):
            asked.append((self._callers, caller, "You ask too much"))
            asked.append((self._hosts, host, "Too much is asked for that callback's host"))
        now = monotonic()
        for bucket, name, sentence in asked:
            if wait := bucket.wait(name, now):
                raise TooManyRequests(f"{sentence}; come again in {wait} s.", retry_after=wait)
        for bucket, name, _ in asked:
            bucket.take(name, now)


async def _has_room(site: Site, callback: str, topic_key: str) -> None:
    own = topic_key.startswith(address_key(site.config.base_url + "/"))
    async with site.store.read() as db:
        if await subscribers.is_there(db, topic_key, callback):
            return
        here, in_all = await subscribers.crowd(db, host_of(callback))
        views = await subscribers.topics_under(db, address_key(site.config.base_url + "/"), site.now()) if own else {}
    if here >= MOST_AT_A_HOST or in_all >= MOST:
        raise TooManyRequests("This hub has as many subscriptions as it can keep; come again later.", retry_after=FULL)
    if len(views) >= MOST_VIEWS and topic_key not in views:
        raise TooManyRequests(
            "So many parts of this stream are subscribed to that this hub takes no others; come again later.",
            retry_after=FULL,
        )


def _is_at_home(site: Site, caller: str) -> bool:
    try:
        return site.config.allow_networks.allows(ip_address(caller))
    except ValueError:
        return False
