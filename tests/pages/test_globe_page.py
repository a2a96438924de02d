"""`/globe`, as the server draws it and as it turns in a real browser; and places that are hidden, which are nowhere."""

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from playwright.async_api import Browser, Page, expect

from lifestream.types import Location
from tests.fakes import comes
from tests.living import Living, on_sqlite
from tests.pages.browser import complaints_of
from tests.stories import writes

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="module")]

COMPORTA = {"lat": 38.37951, "lon": -8.80049, "name": "Praia da Comporta"}
KEW = {"lat": 51.4787, "lon": -0.2956, "name": ""}
SYDNEY = {"lat": -33.87, "lon": 151.21, "name": "Sydney"}


class Globe:
    def __init__(self, page: Page) -> None:
        self.page = page
        self.ball = page.locator("#globe")
        self.names = page.locator("#places a")
        self.rings = page.locator(".rings")

    async def passes(self, seconds: float) -> None:
        """So much time, picture by picture."""
        await self.page.clock.run_for(round(seconds * 1000))

    async def land(self) -> str:
        drawn = await self.page.locator(".land").get_attribute("d")
        assert drawn
        return drawn


@asynccontextmanager
async def looking(browser: Browser, url: str, **more: Any) -> AsyncIterator[Globe]:
    """An open globe that can be turned. The browser has nothing to say against it."""
    async with await browser.new_context(**more) as context:
        page = await context.new_page()
        complaints = complaints_of(page, url)
        await page.clock.install()
        await page.goto(url + "/globe")
        await page.clock.pause_at(await page.evaluate("Date.now() / 1000 + 1"))
        await expect(page.locator("#globe")).to_have_attribute("tabindex", "0")
        yield Globe(page)
        assert complaints == []


# -- without script -------------------------------------------------------------------------------


@on_sqlite
async def test_the_newest_places_are_a_list_and_the_newest_is_in_the_middle(stream: Living) -> None:
    await stream.posts("The map room", kind="photo", location=KEW)
    await stream.posts("A swim", location=COMPORTA)
    await stream.posts("nowhere")
    page = (await stream.http.get("/globe")).text
    assert re.findall(r'<a href="/entries/\w+" dir="auto">(.*?)</a><span dir="auto">(.*?)</span>', page) == [
        ("A swim", "Praia da Comporta"), ("The map room", "51.48° N 0.30° W"),
    ]  # fmt: skip
    assert "2 entries carry a place" in page
    assert 'cx="0" cy="0" r="24"' in page
    assert re.search(r'<path class="land" fill-rule="evenodd" d="M', page)


@on_sqlite
async def test_a_place_is_said_to_a_kilometre_and_no_better(stream: Living) -> None:
    await stream.posts("A swim", location=COMPORTA)
    page = (await stream.http.get("/globe")).text
    assert 'data-lat="38.38" data-lon="-8.8"' in page
    assert "38.379" not in page and "8.8004" not in page


@on_sqlite
async def test_where_nothing_carries_a_place_it_says_so(stream: Living) -> None:
    await stream.posts("nowhere")
    assert "No entry carries a place yet." in (await stream.http.get("/globe")).text


# -- in a browser ---------------------------------------------------------------------------------


@on_sqlite
async def test_it_turns_by_itself_until_it_is_told_not_to(stream: Living, browser: Browser) -> None:
    await stream.posts("A swim", location=COMPORTA)
    async with looking(browser, stream.url) as globe:
        drawn = await globe.land()
        await globe.passes(1)
        assert await globe.land() != drawn
        await globe.page.get_by_role("button", name="Stop turning").click()
        drawn = await globe.land()
        await globe.passes(1)
        assert await globe.land() == drawn


@on_sqlite
async def test_what_script_draws_is_what_the_server_drew(stream: Living, browser: Browser) -> None:
    await stream.posts("A swim", location=SYDNEY)
    served = re.search(r'evenodd" d="([^"]*)"', (await stream.http.get("/globe")).text)
    assert served
    async with looking(browser, stream.url, reduced_motion="reduce") as globe:
        assert await globe.land() == served[1]


@on_sqlite
async def test_arrows_and_a_hand_turn_it(stream: Living, browser: Browser) -> None:
    await stream.posts("A swim", location=COMPORTA)
    async with looking(browser, stream.url, reduced_motion="reduce") as globe:
        await expect(globe.rings).to_have_attribute("transform", "translate(0,0)")
        await globe.ball.focus()
        await globe.page.keyboard.press("ArrowRight")
        await expect(globe.rings).to_have_attribute("transform", re.compile(r"translate\(-13\d,"))
        await globe.page.keyboard.press("ArrowLeft")
        await expect(globe.rings).to_have_attribute("transform", "translate(0,0)")
        box = await globe.ball.bounding_box()
        assert box
        x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
        await globe.page.mouse.move(x, y)
        await globe.page.mouse.down()
        await globe.page.mouse.move(x + 60, y + 40, steps=3)
        await globe.page.mouse.up()
        moved = re.findall(r"-?\d+", await globe.rings.get_attribute("transform") or "")
        assert int(moved[0]) > 100 and int(moved[1]) > 60


@on_sqlite
async def test_a_new_place_lands_on_it(stream: Living, browser: Browser) -> None:
    await stream.posts("A swim", location=COMPORTA)
    async with looking(browser, stream.url) as globe:
        made = await stream.posts("The opera", location=SYDNEY)
        await expect(globe.names).to_have_text(["The opera", "A swim"])
        await expect(globe.page.locator("#placed")).to_contain_text("2 entries carry a place.")
        await expect(globe.page.locator("#news")).to_have_text("New place: The opera")
        await globe.passes(1.3)
        await expect(globe.rings).to_have_attribute("transform", "translate(0,0)")
        await expect(globe.rings.locator("text")).to_have_text("The opera")
        await globe.passes(7)
        await expect(globe.rings.locator("text")).to_have_text("")

        await stream.http.delete(f"/api/entries/{made['id']}", headers=await stream.owners())
        await expect(globe.names).to_have_text(["A swim"])
        await expect(globe.page.locator("#placed")).to_contain_text("1 entry carries a place.")

        await stream.posts("Last year", location=KEW, published="2025-01-02T10:00:00Z")
        await expect(globe.names).to_have_text(["A swim", "Last year"])
        await globe.passes(1.3)
        await expect(globe.rings).to_have_attribute("transform", "translate(0,0)")
        await expect(globe.rings.locator("text")).to_have_text("Last year")


@on_sqlite
async def test_what_stands_behind_a_warning_is_called_by_it(stream: Living, browser: Browser) -> None:
    await writes(stream.site, "Eight eyes", location=Location(38.38, -8.8), data={"content_warning": "Spiders"})
    async with looking(browser, stream.url) as globe:
        await expect(globe.names).to_have_text(["Spiders"])
        await writes(stream.site, "Eight legs", location=Location(-33.86, 151.21), data={"sensitive": True})
        await expect(globe.names).to_have_text(["Sensitive", "Spiders"])


@on_sqlite
async def test_while_it_is_paused_nothing_lands(stream: Living, browser: Browser) -> None:
    await stream.posts("A swim", location=COMPORTA)
    async with looking(browser, stream.url) as globe:
        await globe.page.keyboard.press("p")
        await expect(globe.page.locator("#live")).to_contain_text("Paused")
        drawn = await globe.land()
        await globe.page.evaluate("document.addEventListener('live:entry', () => (window.told = true))")
        await stream.posts("The opera", location=SYDNEY)
        await comes(lambda: globe.page.evaluate("window.told"))
        await globe.passes(1)
        await expect(globe.names).to_have_text(["A swim"])
        assert await globe.land() == drawn
        await globe.page.keyboard.press("p")
        await expect(globe.names).to_have_text(["The opera", "A swim"])


@on_sqlite
async def test_where_nothing_is_to_move_it_is_there_at_once(stream: Living, browser: Browser) -> None:
    await stream.posts("A swim", location=COMPORTA)
    async with looking(browser, stream.url, reduced_motion="reduce") as globe:
        drawn = await globe.land()
        await globe.passes(1)
        assert await globe.land() == drawn
        await stream.posts("The opera", location=SYDNEY)
        await expect(globe.names).to_have_text(["The opera", "A swim"])
        await expect(globe.rings).to_have_attribute("transform", "translate(0,0)")
        assert await globe.land() != drawn


# -- hidden ---------------------------------------------------------------------------------------


async def shows_places(stream: Living, shown: bool) -> None:
    answer = await stream.http.patch("/api/sources/notes", json={"places": shown}, headers=await stream.owners())
    assert answer.status_code == 200 and answer.json()["places"] is shown


@on_sqlite
async def test_a_source_hides_its_places_everywhere_and_shows_them_again(stream: Living) -> None:
    made = await stream.posts("A swim", location=COMPORTA)
    addresses = ("/", f"/entries/{made['id']}", "/globe", "/screen", "/feed.atom", "/feed.rss", "/feed.json",
                 "/api/entries", f"/api/entries/{made['id']}", f"/live/poll?after={made['seq']}&wait=0")  # fmt: skip
    near = "/api/entries?near=38.4,-8.8,10"
    for shown in (False, True):
        await shows_places(stream, shown)
        pages = {at: (await stream.http.get(at, headers=await stream.owners())).text for at in addresses}
        tells = {at for at, page in pages.items() if re.search("Comporta|38[.]3[78]", page)}
        assert tells == (set(addresses) - {"/screen"} if shown else set())
        assert len((await stream.http.get(near)).json()["entries"]) == shown


@on_sqlite
async def test_a_hidden_place_outlives_an_edit(stream: Living) -> None:
    made = await stream.posts("A swim", location=COMPORTA)
    await shows_places(stream, False)
    edited = await stream.http.patch(
        f"/api/entries/{made['id']}", json={"title": "A long swim"}, headers=await stream.owners()
    )
    assert edited.json()["location"] is None
    await shows_places(stream, True)
    assert (await stream.http.get(f"/api/entries/{made['id']}")).json()["location"] == COMPORTA


@on_sqlite
async def test_an_open_globe_loses_what_is_hidden(stream: Living, browser: Browser) -> None:
    await stream.posts("A swim", location=COMPORTA)
    await stream.posts("The opera", location=SYDNEY)
    async with looking(browser, stream.url, reduced_motion="reduce") as globe:
        await shows_places(stream, False)
        await expect(globe.names).to_have_count(0)
        await expect(globe.page.locator(".dots circle")).to_have_count(0)
        await expect(globe.rings).to_have_attribute("display", "none")
