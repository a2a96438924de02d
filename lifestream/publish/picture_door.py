"""`/media/{file}`: the pictures that are kept here. One that is on its way is waited for, because an entry is told of
before its pictures are here.

Whoever knows a picture's name may have it: it cannot be guessed. What came from strangers runs nothing (CSP sandbox).
"""

import asyncio
import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

from starlette.requests import Request
from starlette.responses import FileResponse, PlainTextResponse, Response
from starlette.routing import Route

from lifestream import pictures
from lifestream.protocol.pictures import TYPE, asked_for, kept_widths
from lifestream.site import Site
from lifestream.store import bells
from lifestream.store import pictures as stored
from lifestream.store.pictures import Kept

PATIENCE_SECONDS = 5.0
MOST_WAITING = 200
HURRIES = timedelta(minutes=10)
"""A picture of an entry older than this is behind newer ones, unless somebody looks at it."""
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
    return _file(site, request, name, width, found) or _nothing()


async def _known(site: Site, name: str) -> Kept | None:
    async with site.store.read() as db:
        found = await stored.find(db, name)
    if found is None or found.state == "gone":  # its entry may have been told of a moment ago
        await pictures.up_to_the_head(site)
        async with site.store.read() as db:
            found = await stored.find(db, name)
    return found


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
                async with site.store.read() as db:
                    now_found = await stored.find(db, name)
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
        "Cache-Control": f"{'public' if found.public else 'private'}, max-age=31536000, immutable",
        "Content-Security-Policy": CSP,
        "ETag": etag,
    }
    if etag in (one.strip().removeprefix("W/") for one in request.headers.get("if-none-match", "").split(",")):
        return Response(status_code=304, headers=headers)
    return FileResponse(path, headers=headers, media_type=TYPE, stat_result=stat)


def _nothing() -> Response:
    return PlainTextResponse("There is no such picture, or it is not here yet.\n", 404, {"Cache-Control": "no-store"})


routes = [Route("/media/{file}", picture, methods=["GET"])]
