"""What a webhook tells, made safe to show: an Event -> an Entry, and what it is recognised by."""

from collections.abc import Mapping
from hashlib import blake2b
from typing import Any

from lifestream.clean.columns import json_of
from lifestream.clean.dates import parse_date
from lifestream.clean.entries import NAME_CHARS, TAG_CHARS, TITLE_CHARS, Identified, plain_to_html
from lifestream.clean.html import clean_html, summary_of, text_of, web_address
from lifestream.protocol.adapter import Event
from lifestream.types import Author, Entry

TEXT_CHARS = 200_000
MOST_TAGS = 20
MOST_OF_DATA = 200


def entry_of(event: Event) -> Entry:
    """Without `published` where the sender says no moment."""
    content = clean_html(plain_to_html(_text(event.text, TEXT_CHARS)), "")
    return Entry(
        kind=event.kind,
        title=_line(event.title, TITLE_CHARS) or None,
        url=web_address(event.url) or None,
        content_html=content,
        summary=summary_of(text_of(content)),
        author=_author(event.author),
        published=parse_date(event.published),
        updated=parse_date(event.updated),
        tags=tuple(dict.fromkeys(tag for one in event.tags[:MOST_TAGS] if (tag := _line(one, TAG_CHARS)))),
        data=_safe(event.data),
    )


def identified(event: Event, entry: Entry, identity: str) -> Identified:
    """`link_key` is of the branch that was pushed to: what pushes that follow are found by."""
    shown = [entry.kind, entry.title, entry.url, entry.content_html, entry.tags, entry.data]
    digest = key_of(json_of(shown))
    branch = key_of(event.burst) if event.burst else ""
    return Identified(identity, digest, branch, "", entry.published, entry.updated)


def key_of(text: str) -> str:
    return blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()


def _author(author: Author | None) -> Author | None:
    name = _line(author.name, NAME_CHARS) if author else ""
    return Author(name, web_address(author.url), web_address(author.photo)) if author and name else None


def _safe(data: Mapping[str, Any]) -> dict[str, Any]:
    """Strings, numbers, and lists of such; addresses are http(s) or empty."""
    return {str(name): _value(str(name), value) for name, value in data.items()}


def _value(name: str, value: Any) -> Any:
    if isinstance(value, str):
        return web_address(value) if name.endswith("url") else _line(value, TITLE_CHARS)
    if isinstance(value, Mapping):
        return _safe(value)
    if isinstance(value, list | tuple):
        return [_value(name, one) for one in value[:MOST_OF_DATA]]
    return value if isinstance(value, bool | float) or isinstance(value, int) and abs(value) < 2**53 else None


def _line(text: str, most: int) -> str:
    return " ".join(_text(text, 4 * most).split())[:most].strip()


def _text(text: str, most: int) -> str:
    """Without what no text has: half characters, and control characters but line breaks and tabs."""
    kept = text[:most].encode("utf-8", "replace").decode()
    return "".join(c for c in kept if c in "\n\t\r" or c >= " " and not "\x7f" <= c < "\xa0")
