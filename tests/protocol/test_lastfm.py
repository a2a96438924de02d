"""Last.fm's API 2.0: how calls are read, who is believed, and the two ways to write an answer."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any
from xml.dom import minidom

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lifestream.protocol import lastfm as rules
from lifestream.protocol.listens import Track, md5hex

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
AT = str(int(NOW.timestamp()) - 60)
PASSWORD = "ls_Secret"
MD5 = md5hex(PASSWORD)


def call(**fields: str) -> rules.Call:
    return rules.call(fields.items())


def batch(*rows: dict[str, str]) -> rules.Call:
    form = [(f"{name}[{number}]", value) for number, row in enumerate(rows) for name, value in row.items()]
    return rules.call([("method", "track.scrobble"), *form])


def row(**fields: str) -> dict[str, str]:
    return {"artist": "A", "track": "T", "timestamp": AT} | fields


def read(answer: rules.Answer) -> Any:
    return json.loads(answer.written(as_json=True))


def xml(answer: rules.Answer) -> str:
    document = minidom.parseString(answer.written(as_json=False))
    return document.documentElement.toxml()  # type: ignore[no-any-return]


# -- calls ------------------------------------------------------------------------------------


def test_names_are_the_same_in_any_letters() -> None:
    asked = call(METHOD="Track.UpdateNowPlaying", Artist="A", SK="k", Format="JSON", userName="Alice")
    assert (asked.method, asked.session, asked.user, asked.wants_json) == (
        "track.updatenowplaying", "k", "Alice", True,
    )  # fmt: skip


@pytest.mark.parametrize(
    "proof",
    [
        {"username": "Alice", "authToken": md5hex("Alice" + MD5)},
        {"username": "Alice", "authToken": md5hex("alice" + MD5)},
        {"username": "x", "password": PASSWORD},
        {"username": "x", "password": MD5},
        {"password": PASSWORD, "api_sig": "whatever"},
    ],
)
def test_the_password_is_proved_in_any_of_the_ways_that_clients_know(proof: dict[str, str]) -> None:
    assert rules.proves(call(**proof), MD5)
    assert not rules.proves(call(**proof), md5hex("another"))


@pytest.mark.parametrize("proof", [{}, {"username": "alice"}, {"authToken": MD5}, {"password": "x"}, {"password": ""}])
def test_nothing_else_proves_it(proof: dict[str, str]) -> None:
    assert not rules.proves(call(**proof), MD5)


def test_a_batch_is_taken_row_by_row() -> None:
    done = rules.scrobbles(batch(row(track="one"), row(track="two", album="B", duration="34")), NOW)
    assert [(one.track.title, one.ignored) for one in done] == [("one", 0), ("two", 0)]
    assert done[1].track.album == "B" and done[1].track.seconds == 34
    assert done[0].listen and done[0].listen.at == NOW - timedelta(minutes=1)


def test_a_scrobble_without_a_number_is_taken_too() -> None:
    (one,) = rules.scrobbles(call(method="track.scrobble", artist="A", track="T", timestamp=AT, sk="k"), NOW)
    assert one.listen is not None


@pytest.mark.parametrize(
    ("bad", "code"),
    [
        ({"artist": " "}, 1), ({"track": ""}, 2), ({"timestamp": "0"}, 3), ({"timestamp": "then"}, 3),
        ({"timestamp": str(int(NOW.timestamp()) + 301)}, 4),
    ],
)  # fmt: skip
def test_a_row_that_cannot_be_used_is_ignored_with_its_reason(bad: dict[str, str], code: int) -> None:
    good, ignored = rules.scrobbles(batch(row(), row(**bad)), NOW)
    assert good.listen and not good.ignored
    assert ignored.listen is None and ignored.ignored == code


def test_a_call_without_rows_has_none() -> None:
    assert rules.scrobbles(call(method="track.scrobble", sk="k"), NOW) == []


# -- answers ----------------------------------------------------------------------------------


def test_a_session_in_both_forms() -> None:
    answer = rules.session("alice", "k")
    inside = "<session><name>alice</name><key>k</key><subscriber>0</subscriber></session>"
    assert xml(answer) == f'<lfm status="ok">{inside}</lfm>'
    assert read(answer) == {"session": {"name": "alice", "key": "k", "subscriber": 0}}


def test_one_scrobble_is_an_object_and_several_are_a_list() -> None:
    one = read(rules.scrobbled(rules.scrobbles(batch(row(track="R&B <1>")), NOW)))["scrobbles"]
    assert one["@attr"] == {"accepted": 1, "ignored": 0}
    assert one["scrobble"]["track"] == {"corrected": "0", "#text": "R&B <1>"}
    assert one["scrobble"]["timestamp"] == AT
    two = read(rules.scrobbled(rules.scrobbles(batch(row(), row(artist="")), NOW)))["scrobbles"]
    assert two["@attr"] == {"accepted": 1, "ignored": 1}
    assert [each["ignoredMessage"]["code"] for each in two["scrobble"]] == ["0", "1"]
    three = read(rules.scrobbled(rules.scrobbles(batch(row(), row(), row()), NOW)))["scrobbles"]
    assert len(three["scrobble"]) == 3


def test_a_batch_in_xml() -> None:
    written = xml(rules.scrobbled(rules.scrobbles(batch(row(track="R&B"), row(track="")), NOW)))
    assert '<scrobbles accepted="1" ignored="1"><scrobble><track corrected="0">R&amp;B</track>' in written
    assert f"<timestamp>{AT}</timestamp>" in written and '<ignoredMessage code="2"/>' in written


def test_an_error_in_both_forms() -> None:
    answer = rules.error(rules.SESSION)
    sentence = "Invalid session key - Please re-authenticate"
    assert answer.status == 403
    assert xml(answer) == f'<lfm status="failed"><error code="9">{sentence}</error></lfm>'
    assert read(answer) == {"error": 9, "message": sentence}


def test_to_love_is_answered_with_nothing() -> None:
    assert xml(rules.done()) == '<lfm status="ok"/>' and read(rules.done()) == {}


@given(
    st.lists(
        st.tuples(st.sampled_from(["artist[0]", "track[0]", "timestamp[0]", "x"]), st.text(st.characters(codec=None)))
    )
)
def test_whatever_is_sent_the_answer_can_be_read(pairs: list[tuple[str, str]]) -> None:
    asked = rules.call(pairs)
    rules.proves(asked, MD5)
    for answer in (
        rules.scrobbled(rules.scrobbles(asked, NOW)),
        rules.now_playing(rules.playing(asked) or Track("A", "T")),
        rules.session(asked.user, "k"),
    ):
        assert xml(answer) and read(answer)
