"""Full-text search: SQLite's FTS5, PostgreSQL's tsvector, one index of words behind one condition.

It is filled from the log of changes, after the fact: storing an entry does not wait for it. Who searches has it brought
up to the head first, so an entry can be found as soon as it is there.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, bindparam, false, func, literal, select, text
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.functions import GenericFunction

from lifestream.clean.html import spaced_text_of_clean
from lifestream.clean.words import folded, found_in, query_words, words_of
from lifestream.store import owner
from lifestream.store.rows import said
from lifestream.store.tables import EntryRow, SourceRow
from lifestream.types import Stored

POSITION = "search_position"
POSITION_LOCK = 0x667473  # "fts"
PAGE = 200
COMMON = 1000
"""So many entries with the words are many: measured with 100,000 entries, where either way costs 10 ms."""
LONGEST_CONTENT = 50_000
"""Characters of an entry's content that are looked at."""
FOLDED_BYTES = 4 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Indexed:
    """An entry as the index is to know it: its words, or none when it is gone."""

    id: int
    words: Sequence[str] | None


async def position(db: AsyncConnection) -> int:
    """Up to where the index knows the log."""
    return int(await owner.fact(db, POSITION) or 0)


async def unknown(db: AsyncConnection, after: int) -> tuple[list[Indexed], int]:
    """The next page of changes that the index does not know, and up to where it goes; none when it knows all."""
    rows = (await db.execute(_CHANGED, {"position": after})).all()
    found = [
        Indexed(row.id, None if row.deleted_by else words_of(_text(**said(row, placed=row.places), tags=row.tags)))
        for row in rows
    ]
    return found, rows[-1].seq if rows else after


async def know(db: AsyncConnection, entries: Sequence[Indexed], before: int, upto: int) -> bool:
    """Writes a page of `unknown` into the index; False when somebody else did it meanwhile."""
    on_sqlite = db.dialect.name == "sqlite"
    if not on_sqlite:
        await db.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": POSITION_LOCK})
    if await position(db) != before:
        return False
    await db.execute(_FORGET[on_sqlite], [{"id": one.id} for one in entries])
    known = [{"id": one.id, "words": _as_stored(one.words, on_sqlite)} for one in entries if one.words]
    if known:
        await db.execute(_KNOW[on_sqlite], known)
    await owner.set_fact(db, POSITION, str(upto))
    return True


def condition(query: str, *, common: bool = False) -> ColumnElement[bool]:
    """Of entries: every word of `query` begins a word of theirs. Signs alone are in nothing.

    What is `common` is looked for among the entries in their order, because the newest of them will soon be met; what
    is not, among those that have the words.
    """
    wanted = query_words(query)
    if not wanted:
        return false()
    for_postgresql = " & ".join(f"'{word}':*" for word in wanted)
    form = _in_common_index if common else _in_index
    return form(EntryRow.id, literal(_for_sqlite(wanted)), literal(for_postgresql))


async def is_common(db: AsyncConnection, query: str) -> bool:
    """Whether so many entries have the words that sorting them costs more than meeting some on the way. PostgreSQL has
    statistics, and decides by itself."""
    wanted = query_words(query)
    if not wanted or db.dialect.name != "sqlite":
        return False
    found = await db.execute(_HOW_MANY, {"words": _for_sqlite(wanted), "most": COMMON})
    return bool(found.scalar_one() == COMMON)


def _for_sqlite(wanted: Sequence[str]) -> str:
    return " ".join(f'"{word}"*' for word in wanted)


def matches(stored: Stored, query: str) -> bool:
    """The same of one entry, for streams that are told as it comes."""
    wanted = query_words(query)
    return bool(wanted) and found_in(wanted, _folded.of(stored))


class _Folded:
    """Entries as they are looked into: many views and many clients ask about the same few."""

    def __init__(self) -> None:
        self._known: dict[tuple[str, int], str] = {}
        self._size = 0

    def of(self, stored: Stored) -> str:
        key = stored.id, stored.seq
        found = self._known.get(key)
        if found is None:
            entry = stored.entry
            found = folded(_text(entry.title, entry.content_html, entry.summary, entry.tags))
            self._size += len(found)
            if self._size > FOLDED_BYTES:
                self._known.clear()
                self._size = len(found)
            self._known[key] = found
        return found


_folded = _Folded()


class _in_index(GenericFunction[bool]):
    inherit_cache = True


class _in_common_index(_in_index):
    inherit_cache = True


@compiles(_in_index)
@compiles(_in_common_index)
def _compiled(element: _in_index, compiler: Any, **options: Any) -> str:
    entry, for_sqlite, for_postgresql = element.clauses
    if compiler.dialect.name == "sqlite":
        found = f"SELECT rowid FROM entry_words WHERE entry_words MATCH {compiler.process(for_sqlite, **options)}"
    else:
        asked = compiler.process(for_postgresql, **options)
        found = f"SELECT entry_id FROM entry_words WHERE words @@ CAST({asked} AS tsquery)"
    # A plus keeps SQLite from going through what is found, row by row in the order of the rows.
    plus = "+" if isinstance(element, _in_common_index) and compiler.dialect.name == "sqlite" else ""
    return f"{plus}{compiler.process(entry, **options)} IN ({found})"


def _text(title: str | None, content_html: str, summary: str, tags: Iterable[str]) -> str:
    return f"{title or ''} {summary} {' '.join(tags)} {spaced_text_of_clean(content_html[:LONGEST_CONTENT])}"


def _as_stored(words: Sequence[str], on_sqlite: bool) -> Any:
    return " ".join(words) if on_sqlite else sorted(set(words))


_CHANGED = (
    select(
        EntryRow.id, EntryRow.seq, EntryRow.deleted_by, EntryRow.kind, EntryRow.verb, EntryRow.title, EntryRow.summary,
        func.substr(EntryRow.content_html, 1, LONGEST_CONTENT).label("content_html"), EntryRow.tags, EntryRow.place,
        SourceRow.places,
    )
    .join(SourceRow, SourceRow.id == EntryRow.source_id)
    .where(EntryRow.seq > bindparam("position"))
    .order_by(EntryRow.seq)
    .limit(PAGE)
)  # fmt: skip
_HOW_MANY = text("SELECT count(*) FROM (SELECT 1 FROM entry_words WHERE entry_words MATCH :words LIMIT :most) AS found")
_FORGET = {
    True: text("DELETE FROM entry_words WHERE rowid = :id"),
    False: text("DELETE FROM entry_words WHERE entry_id = :id"),
}
_KNOW = {
    True: text("INSERT INTO entry_words (rowid, words) VALUES (:id, :words)"),
    False: text("INSERT INTO entry_words (entry_id, words) VALUES (:id, array_to_tsvector(CAST(:words AS text[])))"),
}
