"""`/push/{token}`: whom we tell that it was us, and whose pushes we believe."""

import hashlib
import hmac
from typing import Any
from urllib.parse import urlencode

import pytest
from sqlalchemy import select, update

from lifestream.app import create_app, running
from lifestream.config import Config
from lifestream.store import sources, subscriptions
from lifestream.store.tables import FeedRow, InboxRow, SubscriptionRow
from tests.documents import atom, entry
from tests.fakes import AppClient
from tests.living import on_sqlite

TOPIC = "https://blog.example/feed?a=1&b=ü"
SECRET = "a secret between the two of us"
PUSH = "/push/the-token"
BODY = atom(entry(1)).encode()
ATOM = "application/atom+xml"


@pytest.fixture
async def pushes(client: AppClient) -> AppClient:
    """The app with one subscription, active at some hub."""
    site, now = client.site, client.site.now()
    async with site.store.begin() as db:
        await sources.add_feed(db, "https://blog.example/", now=now, slug="blog")
        feed_id = (await sources.get(db, "blog", audience="owner")).feed_id
        assert feed_id is not None
        await db.execute(update(FeedRow).values(discovered=True, due_at=None, first_document_at=now, fetched_at=now))
        await subscriptions.add(
            db, feed_id=feed_id, hub_url="https://hub.example/", topic=TOPIC, token="the-token", secret=SECRET, now=now
        )
    await stands(client, "active")
    return client


async def stands(client: AppClient, state: str, **more: Any) -> None:
    async with client.site.store.begin() as db:
        await db.execute(update(SubscriptionRow).values(state=state, **more))


async def state(client: AppClient) -> str:
    async with client.site.store.read() as db:
        return (await db.execute(select(SubscriptionRow.state))).scalar_one()


async def inbox(client: AppClient) -> list[bytes]:
    async with client.site.store.read() as db:
        return list((await db.execute(select(InboxRow.body))).scalars())


async def looks_asked(client: AppClient) -> int:
    async with client.site.store.read() as db:
        return (await db.execute(select(FeedRow.asked - FeedRow.looked))).scalar_one()


def asks(mode: str = "subscribe", topic: str = TOPIC, challenge: str = "c-12345", **more: str) -> str:
    return f"{PUSH}?" + urlencode({"hub.mode": mode, "hub.topic": topic, "hub.challenge": challenge} | more)


def signed(body: bytes = BODY, method: str = "sha256", secret: str = SECRET) -> dict[str, str]:
    digest = hmac.new(secret.encode(), body, getattr(hashlib, method)).hexdigest()
    return {"Content-Type": ATOM, "X-Hub-Signature": f"{method}={digest}"}


# -- verification of intent -------------------------------------------------------------------


@pytest.mark.parametrize("asked_in", ["pending", "active", "denied"])
async def test_a_subscription_that_is_wanted_is_confirmed_with_the_challenge_alone(
    pushes: AppClient, asked_in: str
) -> None:
    await stands(pushes, asked_in)
    answer = await pushes.get(asks() + "&hub.lease_seconds=86400")
    assert (answer.status_code, answer.text) == (200, "c-12345")
    assert await state(pushes) == "active"


@on_sqlite
@pytest.mark.parametrize("topic", ["https://blog.example/feed", TOPIC + "#x", TOPIC.upper(), ""])
async def test_another_topic_is_not_confirmed(pushes: AppClient, topic: str) -> None:
    await stands(pushes, "pending")
    assert (await pushes.get(asks(topic=topic))).status_code == 404
    assert await state(pushes) == "pending"


@on_sqlite
async def test_a_token_that_nobody_gave_out_confirms_nothing(pushes: AppClient) -> None:
    assert (await pushes.get(asks().replace("the-token", "another"))).status_code == 404


@pytest.mark.parametrize("stands_in", ["leaving", "ended"])
async def test_what_is_not_wanted_any_more_is_not_confirmed(pushes: AppClient, stands_in: str) -> None:
    await stands(pushes, stands_in)
    assert (await pushes.get(asks())).status_code == 404
    assert await state(pushes) == stands_in


async def test_leaving_is_confirmed_when_we_leave_and_only_then(pushes: AppClient) -> None:
    assert (await pushes.get(asks("unsubscribe"))).status_code == 404
    assert await state(pushes) == "active"
    await stands(pushes, "leaving")
    answer = await pushes.get(asks("unsubscribe"))
    assert (answer.status_code, answer.text) == (200, "c-12345")
    assert await state(pushes) == "ended"


@on_sqlite
@pytest.mark.parametrize("mode", ["", "publish", "SUBSCRIBE", "denied\0"])
async def test_a_mode_that_is_none_is_not_confirmed(pushes: AppClient, mode: str) -> None:
    assert (await pushes.get(asks(mode))).status_code == 404


@on_sqlite
@pytest.mark.parametrize("challenge", ["", "two words", "<script>", "x" * 600])
async def test_a_challenge_is_never_a_page(pushes: AppClient, challenge: str) -> None:
    answer = await pushes.get(asks(challenge=challenge))
    assert answer.status_code == 404 or "<script>" not in answer.text or "text/plain" in answer.headers["content-type"]
    assert answer.headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize("stands_in", ["pending", "active"])
async def test_a_denial_counts_at_any_time(pushes: AppClient, stands_in: str) -> None:
    await stands(pushes, stands_in)
    query = urlencode({"hub.mode": "denied", "hub.topic": TOPIC, "hub.reason": "no,\nthank you"})
    assert (await pushes.get(f"{PUSH}?{query}")).status_code == 200
    assert await state(pushes) == "denied"
    async with pushes.site.store.read() as db:
        blog = await sources.get(db, "blog", audience="owner")
    assert (blog.state, blog.delivery) == ("denied", "polling")
    assert blog.last_error and "no, thank you" in blog.last_error


@on_sqlite
async def test_a_denial_of_another_topic_does_not_count(pushes: AppClient) -> None:
    query = urlencode({"hub.mode": "denied", "hub.topic": "https://other.example/"})
    assert (await pushes.get(f"{PUSH}?{query}")).status_code == 404
    assert await state(pushes) == "active"


async def test_after_verification_the_topic_is_looked_at_once_more(pushes: AppClient) -> None:
    await stands(pushes, "pending")
    await pushes.get(asks() + "&hub.lease_seconds=86400")
    assert await looks_asked(pushes) == 1
    await pushes.get(asks() + "&hub.lease_seconds=86400")  # a renewal: nothing was missed meanwhile
    assert await looks_asked(pushes) == 1


@on_sqlite
@pytest.mark.parametrize(
    ("granted", "days"), [("86400", 1), ("999999999999", 14), ("soon", 10), ("0", 10), ("-5", 10), ("", 10)]
)
async def test_a_lease_is_believed_within_reason(pushes: AppClient, granted: str, days: float) -> None:
    assert (await pushes.get(asks() + f"&hub.lease_seconds={granted}")).status_code == 200
    async with pushes.site.store.read() as db:
        row = (await db.execute(select(SubscriptionRow.verified_at, SubscriptionRow.expires_at))).one()
        due_at = (await db.execute(select(SubscriptionRow.due_at))).scalar_one()
    assert (row.expires_at - row.verified_at).total_seconds() == days * 86_400
    assert row.verified_at < due_at < row.expires_at


# -- pushes -----------------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["sha1", "sha256", "sha384", "sha512"])
async def test_a_push_with_the_right_signature_is_in_the_inbox_when_it_is_acknowledged(
    pushes: AppClient, method: str
) -> None:
    answer = await pushes.post(PUSH, content=BODY, headers=signed(method=method))
    assert 200 <= answer.status_code < 300
    assert await inbox(pushes) == [BODY]
    assert await looks_asked(pushes) == 0


@on_sqlite
async def test_a_signature_in_capitals_is_as_right(pushes: AppClient) -> None:
    header = signed()["X-Hub-Signature"].replace("sha256=", "SHA256=").upper()
    await pushes.post(PUSH, content=BODY, headers={"X-Hub-Signature": header})
    assert await inbox(pushes) == [BODY]


async def test_a_missing_signature_is_refused_and_a_hint(pushes: AppClient) -> None:
    assert (await pushes.post(PUSH, content=BODY, headers={"Content-Type": ATOM})).status_code == 403
    assert await inbox(pushes) == []
    assert await looks_asked(pushes) == 1


@on_sqlite
@pytest.mark.parametrize(
    "header",
    ["sha256=" + "0" * 64, "sha1=" + "0" * 40, "sha256=", "sha256", "md5=" + "0" * 32, "none=", "=", "x", "sha256=é"],
)
async def test_a_wrong_signature_is_answered_like_a_right_one_and_changes_nothing(
    pushes: AppClient, header: str
) -> None:
    right = await pushes.post(PUSH, content=BODY, headers=signed())
    async with pushes.site.store.begin() as db:
        await db.execute(InboxRow.__table__.delete())
    wrong = await pushes.post(PUSH, content=BODY, headers={"X-Hub-Signature": header.encode()})
    assert (wrong.status_code, wrong.content) == (right.status_code, right.content)
    assert await inbox(pushes) == []
    assert await looks_asked(pushes) == 0


@on_sqlite
async def test_a_signature_of_other_bytes_is_wrong(pushes: AppClient) -> None:
    assert (await pushes.post(PUSH, content=BODY + b"\n", headers=signed())).status_code < 300
    assert await inbox(pushes) == []


async def test_an_empty_push_with_the_right_signature_is_a_hint(pushes: AppClient) -> None:
    assert (await pushes.post(PUSH, content=b"", headers=signed(b""))).status_code < 300
    assert await inbox(pushes) == []
    assert await looks_asked(pushes) == 1


@on_sqlite
@pytest.mark.parametrize("header", ["é", "sha256=ü" + "0" * 63, "\u00ff" * 20])
async def test_no_signature_header_breaks_anything(pushes: AppClient, header: str) -> None:
    for raw in (header.encode(), header.encode("latin-1")):
        answer = await pushes.post(PUSH, content=BODY, headers={"X-Hub-Signature": raw})
        assert answer.status_code < 300
    assert await inbox(pushes) == []


@on_sqlite
async def test_the_link_headers_of_a_push_are_not_believed(pushes: AppClient) -> None:
    links = {"Link": '<https://evil.example/>; rel="self", <https://evil.example/hub>; rel="hub"'}
    assert (await pushes.post(PUSH, content=BODY, headers=signed() | links)).status_code < 300
    assert await inbox(pushes) == [BODY]


@on_sqlite
async def test_a_push_to_a_token_that_nobody_gave_out_is_404(pushes: AppClient) -> None:
    assert (await pushes.post("/push/another", content=BODY, headers=signed())).status_code == 404
    assert await inbox(pushes) == []


@pytest.mark.parametrize("stands_in", ["leaving", "ended"])
async def test_a_push_to_a_subscription_that_is_over_is_410(pushes: AppClient, stands_in: str) -> None:
    await stands(pushes, stands_in)
    assert (await pushes.post(PUSH, content=BODY, headers=signed())).status_code == 410
    assert await inbox(pushes) == []


@on_sqlite
@pytest.mark.parametrize("stands_in", ["pending", "denied"])
async def test_the_secret_counts_while_a_renewal_is_under_way(pushes: AppClient, stands_in: str) -> None:
    await stands(pushes, stands_in)
    assert (await pushes.post(PUSH, content=BODY, headers=signed())).status_code < 300
    assert await inbox(pushes) == [BODY]


@on_sqlite
async def test_a_push_over_the_limit_is_413(config: Config) -> None:
    app = create_app()
    small = config.model_copy(update={"max_feed_bytes": 4096})
    async with running(app, small, background=False), AppClient(app, config.base_url) as client:

        async def parts() -> Any:
            for _ in range(10):
                yield b"x" * 1000

        for body in (b"x" * 5000, parts()):
            assert (await client.post(PUSH, content=body)).status_code == 413
        async with client.site.store.read() as db:
            assert not (await db.execute(select(InboxRow.id))).all()


@on_sqlite
async def test_methods_that_hubs_do_not_use_do_no_harm(pushes: AppClient) -> None:
    assert (await pushes.head(PUSH)).status_code == 405
    assert (await pushes.get(PUSH)).status_code == 404
    for method in ("PUT", "DELETE", "PATCH"):
        assert (await pushes.request(method, PUSH)).status_code == 405
    assert (await pushes.get(PUSH + "/", follow_redirects=False)).status_code == 404
    assert await state(pushes) == "active"


async def test_a_query_of_garbage_is_no_500(pushes: AppClient) -> None:
    for query in ("%00", "hub.mode=%ff&hub.topic=%ff", "&&&=&", "hub.mode=subscribe&" * 500):
        assert (await pushes.get(f"{PUSH}?{query}")).status_code == 404
    assert (await pushes.post("/push/%00", content=b"x")).status_code == 404
    assert (await pushes.get("/push/%00?hub.mode=subscribe")).status_code == 404


@on_sqlite
async def test_a_push_needs_neither_cookie_nor_csrf_token_and_gets_no_cookie(pushes: AppClient) -> None:
    foreign = {"Origin": "https://hub.example", "Cookie": "lifestream=x"}
    answer = await pushes.post(PUSH, content=BODY, headers=signed() | foreign)
    assert answer.status_code < 300
    assert "set-cookie" not in answer.headers


@on_sqlite
async def test_asking_for_the_head_alone_verifies_nothing(pushes: AppClient) -> None:
    await stands(pushes, "pending")
    assert (await pushes.head(asks())).status_code == 405
    assert await state(pushes) == "pending"
