"""A part of the stream has one address, however it is spelt."""

from urllib.parse import parse_qsl, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lifestream.access import wanted_of
from lifestream.protocol.topics import Topic, canonical
from lifestream.types import Filter, Near

WORDS = st.text(st.characters(exclude_categories=("Cs",), exclude_characters="\0"), max_size=20)
FILTERS = st.builds(
    Filter, kind=st.sampled_from(["", "photo"]), source=st.sampled_from(["", "blog"]), tag=WORDS, q=WORDS,
    near=st.none() | st.builds(Near, st.floats(-90, 90), st.floats(-180, 180), st.floats(0.000001, 20_000)),
)  # fmt: skip


@pytest.mark.parametrize(
    ("wanted", "path", "page"),
    [
        (Filter(), "/feed.rss", "/"),
        (Filter(source="blog"), "/sources/blog/feed.rss", "/sources/blog"),
        (Filter(source="blog", kind="code"), "/feed.rss?kind=code&source=blog", "/?kind=code&source=blog"),
        (Filter(tag="Büro & Co"), "/feed.rss?tag=b%C3%BCro+%26+co", "/?tag=b%C3%BCro+%26+co"),
        (Filter(near=Near(51.50, -0.0000001, 10)), "/feed.rss?near=51.5,0,10", "/?near=51.5,0,10"),
        (Filter(q="  Two   words "), "/feed.rss?q=two+words", "/?q=two+words"),
    ],
    ids=["everything", "one source", "two filters", "a tag", "a place", "words"],
)
def test_a_filter_has_one_address(wanted: Filter, path: str, page: str) -> None:
    topic = Topic.of("rss", wanted)
    assert (topic.path, topic.page) == (path, page)


@given(wanted=FILTERS)
def test_what_is_canonical_stays_as_it_is(wanted: Filter) -> None:
    once = canonical(wanted)
    assert canonical(once) == once


@given(wanted=FILTERS.filter(lambda wanted: wanted.source != "blog" or bool(wanted.kind)))
def test_the_address_leads_back_to_the_filter(wanted: Filter) -> None:
    topic = Topic.of("atom", wanted)
    assert canonical(wanted_of(dict(parse_qsl(urlsplit(topic.path).query)))) == topic.wanted
