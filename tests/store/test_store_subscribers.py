"""The built-in hub's books: requests, subscribers, and the newest content for each."""

import asyncio
from datetime import datetime, timedelta
from typing import Any

from lifestream.site import Site
from lifestream.store import feeds, subscribers
from lifestream.store.database import Store
from lifestream.store.deliveries import Content, DueDelivery, Failure, claim, delivered, distribute, failed
from lifestream.store.subscribers import HOLD, Request
from lifestream.store.tables import HubContentRow, HubDeliveryRow, HubRequestRow, HubSubscriberRow
from tests.store.story import BLOG, DAY, HOUR, NO_TIME, NOON, SECOND, count, feed_source, row

KEY = "blog.example/feed"
CALLBACK = "https://reader.example/callback"
LEASE = 86_400


async def asks(store: Store, callback: str = CALLBACK, now: datetime = NOON, **more: Any) -> None:
    values: dict[str, Any] = {
        "mode": "subscribe", "topic": BLOG, "topic_key": KEY, "callback": callback, "secret": "",
        "lease_seconds": LEASE, "algorithm": "sha256", "verify_token": "",
    }  # fmt: skip
    async with store.begin() as db:
        await subscribers.asked(db, values | more, now)


async def requests(store: Store, now: datetime = NOON) -> list[Request]:
    async with store.begin() as db:
        return await subscribers.claim_requests(db, now, 100)


async def confirms(store: Store, request: Request, now: datetime = NOON) -> None:
    async with store.begin() as db:
        await subscribers.verified(db, request, now)
        await subscribers.drop_request(db, request)


async def subscribed(store: Store, callback: str = CALLBACK, now: datetime = NOON, **more: Any) -> None:
    await asks(store, callback, now, **more)
    for request in await requests(store, now):
        await confirms(store, request, now)


async def publishes(store: Store, body: bytes, now: datetime = NOON, *, version: int = 0) -> None:
    version = version or int(now.timestamp())
    async with store.begin() as db:
        await distribute(db, Content(BLOG, KEY, version, "application/atom+xml", body), now)


async def deliveries(store: Store, now: datetime = NOON, limit: int = 100) -> list[DueDelivery]:
    async with store.begin() as db:
        return await claim(db, now, limit)


async def gets(store: Store, sent: DueDelivery, now: datetime = NOON) -> None:
    async with store.begin() as db:
        await delivered(db, [sent], now)


async def fails(store: Store, sent: DueDelivery, again_at: datetime | None) -> None:
    async with store.begin() as db:
        await failed(db, Failure(sent, "The callback answered 500.", again_at))


# -- requests and their verification ----------------------------------------------------------


async def test_a_request_is_no_subscription_until_it_is_verified(site: Site) -> None:
    await asks(site.store)
    await publishes(site.store, b"1")
    assert await count(site.store, HubSubscriberRow) == 0
    assert await deliveries(site.store) == []
    (request,) = await requests(site.store)
    assert (request.mode, request.topic, request.callback) == ("subscribe", BLOG, CALLBACK)
    await confirms(site.store, request)
    kept = await row(site.store, HubSubscriberRow)
    assert (kept.verified_at, kept.expires_at) == (NOON, NOON + timedelta(seconds=LEASE))
    assert await count(site.store, HubRequestRow) == 0


async def test_there_is_one_request_for_each_topic_and_callback_and_the_last_counts(site: Site) -> None:
    await asks(site.store, secret="one")
    await asks(site.store, secret="two")
    await asks(site.store, CALLBACK + "?other", secret="three")
    assert sorted(one.secret for one in await requests(site.store)) == ["three", "two"]


async def test_asks_in_parallel_lose_none(site: Site) -> None:
    other = Store(site.store.url, site.store.sqlite_path)
    callbacks = [f"{CALLBACK}/{number}" for number in range(20)]
    await asyncio.gather(*(asks(store, one) for one in callbacks for store in (site.store, other)))
    await other.aclose()
    assert sorted(one.callback for one in await requests(site.store)) == sorted(callbacks)


async def test_a_new_request_changes_a_subscription_only_once_it_is_verified(site: Site) -> None:
    await subscribed(site.store, secret="old")
    await asks(site.store, secret="new", lease_seconds=999, now=NOON + HOUR)
    kept = await row(site.store, HubSubscriberRow)
    assert (kept.secret, kept.expires_at) == ("old", NOON + timedelta(seconds=LEASE))
    (request,) = await requests(site.store, NOON + HOUR)
    await confirms(site.store, request, NOON + HOUR)
    kept = await row(site.store, HubSubscriberRow)
    assert (kept.secret, kept.lease_seconds) == ("new", 999)
    assert kept.expires_at == NOON + HOUR + 999 * SECOND


async def test_a_verification_that_was_overtaken_does_not_undo_the_newer_one(site: Site) -> None:
    await asks(site.store, secret="old")
    (slow,) = await requests(site.store)
    await asks(site.store, secret="new")
    (quick,) = await requests(site.store)
    await confirms(site.store, quick)
    await confirms(site.store, slow)
    assert (await row(site.store, HubSubscriberRow)).secret == "new"


async def test_a_verification_that_was_overtaken_leaves_the_newer_request_to_be_verified(site: Site) -> None:
    await asks(site.store, secret="old")
    (slow,) = await requests(site.store)
    await asks(site.store, secret="new")
    await confirms(site.store, slow)
    assert [one.secret for one in await requests(site.store)] == ["new"]


async def test_an_unsubscription_counts_once_it_is_verified(site: Site) -> None:
    await subscribed(site.store)
    await publishes(site.store, b"1")
    await asks(site.store, mode="unsubscribe", lease_seconds=0)
    assert await count(site.store, HubSubscriberRow) == 1
    (request,) = await requests(site.store)
    await confirms(site.store, request)
    assert await count(site.store, HubSubscriberRow) == 0
    assert await count(site.store, HubDeliveryRow) == 0


async def test_unsubscribing_who_never_subscribed_harms_nobody(site: Site) -> None:
    await subscribed(site.store)
    await asks(site.store, CALLBACK + "/other", mode="unsubscribe")
    (request,) = await requests(site.store)
    await confirms(site.store, request)
    assert (await row(site.store, HubSubscriberRow)).callback == CALLBACK


async def test_rsscloud_takes_the_place_of_a_websub_subscription_only_when_that_is_over(site: Site) -> None:
    async def registers(now: datetime) -> str:
        async with site.store.begin() as db:
            await subscribers.subscribe(db, BLOG, KEY, CALLBACK, now, lease_seconds=90_000, kind="rsscloud")
        there = await row(site.store, HubSubscriberRow)
        return f"{there.kind} {there.secret} {there.verified_at - NOON}"

    await subscribed(site.store, secret="between us")
    assert await registers(NOON + HOUR) == "websub between us 0:00:00"
    assert await registers(NOON + DAY) == "rsscloud  1 day, 0:00:00"
    assert await registers(NOON + DAY + HOUR) == "rsscloud  1 day, 1:00:00"
    await subscribed(site.store, now=NOON + DAY + 2 * HOUR, secret="a new one")
    assert (await row(site.store, HubSubscriberRow)).kind == "websub"


async def test_the_parts_of_a_site_that_somebody_wants_are_known_before_they_are_confirmed(site: Site) -> None:
    home = "me_%.example/"
    for number, key in enumerate((home + "feed.atom", home + "feed.atom?tag=a", "meX%.example/feed.atom?tag=b")):
        await asks(site.store, f"{CALLBACK}/{number}", topic_key=key)
    for request in await requests(site.store):
        await confirms(site.store, request)
    await asks(site.store, topic_key=home + "feed.atom?tag=c")
    await asks(site.store, topic_key=home + "feed.atom?tag=d", mode="unsubscribe")

    async def parts(now: datetime) -> set[str]:
        async with site.store.read() as db:
            return {key.removeprefix(home) for key in await subscribers.parts_under(db, home, now)}

    assert await parts(NOON) == {"feed.atom?tag=a", "feed.atom?tag=c"}
    assert await parts(NOON + DAY) == {"feed.atom?tag=c"}, "the other's lease is over"


async def test_a_request_in_dead_hands_is_taken_up_again(site: Site) -> None:
    await asks(site.store)
    (request,) = await requests(site.store)
    assert await requests(site.store, NOON + HOLD - NO_TIME) == []
    assert await requests(site.store, NOON + HOLD) == [request]


# -- distribution -----------------------------------------------------------------------------


async def test_everybody_who_is_subscribed_is_given_the_document(site: Site) -> None:
    for number in range(3):
        await subscribed(site.store, f"{CALLBACK}/{number}", secret=f"s{number}")
    await subscribed(site.store, topic_key="other.example/", topic="https://other.example/")
    await publishes(site.store, b"<feed/>")
    given = await deliveries(site.store)
    assert {(one.callback, one.secret, one.content.body, one.topic) for one in given} == {
        (f"{CALLBACK}/{number}", f"s{number}", b"<feed/>", BLOG) for number in range(3)
    }


async def test_a_delivery_is_made_once(site: Site) -> None:
    await subscribed(site.store)
    await publishes(site.store, b"1")
    (sent,) = await deliveries(site.store)
    assert await deliveries(site.store, NOON + HOLD - NO_TIME) == []
    await gets(site.store, sent)
    assert await deliveries(site.store, NOON + HOUR) == []
    assert (await row(site.store, HubSubscriberRow)).last_delivery == NOON


async def test_who_was_away_gets_the_newest_and_gets_it_once(site: Site) -> None:
    await subscribed(site.store)
    for number in range(3):
        await publishes(site.store, b"%d" % number, NOON + number * SECOND)
    assert [one.content.body for one in await deliveries(site.store, NOON + HOUR)] == [b"2"]
    assert await count(site.store, HubDeliveryRow) == 1


async def test_what_comes_while_a_delivery_is_on_its_way_goes_out_right_after_it(site: Site) -> None:
    await subscribed(site.store)
    await publishes(site.store, b"1")
    (sent,) = await deliveries(site.store)
    await publishes(site.store, b"2", NOON + SECOND)
    assert await deliveries(site.store, NOON + SECOND) == []  # never two to one callback at once
    await gets(site.store, sent, NOON + SECOND)
    (next_one,) = await deliveries(site.store, NOON + SECOND)
    assert (next_one.content.body, next_one.attempts) == (b"2", 0)
    await gets(site.store, next_one, NOON + SECOND)
    assert await deliveries(site.store, NOON + HOUR) == []


async def test_what_comes_while_the_clock_goes_back_is_still_the_newest(site: Site) -> None:
    await subscribed(site.store)
    await publishes(site.store, b"1", version=100)
    (sent,) = await deliveries(site.store)
    await publishes(site.store, b"2", version=90)
    await gets(site.store, sent)
    assert [one.content.body for one in await deliveries(site.store, NOON + SECOND)] == [b"2"]


async def test_the_same_document_again_is_given_to_nobody_twice(site: Site) -> None:
    await subscribed(site.store)
    for _ in range(2):
        await publishes(site.store, b"1")
        for sent in await deliveries(site.store):
            await gets(site.store, sent)
    assert await count(site.store, HubDeliveryRow) == 0
    await publishes(site.store, b"1")
    assert await deliveries(site.store, NOON + HOUR) == []


async def test_a_failed_delivery_is_tried_again_with_what_is_newest_then(site: Site) -> None:
    await subscribed(site.store)
    await publishes(site.store, b"1")
    (sent,) = await deliveries(site.store)
    await fails(site.store, sent, NOON + HOUR)
    assert await deliveries(site.store, NOON + HOUR - NO_TIME) == []
    (again,) = await deliveries(site.store, NOON + HOUR)
    assert (again.content.body, again.attempts) == (b"1", 1)
    failing = await row(site.store, HubSubscriberRow)
    assert (failing.failures, failing.last_error) == (1, "The callback answered 500.")
    await gets(site.store, again, NOON + HOUR)
    well = await row(site.store, HubSubscriberRow)
    assert (well.failures, well.last_error) == (0, "")


async def test_a_failure_does_not_hold_up_what_came_meanwhile(site: Site) -> None:
    await subscribed(site.store)
    await publishes(site.store, b"1")
    (sent,) = await deliveries(site.store)
    await publishes(site.store, b"2", NOON + SECOND)
    await fails(site.store, sent, NOON + DAY)
    (next_one,) = await deliveries(site.store, NOON + SECOND)
    assert (next_one.content.body, next_one.attempts) == (b"2", 0)


async def test_who_is_given_up_on_stays_subscribed_and_gets_the_next_document(site: Site) -> None:
    await subscribed(site.store)
    await publishes(site.store, b"1")
    (sent,) = await deliveries(site.store)
    await fails(site.store, sent, None)
    assert await deliveries(site.store, NOON + HOUR) == []
    await publishes(site.store, b"2", NOON + HOUR)
    assert [one.content.body for one in await deliveries(site.store, NOON + HOUR)] == [b"2"]


async def test_who_says_gone_is_gone(site: Site) -> None:
    await subscribed(site.store)
    await publishes(site.store, b"1")
    (sent,) = await deliveries(site.store)
    async with site.store.begin() as db:
        await subscribers.end(db, [sent.subscriber_id])
    assert await count(site.store, HubSubscriberRow) == await count(site.store, HubDeliveryRow) == 0


async def test_a_lease_that_is_over_gets_nothing_more(site: Site) -> None:
    await subscribed(site.store)
    await publishes(site.store, b"1")
    over = NOON + timedelta(seconds=LEASE)
    assert await deliveries(site.store, over) == []
    assert await count(site.store, HubDeliveryRow) == 0
    await publishes(site.store, b"2", over)
    assert await count(site.store, HubDeliveryRow) == 0


async def test_a_feed_has_the_subscribers_of_every_address_that_it_is_or_was_known_by(site: Site) -> None:
    source = await feed_source(site.store)
    assert source.feed_id is not None
    async with site.store.begin() as db:
        await feeds.moves(db, source.feed_id, "new.example/feed")
    for number, key in enumerate((KEY, "other.example/feed")):
        await subscribed(site.store, f"{CALLBACK}/{number}", topic_key=key)
    over = NOON + timedelta(seconds=LEASE)
    async with site.store.read() as db:
        assert await subscribers.topics_of_feed(db, source.feed_id, over - SECOND) == {KEY}
        assert await subscribers.topics_of_feed(db, source.feed_id, over) == set()


async def test_leases_that_are_over_are_swept_with_documents_that_nobody_waits_for(site: Site) -> None:
    await subscribed(site.store, CALLBACK + "/short", lease_seconds=300)
    await subscribed(site.store, CALLBACK + "/long")
    await publishes(site.store, b"1")
    async with site.store.begin() as db:
        assert await subscribers.drop_expired(db, NOON + HOUR) == 1
        assert await subscribers.counts(db) == (1, 1)
    assert await count(site.store, HubContentRow) == 1
    async with site.store.begin() as db:
        assert await subscribers.drop_expired(db, NOON + 2 * DAY) == 1
        assert await subscribers.counts(db) == (0, 0)
    assert await count(site.store, HubContentRow) == 0


async def test_distributors_and_deliverers_at_once_leave_everybody_with_the_newest(site: Site) -> None:
    for number in range(10):
        await subscribed(site.store, f"{CALLBACK}/{number}")
    other, has = Store(site.store.url, site.store.sqlite_path), {}

    async def deliver(store: Store, moment: int) -> int:
        given = await deliveries(store, NOON + moment * SECOND, 3)
        for one in given:
            has[one.callback] = one.content.body
            await gets(store, one, NOON)
        return len(given)

    async def distribute() -> None:
        for number in range(10):
            await publishes(other, b"%d" % number, NOON + number * SECOND)

    async with asyncio.timeout(30):
        publishing = asyncio.create_task(distribute())
        while not publishing.done():
            await deliver(site.store, 9)
        await publishing
        while await deliver(site.store, 99):
            pass
    await other.aclose()
    assert has == {f"{CALLBACK}/{number}": b"9" for number in range(10)}


async def test_feeds_with_subscribers_are_known_by_each_of_their_addresses(site: Site) -> None:
    async with site.store.begin() as db:
        one = await feeds.ensure(db, BLOG, NOON)
        two = await feeds.ensure(db, "https://other.example/", NOON)
        assert await subscribers.feeds_with_subscribers(db, [one, two], NOON) == []
    await subscribed(site.store)
    async with site.store.read() as db:
        assert await subscribers.feeds_with_subscribers(db, [one, two], NOON) == [one]
