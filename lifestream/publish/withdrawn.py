"""Ends the live streams that show private things when a token is revoked or a session ended, by whichever process.

Whoever may go on comes back by himself, and is let in.
"""

from lifestream.publish.tail import Tail
from lifestream.site import Site
from lifestream.store import bells, owner


async def follow(site: Site, tail: Tail) -> None:
    """Runs until cancelled."""
    known = None

    async def look() -> None:
        nonlocal known
        async with site.store.read() as db:
            last = await owner.fact(db, owner.WITHDRAWN)
        if last != known:
            known = last
            tail.dismiss_owners()

    await bells.follow(site.store.bells[bells.KEYS], "keys", look)
