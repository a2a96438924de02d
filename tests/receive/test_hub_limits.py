"""What strangers may ask of the hub, and what becomes of one too many."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from httpx2 import Response
from starlette.responses import PlainTextResponse

from lifestream.config import Config
from lifestream.protocol.addresses import Networks
from lifestream.receive import limits
from lifestream.store import subscribers
from tests.fakes import Subscriber, serving
from tests.living import Living, living, on_sqlite
from tests.stories import has_source

pytestmark = on_sqlite

STRANGER, ANOTHER = "198.51.100.7", "198.51.100.8"


@pytest.fixture
async def hub(config: Config, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Living]:
    """Behind a proxy that says who asks; with small limits."""
    monkeypatch.setattr(limits, "CALLER", (5, 0.01))
    monkeypatch.setattr(limits, "HOST", (8, 0.01))
    monkeypatch.setattr(limits, "ALL", (20, 0.01))
    config = config.model_copy(update={"trusted_proxies": Networks.parse("127.0.0.0/8")})
    async with living(config, background=False) as stream:
        yield stream


async def asks(
    hub: Living, caller: str, host: str = "you.example", path: str = "/cb", topic: str = "/feed.atom"
) -> Response:
    form = {"hub.mode": "subscribe", "hub.topic": hub.url + topic, "hub.callback": f"https://{host}{path}"}
    return await hub.http.post("/hub", data=form, headers={"X-Forwarded-For": caller} if caller else {})


async def until_refused(hub: Living, caller: str, hosts: list[str]) -> tuple[int, Response]:
    for number, host in enumerate(hosts):
        answer = await asks(hub, caller, host)
        if answer.status_code != 202:
            return number, answer
    raise AssertionError("never refused")


def is_too_many(answer: Response) -> bool:
    sentence = answer.text.strip()
    plain = answer.headers["content-type"].startswith("text/plain")
    return answer.status_code == 429 and int(answer.headers["Retry-After"]) >= 1 and plain and sentence.endswith(".")


async def test_a_caller_that_asks_too_much_is_answered_429_and_others_are_not(hub: Living) -> None:
    taken, answer = await until_refused(hub, STRANGER, [f"h{number}.example" for number in range(10)])
    assert taken == 5 and is_too_many(answer)
    assert (await asks(hub, ANOTHER, "other.example")).status_code == 202


async def test_a_callbacks_host_is_asked_no_more_than_so_much_whoever_wants_it(hub: Living) -> None:
    answers = [await asks(hub, f"198.51.100.{number}", "victim.example", f"/{number}") for number in range(9)]
    assert [answer.status_code for answer in answers[:8]] == [202] * 8
    assert is_too_many(answers[8])
    assert (await asks(hub, ANOTHER, "victim.example:8443")).status_code == 202, "another port is another host"


async def test_there_is_a_bound_for_all_together(hub: Living) -> None:
    answers = [await asks(hub, f"198.51.100.{number}", f"h{number}.example") for number in range(21)]
    assert [answer.status_code for answer in answers[:20]] == [202] * 20
    assert is_too_many(answers[20])


async def test_who_is_at_home_is_held_to_the_last_bound_only(hub: Living) -> None:
    answers = [await asks(hub, "", "you.example", f"/{number}") for number in range(15)]
    assert [answer.status_code for answer in answers] == [202] * 15


async def test_the_bound_on_subscriptions_that_are_kept(hub: Living, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "MOST_AT_A_HOST", 2)
    answers = [await asks(hub, "", "you.example", f"/{number}") for number in range(3)]
    assert [answer.status_code for answer in answers] == [202, 202, 429]
    assert (await asks(hub, "", "other.example")).status_code == 202


async def test_the_bound_on_parts_of_the_stream(config: Config, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "MOST_VIEWS", 2)
    subscriber = Subscriber()
    async with serving(subscriber.app) as at, living(config) as hub:

        async def wants(query: str, path: str = "/cb") -> int:
            form = {
                "hub.mode": "subscribe", "hub.topic": f"{hub.url}/feed.atom?{query}", "hub.callback": at + path,
                "hub.verify": "sync",
            }  # fmt: skip
            return (await hub.http.post("/hub", data=form)).status_code

        assert [await wants(f"tag={tag}") for tag in "abc"] == [204, 204, 429]
        assert await wants("tag=A", "/other") == 204, "it is the same part, by another spelling"


async def test_parts_that_nobody_has_confirmed_yet_count_too_and_so_do_those_who_ask_together(
    hub: Living, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "MOST_VIEWS", 2)
    answers = await asyncio.gather(*(asks(hub, "", topic=f"/feed.atom?tag={tag}") for tag in "abcd"))
    assert sorted(answer.status_code for answer in answers) == [202, 202, 429, 429]


async def test_the_streams_own_feeds_are_there_for_everybody_whatever_parts_are_taken(
    hub: Living, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "MOST_VIEWS", 1)
    await has_source(hub.site, "diary")
    topics = ["/feed.rss?tag=junk", "/feed.rss?tag=more", "/feed.atom", "/feed.rss", "/feed.json"]
    topics += ["/sources/diary/feed.json", "/feed.atom?source=diary", "/feed.atom?source=diary&kind=note"]
    answers = [(await asks(hub, "", topic=topic)).status_code for topic in topics]
    assert answers == [202, 429, 202, 202, 202, 202, 202, 429]


async def test_rssclouds_door_has_the_same_bounds(hub: Living) -> None:
    form = {
        "port": "80", "path": "/", "protocol": "http-post", "domain": "127.0.0.1", "url1": hub.url + "/feed.atom"
    }  # fmt: skip
    answers = [
        await hub.http.post("/rsscloud/pleaseNotify", data=form, headers={"X-Forwarded-For": STRANGER})
        for _ in range(6)
    ]
    assert is_too_many(answers[5])
    assert {answer.status_code for answer in answers[:5]} == {200}


class Undecided(Subscriber):
    """Gives rssCloud's challenge back once `many` were asked of it."""

    def __init__(self, many: int) -> None:
        super().__init__()
        self._all = asyncio.Barrier(many)

    async def _answer(self, request: Any) -> Any:
        await self._all.wait()
        return PlainTextResponse(request.query_params["challenge"])


async def registers(hub: Living, at: str, *tags: str) -> Response:
    form = {
        "port": at.rpartition(":")[2], "path": "/", "protocol": "http-post", "domain": "127.0.0.1",
        **{f"url{number}": f"{hub.url}/feed.atom?tag={tag}" for number, tag in enumerate(tags)},
    }  # fmt: skip
    return await hub.http.post("/rsscloud/pleaseNotify", data=form)


async def parts(hub: Living) -> int:
    async with hub.site.store.read() as db:
        return (await subscribers.counts(db))[0]


async def test_one_form_of_rssclouds_takes_no_more_than_is_left(hub: Living, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "MOST_VIEWS", 3)
    async with serving(Undecided(1).app) as at:
        assert is_too_many(await registers(hub, at, *"abcd"))
        assert await parts(hub) == 0
        assert 'success="true"' in (await registers(hub, at, *"abc")).text
        assert await parts(hub) == 3


async def test_forms_of_rssclouds_that_come_together_take_no_more_than_is_left(
    hub: Living, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While a callback thinks it over, nothing of what it may come to be subscribed to is put down."""
    monkeypatch.setattr(limits, "MOST_VIEWS", 3)
    async with serving(Undecided(2).app) as at:
        answers = await asyncio.gather(registers(hub, at, "a", "b"), registers(hub, at, "c", "d"))
    assert sorted(answer.status_code for answer in answers) == [200, 429]
    assert await parts(hub) == 2
