"""How much strangers may ask of the built-in hub, so that it is no weapon in their hands and no burden to its owner.

Each request to subscribe causes one request of ours, to a callback that somebody else named: so there is a bound for
each caller, for each callback's host (scheme, name and port), and for all together. Callers in the owner's own
networks are held to the last one only. The bounds on rates are this process's.
"""

from collections import Counter
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from ipaddress import ip_address
from time import monotonic

from sqlalchemy.ext.asyncio import AsyncConnection
from starlette.requests import Request

from lifestream.errors import TooManyRequests
from lifestream.protocol.hub import address_key
from lifestream.protocol.limits import Buckets, one_caller
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
"""Parts of the stream that somebody subscribes to: each is made anew with every change. The stream's own feeds and its
sources' are none of them, and are there for everybody however many parts strangers think of."""
FULL = 3600.0
"""Seconds after which somebody who found the hub full may come again."""
WAITING = 20
WAITING_FOR_A_HOST = 4
"""Callers that wait for their verification (PubSubHubbub 0.3). More are answered at once, as WebSub has it."""


class HubLimits:
    def __init__(self) -> None:
        self._callers, self._hosts, self._all = Buckets(*CALLER), Buckets(*HOST), Buckets(*ALL)
        self._waiting: Counter[str] = Counter()

    def admit(self, site: Site, request: Request, callback: str) -> None:
        """Counts a request that will have us ask `callback`. Raises TooManyRequests for one too many."""
        caller, host = request.client.host if request.client else "", host_of(callback)
        asked = [(self._all, "", "This hub is asked too much just now")]
        if not _is_at_home(site, caller):
            asked.append((self._callers, one_caller(caller), "You ask too much"))
            asked.append((self._hosts, host, "Too much is asked for that callback's host"))
        now = monotonic()
        for bucket, name, sentence in asked:
            if wait := bucket.wait(name, now):
                raise TooManyRequests(f"{sentence}; come again in {wait} s.", retry_after=wait)
        for bucket, name, _ in asked:
            bucket.take(name, now)

    @contextmanager
    def waiting(self, callback: str) -> Iterator[bool]:
        """Whether the caller may wait until its callback was asked; if so, it does until the block ends."""
        host = host_of(callback)
        if self._waiting.total() >= WAITING or self._waiting[host] >= WAITING_FOR_A_HOST:
            yield False
            return
        self._waiting[host] += 1
        try:
            yield True
        finally:
            self._waiting[host] -= 1
            if not self._waiting[host]:
                del self._waiting[host]


async def require_room(site: Site, db: AsyncConnection, callback: str, topic_keys: Collection[str]) -> None:
    """Room for subscriptions of `callback` to these topics. Raises TooManyRequests where there is none.

    To be asked for in the transaction that puts them down, else many at once find the same place free.
    """
    new = {key for key in topic_keys if not await subscribers.is_there(db, key, callback)}
    if not new:
        return
    here, in_all = await subscribers.crowd(db, host_of(callback))
    if here + len(new) > MOST_AT_A_HOST or in_all + len(new) > MOST:
        raise TooManyRequests("This hub has as many subscriptions as it can keep; come again later.", retry_after=FULL)
    home = address_key(site.config.base_url + "/")
    wanted = {key for key in new if key.startswith(home) and "?" in key}
    views = await subscribers.parts_under(db, home, site.now()) if wanted else set()
    if wanted - views and len(wanted | views) > MOST_VIEWS:
        raise TooManyRequests(
            "So many parts of this stream are subscribed to that this hub takes no others; come again later.",
            retry_after=FULL,
        )


def _is_at_home(site: Site, caller: str) -> bool:
    try:
        return site.config.allow_networks.allows(ip_address(caller))
    except ValueError:
        return False
