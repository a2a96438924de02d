"""Rows of `entries` as the values they stand for; `clean/columns.py` is the other way round."""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

from lifestream.store.tables import AnyRow, EntryRow, SourceRow
from lifestream.types import Author, Entry, Location, Media, SourceName, Stored

STORED = (
    EntryRow.public_id, EntryRow.seq, EntryRow.first_seq, EntryRow.quiet, EntryRow.exposed, EntryRow.deleted_by,
    EntryRow.kind, EntryRow.verb, EntryRow.title, EntryRow.url, EntryRow.content_html, EntryRow.summary,
    EntryRow.author, EntryRow.published, EntryRow.published_offset, EntryRow.updated, EntryRow.received,
    EntryRow.ordered_at, EntryRow.tags, EntryRow.media, EntryRow.lat, EntryRow.lon, EntryRow.place,
    EntryRow.in_reply_to, EntryRow.language, EntryRow.data, EntryRow.id.label("row_id"),
    SourceRow.slug, SourceRow.title.label("source_title"), SourceRow.site_url, SourceRow.visibility,
    SourceRow.pictures, SourceRow.places,
)  # fmt: skip
"""What a query of entries joined to their sources selects, for `to_stored`."""

TEXT_FIELDS = ("kind", "verb", "title", "url", "content_html", "summary", "updated", "in_reply_to", "language")


def to_stored(row: AnyRow, *, whole: bool = False) -> Stored:
    """Without the place, where its source hides places; `whole`, with it."""
    deleted = bool(row.deleted_by)
    placed = whole or row.places
    return Stored(
        id=row.public_id,
        seq=row.seq,
        first_seq=row.first_seq,
        source=SourceName(row.slug, row.source_title or row.slug, row.site_url, row.visibility, row.pictures),
        entry=Entry(kind=row.kind) if deleted else _entry(row, placed),
        received=row.received,
        ordered_at=row.ordered_at,
        quiet=row.quiet,
        exposed=row.exposed,
        deleted=deleted,
        row=row.row_id,
    )


def media_of(found: Iterable[Mapping[str, Any]]) -> tuple[Media, ...]:
    return tuple(Media(**one) for one in found)


def author_of(found: Mapping[str, Any] | None) -> Author | None:
    return Author(**found) if found else None


def said(row: AnyRow, *, placed: bool) -> dict[str, Any]:
    """Its title, summary and content; unless `placed`, without where it was, and a check-in says nothing else."""
    found = {name: getattr(row, name) for name in ("title", "summary", "content_html")}
    if placed:
        return found
    if "checkin" in (row.kind, row.verb):
        return {"title": None, "summary": "", "content_html": ""}
    return found | {"title": None} if row.place and row.title == row.place else found


def _entry(row: AnyRow, placed: bool) -> Entry:
    return Entry(
        **{name: getattr(row, name) for name in TEXT_FIELDS} | said(row, placed=placed),
        author=author_of(row.author),
        published=_at_offset(row.published, row.published_offset),
        tags=tuple(row.tags),
        media=media_of(row.media),
        location=Location(row.lat, row.lon, row.place) if placed and None not in (row.lat, row.lon) else None,
        data=row.data,
    )


def _at_offset(moment: datetime | None, minutes: int) -> datetime | None:
    if moment is None or not minutes:
        return moment
    try:
        return moment.astimezone(timezone(timedelta(minutes=minutes)))
    except (OverflowError, ValueError):  # the first or last hours of the calendar
        return moment.astimezone(UTC)
