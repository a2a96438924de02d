"""What is looked at from afar: an entry as large as a screen, by its picture or its words. static/screen.js does the
same with the entries that come while the screen is open.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from lifestream.clean.html import summary_of
from lifestream.protocol.pictures import Picture
from lifestream.types import Entry, Media
from lifestream.view import cards, words
from lifestream.view.cards import PictureOf

MOST_CHARS = 240
SIZES = (80, 120, 180)
"""Titles of up to so many characters are of one size; the longer, the smaller."""
JUST_NOW = timedelta(minutes=1)
WEEK = timedelta(days=6)


@dataclass(frozen=True, slots=True)
class Slide:
    """`picture` fills the screen, or is a cover beside the title; without one the title stands on the sky."""

    look: Literal["photo", "cover", "words"]
    title: str
    label: str
    picture: Picture | None = None
    alt: str = ""
    tall: bool = False
    serif: bool = False

    @property
    def size(self) -> int:
        return sum(len(self.title) > most for most in SIZES)


def slide_of(entry: Entry, picture: PictureOf) -> Slide | None:
    """None for what not everybody wants to see, least of all so large."""
    if cards.warning_of(entry):
        return None
    title = name_of(entry)
    track = cards.track_of(entry) if cards.layout_of(entry) == "listen" else None
    label = (track.artist if track else "") or words.LABELS[entry.kind]
    for media, shown in _pictures(entry, picture):
        tall = (media.height or 0) > (media.width or 0)
        return Slide("cover" if track else "photo", title, label, shown, media.alt, tall=tall)
    return Slide("words", title, label, serif=title == summary_of(entry.summary, MOST_CHARS))


def name_of(entry: Entry) -> str:
    """What an entry is called in a line: its title, or else how it begins, where it was, what it is; of what stands
    behind a warning, no more than the warning."""
    if warning := cards.warning_of(entry):
        return warning
    place = entry.location.name if entry.location else ""
    return _title(entry) or summary_of(entry.summary, MOST_CHARS) or place or words.LABELS[entry.kind]


def when_said(at: datetime, now: datetime) -> str:
    """Shorter, the nearer it is: "06:52", "Friday 17:32", "2 November 2026". Both times are in one zone."""
    if timedelta() <= now - at < JUST_NOW:
        return "just now"
    if at.date() == now.date():
        return f"{at:%H:%M}"
    if now.date() - WEEK <= at.date() < now.date():
        return f"{words.weekday(at.date())} {at:%H:%M}"
    return words.date_words(at.date())


def when_brief(at: datetime, now: datetime) -> str:
    """The same for a narrow column: "13:48", "Fri", "14 Nov", "Nov 2025"."""
    day, today = at.date(), now.date()
    if day == today:
        return f"{at:%H:%M}"
    if today - WEEK <= day < today:
        return words.weekday(day)[:3]
    month = words.MONTHS[day.month - 1][:3]
    return f"{day.day} {month}" if day.year == today.year else f"{month} {day.year}"


def _title(entry: Entry) -> str:
    match cards.layout_of(entry):
        case "push":
            push = cards.push_of(entry, whole=False)
            commits = words.counted(push.count, "commit", "commits")
            return f"{commits} to {push.repository}" if push.repository else commits
        case "release":
            release = cards.release_of(entry)
            return f"{release.name} {release.version}".strip()
        case "listen":
            return cards.track_of(entry).name
        case "line":
            deed = cards.deed_of(entry)
            return f"{deed.before}{deed.name}{deed.after}"
        case "place":
            return (entry.location.name if entry.location else "") or entry.title or ""
        case "words":
            return entry.title or ""


def _pictures(entry: Entry, picture: PictureOf) -> Iterator[tuple[Media, Picture]]:
    """Those that the card shows: of a post none, of a film its poster."""
    for one in entry.media if entry.kind != "article" else ():
        kind = one.type.partition("/")[0]
        url = one.url if kind == "image" else one.thumbnail if kind == "video" else ""
        if url and (found := picture(url, one.width)):
            yield one, found
