"""Pages that are feeds themselves: h-feed and h-entry (https://microformats.org/wiki/h-entry), read by mf2py.

mf2py takes long to import and to run: only a page with these class names meets it, and only in the parser's process.
What an entry is, is decided in the spirit of post type discovery (https://www.w3.org/TR/post-type-discovery/).
"""

import re
import warnings
from collections.abc import Iterable, Iterator
from typing import Any

from lifestream.errors import ParseError
from lifestream.parse import encodings
from lifestream.parse.document import CONTENT_CHARS, HUBS, MEDIA, TAGS, TEXT_CHARS, TITLE_CHARS, Document, safe_text
from lifestream.parse.extensions import media_type, place, point_of_uri
from lifestream.parse.names import absolute
from lifestream.parse.seen import what_was_seen
from lifestream.protocol.links import html_links
from lifestream.types import Author, Feed, Location, Media, RawEntry, Text

Item = dict[str, Any]

SLOW = True
PAGE_CHARS = 1024 * 1024
"""What comes after so much of a page is not read."""
DEEPEST = 100
"""What is nested deeper is not read: mf2py descends by recursion."""
_CLASS = re.compile(
    rb"""\bclass\s{0,9}=\s{0,9}(?:"[^"]{0,2000}?|'[^']{0,2000}?)?(?<![\w-])h-(?:entry|feed)(?![\w-])""", re.I
)
_ENTRIES = {"h-entry": "", "h-event": "event", "h-review": "review"}
_VERBS = {
    "checkin": "checkin", "repost-of": "share", "like-of": "like", "bookmark-of": "bookmark", "listen-of": "listen",
    "watch-of": "watch", "follow-of": "follow", "jam-of": "listen", "ate": "ate", "drank": "drank", "read-of": "read",
    "play-of": "played", "exercise": "exercised",
}  # fmt: skip
_TOLD = {"ate": "Ate", "drank": "Drank", "read": "Read", "played": "Played", "exercised": "Exercise:"}
"""How a deed is told of which nothing is said but to what it was done."""
_READING = {"to-read": "Wants to read", "reading": "Reading", "finished": "Finished reading"}
_MEDIA = (("photo", "image"), ("featured", "image"), ("video", "video"), ("audio", "audio"))


def sniff(document: Document) -> bool:
    body = document.body
    return (b"h-entry" in body or b"h-feed" in body) and bool(_CLASS.search(body))  # most have neither


def read(document: Document) -> Feed:
    head = document.body[:2048].decode("latin-1")
    page = encodings.decode(document.body, f"{document.media_type} {head}")  # of two charsets the server's wins
    found, title, language = _microformats(page[:PAGE_CHARS], document.url)
    about, items = _feed_in(found["items"])
    if not items:
        raise ParseError(what_was_seen(document))
    people = _people(about, found["items"], document.url)
    links = html_links(document.body, "", document.url)
    older = next(iter(found["rels"].get("next", ())), "")
    return Feed(
        format="h-feed",
        title=(_words(about, "name") or title)[:TEXT_CHARS],
        site_url=_address_in(about, "url", document.url) or document.url[:TEXT_CHARS],
        self_url=next((link.url for link in links if "self" in link.rels), ""),
        hubs=tuple(dict.fromkeys(link.url for link in links if "hub" in link.rels))[:HUBS],
        language=language[:40],
        author=_author(about, people, document.url) or (people[0] if len(people) == 1 else None),
        entries=tuple(_entry(item, people, document.url) for item in items),
        damaged=len(page) > PAGE_CHARS,
        next_page=_address(older, document.url),
    )


def _microformats(page: str, url: str) -> tuple[dict[str, Any], str, str]:
    """What mf2py finds, the page's <title> and its language. It raises what it likes over what people write."""
    import mf2py
    from bs4 import BeautifulSoup, Tag

    try:
        with warnings.catch_warnings(action="ignore"):  # Beautiful Soup has advice for whoever calls it
            soup = BeautifulSoup(page, "lxml")
        deepest: list[Tag] = [soup]
        for _ in range(DEEPEST):
            deepest = [child for tag in deepest for child in tag.children if isinstance(child, Tag)]
        for tag in deepest:
            tag.decompose()
        found: dict[str, Any] = mf2py.parse(doc=soup, url=url, filter_roots=True)
        title = soup.title.get_text() if soup.title else ""
        language = soup.html.get("lang", "") if soup.html else ""
    except Exception as error:
        raise ParseError(f"The microformats of this page cannot be read: {type(error).__name__}.") from error
    return found, " ".join(safe_text(title).split()), safe_text(str(language))


def _feed_in(items: list[Item]) -> tuple[Item, list[Item]]:
    """The first h-feed that has entries, or else all that the page has; not what is part of another entry."""
    for feed in _each(items):
        if "h-feed" in feed["type"] and (entries := _entries_in(feed.get("children", ()))):
            return feed, entries
    return {"properties": {}}, _entries_in(items)


def _entries_in(items: Iterable[Item]) -> list[Item]:
    return [item for item in _each(items) if _ENTRIES.keys() & item["type"]]


def _each(items: Iterable[Item]) -> Iterator[Item]:
    waiting = [iter(items)]
    while waiting:
        for item in waiting[-1]:
            yield item
            if not _ENTRIES.keys() & item["type"]:
                waiting.append(iter(item.get("children", ())))
                break
        else:
            waiting.pop()


# -- one entry --------------------------------------------------------------------------------


def _entry(item: Item, people: list[Author], base: str) -> RawEntry:
    content = _content(item, base)
    link = _address_in(item, "url", base)
    verb, about = _act(item, base)
    return RawEntry(
        id=_words(item, "uid")[:TEXT_CHARS] or link,
        link=link,
        title=_title(item, verb) or _told(item, verb, about),
        content=content,
        summary=_summary(item),
        published=_words(item, "published")[:100],
        updated=_words(item, "updated")[:100],
        author=_author(item, people, base),
        tags=tuple(_tags(item))[:TAGS],
        media=tuple(_media(item, base))[:MEDIA],
        location=_location(item),
        verb=verb,
        object_type=next((_ENTRIES[kind] for kind in item["type"] if kind in _ENTRIES), ""),
        in_reply_to=_address_in(item, "in-reply-to", base),
        language=safe_text(item.get("lang") or "")[:40],
        base=base,
        data=_data(item, verb, about),
    )


def _title(item: Item, verb: str) -> Text | None:
    """A note has no name but the beginning of what it says (post type discovery, section 6)."""
    name, said = (" ".join(_words(item, part).split()) for part in ("name", "content"))
    is_note = said == name or (not verb and said.startswith(name.rstrip(" .…")))
    return Text(name[:TITLE_CHARS]) if name and not is_note else None


def _told(item: Item, verb: str, about: dict[str, str]) -> Text | None:
    """ "Ate Pancakes", where nothing else is said."""
    thing = " ".join(about.get("title", "").split()) or about.get("url", "")
    if verb not in _TOLD or not thing or item["properties"].keys() & {"content", "summary"}:
        return None
    deed = _READING.get(_words(item, "read-status").lower(), _TOLD[verb])
    return Text(f"{deed} {thing}"[:TITLE_CHARS])


def _content(item: Item, base: str) -> Text | None:
    given = next(iter(item["properties"].get("content", ())), "")
    if isinstance(given, dict) and (markup := safe_text(given.get("html") or "")):
        return Text(markup[:CONTENT_CHARS], html=True, base=base)
    written = _text(given)
    return Text(written[:CONTENT_CHARS], base=base) if written else None


def _summary(item: Item) -> Text | None:
    written = _words(item, "summary")
    return Text(written[:CONTENT_CHARS]) if written else None


def _act(item: Item, base: str) -> tuple[str, dict[str, str]]:
    """What was done, and to what."""
    if answer := _words(item, "rsvp").lower():
        return f"rsvp-{answer[:20]}", _cited(item, "in-reply-to", base)
    for name, verb in _VERBS.items():
        if item["properties"].get(name):
            return verb, _cited(item, name, base)
    return "", {}


def _cited(item: Item, name: str, base: str) -> dict[str, str]:
    values = item["properties"].get(name, ())
    cited: Item = next((value for value in values if _properties(value)), {"properties": {}})
    plain = next((value for value in values if isinstance(value, str) and not absolute(value, "")), "")
    content = _content(cited, base)
    told = {
        "url": _address_in(item, name, ""),  # mf2py makes addresses whole: what is relative still is a name
        "title": (_words(cited, "name") or _text(plain))[:TEXT_CHARS],
        "author": _words(cited, "author")[:TEXT_CHARS],
        "content_html": content.value if content and content.html else "",
    }
    return {key: value for key, value in told.items() if value}


def _data(item: Item, verb: str, about: dict[str, str]) -> dict[str, Any]:
    data: dict[str, Any] = {name: said[:100] for name in ("start", "end") if (said := _words(item, name))}
    if about:
        data["about"] = about
    if verb == "listen" and (track := about.get("title")):
        data |= {"track": track, "artist": about.get("author", "")}
    return data


def _tags(item: Item) -> Iterator[str]:
    """Without the people who are tagged."""
    for value in item["properties"].get("category", ()):
        if not _properties(value) and (tag := _text(value)):
            yield tag[:TEXT_CHARS]


def _media(item: Item, base: str) -> Iterator[Media]:
    seen: set[str] = set()
    for name, family in _MEDIA:
        for given in item["properties"].get(name, ()):
            url = _address(given, base)
            if url and url not in seen:
                seen.add(url)
                alt = safe_text(given.get("alt") or "") if isinstance(given, dict) else ""
                yield Media(media_type("", family, url), url, alt=alt[:TEXT_CHARS])


def _location(item: Item) -> Location | None:
    for name in ("checkin", "location", "geo", "adr"):
        for where in item["properties"].get(name, ()):
            if at := _point(where, _place_name(where)):
                return at
    return _point(item, "")


def _point(where: object, name: str) -> Location | None:
    """A geo: address, an h-geo, or whatever has one of these."""
    if isinstance(where, str):
        return point_of_uri(where, name)
    inside = {"properties": _properties(where)}
    at = place(_words(inside, "latitude"), _words(inside, "longitude"), name)
    return at or next((at for inner in inside["properties"].get("geo", ()) if (at := _point(inner, name))), None)


def _place_name(where: object) -> str:
    inside = {"properties": _properties(where)}
    parts = (_words(inside, name) for name in ("locality", "region", "country-name"))
    return _words(inside, "name") or ", ".join(part for part in parts if part)


# -- people -----------------------------------------------------------------------------------


def _people(feed: Item, items: list[Item], base: str) -> list[Author]:
    """The feed's authors, and who has a card on the page apart from all entries."""
    cards = [*feed["properties"].get("author", ()), *(item for item in _each(items) if "h-card" in item["type"])]
    return [who for card in cards if (who := _person(card, base)).name]


def _author(item: Item, people: list[Author], base: str) -> Author | None:
    """An address alone stands for somebody whom the page names (https://indieweb.org/authorship)."""
    for given in item["properties"].get("author", ()):
        who = _person(given, base)
        if who.name:
            return who
        if who.url:
            return next((known for known in people if known.url.rstrip("/") == who.url.rstrip("/")), who)
    return None


def _person(given: object, base: str) -> Author:
    card = {"properties": _properties(given)}
    url = _address_in(card, "url", base) or (absolute(given, "") if isinstance(given, str) else "")
    name = _words(card, "name") or ("" if url else _text(given))
    return Author(name[:TEXT_CHARS], url[:TEXT_CHARS], _address_in(card, "photo", base))


# -- values: a text, a picture or markup with its text, or another item ---------------------------


def _words(item: Item, name: str) -> str:
    """The first of the property's values that says something."""
    return next((said for value in item["properties"].get(name, ()) if (said := _text(value))), "")


def _text(value: object) -> str:
    if isinstance(value, str):
        return safe_text(value).strip()
    if name := _words({"properties": _properties(value)}, "name"):
        return name
    return safe_text(str(value.get("value") or "")).strip() if isinstance(value, dict) else ""


def _address_in(item: Item, name: str, base: str) -> str:
    return next((url for value in item["properties"].get(name, ()) if (url := _address(value, base))), "")


def _address(value: object, base: str) -> str:
    if isinstance(value, str):
        return absolute(safe_text(value), base)[:TEXT_CHARS]
    if not isinstance(value, dict):
        return ""
    given = str(value.get("value") or "")
    if "properties" not in value:
        return _address(given, base)
    # A nested item, whose value may be its name as well.
    found = _address_in({"properties": _properties(value)}, "url", base)
    return found or (_address(given, base) if given.startswith("http") else "")


def _properties(value: object) -> dict[str, Any]:
    """Those of a nested item."""
    found = value.get("properties") if isinstance(value, dict) else None
    return found if isinstance(found, dict) else {}
