"""`/media/{file}`: the pictures that are kept here. One that is on its way is waited for, because an entry is told of
before its pictures are here.

Those of private entries are for the owner. What came from strangers runs nothing (CSP sandbox).
"""

import asyncio
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta

from starlette.requests import Request
from starlette.responses import FileResponse, PlainTextResponse, Response
from starlette.routing import Route

from lifestream import pictures
from lifestream.access import caller_of
from lifestream.headers import has_already
from lifestream.protocol.pictures import TYPE, asked_for, kept_widths
from lifestream.site import Site
from lifestream.store import bells
from lifestream.store import pictures as stored
from lifestream.store.pictures import Kept

PATIENCE_SECONDS = 5.0
MOST_WAITING = 200
HURRIES = timedelta(minutes=10)
"""A picture of an entry older than this is behind newer ones, unless somebody looks at it."""
FRESH = 12 * 3600
"""Seconds; a picture never changes, but it may become private: nobody shows it after twice that."""
CSP = "default-src 'none'; sandbox"


class Waiting:
    """How many wait for pictures in this process."""

    def __init__(self) -> None:
        self._count = 0

    @property
    def full(self) -> bool:
        return self._count >= MOST_WAITING

    @contextmanager
    def one(self) -> Iterator[None]:
        self._count += 1
        try:
            yield
        finally:
            self._count -= 1


async def picture(request: Request) -> Response:
    site: Site = request.app.state.site
    asked = asked_for(request.path_params["file"])
    if asked is None or not site.pictures.kept:
        return _nothing()
    name, width = asked
    found = await _known(site, name)
    if not await _may_see(request, found):
        return _nothing()
    if answer := _file(site, request, name, width, found):
        return answer
    if found and found.state == "kept":  # its files are lost
        async with site.store.begin(durable=False, rings=[bells.PICTURES]) as db:
            await stored.missing(db, name, site.now())
        found = await _known(site, name)
    waiting: Waiting = request.app.state.waiting_for_pictures
    if found and _comes(site, found) and not waiting.full:
        with waiting.one():
            found = await _awaited(site, name, found)
        if not await _may_see(request, found):
            return _nothing()
    return _file(site, request, name, width, found) or _nothing()


async def _may_see(request: Request, found: Kept | None) -> bool:
    if found is None or found.public:
        return found is not None
    return (await caller_of(request.app.state.site, request)).audience == "owner"


async def _known(site: Site, name: str) -> Kept | None:
    found = await _find(site, name)
    if found is None or found.state == "gone" or not found.public:  # an entry may have been told of a moment ago
        await pictures.up_to_the_head(site)
        found = await _find(site, name)
    return found


async def _find(site: Site, name: str) -> Kept | None:
    """What came from within the owner's networks is public where a feed that lies there shows it to the public."""
    async with site.store.read() as db:
        found = await stored.find(db, name)
        if found is None or not found.at_home or not found.public:
            return found
        feeds = await stored.public_feeds(db, name)
    by_us = any(site.is_at_home(found.url, named_by=feed or site.config.base_url) for feed in feeds)
    return replace(found, public=by_us)


def _comes(site: Site, found: Kept) -> bool:
    return found.state == "due" and found.due_at is not None and found.due_at <= site.now()


async def _awaited(site: Site, name: str, found: Kept) -> Kept | None:
    """The picture once it is here; None when it does not come in time."""
    if found.newest < site.now() - HURRIES:
        async with site.store.begin(durable=False) as db:
            await stored.hurry(db, name, site.now())
    bell = site.store.bells[bells.PICTURES]
    try:
        async with asyncio.timeout(PATIENCE_SECONDS):
            while True:
                heard = bell.strokes
                now_found = await _find(site, name)
                if now_found is None or not _comes(site, now_found):
                    return now_found
                await bell.heard(heard)
    except TimeoutError:
        return None


def _file(site: Site, request: Request, name: str, width: int, found: Kept | None) -> Response | None:
    """The file of this width, or the largest there is; None when it is not there."""
    if found is None or found.state != "kept":
        return None
    width = min(width, kept_widths(found.width)[-1])
    path = pictures.path_of(site.config.data_dir, name, width)
    try:
        stat = os.stat(path)
    except OSError:
        return None
    etag = f'"{name}-{width}-{stat.st_size:x}"'
    headers = {
        "Cache-Control": f"public, max-age={FRESH}, stale-while-revalidate={FRESH}"
        if found.public
        else "private, no-cache",
        "Content-Security-Policy": CSP,
        "ETag": etag,
    }
    if has_already(request, etag):
        return Response(status_code=304, headers=headers)
    return FileResponse(path, headers=headers, media_type=TYPE, stat_result=stat)


def _nothing() -> Response:
    return PlainTextResponse("There is no such picture, or it is not here yet.\n", 404, {"Cache-Control": "no-store"})


routes = [Route("/media/{file}", picture, methods=["GET"])]
