"""An open page follows the stream whatever the network does to it: a real browser, a bad network, a real server.

The page's clock is Playwright's: its patience of seconds and minutes is over when a test says so.
"""

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
import pytest_asyncio
from playwright.async_api import Browser, Page, expect

from lifestream.config import Config
from tests.e2e.processes import Process
from tests.fakes import comes, until
from tests.living import Living, living, on_sqlite
from tests.pages.browser import Network, Trouble, Way, chromium, network

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="module")]

NAMES: dict[Way, str] = {"socket": "WebSocket", "events": "Server-Sent Events", "poll": "long polling"}
FAILING: dict[Way, Trouble] = dict.fromkeys(NAMES, "refuses")
BEFORE: dict[Way, dict[Way, Trouble]] = {
    "socket": {}, "events": {"socket": "refuses"}, "poll": {"socket": "refuses", "events": "refuses"},
}  # fmt: skip
"""What has to fail for a page to live by each way."""
REMEMBERS = """
window.states = [];
window.told = [];
document.addEventListener("live:state", ({ detail }) => states.push(detail));
document.addEventListener("live:entry", ({ detail }) => told.push([detail.seq, detail.fresh, detail.entry.title]));
addEventListener("pageshow", ({ persisted }) => (window.persisted = persisted));
"""
NO_STORAGE = """
Object.defineProperty(window, "sessionStorage", {
  get() { throw new DOMException("Storage is forbidden here.", "SecurityError"); },
});
"""
CAN_BE_HIDDEN = """
window.hide = (hidden) => {
  Object.defineProperty(document, "hidden", { value: hidden, configurable: true });
  document.dispatchEvent(new Event("visibilitychange"));
};
"""
each_way = pytest.mark.parametrize("way", list(NAMES))


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def keeping_browser() -> AsyncIterator[Browser]:
    """With the back/forward cache, which Playwright would rather not have."""
    async with chromium(without=["--disable-back-forward-cache"]) as browser:
        yield browser


class Reader:
    """Somebody with an open page, and the network between him and the server."""

    def __init__(self, page: Page, between: Network) -> None:
        self.page, self.between = page, between
        self.line = page.locator("#live")
        self.words = page.locator("#live .words")
        self.pill = page.locator(".pill")

    async def passes(self, seconds: float) -> None:
        """So much time, at once."""
        await self.page.clock.fast_forward(round(seconds * 1000))

    async def states(self) -> list[dict[str, Any]]:
        """What the page has said of its connection, from the first."""
        found: list[dict[str, Any]] = await self.page.evaluate("states")
        return found

    async def lives_by(self, way: Way) -> None:
        """Returns once the page is live by this transport; what it has to wait for is over at once."""

        async def does() -> bool:
            last = (await self.states())[-1]
            if last["state"] in ("reconnecting", "offline"):
                await self.passes(last["wait"] + 1)
            elif self.between.holding:
                await self.passes(15)
            return bool(last["state"] == "live" and last["transport"] == NAMES[way])

        await comes(does)

    async def settles(self, way: Way) -> None:
        """Lives by this transport for so long that it is taken for steady."""
        await self.lives_by(way)
        await self.passes(10.1)

    async def is_in_trouble(self, since: int = 0) -> dict[str, Any]:
        """The first trouble that the page spoke of after `since` states."""

        async def said() -> dict[str, Any] | None:
            states = (await self.states())[since:]
            return next((one for one in states if one["state"] in ("reconnecting", "offline")), None)

        return await comes(said) or {}

    async def loses(self, way: Way) -> dict[str, Any]:
        """Its connection is cut; what it says then."""
        since = len(await self.states())
        self.between.cut(way)
        return await self.is_in_trouble(since)

    async def clock(self) -> str:
        """The time that the page was last complete, where the owner lives."""
        as_of = (await self.states())[-1]["asOf"] / 1000
        return datetime.fromtimestamp(as_of, ZoneInfo("Europe/Lisbon")).strftime("%H:%M")

    async def tries_in_vain(self) -> None:
        states = await self.states()
        await self.passes(states[-1]["wait"] + 0.1)
        await self.is_in_trouble(len(states))

    async def has(self, *titles: str) -> None:
        """Shows these, newest first, and was told of each once, in order."""

        async def shown() -> bool:
            if await self.pill.is_visible():
                await self.pill.click()
            there = await self.page.locator("article h3").all_text_contents()
            if len(there) < len(titles):
                await self.passes(0.2)  # one comes in after the other
            return there == list(titles)

        await comes(shown)
        told = await self.page.evaluate("told")
        assert [seq for seq, _, _ in told] == sorted({seq for seq, _, _ in told})
        assert [(title, fresh) for _, fresh, title in told] == [(title, True) for title in reversed(titles)]


@asynccontextmanager
async def reading(browser: Browser, between: Network, *scripts: str) -> AsyncIterator[Reader]:
    """An open page. It may find fault with the network, but not with its own scripts."""
    errors: list[str] = []
    async with await browser.new_context(timezone_id="Asia/Tokyo") as context:
        page = await context.new_page()
        page.on("pageerror", lambda error: errors.append(str(error)))
        await page.clock.install()
        for script in (REMEMBERS, *scripts):
            await page.add_init_script(script)
        await page.goto(between.url)
        yield Reader(page, between)
    assert errors == []


# -- down -----------------------------------------------------------------------------------------


@on_sqlite
@pytest.mark.parametrize("trouble", ["refuses", "swallows", 503])
async def test_where_a_transport_does_not_get_through_the_page_is_live_by_the_next(
    stream: Living, browser: Browser, trouble: Trouble
) -> None:
    async with network(stream.url) as between:
        between.trouble["socket"] = trouble
        async with reading(browser, between) as reader:
            await reader.lives_by("events")
            assert between.asked == ["socket", "socket", "events"]
            await stream.posts("one")
            await reader.has("one")

            between.trouble["events"] = trouble
            await reader.loses("events")
            await reader.lives_by("poll")
            await stream.posts("two")
            await reader.has("two", "one")


@on_sqlite
async def test_an_error_is_no_connection(stream: Living, browser: Browser) -> None:
    async with network(stream.url) as between:
        between.trouble |= dict.fromkeys(NAMES, 429)
        async with reading(browser, between) as reader:
            await reader.is_in_trouble()
            for _ in range(6):
                await reader.tries_in_vain()
            assert between.asked[:6] == ["socket", "socket", "events", "events", "poll", "poll"]
            states = await reader.states()
            assert "live" not in {one["state"] for one in states}
            waits = [one["wait"] for one in states if one["state"] == "reconnecting"]
            longest = [1, 2, 4, 8, 16, 30, 30]
            assert all(most / 2 <= wait <= most for wait, most in zip(waits, longest, strict=True)), waits


@on_sqlite
async def test_a_connection_that_never_lasts_has_not_got_through(stream: Living, browser: Browser) -> None:
    async with network(stream.url) as between, reading(browser, between) as reader:
        for _ in range(2):
            await reader.lives_by("socket")
            await reader.loses("socket")
        await reader.lives_by("events")
        assert between.asked == ["socket", "socket", "events"]


@on_sqlite
@each_way
async def test_a_connection_that_lasted_comes_back_by_the_same_transport(
    stream: Living, browser: Browser, way: Way
) -> None:
    async with network(stream.url) as between:
        between.trouble |= BEFORE[way]
        async with reading(browser, between) as reader:
            for _ in range(3):
                await reader.settles(way)
                assert 0.5 <= (await reader.loses(way))["wait"] <= 1
            await reader.lives_by(way)


@on_sqlite
async def test_whichever_transport_is_cut_in_the_middle_of_a_word_each_entry_comes_once_and_in_order(
    stream: Living, browser: Browser
) -> None:
    titles: list[str] = []
    async with network(stream.url) as between, reading(browser, between) as reader:
        for way in NAMES:
            between.trouble |= BEFORE[way]
            between.cut(*BEFORE[way])
            await reader.settles(way)
            since = len(await reader.states())
            cut = between.cut_after(way, 2500)
            for number in range(4):
                titles.insert(0, f"{way} {number}")
                await stream.posts(titles[0])
            await until(cut.is_set)
            await reader.is_in_trouble(since)
            await reader.lives_by(way)
            await reader.has(*titles)


@on_sqlite
async def test_who_reads_too_slowly_comes_back_at_once_by_the_same_transport(stream: Living, browser: Browser) -> None:
    async with network(stream.url) as between, reading(browser, between) as reader:
        titles: list[str] = []
        for number in range(3):
            await reader.lives_by("socket")
            since = len(await reader.states())
            titles.insert(0, f"number {number}")
            await stream.posts(titles[0])
            await reader.has(*titles)
            between.say("socket", b"\x88\x02" + (4008).to_bytes(2), last=True)
            assert (await reader.is_in_trouble(since))["wait"] == 0
        await reader.lives_by("socket")
        assert set(between.asked) == {"socket"}


@on_sqlite
async def test_who_has_missed_something_asks_for_it(stream: Living, browser: Browser) -> None:
    async with network(stream.url) as between, reading(browser, between) as reader:
        await reader.lives_by("socket")
        since = len(await reader.states())
        between.say("socket", text_frame('{"type":"delete","seq":9007199254740000,"prev":9007199254730000,"id":"x"}'))
        assert (await reader.is_in_trouble(since))["wait"] == 0
        await reader.lives_by("socket")
        await stream.posts("one")
        await reader.has("one")


@on_sqlite
async def test_who_comes_from_an_unknown_position_loads_the_page_afresh(stream: Living, browser: Browser) -> None:
    async with network(stream.url) as between, reading(browser, between) as reader:
        await reader.lives_by("socket")
        await stream.posts("one")
        await reader.has("one")
        async with reader.page.expect_event("load"):
            between.say("socket", text_frame('{"type":"hello","seq":5,"reset":true}'))
        assert await reader.page.evaluate("told") == []
        await reader.lives_by("socket")
        await expect(reader.page.locator("article h3")).to_have_text("one")


# -- up -------------------------------------------------------------------------------------------


@on_sqlite
async def test_a_better_transport_takes_over_unnoticed(stream: Living, browser: Browser) -> None:
    async with network(stream.url) as between:
        between.trouble |= BEFORE["events"]
        async with reading(browser, between) as reader:
            await reader.lives_by("events")
            since = len(await reader.states())

            # First in vain, which is not noticed either.
            between.trouble["socket"] = "swallows"
            await reader.passes(20)
            await until(lambda: between.holding)
            await stream.posts("by events")
            await reader.has("by events")
            await reader.passes(15)
            await until(lambda: not between.holding)

            between.trouble.clear()
            await reader.passes(40)
            await until(lambda: between.open("socket") and not between.open("events"))
            await stream.posts("by socket")
            await reader.has("by socket", "by events")
            assert [one["state"] for one in (await reader.states())[since:]] == ["live"]
            await expect(reader.line).to_have_attribute("title", "By WebSocket")


@on_sqlite
async def test_what_is_told_by_both_connections_comes_once(stream: Living, browser: Browser) -> None:
    async with network(stream.url) as between:
        between.trouble |= BEFORE["events"]
        async with reading(browser, between) as reader:
            await reader.lives_by("events")
            between.trouble["socket"] = lifted = asyncio.Event()
            await reader.passes(20)
            await until(lambda: between.asked[-1] == "socket")
            await stream.posts("one")
            await reader.has("one")
            lifted.set()
            await reader.lives_by("socket")
            await stream.posts("two")
            await reader.has("two", "one")


@on_sqlite
async def test_all_that_are_better_are_tried_from_the_best_on(stream: Living, browser: Browser) -> None:
    async with network(stream.url) as between:
        between.trouble |= BEFORE["poll"]
        async with reading(browser, between) as reader:
            await reader.lives_by("poll")
            del between.trouble["events"]
            between.asked.clear()
            await reader.passes(20)
            await reader.lives_by("events")
            assert [way for way in between.asked if way != "poll"] == ["socket", "events"]
            assert not any(one["state"] == "reconnecting" for one in (await reader.states())[-2:])


@on_sqlite
async def test_a_better_transport_that_does_not_last_gives_way_at_once(stream: Living, browser: Browser) -> None:
    async with network(stream.url) as between:
        between.trouble |= BEFORE["poll"]
        async with reading(browser, between) as reader:
            await reader.lives_by("poll")
            between.trouble.clear()
            await reader.passes(20)
            await reader.lives_by("socket")
            assert (await reader.loses("socket"))["wait"] == 0
            await reader.lives_by("poll")


@on_sqlite
async def test_the_next_page_begins_with_what_worked(stream: Living, browser: Browser) -> None:
    async with network(stream.url) as between:
        between.trouble |= BEFORE["events"]
        async with reading(browser, between) as reader:
            await reader.lives_by("events")
            between.asked.clear()
            await reader.page.reload()
            await reader.lives_by("events")
            assert between.asked == ["events"]

            between.trouble.clear()
            await reader.passes(20)
            await reader.lives_by("socket")
            between.asked.clear()
            await reader.page.reload()
            await reader.lives_by("socket")
            assert between.asked == ["socket"]


@on_sqlite
async def test_without_storage_the_page_just_does_not_remember(stream: Living, browser: Browser) -> None:
    async with network(stream.url) as between:
        between.trouble |= BEFORE["events"]
        async with reading(browser, between, NO_STORAGE) as reader:
            await reader.lives_by("events")
            between.asked.clear()
            await reader.page.reload()
            await reader.lives_by("events")
            assert between.asked == ["socket", "socket", "events"]


# -- away -----------------------------------------------------------------------------------------


@on_sqlite
@each_way
async def test_a_server_that_restarts_is_given_a_moment(config: Config, browser: Browser, way: Way) -> None:
    async with network("") as between, AsyncExitStack() as stack:
        between.trouble |= BEFORE[way]
        async with living(config, background=False) as stream:
            between.server = stream.url
            reader = await stack.enter_async_context(reading(browser, between))
            await reader.settles(way)
            since = len(await reader.states())
        assert 1 <= (await reader.is_in_trouble(since))["wait"] <= 5
        async with living(config, background=False) as stream:
            between.server = stream.url
            await stream.posts("meanwhile")
            await reader.lives_by(way)
            await reader.has("meanwhile")


@pytest.mark.slow
async def test_the_page_catches_up_after_the_server_was_killed(tmp_path: Path, browser: Browser) -> None:
    async with (
        Process(tmp_path / "stream") as stream,
        network(stream.url) as between,
        reading(browser, between) as reader,
    ):
        await reader.settles("socket")
        stream.kill()
        await reader.is_in_trouble()
        for _ in range(6):
            await reader.tries_in_vain()
        ways = ["socket", "socket", "socket", "events", "events", "poll", "poll"]
        assert between.asked == ways
        await stream.run("post", "Herons again.", "--title", "meanwhile")
        await stream.start()
        await reader.lives_by("socket")  # that nothing got through said nothing about WebSockets
        await reader.has("meanwhile")


@on_sqlite
@each_way
async def test_a_page_that_the_browser_kept_goes_on_where_it_was(
    stream: Living, keeping_browser: Browser, way: Way
) -> None:
    async with network(stream.url) as between:
        between.trouble |= BEFORE[way]
        async with reading(keeping_browser, between) as reader:
            await reader.lives_by(way)
            await stream.posts("before")
            await reader.has("before")
            await reader.page.goto(f"{between.url}/sources")
            await until(lambda: not between.open(way))
            await stream.posts("meanwhile")
            await reader.page.go_back(wait_until="commit")
            await expect(reader.line).to_have_attribute("data-state", "live")
            await reader.has("meanwhile", "before")
            assert await reader.page.evaluate("persisted")


@on_sqlite
async def test_a_hidden_page_takes_its_time_until_it_is_shown(stream: Living, browser: Browser) -> None:
    async with network(stream.url) as between, reading(browser, between, CAN_BE_HIDDEN) as reader:
        await reader.settles("socket")
        await reader.page.evaluate("hide(true)")
        assert (await reader.loses("socket"))["wait"] >= 15
        await stream.posts("meanwhile")
        await reader.page.evaluate("hide(false)")
        await reader.has("meanwhile")


@on_sqlite
async def test_a_page_that_was_hidden_for_long_makes_sure_of_its_connection(stream: Living, browser: Browser) -> None:
    async with network(stream.url) as between, reading(browser, between, CAN_BE_HIDDEN) as reader:
        for seconds, connections in ((30, 1), (61, 2)):
            await reader.lives_by("socket")
            await reader.page.evaluate("hide(true)")
            await reader.passes(seconds)
            await reader.page.evaluate("hide(false)")
            await reader.lives_by("socket")
            assert len(between.asked) == connections


# -- words ----------------------------------------------------------------------------------------


@on_sqlite
async def test_live_is_said_with_the_age_of_the_last_entry_and_how_many_are_here(
    stream: Living, browser: Browser
) -> None:
    async with network(stream.url) as between, reading(browser, between) as reader:
        await expect(reader.words).to_have_text("Live")
        await expect(reader.line).to_have_attribute("title", "By WebSocket")
        await stream.posts("one")
        await expect(reader.words).to_have_text("Live · last entry just now")
        await reader.passes(41)
        await expect(reader.words).to_have_text("Live · last entry 40 s ago")
        await reader.passes(180)
        await expect(reader.words).to_have_text("Live · last entry 3 min ago")
        await reader.passes(26 * 3600)
        await expect(reader.words).to_have_text("Live · last entry 1 day ago")

        here = reader.page.locator("#live .here")
        await expect(here).to_be_hidden()
        between.say("socket", text_frame('{"type":"viewers","count":3}'))
        await expect(here).to_have_text("3 here now")
        await expect(here).to_be_visible()
        between.say("socket", text_frame('{"type":"viewers","count":1}'))
        await expect(here).to_be_hidden()


@on_sqlite
async def test_trouble_is_said_when_it_has_lasted_a_second(stream: Living, browser: Browser) -> None:
    async with network(stream.url) as between:
        between.trouble["socket"] = "swallows"
        async with reading(browser, between) as reader:
            await until(lambda: between.holding)
            await expect(reader.words).to_contain_text("As of")
            await reader.passes(1)
            await expect(reader.words).to_have_text("Connecting · this page is already complete")
            between.trouble.clear()
            await reader.settles("socket")
            await expect(reader.words).to_have_text("Live")

            between.trouble |= FAILING
            await reader.loses("socket")
            assert await reader.words.text_content() == "Live"
            await reader.passes(1)
            await expect(reader.words).to_have_text(re.compile(r"Reconnecting · trying again in [12] s"))
            await expect(reader.line).to_have_attribute("title", "")
            await reader.passes(5 * 60)
            await expect(reader.words).to_have_text(f"Offline · as it was at {await reader.clock()}")

            between.trouble.clear()
            await reader.lives_by("events")
            await expect(reader.words).to_have_text("Live")


@on_sqlite
async def test_without_a_network_the_page_says_until_when_it_is_complete(stream: Living, browser: Browser) -> None:
    async with network(stream.url) as between, reading(browser, between) as reader:
        await reader.settles("socket")
        between.trouble |= FAILING
        await reader.page.context.set_offline(True)
        await reader.is_in_trouble()
        await reader.passes(1)
        await expect(reader.words).to_have_text(f"Offline · as it was at {await reader.clock()}")
        for _ in range(3):
            await reader.tries_in_vain()
        between.trouble.clear()
        await stream.posts("meanwhile")
        await reader.page.context.set_offline(False)
        await expect(reader.line).to_have_attribute("data-state", "live")
        await reader.has("meanwhile")
        assert {one["transport"] for one in await reader.states()} == {"WebSocket"}


# -- small things ---------------------------------------------------------------------------------


def text_frame(text: str) -> bytes:
    """A short message of the server's, as a WebSocket carries it."""
    return bytes([0x81, len(text)]) + text.encode()
