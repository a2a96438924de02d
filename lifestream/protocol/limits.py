"""How often somebody may: a bucket of so many at once, refilled at so many a second, for each name."""

from collections.abc import Hashable
from math import ceil

MOST_NAMES = 10_000


class Buckets:
    """Time is the caller's: any clock that counts seconds and does not go back."""

    def __init__(self, at_once: float, per_second: float) -> None:
        self._at_once = at_once
        self._per_second = per_second
        self._left: dict[Hashable, tuple[float, float]] = {}

    def wait(self, name: Hashable, now: float) -> int:
        """Whole seconds until this name may, 0 if now; takes nothing."""
        missing = 1 - self._tokens(name, now)
        return ceil(missing / self._per_second) if missing > 0 else 0

    def take(self, name: Hashable, now: float) -> None:
        if len(self._left) >= MOST_NAMES:
            self._left = {name: left for name, left in self._left.items() if self._tokens(name, now) < self._at_once}
        self._left[name] = (self._tokens(name, now) - 1, now)

    def _tokens(self, name: Hashable, now: float) -> float:
        tokens, at = self._left.get(name, (self._at_once, now))
        return min(self._at_once, tokens + (now - at) * self._per_second)
