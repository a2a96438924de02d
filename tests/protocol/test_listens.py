"""When two listens are one, and what of a client's words is taken."""

from datetime import UTC, datetime, timedelta
from xml.dom import minidom
from xml.sax.saxutils import escape

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lifestream.protocol import listens as rules
from lifestream.protocol.listens import Heard, Listen, Track, unheard

NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)
SECOND = timedelta(seconds=1)
SONG = Track("Sigur Rós", "Svefn-g-englar")


def heard(at: datetime = NOON, artist: str = SONG.artist, title: str = SONG.title) -> Listen:
    return Listen(Track(artist, title), at)


def kept(*listens: Listen) -> list[Heard]:
    return [Heard(one.identity, one.track.key, one.at) for one in listens]


# -- the same listen --------------------------------------------------------------------------


def test_the_same_listen_is_known_again() -> None:
    assert unheard([heard()], kept(heard())) == []


@pytest.mark.parametrize(
    ("artist", "title"),
    [
        ("sigur rós", "Svefn-g-englar"), ("Sigur Ros", "Svefn-G-Englar"), ("SIGUR RÓS", "Svefn g englar"),
        ("Sigur Ro\u0301s", "Svefn\u2010g\u2010englar"), ("Sigur  Rós ", "Svefn-g-englar"),
    ],
)  # fmt: skip
def test_however_its_names_are_spelt(artist: str, title: str) -> None:
    assert unheard([heard(artist=artist, title=title)], kept(heard())) == []


@pytest.mark.parametrize(
    ("artist", "title"), [("Sigur", "Rós Svefn-g-englar"), ("Sigur Rós", "Starálfur"), ("!!!", "???"), ("", "")]
)
def test_other_names_are_another_listen(artist: str, title: str) -> None:
    assert len(unheard([heard(artist=artist, title=title)], kept(heard()))) == 1


def test_names_without_a_letter_are_told_apart() -> None:
    assert len(unheard([heard(title="!!!"), heard(title="???"), heard(title="!!!")], ())) == 2


@pytest.mark.parametrize("seconds", [-15, -1, 1, 15])
def test_clients_may_differ_by_some_seconds(seconds: int) -> None:
    assert unheard([heard(NOON + seconds * SECOND)], kept(heard())) == []


@pytest.mark.parametrize("seconds", [-60, -16, 16, 31, 60, 86_400])
def test_the_same_track_later_is_another_listen(seconds: int) -> None:
    assert len(unheard([heard(NOON + seconds * SECOND)], kept(heard()))) == 1


def test_a_batch_is_put_in_order_and_has_each_listen_once() -> None:
    later, earlier = heard(NOON + 60 * SECOND), heard(NOON - 60 * SECOND)
    assert unheard([later, earlier, heard(), earlier, later], kept(heard())) == [earlier, later]


def test_a_listen_whose_time_was_edited_is_still_the_one_it_was() -> None:
    edited = Heard(heard().identity, SONG.key, NOON - 999 * SECOND)
    assert unheard([heard()], [edited, Heard("x", "y", None)]) == []


@given(st.lists(st.tuples(st.integers(0, 200), st.sampled_from("ab")), max_size=30))
def test_what_was_taken_once_is_not_taken_again(sent: list[tuple[int, str]]) -> None:
    batch = [heard(NOON + second * SECOND, title=title) for second, title in sent]
    taken = unheard(batch, ())
    assert unheard(batch, kept(*taken)) == []
    assert sorted(taken, key=lambda one: one.at) == taken
    for one in batch:
        assert any(one.track.key == there.track.key and abs(one.at - there.at) <= rules.SAME_WITHIN for there in taken)


# -- what becomes of it -----------------------------------------------------------------------


def test_what_was_heard_a_day_ago_is_history() -> None:
    day = timedelta(hours=24)
    assert not rules.is_history(heard(NOON - day), NOON)
    assert rules.is_history(heard(NOON - day - SECOND), NOON)


@pytest.mark.parametrize(("seconds", "lasts"), [(34, 34), (5400, 5400), (5401, 600), (240_000, 600), (0, 600)])
def test_something_plays_for_as_long_as_it_is_or_ten_minutes(seconds: int, lasts: int) -> None:
    assert rules.plays_until(Track("a", "b", seconds=seconds), NOON) == NOON + lasts * SECOND


def test_an_entry_says_who_what_and_when() -> None:
    track = Track("A", "T", "B", 34, "https://x.example/t", ("ice",), {"recording_mbid": "m"})
    entry = rules.entry_of(Listen(track, NOON))
    assert (entry.kind, entry.verb, entry.title, entry.url) == ("listen", "listen", "A – T", "https://x.example/t")
    assert entry.published == NOON and entry.tags == ("ice",)
    assert entry.data == {"artist": "A", "track": "T", "album": "B", "duration": 34, "recording_mbid": "m"}


def test_an_entry_has_artist_track_and_album_even_where_nobody_says_the_album() -> None:
    entry = rules.entry_of(heard())
    assert entry.data == {"artist": SONG.artist, "track": SONG.title, "album": ""} and entry.url is None


# -- a client's words -------------------------------------------------------------------------


@given(st.text(alphabet=st.characters(codec=None)) | st.none() | st.integers())
def test_words_are_one_bounded_line_that_every_format_can_hold(text: object) -> None:
    found = rules.words(text)
    assert found == " ".join(found.split()) and len(found) <= rules.CHARS
    assert rules.words(found) == found
    minidom.parseString(f"<a>{escape(found)}</a>".encode())


def test_words_keep_what_people_write() -> None:
    assert rules.words(" Sigur\tRós\n\0 👩\u200d🎤 ") == "Sigur Rós 👩\u200d🎤"


@pytest.mark.parametrize("text", ["", "x", "-1", "1.5", "1e9", "９", "1795251834 ago", "123456789012"])
def test_what_is_no_time_is_none(text: str) -> None:
    assert rules.moment(text) is None and rules.seconds(text) == 0


def test_times_are_seconds_since_1970() -> None:
    assert rules.moment(" 1795251834 ") == datetime(2026, 11, 21, 9, 3, 54, tzinfo=UTC)


def test_listens_before_there_were_scrobblers_and_in_the_future_are_not_in_time() -> None:
    assert rules.in_time(rules.OLDEST, NOON) == "yes"
    assert rules.in_time(rules.OLDEST - SECOND, NOON) == "too old"
    assert rules.in_time(NOON + rules.AHEAD, NOON) == "yes"
    assert rules.in_time(NOON + rules.AHEAD + SECOND, NOON) == "too new"


def test_rows_come_by_their_number_and_the_last_value_counts() -> None:
    form = [("a[10]", "j"), ("S", "x"), ("A[2]", "b"), ("r[2]", ""), ("r[2]", "L"), ("a[", "?"), ("a[99999]", "?")]
    assert rules.rows(form) == [{"a": "b", "r": "L"}, {"a": "j"}]


def test_a_form_without_numbers_is_one_row() -> None:
    assert rules.rows([("artist", "A"), ("albumArtist", "B")]) == [{"artist": "A", "albumartist": "B"}]


@pytest.mark.parametrize("text", [None, 5, "", "x", "98255a8c", "98255a8c-017a-4bc7-8dd6-1fa36124572"])
def test_what_is_no_musicbrainz_id_is_nothing(text: object) -> None:
    assert rules.mbid(text) == ""


def test_secrets_are_compared_whatever_they_are_made_of() -> None:
    assert rules.same_secret("é\udc80", "é\udc80") and not rules.same_secret("é", "\ud800")
