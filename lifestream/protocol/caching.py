"""When to look again although nobody says so: Retry-After, Cache-Control, and a poll that adapts (RFC 9110, 9111).

Only a look at the document moves this time. A push says nothing about what the hub forgot to push, so it
never postpones the poll behind it.
"""

import re
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

RETRY_LONGEST = timedelta(days=1)
"""A server that asks for more quiet than this, and than the longest interval, is asked again anyway."""

_MAX_AGE = re.compile(r'(?:^|[,\s])max-age\s*=\s*"?(\d{1,12})"?\s*(?:,|$)', re.I)
_NOT_FRESH = re.compile(r"\bno-(?:cache|store)\b", re.I)


def retry_after_seconds(value: str | None, now: datetime) -> float | None:
    """Retry-After, in seconds from now: a number or a date (RFC 9110, 10.2.3); None when it is neither."""
    text = (value or "").strip()
    if text.isascii() and text.isdigit():
        return float(text[:12])
    try:
        at = parsedate_to_datetime(text)
    except (ValueError, OverflowError):
        return None
    return max((at.replace(tzinfo=at.tzinfo or UTC) - now).total_seconds(), 0.0)


def max_age(cache_control: str) -> timedelta | None:
    """For how long the answer is fresh; None where it may not be reused unasked, or nothing is said."""
    if _NOT_FRESH.search(cache_control):
        return None
    found = _MAX_AGE.search(cache_control)
    return timedelta(seconds=int(found[1][:9])) if found else None


def next_poll_at(
    now: datetime,
    *,
    interval: timedelta,
    found: bool = False,
    cache_control: str = "",
    retry_after: float | None = None,
    failures: int = 0,
    jitter: float = 0.5,
    minimum: timedelta,
    maximum: timedelta,
) -> tuple[datetime, timedelta]:
    """When to poll next, and the interval to remember, after a look that `found` something new, or nothing, or failed.

    Something new halves the interval, nothing makes it half as long again, a failure leaves it as it is and doubles
    the wait. What the server asks for can make the wait longer, never shorter.
    """
    maximum = max(minimum, maximum)
    interval = min(max(interval, minimum), maximum)
    if failures:
        wait = minimum * 2 ** min(failures - 1, 20)
    else:
        interval = min(max(interval / 2 if found else interval * 1.5, minimum), maximum)
        wait = max(interval, max_age(cache_control) or interval)
    wait = min(max(min(wait, maximum) * (0.9 + 0.2 * jitter), minimum), maximum)
    if retry_after is not None:
        wait = max(wait, min(timedelta(seconds=min(retry_after, 1e9)), max(maximum, RETRY_LONGEST)))
    return now + wait, interval
