"""JSON Feed 1.0 and 1.1 (https://www.jsonfeed.org/version/1.1/). Wrong types are skipped: not trusted, not fatal."""

import json
import re
from collections.abc import Iterator
from typing import Any

import orjson

from lifestream.errors import ParseError
from lifestream.parse import encodings
from lifestream.parse.document import (
    CONTENT_CHARS,
    HUBS,
    MEDIA,
    TAGS,
    TEXT_CHARS,
    TITLE_CHARS,
    Document,
    IllFormed,
    safe_text,
)
from lifestream.parse.extensions import media_type
from lifestream.parse.names import absolute
from lifestream.types import Author, Feed, Media, RawEntry, Text

_OPENS = re.compile(rb"\s*[{\[]")


def sniff(document: Document) -> bool:
    body = document.body[:64].removeprefix(b"\xef\xbb\xbf")
    return bool(_OPENS.match(body.replace(b"\0", b"")))


def read(document: Document) -> Feed:
    try:
        found = orjson.loads(document.body.removeprefix(b"\xef\xbb\xbf"))
    except orjson.JSONDecodeError as error:
        raise IllFormed(f"The document is not well-formed JSON: {error}.") from error
    return feed_of(found, document.url)


def repair(document: Document) -> Feed:
    """NaN, lone surrogates and deep nesting, which Python's reader takes or which are cut off before it."""
    text = encodings.decode(document.body, document.media_type)
    try:
        found = json.loads(_shallow(text))
    except (ValueError, RecursionError) as error:
        raise ParseError(f"This looks like JSON, but is broken: {error}.") from error
    return feed_of(found, document.url, damaged=True)


def feed_of(found: object, url: str, *, damaged: bool = False) -> Feed:
    if not isinstance(found, dict) or (
        "jsonfeed.org" not in _text(found.get("version")) and not _is_feed_shaped(found)
    ):
        raise ParseError(f"This is JSON, but not a JSON Feed{_complaint(found)}.")
    site = absolute(_text(found.get("home_page_url")), url)
    return Feed(
        format="json",
        title=_text(found.get("title"))[:TEXT_CHARS],
        site_url=site[:TEXT_CHARS],
        self_url=absolute(_text(found.get("feed_url")), url)[:TEXT_CHARS],
        hubs=tuple(dict.fromkeys(_hubs(found, url)))[:HUBS],
        language=_text(found.get("language"))[:40],
        author=_author(found, url),
        entries=tuple(_entry(item, url) for item in _dicts(found.get("items")) if item),
        damaged=damaged,
        next_page=absolute(_text(found.get("next_url")), url)[:TEXT_CHARS],
    )


def _is_feed_shaped(found: dict[str, Any]) -> bool:
    """A feed that forgot its version: items that look like items, and no other vocabulary's words."""
    items = list(_dicts(found.get("items")))
    return "@context" not in found and any(
        {"content_html", "content_text", "date_published"} & item.keys() for item in items
    )


def _complaint(found: object) -> str:
    """What an API's error says of itself."""
    if isinstance(found, dict):
        for key in ("error", "message", "detail", "errors"):
            said = found.get(key)
            if isinstance(said, str) and said.strip():
                return f"; it says “{safe_text(' '.join(said.split()))[:120]}”"
    return ""


def _hubs(found: dict[str, Any], url: str) -> Iterator[str]:
    for hub in _dicts(found.get("hubs")):
        if _text(hub.get("type")).lower() in ("websub", "pubsubhubbub", "pubsub"):
            if address := absolute(_text(hub.get("url")), url):
                yield address[:TEXT_CHARS]


def _entry(item: dict[str, Any], base: str) -> RawEntry:
    title, summary = _text(item.get("title")).strip(), _text(item.get("summary")).strip()
    given = _identifier(item.get("id"))
    page = given if given.startswith(("http://", "https://")) else ""  # "ideally the full URL" (Items, "id")
    return RawEntry(
        id=given,
        link=(_text(item.get("url")) or _text(item.get("external_url")) or page).strip(),
        title=Text(title[:TITLE_CHARS]) if title else None,
        content=_content(item, base),
        summary=Text(summary[:CONTENT_CHARS]) if summary else None,
        published=_text(item.get("date_published"))[:100],
        updated=_text(item.get("date_modified"))[:100],
        author=_author(item, base),
        tags=_tags(item.get("tags")),
        media=tuple(_media(item, base))[:MEDIA],
        language=_text(item.get("language"))[:40],
        base=base,
        data=_data(item, base),
    )


def _data(item: dict[str, Any], base: str) -> dict[str, Any]:
    """How long the first attachment lasts, and what a link post points to."""
    data: dict[str, Any] = {}
    for attachment in _dicts(item.get("attachments")):
        lasts = attachment.get("duration_in_seconds")
        if isinstance(lasts, int | float) and 1 <= lasts < 10**7:
            data.setdefault("duration", int(lasts))
    target = absolute(_text(item.get("external_url")), base)[:TEXT_CHARS]
    if target and _text(item.get("url")):
        data["about"] = {"url": target}
    return data


def _content(item: dict[str, Any], base: str) -> Text | None:
    if markup := _text(item.get("content_html")).strip():
        return Text(markup[:CONTENT_CHARS], html=True, base=base)
    if plain := _text(item.get("content_text")).strip():
        return Text(plain[:CONTENT_CHARS], base=base)
    return None


def _author(found: dict[str, Any], base: str) -> Author | None:
    """`authors` of 1.1, `author` of 1.0; several are named together."""
    people = [
        person
        for given in (*_dicts(found.get("authors")), *_dicts([found.get("author")]))
        if (person := _person(given, base)) is not None
    ]
    names = dict.fromkeys(person.name for person in people if person.name)
    return Author(", ".join(names)[:TEXT_CHARS]) if len(names) > 1 else next(iter(people), None)


def _person(given: dict[str, Any], base: str) -> Author | None:
    name, url = _text(given.get("name")).strip(), absolute(_text(given.get("url")), base)
    photo = absolute(_text(given.get("avatar")), base)
    return Author(name[:TEXT_CHARS], url[:TEXT_CHARS], photo[:TEXT_CHARS]) if name or url else None


def _media(item: dict[str, Any], base: str) -> Iterator[Media]:
    seen: set[str] = set()
    picture = absolute(_text(item.get("image")), base)
    if picture and "/favicon" not in picture:  # the site's own face
        seen.add(picture)
        yield Media(media_type("", "image", picture), picture[:TEXT_CHARS])
    for attachment in _dicts(item.get("attachments")):
        url = absolute(_text(attachment.get("url")), base)
        if url and url not in seen and len(url) <= TEXT_CHARS:
            seen.add(url)
            kind = media_type(_text(attachment.get("mime_type")), "", url)
            yield Media(kind, url, alt=_text(attachment.get("title"))[:TEXT_CHARS])


def _tags(given: object) -> tuple[str, ...]:
    tags = (_text(tag).strip()[:TEXT_CHARS] for tag in given) if isinstance(given, list) else ()
    return tuple(tag for tag in tags if tag)[:TAGS]


def _identifier(given: object) -> str:
    """A number is an id too: "a string… if it is a number, coerce it" (Items, "id")."""
    return str(given) if isinstance(given, int | float) and not isinstance(given, bool) else _text(given)


def _text(given: object) -> str:
    return safe_text(given) if isinstance(given, str) else ""


def _dicts(given: object) -> Iterator[dict[str, Any]]:
    return (each for each in given if isinstance(each, dict)) if isinstance(given, list) else iter(())


# -- repairs ----------------------------------------------------------------------------------

_JSON_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"|[\[{]|[\]}]', re.S)
_DEPTH = 64


def _shallow(text: str) -> str:
    """The same JSON with whatever is nested deeper than `_DEPTH` made null."""
    kept: list[str] = []
    depth = position = 0
    for token in _JSON_TOKEN.finditer(text):
        mark = token[0]
        if mark in "[{":
            depth += 1
            if depth == _DEPTH + 1:
                kept += (text[position : token.start()], "null")
        elif mark in "]}":
            depth -= 1
            if depth == _DEPTH:
                position = token.end()
    return "".join(kept) + (text[position:] if depth <= _DEPTH else "")
