"""Positions, messages and framing of the live stream."""

import json
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lifestream.errors import InvalidInput
from lifestream.protocol import live
from lifestream.protocol.live import LARGEST, Start, next_seq, parse_position, seq_range, start

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
MICROSECONDS = int(NOW.timestamp()) * 1_000_000


def test_the_next_number_is_the_time_or_one_more_than_the_last():
    assert next_seq(0, NOW) == MICROSECONDS
    assert next_seq(MICROSECONDS - 1, NOW) == MICROSECONDS
    assert next_seq(MICROSECONDS, NOW) == MICROSECONDS + 1
    assert next_seq(MICROSECONDS + 10**9, NOW) == MICROSECONDS + 10**9 + 1


def test_several_numbers_follow_one_another():
    assert list(seq_range(MICROSECONDS, NOW, 3)) == [MICROSECONDS + 1, MICROSECONDS + 2, MICROSECONDS + 3]
    assert len(seq_range(0, NOW, 0)) == 0


@given(st.lists(st.tuples(st.datetimes(datetime(2020, 1, 1), datetime(2200, 1, 1)), st.integers(1, 50)), min_size=1))
def test_numbers_only_grow_whatever_the_clock_does(writes):
    last = 0
    for at, count in writes:
        for seq in seq_range(last, at.replace(tzinfo=UTC), count):
            assert last < seq < LARGEST
            last = seq


@pytest.mark.parametrize(
    ("text", "position"),
    [(None, None), ("", None), ("0", 0), ("17", 17), ("0017", 17), (str(LARGEST - 1), LARGEST - 1)],
)
def test_a_position_is_a_number(text, position):
    assert parse_position(text) == position


@pytest.mark.parametrize("text", ["-1", "+1", "1.0", "x", " 1", "1\n", "١", "²", "1_0", str(LARGEST), "9" * 5000])
def test_what_is_no_position_is_told_so(text):
    with pytest.raises(InvalidInput):
        parse_position(text)


@pytest.mark.parametrize(
    ("after", "head", "oldest", "expected"),
    [
        (None, 50, 10, Start(50)),
        (None, 0, 0, Start(0)),
        (0, 50, 10, Start(0, replay=True)),  # never a reset
        (0, 0, 0, Start(0)),
        (30, 50, 10, Start(30, replay=True)),
        (10, 50, 10, Start(10, replay=True)),
        (50, 50, 10, Start(50)),
        (9, 50, 10, Start(50, reset=True)),
        (51, 50, 10, Start(50, reset=True)),
        (7, 0, 0, Start(0, reset=True)),
    ],
)
def test_a_stream_starts(after, head, oldest, expected):
    assert start(after, head, oldest) == expected


def test_messages_are_the_contract_s_objects():
    entry = b'{"id":"e1","title":"caf\xc3\xa9"}'
    assert json.loads(live.hello(5, False)) == {"type": "hello", "seq": 5, "reset": False}
    assert json.loads(live.entry_message(7, 5, entry)) == {
        "type": "entry", "seq": 7, "prev": 5, "entry": {"id": "e1", "title": "café"},
    }  # fmt: skip
    assert json.loads(live.delete_message(8, 7, 'e"1')) == {"type": "delete", "seq": 8, "prev": 7, "id": 'e"1'}
    assert json.loads(live.viewers(3)) == {"type": "viewers", "count": 3}
    assert json.loads(live.playing(None)) == {"type": "playing", "track": None}
    assert json.loads(live.playing({"artist": "Björk"})) == {"type": "playing", "track": {"artist": "Björk"}}


def test_an_entry_s_bytes_are_carried_as_they_are():
    entry = b'{"id": "e1" }'
    assert entry in live.entry_message(7, 5, entry)


def test_a_long_poll_is_answered_with_the_messages():
    changes = [live.entry_message(7, 5, b'{"id":"e1"}'), live.delete_message(8, 7, "e1")]
    answer = json.loads(live.poll_answer(8, False, changes))
    assert (answer["seq"], answer["reset"]) == (8, False)
    assert [change["type"] for change in answer["changes"]] == ["entry", "delete"]
    assert json.loads(live.poll_answer(8, True, [])) == {"seq": 8, "reset": True, "changes": []}


def test_an_event_carries_an_id_only_when_it_moves_the_position():
    assert live.sse(b'{"a":1}', 7) == b'id: 7\ndata: {"a":1}\n\n'
    assert live.sse(b'{"a":1}') == b'data: {"a":1}\n\n'


def test_no_data_breaks_out_of_its_event():
    assert live.sse(b"a\r\n\nid: 9") == b"data: a\ndata: \ndata: id: 9\n\n"


def test_the_stream_says_when_to_come_back():
    assert live.sse_retry(2000) == b"retry: 2000\n\n"
    assert live.sse_bye(2345) == b"event: bye\nretry: 2345\ndata: {}\n\n"
    assert live.HEARTBEAT == b":\n\n"


def test_positions_stay_exact_in_javascript_for_two_more_centuries():
    assert next_seq(0, NOW + timedelta(days=200 * 365)) < LARGEST
