"""JSON Feed 1.1 (https://www.jsonfeed.org/version/1.1/). What it has no word for stands under `_lifestream`."""

from typing import Any

import orjson

from lifestream.clean.columns import media_dict
from lifestream.publish.feeds.document import OBJECT_TYPES, Document, rfc3339, urn, verb_of
from lifestream.types import Stored

VERSION = "https://jsonfeed.org/version/1.1"


def write(document: Document) -> bytes:
    config = document.config
    author = {"name": document.author, "url": config.author_url, "avatar": document.picture_url}
    feed = {
        "version": VERSION,
        "title": document.title,
        "home_page_url": document.page_url,
        "feed_url": document.self_url,
        "authors": [_without_empty(author)],
        "hubs": [{"type": "WebSub", "url": config.hub_url}],
        "items": [_item(document, stored) for stored in document.entries],
    }
    if document.picture_url:
        feed["icon"] = document.picture_url
    return orjson.dumps(feed)


def _item(document: Document, stored: Stored) -> dict[str, Any]:
    entry = stored.entry
    author = entry.author
    item = {
        "id": urn(stored.id),
        "url": entry.url or document.entry_url(stored),
        "title": entry.title,
        "content_html": entry.content_html,
        "content_text": "" if entry.content_html else entry.summary,
        "summary": entry.summary if entry.content_html else "",
        "image": next((one.url for one in entry.media if one.type.startswith("image")), ""),
        "date_published": rfc3339(entry.published or stored.received),
        "date_modified": rfc3339(entry.updated) if entry.updated else "",
        "authors": [_without_empty({"name": author.name, "url": author.url, "avatar": author.photo})] if author else [],
        "tags": list(entry.tags),
        "language": entry.language,
        "attachments": [
            _without_empty({"url": one.url, "mime_type": one.type, "title": one.alt})
            for one in entry.media
            if "/" in one.type
        ],
        "_lifestream": _extension(document, stored),
    }
    found = _without_empty(item)
    if "content_html" not in found:  # one of the two is needed (Items)
        found.setdefault("content_text", entry.title or "")
    return found


def _extension(document: Document, stored: Stored) -> dict[str, Any]:
    entry = stored.entry
    place = entry.location
    return _without_empty(
        {
            "page": document.entry_url(stored),
            "verb": verb_of(entry),
            "object_type": OBJECT_TYPES.get(entry.kind, ""),
            "in_reply_to": entry.in_reply_to,
            "location": {"lat": place.lat, "lon": place.lon, "name": place.name} if place else None,
            "media": [_without_empty(media_dict(one)) for one in entry.media],
            "data": dict(entry.data),
            "source": {"title": stored.source.title, "feed": document.feed_of(stored)},
        }
    )


def _without_empty(given: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in given.items() if value not in ("", None, [], {})}
