"""`/media`: pictures as visitors are given them."""

import asyncio
from datetime import datetime, timedelta

import httpx2
import pytest

from lifestream.config import Config
from lifestream.pictures import path_of, up_to_the_head
from lifestream.publish import picture_door
from lifestream.site import Site
from lifestream.store import pictures as stored_pictures
from lifestream.types import Media
from tests.fakes import AppClient, Publisher, comes, serving, until
from tests.living import Living, living, on_sqlite
from tests.paintings import opened, painted
from tests.stories import deletes, has_source, shows_to, writes

SIZE = (1200, 12)
"""Wide enough for every file, and quickly made."""
HALF_A_DAY = "public, max-age=43200, stale-while-revalidate=43200"


def photo(url: str) -> dict[str, object]:
    return {"kind": "photo", "media": (Media("image/jpeg", url),)}


def address(site: Site, url: str) -> str:
    found = site.pictures.picture(url)
    assert found
    return found.src


@on_sqlite
async def test_a_picture_is_served_and_runs_nothing(config: Config) -> None:
    publisher = Publisher({"/1.jpg": (painted(*SIZE), "image/jpeg")})
    async with serving(publisher.app) as url, living(config) as stream:
        await writes(stream.site, "Dunes", **photo(f"{url}/1.jpg"))
        answer = await stream.http.get(address(stream.site, f"{url}/1.jpg"))
        assert answer.status_code == 200
        assert opened(answer.content).size == (960, 10)
        assert answer.headers["content-type"] == "image/webp"
        assert answer.headers["cache-control"] == HALF_A_DAY
        assert answer.headers["content-security-policy"] == "default-src 'none'; sandbox"
        assert answer.headers["x-content-type-options"] == "nosniff"

        same = await stream.http.get(answer.url.path, headers={"If-None-Match": f'"other", W/{answer.headers["etag"]}'})
        assert (same.status_code, same.content) == (304, b"")
        assert same.headers["cache-control"] == answer.headers["cache-control"]
        part = await stream.http.get(answer.url.path, headers={"Range": "bytes=0-3"})
        assert (part.status_code, part.content) == (206, b"RIFF")
        head = await stream.http.head(answer.url.path)
        assert (head.status_code, head.headers["content-length"]) == (200, str(len(answer.content)))


@on_sqlite
async def test_a_width_that_there_is_not_is_the_largest_there_is(config: Config) -> None:
    publisher = Publisher({"/1.jpg": (painted(600, 6), "image/jpeg")})
    async with serving(publisher.app) as url, living(config) as stream:
        await writes(stream.site, "Dunes", **photo(f"{url}/1.jpg"))
        picture = stream.site.pictures.picture(f"{url}/1.jpg")
        assert picture
        sizes = [
            opened((await stream.http.get(one)).content).width for one in (picture.small, picture.src, picture.large)
        ]
    assert sizes == [480, 600, 600]


async def test_a_picture_that_is_on_its_way_is_waited_for(config: Config) -> None:
    publisher = Publisher({"/1.jpg": (painted(*SIZE), "image/jpeg")})
    held = publisher.hold("/1.jpg")
    async with serving(publisher.app) as url, living(config) as stream:
        await writes(stream.site, "Dunes", **photo(f"{url}/1.jpg"))
        asked = asyncio.create_task(stream.http.get(address(stream.site, f"{url}/1.jpg")))
        await until(lambda: publisher.asked)
        held.set()
        assert (await asked).status_code == 200
    assert publisher.asked == ["/1.jpg"]


@on_sqlite
async def test_one_that_does_not_come_in_time_may_be_asked_for_again(
    config: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(picture_door, "PATIENCE_SECONDS", 0.05)
    publisher = Publisher({"/1.jpg": (painted(*SIZE), "image/jpeg")})
    held = publisher.hold("/1.jpg")
    async with serving(publisher.app) as url, living(config) as stream:
        await writes(stream.site, "Dunes", **photo(f"{url}/1.jpg"))
        where = address(stream.site, f"{url}/1.jpg")
        answer = await stream.http.get(where)
        assert (answer.status_code, answer.headers["cache-control"]) == (404, "no-store")
        held.set()
        monkeypatch.setattr(picture_door, "PATIENCE_SECONDS", 10)
        assert (await stream.http.get(where)).status_code == 200


@on_sqlite
async def test_no_more_than_so_many_wait(client: AppClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(picture_door, "MOST_WAITING", 1)
    url = "https://photos.example/1.jpg"
    await writes(client.site, "Dunes", **photo(url))
    waiting = asyncio.create_task(client.get(address(client.site, url)))
    await until(lambda: client.app.state.waiting_for_pictures.full)
    answer = await client.get(address(client.site, url))
    assert answer.status_code == 404
    assert not waiting.done()
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)


@on_sqlite
async def test_nobody_waits_for_what_will_not_come(client: AppClient, monkeypatch: pytest.MonkeyPatch) -> None:
    """Given up, put off, or never heard of."""
    monkeypatch.setattr(picture_door, "PATIENCE_SECONDS", 3600)
    site = client.site
    for number, at in enumerate([None, site.now() + timedelta(days=1)]):
        url = f"https://photos.example/{number}.jpg"
        await writes(site, "Dunes", **photo(url))
        async with asyncio.timeout(10):
            await _comes_to_nothing(client, url, at)
    assert (await client.get("/media/" + "a" * 24 + "-960.webp")).status_code == 404
    assert (await client.get("/media/..%2flifestream.sqlite3")).status_code == 404


async def _comes_to_nothing(client: AppClient, url: str, at: datetime | None) -> None:
    site = client.site
    await up_to_the_head(site)
    async with site.store.begin() as db:
        await stored_pictures.again(db, site.pictures.name(url), at, "no")
    answer = await client.get(address(site, url))
    assert (answer.status_code, answer.headers["cache-control"]) == (404, "no-store")


@on_sqlite
async def test_what_only_the_owner_sees_is_for_him_alone(config: Config) -> None:
    publisher = Publisher({"/1.jpg": (painted(*SIZE), "image/jpeg"), "/2.jpg": (painted(*SIZE), "image/jpeg")})
    async with serving(publisher.app) as url, living(config) as stream:
        await has_source(stream.site, "diary", "private")
        await writes(stream.site, "Mine", "diary", **photo(f"{url}/1.jpg"))
        await writes(stream.site, "Mine", "diary", **photo(f"{url}/2.jpg"))
        await writes(stream.site, "Everybody's", **photo(f"{url}/2.jpg"))
        mine, everybodys = [address(stream.site, url + path) for path in ("/1.jpg", "/2.jpg")]
        for headers in ({}, await stream.token("scrobble")):
            found = [await stream.http.get(one, headers=headers) for one in (mine, everybodys)]
            assert [(one.status_code, one.headers["cache-control"]) for one in found] == [
                (404, "no-store"), (200, HALF_A_DAY),
            ]  # fmt: skip
        seen = await stream.http.get(mine, headers=await stream.token("read"))
        assert (seen.status_code, seen.headers["cache-control"]) == (200, "private, no-cache")
        same = await stream.http.get(mine, headers={"If-None-Match": seen.headers["etag"]})
        assert same.status_code == 404
        await shows_to(stream.site, "notes", "private")
        assert (await stream.http.get(everybodys)).status_code == 404


@on_sqlite
async def test_the_picture_of_a_deleted_entry_is_not_given_any_more(config: Config) -> None:
    publisher = Publisher({"/1.jpg": (painted(*SIZE), "image/jpeg")})
    async with serving(publisher.app) as url, living(config) as stream:
        stored = await writes(stream.site, "Dunes", **photo(f"{url}/1.jpg"))
        where = address(stream.site, f"{url}/1.jpg")
        assert (await stream.http.get(where)).status_code == 200
        await deletes(stream.site, stored)
        await _is_gone(stream, where)
        name = stream.site.pictures.name(f"{url}/1.jpg")
        await until(lambda: not path_of(config.data_dir, name, 960).exists())


async def _is_gone(stream: Living, where: str) -> None:
    async def so() -> bool:
        return (await stream.http.get(where)).status_code == 404

    await comes(so)


@on_sqlite
async def test_files_that_are_lost_are_fetched_again(config: Config) -> None:
    publisher = Publisher({"/1.jpg": (painted(*SIZE), "image/jpeg")})
    async with serving(publisher.app) as url, living(config) as stream:
        await writes(stream.site, "Dunes", **photo(f"{url}/1.jpg"))
        where = address(stream.site, f"{url}/1.jpg")
        assert (await stream.http.get(where)).status_code == 200
        path_of(config.data_dir, stream.site.pictures.name(f"{url}/1.jpg"), 960).unlink()
        assert (await stream.http.get(where)).status_code == 200
    assert publisher.asked == ["/1.jpg", "/1.jpg"]


@on_sqlite
async def test_who_asks_for_an_old_one_has_it_fetched_before_the_others(client: AppClient) -> None:
    site = client.site
    old = [site.now().replace(year=2010, day=day) for day in (2, 1)]
    for day, when in enumerate(old):
        await writes(site, "Old", **photo(f"https://photos.example/{day}.jpg"), published=when)
    oldest = "https://photos.example/1.jpg"
    asking = asyncio.create_task(client.get(address(site, oldest)))
    await until(lambda: client.app.state.waiting_for_pictures._count == 1)

    async def is_first() -> bool:
        async with site.store.begin() as db:
            (due,) = await stored_pictures.claim(db, site.now(), 1)
            await stored_pictures.release(db, due.name)
        return due.url == oldest

    await comes(is_first)
    asking.cancel()
    await asyncio.gather(asking, return_exceptions=True)


@on_sqlite
async def test_an_entry_is_told_before_its_picture_is_here_and_only_once(config: Config) -> None:
    publisher = Publisher({"/1.jpg": (painted(*SIZE), "image/jpeg")})
    held = publisher.hold("/1.jpg")
    async with serving(publisher.app) as url, living(config) as stream:
        stored = await writes(stream.site, "Dunes", **photo(f"{url}/1.jpg"))
        told = (await stream.http.get("/live/poll", params={"after": 0, "wait": 5})).json()
        (change,) = told["changes"]
        assert address(stream.site, f"{url}/1.jpg") in change["entry"]["html"]
        assert change["entry"]["media"][0]["width"] is None
        await until(lambda: publisher.asked)
        held.set()
        assert (await stream.http.get(address(stream.site, f"{url}/1.jpg"))).status_code == 200

        async def sized() -> bool:
            entry = (await stream.http.get(f"/api/entries/{stored.id}")).json()
            return entry["media"][0]["width"] == 1200 and entry["seq"] == stored.seq

        await comes(sized)
        after = (await stream.http.get("/live/poll", params={"after": told["seq"], "wait": 0})).json()
        assert after["changes"] == []


@on_sqlite
async def test_without_a_quota_none_are_kept_and_cards_link(config: Config) -> None:
    publisher = Publisher({"/1.jpg": (painted(*SIZE), "image/jpeg")})
    none = config.model_copy(update={"media_quota": 0})
    async with serving(publisher.app) as url, living(none) as stream:
        stored = await writes(stream.site, "Dunes", **photo(f"{url}/1.jpg"))
        html = (await stream.http.get(f"/api/entries/{stored.id}")).json()["html"]
        assert f'href="{url}/1.jpg"' in html and "/media/" not in html
        assert (await stream.http.get("/media/" + "a" * 24 + "-960.webp")).status_code == 404
    assert publisher.asked == []


@on_sqlite
async def test_the_owner_says_of_which_sources_pictures_are_kept(config: Config) -> None:
    publisher = Publisher({"/1.jpg": (painted(*SIZE), "image/jpeg")})
    async with serving(publisher.app) as url, living(config) as stream:
        stored = await writes(stream.site, "Dunes", **photo(f"{url}/1.jpg"))
        where = address(stream.site, f"{url}/1.jpg")
        assert (await stream.http.get(where)).status_code == 200

        async def switch(on: bool) -> httpx2.Response:
            return await stream.http.patch("/api/sources/notes", json={"pictures": on}, headers=await stream.owners())

        assert (await switch(False)).json()["pictures"] is False
        await _is_gone(stream, where)
        assert "/media/" not in (await stream.http.get(f"/api/entries/{stored.id}")).json()["html"]
        assert (await switch(True)).json()["pictures"] is True
        assert (await stream.http.get(where)).status_code == 200
