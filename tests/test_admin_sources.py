"""The owner's pages for sources, without script: found, chosen, added, shaken hands with; how each is doing."""

import hashlib
import hmac
import html
import re
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import httpx2
import pytest
from sqlalchemy import event, insert, update

from lifestream.admin import set_password
from lifestream.config import Config
from lifestream.store import bells, health, sources
from lifestream.store.tables import ExchangeRow, HookRow, SourceRow, SubscriptionRow
from lifestream.view.health import SLOTS
from tests.documents import atom, entry
from tests.fakes import FakeHub, Publisher, comes, serving, until
from tests.living import Living, living, on_sqlite

PASSWORD = "correct horse battery"
ADD = "/admin/sources/add"


@dataclass
class Desk:
    """The owner's browser, a blog, and the hub that the blog names."""

    stream: Living
    blog: Publisher
    hub: FakeHub
    at: str
    hub_at: str

    async def page(self, path: str, status: int = 200) -> str:
        answer = await self.stream.http.get(path)
        assert answer.status_code == status, answer.text
        return html.unescape(answer.text)

    async def send(self, path: str, **form: str) -> httpx2.Response:
        found = re.search(r'name="csrf" value="([^"]+)"', await self.page(ADD))
        assert found
        return await self.stream.http.post(path, data={"csrf": found[1]} | form)

    async def pushes(self, number: int) -> None:
        asked, body = self.hub.asked[0], atom(entry(number))
        digest = hmac.new(asked["hub.secret"].encode(), body.encode(), hashlib.sha256).hexdigest()
        headers = {"X-Hub-Signature": f"sha256={digest}", "Content-Type": "application/atom+xml"}
        assert (await self.stream.http.post(asked["hub.callback"], content=body, headers=headers)).status_code == 202
        await self.stream.shows(f"Post {number}")

    async def handshake(self, slug: str, *words: str) -> str:
        """The page, once it has these words."""

        async def found() -> str:
            page = await self.page(f"/admin/sources/{slug}/handshake?still")
            return page if all(one in page for one in words) else ""

        return await comes(found) or ""

    async def changes(self, change: Any) -> None:
        async with self.stream.site.store.begin(rings=[bells.SUBSCRIPTIONS]) as db:
            await db.execute(change)


@pytest.fixture
async def desk(config: Config) -> AsyncIterator[Desk]:
    blog, hub = Publisher(), FakeHub()
    async with AsyncExitStack() as stack:
        at = await stack.enter_async_context(serving(blog.app))
        hub_at = await stack.enter_async_context(serving(hub.app))
        stream = await stack.enter_async_context(living(config))
        links = "<link rel=alternate type='application/atom+xml' href='{}'>"
        blog.publish("/", f"<!doctype html><head>{links.format('/feed')}{links.format('/more')}</head>", "text/html")
        blog.publish("/feed", atom(entry(1), entry(2), hubs=[hub_at], title="Mara’s tales"))
        blog.publish("/more", atom(entry(3), title="More & more"))
        await set_password(stream.site, PASSWORD)
        stream.http.headers["Origin"] = stream.url
        stream.http.headers["Referer"] = stream.url + ADD
        assert (await stream.http.post("/login", data={"password": PASSWORD})).status_code == 303
        yield Desk(stream, blog, hub, at, hub_at)


# -- adding one -------------------------------------------------------------------------------


@on_sqlite
async def test_whatever_feeds_a_page_has_are_offered_the_best_one_chosen_with_its_newest_entries(desk: Desk) -> None:
    page = await desk.page(f"{ADD}?url={desk.at}/")
    first, second = re.findall(r"<label><input type=\"radio\".*?</label>", page, re.S)
    assert f'value="{desk.at}/feed" checked' in first
    assert "Atom, 2 entries" in first and "“<bdi>Post 2</bdi>”" in first and "Pushed by 127.0.0.1" in first
    assert "checked" not in second.partition(">")[2].partition(">")[0] and "No hub; checked every 15 min" in second
    for name, value in (("title", "Mara’s tales"), ("slug", "maras-tales")):
        assert re.search(rf'<input name="{name}"[^>]* value="{value}"', page), name
    assert '<option value="article" selected>' in page
    assert page.count('<article class="h-entry') == 3 and "<div inert>" in page
    ids = re.findall(r' id="([^"]+)"', page)
    assert len(ids) == len(set(ids))
    assert "Found 2 feeds in" in page and "asking 3 addresses" in page
    assert await slugs(desk) == ["notes"], "nothing is stored by looking"


@on_sqlite
async def test_what_is_chosen_is_followed_and_goes_on_to_the_handshake(desk: Desk) -> None:
    guesses = {
        "best": f"{desk.at}/feed",
        "best_title": "Mara’s tales",
        "best_slug": "maras-tales",
        "best_kind": "article",
    }
    form = guesses | {"url": f"{desk.at}/feed", "title": "Mara’s tales", "slug": "maras-tales", "kind": "article"}
    added = await desk.send("/admin/sources", **form)
    assert added.headers["location"].startswith("/admin/sources/maras-tales/handshake?said=")
    assert "“maras-tales” was added." in await desk.page(added.headers["location"])
    other = form | {"url": f"{desk.at}/more", "kind": "note"}
    assert "/admin/sources/127-0-0-1" in (await desk.send("/admin/sources", **other)).headers["location"]
    source = await desk.stream.source("127-0-0-1")
    assert source.kind == "note", "what the owner said himself counts"
    settled = await desk.stream.settles("127-0-0-1")
    assert settled["title"] == "More & more", "what was guessed of another feed does not"


@on_sqlite
async def test_a_feed_that_is_followed_says_where(desk: Desk) -> None:
    await desk.stream.adds(f"{desk.at}/feed", slug="tales")
    page = await desk.page(f"{ADD}?url={desk.at}/")
    first, second = re.findall(r"<label><input type=\"radio\".*?</label>", page, re.S)
    assert " disabled" in first and '<a href="/admin/sources/tales">You follow this already</a>' in first
    assert " checked" in second
    alone = await desk.page(f"{ADD}?url={desk.at}/feed")
    assert "You follow this already" in alone and "Follow it" not in alone


@on_sqlite
async def test_what_was_seen_where_there_is_no_feed_is_said_and_it_may_be_added_all_the_same(desk: Desk) -> None:
    del desk.blog.documents["/feed"]
    desk.blog.publish("/bare", "<!doctype html><p>Nothing</p>", "text/html")
    page = await desk.page(f"{ADD}?url={desk.at}/bare", 422)
    assert f"{desk.at}/bare answered, but names no feed and holds none. This is an HTML page, not a feed." in page
    assert "in its head, /feed, /feed.xml, " in page and '<a href="/admin/hooks">make a webhook</a>' in page
    page = await desk.page(f"{ADD}?url={desk.at}/nowhere", 422)
    assert 'role="alert"' in page and "Add it all the same" in page and "make a webhook" not in page
    assert len(re.findall(rf'name="url" type="text"[^>]* value="{desk.at}/nowhere"', page)) == 2
    assert "Add it all the same" not in await desk.page(f"{ADD}?url=two+words", 422)


@on_sqlite
async def test_what_is_linked_and_cannot_be_read_is_told_beside_what_can(desk: Desk) -> None:
    desk.blog.publish("/more", "<!doctype html><title>Gone</title>", "text/html")
    page = await desk.page(f"{ADD}?url={desk.at}/")
    assert f"not to be read: <bdi>{desk.at}/more</bdi>. <bdi>This is an HTML page (“Gone”), not a feed.</bdi>" in page
    assert "not to be read" not in await desk.page(f"{ADD}?url={desk.at}/feed")


@on_sqlite
async def test_a_link_from_elsewhere_asks_nobody(desk: Desk) -> None:
    elsewhere = [
        {"Sec-Fetch-Site": "cross-site"}, {"Sec-Fetch-Site": "same-site"}, {"Sec-Fetch-Site": ""},
        {"Referer": "https://evil.example/"}, {"Referer": ""}, {"Referer": "http://["},
    ]  # fmt: skip
    for headers in elsewhere:
        answer = await desk.stream.http.get(f"{ADD}?url={desk.at}/", headers=headers)
        assert answer.status_code == 200 and f'value="{desk.at}/"' in answer.text, headers
    assert desk.blog.asked == []


@on_sqlite
async def test_who_types_the_address_is_answered(desk: Desk) -> None:
    typed = {"Sec-Fetch-Site": "none", "Referer": ""}
    await desk.stream.http.get(f"{ADD}?url={desk.at}/feed", headers=typed)
    assert desk.blog.asked == ["/feed"]


@on_sqlite
async def test_a_source_of_ones_own_is_made_here(desk: Desk) -> None:
    assert 'name="url" value="local:"' in await desk.page(ADD)
    made = await desk.send("/admin/sources", url="local:", slug="diary")
    assert made.headers["location"].startswith("/admin/sources?said=")
    assert (await desk.stream.source("diary")).local
    answer = await desk.stream.http.get("/admin/sources/diary/handshake")
    assert (answer.status_code, answer.headers["location"]) == (303, "/admin/sources/diary")


@on_sqlite
@pytest.mark.parametrize("path", [ADD, f"{ADD}?url=http://b.example/", "/admin/sources/notes/handshake"])
async def test_a_stranger_is_sent_to_sign_in_and_causes_nothing(desk: Desk, path: str) -> None:
    desk.stream.http.cookies.clear()
    answer = await desk.stream.http.get(path)
    assert (answer.status_code, answer.headers["location"]) == (303, "/login")
    assert (await desk.stream.http.post("/admin/sources/notes/handshake", data={"csrf": "x"})).status_code == 401


async def slugs(desk: Desk) -> list[str]:
    async with desk.stream.site.store.read() as db:
        return [one.slug for one in await sources.every(db, audience="owner")]


# -- the handshake ----------------------------------------------------------------------------


@on_sqlite
async def test_the_handshake_reloads_itself_until_the_first_push(desk: Desk) -> None:
    await desk.stream.adds(f"{desk.at}/feed", slug="tales")
    page = await desk.handshake("tales", "Waiting for the first push", "The hub checked it was us", "Subscribed until")
    assert page.index("Found the hub") < page.index("Asked to be told") < page.index("The hub checked it was us")
    assert len(re.findall(r"\d\d:\d\d:\d\d\.\d{3}", page)) == 4 and " so far" in page
    answer = await desk.stream.http.get("/admin/sources/tales/handshake?said=x")
    assert answer.headers["refresh"] == "3; url=/admin/sources/tales/handshake" and "Stop that" in answer.text
    assert "refresh" not in (await desk.stream.http.get("/admin/sources/tales/handshake?still")).headers
    asked = await desk.send("/admin/sources/tales/handshake")
    assert asked.headers["location"] == "/admin/sources/tales/handshake"
    assert desk.hub.asked[-1]["hub.mode"] == "publish"
    await desk.handshake("tales", "Asked for a test push")
    await desk.pushes(9)
    await desk.handshake("tales", "<b>Pushed")
    assert "refresh" not in (await desk.stream.http.get("/admin/sources/tales/handshake")).headers


@on_sqlite
async def test_a_hub_that_refuses_is_asked_again_or_done_without(desk: Desk) -> None:
    desk.hub.answer = 403
    await desk.send("/admin/sources", url=f"{desk.at}/feed", slug="tales")
    page = await desk.handshake("tales", "The hub answered 403: no, thank you", "It may serve some sites only.")
    assert "It is tried again by itself on" in page
    desk.hub.answer = 202
    again = await desk.send("/admin/sources/tales/subscribe", back="handshake")
    assert again.headers["location"].startswith("/admin/sources/tales/handshake?said=")
    await desk.handshake("tales", "Subscribed until")
    await desk.send("/admin/sources/tales/poll")
    settled = await desk.stream.becomes("tales", lambda one: one["delivery"] == "polling")
    assert settled["hub_url"] is None
    await until(lambda: desk.hub.asked[-1]["hub.mode"] == "unsubscribe")
    assert (await desk.send("/admin/sources/tales/subscribe")).status_code == 409
    assert (await desk.send("/admin/sources/notes/poll")).status_code == 409
    page = await desk.handshake("tales", "Checked on a timer")
    assert f"curl -d hub.mode=publish -d hub.url={desk.at}/feed {desk.stream.hub}" in page


@on_sqlite
async def test_the_api_does_what_the_page_does(desk: Desk) -> None:
    http, owners = desk.stream.http, await desk.stream.owners()
    await desk.stream.adds(f"{desk.at}/feed", slug="tales")
    before = len(desk.hub.asked)
    assert (await http.post("/api/sources/tales/subscribe", headers=owners)).status_code == 200
    await until(lambda: len(desk.hub.asked) > before)
    wrong = await http.patch("/api/sources/tales", json={"hub": "nonsense"}, headers=owners)
    assert wrong.status_code == 400
    done = await http.patch("/api/sources/tales", json={"hub": "none"}, headers=owners)
    assert done.status_code == 200
    await desk.stream.becomes("tales", lambda one: one["delivery"] == "polling")
    assert (await http.post("/api/sources/notes/subscribe", headers=owners)).status_code == 409


@on_sqlite
async def test_a_paused_source_goes_on_from_its_handshake(desk: Desk) -> None:
    await desk.stream.adds(f"{desk.at}/more", slug="more")
    await desk.send("/admin/sources/more/pause")
    assert "Go on" in await desk.handshake("more", "Found the feed")
    await desk.send("/admin/sources/more/resume", back="handshake")
    assert (await desk.stream.source("more")).state == "active"


# -- another address --------------------------------------------------------------------------


@on_sqlite
async def test_a_source_is_followed_at_another_address_and_keeps_what_it_has(desk: Desk) -> None:
    await desk.stream.adds(f"{desk.at}/more", slug="tales")
    desk.blog.publish("/new", atom(entry(7), entry(3), hubs=[desk.hub_at]))
    desk.blog.publish(
        "/home", f"<!doctype html><link rel=alternate type=application/atom+xml href={desk.at}/new>", "text/html"
    )
    assert 'name="url" type="text"' in await desk.page("/admin/sources/tales")
    answers = desk.blog.hold("/home")
    moved = await desk.send("/admin/sources/tales/address", url=f"{desk.at}/home")
    assert moved.headers["location"].startswith("/admin/sources/tales/handshake?said=")
    waiting = await desk.page(moved.headers["location"])
    assert "Looking for the feed" in waiting and "hub.url=None" not in waiting
    answers.set()
    await desk.stream.shows("Post 7", "Post 3")
    source = await desk.stream.becomes("tales", lambda one: one["delivery"] == "websub")
    assert (source["url"], source["feed_url"], source["entry_count"]) == (f"{desk.at}/home", f"{desk.at}/new", 2)
    assert await desk.stream.pings(f"{desk.at}/more") == 204, "who pings the old address is understood"


@on_sqlite
async def test_a_feed_that_says_that_it_has_moved_needs_its_owner(desk: Desk) -> None:
    told = f"<redirect><newLocation>{desk.at}/feed</newLocation></redirect>"
    desk.blog.publish("/old", told, "text/xml")
    await desk.stream.adds(f"{desk.at}/old", slug="tales")
    sentence = f"The feed says that it has moved to {desk.at}/feed; change the source's address if you trust that."
    assert sentence in await desk.page("/admin/sources")
    page = await desk.page("/admin/sources/tales")
    assert sentence in page and "Needs you" in page and "Change its address…" in page
    await desk.send("/admin/sources/tales/address", url=f"{desk.at}/feed")
    await desk.stream.shows("Post 2", "Post 1")
    assert "moved" not in await desk.page("/admin/sources/tales")


@on_sqlite
async def test_an_address_where_somebody_else_is_or_nobody_can_be_is_refused(desk: Desk) -> None:
    await desk.stream.adds(f"{desk.at}/more", slug="tales")
    await desk.stream.adds(f"{desk.at}/", slug="other")
    http, owners = desk.stream.http, await desk.stream.owners()
    for slug, url, status in (
        ("tales", f"{desk.at}/", 409), ("tales", f"{desk.at}/feed", 409), ("notes", f"{desk.at}/new", 409),
        ("tales", "javascript:1", 400), ("tales", "", 422),
    ):  # fmt: skip
        answer = await http.patch(f"/api/sources/{slug}", json={"url": url}, headers=owners)
        assert answer.status_code == status, (slug, url, answer.text)
    refused = await desk.send("/admin/sources/tales/address", url=f"{desk.at}/feed")
    assert "is followed already, as the source “other”." in await desk.page(refused.headers["location"])
    assert (await desk.stream.source("tales")).url == f"{desk.at}/more"


# -- how they are doing -----------------------------------------------------------------------


@on_sqlite
async def test_a_pushed_source_is_fine_once_it_was_pushed_with_its_delay_on_the_plot(desk: Desk) -> None:
    await desk.stream.adds(f"{desk.at}/feed", slug="tales")
    page = await desk.page("/admin/sources")
    assert "All 2 sources are fine." in page and "1 is pushed to you, 1 is written here." in page
    assert "Waiting" in row(page, "tales") and "Subscribed, no push yet" in row(page, "tales")
    assert "Needs you" not in page and "<figure" not in page
    await desk.pushes(9)
    page = await desk.page("/admin/sources")
    shown = row(page, "tales")
    assert ">Fine<" in shown and "Pushed" in shown and "Ping" in shown and "entries" in shown
    assert re.search(r'class="f" width="(100\.0|99\.\d)"', shown) and "23 h" in shown
    assert "1 delivery, in" in page and re.search(r'class="dotp h\d\d" d="M', page)


@on_sqlite
async def test_who_needs_the_owner_says_what_since_when_and_what_can_be_done(desk: Desk) -> None:
    now = desk.stream.site.now()
    desk.hub.answer = 404
    await desk.send("/admin/sources", url=f"{desk.at}/feed", slug="tales", title="<i>Tales")
    await desk.handshake("tales", "The hub answered 404")
    await desk.stream.adds(f"{desk.at}/nowhere", slug="lost", title="Lost")
    await desk.changes(update(SubscriptionRow).values(attempts=6))
    source = await desk.stream.source("tales")
    values = {
        "source_id": source.id, "about": "", "direction": "out", "what": "subscribe", "method": "POST", "url": "x",
        "status": 404, "took": 1.0, "outcome": "failed", "detail": "", "alike": 0, "steps": [], "wire": None,
    }  # fmt: skip
    await desk.changes(insert(ExchangeRow).values(values | {"at": now - timedelta(days=3)}))
    page = await desk.page("/admin/sources")
    assert "1 of 3 sources is fine." in page
    assert page.index("’s hub has refused us since") < page.index("does not answer as it should")
    assert f'datetime="{(now - timedelta(days=3)).astimezone(desk.stream.config.zone):%Y-%m-%d}' in page
    assert "We asked to be told 6 times in vain. The hub answered 404: no, thank you." in page
    assert "Entries still arrive: the feed is checked every 15 min." in page
    assert "See the 2 attempts" in page
    assert 'action="/admin/sources/tales/subscribe"' in row(page, "tales")
    assert 'action="/admin/sources/lost/refresh"' in row(page, "lost")
    assert page.index('id="s-tales"') < page.index('id="s-notes"')
    assert "failure" in row(page, "tales") and re.search(r'class="bad" d="M', row(page, "tales"))


@on_sqlite
async def test_a_webhooks_source_and_a_paused_one_are_what_they_are(desk: Desk) -> None:
    site = desk.stream.site
    async with site.store.begin() as db:
        await sources.add_local(db, "forge", now=site.now())
        await db.execute(insert(HookRow).values(slug="forge", adapter="gitea", secret="x", created_at=site.now()))
        await db.execute(update(SourceRow).where(SourceRow.slug == "notes").values(state="paused"))
    page = await desk.page("/admin/sources?said=%3Cb%3E")
    assert "Webhook" in row(page, "forge") and "Test" in row(page, "forge")
    assert "Paused" in row(page, "notes") and "Resume" in row(page, "notes")


async def test_what_came_lately_is_counted_by_the_half_hour(desk: Desk) -> None:
    site = desk.stream.site
    await desk.stream.posts("Now")
    now = site.now()
    await desk.stream.posts("Hours ago", published=(now - timedelta(hours=10)).isoformat())
    await desk.stream.posts("Long ago", published=(now - timedelta(hours=25)).isoformat())
    async with site.store.read() as db:
        notes = await sources.get(db, "notes", audience="owner")
        slots = (await health.came(db, site.now()))[notes.id]
        assert (sum(slots), slots[-1], len(slots)) == (2, 1, SLOTS)
        assert slots.index(1) in (SLOTS - 21, SLOTS - 20)
        assert await health.failed(db, site.now()) == {}
        delays = await health.usual_delays(db, [notes])
        assert delays[notes.id] == pytest.approx(36_000, abs=60), "half of them came later, half of them sooner"


@on_sqlite
async def test_what_came_lately_is_read_from_ranges_of_an_index(desk: Desk) -> None:
    asked: list[tuple[str, Any]] = []
    now = desk.stream.site.now()
    async with desk.stream.site.store.read() as db:
        notes = await sources.get(db, "notes", audience="owner")
        assert db.sync_connection is not None
        event.listen(db.sync_connection, "before_cursor_execute", lambda *told: asked.append((told[2], told[3])))
        await health.pushes(db, now)
        await health.came(db, now)
        await health.failed(db, now)
        await health.usual_delays(db, [notes])
        await health.tries(db, notes, ["fetch"])
        questions = list(asked)
        for statement, values in questions:
            plan = " ".join(
                str(one.detail) for one in await db.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", values)
            )
            assert "INDEX ix_" in plan and "SCAN" not in plan, (statement, plan)
    assert len(questions) == 5


def row(page: str, slug: str) -> str:
    return page.split(f'<tr id="s-{slug}">')[1].split("</tr>")[0]
