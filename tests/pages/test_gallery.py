"""A day with an entry of every kind, as a browser shows it: to everybody, at every width, in every light."""

import gzip
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import date
from typing import Any

import mf2py
import pytest
from axe_playwright_python.async_playwright import Axe  # type: ignore[import-untyped]
from lxml import html
from playwright.async_api import Browser, Page

from lifestream.config import Config
from lifestream.protocol.addresses import Networks
from lifestream.store import owner
from lifestream.types import Stored
from tests.fakes import comes
from tests.living import Living, living, on_sqlite
from tests.pages.browser import chromium, complaints_of
from tests.pages.gallery import filled, picture_host

pytestmark = [on_sqlite, pytest.mark.slow]

DAY = date(2026, 11, 20)
ALONE = ("post", "warned", "photos", "checkin", "video")
"""Entries whose own pages are looked at."""
OWNERS = ("sources", "sources/add", "sources/blog", "inspector", "settings", "hooks", "tokens", "hub")
NOWHERE = "/nowhere"
KB = 1024
MOVED = """
() => new Promise((done) => {
  let moved = 0;
  new PerformanceObserver((list) => list.getEntries().forEach((one) => (moved += one.hadRecentInput ? 0 : one.value)))
    .observe({ type: "layout-shift", buffered: true });
  requestAnimationFrame(() => requestAnimationFrame(() => setTimeout(() => done(moved))));
})
"""
"""By how much a page has moved under its reader: https://web.dev/articles/cls"""
AXE: dict[str, Any] = {"resultTypes": ["violations"]}
CHANGED = ["color-contrast", "scrollable-region-focusable", "link-in-text-block"]
"""The rules of axe whose answers colours and sizes change."""
RIGHT = (
    "[...document.querySelectorAll('.entry, .facts, .beside, .acts')].map((one) => one.getBoundingClientRect().right)"
)
WIDTHS = "[...document.querySelectorAll('.body')].map((one) => one.getBoundingClientRect().width)"
INK = "getComputedStyle(document.querySelector('.facts')).color"
COVERED = """
() => [...document.querySelectorAll("main a, footer a, footer button")].filter((one) => {
  one.focus();
  const { bottom, height } = one.getBoundingClientRect();
  const bar = document.querySelector("nav").getBoundingClientRect();
  return one === document.activeElement && height < 100 && bottom > bar.top;
}).map((one) => one.outerHTML)
"""
"""What has the focus and is under the bar at the bottom."""


@dataclass
class Shown:
    site: Living
    entries: dict[str, Stored]
    browser: Browser

    @property
    def paths(self) -> list[str]:
        return [
            *("/", "/?kind=photo", "/?q=tide", f"/day/{DAY}", "/2026/11", "/2026", "/sources", "/sources/mastodon"),
            *(f"/entries/{self.entries[name].id}" for name in ALONE),
            *("/about", "/screen", "/globe", "/hub", "/login", "/api/docs", NOWHERE),
            *(f"/admin/{name}" for name in OWNERS),
        ]

    @asynccontextmanager
    async def looking(self, path: str = "", **more: Any) -> AsyncIterator[Page]:
        """A page of its own, at `path`."""
        context = await self.browser.new_context(**more)
        page = await context.new_page()
        if path:
            await page.goto(self.site.url + path)
        yield page
        await context.close()

    async def as_owner(self, page: Page, path: str) -> None:
        """Goes to a page; to the owner's as the owner."""
        await page.context.clear_cookies(name="lifestream")
        if path.startswith("/admin"):
            await page.context.add_cookies([await self._session()])  # type: ignore[list-item]
        answer = await page.goto(self.site.url + path)
        assert answer and answer.status == (404 if path == NOWHERE else 200), path

    async def _session(self) -> dict[str, str]:
        async with self.site.site.store.begin() as db:
            session = await owner.open_session(db, self.site.site.now())
        return {"name": "lifestream", "value": session, "url": self.site.url}


@pytest.fixture
async def shown(config: Config) -> AsyncIterator[Shown]:
    config = config.model_copy(update={"author": "Mara", "allow_networks": Networks.parse("127.0.0.0/8")})
    async with picture_host() as host, living(config) as site, chromium() as browser:
        entries = await filled(site.site, host, DAY)
        await site.token("write")
        yield Shown(site, entries, browser)


@pytest.fixture
async def pictures(shown: Shown) -> None:
    """They are here."""
    page = (await shown.site.http.get(f"/day/{DAY}")).text
    wanted = set(re.findall(r'src="(/media/[^"]+)"', page))
    assert len(wanted) > 5

    async def so() -> bool:
        return {(await shown.site.http.get(path)).status_code for path in wanted} == {200}

    await comes(so, within=60)


async def test_nobody_is_kept_out(shown: Shown) -> None:
    """Of most pages two looks are enough: what is wrong in one light is wrong at every width. After the first look
    only that is asked again which light and width change."""
    found: dict[tuple[str, int, str, str], str] = {}
    async with shown.looking(reduced_motion="reduce", bypass_csp=True) as page:
        for path in shown.paths:
            await page.set_viewport_size({"width": 360, "height": 760})
            await shown.as_owner(page, path)
            looks = [(360, "light"), (1280, "dark")]
            if path == "/" or path.endswith(shown.entries["photos"].id):
                looks += [(1280, "light"), (360, "dark")]
            for width, theme in looks:
                await page.set_viewport_size({"width": width, "height": 900})
                await page.evaluate("(theme) => (document.documentElement.dataset.theme = theme)", theme)
                asked = {} if (width, theme) == looks[0] else {"runOnly": CHANGED}
                violations = (await Axe().run(page, options=AXE | asked)).response["violations"]
                found |= {(path, width, theme, one["id"]): one["nodes"][0]["html"] for one in violations}
    assert found == {}


@pytest.mark.usefixtures("pictures")
async def test_every_width_is_wide_enough_and_the_browser_has_nothing_to_say(shown: Shown) -> None:
    async with shown.looking(viewport={"width": 320, "height": 700}) as page:
        complaints = complaints_of(page, shown.site.url)
        for path in shown.paths:
            if path == NOWHERE:  # to a browser that is a complaint
                continue
            await shown.as_owner(page, path)
            for width in (320, 719, 720, 1080):
                await page.set_viewport_size({"width": width, "height": 700})
                beyond = await page.evaluate("document.documentElement.scrollWidth - innerWidth")
                assert beyond <= 0, (path, width)
    # What a page had not loaded when it was left has not failed; what is not there is an error, and said too.
    assert [one for one in complaints if not one.startswith("failed")] == []


@pytest.mark.usefixtures("pictures")
async def test_the_first_page_is_light_and_nothing_on_it_moves(shown: Shown) -> None:
    wanted: set[str] = set()
    for width, height in ((360, 760), (1280, 900)):
        async with shown.looking(viewport={"width": width, "height": height}) as page:
            page.on("requestfinished", lambda request: wanted.add(request.url))
            await page.goto(shown.site.url + "/", wait_until="networkidle")
            assert await page.evaluate(MOVED) <= 0.02, width
    loaded = {url: (await shown.site.http.get(url)).content for url in wanted}

    def weigh(ending: str) -> int:
        return sum(len(gzip.compress(body)) for url, body in loaded.items() if url.endswith(ending))

    assert 4 * KB < weigh(f"{shown.site.url}/") <= 12 * KB
    assert 4 * KB < weigh(".css") <= 9 * KB
    assert 8 * KB < weigh(".js") <= 20 * KB
    assert 50 * KB < weigh(".woff2") <= 120 * KB


async def test_lines_keep_their_measure_ink_its_paper_and_the_focus_its_place(shown: Shown) -> None:
    async with shown.looking(f"/day/{DAY}", viewport={"width": 1280, "height": 900}, reduced_motion="reduce") as page:
        assert set(await page.evaluate(WIDTHS)) == {654}
        await page.set_viewport_size({"width": 360, "height": 600})
        assert await page.evaluate(COVERED) == []
        await page.set_viewport_size({"width": 1280, "height": 900})
        await page.context.add_cookies([{"name": "theme", "value": "dark", "url": shown.site.url}])
        await page.goto(f"{shown.site.url}/entries/{shown.entries['photos'].id}")
        entry, *others = await page.evaluate(RIGHT)
        assert len(others) > 2 and max(others) <= entry
        assert await page.evaluate(INK) == "rgb(180, 189, 208)"
        await page.emulate_media(media="print")
        assert await page.evaluate(INK) == "rgb(67, 76, 97)"


async def test_without_script_it_is_all_there(shown: Shown) -> None:
    every = {stored.id for stored in shown.entries.values()}
    async with shown.looking(f"/day/{DAY}", java_script_enabled=False, viewport={"width": 1280, "height": 900}) as page:
        there = html.fromstring(await page.content())
        assert set(there.xpath("//*[@data-seq]/@data-id")) == every
        shut = page.locator("details.burst .member")
        assert await shut.first.is_hidden()
        await page.locator("details.burst summary").click()
        assert await shut.first.is_visible()
        await page.goto(shown.site.url + "/globe")
        assert await page.locator("#spin").is_hidden(), "it would do nothing"
    stream = html.fromstring((await shown.site.http.get("/")).text)
    assert set(stream.xpath("//*[@data-seq]/@data-id")) == every
    ours = {link for link in stream.xpath("//a/@href") if link.startswith("/")}
    assert f"/day/{DAY}" in ours and len(ours) > 40
    assert {link: status for link in ours if (status := (await shown.site.http.get(link)).status_code) != 200} == {}


async def test_a_parser_reads_the_feeds_back(shown: Shown) -> None:
    for path in ("/", f"/day/{DAY}", "/sources/mastodon"):
        parsed = mf2py.parse(doc=(await shown.site.http.get(path)).text, url=shown.site.url + path)
        (feed,) = (item for item in parsed["items"] if item["type"] == ["h-feed"])
        assert feed["properties"]["name"] == ["Mara"] and feed["properties"]["summary"], path
        assert feed["properties"]["author"][0]["properties"]["name"] == ["Mara"], path
        slugs = {"mastodon"} if path.startswith("/sources") else {one.source.slug for one in shown.entries.values()}
        wanted = [one.id for one in shown.entries.values() if one.source.slug in slugs]
        assert sorted(_ids(feed)) == sorted(wanted), path


def _ids(feed: dict[str, Any]) -> list[str]:
    """Of the entries in a feed, by their addresses; a group's are those of its members."""
    found: list[str] = []
    for child in feed["children"]:
        said = child["properties"]
        members = [one for one in said.get("listen-of", []) if isinstance(one, dict)]
        urls = [one["properties"]["uid"][0] for one in members] or said["url"][:1]
        found += [url.rpartition("/")[2] for url in urls]
    return found
