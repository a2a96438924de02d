"""What is playing: told on every live stream, and kept in the database, where the other processes find it too.

It is no entry. While `listens` is private nobody is told.
"""

import asyncio

from lifestream.log import get_logger
from lifestream.protocol import live
from lifestream.publish.tail import Tail
from lifestream.site import Site
from lifestream.store import bells, listens

log = get_logger(__name__)

REST = 0.05
"""Seconds between two looks: the log's bell rings for everything."""


async def follow(site: Site, tail: Tail) -> None:
    """Tells what begins and what ends; runs until cancelled."""
    bell = site.store.bells[bells.LOG]
    told = None
    while True:
        heard = bell.strokes
        try:
            async with site.store.read() as db:
                track, remains = await listens.playing(db, site.now())
        except Exception as error:  # the database is away
            log.error("playing", status="failed", error=type(error).__name__)
            await asyncio.sleep(1.0)
            continue
        if track != told:
            await tail.notify("playing", live.playing(track))
            told = track
        await asyncio.sleep(REST)
        await bell.heard(heard, timeout=remains if track else None)
