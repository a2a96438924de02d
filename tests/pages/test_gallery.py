"""A day with an entry of every kind, as a browser shows it: to everybody, at every width, in every light."""

import re
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import date

import pytest
from axe_playwright_python.async_playwright import Axe  # type: ignore[import-untyped]
from playwright.async_api import Browser

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


@dataclass
class Shown:
    site: Living
    entries: dict[str, Stored]
    browser: Browser

    @property
    def paths(self) -> list[str]:
        pages = ["/", "/about", "/login", "/admin/sources", "/admin/settings"]
        return pages + [f"/entries/{self.entries[name].id}" for name in ("post", "warned")]


@pytest.fixture
async def shown(config: Config) -> AsyncIterator[Shown]:
    config = config.model_copy(update={"author": "Mara", "allow_networks": Networks.parse("127.0.0.0/8")})
    async with picture_host() as host, living(config) as site, chromium() as browser:
        entries = await filled(site.site, host, DAY)
        await _pictures_are_here(site)
        yield Shown(site, entries, browser)


async def _pictures_are_here(site: Living) -> None:
    page = (await site.http.get(f"/day/{DAY}")).text
    wanted = set(re.findall(r'src="(/media/[^"]+)"', page))
    assert len(wanted) > 5

    async def so() -> bool:
        return {(await site.http.get(path)).status_code for path in wanted} == {200}

    await comes(so, within=60)


async def owners_cookie(site: Living) -> dict[str, str]:
    async with site.site.store.begin() as db:
        return {"name": "lifestream", "value": await owner.open_session(db, site.site.now()), "url": site.url}


async def test_nobody_is_kept_out(shown: Shown) -> None:
    found: dict[tuple[str, str, str], str] = {}
    for width, theme in ((360, "light"), (1280, "dark")):
        context = await shown.browser.new_context(
            viewport={"width": width, "height": 900}, reduced_motion="reduce", bypass_csp=True
        )
        cookies = [{"name": "theme", "value": theme, "url": shown.site.url}, await owners_cookie(shown.site)]
        page = await context.new_page()
        for path in shown.paths:
            await context.clear_cookies()
            await context.add_cookies(cookies if path.startswith("/admin") else cookies[:1])  # type: ignore[arg-type]
            await page.goto(shown.site.url + path)
            violations = (await Axe().run(page)).response["violations"]
            found |= {(path, theme, one["id"]): one["nodes"][0]["html"] for one in violations}
        await context.close()
    assert found == {}


async def test_every_width_is_wide_enough_and_the_browser_has_nothing_to_say(shown: Shown) -> None:
    context = await shown.browser.new_context(viewport={"width": 320, "height": 700})
    await context.add_cookies([await owners_cookie(shown.site)])  # type: ignore[list-item]
    page = await context.new_page()
    complaints = complaints_of(page, shown.site.url)
    for path in shown.paths:
        await page.goto(shown.site.url + path)
        for width in (320, 719, 720, 1080):
            await page.set_viewport_size({"width": width, "height": 700})
            beyond = await page.evaluate("document.documentElement.scrollWidth - innerWidth")
            assert beyond <= 0, (path, width)
    # What a page had not loaded when it was left has not failed; what is not there is an error, and said too.
    assert [one for one in complaints if not one.startswith("failed")] == []
