"""Who an entry is, whether it changed, and what of it is shown."""

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from lifestream.clean.entries import Identified, clean, identify, tombstone_identities
from lifestream.parse import parse
from lifestream.types import Author, Entry, Feed, Kind, Location, Media, RawEntry, Text, Tombstone

HOSTILE = Path(__file__).parent.parent / "parse" / "data" / "hostile"
URL = "https://b.example/feed"
NOW = datetime(2026, 1, 6, tzinfo=UTC)


def identified(*entries: RawEntry, **about: object) -> list[Identified]:
    return identify(Feed("atom", entries=entries, **about), URL)  # type: ignore[arg-type]


def read(name: str) -> Feed:
    return parse((HOSTILE / name).read_bytes(), "", URL)


def hostile(name: str) -> list[Identified]:
    return identify(read(name), URL)


def titles(name: str) -> list[Text | None]:
    """Of the entries that were told apart."""
    entries = read(name).entries
    return [entries[item.at].title for item in hostile(name)]


def cleaned(raw: RawEntry, feed: Feed | None = None, default: Kind | None = None) -> Entry:
    feed = replace(feed or Feed("atom"), entries=(raw,))
    (item,) = identify(feed, URL)
    return clean(item, feed, URL, default, NOW)


# -- identity ---------------------------------------------------------------------------------


def test_an_entry_twice_in_one_document_is_one_and_the_later_wins() -> None:
    assert titles("id-duplicate-entries.atom") == [Text("new")]


def test_different_posts_under_one_id_are_all_kept() -> None:
    assert titles("id-duplicate-guids.xml") == [Text("Post 5"), Text("Post 4"), Text("Post 3")]


@pytest.mark.parametrize(
    ("name", "count"),
    [("id-almost-equal.atom", 7), ("id-link-reused-scrobbles.xml", 3), ("id-missing.xml", 4), ("dates-odd.xml", 25)],
)
def test_nothing_distinct_is_merged(name: str, count: int) -> None:
    items = hostile(name)
    assert len({item.identity for item in items}) == len(items) == count
    assert [item.identity for item in hostile(name)] == [item.identity for item in items]


def test_an_id_of_any_length_is_a_short_key() -> None:
    (item,) = identified(RawEntry(id="urn:" + "x" * 100_000))
    assert len(item.identity) <= 64


def test_a_change_of_date_alone_is_none() -> None:
    raw = RawEntry(id="1", title=Text("t"), published="2026-01-01", updated="2026-01-01", base="http://a.example/")
    (one,) = identified(raw)
    (other,) = identified(replace(raw, published="2026-01-02", updated="2026-01-02", base="https://a.example/"))
    assert one.digest == other.digest


@pytest.mark.parametrize(
    "change",
    [
        {"title": Text("u")},
        {"title": Text("t", html=True)},
        {"content": Text("c")},
        {"summary": Text("c")},
        {"link": "/2"},
        {"tags": ("a",)},
        {"media": (Media("image", "https://a.example/1.jpg"),)},
        {"author": Author("A")},
        {"location": Location(1, 2)},
        {"verb": "like"},
        {"data": {"track": "x"}},
    ],
    ids=lambda change: "-".join(change),
)
def test_any_other_change_is_one(change: dict[str, object]) -> None:
    raw = RawEntry(id="1", title=Text("t"))
    (one,), (other,) = identified(raw), identified(replace(raw, **change))  # type: ignore[arg-type]
    assert one.identity == other.identity
    assert one.digest != other.digest


def test_a_digest_is_what_it_was_in_every_database_there_is() -> None:
    raw = RawEntry(
        id="1",
        link="https://b.example/1",
        title=Text("T"),
        content=Text("<p>c</p>", html=True),
        summary=Text("s"),
        author=Author("Ada", "https://b.example/ada"),
        tags=("a", "b"),
        media=(Media("image/jpeg", "https://b.example/1.jpg", 3, 2, "One"),),
        location=Location(1.5, 2.0, "Pier"),
        verb="post",
        object_type="note",
        in_reply_to="https://b.example/0",
        language="en",
        data={"b": 1, "a": {"c": "d"}},
    )
    bare, whole = identified(RawEntry(id="2", title=Text("T")), raw)
    assert bare.digest == "bf0ad2661891d84466c10b44a9c16931e23388e3"
    assert whole.digest == "3c736af2d4cc07adf674eb8bcb36f9c852e16113"


def test_http_and_https_are_one_page() -> None:
    one, other, third = identified(
        RawEntry(id="1", link="http://a.example/p/"),
        RawEntry(id="2", link="https://a.example/p"),
        RawEntry(id="3", link="https://a.example/P"),
    )
    assert one.link_key == other.link_key != third.link_key
    assert identified(RawEntry(id="1"))[0].link_key == ""


def test_a_page_of_its_own_is_one_of_several() -> None:
    assert [one.own_page for one in identified(RawEntry(link="/1"), RawEntry(link="/2"))] == [True, True]
    assert not identified(RawEntry(link="/1"))[0].own_page
    home, post = identified(RawEntry(id="1", link="/"), RawEntry(id="2", link="/2"), site_url="https://b.example/")
    assert (home.own_page, post.own_page) == (False, True)


def test_entries_of_one_page_are_told_apart_by_their_titles() -> None:
    one, other = identified(RawEntry(link="/", title=Text("One")), RawEntry(link="/", title=Text("Other")))
    assert one.identity != other.identity
    assert not one.own_page


@pytest.mark.parametrize(
    "raw",
    [
        RawEntry(link="https://fm.example/artist/A/track/B"),
        RawEntry(link="https://fm.example/music/A/_/B"),
        RawEntry(link="https://venue.example/1", location=Location(1.0, 2.0)),
        RawEntry(link="https://venue.example/1", verb="http://activitystrea.ms/schema/1.0/listen"),
    ],
)
def test_what_is_heard_or_visited_has_no_page_of_its_own(raw: RawEntry) -> None:
    assert not identified(raw, RawEntry(link="/other"))[0].own_page


def test_a_missing_date_of_publication_is_that_of_the_update() -> None:
    (item,) = identified(RawEntry(id="1", updated="2026-01-05T10:00:00Z"))
    assert item.published == item.updated == datetime(2026, 1, 5, 10, tzinfo=UTC)


def test_a_tombstone_names_the_entry_it_is_for() -> None:
    (item,) = identified(RawEntry(id="urn:1"))
    feed = Feed("atom", tombstones=(Tombstone("urn:1", "2026-01-01T00:00:00Z"), Tombstone("urn:1"), Tombstone("urn:2")))
    gone = tombstone_identities(feed)
    assert gone[item.identity] == datetime(2026, 1, 1, tzinfo=UTC)
    assert len(gone) == 2


# -- the clean form ---------------------------------------------------------------------------


def test_an_html_title_is_reduced_to_text_and_a_text_title_is_literal() -> None:
    assert cleaned(RawEntry(id="1", title=Text("AT&amp;T <b>now</b>", html=True))).title == "AT&T now"
    assert cleaned(RawEntry(id="1", title=Text("<b>&amp;"))).title == "<b>&amp;"
    assert cleaned(RawEntry(id="1", title=Text(" \n "))).title is None


def test_relative_addresses_count_from_the_right_place() -> None:
    content = Text('<a href="x">x</a>', html=True, base="https://base.example/sub/")
    atom = cleaned(RawEntry(id="1", link="p", content=content, base="https://base.example/"))
    assert (atom.url, 'href="https://base.example/sub/x"' in atom.content_html) == ("https://base.example/p", True)
    rss = cleaned(RawEntry(id="1", link="p/1", content=content, base="https://site.example/"), Feed("rss"))
    assert 'href="https://site.example/p/x"' in rss.content_html


def test_a_base_that_is_no_web_address_is_ignored() -> None:
    feed = read("xmlbase-javascript.atom")
    (item,) = identify(feed, URL)
    entry = clean(item, feed, URL, None, NOW)
    assert entry.url == "https://b.example/x"
    assert 'href="https://b.example/y"' in entry.content_html


def test_only_web_addresses_are_links() -> None:
    bad = "javascript:alert(1)"
    entry = cleaned(RawEntry(id="1", link=bad, author=Author("N", bad, bad), media=(Media("image/png", bad),)))
    assert (entry.url, entry.author, entry.media) == (None, Author("N"), ())


def test_plain_text_becomes_paragraphs() -> None:
    assert cleaned(RawEntry(id="1", content=Text("a < b\n\nc\nd"))).content_html == "<p>a &lt; b</p><p>c<br>d</p>"


def test_pictures_of_the_content_are_media_too() -> None:
    carried = Media("image/jpeg", "https://b.example/1.jpg", alt="One")
    content = Text('<img src="/1.jpg"><img src="/2.jpg" alt="Two">', html=True)
    assert cleaned(RawEntry(id="1", content=content, media=(carried,))).media == (
        carried,
        Media("image", "https://b.example/2.jpg", alt="Two"),
    )


def test_the_feed_speaks_for_an_entry_that_does_not() -> None:
    feed = Feed("atom", language="de", author=Author("Ada", "/ada"))
    entry = cleaned(RawEntry(id="1"), feed)
    assert (entry.language, entry.author) == ("de", Author("Ada", "https://b.example/ada"))
    assert cleaned(RawEntry(id="1", author=Author("Bea"), language="en"), feed).author == Author("Bea")


def test_a_date_of_publication_is_kept_whatever_it_is_and_none_is_made_up() -> None:
    assert cleaned(RawEntry(id="1", published="yesterday")).published is None
    assert cleaned(RawEntry(id="1", published="2099-01-01")).published == datetime(2099, 1, 1, tzinfo=UTC)


def test_the_year_one_is_no_date() -> None:
    zero = "0001-01-01T00:00:00Z"
    assert identified(RawEntry(id="1", published=zero))[0].published is None
    assert identified(RawEntry(id="1", updated=zero))[0].published is None
    assert identified(RawEntry(id="1", published=zero, updated="2026-01-05"))[0].published == datetime(
        2026, 1, 5, tzinfo=UTC
    )


def test_each_listen_of_a_song_is_another_entry() -> None:
    page = "https://libre.example/artist/Bea/track/Shed"
    one = RawEntry(id=page, link=page, published="2026-01-05T10:00:00Z")
    (first,), (second,) = identified(one), identified(replace(one, published="2026-01-05T10:04:00Z"))
    assert first.identity != second.identity
    assert identified(one)[0].identity == first.identity


def test_what_a_stranger_says_in_data_is_made_safe() -> None:
    bad = {"about": {"url": "javascript:alert(1)", "title": "x" * 9999, "deep": {"a": {"b": {"c": {"deepest": 1}}}}}}
    data = cleaned(RawEntry(id="1", data={**bad, "note_html": "<script>1</script>ok", "object": object()})).data
    assert data["about"]["url"] == ""
    assert len(data["about"]["title"]) == 4096
    assert data["note_html"] == "ok"
    assert "object" not in data and "deepest" not in str(data)


@pytest.mark.parametrize(
    ("title", "kept"),
    [
        ("New note by ada", None),
        ("New York", "New York"),
        ("Favorite", None),
        ("Warp and weft", None),
        ("A loom", "A loom"),
        ("Warp and...", None),
    ],
)
def test_a_title_that_no_person_wrote_is_none(title: str, kept: str | None) -> None:
    raw = RawEntry(id="1", title=Text(title), content=Text("Warp and weft"), object_type=SCHEMA + "note")
    assert cleaned(raw).title == kept
    assert cleaned(replace(raw, object_type="", content=Text("Else"))).title == title
    assert cleaned(replace(raw, object_type=SCHEMA + "article", content=Text("Else"))).title == title


def test_a_picture_in_two_sizes_is_one() -> None:
    content = Text('<img src="/1.jpg?w=450" alt="One">', html=True)
    (medium,) = cleaned(
        RawEntry(id="1", content=content, media=(Media("image/jpeg", "https://b.example/1.jpg"),))
    ).media
    assert medium == Media(
        "image/jpeg", "https://b.example/1.jpg", alt="One", thumbnail="https://b.example/1.jpg?w=450"
    )


def test_a_plain_summary_made_of_html_is_read_as_meant() -> None:
    assert cleaned(RawEntry(id="1", summary=Text("a&nbsp;&amp; b"))).summary == "a & b"


def test_an_update_in_the_future_does_not_shut_out_later_ones() -> None:
    assert cleaned(RawEntry(id="1", updated="2099-01-01")).updated is None
    assert cleaned(RawEntry(id="1", updated="2026-01-05")).updated == datetime(2026, 1, 5, tzinfo=UTC)


def test_tags_are_each_once() -> None:
    assert cleaned(RawEntry(id="1", tags=("Roses", "#roses", " red  rose ", ""))).tags == ("Roses", "red rose")


def test_stored_strings_are_bounded() -> None:
    long = "x" * 10_000
    entry = cleaned(
        RawEntry(id="1", title=Text(long), author=Author(long), tags=(long,), content=Text(long), in_reply_to=long)
    )
    assert entry.title is not None and entry.author is not None
    assert max(map(len, (entry.title, entry.author.name, entry.tags[0], entry.summary))) <= 500
    assert len(entry.in_reply_to) <= 2048


PHOTO, FILM, SOUND = (Media(kind, "https://b.example/m") for kind in ("image/jpeg", "video", "audio/mpeg"))
SCHEMA = "http://activitystrea.ms/schema/1.0/"


@pytest.mark.parametrize(
    ("kind", "raw"),
    [
        ("article", RawEntry(id="1", title=Text("t"))),
        ("note", RawEntry(id="1", content=Text("c"))),
        ("note", RawEntry(id="1", title=Text("New note"), object_type=SCHEMA + "note")),
        ("photo", RawEntry(id="1", media=(PHOTO,))),
        ("article", RawEntry(id="1", title=Text("t"), content=Text("long " * 200), media=(PHOTO,))),
        ("article", RawEntry(id="1", title=Text("t"), media=(replace(PHOTO, thumbnail=PHOTO.url),))),
        ("video", RawEntry(id="1", title=Text("t"), media=(PHOTO, FILM))),
        ("audio", RawEntry(id="1", title=Text("t"), media=(SOUND,))),
        ("like", RawEntry(id="1", verb=SCHEMA + "favorite", media=(PHOTO,))),
        ("repost", RawEntry(id="1", verb="share")),
        ("follow", RawEntry(id="1", verb=SCHEMA + "follow")),
        ("reply", RawEntry(id="1", verb="post", in_reply_to="https://x.example/1")),
        ("photo", RawEntry(id="1", object_type=SCHEMA + "photo")),
        ("code", RawEntry(id="1", title=Text("t"), link="https://git.example/o/x/commit/0123456789abcdef")),
        ("code", RawEntry(id="1", title=Text("t"), link="https://gitlab.example/o/x/-/compare/a...b")),
        ("code", RawEntry(id="tag:github.com,2008:Grit::Commit/0123456789abcdef", title=Text("t"))),
        ("code", RawEntry(id="1", title=Text("t"), link="https://git.example/?p=life.git;a=commitdiff;h=abc")),
        ("checkin", RawEntry(id="1", title=Text("@ Pier"), location=Location(1, 2))),
        ("article", RawEntry(id="1", title=Text("Pier"), location=Location(1, 2))),
        ("photo", RawEntry(id="1", title=Text("@ Pier"), location=Location(1, 2), media=(PHOTO,))),
        ("photo", RawEntry(id="1", content=Text('<img src="/1.jpg" alt="One">', html=True))),
        ("video", RawEntry(id="1", content=Text('<video src="/1.webm"></video>', html=True))),
        ("follow", RawEntry(id="1", verb=SCHEMA + "join")),
        ("event", RawEntry(id="1", verb=SCHEMA + "rsvp-no")),
        ("event", RawEntry(id="1", verb="rsvp-interested")),
        ("other", RawEntry(id="1", verb=SCHEMA + "unlike")),
        ("checkin", RawEntry(id="1", verb="checkin", media=(PHOTO,), location=Location(1, 2))),
        ("note", RawEntry(id="1", content=Text("Long " * 30 + "we checked in"), location=Location(1, 2))),
        ("article", RawEntry(id="1", title=Text("Left"), location=Location(1, 2))),
        ("checkin", RawEntry(id="1", title=Text("Ann Lee just checked in at Pier"), location=Location(1, 2))),
        ("checkin", RawEntry(id="1", title=Text("Ann checked in: Pier"), location=Location(1, 2, "Pier"))),
        ("article", RawEntry(id="1", title=Text("Ann checked in Piers"), location=Location(1, 2, "Pier"))),
        ("note", RawEntry(id="1", content=Text("My luggage was checked in late"), location=Location(1, 2))),
        ("article", RawEntry(id="1", title=Text("t"), link="https://blog.example/src/tag/rust")),
        ("release", RawEntry(id="1", title=Text("t"), link="https://git.example/o/x/src/tag/v1")),
        ("code", RawEntry(id="tag:github.com,2008:PushEvent/1")),
        ("like", RawEntry(id="tag:github.com,2008:WatchEvent/1")),
        ("release", RawEntry(id="1", title=Text("t"), link="https://github.com/o/x/releases/tag/v1")),
    ],
)
def test_the_kind_is_found(kind: Kind, raw: RawEntry) -> None:
    assert cleaned(raw).kind == kind


def test_the_owners_word_decides_what_is_left_open() -> None:
    assert cleaned(RawEntry(id="1", title=Text("t")), default="listen").kind == "listen"
    assert cleaned(RawEntry(id="1", verb="like"), default="listen").kind == "like"
    assert cleaned(RawEntry(id="1", verb="unlike"), default="like").kind == "other"
