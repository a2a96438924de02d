"""How often a topic may be looked at because somebody says so: ten looks at once, refilled at five a second.

Looks that find nothing move the next one further away, from 0.1 s to 10 s. Nobody who pings can cause a flood, and
no ping is lost: the look after it may wait, but comes. Polls, which nobody waits for, are spaced for each host besides.
"""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from math import ceil
from urllib.parse import urlsplit

AT_ONCE = 10.0
PER_SECOND = 5.0
GAP_FIRST = 0.1
GAP_LONGEST = 10.0
SPACING = timedelta(seconds=1)
"""Between two polls of one host."""

_MICROSECOND = timedelta(microseconds=1)
_NEARLY = 1e-6  # a fifth of a microsecond's worth of tokens: what float arithmetic may lose


def host_of(url: str) -> str:
    """What politeness counts as one: scheme, name and port."""
    parts = urlsplit(url)
    port = parts.port or (443 if parts.scheme == "https" else 80)
    return f"{parts.scheme}://{parts.hostname or ''}:{port}"


@dataclass(frozen=True, slots=True)
class Pace:
    """`tokens` there were at `at`. A look starts `gap` seconds after `last`, when one last started or ended."""

    tokens: float
    at: datetime
    gap: float = 0.0
    last: datetime | None = None

    @classmethod
    def fresh(cls, now: datetime) -> "Pace":
        return cls(tokens=AT_ONCE, at=now)

    def next_at(self, now: datetime) -> datetime:
        """When the next look may start; `now` if it may at once."""
        missing = 1 - self._tokens(now)
        at = now if missing <= _NEARLY else now + ceil(missing / PER_SECOND * 1_000_000) * _MICROSECOND
        if self.last is None:
            return at
        return max(at, min(self.last, now) + timedelta(seconds=self.gap))  # a clock set back must not stop us

    def started(self, now: datetime) -> "Pace":
        return replace(self, tokens=max(self._tokens(now) - 1, 0.0), at=now, last=now)

    def found(self, now: datetime, something: bool) -> "Pace":
        """The look is over; whether it saw something new."""
        gap = 0.0 if something else min(max(self.gap * 2, GAP_FIRST), GAP_LONGEST)
        return replace(self, gap=gap, last=now)

    def _tokens(self, now: datetime) -> float:
        elapsed = max((now - self.at).total_seconds(), 0.0)
        return min(AT_ONCE, self.tokens + elapsed * PER_SECOND)
