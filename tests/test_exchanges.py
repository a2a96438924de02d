"""Every step of a protocol leaves its row in the log, and nothing in the log is secret."""

import base64
import hashlib
import hmac
import random
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Any

import pytest
from sqlalchemy import Update, func, select, update
from structlog.testing import capture_logs

from lifestream.config import Config
from lifestream.exchanges import Exchange
from lifestream.protocol.masking import LONGEST_URL, both_ends
from lifestream.recorder import MOST_ALIKE, ROW_BYTES, Recorder
from lifestream.site import Site
from lifestream.store import bells, exchanges
from lifestream.store.database import Store
from lifestream.store.exchanges import MOST_WIRES
from lifestream.store.tables import ExchangeRow, FeedRow, SubscriptionRow
from tests.documents import atom, entry
from tests.fakes import AppClient, FakeHub, Publisher, Subscriber, comes, serving
from tests.living import Living, living, on_sqlite

ATOM = {"Content-Type": "application/atom+xml"}
STEPS = ["Received", "Signature checked", "Parsed", "Stored", "Sent to browsers"]


@dataclass
class Street:
    """Our stream, a blog that it follows, and the hub that the blog names."""

    stream: Living
    blog: Publisher
    hub: FakeHub
    feed_url: str

    async def log(self, slug: str = "blog", **query: Any) -> list[dict[str, Any]]:
        path = f"/api/sources/{slug}/log" if slug else "/api/exchanges"
        answer = await self.stream.http.get(path, params=query, headers=await self.stream.owners())
        assert answer.status_code == 200, answer.text
        found: list[dict[str, Any]] = answer.json()
        return found

    async def newest(self, what: str, slug: str = "blog", **query: Any) -> dict[str, Any]:
        """The newest exchange of this kind, once there is one."""
        return (await comes(lambda: self.log(slug, what=what, **query)))[0]

    async def whole(self, exchange: dict[str, Any]) -> dict[str, Any]:
        answer = await self.stream.http.get(f"/api/exchanges/{exchange['id']}", headers=await self.stream.owners())
        found: dict[str, Any] = answer.json()
        return found

    async def subscription(self) -> Any:
        async with self.stream.site.store.read() as db:
            return (await db.execute(select(SubscriptionRow.token, SubscriptionRow.secret))).one()

    async def push(self, body: str, signature: str | None = "") -> int:
        """Pushes with the right signature; or with another one, or with none."""
        token, secret = await self.subscription()
        headers = ATOM | ({} if signature is None else {"X-Hub-Signature": signature or signed(body, secret)})
        answer = await self.stream.http.post(f"/push/{token}", content=body, headers=headers)
        return answer.status_code

    async def changes(self, change: Update, bell: str) -> None:
        async with self.stream.site.store.begin(rings=[bell]) as db:
            await db.execute(change)


@pytest.fixture
async def street(config: Config) -> AsyncIterator[Street]:
    blog, hub = Publisher(), FakeHub()
    async with AsyncExitStack() as stack:
        blog_url = await stack.enter_async_context(serving(blog.app))
        hub_url = await stack.enter_async_context(serving(hub.app))
        stream = await stack.enter_async_context(living(config))
        blog.publish("/feed", atom(entry(1), hubs=[hub_url]))
        street = Street(stream, blog, hub, f"{blog_url}/feed")
        await stream.adds(street.feed_url)
        await street.newest("fetch")  # once more after the hub has verified
        yield street


def signed(body: str, secret: str) -> str:
    return "sha256=" + hmac.new(secret.encode(), body.encode(), hashlib.sha256).hexdigest()


# -- each step --------------------------------------------------------------------------------


async def test_following_a_feed_leaves_each_step_of_it(street: Street) -> None:
    told = list(reversed(await street.log()))
    assert [(one["direction"], one["what"], one["status"], one["outcome"]) for one in told] == [
        ("out", "discovery", 200, "ok"), ("out", "subscribe", 202, "ok"), ("in", "challenge", 200, "ok"),
        ("out", "fetch", 304, "ok"),
    ]  # fmt: skip
    assert told[0]["detail"].startswith("polled: 1 new; it names the hub http://127.0.0.1:")
    assert told[2]["detail"] == "subscribe confirmed, for 86,400 seconds"
    assert all(one["duration"] > 0 and one["time"].endswith("Z") and one["source"] == "blog" for one in told)


async def test_a_push_tells_its_way_to_the_page(street: Street) -> None:
    body = atom(entry(2))
    assert await street.push(body) == 202
    push = await street.newest("push")
    assert [step["name"] for step in push["steps"]] == STEPS
    assert [step["at"] for step in push["steps"]] == sorted(step["at"] for step in push["steps"])
    assert (push["outcome"], push["detail"], push["steps"][1]["detail"]) == ("ok", "1 new", "sha256, matches")
    whole = await street.whole(push)
    assert (whole["request"]["body"], whole["request"]["size"]) == (body, len(body))
    assert whole["curl"].startswith(f"curl -i -X POST '{street.stream.url}/push/***'")


@on_sqlite
async def test_a_wrong_signature_is_shown_as_refused_with_what_was_expected(street: Street) -> None:
    body, wrong = atom(entry(2)), "sha256=" + "ab" * 32
    assert await street.push(body, wrong) == 202
    push = await street.newest("push")
    expected = signed(body, (await street.subscription()).secret)
    assert (push["status"], push["outcome"]) == (202, "refused")
    assert push["detail"] == f"the signature is wrong: sha256=abab…abab came, {both_ends(expected)} was expected"
    assert await street.push(body, None) == 403
    assert (await street.newest("push"))["outcome"] == "refused"


@on_sqlite
async def test_a_push_to_a_callback_that_is_none_is_nobodys(street: Street) -> None:
    assert (await street.stream.http.post("/push/nobodys", content=b"x")).status_code == 404
    assert await street.log(what="push") == []
    push = await street.newest("push", slug="")
    assert (push["source"], push["outcome"], push["url"]) == (None, "refused", f"{street.stream.url}/push/***")


@on_sqlite
async def test_what_cannot_be_read_is_a_failed_push(street: Street) -> None:
    assert await street.push("<feed") == 202
    push = await street.newest("push")
    assert push["outcome"] == "failed" and push["detail"].endswith("The feed is looked at instead.")


@on_sqlite
async def test_a_denial_a_renewal_and_the_end(street: Street) -> None:
    await street.changes(update(SubscriptionRow).values(due_at=street.stream.site.now()), bells.SUBSCRIPTIONS)
    assert (await street.newest("renewal"))["status"] == 202
    query = {"hub.mode": "denied", "hub.topic": street.feed_url, "hub.reason": "no more"}
    token, _ = await street.subscription()
    assert (await street.stream.http.get(f"/push/{token}", params=query)).status_code == 200
    denial = await street.newest("denial")
    assert (denial["direction"], denial["outcome"], denial["detail"]) == ("in", "refused", "no more")
    owner = await street.stream.owners()
    assert (await street.stream.http.delete("/api/sources/blog", headers=owner)).status_code == 204
    assert (await street.newest("unsubscribe", slug=""))["direction"] == "out"


@on_sqlite
async def test_a_ping_and_what_it_caused(street: Street) -> None:
    street.blog.publish("/feed", "gone for lunch", "text/plain")
    await street.stream.pings(street.feed_url)
    assert (await street.newest("ping"))["status"] == 204
    look = await street.newest("fetch", outcome="failed")
    assert look["status"] == 200 and look["detail"], "it was answered, and could not be read"
    await street.stream.pings("https://nobody.example/feed")
    assert (await street.newest("ping", slug=""))["status"] == 404


@on_sqlite
async def test_a_look_that_nobody_answers(street: Street) -> None:
    nowhere = {"url": "http://127.0.0.1:9999/feed", "discovered": True}
    await street.changes(update(FeedRow).values(due_at=street.stream.site.now(), **nowhere), bells.FEEDS)
    look = await street.newest("fetch", outcome="failed")
    assert look["status"] is None and "refused the connection" in look["detail"]


@on_sqlite
async def test_subscribers_of_our_hub(street: Street) -> None:
    reader, stream = Subscriber(), street.stream
    async with serving(reader.app) as at:
        topic = f"{stream.url}/feed.atom"
        form = {"hub.mode": "subscribe", "hub.topic": topic, "hub.callback": f"{at}/cb/77?k=1"}
        assert (await stream.http.post("/hub", data=form)).status_code == 202
        verify = await street.newest("verify", slug="")
        assert (verify["direction"], verify["status"], verify["about"]) == ("out", 200, topic)
        await comes(lambda: subscriptions_of(stream, "active"))
        await stream.posts("Hello")
        delivery = await street.newest("deliver", slug="")
        assert (delivery["status"], delivery["outcome"], delivery["url"]) == (204, "ok", f"{at}/***")
        (one,) = await subscriptions_of(stream, "active")
        assert (one["callback"], one["topic"], one["failures"]) == (f"{at}/cb/77?k=1", topic, 0)
        assert one["lease_seconds"] > 0 and one["lease_expires"]
        reader.status = 302
        await stream.posts("Hello again")
        elsewhere = await street.newest("deliver", slug="", outcome="failed")
        assert (elsewhere["status"], elsewhere["detail"]) == (302, "The callback answered 302.")
    subscribe = await street.newest("subscribe", slug="")
    assert (subscribe["direction"], subscribe["about"], subscribe["status"]) == ("in", topic, 202)


async def subscriptions_of(stream: Living, state: str) -> list[dict[str, Any]]:
    answer = await stream.http.get("/api/hub/subscriptions", headers=await stream.owners())
    return [one for one in answer.json() if one["state"] == state]


# -- no secrets -------------------------------------------------------------------------------


@on_sqlite
async def test_no_secret_is_in_the_log(street: Street) -> None:
    stream, hook_secret, callback_secret = street.stream, "hook-hush-hush", "callback-hush-hush"
    token, secret = await street.subscription()
    await street.push(atom(entry(2)))
    await street.push(f"{secret} and {stream.url}/push/{token}", "sha256=" + "ab" * 32)
    owner = await stream.owners()
    for adapter, header in (("gitlab", "X-Gitlab-Token"), ("generic", "Authorization"), ("gogs", "X-Odd")):
        hook = {"adapter": adapter, "slug": adapter, "secret": hook_secret}
        assert (await stream.http.post("/api/hooks", json=hook, headers=owner)).status_code == 201
        headers = {header: f"Bearer {hook_secret}" if header == "Authorization" else hook_secret}
        await stream.http.post(f"/hooks/{adapter}", json={"secret": hook_secret}, headers=headers)
        await stream.http.post(
            f"/hooks/{adapter}?token={hook_secret}", data={"payload": f'{{"secret":"{hook_secret}"}}'}
        )
    key = (await stream.token("scrobble"))["Authorization"].removeprefix("Bearer ")
    listen = {"listen_type": "playing_now", "payload": [{"track_metadata": {"artist_name": "A", "track_name": "B"}}]}
    await stream.http.post("/scrobble/1/submit-listens", json=listen, headers={"Authorization": f"Token {key}"})
    session = {"method": "auth.getMobileSession", "username": "mara", "password": key, "api_key": "x", "api_sig": "y"}
    answer = await stream.http.post("/scrobble/2.0/", data=session | {"format": "json"})
    session_key = answer.json()["session"]["key"]
    await stream.http.post("/scrobble/2.0/", data={"method": "track.love", "sk": session_key})
    form = {"hub.mode": "subscribe", "hub.topic": f"{stream.url}/feed.atom", "hub.secret": callback_secret}
    reader = Subscriber()
    async with serving(reader.app) as at:
        await stream.http.post("/hub", data=form | {"hub.callback": f"{at}/hidden-way?hidden=way"})
        await comes(lambda: subscriptions_of(stream, "active"))
        await stream.posts("Hello")
        await street.newest("deliver", slug="")
    said = await everything_in_the_log(stream.site)
    assert said.count("what=scrobble") == 3 and said.count("what=webhook") == 6 and "what=deliver" in said
    secrets = [token, secret, hook_secret, callback_secret, key, session_key, "hidden", owner["Authorization"]]
    assert [line for line in said.splitlines() if any(one in line for one in secrets)] == []


@on_sqlite
@pytest.mark.parametrize("media_type", ["", "text/plain", "application/json", "multipart/form-data; boundary=x"])
async def test_no_key_is_in_the_log_whatever_the_body_is_called(client: AppClient, media_type: str) -> None:
    key = (await client.token("scrobble"))["Authorization"].removeprefix("Bearer ")
    headers = {"Content-Type": media_type} if media_type else {}
    for path, form in (
        ("/scrobble/2.0/", f"method=track.love&sk={key}"),
        ("/scrobble/2.0/", f"\n&method=auth.getMobileSession&x={key}&password={key}"),
        ("/scrobble/2.0/", f"method=auth.getSession&token={key}"),
        (f"/scrobble/submissions/1.2/?x={key}", f"<a=1&s={key}"),
        ("/hub", f"hub.mode=subscribe&hub.topic=x&hub.callback=http://reader.example/cb&hub.secret={key}"),
    ):
        await client.post(path, content=form, headers=headers)
    await client.get(f"/scrobble/?hs=true&p=1.2&t=1&a={key}&odd={key}")
    said = await everything_in_the_log(client.site)
    assert said.count("what=scrobble") == 5 and said.count("what=") == 6
    assert key not in said


@on_sqlite
async def test_the_way_to_an_rsscloud_callback_is_not_in_the_log(client: AppClient) -> None:
    form = {"domain": "reader.example", "port": "80", "path": "/hidden/way", "url1": "https://nobody.example/feed"}
    for protocol in ("soap", "http-post"):
        await client.post("/rsscloud/pleaseNotify", data=form | {"protocol": protocol})
    said = await everything_in_the_log(client.site)
    assert said.count("what=subscribe") == 2 and said.count("path=***") == 2 and "hidden" not in said


async def everything_in_the_log(site: Site) -> str:
    await site.exchanges.flush()
    async with site.store.read() as db:
        rows = (await db.execute(select(*ExchangeRow.__table__.columns))).all()
    return "\n".join(f"what={row.what} {row} {exchanges.unpacked(row.wire)}" for row in rows)


@on_sqlite
async def test_only_the_owner_reads_the_log(street: Street) -> None:
    for path in ("/api/sources/blog/log", "/api/exchanges", "/api/exchanges/1", "/api/hub/subscriptions"):
        assert (await street.stream.http.get(path)).status_code == 401
        assert (await street.stream.http.get(path, headers=await street.stream.token("write"))).status_code == 403


@on_sqlite
async def test_the_log_is_read_page_by_page(street: Street) -> None:
    owner = await street.stream.owners()
    first = await street.stream.http.get("/api/sources/blog/log?limit=2", headers=owner)
    second = await street.stream.http.get(first.links["next"]["url"], headers=owner)
    assert first.json() + second.json() == await street.log()
    assert "next" not in second.links
    assert (await street.stream.http.get("/api/exchanges?what=gossip", headers=owner)).status_code == 400
    assert (await street.stream.http.get("/api/exchanges/99999999", headers=owner)).status_code == 404


# -- recording costs nobody anything ----------------------------------------------------------


@on_sqlite
async def test_many_alike_in_one_moment_are_counted(site: Site) -> None:
    for number in range(MOST_ALIKE + 25):
        exchange = Exchange("in", "push", about=str(number))
        exchange.answered(202, [], b"")
        site.exchanges.add(exchange)
    site.exchanges.add(Exchange("in", "push", about="failed"))
    await site.exchanges.flush()
    async with site.store.read() as db:
        rows = await exchanges.page(db, exchanges.Wanted(), limit=100)
    assert len(rows) == MOST_ALIKE + 1, "one that failed is not lost among those that went well"
    assert sum(row.alike for row in rows) == 25


@on_sqlite
@pytest.mark.parametrize("path", ["/hub", "/hooks/" + "a" * 30_000, "/scrobble/2.0/", "/rsscloud/ping", "/push/none"])
async def test_strangers_do_not_fill_the_log(client: AppClient, path: str) -> None:
    noise = base64.b64encode(random.Random(7).randbytes(45_000))
    headers = {f"X-{number}": noise[number * 999 :][:999].decode() for number in range(20)}
    for _ in range(MOST_ALIKE + 10):
        await client.post(path, content=b"x=" + noise, headers=headers)
    await client.site.exchanges.flush()
    async with client.site.store.read() as db:
        rows = (await db.execute(select(*ExchangeRow.__table__.columns))).all()
    assert len(rows) == MOST_ALIKE and rows[-1].alike == 10
    assert all(len(row.wire) < 6000 and len(row.url) <= LONGEST_URL and len(row.about) <= 100 for row in rows)
    assert exchanges.unpacked(rows[0].wire)["request"]["size"] == len(noise) + 2


@on_sqlite
async def test_of_who_has_a_key_the_whole_body_is_kept(client: AppClient) -> None:
    listen = {"listen_type": "import", "payload": [{"track_metadata": {"track_name": "x" * 9000}}]}
    await client.post("/scrobble/1/submit-listens", json=listen, headers=await client.token("scrobble"))
    assert "x" * 9000 in await everything_in_the_log(client.site)


@on_sqlite
async def test_the_log_is_tidied_once_it_has_grown(client: AppClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lifestream.recorder.TIDY_AFTER", 100 * ROW_BYTES)
    kept, whats = client.site.exchanges, ("push", "ping", "webhook")

    async def kept_wires() -> int:
        async with client.site.store.read() as db:
            return (await db.execute(select(func.count()).where(ExchangeRow.wire.is_not(None)))).scalar_one()

    for _ in range(MOST_WIRES // MOST_ALIKE + 2):
        for number in range(MOST_ALIKE):
            for what in whats:
                kept.add(Exchange("in", what, about=str(number)))
        await kept.flush()
    assert await kept_wires() == len(whats) * (MOST_WIRES + 2 * MOST_ALIKE)
    kept.add(Exchange("in", "push"))  # whoever collects wakes up

    async def tidy() -> bool:
        return await kept_wires() == len(whats) * MOST_WIRES

    await comes(tidy)


@on_sqlite
async def test_a_request_that_ends_in_an_error_is_told_with_its_answer(street: Street) -> None:
    answer = await street.stream.http.post("/hooks/nobodys", content=b"{}")
    told = await street.newest("webhook", slug="")
    assert (told["status"], told["outcome"], told["detail"] + "\n") == (404, "refused", answer.text)
    assert (await street.whole(told))["answer"]["body"] == answer.text


@on_sqlite
async def test_a_database_that_is_away_loses_exchanges_and_nothing_else(config: Config) -> None:
    store = Store("", config.data_dir / "no-tables.sqlite3")
    kept = Recorder(store)
    kept.add(Exchange("in", "push"))
    with capture_logs() as lines:
        await kept.flush()
    await store.aclose()
    assert [line["dropped"] for line in lines if "dropped" in line] == [1]


# -- trying it out ----------------------------------------------------------------------------


async def test_a_test_ping_shows_each_link_and_nobody_else_sees_it(street: Street) -> None:
    stream = street.stream
    before = await seen_by_everybody(stream)
    answer = await stream.http.post("/api/sources/blog/test", headers=await stream.owners())
    found = answer.json()
    assert found["ok"], found
    assert [link["name"] for link in found["links"]] == ["Reached from outside", "Callback", *STEPS[:-1], "Live page"]
    assert all(link["verdict"] == "ok" for link in found["links"])
    assert await seen_by_everybody(stream) == before
    changes = (await stream.http.get("/api/entries", params={"after": 0})).json()["entries"]
    assert [one["title"] for one in changes] == ["Post 1"], "not even a tombstone"
    sources = (await stream.http.get("/api/sources", headers=await stream.owners())).json()
    assert [one["slug"] for one in sources] == ["notes", "blog"]
    assert [(one["direction"], one["outcome"]) for one in await street.log(what="test")] == [
        ("in", "ok"),
        ("out", "ok"),
    ]


async def seen_by_everybody(stream: Living) -> list[str]:
    paths = ("/api/sources", "/feed.atom", "/sources", "/opml")
    return [(await stream.http.get(path)).text for path in paths]


@on_sqlite
async def test_a_test_ping_tells_where_hubs_are_sent_wrongly(street: Street) -> None:
    site = street.stream.site
    object.__setattr__(site, "settings", site.settings.at("http://127.0.0.1:1"))
    answer = await street.stream.http.post("/api/sources/notes/test", headers=await street.stream.owners())
    verdicts = {link["name"]: link["verdict"] for link in answer.json()["links"]}
    assert answer.json()["ok"] is False
    assert (verdicts["Callback"], verdicts["Stored"], verdicts["Live page"]) == ("failed", "ok", "ok")


@on_sqlite
async def test_a_hub_can_be_asked_for_a_push(street: Street) -> None:
    stream = street.stream
    answer = await stream.http.post("/api/sources/blog/ping", headers=await stream.owners())
    assert (street.hub.asked[-1]["hub.mode"], street.hub.asked[-1]["hub.url"]) == ("publish", street.feed_url)
    assert answer.json()["links"][0]["name"] == "The hub was asked"
    assert (await street.newest("ping"))["direction"] == "out"
    assert (await stream.http.post("/api/sources/notes/ping", headers=await stream.owners())).status_code == 409
