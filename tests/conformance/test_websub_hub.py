"""The hub, as the W3C's test suite for WebSub asks it (hub tests 100 to 106), and the rest of what a hub must.

Named by the numbers of the suite's tests and by the sections of the recommendation.
"""

from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select, update

from lifestream.config import Config
from lifestream.protocol.hub import TopicRule
from lifestream.store import bells
from lifestream.store.tables import FeedRow, HubDeliveryRow, HubRequestRow, HubSubscriberRow
from tests.conformance.suite import Suite, suite
from tests.fakes import Subscriber, comes, serving, until
from tests.living import Living, living, on_sqlite
from tests.stories import has_source

pytestmark = on_sqlite


@pytest.fixture
async def hub(config: Config) -> AsyncIterator[Living]:
    """Open to any topic, as the suite wants it."""
    async with living(config.model_copy(update={"hub_topics": TopicRule.parse("any")})) as stream:
        yield stream


async def rows(hub: Living, table: Any) -> list[Any]:
    async with hub.site.store.read() as db:
        return list((await db.execute(select(*table.__table__.columns))).all())


async def subscribes(hub: Living, playing: Suite, **more: str) -> None:
    """Until the callback has confirmed and the hub has seen the topic."""
    before = len(playing.verifications)
    answer = await playing.asks(hub.hub, **more)
    assert answer.status_code == 202
    await until(lambda: len(playing.verifications) > before)
    await settles(hub)

    async def seen() -> bool:
        return any(row.first_document_at for row in await rows(hub, FeedRow))

    await comes(seen)


async def settles(hub: Living) -> None:
    """Until no callback is left to be asked."""

    async def settled() -> bool:
        return not await rows(hub, HubRequestRow)

    await comes(settled)


async def publishes(hub: Living, playing: Suite, text: str) -> None:
    assert 200 <= await playing.publishes(hub.hub, text) < 300


async def idle(hub: Living) -> None:
    """Returns when a publish that changes nothing for anybody has been worked off: nothing more is on its way."""

    async def looked() -> bool:
        feeds = await rows(hub, FeedRow)
        return all(row.asked == row.looked for row in feeds) and not await rows(hub, HubDeliveryRow)

    await comes(looked)


# -- the suite's tests ------------------------------------------------------------------------


async def test_100_a_subscriber_without_a_secret_is_given_what_the_topic_says(hub: Living) -> None:
    async with suite() as playing:
        await subscribes(hub, playing)
        (asked,) = playing.verifications
        assert asked["hub.mode"] == "subscribe" and asked["hub.topic"] == playing.topic
        assert int(asked["hub.lease_seconds"]) > 0 and asked["hub.challenge"]
        await publishes(hub, playing, "the second")
        await playing.given(hub.hub)


async def test_101_a_subscriber_with_a_secret_is_given_it_signed(hub: Living) -> None:
    async with suite(secret="twenty characters of") as playing:
        await subscribes(hub, playing)
        await publishes(hub, playing, "the second")
        await playing.given(hub.hub)


async def test_102_parameters_that_nobody_knows_are_ignored(hub: Living) -> None:
    async with suite() as playing:
        await subscribes(hub, playing, **{"foo": "bar", "hub.foo": "hub.bar"})
        assert not {"foo", "hub.foo"} & playing.verifications[0].keys()
        await publishes(hub, playing, "the second")
        await playing.given(hub.hub)


async def test_103_who_subscribes_again_is_given_everything_once(hub: Living) -> None:
    async with suite() as playing:
        await subscribes(hub, playing)
        await publishes(hub, playing, "the second")
        await playing.given(hub.hub)
        await subscribes(hub, playing)
        assert len(playing.verifications) == 2
        await publishes(hub, playing, "the third")
        await playing.given(hub.hub)
        await idle(hub)
        assert playing.deliveries.empty()


async def test_104_who_unsubscribed_is_given_nothing(hub: Living) -> None:
    async with suite() as playing:
        await subscribes(hub, playing)
        await publishes(hub, playing, "the second")
        await playing.given(hub.hub)
        assert (await playing.asks(hub.hub, "unsubscribe")).status_code == 202

        async def gone() -> bool:
            return not await rows(hub, HubSubscriberRow)

        await comes(gone)
        assert playing.verifications[-1]["hub.mode"] == "unsubscribe"
        assert "hub.lease_seconds" not in playing.verifications[-1]
        await publishes(hub, playing, "the third")
        await idle(hub)
        assert playing.deliveries.empty()


@pytest.mark.parametrize(("number", "media_type"), [(105, "text/plain; charset=UTF-8"), (106, "application/json")])
async def test_105_106_a_topic_may_be_of_any_type(hub: Living, number: int, media_type: str) -> None:
    async with suite(media_type=media_type) as playing:
        await subscribes(hub, playing)
        await publishes(hub, playing, "the second")
        await playing.given(hub.hub)


# -- what the recommendation says besides -----------------------------------------------------


@pytest.mark.parametrize("missing", ["hub.mode", "hub.topic", "hub.callback"])
async def test_5_1_each_missing_parameter_is_named(hub: Living, missing: str) -> None:
    async with suite() as playing:
        answer = await playing.asks(hub.hub, **{missing: ""})
    assert answer.status_code == 400
    assert answer.headers["content-type"].startswith("text/plain") and missing in answer.text


async def test_5_1_a_renewal_that_is_not_verified_changes_nothing(hub: Living) -> None:
    async with suite(secret="old") as playing:
        await subscribes(hub, playing, **{"hub.lease_seconds": "86400"})
        (before,) = await rows(hub, HubSubscriberRow)
        playing.confirms = False
        for mode, more in (("subscribe", {"hub.secret": "new", "hub.lease_seconds": "7200"}), ("unsubscribe", {})):
            assert (await playing.asks(hub.hub, mode, **more)).status_code == 202
            await settles(hub)
            assert await rows(hub, HubSubscriberRow) == [before]
        await publishes(hub, playing, "the second")
        await playing.given(hub.hub)


@pytest.mark.parametrize(
    "query", ["?foo=bar", "?foo=bar&red=fish", "?", "?z=y&a=b&", "?hub.challenge=mine&x=%C3%A9&y=a+b", "?a=%2F/%7E~"]
)
async def test_5_1_1_the_callbacks_own_query_stays_as_it_is_to_the_byte(hub: Living, query: str) -> None:
    asked: list[bytes] = []
    subscriber = Subscriber()

    async def app(scope: Any, receive: Any, send: Any) -> None:
        asked.append(scope["query_string"])
        await subscriber.app(scope, receive, send)

    async with serving(app) as at:
        form = {"hub.mode": "subscribe", "hub.topic": hub.url + "/feed.atom", "hub.callback": f"{at}/cb{query}"}
        assert (await hub.http.post("/hub", data=form)).status_code == 202
        await until(lambda: asked)
        assert asked[0].startswith(query[1:].encode())
        assert asked[0][len(query) - 1 :].lstrip(b"&").startswith(b"hub.mode=subscribe&hub.topic=http%3A%2F%2F")
        if "hub.challenge" in query:
            return  # its own wins where it reads the first, so it cannot be verified
        await comes(lambda: rows(hub, HubSubscriberRow))
        await hub.posts("news")
        await until(lambda: len(asked) == 2)
        assert asked[1] == query[1:].encode()


async def test_5_2_whoever_subscribes_to_what_is_made_private_is_told_that_it_is_denied(hub: Living) -> None:
    await has_source(hub.site, "diary")
    topic = f"{hub.url}/sources/diary/feed.atom"
    subscriber = Subscriber()
    async with serving(subscriber.app) as at:
        form = {"hub.mode": "subscribe", "hub.topic": topic, "hub.callback": at}
        assert (await hub.http.post("/hub", data=form)).status_code == 202
        await comes(lambda: rows(hub, HubSubscriberRow))
        await hub.posts("dear diary", source="diary")
        await subscriber.deliveries.get()
        change = {"visibility": "private"}
        await hub.http.patch("/api/sources/diary", json=change, headers=await hub.owners())
        await until(lambda: subscriber.verifications[-1]["hub.mode"] == "denied")
        told = subscriber.verifications[-1]
        assert told["hub.topic"] == topic and told["hub.reason"]
        assert "hub.challenge" not in told
        assert await rows(hub, HubSubscriberRow) == []
        assert subscriber.deliveries.empty()
        assert (await hub.http.post("/hub", data=form)).status_code == 404


@pytest.mark.parametrize(("status", "body"), [(200, "not it"), (404, ""), (500, ""), (302, ""), (200, "")], ids=str)
async def test_5_3_a_callback_is_asked_once_and_must_echo_the_challenge(hub: Living, status: int, body: str) -> None:
    asked: list[str] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        asked.append(scope["path"])
        headers = [(b"location", b"/elsewhere")] if status == 302 else []
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": body.encode()})

    async with serving(app) as at:
        form = {"hub.mode": "subscribe", "hub.topic": hub.url + "/feed.atom", "hub.callback": at + "/cb"}
        assert (await hub.http.post("/hub", data=form)).status_code == 202
        await until(lambda: asked)
        await settles(hub)
    assert asked == ["/cb"]
    assert await rows(hub, HubSubscriberRow) == []


async def test_5_3_1_a_lease_that_is_over_ends_the_subscription(hub: Living) -> None:
    async with suite() as playing:
        await subscribes(hub, playing)
        async with hub.site.store.begin() as db:
            await db.execute(update(HubSubscriberRow).values(expires_at=hub.site.now() - timedelta(seconds=1)))
        await publishes(hub, playing, "the second")
        await idle(hub)
        assert playing.deliveries.empty()


@pytest.mark.parametrize("status", [301, 302, 307, 308, 400, 404, 500, 503])
async def test_7_all_but_2xx_and_410_is_a_failure_that_is_tried_again_and_ends_nothing(
    hub: Living, status: int
) -> None:
    subscriber = Subscriber(status=status)
    async with serving(subscriber.app) as at:
        form = {"hub.mode": "subscribe", "hub.topic": hub.url + "/feed.atom", "hub.callback": at}
        await hub.http.post("/hub", data=form)
        await comes(lambda: rows(hub, HubSubscriberRow))
        await hub.posts("news")
        await subscriber.deliveries.get()

        async def failed() -> bool:
            return [row.attempts for row in await rows(hub, HubDeliveryRow)] == [1]

        await comes(failed)
        (row,) = await rows(hub, HubSubscriberRow)
        assert row.failures == 1 and str(status) in row.last_error
        subscriber.status = 204
        async with hub.site.store.begin(rings=[bells.DELIVERIES]) as db:
            await db.execute(update(HubDeliveryRow).values(due_at=hub.site.now()))
        assert b"news" in (await subscriber.deliveries.get()).body


# -- PubSubHubbub 0.3 -------------------------------------------------------------------------


async def test_0_3_sync_is_verified_before_it_is_answered_204(hub: Living) -> None:
    subscriber = Subscriber()
    async with serving(subscriber.app) as at:
        form = {
            "hub.mode": "subscribe", "hub.topic": hub.url + "/feed.atom", "hub.callback": at, "hub.verify": "sync",
            "hub.verify_token": "mine", "hub.secret": "s",
        }  # fmt: skip
        answer = await hub.http.post("/hub", data=form)
        assert (answer.status_code, answer.content) == (204, b"")
        (row,) = await rows(hub, HubSubscriberRow)
        assert row.algorithm == "sha1"
        assert subscriber.verifications[0]["hub.verify_token"] == "mine"
        answer = await hub.http.post("/hub", data=form | {"hub.mode": "unsubscribe"})
        assert answer.status_code == 204
        assert await rows(hub, HubSubscriberRow) == await rows(hub, HubRequestRow) == []


async def test_0_3_sync_that_is_not_confirmed_is_409_and_says_why(hub: Living) -> None:
    subscriber = Subscriber(confirms=False)
    async with serving(subscriber.app) as at:
        form = {
            "hub.mode": "subscribe", "hub.topic": hub.url + "/feed.atom", "hub.callback": at, "hub.verify": "sync",
        }  # fmt: skip
        answer = await hub.http.post("/hub", data=form)
        assert answer.status_code == 409 and "404" in answer.text
        assert len(subscriber.verifications) == 1
        assert await rows(hub, HubSubscriberRow) == await rows(hub, HubRequestRow) == []


@pytest.mark.parametrize(
    ("verify", "status"),
    [(["sync", "async"], 204), (["async", "sync"], 202), (["nonsense", "sync"], 204), (["nonsense"], 202),
     (["sync,async"], 204), (["async,sync"], 202)],
    ids=str,
)  # fmt: skip
async def test_0_3_the_first_way_that_is_known_is_taken(hub: Living, verify: list[str], status: int) -> None:
    subscriber = Subscriber()
    async with serving(subscriber.app) as at:
        form = {
            "hub.mode": "subscribe", "hub.topic": hub.url + "/feed.atom", "hub.callback": at, "hub.verify": verify,
        }  # fmt: skip
        assert (await hub.http.post("/hub", data=form)).status_code == status
        await comes(lambda: rows(hub, HubSubscriberRow))
