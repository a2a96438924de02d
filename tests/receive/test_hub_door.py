"""`POST /hub` and `POST /`: publish pings from anybody, and requests to subscribe."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import ExitStack
from typing import Any

import pytest
from sqlalchemy import select, update
from starlette.responses import RedirectResponse

from lifestream.config import Config
from lifestream.receive import limits
from lifestream.receive.limits import HubLimits
from lifestream.store import sources
from lifestream.store.tables import FeedRow, HubRequestRow, HubSubscriberRow
from tests.documents import atom, entry
from tests.fakes import AppClient, Publisher, Subscriber, comes, serving, until
from tests.living import Living, living, on_sqlite

ADDED = "http://blog.example/"
FETCHED = "http://blog.example/feed.xml"
NAMED = "https://www.blog.example/feed"
PRIVATE = "http://diary.example/feed"
CALLBACK = "http://127.0.0.1:9/callback"


@pytest.fixture
async def hub(client: AppClient) -> AppClient:
    """The app with a public source under three addresses, and a private one; nothing is due."""
    site, now = client.site, client.site.now()
    async with site.store.begin() as db:
        await sources.add_feed(db, ADDED, now=now, slug="blog")
        await sources.add_feed(db, PRIVATE, now=now, slug="diary", visibility="private")
        for slug, values in (
            ("blog", {"url": FETCHED, "url_key": "blog.example/feed.xml", "self_url": NAMED,
                      "self_key": "www.blog.example/feed"}),
            ("diary", {}),
        ):  # fmt: skip
            source = await sources.get(db, slug, audience="owner")
            values = values | {"discovered": True, "due_at": None}
            await db.execute(update(FeedRow).where(FeedRow.id == source.feed_id).values(values))
    return client


async def asked(client: AppClient, slug: str = "blog") -> int:
    """How many looks at this source were asked for."""
    async with client.site.store.read() as db:
        source = await sources.get(db, slug, audience="owner")
        return (await db.execute(select(FeedRow.asked).where(FeedRow.id == source.feed_id))).scalar_one()


async def rows(client: AppClient, table: Any) -> list[Any]:
    async with client.site.store.read() as db:
        return list((await db.execute(select(*table.__table__.columns))).all())


def publish(url: str, **more: str) -> dict[str, str]:
    return {"hub.mode": "publish", "hub.url": url} | more


def subscribe(topic: str = FETCHED, **more: str) -> dict[str, str]:
    named = {"hub." + name: value for name, value in more.items()}
    return {"hub.mode": "subscribe", "hub.topic": topic, "hub.callback": CALLBACK} | named


# -- publish pings ----------------------------------------------------------------------------


@pytest.mark.parametrize("door", ["/hub", "/"])
async def test_a_ping_for_a_feed_that_is_followed_is_accepted_and_asks_for_a_look(hub: AppClient, door: str) -> None:
    answer = await hub.post(door, data=publish(FETCHED))
    assert (answer.status_code, answer.content) == (204, b"")
    assert await asked(hub) == 1


@pytest.mark.parametrize(
    "url",
    [
        ADDED, FETCHED, NAMED, "https://blog.example/", "https://blog.example/feed.xml", "http://www.blog.example/feed",
        "http://BLOG.example:80/feed.xml", "https://blog.example:443/feed.xml#new", " http://blog.example ",
    ],
)  # fmt: skip
@on_sqlite
async def test_a_ping_matches_whatever_address_the_feed_goes_by(hub: AppClient, url: str) -> None:
    assert (await hub.post("/hub", data=publish(url))).status_code == 204
    assert await asked(hub) == 1


@pytest.mark.parametrize("door", ["/hub", "/"])
@on_sqlite
async def test_a_ping_for_what_is_not_known_is_404_and_one_sentence(hub: AppClient, door: str) -> None:
    answer = await hub.post(door, data=publish("http://other.example/feed"))
    assert answer.status_code == 404
    assert is_one_sentence(answer)
    assert await asked(hub) == 0


async def test_a_private_sources_feed_is_looked_at_and_not_told_of(hub: AppClient) -> None:
    unknown = await hub.post("/hub", data=publish("http://other.example/feed"))
    private = await hub.post("/hub", data=publish(PRIVATE))
    assert (private.status_code, private.content) == (unknown.status_code, unknown.content)
    assert dict(private.headers) == dict(unknown.headers)
    assert await asked(hub, "diary") == 1


@pytest.mark.parametrize(
    "form",
    [
        [("hub.topic", FETCHED)],
        [("hub.url[]", FETCHED)],
        [("hub.url[0]", "http://other.example/"), ("hub.url[1]", FETCHED)],
        [("hub.url", "http://other.example/"), ("hub.url", FETCHED)],
        [("hub.topic", "http://other.example/"), ("hub.url", FETCHED)],
        [("hub.url", f"http://other.example/,{FETCHED}")],
        [("hub.url", PRIVATE), ("hub.topic", FETCHED)],
    ],
)
@on_sqlite
async def test_a_ping_may_name_addresses_in_all_the_ways_there_are(hub: AppClient, form: list[tuple[str, str]]) -> None:
    query = "&".join(f"{name}={value}" for name, value in [("hub.mode", "publish"), *form])
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    assert (await hub.post("/hub", content=query, headers=headers)).status_code == 204
    assert await asked(hub) == 1


@on_sqlite
async def test_a_ping_in_the_query_counts_too(hub: AppClient) -> None:
    assert (await hub.post("/hub", params=publish(FETCHED))).status_code == 204
    assert await asked(hub) == 1


@on_sqlite
async def test_our_own_feeds_may_be_pinged(hub: AppClient) -> None:
    base = hub.site.config.base_url
    for path in ("/feed.atom", "/sources/blog/feed.atom", "/sources/notes/feed.atom"):
        assert (await hub.post("/hub", data=publish(base + path))).status_code == 204
    for path in ("/sources/diary/feed.atom", "/sources/nobody/feed.atom", "/feed.txt"):
        assert (await hub.post("/hub", data=publish(base + path))).status_code == 404


@pytest.mark.parametrize(
    "form",
    [
        {}, {"hub.mode": "publish"}, {"hub.mode": "publish", "hub.url": ""}, {"hub.mode": "publish", "hub.url": "blog"},
        {"hub.mode": "publish", "hub.url": "ftp://blog.example/"}, {"hub.mode": "nonsense", "hub.url": FETCHED},
    ],
)  # fmt: skip
@on_sqlite
async def test_a_ping_that_makes_no_sense_is_400_and_one_sentence(hub: AppClient, form: dict[str, str]) -> None:
    answer = await hub.post("/hub", data=form)
    assert answer.status_code == 400
    assert is_one_sentence(answer)


async def test_a_ping_with_odd_characters_is_no_500(hub: AppClient) -> None:
    for url in ("http://blog.example/\0", "http://bl\0og.example/", "http://[::1/", "http://x" * 3000, "http://é.例/ü"):
        assert (await hub.post("/hub", data=publish(url))).status_code in (400, 404)


# -- bursts -----------------------------------------------------------------------------------


@pytest.fixture
async def blog() -> AsyncIterator[tuple[Publisher, str]]:
    publisher = Publisher()
    async with serving(publisher.app) as url:
        yield publisher, url


async def test_a_hundred_pings_cause_a_few_fetches_and_miss_nothing(
    config: Config, blog: tuple[Publisher, str]
) -> None:
    publisher, url = blog
    publisher.publish("/feed", atom(entry(0)))
    async with living(config) as stream:
        await stream.adds(url + "/feed")
        before = len(publisher.asked)
        for number in range(1, 11):
            publisher.publish("/feed", atom(entry(number)))
            statuses = await asyncio.gather(*(stream.pings(url + "/feed") for _ in range(10)))
            assert set(statuses) == {204}
        await stream.shows("Post 10")
        fetches = len(publisher.asked) - before
        assert 1 <= fetches <= 25
        # The next ping is as good as the first.
        publisher.publish("/feed", atom(entry(11)))
        await stream.pings(url + "/feed")
        await stream.shows("Post 11")


@on_sqlite
async def test_a_ping_during_a_fetch_causes_one_more(config: Config, blog: tuple[Publisher, str]) -> None:
    publisher, url = blog
    publisher.publish("/feed", atom(entry(1)))
    async with living(config) as stream:
        await stream.adds(url + "/feed")
        held = publisher.hold("/feed")
        publisher.publish("/feed", atom(entry(2)))
        before = len(publisher.asked)
        await stream.pings(url + "/feed")
        await until(lambda: len(publisher.asked) == before + 1)
        publisher.publish("/feed", atom(entry(3)))
        for _ in range(20):
            await stream.pings(url + "/feed")
        held.set()
        await stream.shows("Post 3")
        assert len(publisher.asked) <= before + 2


# -- subscribing ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "wrong",
    [
        {"lease_seconds": "soon"}, {"lease_seconds": "-1"}, {"lease_seconds": "1.5"}, {"lease_seconds": "١٢"},
        {"secret": "x" * 200}, {"secret": "ü" * 100},
        {"callback": ""}, {"callback": "blog.example"}, {"callback": "ftp://you.example/"},
        {"callback": "javascript:alert(1)"}, {"callback": "http://you.example/#here"}, {"callback": "http://"},
        {"callback": "http://you.example/" + "x" * 3000}, {"topic": ""}, {"topic": "blog"},
    ],
    ids=str,
)  # fmt: skip
@on_sqlite
async def test_a_request_that_makes_no_sense_is_400_and_one_sentence(hub: AppClient, wrong: dict[str, str]) -> None:
    answer = await hub.post("/hub", data=subscribe() | {"hub." + name: value for name, value in wrong.items()})
    assert answer.status_code == 400
    assert is_one_sentence(answer)
    assert await rows(hub, HubRequestRow) == []


async def test_a_request_is_put_down_and_answered_202(hub: AppClient) -> None:
    answer = await hub.post("/hub", data=subscribe(lease_seconds="86400", secret="x" * 199))
    assert answer.status_code == 202
    (row,) = await rows(hub, HubRequestRow)
    assert (row.mode, row.topic, row.callback, row.lease_seconds) == ("subscribe", FETCHED, CALLBACK, 86400)
    assert await rows(hub, HubSubscriberRow) == [], "nothing counts before it is verified"


@pytest.mark.parametrize(
    ("asked", "granted"), [("", 864_000), ("0", 300), ("1", 300), ("3600", 3600), ("9" * 30, 2_592_000)]
)
@on_sqlite
async def test_a_lease_is_granted_within_bounds(hub: AppClient, asked: str, granted: int) -> None:
    assert (await hub.post("/hub", data=subscribe(lease_seconds=asked))).status_code == 202
    assert [row.lease_seconds for row in await rows(hub, HubRequestRow)] == [granted]


async def test_what_the_hub_does_not_serve_cannot_be_subscribed_to(hub: AppClient) -> None:
    unknown = await hub.post("/hub", data=subscribe("http://other.example/feed"))
    private = await hub.post("/hub", data=subscribe(PRIVATE))
    assert unknown.status_code == private.status_code == 404
    assert unknown.content == private.content
    assert is_one_sentence(unknown)
    assert await rows(hub, HubRequestRow) == []


@on_sqlite
async def test_a_pubsubhubbub_subscriber_is_served_its_way(hub: AppClient) -> None:
    form = subscribe(verify="async", verify_token="t", lease_seconds="")
    assert (await hub.post("/hub", data=form)).status_code == 202
    assert [(row.algorithm, row.verify_token) for row in await rows(hub, HubRequestRow)] == [("sha1", "t")]


@on_sqlite
async def test_a_subscription_by_another_topics_spelling_is_the_same_topic(hub: AppClient) -> None:
    assert (await hub.post("/hub", data=subscribe(FETCHED.replace("http:", "https:")))).status_code == 202


async def subscriber_rows(stream: Living) -> list[Any]:
    async with stream.site.store.read() as db:
        query = select(HubSubscriberRow.topic, HubSubscriberRow.callback, HubSubscriberRow.secret)
        return list((await db.execute(query.order_by(HubSubscriberRow.id))).all())


async def requests_open(stream: Living) -> bool:
    async with stream.site.store.read() as db:
        return (await db.execute(select(HubRequestRow.id))).first() is not None


async def asks(stream: Living, mode: str, callback: str, **more: str) -> int:
    form = {"hub.mode": mode, "hub.topic": stream.url + "/feed.atom", "hub.callback": callback}
    answer = await stream.http.post("/hub", data=form | {"hub." + name: value for name, value in more.items()})
    return answer.status_code


async def test_a_subscription_counts_from_when_its_callback_confirms_it_until_it_leaves(config: Config) -> None:
    subscriber = Subscriber()
    async with serving(subscriber.app) as at, living(config) as stream:
        callback = at + "/callback?id=7"
        assert await asks(stream, "subscribe", callback, lease_seconds="86400", secret="s") == 202
        await comes(lambda: subscriber_rows(stream))
        (asked,) = subscriber.verifications
        assert asked["id"] == "7", "the callback's own query stays"
        assert (asked["hub.mode"], asked["hub.topic"]) == ("subscribe", stream.url + "/feed.atom")
        assert asked["hub.lease_seconds"] == "86400"
        assert len(asked["hub.challenge"]) >= 16
        assert await asks(stream, "unsubscribe", callback) == 202

        async def gone() -> bool:
            return not await subscriber_rows(stream)

        await comes(gone)
        assert subscriber.verifications[-1]["hub.mode"] == "unsubscribe"
        assert "hub.lease_seconds" not in subscriber.verifications[-1]


async def test_a_callback_that_does_not_confirm_changes_nothing(config: Config) -> None:
    subscriber = Subscriber()
    async with serving(subscriber.app) as at, living(config) as stream:
        await asks(stream, "subscribe", at, secret="first")
        (before,) = await comes(lambda: subscriber_rows(stream))

        async def answered() -> bool:
            return not await requests_open(stream)

        subscriber.confirms = False
        for mode, more in (("subscribe", {"secret": "second"}), ("unsubscribe", {})):
            await asks(stream, mode, at, **more)
            await comes(answered)
            assert await subscriber_rows(stream) == [before]
        subscriber.confirms = True
        await asks(stream, "subscribe", at, secret="third")

        async def renewed() -> bool:
            return [row.secret for row in await subscriber_rows(stream)] == ["third"]

        await comes(renewed)


@on_sqlite
async def test_a_redirecting_callback_is_not_followed(config: Config) -> None:
    subscriber = Subscriber(status=302)
    publisher = Publisher()
    async with serving(subscriber.app) as at, serving(publisher.app) as elsewhere, living(config) as stream:
        publisher.answers["/callback"] = RedirectResponse(at)
        await asks(stream, "subscribe", elsewhere + "/callback")
        await until(lambda: publisher.asked)

        async def answered() -> bool:
            return not await requests_open(stream)

        await comes(answered)
        assert subscriber.verifications == []
        assert await subscriber_rows(stream) == []


def test_few_wait_for_their_verification_and_fewer_for_one_host() -> None:
    hub = HubLimits()
    with ExitStack() as waiting:
        with hub.waiting("http://a.example/x") as first:
            more = [waiting.enter_context(hub.waiting("http://a.example/")) for _ in range(4)]
        assert [first, *more] == [True] * 4 + [False]
        assert waiting.enter_context(hub.waiting("http://a.example/"))
        others = [waiting.enter_context(hub.waiting(f"http://{number}.example/")) for number in range(20)]
        assert others == [True] * 16 + [False] * 4


def test_hosts_at_which_nobody_waits_any_more_are_forgotten() -> None:
    hub = HubLimits()
    for number in range(3):
        with hub.waiting(f"http://{number}.example/"):
            assert len(hub._waiting) == 1
    assert not hub._waiting


@on_sqlite
async def test_a_request_that_fails_holds_no_place_of_those_who_wait(
    config: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "WAITING", 1)
    subscriber = Subscriber()
    async with serving(subscriber.app) as at, living(config, background=False) as stream:

        async def answered() -> int:
            form = {"hub.mode": "subscribe", "hub.topic": stream.url + "/feed.atom", "hub.callback": at}
            return (await stream.http.post("/hub", data=form | {"hub.verify": "sync"})).status_code

        with monkeypatch.context() as full:
            full.setattr(limits, "MOST", 0)
            assert await answered() == 429
        assert await answered() == 204


# -- the door itself --------------------------------------------------------------------------


@on_sqlite
async def test_get_explains_the_hub_to_a_person(hub: AppClient) -> None:
    answer = await hub.get("/hub")
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/html")
    assert "curl -d hub.mode=publish" in answer.text


@pytest.mark.parametrize("door", ["/hub", "/"])
@on_sqlite
async def test_the_hub_reads_no_cookie_and_wants_no_token(hub: AppClient, door: str) -> None:
    headers = {"Cookie": "lifestream=nonsense", "Origin": "https://evil.example", "Authorization": "Bearer nonsense"}
    answer = await hub.post(door, data=publish(FETCHED), headers=headers)
    assert answer.status_code == 204
    assert "set-cookie" not in answer.headers


@pytest.mark.parametrize("door", ["/hub", "/"])
@on_sqlite
async def test_a_body_over_the_limit_is_413(hub: AppClient, door: str) -> None:
    form = publish(FETCHED, more="x" * 100_000)
    answer = await hub.post(door, data=form)
    assert answer.status_code == 413
    assert is_one_sentence(answer)
    assert await asked(hub) == 0


@on_sqlite
async def test_no_address_redirects_over_a_slash(hub: AppClient) -> None:
    for path in ("/hub/", "/push/x/", "/sources/", "/api/entries/", "/login/", "/feed.atom/", "/entries/", "/live/"):
        for method in ("GET", "POST"):
            answer = await hub.request(method, path, follow_redirects=False)
            assert not answer.is_redirect, f"{method} {path}"
            assert answer.status_code in (404, 405), f"{method} {path}"


def is_one_sentence(answer: Any) -> bool:
    text = answer.text.strip()
    plain = answer.headers["content-type"].startswith("text/plain")
    return plain and text.endswith(".") and "\n" not in text and len(text) < 300
