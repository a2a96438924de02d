"""An entry as the columns of its row hold it: plain numbers and text, made where the entry is cleaned.

Times are whole microseconds since 1970 in UTC, JSON is text: one form on SQLite and PostgreSQL.
"""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson

from lifestream.types import Author, Entry, Media

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)

Columns = dict[str, Any]


def columns(entry: Entry) -> Columns:
    """The columns that hold `entry`, ready to insert or update."""
    place = entry.location
    return {
        "kind": entry.kind,
        "verb": entry.verb,
        "title": entry.title,
        "url": entry.url,
        "content_html": entry.content_html,
        "summary": entry.summary,
        "author": json_of(author_dict(entry.author)) if entry.author else None,
        "published": microseconds(entry.published) if entry.published else None,
        "published_offset": _offset(entry.published) if entry.published else 0,
        "updated": microseconds(entry.updated) if entry.updated else None,
        "tags": json_of(entry.tags) if entry.tags else "[]",
        "media": json_of(media_dicts(entry.media)) if entry.media else "[]",
        "lat": place.lat if place else None,
        "lon": place.lon if place else None,
        "place": place.name if place else "",
        "in_reply_to": entry.in_reply_to,
        "language": entry.language,
        "data": json_of(dict(entry.data)) if entry.data else "{}",
    }


def microseconds(moment: datetime) -> int:
    return (moment - EPOCH) // MICROSECOND


def moment_of(microseconds: int) -> datetime:
    return EPOCH + microseconds * MICROSECOND


def json_of(value: Any) -> str:
    return orjson.dumps(value).decode()


def author_dict(author: Author) -> dict[str, str]:
    return {"name": author.name, "url": author.url, "photo": author.photo}


def media_dicts(media: Iterable[Media]) -> list[dict[str, Any]]:
    return [media_dict(one) for one in media]


def media_dict(one: Media) -> dict[str, Any]:
    return {
        "type": one.type,
        "url": one.url,
        "width": one.width,
        "height": one.height,
        "alt": one.alt,
        "thumbnail": one.thumbnail,
    }


def _offset(moment: datetime) -> int:
    """Minutes east of UTC."""
    offset = moment.utcoffset()
    return int(offset.total_seconds() // 60) if offset else 0
