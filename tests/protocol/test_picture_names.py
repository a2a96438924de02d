"""What pictures are called here, and when they are asked for again."""

from datetime import UTC, datetime, timedelta

import pytest

from lifestream.protocol.pictures import (
    LAGS,
    LONGEST_WAIT,
    RETRIES,
    Pictures,
    again_at,
    asked_for,
    fitted,
    kept_widths,
    shown,
)
from lifestream.types import Author, Media

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
URL = "https://photos.example/1.jpg"


def pictures(key: bytes = b"secret") -> Pictures:
    made = Pictures()
    made.key = key
    return made


def test_an_address_says_nothing_without_the_key() -> None:
    one, other = pictures(b"one").picture(URL), pictures(b"other").picture(URL)
    assert one and other
    assert one.src != other.src and "photos.example" not in one.src
    assert one.src == (pictures(b"one").picture(URL) or other).src


def test_an_address_can_be_read_back() -> None:
    found = pictures().picture(URL)
    assert found
    name = pictures().name(URL)
    assert [asked_for(one.removeprefix("/media/")) for one in (found.small, found.src, found.large)] == [
        (name, 480), (name, 960), (name, 1600),
    ]  # fmt: skip


@pytest.mark.parametrize(
    "file", ["", "x", "../../etc/passwd", "a" * 24 + "-960.webp\n", "a" * 24 + "-500.webp", "A" * 24 + "-960.webp"]
)
def test_no_other_file_has_an_address(file: str) -> None:
    assert asked_for(file) is None


def test_the_set_of_sources_ends_at_the_pictures_own_width() -> None:
    made = pictures()
    name = made.name(URL)
    found = [made.picture(URL, width) for width in (None, 300, 960, 1200, 4000)]
    assert [one and one.srcset for one in found] == [
        f"/media/{name}-480.webp 480w, /media/{name}-960.webp 960w, /media/{name}-1600.webp 1600w",
        f"/media/{name}-480.webp 300w",
        f"/media/{name}-480.webp 480w, /media/{name}-960.webp 960w",
        f"/media/{name}-480.webp 480w, /media/{name}-960.webp 960w, /media/{name}-1600.webp 1200w",
        f"/media/{name}-480.webp 480w, /media/{name}-960.webp 960w, /media/{name}-1600.webp 1600w",
    ]


def test_where_none_are_kept_there_is_no_address() -> None:
    assert Pictures(kept=False).picture(URL) is None
    assert Pictures().picture("data:image/png;base64,xx") is None


@pytest.mark.parametrize(("width", "widths"), [(1, (480,)), (480, (480,)), (481, (480, 960)), (9999, (480, 960, 1600))])
def test_a_picture_is_kept_up_to_its_own_width(width: int, widths: tuple[int, ...]) -> None:
    assert kept_widths(width) == widths


def test_an_entry_shows_its_pictures_posters_covers_and_face() -> None:
    media = (
        Media("image/jpeg", URL, thumbnail="https://photos.example/small.jpg"),
        Media("video/mp4", "https://films.example/1.mp4", thumbnail="https://films.example/poster.jpg"),
        Media("audio/mpeg", "https://music.example/1.mp3"),
        Media("image", "javascript:alert(1)"),
    )
    assert shown(media, Author("Mara", photo="https://mara.example/face.png")) == {
        URL: True, "https://films.example/poster.jpg": False, "https://mara.example/face.png": False,
    }  # fmt: skip


def test_a_face_that_is_also_a_picture_has_its_size_told() -> None:
    assert shown((Media("image", URL),), Author("Mara", photo=URL)) == {URL: True}


def test_a_size_goes_to_the_picture_it_is_of() -> None:
    film = Media("video/mp4", "https://films.example/1.mp4", 10, 10, thumbnail=URL)
    assert fitted((Media("image", URL), film), URL, 1600, 900) == (Media("image", URL, 1600, 900), film)


def test_who_does_not_answer_is_asked_less_and_less_often_and_then_no_more() -> None:
    times = [again_at(attempts, NOW) for attempts in range(1, len(RETRIES) + 2)]
    assert times == [*(NOW + one for one in RETRIES), None]


@pytest.mark.parametrize(("status", "tries"), [(404, LAGS), (403, LAGS), (410, LAGS), (500, 5), (503, 5), (429, 5)])
def test_what_is_not_there_is_asked_for_less_often_than_what_is_not_there_now(status: int, tries: int) -> None:
    assert [again_at(attempts, NOW, status=status) is not None for attempts in (tries, tries + 1)] == [True, False]


def test_a_host_may_ask_for_patience_but_not_for_ever() -> None:
    assert again_at(1, NOW, status=429, retry_after=7200) == NOW + timedelta(hours=2)
    assert again_at(1, NOW, status=429, retry_after=1e15) == NOW + LONGEST_WAIT
    assert again_at(1, NOW, status=429, retry_after=1) == NOW + RETRIES[0]
