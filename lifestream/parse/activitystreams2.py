"""ActivityStreams 2 (https://www.w3.org/TR/activitystreams-vocabulary/): outboxes, their pages, and what stands alone.

`@context` is neither processed nor fetched. What is not addressed to the public is left out. A post has its object's
id, since its deletion names that; every other act has its own.
"""

import re
from collections.abc import Iterator
from dataclasses import replace
from html import escape
from typing import Any

from lifestream.errors import ParseError
from lifestream.parse.document import TEXT_CHARS, Document
from lifestream.parse.json_text import is_json, read_broken_json, read_json, text
from lifestream.parse.names import absolute
from lifestream.parse.things import (
    Thing,
    address,
    author_of,
    entry_of,
    language_of,
    many,
    one,
    person_of,
    string,
    type_of,
)
from lifestream.types import Author, Feed, RawEntry, Text, Tombstone

_KEY = re.compile(rb'(?<!\\)"(?:@context|orderedItems)"\s*:')
"""Within a string the quotes would be escaped: so this is a key, wherever it stands."""
_ACTORS = frozenset({"Application", "Group", "Organization", "Person", "Service"})
_COLLECTIONS = frozenset({"Collection", "CollectionPage", "OrderedCollection", "OrderedCollectionPage"})
_OBJECTS = frozenset({"Article", "Audio", "Document", "Event", "Image", "Note", "Page", "Place", "Question", "Video"})
_POSTING = frozenset({"Add", "Create", "Update"})
_REMOVING = frozenset({"Delete", "Undo"})
_VERBS = {
    "Announce": "share", "Arrive": "checkin", "EmojiReact": "like", "Follow": "follow", "Join": "join", "Like": "like",
    "Listen": "listen", "Travel": "checkin", "View": "watch",
}  # fmt: skip
_JOINING = {"Event": "attend", "Group": "follow", "Place": "checkin"}
_ALONE = _OBJECTS | _POSTING | _REMOVING | _VERBS.keys() | {"Tombstone"}
_PUBLIC = frozenset({"https://www.w3.org/ns/activitystreams#Public", "as:Public", "Public"})
_ADDRESSING = ("to", "cc", "bto", "bcc")
_WRAPPED = 3
"""Groups announce whole activities: so many are unwrapped."""


def sniff(document: Document) -> bool:
    if not is_json(document):
        return False
    if "activity+json" in document.media_type.lower():
        return True
    body = document.body
    named = b'"@context"' in body or b'"orderedItems"' in body  # most have neither
    return named and bool(_KEY.search(body))


def read(document: Document) -> Feed:
    return feed_of(read_json(document), document.url)


def repair(document: Document) -> Feed:
    return replace(feed_of(read_broken_json(document), document.url), damaged=True)


def feed_of(found: object, url: str) -> Feed:
    thing = found if isinstance(found, dict) else {}
    kind = type_of(thing)
    if kind in _ACTORS:
        return _actor(thing, url)
    if kind in _COLLECTIONS or "orderedItems" in thing:
        return _collection(thing, url)
    if kind in _ALONE:
        return _feed([thing], url)
    said = f"; its type is “{kind[:60]}”" if kind else ""
    raise ParseError(f"This is JSON, but neither a JSON Feed nor anything of ActivityStreams{said}.")


def _actor(actor: Thing, url: str) -> Feed:
    """Somebody, whose posts are elsewhere."""
    outbox = absolute(address(actor.get("outbox")), url)[:TEXT_CHARS]
    if not outbox:
        raise ParseError("This is an ActivityStreams actor without an outbox.")
    who = person_of(actor, url)
    return Feed("activitystreams", who.name, who.url, author=who, language=language_of(actor), entries_at=outbox)


def _collection(collection: Thing, url: str) -> Feed:
    """Items of its own, or those of its first page, which is in the document or has an address."""
    first = collection.get("first")
    page = first if isinstance(first, dict) and not _items(collection) else collection
    items = _items(page)
    feed = _feed(items, url)
    first_page = absolute(address(first), url)[:TEXT_CHARS]
    return replace(
        feed,
        title=string(collection, "name")[:TEXT_CHARS],
        site_url=absolute(address(collection.get("attributedTo")), url)[:TEXT_CHARS] or feed.site_url,
        self_url=absolute(address(collection), url)[:TEXT_CHARS],
        next_page=absolute(address(page.get("next")), url)[:TEXT_CHARS],
        entries_at="" if items or first_page == url else first_page,
    )


def _items(collection: Thing) -> list[Any]:
    return many(collection.get("orderedItems")) or many(collection.get("items"))


def _feed(items: list[Any], url: str) -> Feed:
    found = list(_read(items, url))
    entries = tuple(each for each in found if isinstance(each, RawEntry))
    authors = {entry.author.url for entry in entries if entry.author}
    return Feed(
        format="activitystreams",
        site_url=authors.pop() if len(authors) == 1 else "",
        entries=entries,
        tombstones=tuple(each for each in found if isinstance(each, Tombstone) and each.ref),
    )


# -- one item ---------------------------------------------------------------------------------


def _read(items: list[Any], url: str) -> Iterator[RawEntry | Tombstone]:
    for item in items:
        if not isinstance(item, dict):
            continue
        kind = type_of(item)
        if kind in _REMOVING:
            yield _tombstone(item.get("object"), item)
        elif not _is_public(item):
            continue
        elif kind in _VERBS:
            yield from _done(item, _VERBS[kind], url)
        elif kind in _POSTING:
            yield from _posted(_thing(item.get("object")), item, url)
        elif "object" not in item:
            yield from _posted(item, {}, url)


def _tombstone(gone: object, said_by: Thing) -> Tombstone:
    when = text(said_by.get("deleted")) or text(said_by.get("published")) or text(said_by.get("updated"))
    return Tombstone(address(gone)[:TEXT_CHARS], when[:100])


def _is_public(thing: Thing) -> bool:
    """Addressed to all; or to nobody in particular, in a document that anybody may read."""
    audiences = [thing[field] for field in _ADDRESSING if thing.get(field) is not None]
    return not audiences or any(address(whom) in _PUBLIC for audience in audiences for whom in many(audience))


def _posted(thing: Thing, activity: Thing, url: str) -> Iterator[RawEntry | Tombstone]:
    """A post: as it stands, or with the activity that made it known."""
    kind = type_of(thing)
    if kind == "Tombstone":
        yield _tombstone(thing, thing)
    elif _is_public(thing) and kind not in _ACTORS and kind not in _COLLECTIONS:  # a new portrait is an "Update" too
        entry = entry_of(thing, url)
        when = text(activity.get("published"))[:100]
        is_update = type_of(activity) == "Update"
        if thing.keys() == {"id"} and (is_update or not entry.link):
            return  # that it changed, but not how; or nothing at all
        yield replace(
            entry,
            content=_linked(entry.link) if thing.keys() == {"id"} else entry.content,
            published=entry.published or ("" if is_update else when),
            updated=entry.updated or (when if is_update else ""),
            author=author_of(url, thing.get("attributedTo"), thing.get("actor"), activity.get("actor")),
        )


def _linked(page: str) -> Text:
    """A post of which nothing is known but its page."""
    address = escape(page)
    return Text(f'<a href="{address}">{address}</a>', html=True)


def _done(activity: Thing, verb: str, url: str) -> Iterator[RawEntry]:
    """Something that was done to a thing, which is told apart from the act itself."""
    where = (activity.get("target") or activity.get("location")) if verb == "checkin" else None
    thing = _thing(activity.get("object") or where)
    if not _is_public(thing):
        return
    said, about = entry_of(activity, url), entry_of(thing, url)
    told = _about(about, author_of(url, thing.get("attributedTo")))
    yield replace(
        said,
        link=said.link if "url" in activity else about.link,
        author=author_of(url, activity.get("actor")),
        media=said.media or (about.media if verb == "share" else ()),
        location=said.location or about.location,
        verb=_JOINING.get(type_of(thing), verb) if verb == "join" else verb,
        object_type="",
        in_reply_to="",
        data={**said.data, **({"about": told} if told else {}), **(_track(thing) if verb == "listen" else {})},
    )


def _thing(given: object) -> Thing:
    """What an activity is about, however deep other activities hide it; an address stands for a thing."""
    found = one(given)
    for _ in range(_WRAPPED):
        if not isinstance(found, dict) or "object" not in found:
            break
        found = one(found["object"])
    return found if isinstance(found, dict) else {"id": found}


def _about(thing: RawEntry, author: Author | None) -> dict[str, str]:
    content = thing.content or thing.summary
    told = {
        "url": thing.link,
        "title": thing.title.value[:TEXT_CHARS] if thing.title else "",
        "author": author.name if author else "",
        "content_html": (content.value if content.html else escape(content.value, quote=False)) if content else "",
        "type": thing.object_type,
    }
    return {name: value for name, value in told.items() if value}


def _track(song: Thing) -> dict[str, str]:
    """What servers that scrobble say of a song, beyond the vocabulary."""
    told = {"artist": song.get("artist"), "track": song.get("title") or song.get("name"), "album": song.get("album")}
    return {name: text(value)[:TEXT_CHARS] for name, value in told.items() if text(value)}
