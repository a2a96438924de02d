"""An entry as large as a screen."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from lifestream.protocol.pictures import Picture
from lifestream.types import Entry, Location, Media
from lifestream.view.showing import name_of, slide_of, when_brief, when_said

NOW = datetime(2026, 11, 21, 14, 32, tzinfo=UTC)
PHOTO = Media("image/jpeg", "https://photos.example/1.jpg", 1600, 1000, "Hills")


def picture(url: str, width: int | None) -> Picture:
    return Picture(url, "name", width)


def none_kept(url: str, width: int | None) -> None:
    return None


def slide(**said: Any) -> Any:
    return slide_of(Entry(**said), picture)


def test_a_photo_fills_the_screen() -> None:
    shown = slide(kind="photo", title="Hills", media=(PHOTO,))
    assert (shown.look, shown.title, shown.label, shown.alt) == ("photo", "Hills", "Photo", "Hills")
    assert shown.picture.original == PHOTO.url
    assert not shown.tall


def test_an_upright_one_is_known_as_such() -> None:
    assert slide(kind="photo", media=(Media("image", "https://photos.example/2.jpg", 800, 1200),)).tall


def test_a_film_is_shown_by_its_poster() -> None:
    film = Media("video/mp4", "https://films.example/1.mp4", thumbnail="https://films.example/1.jpg")
    assert slide(kind="video", media=(film,)).picture.original == "https://films.example/1.jpg"


def test_a_listen_has_its_cover_beside_it_and_the_artist_under_it() -> None:
    shown = slide(kind="listen", data={"track": "Neap", "artist": "Salt Marsh Radio"}, media=(PHOTO,))
    assert (shown.look, shown.title, shown.label) == ("cover", "Neap", "Salt Marsh Radio")


def test_where_no_pictures_are_kept_there_are_words() -> None:
    shown = slide_of(Entry(kind="photo", title="Hills", media=(PHOTO,)), none_kept)
    assert shown is not None and (shown.look, shown.picture) == ("words", None)


def test_what_was_written_is_in_the_face_for_reading_and_a_title_is_not() -> None:
    assert slide(kind="note", summary="The wind has rearranged the whole beach.").serif
    assert not slide(kind="article", title="Tide tables", summary="A promise.").serif


def test_the_longer_the_smaller() -> None:
    sizes = [slide(kind="note", summary="word " * count).size for count in (5, 20, 30, 45)]
    assert sizes == [0, 1, 2, 3]


@pytest.mark.parametrize("data", [{"content_warning": "Spiders"}, {"sensitive": True}], ids=["warned", "sensitive"])
def test_what_not_everybody_wants_to_see_is_not_shown_so_large(data: dict[str, Any]) -> None:
    assert slide(kind="photo", title="Hills", media=(PHOTO,), data=data) is None


@pytest.mark.parametrize(
    ("said", "name"),
    [
        ({"kind": "article", "title": "Tide tables", "summary": "A promise."}, "Tide tables"),
        ({"kind": "note", "summary": "The wind."}, "The wind."),
        ({"kind": "code", "data": {"repository": "tidepool", "commits": [{"id": "1"}] * 3}}, "3 commits to tidepool"),
        ({"kind": "release", "data": {"repository": "mara/tidepool", "tag": "2.1.0"}}, "tidepool 2.1.0"),
        ({"kind": "follow", "data": {"about": {"title": "Tomas Reyes"}}}, "Now follows Tomas Reyes"),
        ({"kind": "checkin", "title": "At the sea", "location": Location(38.4, -8.8, "Comporta")}, "Comporta"),
        ({"kind": "photo", "location": Location(38.4, -8.8, "Comporta")}, "Comporta"),
        ({"kind": "photo"}, "Photo"),
        ({"kind": "photo", "title": "Eight eyes", "data": {"content_warning": "Spiders"}}, "Spiders"),
        ({"kind": "photo", "title": "Eight eyes", "data": {"sensitive": True}}, "Sensitive"),
    ],
    ids=lambda value: value["kind"] if isinstance(value, dict) else "",
)
def test_every_entry_is_called_something(said: dict[str, Any], name: str) -> None:
    assert name_of(Entry(**said)) == name


@pytest.mark.parametrize(
    ("ago", "said", "brief"),
    [
        (timedelta(seconds=20), "just now", "14:31"),
        (timedelta(hours=8), "06:32", "06:32"),
        (timedelta(hours=15), "Friday 23:32", "Fri"),
        (timedelta(days=6), "Sunday 14:32", "Sun"),
        (timedelta(days=7), "14 November 2026", "14 Nov"),
        (timedelta(days=400), "17 October 2025", "Oct 2025"),
        (timedelta(minutes=-5), "14:37", "14:37"),
    ],
    ids=["seconds", "hours", "yesterday", "six days", "a week", "last year", "ahead"],
)
def test_when_it_was_is_said_the_shorter_the_nearer(ago: timedelta, said: str, brief: str) -> None:
    assert when_said(NOW - ago, NOW) == said
    assert when_brief(NOW - ago, NOW) == brief
