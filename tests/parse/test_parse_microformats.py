"""Pages that are feeds themselves: h-feeds, and the profiles of Gogs."""

import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lifestream.clean.entries import clean_all, identify
from lifestream.errors import ParseError
from lifestream.parse import parse, parse_well_formed
from lifestream.parse.microformats import PAGE_CHARS
from lifestream.reading import read_document
from lifestream.types import Feed, RawEntry

DATA = Path(__file__).parent / "data"
URL = "https://ana.example/blog/"


def read(html: str, media_type: str = "text/html") -> Feed:
    return parse(html.encode(), media_type, URL)


def entry(inside: str) -> RawEntry:
    (only,) = read(f'<div class="h-entry">{inside}</div>').entries
    return only


def title(inside: str) -> str:
    found = entry(inside).title
    return found.value if found else ""


# -- which page is a feed ---------------------------------------------------------------------


def test_entries_without_a_feed_are_one() -> None:
    feed = read("<title>Ana</title>" + "".join(f"<p><a class='x h-entry' href='{n}'>{n}</a>" for n in range(3)))
    assert (feed.title, [each.link for each in feed.entries]) == ("Ana", [f"{URL}{n}" for n in range(3)])


def test_the_entries_beside_a_feed_are_not_in_it() -> None:
    feed = read('<a class="h-entry" href="0"></a><div class="h-feed"><p class="h-entry">x</p></div>')
    assert [each.title.value for each in feed.entries if each.title] == ["x"]


@pytest.mark.parametrize("page", ['<div class="h-feed"></div>', "<p>On h-entry</p>", '<p class="h-card">Ana</p>'])
def test_a_page_without_entries_is_a_page(page: str) -> None:
    with pytest.raises(ParseError, match=r"This is an HTML page \(“Ana”\), not a feed."):
        read(f"<html><title>Ana</title>{page}")


def test_mf2py_is_imported_for_pages_that_need_it_only() -> None:
    script = """
import sys
from lifestream.errors import ParseError
from lifestream.parse import parse
try:
    parse(b"<html><body class=entry>On h-entry", "", "")
except ParseError:
    print("mf2py" in sys.modules)
"""
    found = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "False"


async def test_a_page_is_read_in_the_worker() -> None:
    page = (DATA / "h-feed.html").read_bytes()
    assert parse_well_formed(page, "", URL) is None
    assert (await read_document(page, "", URL)).feed.title == "Ana"


def test_an_old_encoding_is_taken_from_the_page() -> None:
    page = '<meta charset="windows-1251"><p class="h-entry">Змей</p>'.encode("windows-1251")
    (only,) = parse(page, "text/html", URL).entries
    assert only.title and only.title.value == "Змей"


def test_a_page_that_begins_as_xml_is_read_without_a_word_of_warning() -> None:
    assert read('<?xml version="1.0"?><div><p class="h-entry">x</p></div>').entries


# -- what an entry says -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("inside", "expected"),
    [
        ('<p class="p-name e-content">All of it.</p>', ""),
        ('<p class="p-name">All of…</p><p class="e-content">All of it.</p>', ""),
        ('<p class="p-name">All</p><p class="e-content">of it.</p>', "All"),
        ('<div class="e-content"><a class="p-name u-bookmark-of" href="/b">All</a> of it.</div>', "All"),
    ],
)
def test_the_beginning_of_a_note_is_no_title(inside: str, expected: str) -> None:
    assert title(inside) == expected


@pytest.mark.parametrize(
    ("inside", "verb"),
    [
        ('<a class="u-repost-of u-like-of" href="/x">', "share"),
        ('<a class="u-watch-of" href="/x">', "watch"),
        ('<a class="u-follow-of" href="/x">', "follow"),
        ('<data class="p-rsvp" value="NO"><a class="u-in-reply-to" href="/x">', "rsvp-no"),
    ],
)
def test_what_was_done_to_what(inside: str, verb: str) -> None:
    found = entry(inside)
    assert (found.verb, found.data["about"]) == (verb, {"url": "https://ana.example/x"})


@pytest.mark.parametrize(
    ("inside", "verb", "said", "about"),
    [
        ('<p class="p-ate h-food"><b class="p-name">Pancakes</b></p>', "ate", "Ate Pancakes", {"title": "Pancakes"}),
        ('<p class="p-drank">Oat milk</p>', "drank", "Drank Oat milk", {"title": "Oat milk"}),
        ('<a class="u-ate" href="/pie">Pie</a>', "ate", "Pie", {"url": "https://ana.example/pie"}),
        ('<a class="u-play-of h-cite" href="/go">Go</a>', "played", "Played Go",
         {"url": "https://ana.example/go", "title": "Go"}),
        ('<p class="p-exercise">Run</p>', "exercised", "Exercise: Run", {"title": "Run"}),
        ('<p class="p-read-of h-cite">Emma</p><p class="p-read-status">finished</p>', "read", "Finished reading Emma",
         {"title": "Emma"}),
        ('<p class="p-read-of h-cite">Emma</p><p class="p-read-status">to-read</p>', "read", "Wants to read Emma",
         {"title": "Emma"}),
        ('<p class="p-read-of h-cite">Emma</p><p class="e-content">Dear.</p>', "read", "", {"title": "Emma"}),
        ('<a class="u-play-of" href="/go">Go</a><p class="p-category">games</p>', "played",
         "Played https://ana.example/go", {"url": "https://ana.example/go"}),
        ('<p class="p-ate">Pie</p><p class="p-summary">Too much.</p>', "ate", "", {"title": "Pie"}),
        ('<h1 class="p-name">Breakfast</h1><p class="p-ate">Pie</p>', "ate", "Breakfast", {"title": "Pie"}),
    ],
)  # fmt: skip
def test_a_deed_is_told_where_nothing_else_is_said(inside: str, verb: str, said: str, about: dict[str, str]) -> None:
    feed = read(f'<div class="h-entry">{inside}</div>')
    (found,) = feed.entries
    assert (found.verb, found.data["about"], title(inside)) == (verb, about, said)
    (cleaned,) = clean_all(identify(feed, URL), feed, URL, None, datetime(2026, 1, 1, tzinfo=UTC))
    assert cleaned.kind == "note"


def test_a_jam_is_listened_to() -> None:
    found = entry(
        '<p class="u-jam-of h-cite"><a class="u-url p-name" href="/s">Song</a> <i class="p-author">Bo</i></p>'
    )
    assert (found.verb, found.data["track"], found.data["artist"]) == ("listen", "Song", "Bo")


@pytest.mark.parametrize("place", ['<p class="p-checkin h-card">Cafe Blue</p>', '<p class="p-checkin">Cafe Blue</p>'])
def test_the_name_of_a_place_is_no_address(place: str) -> None:
    feed = read(f'<div class="h-entry"><a class="u-url" href="/1"></a>{place}</div>')
    assert feed.entries[0].data["about"] == {"title": "Cafe Blue"}
    (cleaned,) = clean_all(identify(feed, URL), feed, URL, None, datetime(2026, 1, 1, tzinfo=UTC))
    assert (cleaned.kind, cleaned.title, cleaned.url) == ("checkin", "Cafe Blue", "https://ana.example/1")


def test_a_name_on_the_page_is_put_to_an_author_s_address() -> None:
    page = '<a class="h-card" href="/ana">Ana</a><p class="h-entry"><a class="u-author" href="/ana/"></a></p>'
    (only,) = read(page).entries
    assert only.author and only.author.name == "Ana"


# -- hostile pages ----------------------------------------------------------------------------


def test_no_script_comes_out_of_a_hostile_page() -> None:
    feed = parse((DATA / "hostile" / "mf2-xss.html").read_bytes(), "", URL)
    (entry,) = clean_all(identify(feed, URL), feed, URL, None, datetime(2026, 1, 1, tzinfo=UTC))
    assert entry.url is None
    assert "alert" not in str(entry)


@pytest.mark.parametrize(
    "opening", ['<div class="h-entry p-comment">', '<b class="e-content">', "<i>", '<i class="h-feed">']
)
@pytest.mark.parametrize("depth", [90, 500, 20_000])
def test_deep_nesting_costs_neither_stack_nor_entry(opening: str, depth: int) -> None:
    feed = read(f'<a class="h-entry" href="1">One</a><div class="h-entry">{opening * depth}</div>')
    assert feed.entries[0].link == URL + "1"


def test_a_page_without_end_is_read_for_its_beginning() -> None:
    feed = read('<a class="h-entry" href="1">One</a>' + "x" * PAGE_CHARS)
    assert feed.damaged and len(feed.entries) == 1


PIECES = st.sampled_from(
    [
        '<div class="h-entry">', '<div class="h-feed">', "</div>", '<a class="u-url" href="http://[">', "</a>", "<svg>",
        "<base href='//['>", "<base href=5>", '<p class="e-content">', '<p class="p-name dt-published">', "<template>",
        '<p class="p-author h-card">', '<img class="u-photo" src>', '<a class="u-like-of h-cite" href="x">', "<!--",
        '<data class="p-geo h-geo p-latitude" value="9">', '<a rel="next hub" href="http://[">', '<b class="value">',
        "1:00", "2026-13-45", "text", "\0", "&#xd800;",
    ]
)  # fmt: skip


@settings(max_examples=150, deadline=None)
@given(st.lists(PIECES, max_size=25))
def test_no_html_leads_to_anything_but_a_feed_or_a_parse_error(pieces: list[str]) -> None:
    try:
        str(read('<p class="h-entry">' + "".join(pieces))).encode()
    except ParseError as error:
        assert str(error).endswith(".")


# -- Gogs -------------------------------------------------------------------------------------

GOGS = '<html><title>Ana - Gogs</title><div class="feeds">%s</div>'


@pytest.mark.parametrize(
    "news", ['<div class="news"></div>', '<i class="news"></i>', '<div class="news"><p>x</p></div>']
)
def test_a_gogs_profile_without_news_is_a_page(news: str) -> None:
    with pytest.raises(ParseError, match="This is an HTML page"):
        read(GOGS % news)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.sampled_from(
            ['<div class="news">', "<p>", '<a href="http://[">', "</a>", "<a class='commit-id'>", "\0", "x"]
        )
    )
)
def test_no_gogs_page_leads_to_anything_but_a_feed_or_a_parse_error(pieces: list[str]) -> None:
    try:
        str(read(GOGS % ('<div class="news"><p>' + "".join(pieces)))).encode()
    except ParseError as error:
        assert str(error).endswith(".")


def test_a_drawing_within_a_page_is_no_feed() -> None:
    page = b'<!doctype html><html><body><svg><rdf:RDF></rdf:RDF></svg><p class="h-entry">x<br></p></body></html>'
    feed = parse(page, "text/html", "https://blog.example/")
    assert (feed.format, len(feed.entries)) == ("h-feed", 1)
