"""Ten looks at once, refilled at five a second; none lost."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lifestream.protocol.pacing import Pace, host_of

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
MS = timedelta(milliseconds=1)
SECOND = timedelta(seconds=1)


def looked(pace, now, something=True):
    return pace.started(now).found(now, something)


def test_ten_looks_go_through_at_once_and_the_next_waits_a_fifth_of_a_second():
    pace = Pace.fresh(NOW)
    for _ in range(10):
        assert pace.next_at(NOW) == NOW
        pace = looked(pace, NOW)
    assert pace.next_at(NOW) == NOW + 200 * MS
    pace = looked(pace, NOW + 200 * MS)
    assert pace.next_at(NOW + 200 * MS) == NOW + 400 * MS


def test_the_bucket_fills_up_again_and_no_further():
    pace = Pace(tokens=0, at=NOW)
    later = NOW + 3600 * SECOND
    for _ in range(10):
        assert pace.next_at(later) == later
        pace = looked(pace, later)
    assert pace.next_at(later) > later


def test_looks_that_find_nothing_double_the_gap_up_to_ten_seconds():
    pace, now, gaps = Pace.fresh(NOW), NOW, []
    for _ in range(10):
        pace = looked(pace, now, something=False)
        at = pace.next_at(now)
        gaps.append(round((at - now) / SECOND, 3))
        now = at
    assert gaps == [0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 6.4, 10, 10, 10]


def test_a_look_that_finds_something_resets_the_gap():
    pace = Pace(tokens=10, at=NOW, gap=10.0, last=NOW)
    assert pace.next_at(NOW) == NOW + 10 * SECOND
    pace = looked(pace, NOW + 10 * SECOND)
    assert pace.next_at(NOW + 10 * SECOND) == NOW + 10 * SECOND
    assert looked(pace, NOW + 11 * SECOND, something=False).gap == 0.1


def test_the_gap_counts_from_the_end_of_a_slow_look():
    pace = Pace(tokens=10, at=NOW, gap=1.6).started(NOW).found(NOW + 30 * SECOND, False)
    assert pace.next_at(NOW + 30 * SECOND) == NOW + 30 * SECOND + 3200 * MS


def test_a_clock_that_was_set_back_stops_nobody():
    pace = looked(Pace(tokens=5, at=NOW, gap=10.0), NOW, something=False)
    before = NOW - timedelta(days=1)
    assert pace.next_at(before) == before + 10 * SECOND


@given(st.lists(st.tuples(st.integers(0, 3_000_000), st.booleans()), max_size=100))
def test_no_more_than_ten_and_five_a_second_go_through(pings):
    """However pings come, and whatever is found: every one is followed by a look, and looks keep to the bucket."""
    pace, now, looks = Pace.fresh(NOW), NOW, []
    for microseconds, something in pings:
        now += timedelta(microseconds=microseconds)
        at = pace.next_at(now)
        assert now <= at <= now + 10 * SECOND
        assert pace.next_at(at) == at
        pace, now = looked(pace, at, something), at
        looks.append(at)
    for first, began in enumerate(looks):
        for count, ended in enumerate(looks[first:], start=1):
            assert count <= 10 + 5 * ((ended - began) / SECOND) + 1e-3


@pytest.mark.parametrize(
    ("url", "host"),
    [
        ("https://Blog.example/feed?x", "https://blog.example:443"), ("http://blog.example:80/", "http://blog.example:80"),
        ("http://blog.example:8080/a", "http://blog.example:8080"), ("http://[::1]:8000/", "http://::1:8000"),
    ],
)  # fmt: skip
def test_a_host_is_scheme_name_and_port(url, host):
    assert host_of(url) == host
