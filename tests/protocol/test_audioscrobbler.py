"""Audioscrobbler 1.2: what mpdscribble was seen to send, and what else may come."""

from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qsl

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lifestream.protocol import audioscrobbler as rules
from lifestream.protocol.listens import md5hex

PLAYED = datetime(2026, 11, 21, 9, 3, 54, tzinfo=UTC)
NOW = PLAYED + timedelta(minutes=1)
MBID = "98255a8c-017a-4bc7-8dd6-1fa36124572b"

HANDSHAKE = "hs=true&p=1.2&c=mdc&v=0.24&u=alice&t=1795251795&a=d8b9aef1c8fe6320febb25f3035f4f1f"
NOW_PLAYING = (
    "s=x&a=Sigur%20R%C3%B3s&t=Svefn-g-englar%20%26%20Co&b=%C3%81g%C3%A6tis%20byrjun&l=34&n=2"
    f"&m={MBID}"
)  # fmt: skip
SUBMISSION = (
    "s=x&a[0]=Sigur%20R%C3%B3s&t[0]=Svefn-g-englar%20%26%20Co&l[0]=34&i[0]=1795251834&o[0]=P&r[0]="
    f"&b[0]=%C3%81g%C3%A6tis%20byrjun&n[0]=2&m[0]={MBID}"
)


def form(text: str) -> list[tuple[str, str]]:
    return parse_qsl(text, keep_blank_values=True)


def titles(text: str) -> list[str]:
    return [one.track.title for one in rules.submitted(form(text), NOW)]


def row(number: int = 0, **fields: str) -> str:
    given = {"a": "A", "t": "T", "i": "1795251834"} | fields
    return "&".join(f"{name}[{number}]={value}" for name, value in given.items())


# -- the handshake ----------------------------------------------------------------------------


def test_who_knows_the_password_proves_it_with_the_time() -> None:
    asked = rules.handshake({"hs": "true", "p": "1.2", "t": "1795251795", "a": md5hex(md5hex("secret") + "1795251795")})
    assert asked.is_spoken
    assert rules.proves(asked, md5hex("secret"))
    assert not rules.proves(asked, md5hex("other"))


def test_a_handshake_of_mpdscribble() -> None:
    asked = rules.handshake(dict(form(HANDSHAKE)))
    assert asked.is_spoken and not rules.proves(asked, md5hex("ls_another"))
    assert rules.clock_is_right(asked, datetime(2026, 11, 21, 9, 5, tzinfo=UTC))


@pytest.mark.parametrize("version", ["1.1", "2", "", "x"])
def test_other_versions_are_not_spoken(version: str) -> None:
    assert not rules.handshake({"p": version}).is_spoken


@pytest.mark.parametrize(("seconds", "right"), [(0, True), (300, True), (-300, True), (301, False), (-301, False)])
def test_clocks_may_differ_by_five_minutes(seconds: int, right: bool) -> None:
    asked = rules.handshake({"t": "1795251834"})
    assert rules.clock_is_right(asked, PLAYED + timedelta(seconds=seconds)) is right
    assert not rules.clock_is_right(rules.handshake({"t": "noon"}), PLAYED)


def test_who_is_welcome_is_told_where_to_go() -> None:
    assert rules.welcome("s1", "https://stream.example/scrobble").splitlines() == [
        "OK", "s1", "https://stream.example/scrobble/nowplaying/1.2/", "https://stream.example/scrobble/submissions/1.2/",
    ]  # fmt: skip


@given(
    st.dictionaries(st.sampled_from(["hs", "p", "t", "a", "sk", "u"]), st.text(st.characters(codec=None))), st.text()
)
def test_no_handshake_raises(query: dict[str, str], password: str) -> None:
    asked = rules.handshake(query)
    assert not rules.proves(asked, password)
    rules.clock_is_right(asked, NOW)


# -- what is sent -----------------------------------------------------------------------------


def test_a_submission_of_mpdscribble() -> None:
    (one,) = rules.submitted(form(SUBMISSION), NOW)
    assert one.at == PLAYED
    assert (one.track.artist, one.track.title) == ("Sigur Rós", "Svefn-g-englar & Co")
    assert (one.track.album, one.track.seconds) == ("Ágætis byrjun", 34)
    assert one.track.mbids == {"recording_mbid": MBID}


def test_what_plays_by_mpdscribble() -> None:
    track = rules.playing(form(NOW_PLAYING))
    assert track and (track.artist, track.title, track.seconds) == ("Sigur Rós", "Svefn-g-englar & Co", 34)
    assert rules.playing(form("s=x&a=&t=T")) is None


def test_a_batch_of_fifty_that_begins_with_the_tenth() -> None:
    batch = "&".join(row(number, t=f"T{number}", i=str(1795251834 - 60 * number)) for number in reversed(range(50)))
    assert titles(f"s=x&{batch}") == [f"T{number}" for number in range(50)]


@pytest.mark.parametrize(
    "bad",
    [
        {"a": ""}, {"t": "%20"}, {"i": ""}, {"i": "soon"}, {"i": "0"}, {"i": "1795299999"}, {"i": "99999999999"},
        {"r": "S"}, {"a": "%00"},
    ],
)  # fmt: skip
def test_a_row_that_cannot_be_used_does_not_hold_up_the_others(bad: dict[str, str]) -> None:
    assert titles(f"{row(0, t='one')}&{row(1, **bad)}&{row(2, t='two')}") == ["one", "two"]


def test_a_loved_track_was_heard_and_unknown_fields_are_nothing() -> None:
    assert titles(f"{row(0, t='loved')}&r[0]=&r[0]=L&portable=1&m[0]=no-mbid&l[0]=long") == ["loved"]


def test_what_failed_is_one_line() -> None:
    assert rules.failed("The database\nis away.") == "FAILED The database is away.\n"


@given(st.lists(st.tuples(st.text(max_size=8), st.text(st.characters(codec=None), max_size=8))))
def test_no_form_raises(pairs: list[tuple[str, str]]) -> None:
    rules.submitted(pairs, NOW)
    rules.playing(pairs)
