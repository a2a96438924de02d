"""The stream's filters, as a condition of SQL and as a test on one entry; the two say the same."""

import math
from typing import Any

from sqlalchemy import ColumnElement, and_, false, func, literal, true
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.functions import GenericFunction

from lifestream.clean.columns import json_of
from lifestream.store import search
from lifestream.store.tables import EntryRow, SourceRow
from lifestream.types import Filter, Near, Stored

KM_PER_DEGREE = 111.32


class unicode_lower(GenericFunction[str]):
    """`lower()` beyond ASCII, which SQLite's own does not know; there it is Python's (store/database.py)."""

    inherit_cache = True


@compiles(unicode_lower)
def _lower(element: unicode_lower, compiler: Any, **options: Any) -> str:
    name = "unicode_lower" if compiler.dialect.name == "sqlite" else "lower"
    return f"{name}({compiler.process(element.clauses, **options)})"


def condition(wanted: Filter, *, common: bool = False) -> ColumnElement[bool]:
    """Of entries joined to their source; `common` is what many entries have the words of."""
    if "\0" in wanted.tag + wanted.source + wanted.q:  # in nothing that is stored, and PostgreSQL cannot be asked
        return false()
    parts: list[ColumnElement[bool]] = []
    if wanted.kind:
        parts.append(EntryRow.kind == wanted.kind)
    if wanted.source:
        parts.append(SourceRow.slug == wanted.source)
    if wanted.tag:
        tag = f",{json_of(wanted.tag.lower())},"
        tags = EntryRow.tags.cast(EntryRow.title.type)  # ["a","b"] as ,"a","b",
        listed = literal(",") + func.substr(tags, 2, func.length(tags) - 2) + ","
        parts.append(_lowered(listed, tag).contains(tag, autoescape=True))
    if wanted.near:
        parts.append(_within(wanted.near))
    if wanted.q:
        parts.append(search.condition(wanted.q, common=common))
    return and_(true(), *parts)


def matches(stored: Stored, wanted: Filter) -> bool:
    entry = stored.entry
    if wanted.kind and entry.kind != wanted.kind:
        return False
    if wanted.source and stored.source.slug != wanted.source:
        return False
    if wanted.tag and wanted.tag.lower() not in (tag.lower() for tag in entry.tags):
        return False
    if wanted.near and (entry.location is None or not _close(entry.location.lat, entry.location.lon, wanted.near)):
        return False
    return not wanted.q or search.matches(stored, wanted.q)


def _lowered(text: ColumnElement[Any], word: str) -> ColumnElement[str]:
    """The quick built-in does where `word` has ASCII letters only."""
    return func.lower(text) if word.isascii() else unicode_lower(text)


def _within(near: Near) -> ColumnElement[bool]:
    east, north = _kilometres(EntryRow.lat, EntryRow.lon, near)
    reach = near.km / KM_PER_DEGREE
    around = EntryRow.lat.between(near.lat - reach, near.lat + reach)
    is_placed = EntryRow.lat.is_not(None)  # in the words of the index of places
    return and_(SourceRow.places, is_placed, around, east * east + north * north <= near.km**2)


def _close(lat: float, lon: float, near: Near) -> bool:
    east, north = _kilometres(lat, lon, near)
    return bool(east * east + north * north <= near.km**2)


def _kilometres(lat: Any, lon: Any, near: Near) -> tuple[Any, Any]:
    """East and north of the point asked for, as on a flat map: right to a percent within some hundred kilometres."""
    return (lon - near.lon) * KM_PER_DEGREE * math.cos(math.radians(near.lat)), (lat - near.lat) * KM_PER_DEGREE
