"""Ends the live streams that show private things when a token is revoked or a session ended, by whichever process.

Whoever may go on comes back by himself, and is let in.
"""

import asyncio

from lifestream.log import get_logger
from lifestream.publish.tail import Tail
from lifestream.site import Site
from lifestream.store import bells, owner

log = get_logger(__name__)


async def follow(site: Site, tail: Tail) -> None:
    """Runs until cancelled."""
    bell = site.store.bells[bells.KEYS]
    known = None
    while True:
        heard = bell.strokes
        try:
            async with site.store.read() as db:
                last = await owner.fact(db, owner.WITHDRAWN)
        except Exception as error:  # the database is away
            log.error("keys", status="failed", error=type(error).__name__)
            await asyncio.sleep(1.0)
            continue
        if last != known:
            known = last
            tail.dismiss_owners()
        await bell.heard(heard)
