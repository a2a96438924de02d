"""What a document says of its feed as a whole: where older entries are, whom to ask for news, where it has gone."""

import json

import pytest

from lifestream.errors import ParseError
from lifestream.parse import parse
from lifestream.parse.extensions import seconds
from lifestream.types import Cloud, Feed

URL = "https://b.example/feed"


def atom(inside: str) -> Feed:
    history = "http://purl.org/syndication/history/1.0"
    return parse(f'<feed xmlns="http://www.w3.org/2005/Atom" xmlns:fh="{history}">{inside}</feed>'.encode(), "", URL)


def rss(inside: str) -> Feed:
    itunes = "http://www.itunes.com/dtds/podcast-1.0.dtd"
    return parse(f'<rss xmlns:itunes="{itunes}"><channel>{inside}</channel></rss>'.encode(), "", URL)


def json_feed(**said: object) -> Feed:
    return parse(json.dumps({"version": "https://jsonfeed.org/version/1.1", "items": [], **said}).encode(), "", URL)


def test_older_entries_are_on_the_next_page_or_in_the_archive_before() -> None:
    assert atom('<link rel="next" href="?page=2"/>').next_page == "https://b.example/feed?page=2"
    assert atom('<link rel="prev-archive" href="/2025"/>').next_page == "https://b.example/2025"
    both = '<link rel="prev-archive" href="/2025"/><link rel="next" href="?page=2"/>'
    assert atom(both).next_page == "https://b.example/feed?page=2"
    assert atom('<link rel="next" href="javascript:1"/>').next_page == ""
    assert json_feed(next_url="?page=2").next_page == "https://b.example/feed?page=2"


def test_a_feed_may_say_that_it_has_moved() -> None:
    assert rss("<itunes:new-feed-url> https://new.example/feed </itunes:new-feed-url>").moved_to == (
        "https://new.example/feed"
    )
    assert rss("<itunes:new-feed-url>/new</itunes:new-feed-url>").moved_to == "https://b.example/new"
    assert rss("<itunes:new-feed-url>javascript:1</itunes:new-feed-url>").moved_to == ""
    assert rss("<item><itunes:new-feed-url>https://new.example/</itunes:new-feed-url></item>").moved_to == ""


@pytest.mark.parametrize("inside", ["", "<newLocation/>", "<newLocation>javascript:1</newLocation>", "<newLocation>x"])
def test_a_redirect_to_nowhere_is_no_feed(inside: str) -> None:
    with pytest.raises(ParseError, match="its outermost element is <redirect>"):
        parse(f"<redirect>{inside}</redirect>".encode(), "", URL)


def test_a_feed_may_say_that_it_is_complete() -> None:
    assert atom("<fh:complete/>").complete
    assert not atom("<fh:archive/>").complete
    assert not json_feed(expired=True).complete  # that says that no more will come, not that this is all


@pytest.mark.parametrize(
    ("element", "cloud"),
    [
        (
            '<cloud domain="rpc.example" port="5337" path="/pleaseNotify" registerProcedure="" protocol="HTTP-POST"/>',
            Cloud("rpc.example", 5337, "/pleaseNotify", "http-post"),
        ),
        ('<cloud domain="b.example" path="/?x=notify"/>', Cloud("b.example", 80, "/?x=notify", "http-post")),
        ('<cloud domain="b.example" port="0"/>', None),
        ('<cloud domain="b.example" port="99999999999"/>', None),
        ('<cloud domain="b.example" port="-1"/>', None),
        ('<cloud port="80"/>', None),
    ],
)  # fmt: skip
def test_the_cloud_to_ask_is_read(element: str, cloud: Cloud | None) -> None:
    assert rss(element).cloud == cloud


@pytest.mark.parametrize(
    ("given", "meant"),
    [("95", 95), ("1:35", 95), ("1:02:03", 3723), ("12.7", 12), ("", None), ("0", None), ("1:2:3:4", None),
     ("-5", None), ("an hour", None), ("nan", None), ("inf", None)],
)  # fmt: skip
def test_how_long_something_lasts_is_in_seconds(given: str, meant: int | None) -> None:
    assert seconds(given) == meant


def test_an_object_does_not_shadow_its_entry_even_in_ruins() -> None:
    thing = b"<activity:object><id>urn:theirs</id><activity:object><title>Theirs</title></activity:object>"
    thing += b"<link rel='alternate' href='https://far.example/'/></activity:object>"
    own = b"<guid>urn:mine</guid><title>Mine</title><link>https://b.example/1</link>"
    body = b"<rss version=2.0><channel><item>" + thing + own + thing + b"</item></channel></rss>"
    (found,) = parse(body, "", URL).entries  # an attribute without quotes: only feedparser reads on
    assert found.title is not None
    assert (found.id, found.title.value, found.link) == ("urn:mine", "Mine", "https://b.example/1")


def test_items_that_were_left_inside_others_are_their_neighbours() -> None:
    found = rss(
        "<item><title>a</title><item><title>b</title><item><title>c</title></item></item></item><item><guid>d</guid></item>"
    )
    assert [entry.title.value if entry.title else entry.id for entry in found.entries] == ["a", "d", "b", "c"]
