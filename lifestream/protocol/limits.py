"""How often somebody may: a bucket of so many at once, refilled at so many a second, for each name."""

from collections.abc import Hashable
from ipaddress import IPv6Address, ip_address, ip_network
from math import ceil

MOST_NAMES = 10_000


def one_caller(address: str) -> str:
    """What limits know a caller's address by: whoever has one IPv6 address has the /64 around it."""
    try:
        found = ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if not isinstance(found, IPv6Address):
        return address
    return str(found.ipv4_mapped or ip_network((int(found), 64), strict=False))


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
        tokens = self._tokens(name, now)
        self._left.pop(name, None)
        self._left[name] = (tokens - 1, now)
        if len(self._left) > MOST_NAMES:  # the fullest, more or less: it took longer ago than all others
            del self._left[next(iter(self._left))]

    def _tokens(self, name: Hashable, now: float) -> float:
        tokens, at = self._left.get(name, (self._at_once, now))
        return min(self._at_once, tokens + (now - at) * self._per_second)
