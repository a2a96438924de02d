"""Our reader beside feedparser, entry by entry, over any folder of feeds: `python -m bench.differential FOLDER`.

Every disagreement is listed; those that `differences.json` accepts, each for a reason, count as agreement. What
feedparser cannot read at all (JSON, activities, HTML) is left out. Objects of activities are hidden from it, since it
takes their ids, titles and links for the entry's own. Exits with 1 below the aims.
"""

import html
import json
import re
import sys
import warnings
from calendar import timegm
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from fnmatch import fnmatch
from io import BytesIO
from pathlib import Path
from typing import Any

import feedparser

from lifestream.clean.dates import parse_date
from lifestream.errors import ParseError
from lifestream.parse import parse
from lifestream.parse.illformed import without_objects
from lifestream.parse.names import absolute
from lifestream.types import Feed, RawEntry, Text

AIMS = {"id": 0.995, "link": 0.995, "title": 0.995, "published": 0.995, "content": 0.98}
ACCEPTED = Path(__file__).with_name("differences.json")
URL = "https://feeds.example/dir/feed"


@dataclass(frozen=True, slots=True)
class Disagreement:
    document: str
    entry: str
    field: str
    ours: str
    theirs: str


def main(folder: Path) -> int:
    accepted = json.loads(ACCEPTED.read_text("utf-8"))
    compared: Counter[str] = Counter()
    found: list[Disagreement] = []
    excused = 0
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        for field, disagreement in differences(path):
            compared[field] += 1
            if disagreement is None:
                continue
            if any(_excuses(one, disagreement) for one in accepted):
                excused += 1
            else:
                found.append(disagreement)
    for one in found:
        print(f"{one.document}  {one.entry[:60]}")
        print(f"  {one.field}: ours {one.ours[:150]!r}\n  feedparser {one.theirs[:150]!r}")
    print(f"{len(found)} disagreements, {excused} more that are accepted")
    wrong = Counter(one.field for one in found)
    rates = {field: 1 - wrong[field] / max(1, compared[field]) for field in AIMS}
    for field, aim in AIMS.items():
        print(f"{field:10} {rates[field]:8.2%} of {compared[field]} (aim {aim:.1%})")
    return int(any(rates[field] < aim for field, aim in AIMS.items()))


def differences(path: Path) -> Iterator[tuple[str, Disagreement | None]]:
    """Each field of each entry, with the disagreement on it, if there is one."""
    body = _without_http(path.read_bytes())
    try:
        ours = parse(body, "", URL)
    except ParseError:
        return
    if ours.format not in ("atom", "rss"):
        return
    for mine, other in _pairs(ours, _entries(body)):
        here, there = _our_fields(mine), _their_fields(other, ours)
        for field in AIMS:
            same = here[field] == there[field]
            difference = Disagreement(path.name, mine.id or mine.link, field, here[field], there[field])
            yield field, None if same else difference


def _entries(body: bytes) -> list[Any]:
    """feedparser's; none where it raises, which hostile documents make it do."""
    if b"<activity:object>" in body:
        body = without_objects(body.decode("utf-8", "replace")).encode()
    try:
        return list(feedparser.parse(BytesIO(body), sanitize_html=False, resolve_relative_uris=False).entries)
    except Exception:
        return []


def _pairs(ours: Feed, theirs: list[Any]) -> Iterator[tuple[RawEntry, Any]]:
    """In order where there are as many, else by id and then by link."""
    if len(ours.entries) == len(theirs):
        yield from zip(ours.entries, theirs, strict=True)
        return
    by_name = {name: other for other in theirs for name in (other.get("link"), other.get("id")) if name}
    for mine in ours.entries:
        other = by_name.get(mine.id) or by_name.get(mine.link)
        if other is not None:
            yield mine, other


def _our_fields(entry: RawEntry) -> dict[str, str]:
    when = parse_date(entry.published or entry.updated)
    return {
        "id": entry.id.strip(),
        "link": absolute(entry.link, entry.base) or entry.link.strip(),
        "title": _visible(entry.title),
        "published": str(int(when.timestamp())) if when else "",
        "content": _visible(entry.content or entry.summary),
    }


def _their_fields(entry: Any, feed: Feed) -> dict[str, str]:
    when = entry.get("published_parsed") or entry.get("updated_parsed")
    contents = (one for one in entry.get("content") or () if one.get("value"))
    content = next(contents, None) or entry.get("summary_detail")
    base = entry.get("title_detail", {}).get("base") or feed.site_url or URL
    link = str(entry.get("link", ""))
    return {
        "id": str(entry.get("id", "")).strip(),
        "link": absolute(link, base) or link.strip(),
        "title": _text(entry.get("title", "")),
        "published": str(timegm(when)) if when else "",
        "content": _text(content["value"]) if content else "",
    }


def _visible(text: Text | None) -> str:
    return _text(text.value) if text else ""


def _text(markup: str) -> str:
    """The letters a reader would see, whatever is made of markup and spaces."""
    plain = html.unescape(html.unescape(re.sub(r"<[^<>]*>", "", re.sub(r"<[^<>]*>", "", html.unescape(markup)))))
    return "".join(plain.split())


def _without_http(body: bytes) -> bytes:
    """Some collections keep the response's head before the body."""
    if not body.startswith(b"HTTP/1."):
        return body
    return body.replace(b"\r\n", b"\n").partition(b"\n\n")[2]


def _excuses(accepted: dict[str, str], found: Disagreement) -> bool:
    """A document's name and fields, and where it is said, what each of us reads."""
    return (
        fnmatch(found.document, accepted["document"])
        and found.field in accepted["fields"].split()
        and re.search(accepted.get("ours", ""), found.ours) is not None
        and re.search(accepted.get("theirs", ""), found.theirs) is not None
    )


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("Which folder? python -m bench.differential FOLDER")
    warnings.simplefilter("ignore", DeprecationWarning)  # feedparser asks itself for what it renamed
    sys.exit(main(Path(sys.argv[1])))
