"""Letterboxd: films that were watched. Which one and how good it was is in the title ("Stalker, 1979 - ★★★★½"), when it
was in the content ("Watched on Saturday May 9, 2026."), unless that is a review.
"""

import re
from dataclasses import replace
from typing import Any

from lifestream.clean.dates import parse_date
from lifestream.types import Entry, Feed, RawEntry

_TITLE = re.compile(r"(.+?)(?:, (\d{4}))?(?: - (★*)(½?))?(?: \(contains spoilers\))?")
_WATCHED = re.compile(r"<p>Watched on [A-Z][a-z]+day ([A-Z][a-z]+) (\d\d?), (\d{4})\.</p>")


def wrote(raw: RawEntry, url: str, feed: Feed) -> bool:
    return raw.id.startswith(("letterboxd-watch-", "letterboxd-review-"))


def told(entry: Entry, raw: RawEntry, feed: Feed) -> Entry:
    said = {**_of_title(entry.title or ""), **_of_content(entry.content_html), **entry.data}
    return replace(entry, kind="watch", verb="watch", data=said)


def _of_title(title: str) -> dict[str, Any]:
    found = _TITLE.fullmatch(title)
    if found is None:
        return {}
    film, year, stars, half = found.groups()
    rating = len(stars or "") + 0.5 * len(half or "")
    said = {"film": film, "year": int(year) if year else None, "rating": rating if rating <= 5 else None}
    return {name: value for name, value in said.items() if value}


def _of_content(markup: str) -> dict[str, str]:
    found = _WATCHED.search(markup)
    day = parse_date(f"{found[2]} {found[1]} {found[3]}") if found else None
    return {"watched": day.date().isoformat()} if day else {}
