"""Our own rssCloud: who registers, what is asked back, who is told, and that it cannot be turned on others."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
from sqlalchemy import select
from starlette.responses import PlainTextResponse

from lifestream.config import Config
from lifestream.store.tables import HubDeliveryRow, HubSubscriberRow
from tests.documents import atom, entry
from tests.fakes import Publisher, Subscriber, comes, serving
from tests.living import Living, living, on_sqlite

pytestmark = on_sqlite


class CloudSubscriber(Subscriber):
    """Gives a challenge back, as rssCloud has it."""

    async def _answer(self, request: Any) -> Any:
        if request.method == "GET" and self.confirms:
            self.verifications.append(dict(request.query_params))
            return PlainTextResponse(request.query_params.get("challenge", ""))
        return await super()._answer(request)


@pytest.fixture
async def cloud(config: Config) -> AsyncIterator[Living]:
    async with living(config) as stream:
        yield stream


async def rows(cloud: Living, table: Any = HubSubscriberRow) -> list[Any]:
    async with cloud.site.store.read() as db:
        return list((await db.execute(select(*table.__table__.columns))).all())


def form(at: str, *feeds: str, domain: str = "127.0.0.1", **more: str) -> dict[str, str]:
    return {
        "notifyProcedure": "", "port": at.rpartition(":")[2], "path": "/told?id=7", "protocol": "http-post",
        **({"domain": domain} if domain else {}),
        **{f"url{number}": feed for number, feed in enumerate(feeds, 1)}, **more,
    }  # fmt: skip


async def test_who_gives_its_name_is_challenged_once_and_registered_for_25_hours(cloud: Living) -> None:
    subscriber = CloudSubscriber()
    feeds = [cloud.url + "/feed.rss", cloud.url + "/feed.atom?kind=note"]
    async with serving(subscriber.app) as at:
        answer = await cloud.http.post("/rsscloud/pleaseNotify", data=form(at, *feeds))
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("application/xml")
    assert '<notifyResult success="true" msg="' in answer.text
    (asked,) = subscriber.verifications
    assert (asked["id"], asked["url"]) == ("7", feeds[0]) and len(asked["challenge"]) >= 16
    found = await rows(cloud)
    assert sorted(row.topic for row in found) == sorted(feeds)
    assert {(row.kind, row.callback, row.lease_seconds) for row in found} == {("rsscloud", at + "/told?id=7", 90_000)}


async def test_who_gives_no_name_is_told_once_as_a_test_at_the_address_it_came_from(cloud: Living) -> None:
    subscriber = Subscriber()
    feed = cloud.url + "/feed.rss"
    async with serving(subscriber.app) as at:
        asked = form(at, feed, domain="")
        answer = await cloud.http.post("/rsscloud/pleaseNotify", data=asked, headers={"Accept": "application/json"})
        assert answer.json()["success"] is True and answer.json()["msg"]
        told = await subscriber.deliveries.get()
        assert told.body == b"url=" + feed.replace(":", "%3A").replace("/", "%2F").encode()
        assert told.headers["content-type"] == "application/x-www-form-urlencoded"
        assert [row.callback for row in await rows(cloud)] == [at + "/told?id=7"]


async def test_a_change_is_told_with_the_feeds_address_and_nothing_else(cloud: Living) -> None:
    subscriber = CloudSubscriber()
    feed = cloud.url + "/feed.rss"
    async with serving(subscriber.app) as at:
        await cloud.http.post("/rsscloud/pleaseNotify", data=form(at, feed))
        await cloud.posts("news")
        told = await subscriber.deliveries.get()
        assert told.body == b"url=" + feed.replace(":", "%3A").replace("/", "%2F").encode()
        assert "x-hub-signature" not in told.headers

        async def done() -> bool:
            return not await rows(cloud, HubDeliveryRow)

        await comes(done)


async def test_a_publishers_ping_is_looked_at_and_what_is_new_is_told(cloud: Living) -> None:
    publisher, subscriber = Publisher(), CloudSubscriber()
    async with serving(publisher.app) as site, serving(subscriber.app) as at:
        publisher.publish("/feed", atom(entry(1)))
        await cloud.adds(site + "/feed")
        await cloud.http.post("/rsscloud/pleaseNotify", data=form(at, site + "/feed"))
        publisher.publish("/feed", atom(entry(2), entry(1)))
        answer = await cloud.http.post("/rsscloud/ping", data={"url": site + "/feed"})
        assert answer.status_code == 200 and '<result success="true" msg="' in answer.text
        assert (await subscriber.deliveries.get()).body.endswith(b"%2Ffeed")
        await cloud.shows("Post 2", "Post 1")
        answer = await cloud.http.post("/rsscloud/ping", data={"url": site + "/feed"}, headers={"Accept": "text/json"})
        assert answer.json()["success"] is True


@pytest.mark.parametrize(
    "wrong",
    [
        {"protocol": "xml-rpc"}, {"protocol": ""}, {"port": "x"}, {"port": "0"}, {"port": "70000"}, {"url1": ""},
        {"url1": "http://other.example/feed"}, {"url1": "nonsense"}, {"domain": "a b"}, {"domain": "evil@host"},
        {"path": "/#here"}, {"path": "/" + "x" * 3000},
    ],
    ids=str,
)  # fmt: skip
async def test_what_makes_no_sense_is_refused_in_a_sentence(cloud: Living, wrong: dict[str, str]) -> None:
    subscriber = CloudSubscriber()
    async with serving(subscriber.app) as at:
        asked = form(at, cloud.url + "/feed.rss") | wrong
        answer = await cloud.http.post("/rsscloud/pleaseNotify", data=asked, headers={"Accept": "application/json"})
        assert answer.status_code == 200
        assert answer.json()["success"] is False and answer.json()["msg"].endswith(".")
    assert subscriber.verifications == [] and subscriber.deliveries.empty()
    assert await rows(cloud) == []


async def test_a_callback_that_does_not_give_the_challenge_back_is_not_registered(cloud: Living) -> None:
    subscriber = Subscriber(confirms=False)
    async with serving(subscriber.app) as at:
        answer = await cloud.http.post("/rsscloud/pleaseNotify", data=form(at, cloud.url + "/feed.rss"))
    assert '<notifyResult success="false"' in answer.text
    assert len(subscriber.verifications) == 1
    assert await rows(cloud) == []


async def test_a_ping_for_what_is_not_known_is_refused(cloud: Living) -> None:
    for url in ("http://other.example/feed", "", "nonsense"):
        answer = await cloud.http.post("/rsscloud/ping", data={"url": url})
        assert answer.status_code == 200 and '<result success="false"' in answer.text


async def test_a_subscription_by_websub_stays_what_it_is(cloud: Living) -> None:
    """Who knows a callback's address could end its signed deliveries, were it enough to register that with rssCloud."""

    class Both(CloudSubscriber):
        async def _answer(self, request: Any) -> Any:
            asked = request.query_params
            return PlainTextResponse(asked.get("hub.challenge") or asked.get("challenge", ""))

    feed = cloud.url + "/feed.atom"
    async with serving(Both().app) as at:
        callback = at + "/told?id=7"
        wish = {"hub.mode": "subscribe", "hub.topic": feed, "hub.callback": callback, "hub.secret": "s"}
        assert (await cloud.http.post("/hub", data=wish | {"hub.verify": "sync"})).status_code == 204
        (before,) = await rows(cloud)
        answer = await cloud.http.post("/rsscloud/pleaseNotify", data=form(at, feed, cloud.url + "/feed.rss"))
        assert '<notifyResult success="true"' in answer.text
        assert [row for row in await rows(cloud) if row.id == before.id] == [before]
        assert sorted(row.kind for row in await rows(cloud)) == ["rsscloud", "websub"]
        await cloud.http.post("/rsscloud/pleaseNotify", data=form(at, cloud.url + "/feed.rss"))
        assert len(await rows(cloud)) == 2, "a registration of its own is renewed"
