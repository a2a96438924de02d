"""Dates as they are about, and the few that may place an entry."""

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from lifestream.clean.dates import ordered_at, parse_date, plausible

TEN = datetime(2026, 1, 5, 10, 0, tzinfo=UTC)
MIDNIGHT = datetime(2026, 1, 5, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("2026-01-05T10:00:00Z", TEN),
        ("2026-01-05T11:00:00+01:00", TEN),
        ("2026-01-05 11:00:00 +0100", TEN),
        ("2026-01-05t10:00:00z", TEN),
        ("20260105T100000Z", TEN),
        ("2026-01-05T10:00", TEN),
        ("2026-01-05T10:00:00.123456789Z", TEN.replace(microsecond=123456)),
        ("2026-01-04T24:00:00Z", MIDNIGHT),
        ("2026-01-05T10:00:60Z", TEN + timedelta(seconds=59)),
        ("2026-01-05", MIDNIGHT),
        ("2026-01", datetime(2026, 1, 1, tzinfo=UTC)),
        ("Mon, 05 Jan 2026 10:00:00 GMT", TEN),
        ("Mon, 5 Jan 26 05:00 EST", TEN),
        ("5 January 2026 10:00:00", TEN),
        ("Monday, 05-Jan-26 10:00:00 GMT", TEN),
        ("Mon, 05 Jan 2026 12:00:00 GMT+0200", TEN),
        ("Mon, 05 Jan 2026 10:00:00 +0000 (UTC)", TEN),
        ("Lun, 05 janv. 2026 11:00:00 +0100", TEN),
        ("Mon Jan  5 10:00:00 2026", TEN),
        ("1767607200", TEN),
        ("1767607200000", TEN),
        ("Mon, 01 Jan 0001 00:00:00 +0000", datetime(1, 1, 1, tzinfo=UTC)),
        ("Fri, 31 Dec 9999 23:59:59 GMT", datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC)),
    ],
)
def test_a_date_is_read(text: str, meant: datetime) -> None:
    assert parse_date(f" {text}\n") == meant


@pytest.mark.parametrize(
    "text",
    [
        "", "yesterday", "Tue, 30 Feb 2026 10:00:00 GMT", "05/01/2026 10:00", "2026-W02-1", "-0001-01-01T00:00:00Z",
        "99999-01-01T00:00:00Z", "2026-01-05T10:00:00+99:99", "9999-12-31T23:59:59-23:00", "0001-01-01T00:00:00+23:00",
        "2026年1月5日", "2026-13-01", "2026-01-05T25:00:00Z",
    ],
)  # fmt: skip
def test_what_is_no_date_is_none(text: str) -> None:
    assert parse_date(text) is None


def test_the_offset_is_kept() -> None:
    read = parse_date("2026-01-05T11:00:00+01:00")
    assert read is not None and read.utcoffset() == timedelta(hours=1)


@given(st.one_of(st.text(max_size=60), st.from_regex(r"[0-9T:+ \-Z.,GMTJanMon]{0,40}")))
def test_no_text_raises(text: str) -> None:
    read = parse_date(text)
    assert read is None or read.astimezone(UTC).tzinfo is UTC


@given(
    st.datetimes(
        timezones=st.sampled_from([UTC, timezone(timedelta(hours=-11)), timezone(timedelta(hours=5, minutes=30))])
    )
)
def test_what_was_written_is_read_back(moment: datetime) -> None:
    if timedelta(days=2) < moment.replace(tzinfo=None) - datetime.min and moment.year < 9999:
        assert parse_date(moment.isoformat()) == moment


def numbers(least: int, most: int, digits: int = 2) -> st.SearchStrategy[str]:
    edges = st.sampled_from([least, least + 1, most - 1, most])
    return st.one_of(edges, st.integers(least, most)).map(lambda number: f"{number:0{digits}}")


times = st.tuples(numbers(0, 25), numbers(0, 61), st.one_of(st.just("00"), numbers(0, 61))).map(":".join)
offsets = st.builds(
    lambda sign, hours, minutes: f"{sign}{hours}{minutes}", st.sampled_from("+-"), numbers(0, 25), numbers(0, 61)
)


@given(
    numbers(0, 9999, 4),
    numbers(0, 13),
    numbers(0, 32),
    times,
    st.sampled_from(["", ".5", ".123456789"]),
    st.one_of(st.just("Z"), offsets),
)
@example("2026", "01", "05", "10:00:00", "", "+0060")
@example("9999", "12", "31", "23:59:59", "", "-2300")
def test_the_usual_form_of_rfc_3339_says_what_its_other_forms_say(
    year: str, month: str, day: str, time: str, fraction: str, zone: str
) -> None:
    colon = f"{zone[:-2]}:{zone[-2:]}" if zone != "Z" else zone
    usual = parse_date(f"{year}-{month}-{day}T{time}{fraction}{colon}")
    assert repr(usual) == repr(parse_date(f"{year}-{month}-{day} {time}{fraction} {zone}"))


@given(
    numbers(0, 9999, 4),
    st.sampled_from(["Jan", "Feb", "Sep", "Dec", "Okt", "Foo"]),
    numbers(0, 32),
    times,
    st.one_of(st.sampled_from(["GMT", "UTC", "EST", "NZDT", "JST", "XYZ", "Z"]), offsets),
)
@example("2026", "Jan", "05", "10:00:00", "+0060")
@example("0001", "Jan", "01", "00:00:00", "+2300")
def test_the_usual_form_of_rfc_822_says_what_its_other_forms_say(
    year: str, month: str, day: str, time: str, zone: str
) -> None:
    usual = parse_date(f"Mon, {day} {month} {year} {time} {zone}")
    assert repr(usual) == repr(parse_date(f"{day} {month} {year} {time} {zone}"))


@pytest.mark.parametrize("published", [None, datetime(1994, 12, 31, tzinfo=UTC), TEN + timedelta(days=2)])
def test_a_missing_or_absurd_date_places_an_entry_where_it_arrived(published: datetime | None) -> None:
    assert ordered_at(published, TEN) == TEN


def test_an_entry_is_placed_at_the_earlier_of_both() -> None:
    assert ordered_at(MIDNIGHT, TEN) == MIDNIGHT
    assert ordered_at(TEN + timedelta(hours=3), TEN) == TEN
    assert plausible(TEN + timedelta(hours=3), TEN)
