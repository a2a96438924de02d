"""The subscriber, as the W3C's test suite for WebSub meets it (subscriber tests 100 to 302), and as the wild does."""

import hashlib
import hmac
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl

import httpx2
import pytest
from sqlalchemy import select, update
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.routing import Route

from lifestream.config import Config
from lifestream.store import bells
from lifestream.store.tables import FeedRow, SubscriptionRow
from tests.documents import atom, entry
from tests.fakes import comes, serving, until
from tests.living import Living, living, on_sqlite

pytestmark = on_sqlite


@dataclass
class Blog:
    """The suite's blog and hub, on one port: /blog is the topic, /blog/hub the hub, /moved another address of it."""

    at: str = ""
    headers: list[str] = field(default_factory=list)
    body: str = ""
    media_type: str = "text/html"
    redirect: int = 0
    hub_redirect: int = 0
    refuses: Response | None = None
    asked: list[tuple[str, dict[str, str]]] = field(default_factory=list)
    verified: list[tuple[int, str]] = field(default_factory=list)

    @property
    def app(self) -> Starlette:
        return Starlette(
            routes=[
                Route("/blog", self._topic),
                Route("/blog/{hub:path}", self._hub, methods=["POST"]),
            ]
        )

    def links(self, *names: str) -> list[str]:
        return [f'<{self.at}/blog/hub>; rel="hub"', f'<{self.at}/blog>; rel="self"'] if not names else list(names)

    async def _topic(self, request: Request) -> Response:
        if self.redirect and not request.url.query:
            return RedirectResponse("/blog?redirect=complete", self.redirect)
        answer = Response(self.body, media_type=self.media_type)
        for link in self.headers:
            answer.headers.append("Link", link)
        return answer

    async def _hub(self, request: Request) -> Response:
        form = dict(parse_qsl((await request.body()).decode(), keep_blank_values=True))
        name = request.path_params["hub"]
        if self.hub_redirect and name == "hub":
            return RedirectResponse("/blog/other", self.hub_redirect)
        self.asked.append((name, form))
        if self.refuses:
            return self.refuses
        if name == "wrong":
            return PlainTextResponse("wrong_discovery_priority", 400)
        await self.verify(form)
        return PlainTextResponse("", 202)

    async def verify(self, form: dict[str, str], **changed: str) -> int:
        query = {"hub.mode": form["hub.mode"], "hub.topic": form["hub.topic"], "hub.challenge": "x" * 20}
        if form["hub.mode"] == "subscribe":
            query["hub.lease_seconds"] = "86400"
        async with httpx2.AsyncClient(verify=False) as http:
            answer = await http.get(form["hub.callback"], params=query | changed)
        self.verified.append((answer.status_code, answer.text))
        return answer.status_code

    async def push(self, body: str, *, signature: str | None = "right", media_type: str = "text/html") -> int:
        form = next(form for _, form in reversed(self.asked) if "hub.secret" in form)
        headers = {"Content-Type": media_type, "Link": f"<{self.at}/blog>; rel=self, <{self.at}/blog/hub>; rel=hub"}
        digest = hmac.new(form["hub.secret"].encode(), body.encode(), hashlib.sha256).hexdigest()
        if signature == "right":
            headers["X-Hub-Signature"] = f"sha256={digest}"
        elif signature is not None:
            headers["X-Hub-Signature"] = signature.format(digest=digest)
        async with httpx2.AsyncClient(verify=False) as http:
            return (await http.post(form["hub.callback"], content=body, headers=headers)).status_code


@dataclass
class Meeting:
    stream: Living
    blog: Blog

    async def adds(self) -> dict[str, Any]:
        return await self.stream.adds(self.blog.at + "/blog")

    async def subscribed(self) -> dict[str, Any]:
        return await self.stream.becomes("blog", lambda source: source["delivery"] == "websub")

    async def looks(self) -> int:
        async with self.stream.site.store.read() as db:
            return int((await db.execute(select(FeedRow.asked))).scalar_one())


@pytest.fixture
async def meeting(config: Config) -> AsyncIterator[Meeting]:
    async with AsyncExitStack() as stack:
        blog = Blog()
        blog.at = await stack.enter_async_context(serving(blog.app))
        stream = await stack.enter_async_context(living(config))
        blog.body, blog.headers = h_feed(), blog.links()
        yield Meeting(stream, blog)


def h_feed(head: str = "", *posts: str) -> str:
    entries = "".join(f'<div class="h-entry"><p class="e-content">{post}</p></div>' for post in posts or ("first",))
    return f"<html><head><title>Blog</title>{head}</head><body class='h-feed'>{entries}</body></html>"


# -- discovery --------------------------------------------------------------------------------


async def test_100_hub_and_self_in_link_headers(meeting: Meeting) -> None:
    await meeting.adds()
    await meeting.subscribed()


async def test_101_hub_and_self_in_the_head_of_a_page(meeting: Meeting) -> None:
    at = meeting.blog.at
    meeting.blog.headers = []
    meeting.blog.body = h_feed(f'<link rel="hub" href="{at}/blog/hub"><link rel="self" href="{at}/blog">')
    await meeting.adds()
    await meeting.subscribed()


async def test_102_hub_and_self_in_an_atom_feed(meeting: Meeting) -> None:
    at = meeting.blog.at
    meeting.blog.headers, meeting.blog.media_type = [], "text/xml"
    meeting.blog.body = atom(entry(1), hubs=[f"{at}/blog/hub"], self_url=f"{at}/blog")
    await meeting.adds()
    await meeting.subscribed()


async def test_103_hub_and_self_in_an_rss_feed(meeting: Meeting) -> None:
    at = meeting.blog.at
    meeting.blog.headers, meeting.blog.media_type = [], "text/xml"
    meeting.blog.body = (
        f'<rss version="2.0" xmlns:atom="http://www.w3.org/2005/Atom"><channel><title>B</title><link>{at}</link>'
        f'<atom:link rel="hub" href="{at}/blog/hub"/><atom:link rel="self" href="{at}/blog"/>'
        "<item><title>one</title><guid>1</guid></item></channel></rss>"
    )
    await meeting.adds()
    await meeting.subscribed()


async def test_104_link_headers_come_before_the_document(meeting: Meeting) -> None:
    at = meeting.blog.at
    meeting.blog.media_type = "text/xml"
    meeting.blog.body = atom(entry(1), hubs=[f"{at}/blog/wrong"], self_url=f"{at}/blog")
    await meeting.adds()
    await meeting.subscribed()
    assert {name for name, _ in meeting.blog.asked} == {"hub"}


async def test_200_the_topic_is_the_self_address(meeting: Meeting) -> None:
    at = meeting.blog.at
    meeting.blog.headers = [f'<{at}/blog/hub>; rel="hub"', f'<{at}/blog?self=other>; rel="self"']
    await meeting.adds()
    await meeting.subscribed()
    assert meeting.blog.asked[0][1]["hub.topic"] == f"{at}/blog?self=other"


@pytest.mark.parametrize(("number", "status"), [(201, 302), (202, 301)])
async def test_201_202_a_topic_that_redirects(meeting: Meeting, number: int, status: int) -> None:
    at = meeting.blog.at
    meeting.blog.redirect = status
    meeting.blog.headers = [f'<{at}/blog/hub>; rel="hub"', f'<{at}/blog?redirect=complete>; rel="self"']
    await meeting.adds()
    await meeting.subscribed()
    assert meeting.blog.asked[0][1]["hub.topic"] == f"{at}/blog?redirect=complete"


@pytest.mark.parametrize(("number", "status"), [(203, 307), (204, 308), (0, 301), (0, 302)])
async def test_203_204_a_hub_that_redirects_is_sent_the_form_again(meeting: Meeting, number: int, status: int) -> None:
    meeting.blog.hub_redirect = status
    await meeting.adds()
    await meeting.subscribed()
    assert [name for name, _ in meeting.blog.asked] == ["other"]
    assert meeting.blog.asked[0][1]["hub.mode"] == "subscribe"


@pytest.mark.parametrize(
    "header",
    [
        "<{hub}>; rel=hub, <{self}>; rel=self", '<{hub}> rel="hub", <{self}> rel="self"',
        "<{self}>;rel='self',<{hub}>;REL=\"HUB\"", '<{hub}>; rel="hub nofollow", <{self}>; rel="alternate self"',
        '<{other}>; rel="preload"; as=style, <{hub}>; rel="hub", <{self}>; rel="self"',
    ],
)  # fmt: skip
async def test_links_as_the_wild_writes_them(meeting: Meeting, header: str) -> None:
    at = meeting.blog.at
    meeting.blog.headers = [header.format(hub=f"{at}/blog/hub", self=f"{at}/blog", other=f"{at}/style.css,print")]
    await meeting.adds()
    if "rel='" not in header:  # single quotes are no quotes; the hub is found, self is the address fetched
        await meeting.subscribed()


# -- verification -----------------------------------------------------------------------------


async def test_205_a_verification_of_another_topic_is_404(meeting: Meeting) -> None:
    await meeting.adds()
    _, form = meeting.blog.asked[0]
    assert await meeting.blog.verify(form, **{"hub.topic": meeting.blog.at + "/blog?invalid"}) == 404


async def test_5_3_1_a_subscription_that_is_wanted_is_confirmed_however_often_a_hub_asks(meeting: Meeting) -> None:
    await meeting.adds()
    _, form = meeting.blog.asked[0]
    assert await meeting.blog.verify(form) == 200
    assert await meeting.blog.verify(form | {"hub.mode": "unsubscribe"}) == 404, "nobody else may end it"


async def test_5_2_a_denial_may_come_at_any_time(meeting: Meeting) -> None:
    await meeting.adds()
    await meeting.subscribed()
    _, form = meeting.blog.asked[0]
    assert await meeting.blog.verify(form, **{"hub.mode": "denied", "hub.reason": "no more"}) == 200
    source = await meeting.stream.becomes("blog", lambda source: source["state"] == "denied")
    assert source["delivery"] == "polling" and "no more" in source["last_error"]


async def test_who_left_confirms_it_and_says_that_the_callback_is_gone(meeting: Meeting) -> None:
    await meeting.adds()
    await meeting.subscribed()
    _, form = meeting.blog.asked[0]
    await meeting.stream.http.delete("/api/sources/blog", headers=await meeting.stream.owners())
    await until(lambda: meeting.blog.asked[-1][1]["hub.mode"] == "unsubscribe")
    await until(lambda: meeting.blog.verified[-1] == (200, "x" * 20) and len(meeting.blog.verified) == 2)
    assert await meeting.blog.verify(form | {"hub.mode": "unsubscribe"}) == 200
    assert await meeting.blog.push(h_feed("", "late")) == 410


@pytest.mark.parametrize("status", [503, 429])
async def test_a_hub_that_wants_to_be_left_alone_is(meeting: Meeting, status: int) -> None:
    meeting.blog.refuses = PlainTextResponse("busy", status, headers={"Retry-After": "7200"})
    answer = await meeting.stream.http.post(
        "/api/sources", json={"url": meeting.blog.at + "/blog", "slug": "blog"}, headers=await meeting.stream.owners()
    )
    assert answer.status_code == 201
    store, now = meeting.stream.site.store, meeting.stream.site.now()

    async def refused() -> Any:
        async with store.read() as db:
            row = (await db.execute(select(*SubscriptionRow.__table__.columns))).one_or_none()
            return row if row and row.last_error and row.claimed_until is None else None

    row = await comes(refused)
    assert (row.due_at - now).total_seconds() >= 7190
    assert "busy" in row.last_error


async def test_a_hub_that_does_not_do_its_part_makes_room_for_the_next(meeting: Meeting) -> None:
    at, stream = meeting.blog.at, meeting.stream
    meeting.blog.headers = [
        f'<{at}/blog/wrong>; rel="hub"', f'<{at}/blog/hub>; rel="hub"', f'<{at}/blog>; rel="self"'
    ]  # fmt: skip
    await stream.http.post("/api/sources", json={"url": at + "/blog", "slug": "blog"}, headers=await stream.owners())

    async def asked_three_times() -> bool:
        is_over = SubscriptionRow.claimed_until.is_(None)  # the last try, that is
        async with stream.site.store.begin(rings=[bells.SUBSCRIPTIONS]) as db:
            await db.execute(update(SubscriptionRow).where(is_over).values(due_at=stream.site.now()))
        return len(meeting.blog.asked) >= 3

    await comes(asked_three_times)
    assert {name for name, _ in meeting.blog.asked} == {"wrong"}

    async def another() -> bool:
        async with stream.site.store.begin(rings=[bells.FEEDS]) as db:
            await db.execute(update(FeedRow).values(due_at=stream.site.now(), claimed_until=None))
        return meeting.blog.asked[-1][0] == "hub"

    await comes(another)
    source = await meeting.subscribed()
    assert source["hub_url"] == f"{at}/blog/hub"


# -- deliveries -------------------------------------------------------------------------------


@pytest.mark.parametrize("media_type", ["text/html", "application/atom+xml", "text/plain", "", "application/json"])
async def test_300_a_signed_delivery_is_taken_whatever_it_is_called(meeting: Meeting, media_type: str) -> None:
    at = meeting.blog.at
    meeting.blog.headers, meeting.blog.media_type = [], "text/xml"
    meeting.blog.body = atom(entry(1), hubs=[f"{at}/blog/hub"], self_url=f"{at}/blog")
    await meeting.adds()
    assert 200 <= await meeting.blog.push(atom(entry(2)), media_type=media_type) < 300
    await meeting.stream.shows("Post 2", "Post 1")
    assert 200 <= await meeting.blog.push(atom(entry(2)), media_type=media_type) < 300  # once more
    assert 200 <= await meeting.blog.push(atom(entry(3)), media_type=media_type) < 300
    await meeting.stream.shows("Post 3", "Post 2", "Post 1")


@pytest.mark.parametrize("signature", ["sha256={digest}1234", "sha256=00", "md5={digest}", "nonsense"])
async def test_301_a_wrong_signature_is_answered_2xx_and_nothing_follows(meeting: Meeting, signature: str) -> None:
    await meeting.adds()
    await meeting.subscribed()
    before = await meeting.looks()
    assert 200 <= await meeting.blog.push(h_feed("", "forged"), signature=signature) < 300
    assert await meeting.looks() == before
    assert 200 <= await meeting.blog.push(h_feed("", "true")) < 300
    await comes(lambda: meeting.stream.titles())
    answer = await meeting.stream.http.get("/api/entries")
    assert "forged" not in answer.text


async def test_302_a_missing_signature_is_403_and_a_reason_to_look(meeting: Meeting) -> None:
    await meeting.adds()
    await meeting.subscribed()
    before = await meeting.looks()
    assert await meeting.blog.push(h_feed("", "unsigned"), signature=None) == 403
    assert await meeting.looks() == before + 1


async def test_an_empty_delivery_is_a_reason_to_look(meeting: Meeting) -> None:
    await meeting.adds()
    await meeting.subscribed()
    before = await meeting.looks()
    assert 200 <= await meeting.blog.push("") < 300
    assert await meeting.looks() == before + 1
