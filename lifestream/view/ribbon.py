"""A day as a ribbon: x is the minute of the owner's day, each entry a tick as high as its kind is telling. SVG paths,
one for all ticks of a height, so that a full day stays small.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from lifestream.view import words

WIDTH = 1440
FULL, SLIM = 84, 22
FOOT = 4
"""Between the ticks and the bar under them."""
HEIGHTS = {
    "article": 1.0, "release": 0.9, "photo": 0.82, "video": 0.82, "note": 0.66, "checkin": 0.6, "event": 0.6,
    "code": 0.52, "audio": 0.52, "listen": 0.34, "watch": 0.34, "like": 0.3,
}  # fmt: skip
OTHERS = 0.3
LOUD = 0.5
"""Ticks below are drawn lighter: there may be many."""


@dataclass(frozen=True, slots=True)
class Tick:
    """Entries of one kind in one minute. `at` is in the owner's zone."""

    at: datetime
    kind: str
    count: int = 1


@dataclass(frozen=True, slots=True)
class Line:
    path: str
    opacity: float


@dataclass(frozen=True, slots=True)
class Ribbon:
    """`now` is the minute where the needle stands, on the day that has not ended."""

    height: int
    lines: tuple[Line, ...]
    label: str
    count: int
    now: int | None = None
    here: int | None = None
    """The minute of the one entry that is looked at."""

    @property
    def slim(self) -> bool:
        return self.height == SLIM

    @property
    def ticks(self) -> Mapping[str, Any]:
        """From where to where the tick of a kind is drawn, for those that come while the page is open."""
        tops = {kind: _top(share, self.height) for kind, share in HEIGHTS.items()}
        return {"foot": self.height - FOOT, "tops": tops | {"other": _top(OTHERS, self.height)}}


def ribbon(
    ticks: Iterable[Tick], *, height: int = FULL, now: datetime | None = None, here: datetime | None = None
) -> Ribbon:
    known = sorted(ticks, key=lambda tick: tick.at)
    minutes: dict[float, set[int]] = {}
    for tick in known:
        minutes.setdefault(HEIGHTS.get(tick.kind, OTHERS), set()).add(_minute(tick.at))
    lines = [_line(minutes[share], share, height) for share in sorted(minutes, reverse=True)]
    return Ribbon(
        height,
        tuple(lines),
        _label(known),
        sum(tick.count for tick in known),
        _minute(now) if now else None,
        _minute(here) if here else None,
    )


def _line(minutes: set[int], share: float, height: int) -> Line:
    foot, top = height - FOOT, _top(share, height)
    return Line("".join(f"M{minute} {foot}V{top}" for minute in sorted(minutes)), 1 if share > LOUD else 0.62)


def _top(share: float, height: int) -> int:
    foot = height - FOOT
    return round(foot - share * (foot - (6 if height == FULL else 2)))


def _label(ticks: list[Tick]) -> str:
    if not ticks:
        return "No entries"
    said = words.counted(sum(tick.count for tick in ticks), "entry", "entries")
    first, last = f"{ticks[0].at:%H:%M}", f"{ticks[-1].at:%H:%M}"
    return f"{said} at {first}" if first == last else f"{said} between {first} and {last}"


def _minute(when: datetime) -> int:
    return when.hour * 60 + when.minute
