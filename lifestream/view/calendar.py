"""The owner's days: when each begins, and months of them, shaded by how much there was."""

import calendar
from bisect import bisect_left
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

from lifestream.view import words

FIRST_YEAR, LAST_YEAR = 1970, 9998


@dataclass(frozen=True, slots=True)
class Span:
    """From `start` until before `end`, in UTC."""

    start: datetime
    end: datetime


@dataclass(frozen=True, slots=True)
class Square:
    """A day of a calendar. `shade` is 0 to 4."""

    day: date
    count: int
    shade: int
    today: bool
    ahead: bool

    @property
    def label(self) -> str:
        return f"{words.date_words(self.day)}, {words.counted(self.count, 'entry', 'entries')}"


@dataclass(frozen=True, slots=True)
class Month:
    first: date
    blanks: int
    """Days of the week before its first: weeks begin on Monday."""
    squares: tuple[Square, ...]

    @property
    def name(self) -> str:
        return words.MONTHS[self.first.month - 1]

    @property
    def path(self) -> str:
        return f"/{self.first:%Y/%m}"

    @property
    def count(self) -> int:
        return sum(square.count for square in self.squares)


def day_of(text: str) -> date | None:
    """The day that "2026-11-21" names, if there is one that entries can be of."""
    try:
        day = date.fromisoformat(text)
    except ValueError:
        return None
    return day if day.isoformat() == text and FIRST_YEAR <= day.year <= LAST_YEAR else None


def month_of(text: str) -> date | None:
    """The first day of the month that "2026/11" names."""
    return day_of(text.replace("/", "-") + "-01") if len(text) == 7 else None


def span_of(day: date, zone: ZoneInfo) -> Span:
    """A day lasts from its midnight to the next; that is 23 or 25 hours when the clocks are set."""
    return Span(_midnight(day, zone), _midnight(day + timedelta(days=1), zone))


def days_of_month(first: date) -> list[date]:
    return [first + timedelta(days=number) for number in range(calendar.monthrange(first.year, first.month)[1])]


def months_of_year(year: int) -> list[date]:
    return [date(year, month, 1) for month in range(1, 13)]


def month(first: date, counts: Mapping[date, int], today: date) -> Month:
    """The shades divide the days in `counts` that have entries into four; they may be of more than this month."""
    shades = sorted(count for count in counts.values() if count)
    squares = [
        Square(day, counts.get(day, 0), _shade(counts.get(day, 0), shades), day == today, day > today)
        for day in days_of_month(first)
    ]
    return Month(first, first.weekday(), tuple(squares))


def neighbours(first: date) -> tuple[date, date]:
    """The first days of the months before and after."""
    return (first - timedelta(days=1)).replace(day=1), (first + timedelta(days=31)).replace(day=1)


def _shade(count: int, all_counts: list[int]) -> int:
    return 1 + 4 * bisect_left(all_counts, count) // len(all_counts) if count else 0


def _midnight(day: date, zone: ZoneInfo) -> datetime:
    """Where the clocks skip it, the moment at which they do; where they show it twice, the first time."""
    return datetime(day.year, day.month, day.day, tzinfo=zone).astimezone(UTC)
