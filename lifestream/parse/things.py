"""What an ActivityStreams 2 object says of itself (https://www.w3.org/TR/activitystreams-core/), and JSON-LD's ways of
saying one thing: a list of one or the one, an address or the thing itself, a text or a map of languages.
"""

import re
from collections.abc import Iterator
from html import escape
from typing import Any

from lifestream.parse.document import CONTENT_CHARS, MEDIA, TAGS, TEXT_CHARS, TITLE_CHARS
from lifestream.parse.extensions import media_type, pixels, place
from lifestream.parse.json_text import dicts, text
from lifestream.parse.names import absolute
from lifestream.types import Author, Location, Media, RawEntry, Text

Thing = dict[str, Any]
_Link = tuple[str, str, Thing]
"""Its media type, its address, and all else that is said of it."""

_FAMILIES = ("image", "video", "audio")


def entry_of(thing: Thing, base: str) -> RawEntry:
    title, summary = string(thing, "name").strip(), string(thing, "summary").strip()
    return RawEntry(
        id=address(thing)[:TEXT_CHARS],
        link=_page(thing, base)[:TEXT_CHARS],
        title=Text(title[:TITLE_CHARS]) if title else None,
        content=_content(thing, base),
        summary=Text(summary[:CONTENT_CHARS], html="</" in summary, base=base) if summary else None,
        published=text(thing.get("published"))[:100],
        updated=text(thing.get("updated"))[:100],
        tags=tuple(_tags(thing))[:TAGS],
        media=tuple(_media(thing, base))[:MEDIA],
        location=_location(thing),
        object_type=type_of(thing).lower()[:TEXT_CHARS],
        in_reply_to=address(thing.get("inReplyTo"))[:TEXT_CHARS],
        language=language_of(thing),
        base=base,
        data=_data(thing),
    )


def language_of(thing: Thing) -> str:
    """That under which the text is in its map of languages."""
    for field in ("content", "name", "summary"):
        given = thing.get(f"{field}Map")
        by_text = {text(said): text(name) for name, said in given.items()} if isinstance(given, dict) else {}
        if (language := by_text.get(string(thing, field), "und")) != "und":
            return language[:40]
    return ""


def author_of(base: str, *candidates: object) -> Author | None:
    """The first of these with a name, else the first with an address."""
    known = [who for given in candidates for each in many(given) if (who := person_of(each, base)).url or who.name]
    return next((who for who in known if who.name), known[0] if known else None)


def person_of(given: object, base: str) -> Author:
    who = given if isinstance(given, dict) else {"id": given}
    name = string(who, "name").strip() or text(who.get("preferredUsername")).strip()
    return Author(name[:TEXT_CHARS], _page(who, base)[:TEXT_CHARS], _icon(who, base))


# -- texts ------------------------------------------------------------------------------------


def _content(thing: Thing, base: str) -> Text | None:
    written = string(thing, "content").strip()
    is_html = text(thing.get("mediaType")).partition(";")[0].strip() in ("", "text/html")
    if is_html and type_of(thing) == "Question":
        names = (string(option, "name") for field in ("oneOf", "anyOf") for option in dicts(many(thing.get(field))))
        options = "".join(f"<li>{escape(name)}</li>" for name in names if name)
        written += f"<ul>{options}</ul>" if options else ""
    return Text(written[:CONTENT_CHARS], html=is_html, base=base) if written else None


def _data(thing: Thing) -> dict[str, Any]:
    """`summary` is a warning where the thing is sensitive."""
    data: dict[str, Any] = {"sensitive": True} if thing.get("sensitive") is True else {}
    for name, field in (("start", "startTime"), ("end", "endTime")):
        if moment := text(thing.get(field)):
            data[name] = moment[:100]
    return data


def _tags(thing: Thing) -> Iterator[str]:
    """Hashtags. Mentions and custom emoji are tags too, and nothing to file an entry under."""
    for tag in dicts(many(thing.get("tag"))):
        if type_of(tag) == "Hashtag" and (name := string(tag, "name").strip().lstrip("#")):
            yield name[:TEXT_CHARS]


def _location(thing: Thing) -> Location | None:
    for where in (thing, *dicts(many(thing.get("location")))):
        if at := place(where.get("latitude"), where.get("longitude"), string(where, "name")):
            return at
    return None


# -- addresses, pictures ----------------------------------------------------------------------


def _page(thing: Thing, base: str) -> str:
    """Among a thing's addresses the page for people, or one of which nothing is said; at last its id."""
    links = _links(thing, base)
    page = next((href for kind, href, _ in links if kind.startswith("text/html")), "")
    return page or next((href for kind, href, _ in links if not kind), "") or absolute(text(thing.get("id")), base)


def _links(thing: Thing, base: str) -> list[_Link]:
    """A thing's addresses. Those of a film's files may hang on the address of its playlist."""
    given = many(thing.get("url")) or many(thing.get("href"))
    nested = [inner for link in dicts(given) for inner in dicts(many(link.get("tag")))]
    found = []
    for link in (*given, *nested):
        about = link if isinstance(link, dict) else {}
        if href := absolute(address(link), base):
            found.append((text(about.get("mediaType")).lower(), href, about))
    return found


def _media(thing: Thing, base: str) -> Iterator[Media]:
    """What the thing itself is, what illustrates it, what is attached."""
    seen: set[str] = set()
    given = [(thing, ""), *((each, "image") for each in many(thing.get("image")))]
    for each, family in (*given, *((each, "") for each in many(thing.get("attachment")))):
        about = each if isinstance(each, dict) else {"url": each}
        kind = type_of(about).lower()
        made = _medium(about, family or (kind if kind in _FAMILIES and about is not thing else ""), base)
        if made and made.url not in seen:
            seen.add(made.url)
            yield made


def _medium(thing: Thing, family: str, base: str) -> Media | None:
    """The first of its addresses that leads to a picture, a sound or a film."""
    for given, href, link in _links(thing, base):
        kind = media_type(given or text(thing.get("mediaType")), family, href)
        if kind.partition("/")[0] in _FAMILIES and len(href) <= TEXT_CHARS:
            width, height = (pixels(link.get(side)) or pixels(thing.get(side)) for side in ("width", "height"))
            return Media(kind, href, width, height, string(thing, "name")[:TEXT_CHARS], _icon(thing, base))
    return None


def _icon(thing: Thing, base: str) -> str:
    """Of several the last, which is the largest with the servers that have several."""
    icons = many(thing.get("icon"))[-1:]
    links = [link for icon in icons for link in _links(icon if isinstance(icon, dict) else {"url": icon}, base)]
    return links[0][1][:TEXT_CHARS] if links else ""


# -- one thing in many ways -------------------------------------------------------------------


def type_of(thing: Thing) -> str:
    """The first that is named, without its prefix or namespace."""
    named = next((each for each in many(thing.get("type")) if isinstance(each, str)), "")
    return text(re.split("[#:/]", named)[-1])


def address(given: object) -> str:
    """Of a thing: what stands for it, what is in it, or where a Link leads."""
    found = one(given)
    if isinstance(found, dict):
        return text(found.get("href")).strip() or text(found.get("id")).strip()
    return text(found).strip()


def string(thing: Thing, field: str) -> str:
    """A natural language value (Core, 4.7); of several languages the first."""
    given, by_language = one(thing.get(field)), thing.get(f"{field}Map")
    if not isinstance(given, str) and isinstance(by_language, dict):
        given = next(iter(by_language.values()), "")
    return text(given)


def one(given: object) -> object:
    return next(iter(given), None) if isinstance(given, list) else given


def many(given: object) -> list[Any]:
    return [] if given is None else given if isinstance(given, list) else [given]
