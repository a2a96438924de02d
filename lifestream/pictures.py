"""Has the pictures of the entries fetched and kept, so that the stream outlives the places it came from.

An entry is told before its pictures are here. They follow from the log of changes: what an entry shows is put down as
due, fetched through the guarded client, made anew in a process of its own (`darkroom.py`), and kept under `media` in
the data folder. Its size is then written into the entry, which is no change to anybody.
"""

import asyncio
import os
from datetime import timedelta
from functools import partial
from pathlib import Path

from lifestream.client import Client, Response
from lifestream.errors import BadAddress, BadStatus, FetchError, TimedOut, UnfitPicture, Unreachable
from lifestream.log import get_logger
from lifestream.protocol.caching import retry_after_seconds
from lifestream.protocol.pacing import host_of
from lifestream.protocol.pictures import MAY_PASS, WIDTHS, Developed, again_at, file_name, kept_widths
from lifestream.site import Site
from lifestream.store import bells, pictures
from lifestream.store.pictures import Due

log = get_logger(__name__)

REST = 0.1
"""Seconds in which changes gather: whoever shows or tells them comes first."""
MOST_BYTES = 20 * 1024 * 1024
SECONDS = 60.0
AT_ONCE = 3
"""Fewer than a browser asks one host for."""
HOST_RESTS = timedelta(hours=1)
"""The longest time for which a host that does not answer keeps its other pictures waiting."""
WHEN_FULL = timedelta(hours=1)
ACCEPT = {"Accept": "image/avif,image/webp,image/jpeg,image/png,image/gif;q=0.9"}
FOLDER = "media"


# -- what is shown ----------------------------------------------------------------------------


async def follow(site: Site) -> None:
    """Runs until cancelled."""
    await bells.follow(site.store.bells[bells.LOG], "pictures", partial(up_to_the_head, site), every=5.0, rest=REST)


async def up_to_the_head(site: Site) -> None:
    """Puts down which pictures are shown, as far as the log goes."""
    while True:
        async with site.store.read() as db:
            before = await pictures.position(db)
            page, upto = await pictures.unknown(db, before, site.pictures)
        if upto == before:
            return
        async with site.store.begin(durable=False) as db:
            noted = await pictures.note(db, page, before, upto, site.now())
        if noted.due:
            site.store.bells.ring(bells.PICTURES)
        for name in noted.kept:
            await fit(site, name)
        await asyncio.sleep(0)


async def fit(site: Site, name: str) -> None:
    """Gives the entries with this picture its size."""
    after: int | None = 0
    while after is not None:
        async with site.store.begin(durable=False) as db:
            after = await pictures.fit(db, name, after)


# -- what is due ------------------------------------------------------------------------------


async def work(site: Site, due: Due) -> None:
    """Fetches and keeps a picture, or removes one."""
    if due.gone:
        await asyncio.to_thread(remove_files, site.config.data_dir, due.name)
        async with site.store.begin(durable=False, rings=[bells.PICTURES]) as db:
            await pictures.forget(db, due.name)
    elif await _is_full(site):
        now = site.now()
        async with site.store.begin(durable=False) as db:
            await pictures.put_off(db, now + WHEN_FULL, now)
            await pictures.release(db, due.name)
    else:
        await _fetch(site, due)


async def _is_full(site: Site) -> bool:
    async with site.store.read(long=True) as db:
        return await pictures.used(db) >= site.config.media_quota


async def _fetch(site: Site, due: Due) -> None:
    try:
        answer, at_home = await _answer(site, due)
        made = await site.darkroom.develop(answer.body)
        size = await asyncio.to_thread(write_files, site.config.data_dir, due.name, made)
    except (FetchError, UnfitPicture) as error:
        await _failed(site, due, error)
        return
    async with site.store.begin(durable=False, rings=[bells.PICTURES]) as db:
        wanted = await pictures.keep(db, due.name, width=made.width, height=made.height, size=size, at_home=at_home)
    if wanted:
        await fit(site, due.name)


async def _answer(site: Site, due: Due) -> tuple[Response, bool]:
    """The picture, and whether it took the owner's networks to get it. Those are not for what strangers alone name."""
    try:
        return await _asked(site, site.stranger_client, due), False
    except BadAddress:
        if not any(site.is_at_home(due.url, named_by=feed or site.config.base_url) for feed in due.feeds):
            raise
    return await _asked(site, site.client, due), True


async def _asked(site: Site, client: Client, due: Due) -> Response:
    """Raises BadStatus for what is no answer with a picture."""
    answer = await client.get(due.url, headers=ACCEPT, max_bytes=MOST_BYTES, timeout=SECONDS)
    if answer.status != 200:
        wait = retry_after_seconds(answer.headers.get("retry-after"), site.now())
        raise BadStatus(f"It was answered {answer.status}.", url=due.url, status=answer.status, retry_after=wait)
    return answer


async def _failed(site: Site, due: Due, error: FetchError | UnfitPicture) -> None:
    now = site.now()
    at = None
    match error:
        case BadStatus():
            at = again_at(due.attempts + 1, now, status=error.status, retry_after=error.retry_after)
        case TimedOut() | Unreachable():
            at = again_at(due.attempts + 1, now)
    async with site.store.begin(durable=False, rings=[bells.PICTURES]) as db:
        if at is not None and _is_the_hosts(error):
            await pictures.put_off(db, min(at, now + HOST_RESTS), now, host_of_url=due.url)
        await pictures.again(db, due.name, at, str(error))
    if at is None:
        log.info("picture", status="lost", host=host_of(due.url), error=str(error))


def _is_the_hosts(error: FetchError | UnfitPicture) -> bool:
    """Whatever else is asked of this host now will fare the same."""
    if isinstance(error, BadStatus):
        return error.status == 503 or error.status in MAY_PASS
    return isinstance(error, TimedOut | Unreachable)


# -- files ------------------------------------------------------------------------------------


def path_of(data_dir: Path, name: str, width: int) -> Path:
    return data_dir / FOLDER / name[:2] / file_name(name, width)


def write_files(data_dir: Path, name: str, made: Developed) -> int:
    """Each whole or not at all, whenever the power fails; returns how many bytes they take."""
    for width, content in zip(kept_widths(made.width), made.files, strict=True):
        path = path_of(data_dir, name, width)
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.with_suffix(".partial")
        with partial.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
    return sum(map(len, made.files))


def remove_files(data_dir: Path, name: str) -> None:
    for width in WIDTHS:
        path_of(data_dir, name, width).unlink(missing_ok=True)
