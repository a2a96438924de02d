"""What arrives on an open page: it is seen where that disturbs nobody, and what is being read stays where it is."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from playwright.async_api import Browser, Page, Route, expect

from lifestream.types import Media
from tests.fakes import comes, until
from tests.living import Living, on_sqlite
from tests.pages.browser import complaints_of
from tests.stories import deletes, edits, writes

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="module"), on_sqlite]

PIXEL = '<svg xmlns="http://www.w3.org/2000/svg" width="300" height="200"/>'
GROUP = """group => [
  group.querySelector("summary").innerText, group.querySelector(".meta").innerText,
  [...group.querySelectorAll(".member")].map(one => one.textContent.replace(/\\s+/g, " ").trim()),
]"""
HIDE = """hidden => {
  Object.defineProperty(document, "hidden", { value: hidden, configurable: true });
  document.dispatchEvent(new Event("visibilitychange"));
}"""
TEXT = "<p>Some words that make a post as tall as posts are, and a few more of them for the next line.</p>" * 4
COUNTED_IN = timedelta(minutes=5)
"""Old enough to stand below what a test lets arrive."""


async def has_posts(stream: Living, count: int) -> None:
    """A page that is taller than the window."""
    then = noon(stream)
    for number in range(count):
        published = then - timedelta(minutes=count - number)
        await writes(stream.site, f"post {number}", kind="article", content_html=TEXT, published=published)


def noon(stream: Living) -> datetime:
    """A moment before now, on the owner's day that it is now, with an hour of that day before it."""
    now = stream.site.now()
    day = now.astimezone(stream.config.zone).replace(hour=1, minute=0, second=0, microsecond=0)
    return min(now - COUNTED_IN, max(now - timedelta(hours=2), day.astimezone(UTC)))


@asynccontextmanager
async def reading(browser: Browser, stream: Living, path: str = "/", **context: Any) -> AsyncIterator[Page]:
    """An open page that is live. It must find nothing to complain of."""
    async with await browser.new_context(viewport={"width": 1280, "height": 800}, **context) as opened:
        page = await opened.new_page()
        complaints = complaints_of(page, stream.url)
        await page.goto(stream.url + path)
        await expect(page.locator("#live")).to_have_attribute("data-state", "live")
        yield page
        assert complaints == []


async def scrolls_to(page: Page, title: str) -> None:
    """Until this post stands a third down the window; and then stays there for long enough."""
    await page.get_by_role("heading", name=title, exact=True).evaluate(
        "heading => scrollTo(0, heading.getBoundingClientRect().top + scrollY - 260)"
    )


async def becomes(page: Page, expression: str) -> None:
    """Returns once this is true on the page."""
    await comes(lambda: page.evaluate(expression))


async def top_of(page: Page, title: str) -> float:
    heading = page.get_by_role("heading", name=title, exact=True)
    return float(await heading.evaluate("heading => heading.getBoundingClientRect().top"))


def card(page: Page, made: Any) -> Any:
    return page.locator(f"#e-{made.id}")


# -- at the top -----------------------------------------------------------------------------------


async def test_at_the_top_an_entry_comes_in_and_is_said_to_be_new(stream: Living, browser: Browser) -> None:
    await has_posts(stream, 6)
    async with reading(browser, stream) as page:
        made = await writes(stream.site, "first", kind="article")
        await expect(card(page, made)).to_be_visible()
        assert "new" in (await card(page, made).get_attribute("class") or "").split()
        await expect(card(page, made).locator(".tag")).to_have_text("just now")
        await expect(page.locator("#news")).to_have_text("1 new entry")
        await expect(page.locator(".pill")).to_be_hidden()
        assert not (await page.title()).startswith("(")


async def test_entries_come_in_one_by_one_and_too_many_wait_for_the_pill(stream: Living, browser: Browser) -> None:
    await has_posts(stream, 6)
    async with reading(browser, stream) as page:
        made = [await writes(stream.site, f"new {number}", kind="article") for number in range(8)]
        pill = page.locator(".pill")
        await expect(pill).to_be_visible()
        there = await page.locator("#stream .list > article").count() - 6
        assert there < 3
        await expect(pill).to_contain_text(f"{8 - there} new {8 - there} posts")
        assert (await page.title()).startswith(f"({8 - there}) ")
        await pill.click()
        for one in made:
            await expect(card(page, one)).to_have_count(1)
        await expect(pill).to_be_hidden()
        assert not (await page.title()).startswith("(")


# -- scrolled -------------------------------------------------------------------------------------


async def test_what_is_being_read_does_not_move_and_a_pill_tells_of_what_came(stream: Living, browser: Browser) -> None:
    await has_posts(stream, 12)
    async with reading(browser, stream) as page:
        await scrolls_to(page, "post 5")
        before = await top_of(page, "post 5")
        made = []
        for kind in ("photo", "article", "article", "checkin"):
            made.append(await writes(stream.site, f"a {kind}", kind=kind, content_html=TEXT))
            await expect(card(page, made[-1])).to_have_count(1)
            assert abs(await top_of(page, "post 5") - before) < 0.5
        pill = page.locator(".pill")
        await expect(pill).to_have_text("4 new a photo, 2 posts, and a check-in")
        assert (await page.title()).startswith("(4) ")
        await pill.click()
        await expect(card(page, made[-1])).to_be_in_viewport()
        await expect(pill).to_be_hidden()
        assert not (await page.title()).startswith("(")


async def test_scrolling_up_simply_finds_them(stream: Living, browser: Browser) -> None:
    await has_posts(stream, 12)
    async with reading(browser, stream) as page:
        await scrolls_to(page, "post 3")
        made = await writes(stream.site, "new", kind="article")
        await expect(page.locator(".pill")).to_be_visible()
        await card(page, made).scroll_into_view_if_needed()
        await expect(page.locator(".pill")).to_be_hidden()


async def test_more_than_fifty_are_better_loaded_afresh(stream: Living, browser: Browser) -> None:
    await has_posts(stream, 8)
    async with reading(browser, stream) as page:
        await scrolls_to(page, "post 3")
        for number in range(60):
            await writes(stream.site, f"new {number}", kind="article")
        pill = page.locator(".pill")
        await expect(pill).to_contain_text("50+ new")
        assert await page.locator("#stream .list > article").count() <= 8 + 50
        await pill.click()
        await becomes(page, "scrollY === 0 && !document.title.startsWith('(')")
        await expect(page.get_by_role("heading", name="new 59", exact=True)).to_be_visible()


@pytest.mark.parametrize("doing", ["selects", "uses a link"])
async def test_who_is_busy_at_the_top_is_not_disturbed(stream: Living, browser: Browser, doing: str) -> None:
    await has_posts(stream, 8)
    async with reading(browser, stream) as page:
        if doing == "selects":
            await page.get_by_role("heading", name="post 7", exact=True).select_text()
        else:
            await page.locator("#stream article a").first.focus()
        before = await top_of(page, "post 7")
        busy = "[getSelection().toString(), document.activeElement.tagName, document.activeElement.href ?? '']"
        before_it = await page.evaluate(busy)
        made = await writes(stream.site, "new", kind="article", content_html=TEXT)
        await expect(card(page, made)).to_have_count(1)
        assert abs(await top_of(page, "post 7") - before) < 0.5
        assert await page.evaluate(busy) == before_it


async def test_a_page_in_the_background_counts_in_its_title(stream: Living, browser: Browser) -> None:
    await has_posts(stream, 6)
    async with reading(browser, stream) as page:
        await page.evaluate(HIDE, True)
        for number in range(2):
            await writes(stream.site, f"new {number}", kind="article")
        await becomes(page, "document.title.startsWith('(2) ')")
        await page.evaluate(HIDE, False)
        await page.evaluate("scrollTo(0, 0)")
        await becomes(page, "!document.title.startsWith('(')")


# -- what changes ---------------------------------------------------------------------------------


async def test_an_edit_changes_the_entry_in_place_and_a_deletion_keeps_its_height(
    stream: Living, browser: Browser
) -> None:
    await has_posts(stream, 8)
    made = await writes(stream.site, "mistaken", kind="article", content_html=TEXT, published=noon(stream))
    async with reading(browser, stream) as page:
        await scrolls_to(page, "post 5")
        before = await top_of(page, "post 5")
        made = await edits(stream.site, made, title="corrected", content_html=TEXT * 3)
        await expect(card(page, made).locator("h3")).to_have_text("corrected")
        assert abs(await top_of(page, "post 5") - before) < 0.5
        await page.evaluate("scrollTo(0, 0)")
        height = (await card(page, made).bounding_box())["height"]
        await deletes(stream.site, made)
        await expect(card(page, made)).to_have_text("This entry was deleted.")
        assert abs((await card(page, made).bounding_box())["height"] - height) < 0.5


async def test_a_group_that_grows_changes_its_words_and_stays_where_it_is(stream: Living, browser: Browser) -> None:
    now = stream.site.now()
    for number in range(3):
        await listens(stream, f"song {number}", "Salt Marsh Radio", now - timedelta(minutes=9 - number))
    note = await writes(stream.site, "a note", kind="article", published=now - timedelta(minutes=1))
    async with reading(browser, stream) as page:
        group = page.locator(".group")
        await expect(group.locator("summary .p-name")).to_have_text("3 tracks by Salt Marsh Radio")
        made = await listens(stream, "song 3", "Ilse Vann", now - timedelta(seconds=30))
        await expect(group.locator("summary .p-name")).to_have_text("4 tracks by Salt Marsh Radio and Ilse Vann")
        order = await page.locator("#stream .list > article").evaluate_all("all => all.map(one => one.id)")
        assert order == [f"e-{note.id}", await group.get_attribute("id")]
        await group.locator("summary").click()
        assert await group.locator(".member .p-name").all_text_contents() == ["song 3", "song 2", "song 1", "song 0"]
        await deletes(stream.site, made)
        await expect(group.locator("summary .p-name")).to_have_text("3 tracks by Salt Marsh Radio")
        reloaded = await page.reload() and await group.locator("summary").inner_text()
        assert "3 tracks by Salt Marsh Radio" in str(reloaded)


async def test_a_member_that_is_edited_twice_or_used_stays_a_member(stream: Living, browser: Browser) -> None:
    now = stream.site.now()
    made = [await listens(stream, f"song {number}", "Ilse", now - timedelta(minutes=number)) for number in range(3)]
    async with reading(browser, stream) as page:
        group = page.locator(".group")
        await group.locator("summary").click()
        await page.keyboard.press("p")
        changed = await edits(stream.site, made[0], data={"track": "first", "artist": "Ilse"})
        changed = await edits(stream.site, changed, data={"track": "second", "artist": "Ilse"})
        await becomes(page, f"Number(document.querySelector('main').dataset.position) >= {changed.seq}")
        await page.keyboard.press("p")
        await expect(group.locator(".member .p-name")).to_have_text(["second", "song 1", "song 2"])

        link = card(page, made[0]).locator("a").first
        await link.focus()
        changed = await edits(stream.site, changed, data={"track": "third", "artist": "Ilse"})
        await becomes(page, f"Number(document.querySelector('main').dataset.position) >= {changed.seq}")
        assert await link.evaluate("link => link === document.activeElement")
        await link.blur()
        await expect(group.locator(".member .p-name").first).to_have_text("third")


async def listens(stream: Living, track: str, artist: str, when: datetime) -> Any:
    data = {"track": track, "artist": artist, "album": "Estuary"}
    return await writes(stream.site, track, kind="listen", published=when, data=data)


async def test_the_words_of_a_group_that_grew_are_the_servers_own(stream: Living, browser: Browser) -> None:
    now = stream.site.now()
    async with reading(browser, stream, "/?kind=listen") as page:
        for number in range(3):
            await listens(stream, f"song {number}", "Salt Marsh Radio", now - timedelta(minutes=20 - number))
        await page.reload()
        await expect(page.locator("#live")).to_have_attribute("data-state", "live")
        for number, artist in enumerate(("Ilse Vann", "The Harbour Lights", "Salt Marsh Radio"), 3):
            await listens(stream, f"song {number}", artist, now - timedelta(minutes=15 - number))
        summary = page.locator(".group summary")
        await expect(summary.locator(".p-name")).to_contain_text("6 tracks")
        grown = await page.locator(".group").evaluate(GROUP)
        await page.reload()
        assert await page.locator(".group").evaluate(GROUP) == grown


async def test_a_picture_that_is_not_here_yet_is_asked_for_again(stream: Living, browser: Browser) -> None:
    asked = 0

    async def comes_late(route: Route) -> None:
        nonlocal asked
        asked += 1
        await (route.fulfill(status=404) if asked == 1 else route.fulfill(body=PIXEL, content_type="image/svg+xml"))

    picture = Media("image/jpeg", "https://photo.example/1.jpg", 300, 200)
    made = await writes(stream.site, "a photo", kind="photo", media=(picture,))
    async with await browser.new_context() as opened:
        page = await opened.new_page()
        await page.route("**/media/**", comes_late)
        await page.clock.install()
        await page.goto(stream.url)
        await until(lambda: asked == 1)
        height = (await card(page, made).locator("img").bounding_box())["height"]
        await page.clock.fast_forward(3000)
        await becomes(page, "document.querySelector('#stream img').naturalWidth > 0")
        assert abs((await card(page, made).locator("img").bounding_box())["height"] - height) < 0.5


# -- the day's figures ----------------------------------------------------------------------------


async def test_the_sentence_the_filters_and_the_ribbon_count_along(stream: Living, browser: Browser) -> None:
    await writes(stream.site, "one", kind="article")
    async with reading(browser, stream) as page:
        count = page.locator('.filters [data-count="article"]')
        ticks = page.locator(".lead .ribbon path:not(.needle)")
        before = await ticks.count()
        await expect(count).to_have_text("1")
        await writes(stream.site, "two", kind="article")
        await expect(count).to_have_text("2")
        await expect(page.locator('h1 [data-amount="article"]')).to_have_text("2 posts")
        assert await ticks.count() == before + 1
        said = await page.locator("h1").inner_text()
        await page.reload()
        assert await page.locator("h1").inner_text() == said


async def test_a_deletion_is_counted_too(stream: Living, browser: Browser) -> None:
    made = [await writes(stream.site, f"number {number}", kind="article") for number in range(2)]
    async with reading(browser, stream) as page:
        await deletes(stream.site, made[0])
        await expect(page.locator('.filters [data-count="article"]')).to_have_text("1")
        await expect(page.locator('h1 [data-amount="article"]')).to_have_text("1 post")


async def test_after_midnight_the_page_tells_of_the_new_day(stream: Living, browser: Browser) -> None:
    await writes(stream.site, "of today", kind="article")
    async with await browser.new_context() as opened:
        page = await opened.new_page()
        await page.clock.install()
        await page.goto(stream.url)
        await expect(page.locator("#live")).to_have_attribute("data-state", "live")
        today = await page.locator(".lead [data-counts]").get_attribute("data-counts")
        tomorrow = stream.site.now() + timedelta(days=1)
        object.__setattr__(stream.site, "now", lambda: tomorrow)
        await page.clock.set_system_time(tomorrow)
        await page.clock.fast_forward(30_000)
        await expect(page.locator("h1")).to_contain_text("Nothing yet today. Yesterday")
        assert await page.locator(".lead [data-counts]").get_attribute("data-counts") != today
        await expect(page.locator(".lead .ribbon path:not(.needle)")).to_have_count(0)


# -- pause, keys, clock ---------------------------------------------------------------------------


async def test_pause_holds_everything_until_the_reader_goes_on(stream: Living, browser: Browser) -> None:
    await has_posts(stream, 4)
    made = await writes(stream.site, "there", kind="article")
    async with reading(browser, stream) as page:
        await page.keyboard.press("p")
        await expect(page.locator("#live .words")).to_have_text("Paused · press P to go on")
        position = await page.locator("main").get_attribute("data-position")
        new = await writes(stream.site, "new", kind="article")
        await edits(stream.site, made, title="edited")
        await becomes(page, f"Number(document.querySelector('main').dataset.position) > {position}")
        await page.evaluate("new Promise(done => setTimeout(done, 50))")  # two turns of what it would do at once
        await expect(card(page, made).locator("h3")).to_have_text("there")
        await expect(card(page, new)).to_have_count(0)
        await page.locator("#live .pause").click()
        await expect(card(page, new)).to_have_count(1)
        await expect(card(page, made).locator("h3")).to_have_text("edited")


async def test_single_keys_go_through_the_stream_and_can_be_turned_off(stream: Living, browser: Browser) -> None:
    await has_posts(stream, 5)
    async with reading(browser, stream) as page:
        focused = "document.activeElement.closest('article')?.querySelector('h3').textContent"
        seen = []
        for key in "jjjk":
            await page.keyboard.press(key)
            seen.append(await page.evaluate(focused))
        assert seen == ["post 4", "post 3", "post 2", "post 3"]
        await page.keyboard.press("/")
        await page.keyboard.type("jk?")
        assert await page.locator("#q").input_value() == "jk?"
        await page.locator("#q").blur()
        await page.keyboard.press("?")
        await expect(page.locator("dialog")).to_be_visible()
        await page.get_by_label("Single keys do something here").uncheck()
        await page.get_by_role("button", name="Close").click()
        await page.keyboard.press("j")
        assert await page.evaluate(focused) is None
        await page.reload()
        await page.keyboard.press("j")
        assert await page.evaluate(focused) is None


async def test_keys_do_nothing_wrong_on_a_page_of_older_entries(stream: Living, browser: Browser) -> None:
    await has_posts(stream, 60)
    older = (await stream.http.get("/api/entries?limit=50")).json()["next"]
    async with await browser.new_context() as opened:
        page = await opened.new_page()
        complaints = complaints_of(page, stream.url)
        await page.goto(f"{stream.url}/?before={older}")
        for key in ".pjxot":
            await page.keyboard.press(key)
        assert complaints == []


async def test_a_visitor_can_have_the_times_of_his_own_clock(stream: Living, browser: Browser) -> None:
    made = await writes(stream.site, "one", kind="article", published=stream.site.now() - timedelta(minutes=1))
    time = ".when time"
    async with reading(browser, stream, timezone_id="Asia/Kolkata") as page:
        theirs = await card(page, made).locator(time).text_content()
        await page.get_by_role("button", name="Show mine").click()
        mine = await card(page, made).locator(time).text_content()
        assert mine != theirs
        new = await writes(stream.site, "new", kind="article")
        await expect(card(page, new)).to_have_count(1)
        assert (await card(page, new).locator(time).text_content() or "")[-2:] != theirs
        await page.reload()
        await expect(card(page, made).locator(time)).to_have_text(mine)
        await page.get_by_role("button", name="Show theirs").click()
        await expect(card(page, made).locator(time)).to_have_text(theirs)
    async with reading(browser, stream, timezone_id=stream.config.timezone) as page:
        await expect(page.get_by_role("button", name="Show mine")).to_have_count(0)


# -- older entries --------------------------------------------------------------------------------


async def test_older_entries_come_before_the_reader_gets_to_the_end(stream: Living, browser: Browser) -> None:
    await has_posts(stream, 120)
    async with reading(browser, stream) as page:
        cards = page.locator("#stream .list > article")
        await expect(cards).to_have_count(50)
        await page.locator(".older").scroll_into_view_if_needed()
        await expect(cards).to_have_count(100)
        ids = await cards.evaluate_all("all => all.map(one => one.id)")
        assert len(set(ids)) == 100
        await scrolls_to(page, "post 30")
        await becomes(page, "location.search.startsWith('?before=')")
        await page.evaluate("scrollTo(0, 0)")
        await becomes(page, "location.pathname + location.search === '/'")
        made = await writes(stream.site, "new", kind="article")
        await expect(card(page, made)).to_have_count(1)


async def test_each_day_is_a_feed_for_assistive_technology(stream: Living, browser: Browser) -> None:
    await has_posts(stream, 3)
    async with reading(browser, stream) as page:
        await writes(stream.site, "new", kind="article")
        articles = page.locator('[role="feed"] > article')
        await expect(articles).to_have_count(4)
        places = "all => all.map(one => [one.ariaPosInSet, one.ariaSetSize])"
        assert await articles.evaluate_all(places) == [[str(number), "4"] for number in range(1, 5)]
        assert await page.locator('[role="feed"]').get_attribute("aria-busy") == "false"
