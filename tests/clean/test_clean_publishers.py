"""What each family of publishers means. Each document in data/ comes out as its .expected.json says, entry by entry: a
family that is added brings samples, not test code.
"""

import json
import time
from dataclasses import asdict, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from lifestream.clean.entries import clean, identify
from lifestream.clean.publishers import asked, families
from lifestream.parse import parse
from lifestream.types import Entry, Feed, RawEntry, Text

DATA = Path(__file__).parent / "data"
SAMPLES = sorted(path for path in DATA.iterdir() if ".expected" not in path.name)
URL = "https://github.com/ada.atom"
NOW = datetime(2026, 1, 6, tzinfo=UTC)
DATED = {"published", "updated", "summary", "language"}
"""Said elsewhere in these tests, and the same for everybody."""


def entries(sample: Path) -> list[Entry]:
    feed = parse(sample.read_bytes(), "", URL)
    return [clean(item, feed, URL, None, NOW) for item in identify(feed, URL)]


def said(value: Any) -> Any:
    """Without what is empty, so that an expectation names only what is there."""
    if isinstance(value, dict):
        return {name: said(inner) for name, inner in value.items() if inner not in ("", None, (), [], {})}
    return [said(inner) for inner in value] if isinstance(value, list | tuple) else value


def expectation(sample: Path) -> Path:
    return sample.with_name(f"{sample.name}.expected.json")


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda path: path.name)
def test_an_entry_is_what_its_publisher_means(sample: Path) -> None:
    found = [{name: value for name, value in said(asdict(one)).items() if name not in DATED} for one in entries(sample)]
    assert found == json.loads(expectation(sample).read_text("utf-8"))


def test_every_family_has_a_sample() -> None:
    told = set()
    for sample in SAMPLES:
        feed = parse(sample.read_bytes(), "", URL)
        for item in identify(feed, URL):
            raw = feed.entries[item.at]
            url = clean(item, feed, URL, None, NOW).url or raw.link
            told |= {family.__name__ for family in asked(feed.generator) if family.wrote(raw, url, feed)}
    assert told == {family.__name__ for family in families()}


@pytest.mark.parametrize("name", ["github-activity.atom", "gnufm.rss", "social.atom", "youtube.atom"])
def test_the_owners_word_does_not_outweigh_what_is_known(name: str) -> None:
    feed = parse((DATA / name).read_bytes(), "", URL)
    for item in identify(feed, URL):
        plain, wished = clean(item, feed, URL, None, NOW), clean(item, feed, URL, "checkin", NOW)
        assert wished.kind == ("checkin" if plain.kind in ("article", "note") else plain.kind)


def test_what_is_warned_of_is_no_summary() -> None:
    warned, *_ = entries(DATA / "mastodon.rss")
    assert warned.summary == "food & drink"


@pytest.mark.parametrize(
    ("given", "markup"),
    [
        (
            RawEntry(id="https://lb.example/syndication-feed/user/a/listens/1"),
            '<a href="mailto:a@b.example">S</a> by B',
        ),
        (RawEntry(id="t3_1", link="https://r.example/1"), '<a href="mailto:a@b.example">[link]</a>'),
        (RawEntry(id="1", link="https://m.example/u/a/m/b/"), '<a href="mailto:a/mgoblin_media/b.mp4">b</a>'),
        (
            RawEntry(id="1: https://g.example/a/b", title=Text('<a href="https://g.example/a/b/src/branch/c">c</a>')),
            '<a href="mailto:a@b.example/commit/abc">abc</a>',
        ),
    ],
)
def test_only_web_addresses_are_taken_from_markup(given: RawEntry, markup: str) -> None:
    feed = Feed("atom", entries=(replace(given, content=Text(markup, html=True)),))
    entry = clean(identify(feed, URL)[0], feed, URL, None, NOW)
    assert "mailto:" not in str((entry.url, entry.media, entry.data))


@pytest.mark.parametrize(
    "address",
    [
        "goodreads.com/review/show/1",
        "https://www.last.fm/music/A/_/B",
        "https://libre.fm/artist/A/track/B",
        "https://www.swarmapp.com/c/1",
        "https://m.example/u/ada/m/loom/",
    ],
)
def test_an_address_within_an_address_says_nothing(address: str) -> None:
    picture = '<img src="https://m.example/mgoblin_media/1.jpg" alt="x"> '
    raw = RawEntry("1", f"https://blog.example/?r={address}", Text("t"), Text(picture + "long " * 200, html=True))
    other = replace(raw, id="2", link="https://blog.example/?r=1")
    feed = Feed("atom", entries=(raw, other))
    misled, plain = (clean(item, feed, URL, None, NOW) for item in identify(feed, URL))
    assert misled == replace(plain, url=misled.url)


@pytest.mark.parametrize(("stars", "rating"), [("★★★★½", 4.5), ("★★★★★", 5.0), ("★★★★★½", None), ("★" * 8, None)])
def test_a_film_has_five_stars_at_most(stars: str, rating: float | None) -> None:
    feed = Feed("rss", entries=(RawEntry(id="letterboxd-watch-1", title=Text(f"Stalker, 1979 - {stars}")),))
    assert clean(identify(feed, URL)[0], feed, URL, None, NOW).data.get("rating") == rating


def test_a_release_of_no_known_repository_names_none() -> None:
    feed = Feed("atom", entries=(RawEntry(id="1", link="https://git.example/releases/tag/v1", title=Text("t")),))
    entry = clean(identify(feed, URL)[0], feed, URL, None, NOW)
    assert (entry.kind, entry.data) == ("release", {"tag": "v1"})


def test_an_address_made_of_commits_takes_no_time() -> None:
    addresses = [f"https://x.example{part * 400}" for part in ("/commit/?&", ";a=commit;", "/commit/?")]
    entries = [RawEntry(id=str(n), link=addresses[n % 3], title=Text("t")) for n in range(300)]
    feed = Feed("atom", entries=tuple(entries))
    began = time.process_time()
    for item in identify(feed, URL):
        clean(item, feed, URL, None, NOW)
    assert time.process_time() - began < 0.6  # by the square of their length, a second


def test_markup_that_was_cut_is_whole_again() -> None:
    markup = '<div><blockquote>Which?\n submitted by <a href="https://r.example/user/a">/u/a</a></blockquote></div>'
    feed = Feed("atom", entries=(RawEntry(id="t3_1", content=Text(markup, html=True)),))
    assert clean(identify(feed, URL)[0], feed, URL, None, NOW).content_html == (
        "<div><blockquote>Which?\n </blockquote></div>"
    )


@pytest.mark.parametrize(
    "markup",
    ["<video " + "src=x " * 150_000, "<p>" + " " * 500_000 + "submitted", "<blockquote>" * 200 + "<p>" * 20_000,
     '<a href="/commit/a">' * 40_000, '<a href="https://g.example/tree/' * 20_000],
    ids=["video", "spaces", "blockquotes", "commits", "trees"],
)  # fmt: skip
def test_no_family_takes_long_over_monstrous_markup(markup: str) -> None:
    ids = (
        "t3_1",
        "tag:github.com,2008:IssuesEvent/1",
        "tag:github.com,2008:PushEvent/1",
        "1: https://g.example/a/b",
        "tag:flickr.com,2005:/photo/1",
        "letterboxd-watch-1",
    )
    for given in ids:
        title = Text('<a href="https://g.example/a/b/src/branch/c">c</a>')
        feed = Feed("atom", entries=(RawEntry(id=given, content=Text(markup, html=True), title=title),))
        started = time.process_time()
        clean(identify(feed, URL)[0], feed, URL, None, NOW)
        assert time.process_time() - started < 2


@pytest.mark.parametrize(
    ("id", "content"),
    [
        ("/commit/?" * 8000, "x"),
        ("https://listenbrainz.org/syndication-feed/user/x/1", "<p>" + " " * 16_000 + "x</p>"),
        ("https://listenbrainz.org/syndication-feed/user/x/1", "<p>" + "a " * 20_000 + "x</p>"),
    ],
)
def test_what_a_stranger_writes_is_looked_through_in_no_time(id: str, content: str) -> None:
    raw = RawEntry(id=id, link="https://x.example/1", content=Text(content, html=True))
    feed = Feed("atom", entries=(raw,))
    (item,) = identify(feed, "https://x.example/")
    began = time.process_time()
    clean(item, feed, "https://x.example/", None, datetime(2026, 11, 21, tzinfo=UTC))
    assert time.process_time() - began < 0.2
