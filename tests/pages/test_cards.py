"""What the card of an entry shows, by its kind."""

import re
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

import mf2py
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from lifestream.clean.html import clean_with_pictures
from lifestream.render import Renderer
from lifestream.types import KINDS, Author, Entry, Kind, Location, Media, SourceName, Stored
from lifestream.view import cards
from lifestream.view.words import LABELS

NOON = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
BLOG = SourceName("blog", "Mara's blog", "https://blog.example/")
KITTEN = Media("image/jpeg", "https://a.example/1.jpg", 1600, 1000, "A kitten")

renderer = Renderer(ZoneInfo("Asia/Tokyo"), "Mara")


def stored(kind: Kind = "note", *, source: SourceName = BLOG, at: datetime = NOON, **fields: Any) -> Stored:
    entry = Entry(kind=kind, published=at, **fields)
    return Stored("e1", seq=12, first_seq=11, source=source, entry=entry, received=at, ordered_at=at)


def card(kind: Kind = "note", *, whole: bool = False, **fields: Any) -> str:
    return renderer.entry_card(stored(kind, **fields), whole=whole)


def microformats(kind: Kind, **fields: Any) -> dict[str, Any]:
    """What a parser finds in the card."""
    (item,) = mf2py.parse(doc=card(kind, **fields), url="https://stream.example/")["items"]
    assert item["type"] == ["h-entry"]
    found: dict[str, Any] = item["properties"]
    return found


def src(url: str, width: int = 960) -> str:
    """Where our own copy of a picture is."""
    picture = renderer._pictures.picture(url, None)
    assert picture
    return picture.src.replace("-960", f"-{width}")


# -- every card -------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_says_what_it_is_and_shows_its_title(kind: Kind) -> None:
    shown = card(kind, title="Kitten", url="https://blog.example/1")
    assert LABELS[kind] in shown
    assert re.search(r'<a class="u-[a-z-]+" href="https://blog.example/1">Kitten</a>', shown)


def test_a_card_says_where_it_stands_in_the_stream_and_in_the_owners_day() -> None:
    shown = card(at=datetime(2026, 11, 21, 16, 30, tzinfo=UTC))
    assert '<article class="h-entry entry k-note h01 t01" id="e-e1" tabindex="-1" aria-labelledby="e-e1-l"' in shown
    assert 'data-id="e1" data-seq="12" data-first-seq="11" data-ordered="2026-11-21T16:30:00.000000Z"' in shown
    assert 'data-day="2026-11-22" data-weekday="Sunday" data-date="22 November 2026"' in shown
    assert 'datetime="2026-11-22T01:30:00+09:00"' in shown and ">01:30</time>" in shown


def test_the_line_runs_on_into_the_hour_of_what_stands_below() -> None:
    assert ' h21 t09"' in renderer.entry_card(stored(), below="09")
    assert ' h21 t21"' in renderer.entry_card(stored())


@pytest.mark.parametrize("kind", KINDS)
def test_only_what_may_be_grouped_says_with_what(kind: Kind) -> None:
    shown = card(kind, title="x", data={"repository": "mara/tidepool"})
    assert ("data-group=" in shown) is (kind in ("listen", "code", "like", "follow", "photo"))
    assert "data-group=" not in card(kind, title="x", data={"repository": "mara/tidepool", "sensitive": True})


def test_a_title_is_text() -> None:
    shown = card(title="<img src=x onerror=alert(1)> & more")
    assert "&lt;img src=x onerror=alert(1)&gt; &amp; more" in shown
    assert "<img" not in shown


def test_somebody_elses_entry_says_whose_it_is() -> None:
    assert "p-author" not in card(author=Author("mara"))
    ann = card(author=Author("Ann", "https://ann.example/"))
    assert '<a class="p-author h-card" href="https://ann.example/"' in ann


def test_a_page_of_its_own_says_the_owners_too() -> None:
    assert '<a class="p-author h-card" href="/" dir="auto">Mara</a>' in card(whole=True)


def test_no_link_leads_to_a_script() -> None:
    bad = "javascript:alert(1)"
    everything: dict[str, Any] = {
        "title": "x", "url": bad, "in_reply_to": bad, "author": Author("Ann", bad), "media": (Media("image", bad),),
        "data": {"commits": [{"id": "1", "message": "m", "url": bad}], "compare_url": bad, "track": "t",
                 "about": {"url": bad, "title": "y"}},
    }  # fmt: skip
    assert all("javascript" not in card(kind, **everything) for kind in KINDS)


hostile = st.text(st.sampled_from("<>\"'&/= \n\0aé\u202e{}%"), min_size=1, max_size=20)


@given(title=hostile, author=hostile, tag=hostile, place=hostile, word=hostile)
def test_no_words_of_strangers_make_markup(title: str, author: str, tag: str, place: str, word: str) -> None:
    assume(title != place)

    def marks(title: str, author: str, tag: str, place: str, word: str) -> list[tuple[int, int]]:
        fields: dict[str, Any] = {
            "title": title, "author": Author(author), "tags": (tag,), "location": Location(1, 2, place),
            "summary": word, "language": word, "in_reply_to": f"https://a.example/{word}",
            "media": (Media("image/jpeg", f"https://a.example/{word}", alt=word), Media("x", "https://a.example/")),
            "data": {"track": title, "artist": author, "album": word, "branch": word, "repository": f"-{word}",
                     "commits": [{"id": word, "message": "-" + word, "url": f"https://a.example/{word}"}]},
        }  # fmt: skip
        shown = [card(kind, source=SourceName(word, title, ""), **fields) for kind in ONE_OF_EACH]
        return [(one.count("<"), one.count('"')) for one in shown]

    assert marks(title, author, tag, place, word) == marks("a", "b", "c", "d", "e")


ONE_OF_EACH: tuple[Kind, ...] = ("note", "photo", "listen", "code", "release", "like", "checkin", "event")
"""A kind of each layout."""


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    "bad", [None, "x", 7, -1, 1e400, True, {}, [1, None, "x"], [{}], [{"id": 1, "message": []}]], ids=str
)
def test_data_of_the_wrong_shape_breaks_nothing(kind: Kind, bad: object) -> None:
    names = (
        "commits repository branch compare_url additions deletions files track artist album tag about duration start"
    )
    shown = card(kind, title="Kitten", url="https://blog.example/1", data=dict.fromkeys(names.split(), bad))
    assert "Kitten" in shown or "1 commit" in shown or bad == "x"


# -- words ------------------------------------------------------------------------------------


def test_a_short_note_stays_as_it_was_written() -> None:
    assert "<p>All <em>of</em> it.</p>" in card(content_html="<p>All <em>of</em> it.</p>")


def test_a_long_note_is_shown_by_its_beginning_and_whole_on_its_own_page() -> None:
    long = "<p>" + "word " * 200 + "</p>"
    shown = card(content_html=long)
    assert "word word…</p>" in shown and '<a href="/entries/e1">more</a>' in shown
    assert len(re.sub("<[^<>]*>", "", shown)) < cards.NOTE_CHARS + 100
    assert long in card(content_html=long, whole=True)


def test_a_post_is_its_title_and_beginning_and_says_how_long_it_takes() -> None:
    content = "<p>" + "word " * 1000 + "</p>"
    post: dict[str, Any] = {"title": "Tides", "url": "https://blog.example/1", "summary": "The beginning…"}
    shown = card("article", content_html=content, **post)
    assert "The beginning…" in shown and "word word" not in shown
    assert "</a>, 4 min</span>" in shown
    assert '<a href="https://blog.example/1">Read the post<span class="vh"> Tides</span></a>' in shown
    assert content in card("article", content_html=content, whole=True, **post)


def test_a_post_shows_its_pictures_where_they_stand_on_its_own_page_alone() -> None:
    content, pictures = clean_with_pictures(f"<p>Look:</p><p><img src='{KITTEN.url}' alt='A kitten'></p>", "")
    shown = card("article", title="Tides", content_html=content, media=pictures, summary="Look: A kitten")
    assert "<img" not in shown and "A kitten" not in shown and "Look:" in shown
    whole = card("article", title="Tides", content_html=content, media=pictures, whole=True)
    assert f'<p>Look:</p><p><a href="{KITTEN.url}"><img class="u-photo' in whole
    assert whole.count("<img") == 1


def test_a_link_to_a_picture_in_other_words_stays_a_link() -> None:
    content = f'<p>See <a href="{KITTEN.url}">the small one</a>.</p>'
    shown = card("note", content_html=content, media=(KITTEN,))
    assert content in shown and "<img" in shown


def test_a_warning_stands_before_what_it_warns_of() -> None:
    shown = card(
        title="Spiders", content_html="<p>Eight eyes.</p>", media=(KITTEN,), data={"content_warning": "Spiders"}
    )
    details = re.search(r"<details class=\"warned\"><summary>.*?Spiders.*?</summary>(.*)</details>", shown, re.S)
    assert details and "Eight eyes." in details[1] and "<img" in details[1]
    assert shown.count("Spiders") == 1
    assert '<details class="warned">' in card(media=(KITTEN,), data={"sensitive": True})
    assert "<details" not in card(media=(KITTEN,), data={"sensitive": "no"})


def test_a_reply_says_to_what() -> None:
    assert microformats("reply", in_reply_to="https://t.example/1", content_html="<p>Yes.</p>")["in-reply-to"] == [
        "https://t.example/1"
    ]


def test_an_event_says_when_in_the_owners_time() -> None:
    times = {"start": "2026-12-03T10:00:00+00:00", "end": "2026-12-03T11:30:00+00:00"}
    shown = card("event", title="A talk", data=times)
    assert '<time class="dt-start" datetime="2026-12-03T19:00:00+09:00">3 December 2026, 19:00</time>' in shown
    assert ">20:30</time>" in shown


# -- pictures, films, sounds ------------------------------------------------------------------


def test_a_picture_is_our_own_copy_in_several_sizes_and_keeps_its_shape() -> None:
    shown = card("photo", title="Small", media=(KITTEN,))
    assert f'src="{src(KITTEN.url)}"' in shown and f"{src(KITTEN.url, 1600)} 1600w" in shown
    assert 'width="1600" height="1000"' in shown and 'alt="A kitten"' in shown
    assert KITTEN.url not in shown


@pytest.mark.parametrize(
    ("width", "height", "shape"),
    [(600, 900, "tall"), (2100, 1000, "broad"), (3, 4, ""), (2, 1, ""), (None, None, "unsized")],
)
def test_a_picture_by_itself_is_held_in_bounds(width: int | None, height: int | None, shape: str) -> None:
    assert f'class="u-photo{" " * bool(shape)}{shape}"' in card(
        "photo", media=(Media("image", KITTEN.url, width, height),)
    )


@pytest.mark.parametrize(("width", "height"), [(600, 900), (2100, 1000)])
def test_a_page_of_its_own_shows_a_picture_whole(width: int, height: int) -> None:
    assert 'class="u-photo"' in card("photo", whole=True, media=(Media("image", KITTEN.url, width, height),))


@pytest.mark.parametrize(
    ("count", "rows"), [(1, [1]), (2, [2]), (3, [3]), (4, [2, 2]), (5, [2, 3]), (6, [3, 3]), (7, [2, 2, 3])]
)
def test_pictures_fill_rows(count: int, rows: list[int]) -> None:
    picture = renderer._pictures.picture(KITTEN.url, None)
    assert picture
    shots = [cards.Shot(KITTEN, picture, "/", "")] * count
    assert [len(row) for row in cards.rows_of(shots)] == rows


def test_of_many_pictures_five_are_shown_and_the_others_counted() -> None:
    many = tuple(Media("image", f"https://a.example/{number}.jpg", 600, 400) for number in range(12))
    shown = card("photo", media=many)
    assert shown.count("<img") == 5 and "<b>+7</b>" in shown and ">12 photos<" in shown
    assert card("photo", media=many, whole=True).count("<img") == 12


@pytest.mark.parametrize(
    ("width", "height", "ratio"), [(3, 4, "a34"), (400, 300, "a43"), (9, 1, "a21"), (1, 9, "a34"), (0, 9, "a32")]
)
def test_a_picture_among_others_takes_the_nearest_shape(width: int, height: int, ratio: str) -> None:
    picture = renderer._pictures.picture(KITTEN.url, None)
    assert picture
    assert cards.Shot(Media("image", KITTEN.url, width, height), picture, "/", "").ratio == ratio


def test_pictures_that_are_not_kept_are_links() -> None:
    shown = card("photo", media=(KITTEN,), source=SourceName("blog", "Blog", "", pictures=False))
    assert "<img" not in shown and f'<a class="u-photo" href="{KITTEN.url}"' in shown


def test_a_film_plays_in_place_when_asked_to() -> None:
    film = Media("video/mp4", "https://a.example/1.mp4", 640, 360, "", "https://a.example/poster.jpg")
    shown = card("video", title="Rain", media=(film,), data={"duration": 48})
    assert '<video class="u-video" controls preload="none"' in shown and "autoplay" not in shown
    assert f'poster="{src(film.thumbnail)}"' in shown and ">0:48</span>" in shown


def test_a_film_elsewhere_is_a_link_with_its_poster() -> None:
    film = Media("video", "https://video.example/watch/1", thumbnail="https://a.example/poster.jpg")
    shown = card("video", title="Rain", media=(film,), data={"duration": 3725})
    assert '<a class="vid u-video" href="https://video.example/watch/1">' in shown and "<video" not in shown
    assert "1:02:05</span>" in shown


def test_a_sound_loads_when_it_is_played_and_says_how_long_it_is() -> None:
    shown = card(
        "audio", title="Low water", media=(Media("audio/mpeg", "https://a.example/1.mp3"),), data={"duration": 421}
    )
    assert '<audio class="u-audio" controls preload="none" src="https://a.example/1.mp3"></audio>' in shown
    assert "</a>, 7:01</span>" in shown


def test_what_cannot_be_played_here_is_a_link() -> None:
    shown = card(
        "audio", media=(Media("audio/mpeg", "http://a.example/1.mp3"), Media("application/pdf", "https://a.example/1"))
    )
    assert '<a class="u-audio" href="http://a.example/1.mp3"' in shown and "<audio" not in shown
    assert '<a rel="enclosure" href="https://a.example/1"' in shown


# -- what people do ---------------------------------------------------------------------------


def test_a_listen_is_a_track_by_an_artist_beside_its_cover() -> None:
    data = {"track": "Low Water", "artist": "Salt Marsh Radio", "album": "Estuary"}
    shown = card("listen", title="x", data=data, media=(KITTEN,))
    assert ">Low Water</h3>" in shown and "Salt Marsh Radio, from the album <i>Estuary</i>" in shown
    assert f'<img class="cover u-photo" src="{src(KITTEN.url, 480)}"' in shown
    assert '<span class="cover">' in card("listen", title="x", data=data)


def test_a_push_is_a_list_of_commits() -> None:
    commits = [
        {"id": f"{n}123456789", "message": f"Change {n}\n\nLong", "url": "https://git.example/"} for n in range(7)
    ]
    push: dict[str, Any] = {"title": "x", "data": {"repository": "mara/tidepool", "branch": "main", "commits": commits}}
    shown = card("code", **push)
    assert "7 commits to <bdi>tidepool</bdi>" in shown and ">Push</span> to <a" in shown
    assert "Change 4</span>" in shown and "Change 5" not in shown and "and 2 more" in shown and "Long" not in shown
    assert "Change 6" in card("code", whole=True, **push)


def test_a_push_shows_how_much_it_changed_if_somebody_counted() -> None:
    counted = {"commits": [{"id": "1"}], "additions": 30, "deletions": 10, "files": 1}
    shown = card("code", data=counted)
    assert "+30</b>" in shown and "−10</b>" in shown and '<rect class="p" width="63"' in shown and "1 file<" in shown
    assert "diff" not in card("code", data={"commits": [{"id": "1"}]})


def test_a_release_is_a_name_a_version_and_the_beginning_of_its_notes() -> None:
    notes = "<ul>" + "".join(f"<li>Change {number}</li>" for number in range(6)) + "</ul>"
    shown = card("release", title="x 2.1", content_html=notes, data={"repository": "mara/tidepool", "tag": "2.1.0"})
    assert ">tidepool</h3> <code" in shown and ">2.1.0</code>" in shown
    assert "Change 3" in shown and "Change 4" not in shown
    assert notes in card("release", title="x 2.1", content_html=notes, whole=True)


@pytest.mark.parametrize(
    ("kind", "title", "about", "line"),
    [
        ("like", None, {"title": "A logbook", "author": "Tomas"}, "Liked [A logbook] by Tomas"),
        ("like", "Starred ada/loom", {"title": "ada/loom"}, "Starred [ada/loom]"),
        ("like", None, {"type": "photo", "author": "Ilse"}, "Liked [a photo] by Ilse"),
        ("like", "Liked a thing", {}, "[Liked a thing]"),
        ("like", "Kitten", {}, "Liked [Kitten]"),
        ("repost", None, {"type": "note", "author": "Ilse"}, "Reposted [a note] by Ilse"),
        ("follow", None, {"title": "Tomas Reyes"}, "Now follows [Tomas Reyes]"),
        ("follow", None, {"author": "Tomas"}, "Now follows [Tomas]"),
        ("follow", None, {}, "Now follows [somebody]"),
    ],
    ids=str,
)  # fmt: skip
def test_what_was_done_to_something_is_one_line(
    kind: Kind, title: str | None, about: dict[str, str], line: str
) -> None:
    shown = card(kind, title=title, data={"about": about | {"url": "https://t.example/1"}})
    words = re.search(r'<p class="line p-name" dir="auto">(.*)</p>', shown)
    assert words
    assert (
        re.sub(
            "<[^<>]*>", "", re.sub(r'<a class="u-[a-z]+-of" href="https://t.example/1">(.*?)</a>', r"[\1]", words[1])
        )
        == line
    )


def test_what_was_liked_is_quoted() -> None:
    assert 'class="text e-content quoted"' in card("like", content_html="<blockquote><p>Low water.</p></blockquote>")
    assert '<figure class="shot half">' in card("like", media=(KITTEN,))


def test_a_check_in_is_a_place_on_a_round_map() -> None:
    shown = card("checkin", title="Lunch", location=Location(38.38, -8.8, "Praia da Comporta"))
    assert ">Praia da Comporta</h3>" in shown and 'dir="auto">Lunch</p>' in shown and '<svg class="locator"' in shown
    assert '<a class="num" href="/globe">38.38° N 8.80° W</a>' in shown
    assert '<svg class="locator"' not in card("checkin", title="Lunch")


@pytest.mark.parametrize("title", ["Lunch", "Praia da Comporta", None])
def test_a_parser_finds_a_check_in_its_original_and_its_place(title: str | None) -> None:
    found = microformats(
        "checkin", title=title, url="https://swarm.example/1", location=Location(38.38, -8.8, "Praia da Comporta")
    )
    assert (found["name"], found["syndication"]) == ([title or "Praia da Comporta"], ["https://swarm.example/1"])
    place = found["location"][0]["properties"]
    assert place == {"name": ["Praia da Comporta"], "latitude": ["38.38"], "longitude": ["-8.8"]}


# -- what machines read -----------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["like", "repost", "follow", "bookmark", "listen", "watch"])
def test_a_parser_finds_what_the_link_is_to_the_entry(kind: Kind) -> None:
    assert microformats(kind, title="Kitten", url="https://blog.example/1")[f"{kind}-of"] == ["https://blog.example/1"]


def test_a_parser_finds_the_original_of_anything_else() -> None:
    assert microformats("note", title="Kitten", url="https://blog.example/1")["syndication"] == [
        "https://blog.example/1"
    ]


def test_a_parser_finds_the_entry_its_pictures_and_its_place() -> None:
    found = microformats(
        "photo", title="Small", media=(KITTEN,), location=Location(38.38, -8.8, "Comporta"), tags=("cat",)
    )
    assert found["name"] == ["Small"] and found["url"] == ["https://stream.example/entries/e1"]
    assert found["photo"][0]["value"] == f"https://stream.example{src(KITTEN.url)}"
    assert found["published"] == ["2026-11-21T21:00:00+0900"] and found["category"] == ["cat"]
    place = found["location"][0]["properties"]
    assert (place["name"], place["latitude"], place["longitude"]) == (["Comporta"], ["38.38"], ["-8.8"])
