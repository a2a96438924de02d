"""The owner's pages for sources in a browser: open to everybody, wide enough, and gone through without script."""

from collections.abc import AsyncIterator

import pytest
from axe_playwright_python.async_playwright import Axe  # type: ignore[import-untyped]
from playwright.async_api import Browser, BrowserContext, expect
from sqlalchemy import insert, update

from lifestream.config import Config
from lifestream.store import owner
from lifestream.store.tables import ExchangeRow, SubscriptionRow
from tests.documents import atom, entry
from tests.fakes import FakeHub, Publisher, serving
from tests.living import Living, living, on_sqlite
from tests.pages.browser import chromium, complaints_of

pytestmark = [on_sqlite, pytest.mark.slow]


@pytest.fixture
async def browser() -> AsyncIterator[Browser]:
    async with chromium() as browser:
        yield browser


@pytest.fixture
async def stream(config: Config) -> AsyncIterator[Living]:
    async with living(config) as stream:
        yield stream


@pytest.fixture
async def blog() -> AsyncIterator[str]:
    """A page with two feeds; one names a hub."""
    blog, hub = Publisher(), FakeHub()
    async with serving(blog.app) as at, serving(hub.app) as hub_at:
        links = "".join(f"<link rel=alternate type=application/atom+xml href=/{name}>" for name in ("tales", "more"))
        blog.publish("/", f"<!doctype html><head>{links}</head>", "text/html")
        blog.publish("/tales", atom(*(entry(number) for number in range(4)), hubs=[hub_at], title="Tales"))
        blog.publish("/more", atom(entry(9), title="More"))
        yield at


async def as_owner(stream: Living, context: BrowserContext) -> BrowserContext:
    async with stream.site.store.begin() as db:
        session = await owner.open_session(db, stream.site.now())
    await context.add_cookies([{"name": "lifestream", "value": session, "url": stream.url}])
    return context


async def in_trouble(stream: Living, blog: str) -> None:
    """A source that was pushed, one whose feed is lost, and one whose hub refuses."""
    await stream.adds(f"{blog}/tales", slug="tales")
    await stream.adds(f"{blog}/lost", slug="lost")
    source, now = await stream.source("tales"), stream.site.now()
    push = {
        "at": now, "source_id": source.id, "about": "", "direction": "in", "what": "push", "method": "POST", "url": "",
        "status": 202, "took": 3.0, "outcome": "ok", "detail": "1 new", "alike": 0, "wire": None,
        "steps": [["Received", 1.0, ""], ["Sent to browsers", 70.0, "1 open page"]],
    }  # fmt: skip
    async with stream.site.store.begin() as db:
        await db.execute(insert(ExchangeRow).values(push))
        await db.execute(update(SubscriptionRow).values(attempts=6, last_error="The hub answered 404: no"))


async def test_nobody_is_kept_out_and_every_width_is_wide_enough(stream: Living, browser: Browser, blog: str) -> None:
    await in_trouble(stream, blog)
    paths = (
        "/admin/sources", f"/admin/sources/add?url={blog}/", "/admin/sources/tales/handshake?still",
        "/admin/sources/lost/handshake", "/admin/sources/tales",
    )  # fmt: skip
    found: dict[tuple[str, int, str], str] = {}
    for width, theme in ((360, "light"), (1280, "dark")):
        context = await browser.new_context(
            viewport={"width": width, "height": 900}, color_scheme=theme, reduced_motion="reduce", bypass_csp=True
        )
        page = await (await as_owner(stream, context)).new_page()
        complaints = complaints_of(page, stream.url)
        for path in paths:
            await page.goto(stream.url + path)
            violations = (await Axe().run(page)).response["violations"]
            found |= {(path, width, one["id"]): one["nodes"][0]["html"] for one in violations}
            assert await page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0, (path, width)
            await page.set_viewport_size({"width": 320 if width == 360 else width, "height": 900})
            assert await page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0, (path, 320)
            await page.set_viewport_size({"width": width, "height": 900})
        assert [one for one in complaints if not one.startswith("failed")] == []
        await context.close()
    assert found == {}


async def test_a_source_is_added_without_script(stream: Living, browser: Browser, blog: str) -> None:
    context = await as_owner(stream, await browser.new_context(java_script_enabled=False))
    page = await context.new_page()
    await page.goto(f"{stream.url}/admin/sources")
    await page.get_by_role("link", name="Add a source").click()
    await page.get_by_label("Address").fill(blog)
    await page.get_by_role("button", name="Look").click()
    await expect(page.get_by_role("radio").first).to_be_checked()
    await page.get_by_label("Call it").fill("My tales")
    await page.get_by_role("button", name="Follow it").click()
    await expect(page.get_by_role("heading", level=1)).to_have_text("My tales")
    await expect(page.get_by_text("Waiting for the first push")).to_be_visible()  # the page loads itself again
    await page.get_by_role("link", name="Stop that").click()
    await page.get_by_role("link", name="Done, let it wait").click()
    await expect(page.get_by_role("row", name="My tales")).to_contain_text("Waiting")
