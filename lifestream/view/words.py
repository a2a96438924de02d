"""The words of the public pages, in one place. They are English; `LIFESTREAM_LANG` says whose English lists are in."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from functools import lru_cache

from babel import Locale, UnknownLocaleError
from babel.lists import format_list

WEEKDAYS = "Monday Tuesday Wednesday Thursday Friday Saturday Sunday".split()
WEEKDAYS_SHORT = "Mo Tu We Th Fr Sa Su".split()
MONTHS = "January February March April May June July August September October November December".split()

LABELS: Mapping[str, str] = {
    "article": "Post", "note": "Note", "photo": "Photo", "video": "Video", "audio": "Audio", "listen": "Listen",
    "watch": "Watched", "code": "Code", "release": "Release", "like": "Like", "repost": "Repost", "reply": "Reply",
    "bookmark": "Bookmark", "follow": "Follow", "checkin": "Check-in", "event": "Event", "other": "Entry",
}  # fmt: skip
"""What one entry of a kind is called."""
PLURALS: Mapping[str, str] = {
    "article": "Writing", "note": "Notes", "photo": "Photos", "video": "Videos", "audio": "Audio", "listen": "Music",
    "watch": "Watched", "code": "Code", "release": "Releases", "like": "Likes", "repost": "Reposts",
    "reply": "Replies", "bookmark": "Bookmarks", "follow": "Follows", "checkin": "Places", "event": "Events",
    "other": "Other",
}  # fmt: skip
"""What all of a kind are called."""


@dataclass(frozen=True, slots=True)
class Doing:
    """What somebody does who makes an entry of a kind: "took", "photo", "photos"."""

    verb: str
    one: str
    many: str

    def counted(self, amount: int) -> str:
        return counted(amount, self.one, self.many)


DOINGS: Mapping[str, Doing] = {
    "article": Doing("wrote", "post", "posts"),
    "release": Doing("published", "release", "releases"),
    "photo": Doing("took", "photo", "photos"),
    "video": Doing("posted", "video", "videos"),
    "checkin": Doing("visited", "place", "places"),
    "code": Doing("pushed", "commit", "commits"),
    "note": Doing("wrote", "note", "notes"),
    "like": Doing("liked", "thing", "things"),
    "listen": Doing("played", "song", "songs"),
    "audio": Doing("recorded", "sound", "sounds"),
    "watch": Doing("watched", "film", "films"),
    "reply": Doing("wrote", "reply", "replies"),
    "repost": Doing("shared", "post", "posts"),
    "bookmark": Doing("bookmarked", "page", "pages"),
    "event": Doing("announced", "event", "events"),
    "follow": Doing("followed", "person", "people"),
    "other": Doing("added", "entry", "entries"),
}
"""The most telling kinds first."""


def counted(amount: int, one: str, many: str) -> str:
    return f"{number(amount)} {one if amount == 1 else many}"


def number(amount: int) -> str:
    return f"{amount:,}"


def date_words(day: date) -> str:
    return f"{day.day} {MONTHS[day.month - 1]} {day.year}"


def day_and_month(day: date) -> str:
    return f"{day.day} {MONTHS[day.month - 1]}"


def age(when: datetime, now: datetime) -> str:
    """How long ago, shortly: "now", "44 min", "3 h", "2 days"."""
    minutes = int((now - when).total_seconds()) // 60
    if minutes < 1:
        return "now"
    if minutes < 60:
        return f"{minutes} min"
    if minutes < 24 * 60:
        return f"{minutes // 60} h"
    return counted(minutes // (24 * 60), "day", "days")


def month_words(day: date) -> str:
    return f"{MONTHS[day.month - 1]} {day.year}"


def weekday(day: date) -> str:
    return WEEKDAYS[day.weekday()]


def listed(words: Sequence[str], lang: str) -> str:
    return format_list(list(words), locale=english(lang))


@lru_cache(maxsize=8)
def separators(count: int, lang: str) -> tuple[str, ...]:
    """What stands between the members of a list of so many."""
    marks = [chr(0xE000 + number) for number in range(count)]
    text = listed(marks, lang)
    places = [text.index(mark) for mark in marks]
    return tuple(text[here + 1 : there] for here, there in zip(places, places[1:], strict=False))


@lru_cache(maxsize=8)
def from_right(lang: str) -> bool:
    """Whether a language is written from right to left."""
    try:
        return Locale.parse(lang, sep="-").text_direction == "rtl"
    except (ValueError, UnknownLocaleError):
        return False


@lru_cache(maxsize=8)
def english(lang: str) -> Locale:
    """The words are English: so are their lists, as the owner's country writes them, else as Britain does."""
    try:
        locale = Locale.parse(lang, sep="-")
    except (ValueError, UnknownLocaleError):
        locale = Locale("en")
    return locale if locale.language == "en" and locale.territory else Locale("en", "GB")
