"""`/screen` in a real browser. Its clock stands still, but for the seconds that a test lets pass."""

import io
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from PIL import Image
from playwright.async_api import Browser, Page, Route, expect

from tests.fakes import comes
from tests.living import Living, on_sqlite
from tests.pages.browser import Network, complaints_of, network

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="module")]

BROAD, UPRIGHT = (64, 40), (40, 64)


def picture(size: tuple[int, int]) -> bytes:
    file = io.BytesIO()
    Image.new("RGB", size, "teal").save(file, "WEBP")
    return file.getvalue()


def photo(**more: Any) -> dict[str, Any]:
    return {"kind": "photo", "media": [{"url": "https://photos.example/1.jpg", "alt": "Hills"} | more]}


class Screen:
    def __init__(self, page: Page) -> None:
        self.page = page
        self.slide = page.locator("#stage .slide").last
        self.title = self.slide.locator("h1")
        self.body = page.locator("body")

    async def shows(self, title: str) -> None:
        await expect(self.title).to_have_text(title)

    async def passes(self, seconds: float) -> None:
        """So much time, at once. What was shown before has gone by then."""
        await self.page.clock.fast_forward(round(seconds * 1000))

    async def is_full(self, wanted: bool) -> None:
        await comes(lambda: self.page.evaluate("wanted => Boolean(document.fullscreenElement) === wanted", wanted))

    async def knows(self, title: str) -> None:
        """Returns when an entry that was told of is there to be shown."""
        await comes(lambda: self.page.evaluate("title => told.includes(title)", title))


TOLD = """
window.told = [];
document.addEventListener("live:entry", ({ detail }) => told.push(detail.entry.title));
document.addEventListener("live:delete", ({ detail }) => told.push(detail.id));
"""


@asynccontextmanager
async def watching(
    browser: Browser,
    url: str,
    path: str = "/screen",
    *,
    size: tuple[int, int] | None = BROAD,
    read: bool = True,
    troubled: bool = False,
    **more: Any,
) -> AsyncIterator[Screen]:
    """An open screen that has `read` what there is, or tries to. Pictures are of this size; without one, none comes.

    The browser has nothing to say against it, unless the network is `troubled`.
    """

    async def answer(route: Route) -> None:
        if size is None:
            await route.fulfill(status=404)
        else:
            await route.fulfill(body=picture(size), content_type="image/webp")

    async with await browser.new_context(**more) as context:
        page = await context.new_page()
        complaints = complaints_of(page, url)
        await page.clock.install()
        await page.add_init_script(TOLD)
        await page.route("**/media/*", answer)
        if not read:
            await page.route("**/api/entries*", lambda route: route.abort())
        await page.goto(url + path)
        await page.clock.pause_at(await page.evaluate("Date.now() / 1000 + 4"))
        if read:
            await expect(page.locator("#stage")).not_to_have_attribute("aria-busy", "true")
        yield Screen(page)
        assert troubled or complaints == []


# -- what it shows --------------------------------------------------------------------------------


@on_sqlite
async def test_without_script_it_shows_the_newest_picture_and_comes_again(stream: Living) -> None:
    await stream.posts("a photo", **photo())
    await stream.posts("a note", kind="note")
    page = (await stream.http.get("/screen")).text
    assert '<noscript><meta http-equiv="refresh" content="40"></noscript>' in page
    assert '<h1 dir="auto">a photo</h1>' in page
    assert re.search(r'<img class="full" src="/media/\w+-1600.webp" alt="Hills">', page)
    assert "Photo</bdi>, just now" in page


@on_sqlite
async def test_an_empty_stream_says_so(stream: Living) -> None:
    assert "<h1>Nothing yet.</h1>" in (await stream.http.get("/screen")).text


@on_sqlite
async def test_it_takes_the_filters_of_the_stream(stream: Living) -> None:
    await stream.posts("a photo", **photo())
    await stream.posts("a note", kind="note")
    page = (await stream.http.get("/screen?kind=note")).text
    assert '<h1 dir="auto">a note</h1>' in page
    assert 'data-live-url="/live?kind=note"' in page
    assert 'data-entries="/api/entries?kind=note"' in page
    assert '<a class="leave" href="/?kind=note">Leave</a>' in page


@on_sqlite
async def test_pictures_come_first_the_newest_first_and_then_words(stream: Living, browser: Browser) -> None:
    for title in ("photo 1", "photo 2", "photo 3"):
        await stream.posts(title, **photo())
    await stream.posts("words 1")
    await stream.posts("words 2")
    async with watching(browser, stream.url) as screen:
        await screen.shows("photo 3")
        for title in ("photo 2", "photo 1", "words 2", "words 1"):
            await screen.passes(40)
            await screen.shows(title)
        await screen.passes(40)
        await expect(screen.title).to_have_text(re.compile("photo"))


@on_sqlite
async def test_a_picture_fills_the_screen_and_is_whole_before_it_is_shown(stream: Living, browser: Browser) -> None:
    await stream.posts("one", **photo())
    await stream.posts("two", **photo())
    async with watching(browser, stream.url) as screen:
        await screen.passes(40)
        await screen.shows("one")
        shown = screen.slide.locator("img.full")
        assert await shown.evaluate("(one) => one.complete && one.naturalWidth") == BROAD[0]
        box, size = await shown.evaluate("(one) => [one.offsetWidth, one.offsetHeight]"), screen.page.viewport_size
        assert size and box == [size["width"], size["height"]]
        await screen.passes(1.6)
        await expect(screen.page.locator("#stage .slide")).to_have_count(1)


@on_sqlite
async def test_an_upright_picture_stands_whole_before_its_own_copy(stream: Living, browser: Browser) -> None:
    await stream.posts("one", **photo())
    await stream.posts("two", **photo(width=40, height=64))
    async with watching(browser, stream.url, size=UPRIGHT) as screen:
        for title in ("two", "one"):
            await screen.shows(title)
            whole = screen.slide.locator("img.full:not(.back)")
            assert await whole.evaluate("(one) => getComputedStyle(one).objectFit") == "contain"
            await expect(screen.slide.locator("img.back")).to_be_visible()
            await screen.passes(40)


@on_sqlite
async def test_a_listen_has_its_cover_and_its_artist(stream: Living, browser: Browser) -> None:
    cover = [{"url": "https://covers.example/1.jpg"}]
    async with watching(browser, stream.url) as screen:
        await stream.posts("Neap", kind="listen", media=cover)
        await screen.knows("Neap")
        await screen.passes(8)
        await screen.shows("Neap")
        await expect(screen.slide).to_have_class(re.compile(r"\bcover\b"))
        await expect(screen.slide.locator("p")).to_have_text("Listen, just now")


@on_sqlite
async def test_words_stand_on_the_sky_of_their_hour(stream: Living, browser: Browser) -> None:
    await stream.posts("", kind="note", content_text="The wind.", published="2026-01-02T22:14:00Z")
    async with watching(browser, stream.url) as screen:
        await screen.shows("The wind.")
        await expect(screen.slide).to_have_class(re.compile(r"\bsky22\b"))
        await expect(screen.slide).to_have_class(re.compile(r"\bserif\b"))
        assert "gradient" in await screen.slide.evaluate("(one) => getComputedStyle(one).backgroundImage")


@on_sqlite
async def test_a_picture_that_does_not_come_leaves_its_words(stream: Living, browser: Browser) -> None:
    await stream.posts("one", **photo())
    await stream.posts("two", **photo())
    async with watching(browser, stream.url, size=None, troubled=True) as screen:
        for title in ("two", "one"):
            await screen.shows(title)
            await expect(screen.slide).to_have_class(re.compile(r"\bwords\b"))
            await expect(screen.slide.locator("img")).to_have_count(0)
            await screen.passes(40)


# -- what happens meanwhile -----------------------------------------------------------------------


@on_sqlite
async def test_what_is_new_comes_next_but_not_before_eight_seconds(stream: Living, browser: Browser) -> None:
    for title in ("one", "two", "three"):
        await stream.posts(title)
    async with watching(browser, stream.url) as screen:
        await screen.passes(40)
        await screen.shows("two")
        await stream.posts("new", **photo())
        await screen.knows("new")
        await screen.passes(7.9)
        await screen.shows("two")
        await screen.passes(0.1)
        await screen.shows("new")
        await expect(screen.slide).to_have_class(re.compile(r"\bphoto\b"))
        await screen.passes(40)
        await screen.shows("one")


@on_sqlite
async def test_of_several_the_newest_comes_first(stream: Living, browser: Browser) -> None:
    await stream.posts("old")
    async with watching(browser, stream.url) as screen:
        for title in ("first", "second"):
            await stream.posts(title)
            await screen.knows(title)
        for title in ("second", "first"):
            await screen.passes(8)
            await screen.shows(title)


@on_sqlite
async def test_the_ribbon_grows_by_what_is_new(stream: Living, browser: Browser) -> None:
    async with watching(browser, stream.url) as screen:
        await stream.posts("new")
        await expect(screen.page.locator(".tick.late")).to_have_attribute("d", re.compile(r"^M\d+ 18V\d+$"))


@on_sqlite
async def test_what_is_deleted_leaves_at_once(stream: Living, browser: Browser) -> None:
    await stream.posts("one")
    shown = await stream.posts("two")
    async with watching(browser, stream.url) as screen:
        await screen.shows("two")
        await stream.http.delete(f"/api/entries/{shown['id']}", headers=await stream.owners())
        await screen.shows("one")
        await screen.page.keyboard.press("ArrowLeft")
        await screen.shows("one")


@on_sqlite
async def test_when_the_last_entry_goes_it_says_that_there_is_nothing(stream: Living, browser: Browser) -> None:
    shown = await stream.posts("one")
    async with watching(browser, stream.url) as screen:
        await stream.http.delete(f"/api/entries/{shown['id']}", headers=await stream.owners())
        await screen.shows("Nothing yet.")


@on_sqlite
async def test_an_edit_is_seen_in_place_and_a_warning_takes_it_away(stream: Living, browser: Browser) -> None:
    await stream.posts("other")
    shown = await stream.posts("before")
    async with watching(browser, stream.url) as screen:
        await screen.shows("before")
        await stream.http.patch(f"/api/entries/{shown['id']}", json={"title": "after"}, headers=await stream.owners())
        await screen.shows("after")


@on_sqlite
async def test_after_a_quiet_hour_it_says_so_once(stream: Living, browser: Browser) -> None:
    await stream.posts("one")
    await stream.posts("two")
    async with watching(browser, stream.url) as screen:
        await screen.passes(3600)
        await expect(screen.title).to_have_text(re.compile(r"^Quiet\. Last entry 60 minutes ago\.$"))
        await screen.passes(40)
        await expect(screen.title).to_have_text(re.compile("one|two"))


@on_sqlite
async def test_offline_it_goes_on_with_what_it_has(stream: Living, browser: Browser) -> None:
    await stream.posts("one")
    await stream.posts("two")
    async with network(stream.url) as between, watching(browser, between.url, troubled=True) as screen:
        await expect(screen.body).not_to_have_class(re.compile("away"))
        await comes(lambda: _open(between))
        between.trouble |= {"page": "refuses", "socket": "refuses", "events": "refuses", "poll": "refuses"}
        between.cut("socket", "page")
        await expect(screen.body).to_have_class(re.compile("away"))
        await expect(screen.page.locator(".needle.core")).to_have_css("display", "inline")
        for title in ("one", "two"):
            await screen.passes(40)
            await screen.shows(title)
        between.trouble.clear()
        await screen.page.evaluate("dispatchEvent(new Event('online'))")
        await expect(screen.body).not_to_have_class(re.compile("away"))


@on_sqlite
async def test_what_could_not_be_read_is_read_later_and_meanwhile_it_stays(stream: Living, browser: Browser) -> None:
    await stream.posts("one")
    await stream.posts("two")
    async with watching(browser, stream.url, read=False, troubled=True) as screen:
        await screen.passes(40)
        await screen.shows("two")
        await screen.page.unroute("**/api/entries*")
        await screen.passes(30)
        await expect(screen.page.locator("#stage")).not_to_have_attribute("aria-busy", "true")
        await screen.passes(40)
        await screen.shows("one")


async def _open(between: Network) -> bool:
    return between.open("socket") > 0


# -- who looks ------------------------------------------------------------------------------------


@on_sqlite
async def test_arrows_step_and_escape_leaves(stream: Living, browser: Browser) -> None:
    for title in ("one", "two", "three"):
        await stream.posts(title, kind="note")
    async with watching(browser, stream.url, "/screen?kind=note") as screen:
        press = screen.page.keyboard.press
        for key, title in (
            ("ArrowRight", "two"), ("ArrowRight", "one"), ("ArrowLeft", "two"), ("ArrowLeft", "three"),
            ("ArrowLeft", "three"), ("ArrowRight", "two"),
        ):  # fmt: skip
            await press(key)
            await screen.shows(title)
        await press("Escape")
        await expect(screen.page).to_have_url(f"{stream.url}/?kind=note")


@on_sqlite
async def test_f_fills_the_whole_screen_and_gives_it_back(stream: Living, browser: Browser) -> None:
    async with watching(browser, stream.url) as screen:
        for is_full in (True, False):
            await screen.page.keyboard.press("f")
            await screen.is_full(is_full)


@on_sqlite
async def test_it_can_be_held(stream: Living, browser: Browser) -> None:
    await stream.posts("one")
    await stream.posts("two")
    async with watching(browser, stream.url) as screen:
        await screen.page.keyboard.press("p")
        await screen.passes(120)
        await screen.shows("two")
        await screen.page.keyboard.press("p")
        await screen.passes(1)
        await screen.shows("one")


@on_sqlite
async def test_nothing_lies_over_the_picture_until_it_is_touched(stream: Living, browser: Browser) -> None:
    async with watching(browser, stream.url, has_touch=True) as screen:
        leave = screen.page.get_by_role("link", name="Leave")
        await screen.passes(2)
        await expect(screen.body).to_have_class(re.compile("idle"))
        await expect(leave).to_have_css("opacity", "0")
        assert await screen.body.evaluate("(body) => getComputedStyle(body).cursor") == "none"
        await screen.page.touchscreen.tap(200, 300)
        await expect(leave).to_have_css("opacity", "1")
        await screen.passes(4)
        await expect(leave).to_have_css("opacity", "0")


@on_sqlite
@pytest.mark.parametrize("motion", ["reduce", "no-preference"])
async def test_nothing_moves_where_that_is_wanted(stream: Living, browser: Browser, motion: Any) -> None:
    await stream.posts("one", **photo())
    await stream.posts("two", **photo())
    async with watching(browser, stream.url, reduced_motion=motion) as screen:
        await screen.passes(40)
        await screen.shows("one")
        moves = await screen.slide.evaluate("(one) => one.getAnimations({ subtree: true }).length")
        assert bool(moves) == (motion == "no-preference")
