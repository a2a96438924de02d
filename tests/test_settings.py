"""What the owner sets on the settings page: where it shows, what wins over it, and that it holds at once."""

import asyncio
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx2
import mf2py
import orjson
import pytest
from lxml import etree, html

from lifestream.admin import set_password
from lifestream.app import create_app, running
from lifestream.config import Config
from lifestream.site import Site
from lifestream.store import owner as facts
from lifestream.store import sources
from lifestream.types import Location
from tests.conftest import BASE_URL, LOOPBACK
from tests.fakes import AppClient, Publisher, serving, until
from tests.living import on_sqlite
from tests.paintings import opened, painted
from tests.stories import has_source, writes

PASSWORD = "correct horse battery"
LATE = datetime(2026, 11, 20, 23, 30, tzinfo=UTC)
LINKS = [{"name": "Mastodon", "url": "https://social.example/@mara"}]


@pytest.fixture
def config(database: str, tmp_path: Path) -> Config:
    """Of an environment that says nothing about the owner."""
    return Config(base_url=BASE_URL, data_dir=tmp_path, database_url=database, allow_networks=LOOPBACK)


@pytest.fixture
async def owner(client: AppClient) -> AppClient:
    """The app in the owner's browser."""
    await set_password(client.site, PASSWORD)
    client.headers["Origin"] = client.site.config.base_url
    assert (await client.post("/login", data={"password": PASSWORD})).status_code == 303
    return client


async def sets(client: AppClient, **change: Any) -> dict[str, Any]:
    answer = await client.patch("/api/settings", json=change, headers=await client.token("owner"))
    assert answer.status_code == 200, answer.text
    settings: dict[str, Any] = answer.json()
    return settings


async def refused(client: AppClient, status: int, **change: Any) -> str:
    answer = await client.patch("/api/settings", json=change, headers=await client.token("owner"))
    assert answer.status_code == status, answer.text
    return str(answer.json()["detail"])


async def saves(owner: AppClient, part: str, files: Any = None, **form: str) -> httpx2.Response:
    """The page after a part of it was sent."""
    page = await owner.get("/admin/settings")
    found = re.search(r'name="csrf" value="([^"]+)"', page.text)
    assert found
    data = {"csrf": found[1]} | form
    return await owner.post(f"/admin/settings/{part}", data=data, files=files, follow_redirects=True)


async def sends_picture(client: AppClient, body: bytes) -> httpx2.Response:
    return await client.put("/api/settings/picture", content=body, headers=await client.token("owner"))


# -- where it shows ---------------------------------------------------------------------------


@on_sqlite
@pytest.mark.parametrize("path", ["/", "/about"])
async def test_the_owner_stands_on_the_page_as_an_h_card(client: AppClient, path: str) -> None:
    said = "Cartographer <in Lisbon>."
    await sets(client, author="Mara Lindqvist", note=said, author_url="https://mara.example/", links=LINKS)
    await sends_picture(client, painted())
    page = (await client.get(path)).text
    found = mf2py.parse(page, url=f"{BASE_URL}{path}")
    cards = [one for item in found["items"] for one in [item, *item.get("children", [])]]
    cards += [one for item in found["items"] for one in item["properties"].get("author", [])]
    card = next(one for one in cards if one["type"] == ["h-card"])["properties"]
    assert card["name"] == ["Mara Lindqvist"] and card["note"] == [said]
    assert card["uid"] == [f"{BASE_URL}/"]
    assert card["url"] == [f"{BASE_URL}/", "https://mara.example", "https://social.example/@mara"]
    photo = card["photo"][0]
    assert (photo if isinstance(photo, str) else photo["value"]).startswith(f"{BASE_URL}/owner.webp?v=")
    assert set(found["rels"]["me"]) == {"https://mara.example", "https://social.example/@mara"}


@on_sqlite
async def test_the_head_and_the_feeds_say_who_the_owner_is(client: AppClient) -> None:
    stored = await writes(client.site, "A walk")
    settings = await sets(client, author="Mara", title="Days of Mara", note="Walks.", links=LINKS)
    picture = (await sends_picture(client, painted())).json()["picture"]
    assert settings["picture"] == "" and picture.startswith(f"{BASE_URL}/owner.webp?v=")
    page = html.fromstring((await client.get(f"/entries/{stored.id}")).text)
    assert page.xpath("//meta[@name='author']/@content") == ["Mara"]
    assert page.xpath("//meta[@property='article:author']/@content") == [f"{BASE_URL}/about"]
    person = orjson.loads(page.xpath("//script[@type='application/ld+json']")[0].text)["author"]
    assert person == {
        "@type": "Person", "name": "Mara", "url": BASE_URL, "description": "Walks.", "image": picture,
        "sameAs": ["https://social.example/@mara"],
    }  # fmt: skip
    feed = (await client.get("/feed.json")).json()
    assert feed["title"] == "Days of Mara" and feed["icon"] == picture
    assert feed["authors"] == [{"name": "Mara", "avatar": picture}]
    atom = etree.fromstring((await client.get("/feed.atom")).content)
    names = {"a": "http://www.w3.org/2005/Atom"}
    assert atom.xpath("string(a:icon)", namespaces=names) == picture
    assert atom.xpath("string(a:author/a:name)", namespaces=names) == "Mara"
    rss = etree.fromstring((await client.get("/feed.rss")).content)
    assert rss.xpath("string(channel/image/url)") == picture


@on_sqlite
async def test_a_page_that_is_kept_is_not_shown_under_other_settings(client: AppClient) -> None:
    await writes(client.site, "A walk")
    assert "Jo Lind" not in (await client.get("/")).text
    await sets(client, author="Jo Lind")
    assert "Jo Lind" in (await client.get("/")).text


@on_sqlite
async def test_the_time_zone_moves_the_days_at_once(client: AppClient) -> None:
    await sets(client, timezone="Europe/Lisbon")
    stored = await writes(client.site, "A walk", published=LATE)
    path = f"/api/entries/{stored.id}"
    everything = {"after": "0", "wait": "10"}
    told = (await client.get("/live/poll", params=everything)).json()["changes"][0]["entry"]["html"]
    assert ">23:30<" in (await client.get("/")).text
    before = (await client.get(path)).json()["html"]
    assert told == before and ">23:30<" in before and 'data-day="2026-11-20"' in before
    await sets(client, timezone="Asia/Tokyo")
    after = (await client.get(path)).json()["html"]
    assert ">08:30<" in after and 'data-day="2026-11-21"' in after
    assert "A walk" in (await client.get("/day/2026-11-21")).text
    assert "A walk" not in (await client.get("/day/2026-11-20")).text
    home = (await client.get("/")).text
    assert ">08:30<" in home and ">23:30<" not in home
    told = (await client.get("/live/poll", params=everything)).json()["changes"][0]["entry"]["html"]
    assert told == after


@on_sqlite
async def test_the_language_and_the_theme_are_those_of_every_page(client: AppClient) -> None:
    await sets(client, lang="pt-BR", theme="dark")
    assert '<html lang="pt-BR" data-theme="dark">' in (await client.get("/about")).text
    assert (await client.post("/theme", data={"theme": "system"})).status_code == 303
    assert '<html lang="pt-BR">' in (await client.get("/about")).text
    for lang in ("ar", "he-IL", "az-Arab"):
        await sets(client, lang=lang)
        assert f'<html lang="{lang}" dir="rtl">' in (await client.get("/about")).text
        assert f'<html lang="{lang}" dir="rtl" ' in (await client.get("/screen")).text
    await sets(client, lang="", theme="system")
    client.cookies.clear()
    assert '<html lang="en">' in (await client.get("/about")).text


# -- what it is ---------------------------------------------------------------------------------


@on_sqlite
async def test_the_api_tells_and_takes_what_the_page_shows(client: AppClient) -> None:
    token = await client.token("owner")
    empty = (await client.get("/api/settings", headers=token)).json()
    assert empty == {
        "title": "", "author": "", "author_url": "", "note": "", "picture": "", "links": [],
        "timezone": client.site.config.timezone, "lang": "en", "theme": "system", "fixed": {},
    }  # fmt: skip
    assert await sets(client, note="  Two\nlines\x07 ", links=LINKS) == empty | {"note": "Two lines", "links": LINKS}
    assert await sets(client, note="", links=[]) == empty
    for call in ("GET", "PATCH"):
        assert (await client.request(call, "/api/settings", json={})).status_code == 401
        answer = await client.request(call, "/api/settings", json={}, headers=await client.token("write"))
        assert answer.status_code == 403


@on_sqlite
@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"timezone": "Mars/Olympus"}, "timezone: must be the name of a time zone"),
        ({"lang": "English, please"}, "lang: must be a language tag"),
        ({"author_url": "javascript:alert(1)"}, "author_url: "),
        ({"links": [{"name": "Mail", "url": "mailto:me@here.example"}]}, "links.0.url: "),
        ({"links": [{"name": " \x07", "url": "https://a.example"}]}, "links.0.name: "),
        ({"links": [{"name": "A", "url": "https://a.example"}] * 21}, "links: "),
        ({"theme": "pink"}, "theme: "),
        ({"note": "x" * 1001}, "note: "),
        ({"password": "x"}, "password: "),
    ],
    ids=str,
)
async def test_what_makes_no_sense_is_refused_and_changes_nothing(
    client: AppClient, change: dict[str, Any], words: str
) -> None:
    assert (await refused(client, 422, author="Jo", **change)).startswith(words)
    assert client.site.config.author == ""


@on_sqlite
async def test_what_the_environment_sets_wins_and_is_only_shown(config: Config) -> None:
    app = create_app()
    async with running(app, config, background=False), AppClient(app, BASE_URL) as client:
        await sets(client, author="Jo", timezone="Asia/Tokyo", note="Walks.")
    app = create_app()
    fixed = config.model_copy(update={"author": "Mara", "timezone": "Europe/Lisbon", "lang": "pt"})
    async with running(app, fixed, background=False), AppClient(app, BASE_URL) as client:
        assert await refused(client, 409, author="Jo") == "author: LIFESTREAM_AUTHOR in the environment sets it."
        settings = await sets(client, note="More walks.")
        assert settings["author"] == "Mara" and settings["timezone"] == "Europe/Lisbon"
        assert settings["note"] == "More walks."
        assert settings["fixed"] == {
            "author": "LIFESTREAM_AUTHOR", "timezone": "LIFESTREAM_TIMEZONE", "lang": "LIFESTREAM_LANG",
        }  # fmt: skip
        await set_password(client.site, PASSWORD)
        await client.post("/login", data={"password": PASSWORD})
        page = html.fromstring((await client.get("/admin/settings")).text)
        assert page.xpath("//code[.='LIFESTREAM_AUTHOR']")
        assert not page.xpath("//*[@name='author' or @name='timezone' or @name='lang']")
        assert page.xpath("//input[@name='title'] | //textarea[@name='note']")
        assert not page.xpath("//form[@action='/admin/settings/time']"), "there is nothing to save"


async def test_another_process_takes_it_up_by_itself_and_so_does_the_next_start(
    client: AppClient, config: Config
) -> None:
    another = Site.open(config)
    await another.prepare(starting=False)
    follows = [asyncio.create_task(one) for one in (another.store.watch(), another.settings.follow(another.store))]
    try:
        await sets(client, author="Jo", theme="light")
        await until(lambda: another.config.author == "Jo" and another.config.theme == "light")
    finally:
        for task in follows:
            task.cancel()
        await asyncio.gather(*follows, return_exceptions=True)
        await another.aclose()
    later = Site.open(config)
    await later.prepare(starting=False)
    assert later.config.author == "Jo"
    assert (await later.where_it_was_served()).config.author == "Jo"
    await later.aclose()


@on_sqlite
async def test_a_value_that_this_machine_does_not_know_is_the_default(site: Site) -> None:
    async with site.store.begin() as db:
        await facts.set_fact(db, "setting:timezone", '"Mars/Olympus"')
        await facts.set_fact(db, "setting:lang", "not json")
        await facts.set_fact(db, "setting:author", '"Jo"')
    async with site.store.read() as db:
        await site.settings.read(db)
    assert site.config.author == "Jo" and site.config.lang == "en"
    assert site.config.zone


# -- the picture --------------------------------------------------------------------------------


async def test_a_picture_is_made_small_and_kept_in_the_database(client: AppClient) -> None:
    first = (await sends_picture(client, painted(1200, 1200))).json()["picture"]
    answer = await client.get(first)
    assert answer.headers["content-type"] == "image/webp" and "immutable" in answer.headers["cache-control"]
    assert opened(answer.content).size == (480, 480)
    assert answer.headers["content-security-policy"].endswith("sandbox")
    etag = {"If-None-Match": answer.headers["etag"]}
    assert (await client.get("/owner.webp", headers=etag)).status_code == 304
    plain = await client.get("/owner.webp")
    assert plain.content == answer.content and "immutable" not in plain.headers["cache-control"]
    second = (await sends_picture(client, painted(300, 300))).json()["picture"]
    assert second != first and opened((await client.get(second)).content).size == (300, 300)
    assert (await sets(client, picture=""))["picture"] == ""
    assert (await client.get(second)).status_code == 404


@on_sqlite
async def test_a_picture_is_fetched_from_its_address_and_outlives_it(client: AppClient) -> None:
    publisher = Publisher()
    publisher.publish("/me.png", painted(form="PNG"), "image/png")
    publisher.publish("/words", b"no picture", "text/plain")
    async with serving(publisher.app) as there:
        picture = (await sets(client, picture=f"{there}/me.png"))["picture"]
        assert "was answered 404" in await refused(client, 400, picture=f"{there}/none.png", note="x")
        assert (await refused(client, 400, picture=f"{there}/words")).startswith("picture: ")
    assert (await refused(client, 400, picture=f"{there}/me.png")).startswith("picture: ")
    assert (await client.get(picture)).status_code == 200 and client.site.config.note == ""


@on_sqlite
async def test_what_is_no_picture_is_refused(client: AppClient) -> None:
    answer = await sends_picture(client, b"<svg onload='alert(1)'/>")
    assert answer.status_code == 400 and answer.json()["detail"].startswith("picture: ")
    assert (await sends_picture(client, bytes(20 * 1024 * 1024 + 1))).status_code == 413
    assert (await client.put("/api/settings/picture", content=painted())).status_code == 401


# -- the page -----------------------------------------------------------------------------------


@on_sqlite
async def test_each_part_of_the_page_is_saved_by_itself(owner: AppClient) -> None:
    for part, form in (
        ("owner", {"author": "Jo", "title": "", "author_url": "jo.example", "note": "Walks."}),
        ("links", {"name0": "Flickr", "url0": "photos.example/jo", "name1": "", "url1": ""}),
        ("time", {"timezone": "Asia/Tokyo", "lang": "en-GB"}),
        ("look", {"theme": "dark"}),
    ):
        page = await saves(owner, part, **form)
        assert page.status_code == 200 and page.headers["cache-control"] == "no-store"
        found = html.fromstring(page.text)
        assert found.xpath("//*[contains(., 'Saved') and @role='status']/../@id") == [f"{part}-h"]
    config = owner.site.config
    assert (config.author, config.author_url, config.note) == ("Jo", "https://jo.example", "Walks.")
    assert [(one.name, one.url) for one in config.links] == [("Flickr", "https://photos.example/jo")]
    assert (config.timezone, config.lang, config.theme) == ("Asia/Tokyo", "en-GB", "dark")
    page_now = html.fromstring((await owner.get("/admin/settings")).text)
    assert page_now.xpath("//input[@name='author']/@value") == ["Jo"]
    assert page_now.xpath("//option[@selected]/text()") == ["Asia/Tokyo"]
    assert page_now.xpath("//input[@name='name0']/@value") == ["Flickr"]


@on_sqlite
async def test_a_mistake_is_said_where_it_was_made_and_what_was_typed_stays(owner: AppClient) -> None:
    for part, form, kept in (
        ("owner", {"author": "Jo", "author_url": "javascript:x"}, "javascript:x"),
        ("links", {"name0": "Flickr", "url0": "mailto:x"}, "mailto:x"),
        ("time", {"timezone": "Mars/Olympus", "lang": "en"}, "Mars/Olympus"),
        ("picture", {"url": "http://127.0.0.1:9/me.png"}, ""),
    ):
        page = await saves(owner, part, **form)
        found = html.fromstring(page.text)
        assert page.status_code == 422 and kept in page.text
        assert found.xpath("//*[@role='alert']/ancestor::section/@id") == [part]
    assert owner.site.config.author == "" and owner.site.config.links == ()


@on_sqlite
async def test_a_picture_is_sent_from_the_page_and_removed_there(owner: AppClient) -> None:
    page = await saves(owner, "picture", files={"file": ("me.jpg", painted(), "image/jpeg")}, url="")
    picture = html.fromstring(page.text).xpath("//img[@class='portrait']/@src")[0]
    assert (await owner.get(picture)).status_code == 200
    page = await saves(owner, "picture", files={"file": ("", b"", "application/octet-stream")}, url="")
    assert owner.site.config.picture_path == picture
    await saves(owner, "picture", remove="on")
    assert owner.site.config.picture == ""


@on_sqlite
async def test_sources_are_switched_on_the_page_and_those_not_on_it_stay(owner: AppClient) -> None:
    site = owner.site
    for slug in ("walks", "talks", "later"):
        await has_source(site, slug)
    stored = await writes(site, "Up the hill", "walks", location=Location(1, 2, "there"))
    form = {f"{slug}.shown": "on" for slug in ("walks", "talks")}
    form |= {"walks.public": "on", "walks.pictures": "on", "talks.places": "on"}
    assert "Saved" in (await saves(owner, "sources", **form)).text
    async with site.store.read() as db:
        found = {
            one.slug: (one.visibility, one.pictures, one.places) for one in await sources.every(db, audience="owner")
        }
    assert found["walks"] == ("public", True, False)
    assert found["talks"] == ("private", False, True)
    assert found["later"] == ("public", True, True)
    assert (await owner.get(f"/api/entries/{stored.id}")).json()["location"] is None


@on_sqlite
async def test_the_page_is_the_owners_and_its_forms_come_from_it(owner: AppClient) -> None:
    for form in ({"author": "Jo"}, {"author": "Jo", "csrf": "guessed"}):
        assert (await owner.post("/admin/settings/owner", data=form)).status_code == 403
    assert (await saves(owner, "owner", author="Jo")).status_code == 200
    assert (await saves(owner, "nothing")).status_code == 404
    owner.cookies.clear()
    assert (await owner.get("/admin/settings")).headers["location"] == "/login"
    assert (await owner.post("/admin/settings/owner", data={"author": "Eve"})).status_code == 401
    assert owner.site.config.author == "Jo"
