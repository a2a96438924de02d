"""What stands around the entries of a page: the day in a sentence, its ribbon, how much of each kind, and the side with
the sources, the month and the latest posts.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from zoneinfo import ZoneInfo

from sqlalchemy.ext.asyncio import AsyncConnection

from lifestream.config import Config
from lifestream.store import days, entries
from lifestream.store.days import Minute
from lifestream.types import Audience, Filter, Source, Stored
from lifestream.view import calendar, ribbon, sentence
from lifestream.view.bursts import Group, Item
from lifestream.view.calendar import Month, Span
from lifestream.view.ribbon import Ribbon, Tick
from lifestream.view.sentence import Sentence

LATEST = 5
SOURCES_SHOWN = 8


@dataclass(frozen=True, slots=True)
class Reader:
    """Who reads, when, and the transaction through which."""

    db: AsyncConnection
    config: Config
    audience: Audience
    now: datetime

    @property
    def zone(self) -> ZoneInfo:
        return self.config.zone

    @property
    def today(self) -> date:
        return self.now.astimezone(self.zone).date()

    def day_of(self, stored: Stored) -> date:
        """The owner's day that an entry stands under."""
        return stored.ordered_at.astimezone(self.zone).date()

    def span(self, day: date) -> Span:
        return calendar.span_of(day, self.zone)


@dataclass(frozen=True, slots=True)
class Lead:
    """The top of a page about one day. `counts` are entries by kind; `told` is the day that the sentence tells of."""

    day: date
    told: date
    sentence: Sentence
    ribbon: Ribbon | None
    counts: Mapping[str, int]

    @property
    def total(self) -> int:
        return sum(self.counts.values())

    @property
    def text(self) -> str:
        return sentence.text_of(self.sentence)


@dataclass(frozen=True, slots=True)
class Day:
    """One of the owner's days on a page; each of its `cards` comes with the hour of what stands under it."""

    day: date
    cards: Sequence[tuple[Item, str]]
    ribbon: Ribbon | None = None


@dataclass(frozen=True, slots=True)
class Side:
    """`sources` are those heard of last, of `source_count`."""

    sources: Sequence[Source]
    source_count: int
    entry_count: int
    latest: Sequence[Stored]
    month: Month


async def lead(reader: Reader, wanted: Filter) -> Lead:
    """Today. The counts are of all kinds, the ribbon of what is `wanted`; only the whole stream has a sentence, which
    tells of the last day that had anything where today has nothing yet. A search is not counted."""
    today = reader.today
    if wanted.searches:
        return Lead(today, today, (), None, {})
    found = await minutes_of(reader, today, replace(wanted, kind=""))
    told, said = (today, ()) if wanted else await _said(reader, found)
    shown = [one for one in found if wanted.kind in ("", one.kind)]
    return Lead(today, told, said, ribbon_of(reader, today, shown), counts_of(found))


async def _said(reader: Reader, found: Sequence[Minute]) -> tuple[date, Sentence]:
    """The sentence, and the day that it tells of."""
    today, everything = reader.today, Filter()
    if found:
        return today, sentence.of_today(await _amounts(reader, today, found, everything), **_voice(reader))
    last = await _last_day(reader)
    if last is None:
        return today, ()
    amounts = await _amounts(reader, last, await minutes_of(reader, last, everything), everything)
    return last, sentence.of_quiet_day(last, amounts, today, **_voice(reader))


async def past(reader: Reader, day: date, wanted: Filter) -> Lead:
    """A day of the archive, in the past tense."""
    found = await minutes_of(reader, day, wanted)
    said = sentence.of_past_day(day, await _amounts(reader, day, found, wanted), **_voice(reader))
    return Lead(day, day, said, ribbon_of(reader, day, found), counts_of(found))


async def days_shown(reader: Reader, items: Sequence[Item], wanted: Filter, *, cut: bool) -> list[Day]:
    """The cards under their days. The first and the last day may go on beyond the page (`cut`: it is not all there is),
    so what they had is asked for, but of a search; the others are here as a whole."""
    by_day: dict[date, list[Item]] = {}
    for item in items:
        by_day.setdefault(reader.day_of(_newest(item)), []).append(item)
    found = list(by_day)
    days = []
    for day, cards in by_day.items():
        whole = not cut or day not in (found[0], found[-1])
        shown = None
        if day != reader.today and (whole or not wanted.searches):
            ticks = _ticks_of(reader, cards) if whole else _ticks(reader, await minutes_of(reader, day, wanted))
            shown = ribbon.ribbon(ticks, height=ribbon.SLIM)
        days.append(Day(day, with_below(reader, cards), shown))
    return days


async def side(reader: Reader, sources: Sequence[Source]) -> Side:
    """`sources` are all that the reader may see."""
    latest, _ = await entries.page(reader.db, audience=reader.audience, wanted=Filter(kind="article"), limit=LATEST)
    heard = sorted(
        (one for one in sources if one.last_entry), key=lambda one: one.last_entry or reader.now, reverse=True
    )
    return Side(
        sources=heard[:SOURCES_SHOWN],
        source_count=len(sources),
        entry_count=sum(one.entry_count for one in sources),
        latest=latest,
        month=(await months(reader, [reader.today.replace(day=1)]))[0],
    )


async def months(reader: Reader, firsts: Sequence[date]) -> list[Month]:
    """Calendars of months, whose shades compare their days with each other."""
    shown = [day for first in firsts for day in calendar.days_of_month(first)]
    found = await days.counts(reader.db, [reader.span(day) for day in shown], audience=reader.audience)
    counts = dict(zip(shown, found, strict=True))
    return [calendar.month(first, counts, reader.today) for first in firsts]


async def minutes_of(reader: Reader, day: date, wanted: Filter) -> list[Minute]:
    return await days.minutes(reader.db, reader.span(day), audience=reader.audience, wanted=wanted)


def ribbon_of(reader: Reader, day: date, found: Sequence[Minute], *, here: Stored | None = None) -> Ribbon:
    """A day's ribbon; today's has a needle, and `here` is the entry that is looked at."""
    return ribbon.ribbon(
        _ticks(reader, found),
        now=reader.now.astimezone(reader.zone) if day == reader.today else None,
        here=here.ordered_at.astimezone(reader.zone) if here else None,
    )


def counts_of(found: Sequence[Minute]) -> dict[str, int]:
    """How many entries there are of each kind."""
    counts: dict[str, int] = {}
    for one in found:
        counts[one.kind] = counts.get(one.kind, 0) + one.count
    return counts


async def _last_day(reader: Reader) -> date | None:
    """The last day before today that has entries."""
    earlier, _ = await days.around(reader.db, reader.span(reader.today), audience=reader.audience)
    return earlier.astimezone(reader.zone).date() if earlier else None


async def _amounts(reader: Reader, day: date, found: Sequence[Minute], wanted: Filter) -> Mapping[str, int]:
    counts = counts_of(found)
    return await days.amounts(reader.db, reader.span(day), counts, audience=reader.audience, wanted=wanted)


def _voice(reader: Reader) -> dict[str, str]:
    return {"author": reader.config.author, "lang": reader.config.lang}


def _newest(item: Item) -> Stored:
    return item.newest if isinstance(item, Group) else item


def with_below(reader: Reader, cards: Sequence[Item]) -> list[tuple[Item, str]]:
    """Under the last entry of a day lies its midnight."""
    hours = [f"{_newest(item).ordered_at.astimezone(reader.zone):%H}" for item in cards]
    return list(zip(cards, [*hours, "00"][1:], strict=True))


def _ticks(reader: Reader, found: Sequence[Minute]) -> list[Tick]:
    return [Tick(one.at.astimezone(reader.zone), one.kind, one.count) for one in found]


def _ticks_of(reader: Reader, cards: Sequence[Item]) -> list[Tick]:
    members = [one for item in cards for one in (item.members if isinstance(item, Group) else (item,))]
    return [Tick(one.ordered_at.astimezone(reader.zone), one.entry.kind) for one in members]
