"""Pictures are fetched, kept and removed as the log of changes says; an entry is told before they are here."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select
from starlette.responses import PlainTextResponse, RedirectResponse, Response

from lifestream import pictures
from lifestream.app import create_app, running
from lifestream.doctor import examine
from lifestream.protocol.pictures import RETRIES
from lifestream.site import Site
from lifestream.store import bells, changes, entries, sources
from lifestream.store import pictures as stored_pictures
from lifestream.store.pictures import Due
from lifestream.store.tables import PictureRow
from lifestream.types import Author, Entry, Media, Stored, Visibility
from tests.fakes import AppClient, Publisher, serving, until
from tests.living import on_sqlite
from tests.paintings import painted
from tests.store.story import feed_source
from tests.stories import deletes, edits, has_source, shows_to, writes

SIZE = (1200, 12)
"""Wide enough for every file, and quickly made."""


@asynccontextmanager
async def photo_site(*paths: str) -> AsyncIterator[tuple[Publisher, str]]:
    """A publisher with a picture at each path."""
    publisher = Publisher()
    for path in paths:
        publisher.publish(path, painted(*SIZE), "image/jpeg")
    async with serving(publisher.app) as url:
        yield publisher, url


def photo(*urls: str) -> dict[str, Any]:
    return {"kind": "photo", "media": tuple(Media("image", url) for url in urls)}


async def work(site: Site) -> int:
    """Does what is due, as the background work does; returns how much that was."""
    done = 0
    await pictures.up_to_the_head(site)
    while True:
        async with site.store.begin(durable=False) as db:
            due = await stored_pictures.claim(db, site.now(), 3)
        if not due:
            return done
        done += len(due)
        await asyncio.gather(*(pictures.work(site, one) for one in due))


async def rows(site: Site) -> dict[str, Any]:
    """What is known of the pictures, by the path of their address."""
    async with site.store.read() as db:
        found = await db.execute(select(*PictureRow.__table__.columns).order_by(PictureRow.url))
        return {"/" + row.url.split("/", 3)[3]: row for row in found}


async def now_of(site: Site, stored: Stored) -> Stored:
    async with site.store.read() as db:
        return await entries.one(db, stored.id, audience="owner")


async def position(site: Site) -> int:
    async with site.store.read() as db:
        return await changes.head(db)


def files(site: Site) -> list[Path]:
    return sorted(path for path in (site.config.data_dir / "media").rglob("*") if path.is_file())


def later(site: Site, **when: float) -> Site:
    """The same site, as it will be then."""
    at = site.now() + timedelta(**when)
    return replace(site, now=lambda: at)


async def test_a_picture_is_kept_in_its_sizes_and_that_is_no_change_of_its_entry(site: Site) -> None:
    async with photo_site("/1.jpg") as (_, url):
        stored = await writes(site, "Dunes", **photo(f"{url}/1.jpg"))
        head = await position(site)
        assert await work(site) == 1
    now = await now_of(site, stored)
    assert (now.entry.media[0].width, now.entry.media[0].height) == SIZE
    assert now.seq == stored.seq and await position(site) == head
    name = site.pictures.name(f"{url}/1.jpg")
    assert [path.name for path in files(site)] == [f"{name}-{width}.webp" for width in (1600, 480, 960)]
    assert (await rows(site))["/1.jpg"].bytes == sum(path.stat().st_size for path in files(site))


async def test_an_entry_that_shows_a_picture_that_is_here_has_its_size_at_once(site: Site) -> None:
    async with photo_site("/1.jpg") as (publisher, url):
        await writes(site, "Dunes", **photo(f"{url}/1.jpg"))
        await work(site)
        again = await writes(site, "Dunes, again", **photo(f"{url}/1.jpg"))
        assert await work(site) == 0
    assert (await now_of(site, again)).entry.media[0].width == 1200
    assert publisher.asked == ["/1.jpg"]


@on_sqlite
async def test_posters_covers_and_faces_are_kept_too(site: Site) -> None:
    async with photo_site("/poster.jpg", "/face.jpg") as (_, url):
        film = Media("video/mp4", f"{url}/film.mp4", 640, 360, thumbnail=f"{url}/poster.jpg")
        author = Author("Ana", "", f"{url}/face.jpg")
        stored = await writes(site, "A film", kind="video", media=(film,), author=author)
        assert await work(site) == 2
    assert {path: row.state for path, row in (await rows(site)).items()} == {"/face.jpg": "kept", "/poster.jpg": "kept"}
    assert (await now_of(site, stored)).entry.media == (film,)


@on_sqlite
async def test_the_pictures_of_the_newest_entries_come_first(site: Site) -> None:
    old = site.now() - timedelta(days=400)
    async with photo_site("/old.jpg", "/older.jpg", "/new.jpg") as (publisher, url):
        await writes(site, "Old", **photo(f"{url}/old.jpg"), published=old)
        await writes(site, "Older", **photo(f"{url}/older.jpg"), published=old - timedelta(days=1))
        await writes(site, "New", **photo(f"{url}/new.jpg"))
        await pictures.up_to_the_head(site)
        for _ in range(3):
            async with site.store.begin() as db:
                (one,) = await stored_pictures.claim(db, site.now(), 1)
            await pictures.work(site, one)
    assert publisher.asked == ["/new.jpg", "/old.jpg", "/older.jpg"]


async def test_the_pictures_of_a_deleted_entry_go_unless_another_shows_them(site: Site) -> None:
    async with photo_site("/1.jpg", "/2.jpg") as (_, url):
        both = await writes(site, "Both", **photo(f"{url}/1.jpg", f"{url}/2.jpg"))
        await writes(site, "One", **photo(f"{url}/1.jpg"))
        await work(site)
        await deletes(site, both)
        await work(site)
    assert set(await rows(site)) == {"/1.jpg"}
    assert {path.name.split("-")[0] for path in files(site)} == {site.pictures.name(f"{url}/1.jpg")}


@on_sqlite
async def test_a_picture_that_is_edited_out_goes_and_one_that_comes_back_is_fetched_again(site: Site) -> None:
    async with photo_site("/1.jpg") as (publisher, url):
        stored = await writes(site, "Dunes", **photo(f"{url}/1.jpg"))
        await work(site)
        without = await edits(site, stored, media=())
        await work(site)
        assert not files(site) and not await rows(site)
        await edits(site, without, **photo(f"{url}/1.jpg"))
        await work(site)
    assert len(files(site)) == 3 and publisher.asked == ["/1.jpg", "/1.jpg"]


@on_sqlite
async def test_a_picture_that_came_back_before_it_was_removed_is_fetched_again(site: Site) -> None:
    async with photo_site("/1.jpg") as (_, url):
        stored = await writes(site, "Dunes", **photo(f"{url}/1.jpg"))
        await work(site)
        without = await edits(site, stored, media=())
        await pictures.up_to_the_head(site)
        async with site.store.begin() as db:
            (going,) = await stored_pictures.claim(db, site.now(), 1)
        await edits(site, without, **photo(f"{url}/1.jpg"))
        await pictures.up_to_the_head(site)
        await pictures.work(site, going)
        await work(site)
    assert (await rows(site))["/1.jpg"].state == "kept" and len(files(site)) == 3


@on_sqlite
async def test_a_picture_whose_entry_went_while_it_was_fetched_leaves_nothing(site: Site) -> None:
    async with photo_site("/1.jpg") as (publisher, url):
        held = publisher.hold("/1.jpg")
        stored = await writes(site, "Dunes", **photo(f"{url}/1.jpg"))
        fetching = asyncio.create_task(work(site))
        await until(lambda: publisher.asked)
        await deletes(site, stored)
        await pictures.up_to_the_head(site)
        held.set()
        await fetching
        await work(site)
    assert not await rows(site) and not files(site)


@on_sqlite
async def test_the_pictures_of_a_source_that_is_removed_go(site: Site) -> None:
    await has_source(site, "photos")
    async with photo_site("/1.jpg") as (_, url):
        await writes(site, "Dunes", "photos", **photo(f"{url}/1.jpg"))
        await work(site)
        async with site.store.begin(rings=[bells.LOG]) as db:
            await sources.remove(db, await sources.get(db, "photos", audience="owner"), site.now())
        await work(site)
    assert not files(site)


async def test_a_source_can_be_left_without_pictures_and_given_them_again(site: Site) -> None:
    await has_source(site, "photos")

    async def switched(on: bool) -> None:
        async with site.store.begin(rings=[bells.LOG]) as db:
            await stored_pictures.switch(db, await sources.get(db, "photos", audience="owner"), on)

    async with photo_site("/1.jpg", "/2.jpg") as (_, url):
        await writes(site, "Dunes", "photos", **photo(f"{url}/1.jpg"))
        await writes(site, "Notes have theirs", **photo(f"{url}/2.jpg"))
        await work(site)
        await switched(False)
        await work(site)
        assert set(await rows(site)) == {"/2.jpg"}
        await switched(True)
        await work(site)
    assert {row.state for row in (await rows(site)).values()} == {"kept"} and len(await rows(site)) == 2


# -- what does not come -----------------------------------------------------------------------


@on_sqlite
@pytest.mark.parametrize(
    ("body", "media_type"),
    [
        (b"<!doctype html><p>Please log in", "image/jpeg"),
        (b'<svg xmlns="http://www.w3.org/2000/svg"/>', "image/svg+xml"),
        (painted(*SIZE)[:-300], "image/jpeg"),
    ],
    ids=["a page that says it is a picture", "svg", "half a picture"],
)
async def test_what_is_no_picture_is_given_up_at_once(site: Site, body: bytes, media_type: str) -> None:
    async with photo_site() as (publisher, url):
        publisher.publish("/1.jpg", body, media_type)
        await writes(site, "Dunes", **photo(f"{url}/1.jpg"))
        await work(site)
    row = (await rows(site))["/1.jpg"]
    assert (row.state, row.due_at) == ("lost", None) and row.why.startswith("It is")
    assert not files(site)


@on_sqlite
async def test_a_picture_that_says_it_is_a_page_is_one(site: Site) -> None:
    async with photo_site() as (publisher, url):
        publisher.publish("/1.jpg", painted(*SIZE), "text/html")
        await writes(site, "Dunes", **photo(f"{url}/1.jpg"))
        await work(site)
    assert (await rows(site))["/1.jpg"].state == "kept"


@on_sqlite
async def test_a_stranger_leads_us_to_no_private_address(site: Site) -> None:
    """The owner's own networks are for his own feeds."""
    public = site.config.model_copy(update={"base_url": "https://stream.example"})
    async with photo_site("/1.jpg") as (publisher, url):
        outside = Site.open(public)
        await writes(outside, "Dunes", **photo(f"{url}/1.jpg"))
        await work(outside)
        await outside.aclose()
    assert publisher.asked == []
    assert (await rows(site))["/1.jpg"].state == "lost"


async def names(site: Site, slug: str, url: str, feed: str, visibility: Visibility = "public") -> None:
    """An entry of the feed shows the picture at `url`."""
    source = await feed_source(site.store, feed, slug=slug, now=site.now(), visibility=visibility)
    async with site.store.begin() as db:
        await entries.add(db, source, Entry(**photo(url)), now=site.now())
    await work(site)


@asynccontextmanager
async def in_the_open(site: Site) -> AsyncIterator[AppClient]:
    """The app at a public address, while the owner's networks are at home."""
    config = site.config.model_copy(update={"base_url": "https://stream.example"})
    app = create_app()
    async with running(app, config, background=False), AppClient(app, config.base_url) as client:
        yield client


@on_sqlite
async def test_what_strangers_name_too_is_fetched_for_the_owners_feed_and_shown_to_nobody_by_theirs(site: Site) -> None:
    async with photo_site("/1.jpg") as (publisher, url), in_the_open(site) as client:
        picture, stream = f"{url}/1.jpg", client.site
        await names(stream, "evil", picture, "https://evil.example/feed")
        assert (await rows(site))["/1.jpg"].state == "lost" and publisher.asked == []
        await names(stream, "diary", picture, f"{url}/feed", "private")
        assert (await rows(site))["/1.jpg"].state == "kept" and publisher.asked == ["/1.jpg"]
        kept = stream.pictures.picture(picture)
        assert kept and (await client.get(kept.src)).status_code == 404
        assert (await client.get(kept.src, headers=await client.token("read"))).status_code == 200
        await names(stream, "album", picture, "http://127.0.0.1:1/feed")
        assert (await client.get(kept.src)).status_code == 200, "the owner has it shown"


@on_sqlite
@pytest.mark.parametrize("where", ["http://169.254.169.254/latest", "file:///etc/passwd", "http://[::1]:22/"])
async def test_a_redirect_leads_to_no_forbidden_address(site: Site, where: str) -> None:
    async with photo_site() as (publisher, url):
        publisher.answers["/1.jpg"] = RedirectResponse(where)
        await writes(site, "Dunes", **photo(f"{url}/1.jpg"))
        await work(site)
    assert (await rows(site))["/1.jpg"].state == "lost"


@on_sqlite
async def test_a_redirect_to_the_picture_is_followed(site: Site) -> None:
    async with photo_site("/2.jpg") as (publisher, url):
        publisher.answers["/1.jpg"] = RedirectResponse(f"{url}/2.jpg")
        await writes(site, "Dunes", **photo(f"{url}/1.jpg"))
        await work(site)
    assert (await rows(site))["/1.jpg"].state == "kept"


@on_sqlite
async def test_what_is_too_large_is_not_read_to_its_end(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pictures, "MOST_BYTES", 300)
    async with photo_site("/1.jpg") as (_, url):
        await writes(site, "Dunes", **photo(f"{url}/1.jpg"))
        await work(site)
    row = (await rows(site))["/1.jpg"]
    assert row.state == "lost" and "larger" in row.why


async def test_a_host_that_cannot_now_is_left_alone_for_a_while_with_all_its_pictures(site: Site) -> None:
    paths = [f"/{number}.jpg" for number in range(5)]
    async with photo_site() as (publisher, url):
        publisher.answers |= {path: PlainTextResponse("not now", 503) for path in paths}
        for path in paths:
            await writes(site, path, **photo(url + path))
        await work(site)
        assert len(publisher.asked) == pictures.AT_ONCE
        publisher.answers.clear()
        for path in paths:
            publisher.publish(path, painted(*SIZE), "image/jpeg")
        assert await work(site) == 0
        then = later(site, seconds=RETRIES[0].total_seconds() + 1)
        assert await work(then) == 5
    assert {row.state for row in (await rows(site)).values()} == {"kept"}


@on_sqlite
async def test_a_host_says_itself_how_long(site: Site) -> None:
    async with photo_site() as (publisher, url):
        publisher.answers["/1.jpg"] = PlainTextResponse("not now", 429, {"Retry-After": "7200"})
        await writes(site, "Dunes", **photo(f"{url}/1.jpg"))
        await work(site)
        assert await work(later(site, hours=1.9)) == 0
        assert await work(later(site, hours=2.1)) == 1


@on_sqlite
async def test_what_is_not_there_is_given_up_after_a_few_tries(site: Site) -> None:
    async with photo_site() as (publisher, url):
        await writes(site, "Dunes", **photo(f"{url}/1.jpg"))
        for hours in range(6):
            await work(later(site, hours=hours))
    assert publisher.asked == ["/1.jpg"] * 3
    assert (await rows(site))["/1.jpg"].state == "lost"


@on_sqlite
async def test_an_answer_without_a_picture_is_none(site: Site) -> None:
    async with photo_site() as (publisher, url):
        publisher.answers["/1.jpg"] = Response(status_code=204)
        await writes(site, "Dunes", **photo(f"{url}/1.jpg"))
        await work(site)
    assert (await rows(site))["/1.jpg"].state == "due"


# -- room, and accidents ----------------------------------------------------------------------


@on_sqlite
async def test_over_the_quota_nothing_is_fetched_and_the_doctor_says_so(site: Site) -> None:
    async with photo_site("/1.jpg", "/2.jpg") as (publisher, url):
        await writes(site, "Dunes", **photo(f"{url}/1.jpg"))
        await work(site)
        small = site.config.model_copy(update={"media_quota": 100})
        full = Site.open(small)
        await full.prepare()
        await writes(site, "More dunes", **photo(f"{url}/2.jpg"))
        assert await work(full) == 1
        assert await work(full) == 0
        assert publisher.asked == ["/1.jpg"]
        says = {one.check: one for one in await examine(small)}["pictures"]
        assert not says.ok and "LIFESTREAM_MEDIA_QUOTA" in says.says
        assert await work(later(site, hours=1.1)) == 1
        await full.aclose()
    assert {one.check: one.ok for one in await examine(site.config)}["pictures"]


async def test_whoever_dies_with_a_picture_in_hand_loses_it_and_it_is_fetched_again(site: Site) -> None:
    async with photo_site("/1.jpg") as (_, url):
        await writes(site, "Dunes", **photo(f"{url}/1.jpg"))
        await pictures.up_to_the_head(site)
        async with site.store.begin() as db:
            (held,) = await stored_pictures.claim(db, site.now(), 1)
        path = pictures.path_of(site.config.data_dir, held.name, 960)
        path.parent.mkdir(parents=True)
        path.with_suffix(".partial").write_bytes(b"half of it")
        assert await work(site) == 0
        then = later(site, seconds=stored_pictures.HOLD.total_seconds() + 1)
        assert await work(then) == 1
    assert len(files(site)) == 3 and path.read_bytes().startswith(b"RIFF")


async def test_several_processes_take_different_pictures(site: Site) -> None:
    async with photo_site() as (_, url):
        for number in range(4):
            await writes(site, "Dunes", **photo(f"{url}/{number}.jpg"))
        await asyncio.gather(*(pictures.up_to_the_head(site) for _ in range(3)))
        taken: list[Due] = []
        for _ in range(3):
            async with site.store.begin() as db:
                taken += await stored_pictures.claim(db, site.now(), 2)
    assert len(taken) == len({one.name for one in taken}) == 4


@on_sqlite
async def test_files_are_whole_or_not_there(site: Site) -> None:
    """The second of three cannot be written."""
    async with photo_site("/1.jpg") as (_, url):
        await writes(site, "Dunes", **photo(f"{url}/1.jpg"))
        blocked = pictures.path_of(site.config.data_dir, site.pictures.name(f"{url}/1.jpg"), 960).with_suffix(
            ".partial"
        )
        blocked.mkdir(parents=True)
        with pytest.raises(OSError, match=r"\.partial"):
            await work(site)
        assert (await rows(site))["/1.jpg"].state == "due"
        blocked.rmdir()
        then = later(site, seconds=stored_pictures.HOLD.total_seconds() + 1)
        await work(then)
    assert (await rows(site))["/1.jpg"].state == "kept" and len(files(site)) == 3


@on_sqlite
async def test_a_source_that_is_hidden_keeps_its_pictures(site: Site) -> None:
    await has_source(site, "photos")
    async with photo_site("/1.jpg") as (publisher, url):
        await writes(site, "Dunes", "photos", **photo(f"{url}/1.jpg"))
        await work(site)
        await shows_to(site, "photos", "private")
        assert await work(site) == 0
    async with site.store.read() as db:
        found = await stored_pictures.find(db, site.pictures.name(f"{url}/1.jpg"))
    assert found and found.state == "kept" and not found.public
