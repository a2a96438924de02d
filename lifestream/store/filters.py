"""The stream's filters, as a condition of SQL and as a test on one entry; the two say the same."""

import math
from typing import Any

import orjson
from sqlalchemy import ColumnElement, and_, func, true

from lifestream.store.tables import EntryRow, SourceRow
from lifestream.types import Filter, Near, Stored

KM_PER_DEGREE = 111.32


def condition(wanted: Filter) -> ColumnElement[bool]:
    """Of entries joined to their source."""
    parts: list[ColumnElement[bool]] = []
    if wanted.kind:
        parts.append(EntryRow.kind == wanted.kind)
    if wanted.source:
        parts.append(SourceRow.slug == wanted.source)
    if wanted.tag:
        tag = orjson.dumps(wanted.tag.casefold()).decode()
        parts.append(func.lower(EntryRow.tags.cast(EntryRow.title.type)).contains(tag, autoescape=True))
    if wanted.near:
        parts.append(_within(wanted.near))
    for word in wanted.q.casefold().split():
        text = func.lower(func.coalesce(EntryRow.title, "") + " " + EntryRow.summary + " " + EntryRow.content_html)
        parts.append(text.contains(word, autoescape=True))
    return and_(true(), *parts)


def matches(stored: Stored, wanted: Filter) -> bool:
    entry = stored.entry
    if wanted.kind and entry.kind != wanted.kind:
        return False
    if wanted.source and stored.source.slug != wanted.source:
        return False
    if wanted.tag and wanted.tag.casefold() not in (tag.casefold() for tag in entry.tags):
        return False
    if wanted.near and (entry.location is None or not _close(entry.location.lat, entry.location.lon, wanted.near)):
        return False
    text = f"{entry.title or ''} {entry.summary} {entry.content_html}".casefold() if wanted.q else ""
    return all(word in text for word in wanted.q.casefold().split())


def _within(near: Near) -> ColumnElement[bool]:
    east, north = _kilometres(EntryRow.lat, EntryRow.lon, near)
    reach = near.km / KM_PER_DEGREE
    return and_(EntryRow.lat.between(near.lat - reach, near.lat + reach), east * east + north * north <= near.km**2)


def _close(lat: float, lon: float, near: Near) -> bool:
    east, north = _kilometres(lat, lon, near)
    return bool(east * east + north * north <= near.km**2)


def _kilometres(lat: Any, lon: Any, near: Near) -> tuple[Any, Any]:
    """East and north of the point asked for, as on a flat map: right to a percent within some hundred kilometres."""
    return (lon - near.lon) * KM_PER_DEGREE * math.cos(math.radians(near.lat)), (lat - near.lat) * KM_PER_DEGREE
