"""The publisher, as the W3C's test suite for WebSub asks it: discovery, a subscription with a lease, then a push."""

from collections.abc import AsyncIterator

import pytest

from lifestream.config import Config
from lifestream.parse import parse
from lifestream.protocol.links import parse_link_header
from tests.fakes import Subscriber, serving, until
from tests.living import Living, living, on_sqlite

pytestmark = on_sqlite


@pytest.fixture
async def publisher(config: Config) -> AsyncIterator[Living]:
    async with living(config) as stream:
        yield stream


@pytest.mark.parametrize(
    "path", ["/feed.atom", "/feed.rss", "/feed.json", "/feed.atom?kind=note", "/sources/notes/feed.atom"]
)
async def test_a_feed_names_its_hub_and_itself_and_its_hub_pushes_it(publisher: Living, path: str) -> None:
    await publisher.posts("before")
    answer = await publisher.http.get(path)
    links = parse_link_header(answer.headers.get_list("link"), publisher.url + path)
    hubs = [link.url for link in links if "hub" in link.rels]
    (topic,) = [link.url for link in links if "self" in link.rels]
    assert hubs == [publisher.hub] and topic == publisher.url + path
    document = parse(answer.content, answer.headers["content-type"], topic)
    assert (document.hubs, document.self_url) == ((publisher.hub,), topic)

    subscriber = Subscriber()
    async with serving(subscriber.app) as at:
        form = {"hub.mode": "subscribe", "hub.topic": topic, "hub.callback": f"{at}/callback?token=t"}
        asked = await publisher.http.post(hubs[0], data=form | {"hub.lease_seconds": "7200", "hub.verify": "sync"})
        assert asked.status_code == 204
        await until(lambda: subscriber.verifications)
        (verification,) = subscriber.verifications
        assert (verification["hub.topic"], verification["hub.lease_seconds"]) == (topic, "7200")
        await publisher.posts("after", kind="note")
        received = await subscriber.deliveries.get()
        assert received.query == {"token": "t"}
        assert received.body == (await publisher.http.get(path)).content
