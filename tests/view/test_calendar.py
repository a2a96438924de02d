from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lifestream.view import calendar

LISBON = ZoneInfo("Europe/Lisbon")
ZONES = [
    "Europe/Lisbon",
    "America/Sao_Paulo",
    "America/Havana",
    "Asia/Kathmandu",
    "Pacific/Apia",
    "Africa/Cairo",
    "UTC",
]
days = st.dates(date(1995, 1, 1), date(2040, 1, 1))


@pytest.mark.parametrize(("day", "hours"), [
    (date(2026, 3, 29), 23), (date(2026, 10, 25), 25), (date(2026, 11, 21), 24),
])  # fmt: skip
def test_a_day_is_as_long_as_the_owners_clock_says(day: date, hours: int) -> None:
    span = calendar.span_of(day, LISBON)
    assert span.end - span.start == timedelta(hours=hours)


@given(days, st.sampled_from(ZONES))
def test_days_follow_each_other_without_gap_and_hold_what_is_of_them(day: date, name: str) -> None:
    zone = ZoneInfo(name)
    span, after = calendar.span_of(day, zone), calendar.span_of(day + timedelta(days=1), zone)
    assert span.end == after.start
    if span.start < span.end:  # Samoa left out the 30th of December 2011
        assert span.start.astimezone(zone).date() == day
        assert (span.end - timedelta(microseconds=1)).astimezone(zone).date() == day
    assert (span.start - timedelta(microseconds=1)).astimezone(zone).date() < day


@pytest.mark.parametrize("text", [
    "2026-02-30", "2026-13-01", "26-01-01", "x", "", "20261121", "2026-W47-6", "1800-01-01", "9999-12-31",
])  # fmt: skip
def test_nonsense_is_no_day(text: str) -> None:
    assert calendar.day_of(text) is None


@pytest.mark.parametrize("text", ["2026/1", "2026/13", "2026/00", "202611", "2026/1x", "١٢٣٤/١١"])
def test_nonsense_is_no_month(text: str) -> None:
    assert calendar.month_of(text) is None


def test_a_month_is_shaded_by_how_much_there_was() -> None:
    counts = {date(2026, 11, number): number % 5 * number for number in range(1, 22)}
    month = calendar.month(date(2026, 11, 1), counts, date(2026, 11, 21))
    assert (month.name, month.path, month.blanks, len(month.squares)) == ("November", "/2026/11", 6, 30)
    shades = {square.count: square.shade for square in month.squares}
    assert shades[0] == 0
    assert [shade for _, shade in sorted(shades.items())] == sorted(shades.values())
    assert set(shades.values()) == {0, 1, 2, 3, 4}
    assert month.squares[20].today and month.squares[21].ahead
    assert month.squares[1].label == "2 November 2026, 4 entries"
    assert month.count == sum(counts.values())


def test_one_busy_day_does_not_make_the_others_pale() -> None:
    counts = {date(2026, 11, 1): 10_000, date(2026, 11, 2): 3, date(2026, 11, 3): 2, date(2026, 11, 4): 1}
    shades = [square.shade for square in calendar.month(date(2026, 11, 1), counts, date(2026, 11, 21)).squares[:4]]
    assert shades == [4, 3, 2, 1]


def test_an_entry_of_the_second_first_hour_is_of_its_day() -> None:
    """Havana's clocks go from one back to midnight: the day begins with the first of them."""
    span = calendar.span_of(date(2026, 11, 1), ZoneInfo("America/Havana"))
    assert (span.start, span.end - span.start) == (datetime(2026, 11, 1, 4, tzinfo=UTC), timedelta(hours=25))
