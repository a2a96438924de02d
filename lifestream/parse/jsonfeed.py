"""JSON Feed 1.0 and 1.1 (https://www.jsonfeed.org/version/1.1/). Wrong types are skipped: not trusted, not fatal."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from lifestream.errors import ParseError
from lifestream.parse.document import (
    CONTENT_CHARS,
    HUBS,
    MEDIA,
    TAGS,
    TEXT_CHARS,
    TITLE_CHARS,
    Document,
)
from lifestream.parse.extensions import media_type, pixels, place
from lifestream.parse.json_text import dicts, is_json, read_broken_json, read_json, text
from lifestream.parse.names import absolute
from lifestream.types import Author, Feed, Location, Media, RawEntry, Text


def sniff(document: Document) -> bool:
    return is_json(document)


def read(document: Document) -> Feed:
    return feed_of(read_json(document), document.url)


def repair(document: Document) -> Feed:
    return feed_of(read_broken_json(document), document.url, damaged=True)


def feed_of(found: object, url: str, *, damaged: bool = False) -> Feed:
    if not isinstance(found, dict) or ("jsonfeed.org" not in text(found.get("version")) and not _is_feed_shaped(found)):
        raise ParseError(f"This is JSON, but not a JSON Feed{_complaint(found)}.")
    site = absolute(text(found.get("home_page_url")), url)
    return Feed(
        format="json",
        title=text(found.get("title"))[:TEXT_CHARS],
        site_url=site[:TEXT_CHARS],
        self_url=absolute(text(found.get("feed_url")), url)[:TEXT_CHARS],
        hubs=tuple(dict.fromkeys(_hubs(found, url)))[:HUBS],
        language=text(found.get("language"))[:40],
        author=_author(found, url),
        entries=tuple(_entry(item, url) for item in dicts(found.get("items")) if item),
        damaged=damaged,
        next_page=absolute(text(found.get("next_url")), url)[:TEXT_CHARS],
    )


def _is_feed_shaped(found: dict[str, Any]) -> bool:
    """A feed that forgot its version: items that look like items, and no other vocabulary's words."""
    items = list(dicts(found.get("items")))
    return "@context" not in found and any(
        {"content_html", "content_text", "date_published"} & item.keys() for item in items
    )


def _complaint(found: object) -> str:
    """What an API's error says of itself."""
    if isinstance(found, dict):
        for key in ("error", "message", "detail", "errors"):
            said = found.get(key)
            if isinstance(said, str) and said.strip():
                return f"; it says “{text(' '.join(said.split()))[:120]}”"
    return ""


def _hubs(found: dict[str, Any], url: str) -> Iterator[str]:
    for hub in dicts(found.get("hubs")):
        if text(hub.get("type")).lower() in ("websub", "pubsubhubbub", "pubsub"):
            if address := absolute(text(hub.get("url")), url):
                yield address[:TEXT_CHARS]


def _entry(item: dict[str, Any], base: str) -> RawEntry:
    title, summary = text(item.get("title")).strip(), text(item.get("summary")).strip()
    given = _identifier(item.get("id"))
    page = given if given.startswith(("http://", "https://")) else ""  # "ideally the full URL" (Items, "id")
    own = _extension(item)
    return RawEntry(
        id=given,
        link=(text(item.get("url")) or text(item.get("external_url")) or page).strip(),
        title=Text(title[:TITLE_CHARS]) if title else None,
        content=_content(item, base),
        summary=Text(summary[:CONTENT_CHARS]) if summary else None,
        published=text(item.get("date_published"))[:100],
        updated=text(item.get("date_modified"))[:100],
        author=_author(item, base),
        tags=_tags(item.get("tags")),
        media=tuple(_own_media(own, base) or _media(item, base))[:MEDIA],
        location=_location(own),
        verb=text(own.get("verb"))[:TEXT_CHARS],
        object_type=text(own.get("object_type"))[:TEXT_CHARS],
        in_reply_to=text(own.get("in_reply_to"))[:TEXT_CHARS],
        language=text(item.get("language"))[:40],
        base=base,
        data=_data(item, base) | _own_data(own),
    )


# -- what another lifestream says besides (publish/feeds/jsonfeed.py) ---------------------------


def _extension(item: dict[str, Any]) -> dict[str, Any]:
    return next(dicts([item.get("_lifestream")]), {})


def _own_media(own: dict[str, Any], base: str) -> list[Media]:
    """With their sizes, for which JSON Feed has no words."""
    return [
        Media(
            type=media_type(text(one.get("type")), "", url),
            url=url[:TEXT_CHARS],
            width=pixels(one.get("width")),
            height=pixels(one.get("height")),
            alt=text(one.get("alt"))[:TEXT_CHARS],
            thumbnail=absolute(text(one.get("thumbnail")), base)[:TEXT_CHARS],
        )
        for one in dicts(own.get("media"))
        if (url := absolute(text(one.get("url")), base))
    ]


def _own_data(own: dict[str, Any]) -> dict[str, Any]:
    return next(dicts([own.get("data")]), {})


def _location(own: dict[str, Any]) -> Location | None:
    for at in dicts([own.get("location")]):
        return place(at.get("lat"), at.get("lon"), text(at.get("name")))
    return None


# -- the parts of an item -----------------------------------------------------------------------


def _data(item: dict[str, Any], base: str) -> dict[str, Any]:
    """How long the first attachment lasts, and what a link post points to."""
    data: dict[str, Any] = {}
    for attachment in dicts(item.get("attachments")):
        lasts = attachment.get("duration_in_seconds")
        if isinstance(lasts, int | float) and 1 <= lasts < 10**7:
            data.setdefault("duration", int(lasts))
    target = absolute(text(item.get("external_url")), base)[:TEXT_CHARS]
    if target and text(item.get("url")):
        data["about"] = {"url": target}
    return data


def _content(item: dict[str, Any], base: str) -> Text | None:
    if markup := text(item.get("content_html")).strip():
        return Text(markup[:CONTENT_CHARS], html=True, base=base)
    if plain := text(item.get("content_text")).strip():
        return Text(plain[:CONTENT_CHARS], base=base)
    return None


def _author(found: dict[str, Any], base: str) -> Author | None:
    """`authors` of 1.1, `author` of 1.0; several are named together."""
    people = [
        person
        for given in (*dicts(found.get("authors")), *dicts([found.get("author")]))
        if (person := _person(given, base)) is not None
    ]
    names = dict.fromkeys(person.name for person in people if person.name)
    return Author(", ".join(names)[:TEXT_CHARS]) if len(names) > 1 else next(iter(people), None)


def _person(given: dict[str, Any], base: str) -> Author | None:
    name, url = text(given.get("name")).strip(), absolute(text(given.get("url")), base)
    photo = absolute(text(given.get("avatar")), base)
    return Author(name[:TEXT_CHARS], url[:TEXT_CHARS], photo[:TEXT_CHARS]) if name or url else None


def _media(item: dict[str, Any], base: str) -> Iterator[Media]:
    """The item's picture, and what is attached to it; of a film or a sound it is the still."""
    picture = absolute(text(item.get("image")), base)[:TEXT_CHARS]
    if "/favicon" in picture:  # the site's own face
        picture = ""
    attached = [one for one in _attached(item, base) if one.url != picture]
    played = next((one for one in attached if one.type.partition("/")[0] in ("video", "audio")), None)
    if picture and played is None:
        yield Media(media_type("", "image", picture), picture)
    yield from (replace(one, thumbnail=picture) if one is played else one for one in attached)


def _attached(item: dict[str, Any], base: str) -> Iterator[Media]:
    seen: set[str] = set()
    for attachment in dicts(item.get("attachments")):
        url = absolute(text(attachment.get("url")), base)
        if url and url not in seen and len(url) <= TEXT_CHARS:
            seen.add(url)
            kind = media_type(text(attachment.get("mime_type")), "", url)
            yield Media(kind, url, alt=text(attachment.get("title"))[:TEXT_CHARS])


def _tags(given: object) -> tuple[str, ...]:
    tags = (text(tag).strip()[:TEXT_CHARS] for tag in given) if isinstance(given, list) else ()
    return tuple(tag for tag in tags if tag)[:TAGS]


def _identifier(given: object) -> str:
    """A number is an id too: "a string… if it is a number, coerce it" (Items, "id")."""
    return str(given) if isinstance(given, int | float) and not isinstance(given, bool) else text(given)
