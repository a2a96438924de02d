"""The addresses of our own feeds: one for each part of the stream in each format, whatever spelling was asked for."""

from dataclasses import dataclass, field, replace
from typing import Literal, get_args
from urllib.parse import quote, urlencode

from lifestream.types import Filter, Near

Format = Literal["atom", "rss", "json"]
FORMATS: tuple[Format, ...] = get_args(Format)
MEDIA_TYPES: dict[Format, str] = {
    "atom": "application/atom+xml",
    "rss": "application/rss+xml",
    "json": "application/feed+json",
}
FORMAT_NAMES: dict[Format, str] = {"atom": "Atom", "rss": "RSS", "json": "JSON Feed"}
DIGITS = 6
"""Of a degree, or of a kilometre: a tenth of a metre."""


@dataclass(frozen=True, slots=True)
class Topic:
    """A feed of ours. Made with `of`, two spellings of the same filter are equal and have one address."""

    format: Format = "atom"
    wanted: Filter = field(default_factory=Filter)

    @classmethod
    def of(cls, format: Format, wanted: Filter) -> "Topic":
        return cls(format, canonical(wanted))

    @property
    def path(self) -> str:
        """A source by itself has a feed under its own address; every other filter is a query."""
        source = self.wanted.source
        if source and self.wanted == Filter(source=source):
            return f"/sources/{quote(source, safe='')}/feed.{self.format}"
        return with_query(f"/feed.{self.format}", self.wanted)

    @property
    def media_type(self) -> str:
        found = MEDIA_TYPES[self.format]
        return found if self.format == "json" else f"{found}; charset=utf-8"

    @property
    def page(self) -> str:
        """The page that shows the same."""
        source = self.wanted.source
        if source and self.wanted == Filter(source=source):
            return f"/sources/{quote(source, safe='')}"
        return with_query("/", self.wanted)


def canonical(wanted: Filter) -> Filter:
    """The same filter as everybody spells it. What it finds is the same: capitals and blanks make no difference."""
    return replace(
        wanted,
        tag=wanted.tag.lower(),
        q=" ".join(wanted.q.lower().split()),
        near=_rounded(wanted.near) if wanted.near else None,
    )


def with_query(path: str, wanted: Filter) -> str:
    """`path` with the filter as its query, in the order of the alphabet."""
    asked = {
        "kind": wanted.kind,
        "near": near_text(wanted.near) if wanted.near else "",
        "q": wanted.q,
        "source": wanted.source,
        "tag": wanted.tag,
    }
    query = urlencode({name: value for name, value in asked.items() if value}, safe=",")
    return f"{path}?{query}" if query else path


def near_text(near: Near) -> str:
    return ",".join(_decimal(number) for number in (near.lat, near.lon, near.km))


def _rounded(near: Near) -> Near:
    smallest: float = 10**-DIGITS
    return Near(round(near.lat, DIGITS), round(near.lon, DIGITS), max(round(near.km, DIGITS), smallest))


def _decimal(number: float) -> str:
    text = f"{number:.{DIGITS}f}".rstrip("0").rstrip(".")
    return "0" if text == "-0" else text
