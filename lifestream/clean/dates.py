"""Dates as feeds write them (RFC 3339, RFC 822 with its odd zones, ISO 8601 basic), and which of them to believe.

No function here raises: a date nobody can read is None, and the entry lives on without it.
"""

import re
from datetime import UTC, datetime, timedelta, timezone, tzinfo

EARLIEST = datetime(1995, 1, 1, tzinfo=UTC)
"""Nothing on the web is older; what claims to be is a default of somebody's database."""
AHEAD = timedelta(days=1)
"""A clock, or a time zone, may be this far wrong before its dates count as being in the future."""

_RFC3339 = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|[+-]\d\d:[0-5]\d)", re.A)
_RFC822 = re.compile(
    r"[A-Z][a-z]{2}, (\d\d) (Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec) (\d{4}) (\d\d:\d\d:\d\d)"
    r" (?:([+-]\d\d[0-5]\d)|([A-Z]{3}))",
    re.A,
)
_ISO = re.compile(
    r"(\d{4})-?(\d{2})-?(\d{2})(?:[Tt ]\s*(\d{2}):?(\d{2})(?::?(\d{2})(?:[.,](\d+))?)?"
    r"\s*(Z|z|UTC|GMT|[+-]\d{2}:?\d{2}|[+-]\d{2})?)?"
)
_YEAR_MONTH = re.compile(r"(\d{4})-(\d{2})")
_MAIL = re.compile(
    r"(?:[^\W\d]+\.?,?\s+)?(\d{1,2})[\s-]+([^\W\d]+)\.?,?[\s-]+(\d{2}|\d{4})"
    r"(?:,?\s+(\d{1,2}):(\d{2})(?::(\d{2})(?:\.\d+)?)?)?(?:\s*(?:GMT|UTC)?([+-]\d{1,2}:?\d{2})|\s*([A-Za-z]{1,5}))?(?:\s*\(.*\))?"
)
_ASCTIME = re.compile(
    r"[A-Za-z]{3}\s+([A-Za-z]{3})\s+(\d{1,2})\s+(\d{2}):(\d{2}):(\d{2})\s+(?:([A-Z]{1,5})\s+)?(\d{4})"
)
_EPOCH = re.compile(r"\d{10}|\d{13}")
_MONTHS = {
    "jan": 1, "feb": 2, "mar": 3, "apr": 4, "may": 5, "jun": 6, "jul": 7, "aug": 8, "sep": 9, "oct": 10, "nov": 11,
    "dec": 12,
    # French, German, Italian, Spanish, Portuguese and Dutch, where their first three letters differ.
    "fév": 2, "fev": 2, "mär": 3, "mrt": 3, "avr": 4, "abr": 4, "mai": 5, "mag": 5, "mei": 5, "giu": 6, "lug": 7,
    "aoû": 8, "aou": 8, "ago": 8, "set": 9, "ott": 10, "okt": 10, "out": 10, "déc": 12, "dez": 12, "dic": 12,
    "gen": 1, "ene": 1,
}  # fmt: skip
# RFC 822, section 5.1, and what else is about. One letter (military) is UTC, as RFC 2822, section 4.3, decides.
_ZONES = {
    "EST": -5, "EDT": -4, "CST": -6, "CDT": -5, "MST": -7, "MDT": -6, "PST": -8, "PDT": -7, "AKST": -9, "AKDT": -8,
    "HST": -10, "WET": 0, "WEST": 1, "BST": 1, "CET": 1, "CEST": 2, "MEZ": 1, "MESZ": 2, "EET": 2, "EEST": 3, "MSK": 3,
    "SAST": 2, "JST": 9, "KST": 9, "HKT": 8, "SGT": 8, "AWST": 8, "AEST": 10, "AEDT": 11, "NZST": 12, "NZDT": 13,
}  # fmt: skip


def parse_date(text: str) -> datetime | None:
    """The moment meant, in the offset it was written in; UTC where none was; None for what is no date."""
    text = text.strip()[:100]
    if not text:
        return None
    if usual := _usual(text):
        return usual
    if found := _ISO.fullmatch(text):
        return _iso(found)
    if found := _MAIL.fullmatch(text):
        day, month, year, hour, minute, second, offset, zone = found.groups()
        return _moment(_year(year), _month(month), day, hour, minute, second, zone=_zone(offset or zone))
    if found := _ASCTIME.fullmatch(text):
        month, day, hour, minute, second, zone, year = found.groups()
        return _moment(year, _month(month), day, hour, minute, second, zone=_zone(zone))
    if _EPOCH.fullmatch(text):
        seconds = int(text[:10])
        return datetime.fromtimestamp(seconds, UTC)
    if found := _YEAR_MONTH.fullmatch(text):
        return _moment(found[1], found[2], 1, zone=UTC)
    return None


def plausible(published: datetime, received: datetime) -> bool:
    """Whether a date may place an entry in the stream: neither before 1995 nor more than a day ahead."""
    return EARLIEST <= published <= received + AHEAD


def ordered_at(published: datetime | None, received: datetime) -> datetime:
    """The earlier of both, so that no future date keeps an entry on top; `received` where the date is no help."""
    if published is None or not plausible(published, received):
        return received
    return min(published, received)


def _usual(text: str) -> datetime | None:
    """RFC 3339, and RFC 822 made into it: nearly all that is about, in a third of the time. None is no answer yet."""
    if mail := _RFC822.fullmatch(text):
        day, month, year, time, offset, zone = mail.groups()
        text = f"{year}-{_MONTHS[month.lower()]:02}-{day}T{time}{offset or f'{_ZONES.get(zone, 0):+03}00'}"
    elif not _RFC3339.fullmatch(text):
        return None
    try:
        made = datetime.fromisoformat(text)
        made.astimezone(UTC)
    except (ValueError, OverflowError):
        return None
    return made


def _iso(found: re.Match[str]) -> datetime | None:
    year, month, day, hour, minute, second, fraction, zone = found.groups()
    micros = int((fraction or "0")[:6].ljust(6, "0"))
    return _moment(year, month, day, hour, minute, second, micros, zone=_zone(zone))


def _moment(
    year: str | int,
    month: str | int,
    day: str | int,
    hour: str | None = None,
    minute: str | None = None,
    second: str | None = None,
    micros: int = 0,
    *,
    zone: tzinfo | None,
) -> datetime | None:
    """24:00 is the next day's midnight, a leap second is the one before it; a date UTC cannot express is none."""
    if zone is None:
        return None
    hours = int(hour or 0)
    next_day = hours == 24 and not int(minute or 0) and not int(second or 0)
    try:
        made = datetime(
            int(year),
            int(month),
            int(day),
            0 if next_day else hours,
            int(minute or 0),
            min(int(second or 0), 59),
            micros,
            zone,
        )
        made = made + timedelta(days=1) if next_day else made
        made.astimezone(UTC)
    except (ValueError, OverflowError):
        return None
    return None if int(second or 0) > 60 else made


def _zone(given: str | None) -> tzinfo | None:
    """None for an offset that cannot be. An unknown name is read as UTC, as mail readers do."""
    if not given or given[0] not in "+-":
        hours = _ZONES.get((given or "").upper(), 0)
        return timezone(timedelta(hours=hours)) if hours else UTC
    digits = given[1:].replace(":", "").rjust(2, "0")
    digits = digits.ljust(4, "0") if len(digits) <= 2 else digits.rjust(4, "0")
    offset = timedelta(hours=int(digits[:2]), minutes=int(digits[2:]))
    if offset >= timedelta(hours=24) or int(digits[2:]) > 59:
        return None
    return timezone(-offset if given[0] == "-" else offset) if offset else UTC


def _year(given: str) -> int:
    """Two digits as RFC 2822, section 4.3, reads them."""
    year = int(given)
    if len(given) == 4:
        return year
    return year + (2000 if year < 50 else 1900)


def _month(given: str) -> int:
    given = given.lower()
    if given.startswith("juin"):
        return 6
    if given.startswith("juil"):
        return 7
    return _MONTHS.get(given[:3], 0)
