"""The hub's work, with subscribers on real sockets: what they are given, and when somebody is not there."""

import asyncio
import hashlib
import hmac
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import func, select, update
from starlette.responses import RedirectResponse

from lifestream.app import create_app, running
from lifestream.config import Config
from lifestream.protocol.links import parse_link_header
from lifestream.publish.outbound_feeds import render
from lifestream.store import bells
from lifestream.store.tables import HubDeliveryRow, HubSubscriberRow
from tests.documents import atom, entry
from tests.fakes import SOON, Publisher, Received, Subscriber, comes, serving, until
from tests.living import Living, living, on_postgresql, on_sqlite
from tests.stories import has_source

SECRET = "between us"


class Neighbourhood:
    """Our stream, and subscribers that come to live beside it."""

    def __init__(self, stream: Living, stack: AsyncExitStack) -> None:
        self.stream = stream
        self._stack = stack

    async def lives(self, app: Any) -> str:
        return await self._stack.enter_async_context(serving(app))

    async def subscribes(self, topic: str = "", secret: str = SECRET, **how: Any) -> tuple[Subscriber, str]:
        """A subscriber whose subscription is verified; and its callback."""
        subscriber = Subscriber()
        callback = await self.lives(subscriber.app) + "/callback"
        await self.asks("subscribe", callback, topic, secret=secret, **how)
        await comes(lambda: self.subscribed(callback))
        return subscriber, callback

    async def lives_for_a_moment(self) -> str:
        """A subscriber that is verified and then gone; its callback."""
        async with serving(Subscriber().app) as at:
            await self.asks("subscribe", at)
            await comes(lambda: self.subscribed(at))
        return at

    async def asks(self, mode: str, callback: str, topic: str = "", **more: str) -> None:
        form = {"hub.mode": mode, "hub.topic": topic or self.stream.url + "/feed.atom", "hub.callback": callback}
        answer = await self.stream.http.post(
            "/hub", data=form | {"hub." + name: value for name, value in more.items() if value}
        )
        assert answer.status_code == 202, answer.text

    async def subscribed(self, callback: str) -> bool:
        async with self.stream.site.store.read() as db:
            query = select(HubSubscriberRow.id).where(HubSubscriberRow.callback == callback)
            return (await db.execute(query)).first() is not None

    async def waiting(self) -> int:
        async with self.stream.site.store.read() as db:
            return (await db.execute(select(func.count()).select_from(HubDeliveryRow))).scalar_one()

    async def failed_once(self) -> bool:
        async with self.stream.site.store.read() as db:
            query = select(func.max(HubDeliveryRow.attempts)).where(HubDeliveryRow.claimed_until.is_(None))
            return bool((await db.execute(query)).scalar_one())

    async def time_goes_by(self) -> None:
        """What is to be tried again later is tried now."""
        site = self.stream.site
        async with site.store.begin(rings=[bells.DELIVERIES]) as db:
            await db.execute(update(HubDeliveryRow).values(due_at=site.now()))


@pytest.fixture
async def near(config: Config) -> AsyncIterator[Neighbourhood]:
    async with AsyncExitStack() as stack:
        stream = await stack.enter_async_context(living(config))
        yield Neighbourhood(stream, stack)


async def given(subscriber: Subscriber) -> Received:
    async with asyncio.timeout(SOON):
        return await subscriber.deliveries.get()


def right(received: Received, secret: str = SECRET) -> bool:
    method, _, digest = received.headers["x-hub-signature"].partition("=")
    expected = hmac.new(secret.encode(), received.body, getattr(hashlib, method)).hexdigest()
    return hmac.compare_digest(digest, expected)


async def test_what_is_delivered_is_what_the_topic_says_signed_and_named(near: Neighbourhood) -> None:
    subscriber, _ = await near.subscribes()
    await near.stream.posts("hello")
    received = await given(subscriber)
    topic = await near.stream.http.get("/feed.atom")
    assert received.body == topic.content
    assert received.headers["content-type"] == topic.headers["content-type"]
    assert right(received)
    links = {rel: link.url for link in parse_link_header([received.headers["link"]], "") for rel in link.rels}
    assert links == {"hub": near.stream.hub, "self": near.stream.url + "/feed.atom"}


async def test_edits_and_deletions_are_delivered_too(near: Neighbourhood) -> None:
    made = await near.stream.posts("hello")
    subscriber, _ = await near.subscribes()
    path, key = f"/api/entries/{made['id']}", await near.stream.owners()
    await near.stream.http.patch(path, json={"title": "better"}, headers=key)
    assert b"better" in (await given(subscriber)).body
    await near.stream.http.delete(path, headers=key)
    assert b"deleted-entry" in (await given(subscriber)).body


@on_sqlite
async def test_without_a_secret_nothing_is_signed(near: Neighbourhood) -> None:
    subscriber, _ = await near.subscribes(secret="")
    await near.stream.posts("hello")
    assert "x-hub-signature" not in (await given(subscriber)).headers


@on_sqlite
async def test_a_pubsubhubbub_subscriber_gets_the_signature_it_knows(near: Neighbourhood) -> None:
    subscriber, _ = await near.subscribes(verify="async")
    await near.stream.posts("hello")
    received = await given(subscriber)
    assert received.headers["x-hub-signature"].startswith("sha1=")
    assert right(received)


@on_sqlite
async def test_a_subscriber_of_one_source_hears_of_that_source_only(near: Neighbourhood) -> None:
    await has_source(near.stream.site, "diary")
    subscriber, _ = await near.subscribes(near.stream.url + "/sources/diary/feed.atom")
    every, _ = await near.subscribes()
    await near.stream.posts("a note")
    assert b"a note" in (await given(every)).body
    await near.stream.posts("dear diary", source="diary")
    received = await given(subscriber)
    assert b"dear diary" in received.body and b"a note" not in received.body
    assert subscriber.deliveries.empty()


async def test_a_private_source_is_never_delivered(near: Neighbourhood) -> None:
    await has_source(near.stream.site, "diary", "private")
    subscriber, _ = await near.subscribes()
    await near.stream.posts("secret", source="diary")
    await near.stream.posts("for all")
    received = await given(subscriber)
    assert b"for all" in received.body and b"secret" not in received.body
    assert subscriber.deliveries.empty()


async def test_a_followed_feeds_document_is_handed_on_as_it_was_fetched(near: Neighbourhood) -> None:
    publisher = Publisher()
    at = await near.lives(publisher.app)
    publisher.publish("/feed", atom(entry(1)), "application/atom+xml; charset=utf-8; odd=yes")
    await near.stream.adds(at + "/feed")
    subscriber, _ = await near.subscribes(at + "/feed")
    body = atom(entry(2), entry(1))
    publisher.publish("/feed", body, "application/atom+xml; charset=utf-8; odd=yes")
    await near.stream.pings(at + "/feed")
    received = await given(subscriber)
    assert received.body == body.encode()
    assert received.headers["content-type"] == "application/atom+xml; charset=utf-8; odd=yes"
    assert right(received)
    assert f'<{at}/feed>; rel="self"' in received.headers["link"]


@on_sqlite
async def test_a_feed_made_private_is_no_longer_handed_on(near: Neighbourhood) -> None:
    publisher = Publisher()
    at = await near.lives(publisher.app)
    publisher.publish("/feed", atom(entry(1)))
    await near.stream.adds(at + "/feed")
    subscriber, _ = await near.subscribes(at + "/feed")
    hidden = await near.stream.http.patch(
        "/api/sources/blog", json={"visibility": "private"}, headers=await near.stream.owners()
    )
    assert hidden.status_code == 200
    publisher.publish("/feed", atom(entry(2)))
    await near.stream.pings(at + "/feed")
    await near.stream.shows("Post 2")
    assert await near.waiting() == 0
    assert subscriber.deliveries.empty()


async def test_a_delivery_that_failed_is_tried_again_with_the_newest(near: Neighbourhood) -> None:
    subscriber, _ = await near.subscribes()
    subscriber.status = 500
    await near.stream.posts("first")
    assert b"first" in (await given(subscriber)).body
    await comes(near.failed_once)
    subscriber.status = 204
    await near.time_goes_by()
    received = await given(subscriber)
    assert received.body == (await near.stream.http.get("/feed.atom")).content

    async def done() -> bool:
        return await near.waiting() == 0

    await comes(done)


async def test_410_ends_a_subscription(near: Neighbourhood) -> None:
    subscriber, callback = await near.subscribes()
    subscriber.status = 410
    await near.stream.posts("first")
    await given(subscriber)

    async def gone() -> bool:
        return not await near.subscribed(callback)

    await comes(gone)
    await near.stream.posts("second")
    assert await near.waiting() == 0
    assert subscriber.deliveries.empty()


async def test_who_unsubscribed_is_given_nothing_more(near: Neighbourhood) -> None:
    subscriber, callback = await near.subscribes()
    stays, _ = await near.subscribes()
    await near.asks("unsubscribe", callback)

    async def gone() -> bool:
        return not await near.subscribed(callback)

    await comes(gone)
    await near.stream.posts("hello")
    await given(stays)
    assert subscriber.deliveries.empty()


@on_sqlite
async def test_a_lease_that_is_over_is_kept_to(near: Neighbourhood) -> None:
    subscriber, _ = await near.subscribes()
    site = near.stream.site
    async with site.store.begin() as db:
        await db.execute(update(HubSubscriberRow).values(expires_at=site.now() - timedelta(seconds=1)))
    stays, _ = await near.subscribes()
    await near.stream.posts("hello")
    await given(stays)
    assert subscriber.deliveries.empty()


@on_sqlite
async def test_a_dead_callback_holds_up_nobody(near: Neighbourhood) -> None:
    dead = await near.lives_for_a_moment()
    quick, _ = await near.subscribes()
    await near.stream.posts("hello")
    assert b"hello" in (await given(quick)).body
    await comes(near.failed_once)
    assert await near.subscribed(dead), "it stays subscribed"
    await near.stream.posts("again")
    assert b"again" in (await given(quick)).body


@on_sqlite
async def test_a_burst_is_delivered_up_to_its_end(near: Neighbourhood) -> None:
    subscriber, _ = await near.subscribes()
    for number in range(30):
        await near.stream.posts(f"number {number}")
    received = await given(subscriber)
    while b"number 29" not in received.body:
        received = await given(subscriber)
    assert subscriber.deliveries.empty()


@on_sqlite
@pytest.mark.parametrize("format", ["atom", "rss", "json"])
async def test_a_part_of_the_stream_is_a_topic_in_every_format(near: Neighbourhood, format: str) -> None:
    path = f"/feed.{format}?kind=photo&tag=kitten"
    subscriber, _ = await near.subscribes(near.stream.url + f"/feed.{format}?tag=Kitten&kind=photo")
    await near.stream.posts("a note", tags=["kitten"])
    await near.stream.posts("a kitten", kind="photo", tags=["Kitten"])
    received = await given(subscriber)
    topic = await near.stream.http.get(path)
    assert received.body == topic.content
    assert received.headers["content-type"] == topic.headers["content-type"]
    assert b"a kitten" in received.body and b"a note" not in received.body
    assert right(received)
    await near.stream.posts("another note")
    await near.stream.posts("more kittens", kind="photo", tags=["kitten"])
    assert b"more kittens" in (await given(subscriber)).body
    assert subscriber.deliveries.empty()


@on_sqlite
async def test_what_leaves_a_part_of_the_stream_leaves_its_topic(near: Neighbourhood) -> None:
    subscriber, _ = await near.subscribes(near.stream.url + "/feed.atom?tag=kitten")
    made = await near.stream.posts("a kitten", tags=["kitten"])
    assert b"a kitten" in (await given(subscriber)).body
    change = {"tags": ["cat"]}
    await near.stream.http.patch(f"/api/entries/{made['id']}", json=change, headers=await near.stream.owners())
    assert b"a kitten" not in (await given(subscriber)).body


@on_sqlite
async def test_a_change_renders_each_part_that_is_subscribed_to_once(
    near: Neighbourhood, monkeypatch: pytest.MonkeyPatch
) -> None:
    subscribed = [await near.subscribes(near.stream.url + path) for path in 3 * ["/feed.atom"] + ["/feed.json"]]
    rendered: list[str] = []

    async def counted(db: Any, config: Config, now: Any, topic: Any) -> Any:
        rendered.append(topic.path)
        return await render(db, config, now, topic)

    monkeypatch.setattr("lifestream.publish.hub.render", counted)
    await near.stream.posts("hello")
    for subscriber, _ in subscribed:
        await given(subscriber)
    assert sorted(rendered) == ["/feed.atom", "/feed.json"]


@on_sqlite
async def test_a_source_that_was_removed_is_told_to_be_gone(near: Neighbourhood) -> None:
    publisher = Publisher()
    at = await near.lives(publisher.app)
    publisher.publish("/feed", atom(entry(1)))
    await near.stream.adds(at + "/feed")
    subscriber, callback = await near.subscribes(at + "/feed")
    await near.stream.http.delete("/api/sources/blog", headers=await near.stream.owners())
    await until(lambda: subscriber.verifications[-1]["hub.mode"] == "denied")
    assert subscriber.verifications[-1]["hub.topic"] == at + "/feed"
    assert not await near.subscribed(callback)


async def test_who_subscribed_by_a_feeds_old_address_is_served_after_it_moved(near: Neighbourhood) -> None:
    publisher = Publisher()
    at = await near.lives(publisher.app)
    publisher.publish("/old", atom(entry(1)))
    await near.stream.adds(at + "/old")
    subscriber, _ = await near.subscribes(at + "/old")
    publisher.answers["/old"] = RedirectResponse("/new", 301)
    for number in (2, 3):
        publisher.publish("/new", atom(entry(number)))
        await near.stream.pings(at + "/old")
        assert f"Post {number}".encode() in (await given(subscriber)).body
    assert (await near.stream.source()).feed_url == at + "/new"
    later, _ = await near.subscribes(at + "/old")
    publisher.publish("/new", atom(entry(4)))
    assert await near.stream.pings(at + "/old") == 204
    for one in (subscriber, later):
        received = await given(one)
        assert b"Post 4" in received.body
        assert f'<{at}/old>; rel="self"' in received.headers["link"]


@on_postgresql
async def test_several_processes_share_the_deliveries_and_double_none(config: Config) -> None:
    async with AsyncExitStack() as stack:
        stream = await stack.enter_async_context(living(config))
        config = config.model_copy(update={"base_url": stream.url})
        for _ in range(2):
            await stack.enter_async_context(running(create_app(), config))
        near = Neighbourhood(stream, stack)
        subscribed = [await near.subscribes() for _ in range(12)]
        for number in range(3):
            await stream.posts(f"number {number}")
        for subscriber, _ in subscribed:
            received = await given(subscriber)
            while b"number 2" not in received.body:
                received = await given(subscriber)

        async def done() -> bool:
            return await near.waiting() == 0

        await comes(done)
        assert all(subscriber.deliveries.empty() for subscriber, _ in subscribed)


@on_sqlite
async def test_history_is_not_delivered(near: Neighbourhood) -> None:
    subscriber, _ = await near.subscribes()
    publisher = Publisher()
    at = await near.lives(publisher.app)
    publisher.publish("/feed", atom(entry(1)))
    await near.stream.adds(at + "/feed")
    assert await near.stream.titles() == ["Post 1"]
    assert await near.waiting() == 0
    await near.stream.posts("news")
    assert b"news" in (await given(subscriber)).body
    assert subscriber.deliveries.empty()
