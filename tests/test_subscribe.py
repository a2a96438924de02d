"""Our subscriptions, against a hub and a publisher on real sockets: found, asked for, verified, renewed, left."""

import hashlib
import hmac
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import select, update

from lifestream.config import Config
from lifestream.protocol.links import Advertised
from lifestream.receive.timer import ENDED_KEPT
from lifestream.site import Site
from lifestream.store import bells, feeds, sources, subscriptions
from lifestream.store.tables import FeedRow, SubscriptionRow
from lifestream.subscribe import ONE_HUB_FOR, Hub, choose_hub
from tests.documents import atom, entry
from tests.fakes import FakeHub, Publisher, comes, serving, until
from tests.living import Living, living, on_sqlite


@dataclass
class Web:
    """Somebody's site and hub, and our stream beside them."""

    stream: Living
    publisher: Publisher
    at: str
    hub: FakeHub
    hub_at: str
    stack: AsyncExitStack = field(repr=False)

    @property
    def feed(self) -> str:
        return self.at + "/feed"

    def publishes(self, *numbers: int, **more: Any) -> str:
        body = atom(*(entry(number) for number in reversed(numbers)), **({"hubs": [self.hub_at]} | more))
        self.publisher.publish("/feed", body)
        return body

    async def another_hub(self) -> tuple[FakeHub, str]:
        hub = FakeHub()
        return hub, await self.stack.enter_async_context(serving(hub.app))

    async def pushes(self, form: dict[str, str], body: str) -> int:
        """The hub pushes `body` to the one who sent it `form`."""
        digest = hmac.new(form["hub.secret"].encode(), body.encode(), hashlib.sha256).hexdigest()
        headers = {"X-Hub-Signature": f"sha256={digest}", "Content-Type": "application/atom+xml"}
        return (await self.stream.http.post(form["hub.callback"], content=body, headers=headers)).status_code

    async def subscription(self) -> Any:
        async with self.stream.site.store.read() as db:
            return (await db.execute(select(*SubscriptionRow.__table__.columns))).one()

    async def due_now(self, **values: Any) -> None:
        """The subscription's time has come; what is still being written of the last time comes first."""
        site = self.stream.site

        async def put_down() -> bool:
            async with site.store.read() as db:
                return not any((await db.execute(select(SubscriptionRow.claimed_until))).scalars())

        await comes(put_down)
        async with site.store.begin(rings=[bells.SUBSCRIPTIONS]) as db:
            await db.execute(update(SubscriptionRow).values(due_at=site.now(), **values))

    async def left_in_peace(self) -> None:
        """No hub was asked anything for a while."""
        async with self.stream.site.store.begin() as db:
            await db.execute(update(SubscriptionRow).values(asked_at=self.stream.site.now() - ONE_HUB_FOR))


@pytest.fixture
async def web(config: Config) -> AsyncIterator[Web]:
    publisher, hub = Publisher(), FakeHub()
    async with AsyncExitStack() as stack:
        at = await stack.enter_async_context(serving(publisher.app))
        hub_at = await stack.enter_async_context(serving(hub.app))
        stream = await stack.enter_async_context(living(config))
        yield Web(stream, publisher, at, hub, hub_at, stack)


# -- from an address to a subscription --------------------------------------------------------


async def test_a_feed_that_names_a_hub_is_subscribed_to_there(web: Web) -> None:
    web.publishes(1)
    source = await web.stream.adds(web.feed)
    assert (source["state"], source["delivery"], source["hub_url"]) == ("active", "websub", web.hub_at)
    assert (source["feed_url"], source["topic"], source["last_error"]) == (web.feed, web.feed, None)
    (form,) = web.hub.asked
    assert (form["hub.mode"], form["hub.topic"]) == ("subscribe", web.feed)
    assert form["hub.callback"].startswith(web.stream.url + "/push/")
    assert len(form["hub.callback"].rpartition("/")[2]) >= 32
    assert 20 <= len(form["hub.secret"].encode()) < 200
    assert int(form["hub.lease_seconds"]) > 0
    assert "hub.verify" not in form, "what only old hubs want is not sent at first"
    assert datetime.fromisoformat(source["lease_expires"]) - web.stream.site.now() < timedelta(days=1)


async def test_a_push_arrives(web: Web) -> None:
    web.publishes(1)
    await web.stream.adds(web.feed)
    assert await web.pushes(web.hub.asked[0], atom(entry(2))) < 300
    await web.stream.shows("Post 2", "Post 1")
    assert (await web.stream.becomes("blog", lambda one: one["entry_count"] == 2))["last_push"]


@on_sqlite
async def test_every_subscription_has_a_callback_and_a_secret_of_its_own(web: Web) -> None:
    web.publishes(1)
    web.publisher.publish("/other", atom(entry(1), hubs=[web.hub_at]))
    await web.stream.adds(web.feed)
    await web.stream.adds(web.at + "/other", slug="other")
    one, other = web.hub.asked
    assert one["hub.callback"] != other["hub.callback"]
    assert one["hub.secret"] != other["hub.secret"]


@on_sqlite
async def test_a_page_leads_to_its_feed(web: Web) -> None:
    web.publishes(1)
    page = "<html><head><link rel='alternate' type='application/atom+xml' href='/feed'></head><p>Hello</html>"
    web.publisher.publish("/", page, "text/html")
    source = await web.stream.adds(web.at + "/")
    assert (source["url"], source["feed_url"], source["delivery"]) == (web.at + "/", web.feed, "websub")
    assert await web.stream.titles() == ["Post 1"]


@on_sqlite
async def test_hub_and_topic_in_link_headers_win_over_the_documents(web: Web) -> None:
    web.publishes(1, hubs=["http://127.0.0.1:9/"], self_url="http://127.0.0.1:9/feed")
    web.publisher.headers["/feed"] = {"Link": f'<{web.hub_at}>; rel="hub", <{web.at}/canonical>; rel="self"'}
    source = await web.stream.adds(web.feed)
    assert (source["hub_url"], source["topic"], source["feed_url"]) == (web.hub_at, web.at + "/canonical", web.feed)
    assert web.hub.asked[0]["hub.topic"] == web.at + "/canonical"


@on_sqlite
async def test_the_topic_is_the_address_that_the_feed_gives_itself(web: Web) -> None:
    web.publishes(1, self_url=web.at + "/its/own/name?x=1&y=2")
    source = await web.stream.adds(web.feed)
    assert source["topic"] == web.hub.asked[0]["hub.topic"] == web.at + "/its/own/name?x=1&y=2"
    assert source["feed_url"] == web.feed


@on_sqlite
async def test_of_several_hubs_the_first_is_asked(web: Web) -> None:
    other, other_at = await web.another_hub()
    web.publishes(1, hubs=[web.hub_at, other_at])
    await web.stream.adds(web.feed)
    assert len(web.hub.asked) == 1
    assert other.asked == []


@pytest.mark.parametrize("choice", ["none", "builtin"])
@on_sqlite
async def test_the_owner_may_do_without_the_feeds_hub(web: Web, choice: str) -> None:
    web.publishes(1)
    source = await web.stream.adds(web.feed, hub=choice)
    assert (source["state"], source["delivery"], source["hub_url"]) == ("active", "polling", None)
    assert web.hub.asked == []


@on_sqlite
async def test_the_owner_may_name_another_hub(web: Web) -> None:
    other, other_at = await web.another_hub()
    web.publishes(1)
    source = await web.stream.adds(web.feed, hub=other_at)
    assert (source["delivery"], source["hub_url"].rstrip("/")) == ("websub", other_at)
    assert web.hub.asked == []
    assert len(other.asked) == 1


@on_sqlite
async def test_our_own_hub_is_not_asked(web: Web) -> None:
    web.publishes(1, hubs=[web.stream.url + "/hub"])
    source = await web.stream.adds(web.feed)
    assert (source["state"], source["delivery"]) == ("active", "polling")


async def test_a_feed_without_a_hub_is_polled_until_somebody_pings_for_it(web: Web) -> None:
    web.publishes(1, hubs=[])
    source = await web.stream.adds(web.feed)
    assert (source["state"], source["delivery"], source["hub_url"]) == ("active", "polling", None)
    web.publishes(1, 2, hubs=[])
    assert await web.stream.pings(web.feed) == 204
    await web.stream.shows("Post 2", "Post 1")
    assert (await web.stream.source()).delivery == "hub"


@on_sqlite
async def test_a_publisher_that_does_not_name_its_hub_is_pushed_where_the_hub_is_known(site: Site) -> None:
    feed = "https://www.youtube.com/feeds/videos.xml?channel_id=UCx"
    async with site.store.begin() as db:
        await sources.add_feed(db, feed, now=site.now(), slug="channel")
        source = await sources.get(db, "channel", audience="owner")
    google = Hub("websub", "https://pubsubhubbub.appspot.com/", feed.replace("/feeds/", "/xml/feeds/"))
    assert choose_hub(site, source, feed, Advertised(), None) == google
    named = Advertised(hubs=("https://hub.example/",))
    assert choose_hub(site, source, feed, named, None) == Hub("websub", "https://hub.example/", feed)


# -- verification -----------------------------------------------------------------------------


async def test_a_source_is_pending_until_the_hub_verified_and_what_came_meanwhile_is_fetched(web: Web) -> None:
    web.hub.verify = False
    web.publishes(1)
    owners = await web.stream.owners()
    made = await web.stream.http.post("/api/sources", json={"url": web.feed, "slug": "blog"}, headers=owners)
    assert (made.status_code, made.json()["state"]) == (201, "pending")
    await until(lambda: web.hub.asked)
    await web.stream.shows("Post 1")
    assert (await web.stream.source()).state == "pending"
    web.publishes(1, 2)
    assert (await web.hub.verify_intent(web.hub.asked[0]))[0] == 200
    await web.stream.shows("Post 2", "Post 1")
    source = await web.stream.settles()
    assert (source["state"], source["delivery"]) == ("active", "websub")


async def test_a_hub_that_never_verifies_leaves_the_source_polled(web: Web) -> None:
    web.hub.verify = False
    web.publishes(1)
    owners = await web.stream.owners()
    await web.stream.http.post("/api/sources", json={"url": web.feed, "slug": "blog"}, headers=owners)
    await web.stream.shows("Post 1")
    assert (await web.stream.source()).state == "pending"
    async with web.stream.site.store.begin() as db:  # ten seconds later
        await db.execute(update(FeedRow).values(first_document_at=web.stream.site.now() - timedelta(seconds=11)))
    source = await web.stream.settles()
    assert (source["state"], source["delivery"], source["lease_expires"]) == ("active", "polling", None)


@pytest.mark.parametrize("status", [400, 404, 500])
@on_sqlite
async def test_a_hub_that_refuses_is_asked_again_later_and_the_feed_polled(web: Web, status: int) -> None:
    web.hub.answer = status
    web.publishes(1)
    owners = await web.stream.owners()
    await web.stream.http.post("/api/sources", json={"url": web.feed, "slug": "blog"}, headers=owners)

    async def failed() -> bool:
        async with web.stream.site.store.read() as db:
            errors = (await db.execute(select(SubscriptionRow.last_error))).scalars().all()
        return any(str(status) in error for error in errors)

    await comes(failed)
    source = await web.stream.source()
    assert (source.delivery, source.entry_count) == ("polling", 1)
    row = await web.subscription()
    assert row.due_at > web.stream.site.now()
    web.hub.answer = 202
    await web.due_now()
    assert (await web.stream.settles())["delivery"] == "websub"
    assert web.hub.asked[-1]["hub.verify"] == "async", "what old hubs insist on is added when a first try failed"


@on_sqlite
async def test_a_hub_that_is_not_there_does_no_harm(web: Web) -> None:
    async with serving(FakeHub().app) as gone:
        web.publishes(1, hubs=[gone])
    owners = await web.stream.owners()
    await web.stream.http.post("/api/sources", json={"url": web.feed, "slug": "blog"}, headers=owners)
    await web.stream.shows("Post 1")

    async def failed() -> bool:
        async with web.stream.site.store.read() as db:
            return any((await db.execute(select(SubscriptionRow.last_error))).scalars())

    await comes(failed)
    assert (await web.stream.source()).delivery == "polling"


async def test_a_hub_that_denies_is_polled_around(web: Web) -> None:
    web.publishes(1)
    await web.stream.adds(web.feed)
    status, _ = await web.hub.verify_intent(web.hub.asked[0], **{"hub.mode": "denied", "hub.reason": "not you"})
    assert status == 200
    source = await web.stream.becomes("blog", lambda one: one["state"] == "denied")
    assert source["delivery"] == "polling"
    assert "not you" in source["last_error"]
    web.publishes(1, 2)
    await web.stream.http.post("/api/sources/blog/refresh", headers=await web.stream.owners())
    await web.stream.shows("Post 2", "Post 1")


# -- leases -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("granted", "expected"),
    [("60", timedelta(minutes=5)), ("86400", timedelta(days=1)), ("99999999", timedelta(days=14))],
)
@on_sqlite
async def test_a_lease_is_believed_within_bounds_and_renewed_before_its_end(
    web: Web, granted: str, expected: timedelta
) -> None:
    web.hub.lease = granted
    web.publishes(1)
    source = await web.stream.adds(web.feed)
    row = await web.subscription()
    assert row.expires_at - row.verified_at == expected
    assert row.due_at <= row.expires_at
    assert datetime.fromisoformat(source["lease_expires"]) == row.expires_at


async def test_a_renewal_keeps_secret_and_callback(web: Web) -> None:
    web.publishes(1)
    await web.stream.adds(web.feed)
    before = await web.subscription()
    web.hub.subscribed.clear()
    await web.due_now()
    await web.hub.subscribed.wait()

    async def renewed() -> bool:
        return (await web.subscription()).expires_at > before.expires_at

    await comes(renewed)
    first, second = web.hub.asked
    assert first == second


async def test_the_old_lease_holds_while_a_renewal_is_not_verified(web: Web) -> None:
    web.publishes(1)
    await web.stream.adds(web.feed)
    web.hub.verify = False
    await web.due_now()
    await until(lambda: len(web.hub.asked) == 2)
    assert (await web.stream.source()).delivery == "websub"
    assert await web.pushes(web.hub.asked[0], atom(entry(2))) < 300
    await web.stream.shows("Post 2", "Post 1")


@on_sqlite
async def test_a_lease_that_ran_out_makes_the_feed_polled_again(web: Web) -> None:
    web.publishes(1)
    await web.stream.adds(web.feed)
    web.hub.answer = 500
    await web.due_now(expires_at=web.stream.site.now() - timedelta(seconds=1))
    source = await web.stream.becomes("blog", lambda one: one["delivery"] == "polling")
    assert source["lease_expires"] is None


# -- changes and ends -------------------------------------------------------------------------


async def test_removing_a_source_unsubscribes(web: Web) -> None:
    web.publishes(1)
    await web.stream.adds(web.feed)
    form = web.hub.asked[0]
    answer = await web.stream.http.delete("/api/sources/blog", headers=await web.stream.owners())
    assert answer.status_code == 204
    await until(lambda: len(web.hub.verifications) == 2)
    assert web.hub.asked[-1]["hub.mode"] == "unsubscribe"
    assert web.hub.asked[-1]["hub.callback"] == form["hub.callback"]
    assert web.hub.verifications[-1][0] == 200
    assert await web.stream.titles() == []


@on_sqlite
async def test_a_push_after_the_source_was_removed_is_410_or_404(web: Web) -> None:
    web.publishes(1)
    await web.stream.adds(web.feed)
    await web.stream.http.delete("/api/sources/blog", headers=await web.stream.owners())
    assert await web.pushes(web.hub.asked[0], atom(entry(2))) in (404, 410)
    assert await web.stream.titles() == []


async def test_a_feed_that_moves_to_another_hub_is_followed_there(web: Web) -> None:
    other, other_at = await web.another_hub()
    web.publishes(1)
    await web.stream.adds(web.feed)
    await web.left_in_peace()
    web.publishes(1, 2, hubs=[other_at])
    await web.stream.pings(web.feed)
    source = await web.stream.becomes("blog", lambda one: (one["hub_url"] or "").rstrip("/") == other_at)
    assert source["delivery"] == "websub"
    await until(lambda: [form["hub.mode"] for form in other.asked] == ["subscribe"])
    await until(lambda: [form["hub.mode"] for form in web.hub.asked] == ["subscribe", "unsubscribe"])
    await other.subscribed.wait()
    assert other.asked[0]["hub.callback"] != web.hub.asked[0]["hub.callback"]
    assert await web.pushes(other.asked[0], atom(entry(3))) < 300
    await web.stream.shows("Post 3")


@on_sqlite
async def test_a_feed_that_names_one_hub_after_the_other_sends_us_to_one_of_them(web: Web) -> None:
    other, other_at = await web.another_hub()
    web.publishes(1)
    await web.stream.adds(web.feed)
    web.publishes(1, 2, hubs=[other_at])
    await web.stream.pings(web.feed)
    await web.stream.shows("Post 2", "Post 1")
    assert (await web.subscription()).state == "active"
    assert (await web.stream.source()).hub_url == web.hub_at
    await web.stream.http.post("/api/sources/blog/refresh", headers=await web.stream.owners())
    await other.subscribed.wait()
    web.publishes(1, 2, 3, hubs=[web.hub_at])
    await web.stream.pings(web.feed)
    await web.stream.shows("Post 3")
    assert [form["hub.mode"] for form in other.asked] == ["subscribe"]


async def test_a_subscription_that_ended_is_forgotten_in_the_end(site: Site) -> None:
    now = site.now()
    async with site.store.begin() as db:
        feed_id = await feeds.ensure(db, "https://b.example/feed", now)
        for state in ("active", "ended", "over"):
            told = {"hub_url": "https://hub.example/", "topic": "https://b.example/feed", "token": state, "secret": ""}
            await subscriptions.add(db, feed_id=feed_id, now=now, **told)
        asked = {"active": timedelta(2), "ended": timedelta(hours=23), "over": timedelta(2)}
        for one in await subscriptions.of_feed(db, feed_id):
            state = "active" if one.token == "active" else "ended"
            await subscriptions.change(db, one.id, state=state, asked_at=now - asked[one.token])
        await subscriptions.drop_ended(db, now - ENDED_KEPT)
        assert set((await db.execute(select(SubscriptionRow.token))).scalars()) == {"active", "ended"}


@on_sqlite
async def test_a_feed_that_loses_its_hub_is_polled_again(web: Web) -> None:
    web.publishes(1)
    await web.stream.adds(web.feed)
    web.publishes(1, 2, hubs=[])
    await web.stream.pings(web.feed)
    source = await web.stream.becomes("blog", lambda one: one["hub_url"] is None)
    assert source["delivery"] in ("polling", "hub")
    await until(lambda: [form["hub.mode"] for form in web.hub.asked] == ["subscribe", "unsubscribe"])


@on_sqlite
async def test_a_source_may_be_added_again_after_it_was_removed(web: Web) -> None:
    web.publishes(1)
    await web.stream.adds(web.feed)
    await web.stream.http.delete("/api/sources/blog", headers=await web.stream.owners())
    await until(lambda: len(web.hub.verifications) == 2)
    source = await web.stream.adds(web.feed)
    assert (source["delivery"], source["entry_count"]) == ("websub", 1)
