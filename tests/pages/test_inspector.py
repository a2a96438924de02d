"""The owner's pages for what goes over the wire: whole without script; with it they grow while they are looked at."""

import hashlib
import hmac
import re
from collections.abc import AsyncIterator

import pytest
from playwright.async_api import expect
from sqlalchemy import select, update

from lifestream.admin import set_password
from lifestream.config import Config
from lifestream.store import sources, subscriptions
from lifestream.store.tables import FeedRow, SubscriptionRow
from tests.documents import atom, entry
from tests.living import Living, living, on_sqlite
from tests.pages.browser import chromium, complaints_of

PASSWORD = "correct horse battery"
SECRET = "between us"
PAGES = ("/admin/inspector", "/admin/inspector/1", "/admin/sources/blog", "/admin/hub")


@pytest.fixture
async def stream(config: Config) -> AsyncIterator[Living]:
    """A stream that a hub pushes to, with its owner signed in."""
    async with living(config) as stream:
        site, now = stream.site, stream.site.now()
        async with site.store.begin() as db:
            await sources.add_feed(db, "https://blog.example/", now=now, slug="blog", title="The blog")
            await db.execute(update(FeedRow).values(discovered=True, due_at=None, fetched_at=now))
            feed_id = (await db.execute(select(FeedRow.id))).scalar_one()
            await subscriptions.add(
                db, feed_id=feed_id, hub_url="https://hub.example/", topic="https://blog.example/", token="the-token",
                secret=SECRET, now=now,
            )  # fmt: skip
            await db.execute(update(SubscriptionRow).values(state="active", asking="", due_at=None))
        await set_password(site, PASSWORD)
        stream.http.headers["Origin"] = stream.url
        assert (await stream.http.post("/login", data={"password": PASSWORD})).status_code == 303
        yield stream


async def pushed(stream: Living, number: int) -> None:
    body = atom(entry(number)).encode()
    signature = hmac.new(SECRET.encode(), body, hashlib.sha256).hexdigest()
    headers = {"X-Hub-Signature": f"sha256={signature}", "Content-Type": "application/atom+xml"}
    assert (await stream.http.post("/push/the-token", content=body, headers=headers)).status_code == 202
    await stream.shows(f"Post {number}")


async def page(stream: Living, path: str) -> str:
    answer = await stream.http.get(path)
    assert answer.status_code == 200, answer.text
    return answer.text


@on_sqlite
async def test_a_push_is_there_with_its_steps_and_without_its_secrets(stream: Living) -> None:
    await pushed(stream, 1)
    shown = await page(stream, "/admin/inspector")
    for words in ("The blog", "Signature checked", "Sent to browsers", "urn:e:1", "POST http://127.0.0.1"):
        assert words in shown
    assert "the-token" not in shown
    command = await page(stream, re.findall(r"/admin/inspector/\d+", shown)[0])
    assert "curl -i -X POST" in command


@on_sqlite
async def test_the_filters_are_links_and_a_form(stream: Living) -> None:
    await pushed(stream, 1)
    assert 'id="x-' in await page(stream, "/admin/inspector?source=blog&what=push&direction=in&outcome=ok")
    assert 'id="x-' not in await page(stream, "/admin/inspector?what=ping")
    assert (await stream.http.get("/admin/inspector?source=nobody")).status_code == 404
    for number in ("99999999", "9" * 5000):
        assert (await stream.http.get(f"/admin/inspector/{number}")).status_code == 404


@on_sqlite
@pytest.mark.parametrize("path", PAGES)
async def test_strangers_are_sent_to_sign_in(stream: Living, path: str) -> None:
    stream.http.cookies.clear()
    answer = await stream.http.get(path)
    assert (answer.status_code, answer.headers["location"]) == (303, "/login")


@on_sqlite
async def test_a_test_ping_needs_the_pages_own_form(stream: Living) -> None:
    shown = await page(stream, "/admin/sources/blog")
    assert (await stream.http.post("/admin/sources/blog/test", data={"csrf": "no"})).status_code == 403
    token = re.findall(r'name="csrf" value="([^"]+)"', shown)[0]
    tested = await stream.http.post("/admin/sources/blog/test", data={"csrf": token})
    for words in ("Callback", "Signature checked", "Parsed", "Stored", "Live page"):
        assert words in tested.text
    asked = await stream.http.post("/admin/sources/blog/ping", data={"csrf": token})
    assert (asked.status_code, "has no hub" in asked.text) == (200, True)


@on_sqlite
async def test_the_log_grows_while_it_is_looked_at(stream: Living) -> None:
    await pushed(stream, 1)
    async with chromium() as browser:
        tab = await browser.new_page()
        complaints = complaints_of(tab, stream.url)
        cookie = next(one for one in stream.http.cookies.jar if one.name == "lifestream")
        await tab.context.add_cookies([{"name": cookie.name, "value": cookie.value or "", "url": stream.url}])
        await tab.goto(f"{stream.url}/admin/inspector")
        rows = tab.locator(".ev > li")
        await expect(rows).to_have_count(1)
        await rows.first.locator("summary").click()
        await pushed(stream, 2)
        await expect(rows).to_have_count(2)
        await expect(rows.first).not_to_have_attribute("id", await rows.last.get_attribute("id") or "")
        await expect(rows.last.locator("details")).to_have_attribute("open", "")
        await expect(rows.last.get_by_text("urn:e:1")).to_be_visible()
        assert complaints == []
