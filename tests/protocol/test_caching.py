"""When to poll again."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lifestream.protocol.caching import max_age, next_poll_at, retry_after_seconds

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)
BOUNDS = {"minimum": 15 * MINUTE, "maximum": DAY}


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("120", 120), (" 0 ", 0), ("Sat, 21 Nov 2026 12:02:00 GMT", 120), ("Sat, 21 Nov 2026 14:02:00 +0200", 120),
        ("Saturday, 21-Nov-26 12:02:00 GMT", 120), ("Sat, 21 Nov 2026 12:02:00 -0000", 120),
        ("Sat, 21 Nov 2026 11:00:00 GMT", 0), ("9" * 400, 999_999_999_999),
        (None, None), ("", None), ("soon", None), ("-5", None), ("1.5", None), ("٣", None),
        ("Sat, 99 Nov 2026 12:02:00 GMT", None),
    ],
)  # fmt: skip
def test_retry_after_is_seconds_or_a_date(value, seconds):
    assert retry_after_seconds(value, NOW) == seconds


@given(st.text())
def test_no_retry_after_breaks_the_reader(value):
    seconds = retry_after_seconds(value, NOW)
    assert seconds is None or seconds >= 0


@pytest.mark.parametrize(
    ("cache_control", "seconds"),
    [
        ("max-age=600", 600), ("public, Max-Age = 600", 600), ('max-age="600", public', 600), ("max-age=0", 0),
        ("", None), ("no-cache", None), ("no-store, max-age=600", None), ("s-maxage=600", None), ("max-age=-1", None),
        ("x-max-age=600", None), ("max-age=soon", None),
    ],
)  # fmt: skip
def test_cache_control_says_how_long_an_answer_is_fresh(cache_control, seconds):
    assert max_age(cache_control) == (None if seconds is None else timedelta(seconds=seconds))


def test_something_new_shortens_the_interval_and_nothing_lengthens_it():
    assert next_poll_at(NOW, interval=4 * HOUR, found=True, **BOUNDS) == (NOW + 2 * HOUR, 2 * HOUR)
    assert next_poll_at(NOW, interval=4 * HOUR, found=False, **BOUNDS) == (NOW + 6 * HOUR, 6 * HOUR)


def test_the_interval_keeps_to_its_bounds():
    assert next_poll_at(NOW, interval=20 * MINUTE, found=True, **BOUNDS)[1] == 15 * MINUTE
    assert next_poll_at(NOW, interval=20 * HOUR, found=False, **BOUNDS)[1] == DAY


def test_jitter_spreads_the_polls():
    first, _ = next_poll_at(NOW, interval=4 * HOUR, jitter=0.0, **BOUNDS)
    last, _ = next_poll_at(NOW, interval=4 * HOUR, jitter=1.0, **BOUNDS)
    assert (first, last) == (NOW + 5.4 * HOUR, NOW + 6.6 * HOUR)


def test_an_answer_that_is_fresh_for_longer_is_left_alone_for_longer():
    at, interval = next_poll_at(NOW, interval=2 * HOUR, cache_control="max-age=36000", **BOUNDS)
    assert (at, interval) == (NOW + 10 * HOUR, 3 * HOUR)
    assert next_poll_at(NOW, interval=2 * HOUR, cache_control="max-age=1", **BOUNDS)[0] == NOW + 3 * HOUR
    assert next_poll_at(NOW, interval=2 * HOUR, cache_control="max-age=31536000", **BOUNDS)[0] == NOW + DAY


def test_failures_back_off_and_leave_the_interval_as_it_is():
    waits = [next_poll_at(NOW, interval=2 * HOUR, failures=n, **BOUNDS) for n in (1, 2, 3, 4, 100)]
    assert [interval for _, interval in waits] == [2 * HOUR] * 5
    assert [at - NOW for at, _ in waits] == [15 * MINUTE, 30 * MINUTE, HOUR, 2 * HOUR, DAY]


def test_retry_after_is_honoured_for_up_to_a_day():
    def wait(seconds, **bounds):
        return next_poll_at(NOW, interval=HOUR, failures=1, retry_after=seconds, **(BOUNDS | bounds))[0] - NOW

    assert wait(5) == 15 * MINUTE
    assert wait(7200) == 2 * HOUR
    assert wait(7200, minimum=MINUTE, maximum=MINUTE) == 2 * HOUR
    assert wait(1e30) == DAY


@given(
    st.timedeltas(timedelta(0), timedelta(days=400)), st.booleans(), st.floats(0, 1), st.integers(0, 10_000),
    st.timedeltas(timedelta(seconds=1), 30 * DAY), st.timedeltas(timedelta(seconds=1), 30 * DAY),
)  # fmt: skip
def test_polls_stay_within_the_bounds(interval, found, jitter, failures, minimum, maximum):
    at, kept = next_poll_at(
        NOW, interval=interval, found=found, failures=failures, jitter=jitter, minimum=minimum, maximum=maximum
    )
    assert minimum <= at - NOW <= max(minimum, maximum)
    assert minimum <= kept <= max(minimum, maximum)
