"""ActivityStreams 2: what an outbox is taken for, what is left out of it, and what cannot break it."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lifestream.errors import ParseError
from lifestream.parse import parse
from lifestream.types import Feed, RawEntry, Text

URL = "https://social.example/ana/outbox"
CONTEXT = "https://www.w3.org/ns/activitystreams"
PUBLIC = CONTEXT + "#Public"
NOTE = {"type": "Note", "id": "https://social.example/n/1", "content": "<p>Hello</p>"}


def read(document: Any, media_type: str = "") -> Feed:
    return parse(json.dumps(document).encode(), media_type, URL)


def outbox(*items: Any, **more: Any) -> Feed:
    return read({"@context": CONTEXT, "type": "OrderedCollection", "id": URL, "orderedItems": items, **more})


def entry(item: Any) -> RawEntry:
    (only,) = outbox(item).entries
    return only


def create(thing: Any, **more: Any) -> dict[str, Any]:
    return {"type": "Create", "id": "https://social.example/a/1", "object": thing, **more}


# -- documents --------------------------------------------------------------------------------


def test_a_json_feed_may_carry_a_context() -> None:
    item = {"id": "1", "content_text": "Hello", "_ld": {"@context": "https://schema.org", "@type": "BlogPosting"}}
    feed = {"version": "https://jsonfeed.org/version/1.1", "title": "Blog", "items": [item]}
    for document in (feed, {"@context": "https://schema.org"} | feed):
        found = read(document)
        assert (found.format, [one.id for one in found.entries]) == ("json", ["1"])
    with pytest.raises(ParseError, match="nor anything of ActivityStreams; its type is “Banana”"):
        read({"@context": CONTEXT, "type": "Banana"})


def test_an_actor_says_where_the_outbox_is() -> None:
    actor = {"@context": CONTEXT, "type": "Person", "id": "https://social.example/ana", "name": "Ana"}
    feed = read(actor | {"outbox": "/ana/outbox", "url": "https://social.example/@ana", "preferredUsername": "ana"})
    assert (feed.title, feed.site_url, feed.entries_at) == ("Ana", "https://social.example/@ana", URL)
    with pytest.raises(ParseError, match="without an outbox"):
        read(actor)


def test_an_outbox_without_items_says_where_its_first_page_is() -> None:
    feed = read(
        {"@context": CONTEXT, "type": "OrderedCollection", "id": URL, "totalItems": 9, "first": URL + "?page=1"}
    )
    assert (feed.entries, feed.entries_at) == ((), URL + "?page=1")
    assert outbox(create(NOTE), first=URL + "?page=1").entries_at == ""


def test_a_page_says_where_older_entries_are() -> None:
    page = {"type": "OrderedCollectionPage", "orderedItems": [create(NOTE)], "next": "?page=2"}
    assert read({"@context": CONTEXT, **page}).next_page == URL + "?page=2"
    inline = outbox(first={**page, "next": {"id": URL + "?page=3"}})
    assert (len(inline.entries), inline.next_page, inline.entries_at) == (1, URL + "?page=3", "")


@pytest.mark.parametrize(
    "alone", [NOTE, create(NOTE), {"type": "as:Like", "id": "urn:like", "object": "https://o.example/1"}]
)
def test_a_post_or_an_act_may_stand_alone(alone: dict[str, Any]) -> None:
    assert len(read({"@context": CONTEXT, **alone}).entries) == 1


def test_what_is_served_as_activity_json_needs_no_context() -> None:
    assert len(read(NOTE, "application/activity+json; charset=utf-8").entries) == 1


def test_other_json_ld_is_named_and_a_json_feed_stays_one() -> None:
    with pytest.raises(ParseError, match="its type is “Recipe”"):
        read({"@context": "https://schema.org", "type": "Recipe"})
    item = {"id": "1", "content_text": 'How to write {"@context": "…"}'}
    assert read({"version": "https://jsonfeed.org/version/1.1", "items": [item]}).format == "json"


# -- who may see it ---------------------------------------------------------------------------


@pytest.mark.parametrize("audience", [{}, {"to": PUBLIC}, {"to": ["x:y"], "cc": ["as:Public"]}, {"to": None}])
def test_what_is_for_everybody_is_read(audience: dict[str, Any]) -> None:
    assert len(outbox(create(NOTE, **audience)).entries) == len(outbox(create(NOTE | audience)).entries) == 1


@pytest.mark.parametrize("audience", [{"to": "x:friends"}, {"to": [], "cc": []}, {"to": [PUBLIC + "x"]}, {"bcc": [{}]}])
def test_what_is_for_some_is_left_out_wherever_it_says_so(audience: dict[str, Any]) -> None:
    like = {"type": "Like", "id": "urn:like"}
    feed = outbox(create(NOTE, **audience), create(NOTE | audience, to=PUBLIC), like | {"object": NOTE | audience})
    assert feed.entries == ()


# -- posts ------------------------------------------------------------------------------------


def test_a_post_has_the_id_that_its_deletion_names() -> None:
    deleted = {"type": "Delete", "id": "urn:x", "object": NOTE["id"]}
    feed = outbox(
        deleted, create({"type": "Tombstone", "id": "urn:gone", "deleted": "2026-01-01T00:00:00Z"}), create(NOTE)
    )
    assert [stone.ref for stone in feed.tombstones] == [feed.entries[0].id, "urn:gone"]
    assert feed.tombstones[1].when == "2026-01-01T00:00:00Z"


def test_an_edited_and_a_pinned_post_are_the_post() -> None:
    update = {"type": "Update", "id": "urn:u", "published": "2026-01-02T00:00:00Z", "object": NOTE}
    pinned = {"type": "Add", "id": "urn:p", "object": NOTE, "target": "https://social.example/featured"}
    edited, added = outbox(update, pinned).entries
    assert edited.id == added.id == NOTE["id"]
    assert (edited.published, edited.updated) == ("", "2026-01-02T00:00:00Z")


def test_a_post_known_by_address_only_is_a_link() -> None:
    found = entry(create("https://social.example/n/9", published="2026-01-02T00:00:00Z"))
    assert (found.id, found.link, found.published) == ("https://social.example/n/9",) * 2 + ("2026-01-02T00:00:00Z",)
    assert found.content == Text('<a href="https://social.example/n/9">https://social.example/n/9</a>', html=True)


def test_an_edit_of_which_only_an_address_is_told_replaces_nothing() -> None:
    update = {"type": "Update", "id": "urn:u", "object": NOTE["id"]}
    assert [each.content for each in outbox(create(NOTE), update, create("urn:nowhere")).entries] == [
        entry(NOTE).content
    ]


@pytest.mark.parametrize(
    ("url", "page"),
    [
        ("/p", "https://social.example/p"),
        ({"type": "Link", "href": "/p"}, "https://social.example/p"),
        (
            [{"href": "/v.mp4", "mediaType": "video/mp4"}, {"href": "/p", "mediaType": "text/html"}],
            "https://social.example/p",
        ),
        (["/p", "/q"], "https://social.example/p"),
        ([{"href": "/v.mp4", "mediaType": "video/mp4"}], NOTE["id"]),
        (["javascript:alert(1)", 5, None], NOTE["id"]),
    ],
)
def test_the_page_for_people_is_the_link(url: Any, page: str) -> None:
    assert entry(NOTE | {"url": url}).link == page


def test_a_group_s_announcement_is_unwrapped() -> None:
    announced = {"type": "Announce", "id": "urn:an", "object": {"type": "Announce", "object": create(NOTE)}}
    assert entry(announced).data["about"]["url"] == NOTE["id"]


@pytest.mark.parametrize(
    ("kind", "verb"), [("Event", "attend"), ("Place", "checkin"), ("Group", "follow"), ("X", "join")]
)
def test_what_is_joined_says_what_joining_is(kind: str, verb: str) -> None:
    assert entry({"type": "Join", "id": "urn:j", "object": {"type": kind, "id": "urn:o"}}).verb == verb


def test_a_journey_ends_where_it_leads_to() -> None:
    rome = {"type": "Place", "name": "Rome", "latitude": 41.9, "longitude": 12.5}
    found = entry({"type": "Travel", "id": "urn:t", "origin": {"type": "Place", "name": "Hove"}, "target": rome})
    assert found.location and (found.verb, found.location.name) == ("checkin", "Rome")


def test_acts_that_nobody_wants_to_read_are_left_out() -> None:
    acts = ("Block", "Flag", "Accept", "Reject", "Move", "Unheard")
    assert outbox(*({"type": act, "id": "urn:" + act, "object": "https://o.example/1"} for act in acts)).entries == ()


# -- broken documents -------------------------------------------------------------------------


@pytest.mark.parametrize(
    "field", ["content", "name", "summary", "url", "published", "attributedTo", "attachment", "tag", "to"]
)
@pytest.mark.parametrize(
    "value", [None, 5, True, [], {}, [[["x"]]], {"a": {"b": []}}, [None, {"href": 5}], "\ud800\0x"]
)
def test_a_field_of_any_type_costs_no_more_than_itself(field: str, value: Any) -> None:
    (*_, last) = outbox(create({**NOTE, field: value}), 5, None, [], "x", create(NOTE | {"id": "urn:2"})).entries
    assert last.id == "urn:2"


def test_deep_nesting_costs_nothing() -> None:
    deep: dict[str, Any] = dict(NOTE)
    for _ in range(200):
        deep = {"type": "Announce", "id": "urn:x", "object": deep}
    assert len(outbox(deep, create(NOTE)).entries) == 2
    body = '{"@context":"x","type":"OrderedCollection","orderedItems":[%s{"type":"Note","id":"urn:1"}]}'
    feed = parse((body % ('{"object":' * 5000 + "1" + "}" * 5000 + ",")).encode(), "", URL)
    assert feed.damaged and [entry.id for entry in feed.entries] == ["urn:1"]


WORDS = (
    "type id object actor orderedItems items first next url href content contentMap name nameMap summary to cc tag"
    " image icon attachment location latitude inReplyTo published mediaType outbox oneOf width Create Note Announce"
    " Delete Travel Question Person OrderedCollection Hashtag Tombstone"
).split()
ADDRESSES = st.sampled_from(["https://o.example/1", "http://[", "//", PUBLIC, "javascript:x", "\ud83d\0"])
ANYTHING: st.SearchStrategy[Any] = st.recursive(
    st.one_of(st.none(), st.booleans(), st.floats(), st.integers(), st.sampled_from(WORDS), ADDRESSES),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.sampled_from(WORDS), inner, max_size=6)),
    max_leaves=20,
)


@settings(max_examples=100, deadline=None)
@given(st.dictionaries(st.sampled_from(WORDS), ANYTHING), ANYTHING)
def test_no_json_leads_to_anything_but_a_feed_or_a_parse_error(whole: dict[str, Any], item: Any) -> None:
    for document in ({"@context": CONTEXT, **whole}, {"orderedItems": item}, create(item) | {"@context": CONTEXT}):
        try:
            str(read(document)).encode()  # nothing that a database or a socket could not take
        except ParseError as error:
            assert str(error).endswith(".")
