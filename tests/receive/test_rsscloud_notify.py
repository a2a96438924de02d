"""rssCloud, against a cloud on a real socket: registering, being told, renewing; and what strangers may not do."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

import httpx2
import pytest
from sqlalchemy import select, update
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from lifestream.config import Config
from lifestream.store import bells
from lifestream.store.tables import FeedRow, SubscriptionRow
from tests.fakes import FakeHub, Publisher, comes, serving, until
from tests.living import Living, living, on_sqlite

CHALLENGE = "c-" + "x" * 18


@dataclass
class FakeCloud:
    """Asks back as rsscloud-server does, and says what came of it; tells when it is told to."""

    asked: list[dict[str, str]] = field(default_factory=list)
    challenged: list[tuple[int, str]] = field(default_factory=list)
    willing: bool = True

    @property
    def app(self) -> Starlette:
        return Starlette(routes=[Route("/pleaseNotify", self._register, methods=["POST"])])

    async def _register(self, request: Request) -> Response:
        form = dict(parse_qsl((await request.body()).decode(), keep_blank_values=True))
        self.asked.append(form)
        good = self.willing and await self.challenge(form) == (200, CHALLENGE)
        said = f'<?xml version="1.0"?><notifyResult success="{str(good).lower()}" msg="Not now &amp; not here."/>'
        return Response(said, media_type="application/xml")

    async def challenge(self, form: dict[str, str]) -> tuple[int, str]:
        query = urlencode({"url": form["url1"], "challenge": CHALLENGE})
        async with httpx2.AsyncClient(verify=False) as http:
            answer = await http.get(f"{self._callback(form)}?{query}")
        self.challenged.append((answer.status_code, answer.text))
        return self.challenged[-1]

    async def tells(self) -> Any:
        form = self.asked[-1]
        async with httpx2.AsyncClient(verify=False) as http:
            return await http.post(self._callback(form), data={"url": form["url1"]})

    def _callback(self, form: dict[str, str]) -> str:
        return f"http://{form['domain']}:{form['port']}{form['path']}"


@dataclass
class Web:
    """Somebody's site and its cloud, and our stream beside them."""

    stream: Living
    publisher: Publisher
    at: str
    cloud: FakeCloud
    cloud_at: str

    @property
    def feed(self) -> str:
        return self.at + "/rss"

    def publishes(self, *numbers: int, more: str = "", protocol: str = "http-post") -> None:
        at = urlsplit(self.cloud_at)
        items = "".join(
            f"<item><guid isPermaLink='false'>urn:{number}</guid><title>Post {number}</title>"
            f"<pubDate>Fri, 20 Mar 2026 10:00:{number:02} GMT</pubDate></item>"
            for number in reversed(numbers)
        )
        self.publisher.publish(
            "/rss",
            f"<rss version='2.0' xmlns:atom='http://www.w3.org/2005/Atom'><channel><title>Blog</title>{more}"
            f"<cloud domain='{at.hostname}' port='{at.port}' path='/pleaseNotify' registerProcedure='' "
            f"protocol='{protocol}'/>{items}</channel></rss>",
            "application/rss+xml",
        )

    async def registrations(self) -> list[Any]:
        async with self.stream.site.store.read() as db:
            return list((await db.execute(select(*SubscriptionRow.__table__.columns))).all())

    async def due_now(self, **values: Any) -> None:
        """The registration's time has come."""
        site = self.stream.site
        async with site.store.begin(rings=[bells.SUBSCRIPTIONS]) as db:
            await db.execute(update(SubscriptionRow).values(due_at=site.now(), **values))

    async def looks_asked(self) -> int:
        async with self.stream.site.store.read() as db:
            return int((await db.execute(select(FeedRow.asked))).scalar_one())

    async def all_looked(self) -> None:
        """Returns once every look that was asked for is over."""

        async def none_is_due() -> bool:
            async with self.stream.site.store.read() as db:
                return (await db.execute(select(FeedRow.asked - FeedRow.looked))).scalar_one() == 0

        await comes(none_is_due)

    async def asks_us(self, url: str, challenge: str = CHALLENGE) -> int:
        answer = await self.stream.http.get("/rsscloud/notify", params={"url": url, "challenge": challenge})
        return answer.status_code


@pytest.fixture
async def web(config: Config) -> AsyncIterator[Web]:
    publisher, cloud = Publisher(), FakeCloud()
    async with AsyncExitStack() as stack:
        at = await stack.enter_async_context(serving(publisher.app))
        cloud_at = await stack.enter_async_context(serving(cloud.app))
        stream = await stack.enter_async_context(living(config))
        yield Web(stream, publisher, at, cloud, cloud_at)


# -- registering ------------------------------------------------------------------------------


async def test_a_feed_without_a_hub_is_registered_with_its_cloud_which_then_tells(web: Web) -> None:
    web.publishes(1)
    source = await web.stream.adds(web.feed)
    assert (source["state"], source["delivery"], source["last_error"]) == ("active", "rsscloud", None)
    assert source["hub_url"] == web.cloud_at + "/pleaseNotify"
    (form,) = web.cloud.asked
    here = urlsplit(web.stream.url)
    assert form == {
        "notifyProcedure": "", "domain": here.hostname, "port": str(here.port), "path": "/rsscloud/notify",
        "protocol": "http-post", "url1": web.feed,
    }  # fmt: skip
    assert web.cloud.challenged == [(200, CHALLENGE)]
    web.publishes(1, 2)
    answer = await web.cloud.tells()
    assert answer.status_code == 200
    assert "set-cookie" not in answer.headers
    await web.stream.shows("Post 2", "Post 1")
    assert (await web.stream.becomes("blog", lambda one: one["last_push"]))["missed"] == 0


async def test_a_registration_is_renewed_daily(web: Web) -> None:
    web.publishes(1)
    source = await web.stream.adds(web.feed)
    (before,) = await web.registrations()
    assert before.expires_at - before.verified_at == timedelta(hours=25)
    assert timedelta(hours=20) < before.due_at - before.verified_at < timedelta(hours=24)
    await web.due_now()

    async def renewed() -> bool:
        return (await web.registrations())[0].expires_at > before.expires_at

    await comes(renewed)
    assert len(web.cloud.asked) == 2
    assert web.cloud.challenged == [(200, CHALLENGE)] * 2
    assert (await web.stream.source()).delivery == source["delivery"]


async def test_a_cloud_that_refuses_is_asked_again_later_and_the_feed_polled(web: Web) -> None:
    web.cloud.willing = False
    web.publishes(1)
    owners = await web.stream.owners()
    await web.stream.http.post("/api/sources", json={"url": web.feed, "slug": "blog"}, headers=owners)

    async def refused() -> bool:
        return any("Not now & not here." in one.last_error for one in await web.registrations())

    await comes(refused)
    (row,) = await web.registrations()
    assert (row.state, row.claimed_until) == ("pending", None)
    assert row.due_at > web.stream.site.now()
    assert (await web.stream.source()).delivery == "polling"
    web.cloud.willing = True
    await web.due_now()
    assert (await web.stream.settles())["delivery"] == "rsscloud"


@on_sqlite
async def test_a_registration_that_ran_out_makes_the_feed_polled_again(web: Web) -> None:
    web.publishes(1)
    await web.stream.adds(web.feed)
    web.cloud.willing = False
    await web.due_now(expires_at=web.stream.site.now() - timedelta(seconds=1))
    assert (await web.stream.becomes("blog", lambda one: one["delivery"] == "polling"))["lease_expires"] is None


@on_sqlite
async def test_a_hub_is_preferred_to_a_cloud(web: Web) -> None:
    hub = FakeHub()
    async with serving(hub.app) as hub_at:
        web.publishes(1, more=f"<atom:link rel='hub' href='{hub_at}'/>")
        source = await web.stream.adds(web.feed)
    assert (source["delivery"], source["hub_url"], web.cloud.asked) == ("websub", hub_at, [])


@on_sqlite
@pytest.mark.parametrize("how", [{"protocol": "xml-rpc"}, {"protocol": "soap"}])
async def test_a_cloud_that_takes_no_forms_is_left_alone(web: Web, how: dict[str, str]) -> None:
    web.publishes(1, **how)
    assert (await web.stream.adds(web.feed))["delivery"] == "polling"
    assert await web.registrations() == []


@on_sqlite
@pytest.mark.parametrize("choice", ["none", "builtin"])
async def test_the_owner_may_do_without_the_cloud(web: Web, choice: str) -> None:
    web.publishes(1)
    assert (await web.stream.adds(web.feed, hub=choice))["delivery"] == "polling"
    assert web.cloud.asked == []


@on_sqlite
async def test_we_do_not_register_with_ourselves(web: Web) -> None:
    web.cloud_at = web.stream.url
    web.publishes(1)
    assert (await web.stream.adds(web.feed))["delivery"] == "polling"
    assert await web.registrations() == []


async def test_leaving_is_to_stop_renewing(web: Web) -> None:
    web.publishes(1)
    await web.stream.adds(web.feed)
    await web.stream.http.delete("/api/sources/blog", headers=await web.stream.owners())

    async def over() -> bool:
        return [(one.state, one.due_at) for one in await web.registrations()] == [("ended", None)]

    await comes(over)
    assert len(web.cloud.asked) == 1
    looks = await web.looks_asked()
    assert (await web.cloud.tells()).status_code == 200, "it tells until it forgets us"
    assert await web.looks_asked() == looks


async def test_a_cloud_that_fell_silent_is_asked_anew(web: Web) -> None:
    """It never tells; the owner looks himself."""
    web.publishes(1)
    await web.stream.adds(web.feed)
    await web.all_looked()
    for number in (2, 3):
        web.publishes(*range(1, number + 1))
        await web.stream.http.post("/api/sources/blog/refresh", headers=await web.stream.owners())
        await web.stream.becomes("blog", lambda one, number=number: one["missed"] == number - 1)
    await until(lambda: len(web.cloud.asked) == 2)
    source = await web.stream.becomes("blog", lambda one: one["last_error"])
    assert f"{web.cloud_at}/pleaseNotify has told nothing since" in source["last_error"]
    web.publishes(1, 2, 3, 4)
    assert await web.cloud.tells()
    assert (await web.stream.becomes("blog", lambda one: not one["last_error"]))["delivery"] == "rsscloud"
    assert len(await web.registrations()) == 1


# -- strangers --------------------------------------------------------------------------------


async def test_a_challenge_is_given_back_only_while_we_are_asking(web: Web) -> None:
    web.publishes(1)
    await web.stream.adds(web.feed, visibility="private")
    assert await web.asks_us(web.feed) == 200, "a cloud that asks a little late"
    assert await web.asks_us(web.feed, "two words") == 404
    async with web.stream.site.store.begin() as db:
        await db.execute(update(SubscriptionRow).values(asked_at=web.stream.site.now() - timedelta(minutes=3)))
    for url in (web.feed, web.at + "/other", "", "\0", "\ud800".encode("utf-8", "surrogatepass").decode("latin-1")):
        assert await web.asks_us(url) == 404


async def test_who_tells_of_anything_gets_the_same_answer_and_only_what_we_registered_is_looked_at(web: Web) -> None:
    web.publishes(1)
    await web.stream.adds(web.feed, visibility="private")
    web.publisher.publish("/polled", web.publisher.documents["/rss"][0].replace(b"http-post", b"soap"))
    await web.stream.adds(web.at + "/polled", slug="polled")
    known = await web.cloud.tells()
    asked = len(web.publisher.asked)
    for form in ({"url": web.at + "/polled"}, {"url": web.at + "/nowhere"}, {"url": "\0"}, {}, {"x": "y"}):
        answer = await web.stream.http.post("/rsscloud/notify", data=form)
        assert (answer.status_code, answer.text) == (known.status_code, known.text)
    assert "/polled" not in web.publisher.asked[asked:]
    assert "/nowhere" not in web.publisher.asked
    assert (await web.stream.source("polled")).delivery == "polling"


@on_sqlite
async def test_what_is_told_is_not_believed(web: Web) -> None:
    web.publishes(1)
    await web.stream.adds(web.feed)
    body = urlencode({"url": web.feed, "title": "Evil"}) + "&x=" + "<item><title>Evil</title></item>"
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    await web.all_looked()
    asked = len(web.publisher.asked)
    assert (await web.stream.http.post("/rsscloud/notify", content=body, headers=form)).status_code == 200
    await until(lambda: len(web.publisher.asked) > asked)
    await web.all_looked()
    assert await web.stream.titles() == ["Post 1"]
    assert (await web.stream.source()).last_push is None, "anybody could have told that"


@on_sqlite
async def test_bodies_and_methods_are_bounded(web: Web) -> None:
    assert (await web.stream.http.post("/rsscloud/notify", data={"url": "x" * 70_000})).status_code == 413
    for method in ("PUT", "DELETE", "PATCH"):
        assert (await web.stream.http.request(method, "/rsscloud/notify")).status_code == 405
    assert (await web.stream.http.get("/rsscloud/notify/", follow_redirects=False)).status_code == 404
