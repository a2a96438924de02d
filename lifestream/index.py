"""Keeps the search index up to the head of the log: behind what is stored, and before what is searched."""

import asyncio
from functools import partial

from lifestream.log import get_logger
from lifestream.site import Site
from lifestream.store import bells, search

log = get_logger(__name__)

REST = 1.0
"""Seconds in which changes gather: who is about to show or tell them comes first, and who searches does not wait."""
SEARCH_WAITS = 2.0
"""Seconds that a search waits for the index; in the middle of a long import it finds what is indexed by then."""


async def follow(site: Site) -> None:
    """Runs until cancelled."""
    await bells.follow(site.store.bells[bells.LOG], "index", partial(up_to_the_head, site), every=5.0, rest=REST)


async def before_search(site: Site) -> None:
    """Returns when all that is stored can be found, or soon."""
    try:
        async with asyncio.timeout(SEARCH_WAITS):
            await up_to_the_head(site)
    except TimeoutError:
        pass
    except Exception as error:  # what is indexed already can be found all the same
        log.error("index", status="failed", error=type(error).__name__)


async def up_to_the_head(site: Site) -> None:
    async with site.store.indexing:
        while True:
            async with site.store.read() as db:
                before = await search.position(db)
                page, upto = await search.unknown(db, before)
            if upto == before:
                return
            async with site.store.begin(durable=False) as db:
                await search.know(db, page, before, upto)
            await asyncio.sleep(0)
