"""The addresses of the pictures that are kept here, and when a picture that did not come is asked for again.

A picture's name is a keyed digest of its original address: a page can say where it will be before it is here, and
nobody can tell where those of a private entry are. It is kept in up to three widths, never larger than it came.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from hashlib import blake2b

from lifestream.types import Author, Media

WIDTHS = (480, 960, 1600)
USUAL = 960
TYPE = "image/webp"
RETRIES = (timedelta(minutes=1), timedelta(minutes=10), timedelta(hours=1), timedelta(hours=8), timedelta(days=2))
"""So long after each try that may do better the next time; after the last one a picture is given up."""
MAY_PASS = frozenset((408, 425, 429))
LAGS = 2
"""So many more tries for what is "not found" or the like: an entry may be told of before its picture is everywhere."""
LONGEST_WAIT = timedelta(days=7)
"""A host may ask for more patience than ours, but not for ever."""

_FILE = re.compile(rf"([0-9a-f]{{24}})-({'|'.join(map(str, WIDTHS))})\.webp")


@dataclass(frozen=True, slots=True)
class Picture:
    """One picture, for a template. `original` is where it came from; the others are ours."""

    original: str
    name: str
    width: int | None

    @property
    def src(self) -> str:
        return address(self.name, USUAL)

    @property
    def small(self) -> str:
        return address(self.name, WIDTHS[0])

    @property
    def large(self) -> str:
        return address(self.name, WIDTHS[-1])

    @property
    def srcset(self) -> str:
        """Each width that there is, or may be; the largest is the picture's own."""
        widths = kept_widths(self.width) if self.width else WIDTHS
        return ", ".join(f"{address(self.name, width)} {min(width, self.width or width)}w" for width in widths)


@dataclass(frozen=True, slots=True)
class Developed:
    """A picture as it is kept: the size that it came with, upright, and one file for each of its `kept_widths`."""

    width: int
    height: int
    files: tuple[bytes, ...]


class Pictures:
    """Names the pictures of one site. Its `key` is read from the database as the site opens."""

    def __init__(self, *, kept: bool = True) -> None:
        self.key = b""
        self.kept = kept
        """Whether this site keeps any."""

    def picture(self, url: str, width: int | None = None) -> Picture | None:
        """The picture that is at `url`, `width` pixels wide as far as is known; None where none are kept."""
        if not self.kept or not url.startswith(("http://", "https://")):
            return None
        return Picture(url, self.name(url), width)

    def name(self, url: str) -> str:
        return blake2b(url.encode("utf-8", "surrogatepass"), key=self.key, digest_size=12).hexdigest()


def address(name: str, width: int) -> str:
    return f"/media/{file_name(name, width)}"


def file_name(name: str, width: int) -> str:
    return f"{name}-{width}.webp"


def asked_for(file: str) -> tuple[str, int] | None:
    """The name and the width in a file's name; None for what cannot be one of ours."""
    found = _FILE.fullmatch(file)
    return (found[1], int(found[2])) if found else None


def kept_widths(width: int) -> tuple[int, ...]:
    """The widths in which a picture is kept that came `width` pixels wide; the last is its own if that is smaller."""
    return tuple(one for place, one in enumerate(WIDTHS) if place == 0 or WIDTHS[place - 1] < width)


def shown(media: Iterable[Media], author: Author | None) -> Mapping[str, bool]:
    """The addresses of the pictures that an entry shows; true for those that stand in its `media` by themselves."""
    found: dict[str, bool] = {}
    for one in media:
        if one.type.startswith("image"):
            found[one.url] = True
        elif one.thumbnail:
            found.setdefault(one.thumbnail, False)
    if author and author.photo:
        found.setdefault(author.photo, False)
    return {url: in_media for url, in_media in found.items() if url.startswith(("http://", "https://"))}


def fitted(media: Iterable[Media], url: str, width: int, height: int) -> tuple[Media, ...]:
    """`media` with the size of the picture at `url`, now that it is known."""
    return tuple(
        replace(one, width=width, height=height) if one.type.startswith("image") and one.url == url else one
        for one in media
    )


def again_at(attempts: int, now: datetime, *, status: int = 0, retry_after: float | None = None) -> datetime | None:
    """When to try again after so many tries, the last of which was answered by `status`; None: it is given up."""
    tries = RETRIES if status in MAY_PASS or not 300 <= status < 500 else RETRIES[:LAGS]
    if attempts > len(tries):
        return None
    asked = timedelta(seconds=min(retry_after or 0.0, LONGEST_WAIT.total_seconds()))
    return now + max(tries[attempts - 1], asked)
