"""Pictures: which entries show which, what is to be fetched, and what is kept.

All of it follows from the log of changes, after the fact: storing an entry does not wait for its pictures. A picture
that no entry shows any more is due like the others, to be removed.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, cast

from sqlalchemy import (
    ColumnElement,
    Integer,
    Table,
    and_,
    bindparam,
    case,
    delete,
    func,
    insert,
    or_,
    select,
    text,
    tuple_,
    update,
)
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncConnection

from lifestream.clean.columns import media_dicts
from lifestream.protocol.pacing import host_of
from lifestream.protocol.pictures import Pictures, fitted, shown
from lifestream.store import changes, owner
from lifestream.store.among import among
from lifestream.store.rows import author_of, media_of
from lifestream.store.tables import EntryPictureRow, EntryRow, FeedRow, Instant, PictureRow, SourceRow
from lifestream.types import Source

POSITION = "pictures_position"
LOCK = 0x706978  # "pix"
PAGE = 200
HOLD = timedelta(minutes=5)
"""Longer than it takes to fetch a picture and make its sizes, behind others."""


@dataclass(frozen=True, slots=True)
class Shows:
    """An entry, and the pictures in it: address by name, and whether they stand in its media by themselves."""

    entry_id: int
    ordered_at: datetime
    pictures: Mapping[str, tuple[str, bool]]


@dataclass(frozen=True, slots=True)
class Noted:
    """What a page of changes meant. `due`: something is to be done. `kept`: the names of pictures that came to stand in
    an entry's media and are here already, so that `fit` can tell their size."""

    due: bool = False
    kept: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Due:
    """A picture to be fetched, or removed. `feeds` are the addresses of those that show it; None is what is written
    here."""

    name: str
    url: str
    gone: bool
    attempts: int
    feeds: Collection[str | None]


@dataclass(frozen=True, slots=True)
class Kept:
    """A picture as the door finds it. `public`: an entry that everybody may see shows it. `at_home`: it came from where
    only the owner's networks lead."""

    url: str
    state: str
    due_at: datetime | None
    newest: datetime
    width: int
    at_home: bool
    public: bool


# -- following the log ------------------------------------------------------------------------


async def position(db: AsyncConnection) -> int:
    """Up to where the log was looked through."""
    return int(await owner.fact(db, POSITION) or 0)


async def unknown(db: AsyncConnection, after: int, pictures: Pictures) -> tuple[list[Shows], int]:
    """The next page of changes that were not looked at, and up to where it goes."""
    rows = (await db.execute(_CHANGED, {"position": after})).all()
    return [_shows(row, pictures) for row in rows], rows[-1].seq if rows else after


async def note(db: AsyncConnection, page: Sequence[Shows], before: int, upto: int, now: datetime) -> Noted:
    """Writes down which pictures these entries show, unless somebody else did it meanwhile."""
    await _in_turn(db)
    if await position(db) != before:
        return Noted()
    await owner.set_fact(db, POSITION, str(upto))
    wanted = {(one.entry_id, name): in_media for one in page for name, (_, in_media) in one.pictures.items()}
    ids = {"entries": [one.entry_id for one in page]}
    there = {(row.entry_id, row.name): row.in_media for row in await db.execute(_LINKS, ids)}
    ended = [key for key, in_media in there.items() if wanted.get(key) is not in_media]
    begun = [key for key, in_media in wanted.items() if there.get(key) is not in_media]
    if ended:
        await db.execute(delete(EntryPictureRow).where(_LINK.in_(ended)))
    if begun:
        links = [{"entry_id": entry_id, "name": name, "in_media": wanted[entry_id, name]} for entry_id, name in begun]
        await db.execute(insert(EntryPictureRow), links)
        await _want(db, page, {name for _, name in begun}, now)
    if ended:
        await _abandon(db, {name for _, name in ended}, now)
    in_media = [name for entry_id, name in begun if wanted[entry_id, name]]
    kept = (await db.execute(_KEPT_OF, {"names": in_media})).scalars().all() if in_media else ()
    return Noted(bool(begun or ended), kept)


async def fit(db: AsyncConnection, name: str, after: int = 0) -> int | None:
    """Writes the size of a kept picture into the media of a page of its entries; that is no change to anybody.

    Returns after which entry to go on; None at the end.
    """
    await changes.in_turn(db)
    rows = (await db.execute(_UNFITTED, {"name": name, "after": after})).all()
    for row in rows:
        media = media_of(row.media)
        known = fitted(media, row.url, row.width, row.height)
        if known != media:
            await db.execute(update(EntryRow).where(EntryRow.id == row.id).values(media=media_dicts(known)))
    return rows[-1].id if len(rows) == PAGE else None


async def switch(db: AsyncConnection, source: Source, on: bool) -> None:
    """Whether the pictures of a source's entries are kept. Its entries are looked through again."""
    if on == source.pictures:
        return
    await db.execute(update(SourceRow).where(SourceRow.id == source.id).values(pictures=on))
    await _in_turn(db)
    first = select(func.min(EntryRow.seq)).where(EntryRow.source_id == source.id)
    oldest = (await db.execute(first)).scalar_one()
    if oldest is not None and oldest <= await position(db):
        await owner.set_fact(db, POSITION, str(oldest - 1))


# -- what is due ------------------------------------------------------------------------------


async def claim(db: AsyncConnection, now: datetime, limit: int) -> list[Due]:
    """Takes up to `limit` due pictures in hand, those of the newest entries first."""
    rows = (await db.execute(_CLAIM, {"now": now, "most": limit, "until": now + HOLD})).all()
    if not rows:
        return []
    feeds: dict[str, set[str | None]] = defaultdict(set)
    for row in await db.execute(_FEEDS, {"names": [row.name for row in rows]}):
        feeds[row.name].add(row.feed_url)
    return [Due(row.name, row.url, row.state == "gone", row.attempts, feeds[row.name]) for row in rows]


async def keep(db: AsyncConnection, name: str, *, width: int, height: int, size: int, at_home: bool) -> bool:
    """It is here, in files of `size` bytes. False when no entry shows it any more: it is due again, to be removed."""
    values = {"state": "kept", "why": "", "width": width, "height": height, "bytes": size, "due_at": None}
    return await _end(db, name, values | {"at_home": at_home})


async def again(db: AsyncConnection, name: str, at: datetime | None, why: str) -> None:
    """It did not come: it is due again at `at`, or given up."""
    state = "lost" if at is None else "due"
    await _end(db, name, {"state": state, "due_at": at, "why": why, "attempts": PictureRow.attempts + 1})


async def put_off(db: AsyncConnection, at: datetime, now: datetime, *, host_of_url: str = "") -> None:
    """What is to be fetched now is due at `at` instead: all of it, or what is on one host."""
    await _in_turn(db)
    waits = and_(PictureRow.due_at <= now, PictureRow.state == "due")
    if host_of_url:
        waits = and_(waits, PictureRow.host == host_of(host_of_url))
    await db.execute(update(PictureRow).where(waits).values(due_at=at))


async def forget(db: AsyncConnection, name: str) -> None:
    """Its files are removed. An entry that came to show it meanwhile has it fetched again."""
    await db.execute(delete(PictureRow).where(PictureRow.name == name, PictureRow.state == "gone"))
    await release(db, name)


async def release(db: AsyncConnection, name: str) -> None:
    await db.execute(update(PictureRow).where(PictureRow.name == name).values(claimed_until=None))


async def used(db: AsyncConnection) -> int:
    """Bytes that all files take."""
    return int((await db.execute(select(func.coalesce(func.sum(PictureRow.bytes), 0)))).scalar_one())


# -- what is asked for ------------------------------------------------------------------------


async def find(db: AsyncConnection, name: str) -> Kept | None:
    row = (await db.execute(_FOUND, {"name": name})).one_or_none()
    if row is None:
        return None
    return Kept(row.url, row.state, row.due_at, row.newest, row.width or 0, row.at_home, row.public)


async def public_feeds(db: AsyncConnection, name: str) -> Collection[str | None]:
    """The addresses of the public feeds that show it; None is what is written here."""
    return {row.feed_url for row in await db.execute(_PUBLIC_FEEDS, {"names": [name]})}


async def hurry(db: AsyncConnection, name: str, now: datetime) -> None:
    """Somebody looks at it: it is fetched before the others."""
    await db.execute(update(PictureRow).where(PictureRow.name == name, PictureRow.state == "due").values(newest=now))


async def missing(db: AsyncConnection, name: str, now: datetime) -> None:
    """Its files are not where they should be: a copy of the database was restored without them, say."""
    which = and_(PictureRow.name == name, PictureRow.state == "kept")
    await db.execute(update(PictureRow).where(which).values(state="due", due_at=now, bytes=0, attempts=0))


# -- the parts of it --------------------------------------------------------------------------


async def _in_turn(db: AsyncConnection) -> None:
    """Who writes many of these rows waits for others who do. On SQLite there is one writer anyway."""
    if db.dialect.name == "postgresql":
        await db.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": LOCK})


async def _want(db: AsyncConnection, page: Sequence[Shows], names: Iterable[str], now: datetime) -> None:
    rows: dict[str, dict[str, Any]] = {}
    for one in page:
        for name in one.pictures.keys() & names:
            url, _ = one.pictures[name]
            newest = max(one.ordered_at, rows[name]["newest"]) if name in rows else one.ordered_at
            rows[name] = {"name": name, "url": url, "host": host_of(url), "newest": newest, "due_at": now}
    await db.execute(_WANT[db.dialect.name], list(rows.values()))


async def _abandon(db: AsyncConnection, names: Iterable[str], now: datetime) -> None:
    """Those of them that no entry shows any more are to be removed."""
    shown = select(EntryPictureRow.name).where(EntryPictureRow.name == PictureRow.name).exists()
    which = and_(PictureRow.name.in_(names), ~shown)
    await db.execute(update(PictureRow).where(which).values(state="gone", due_at=now))


async def _end(db: AsyncConnection, name: str, values: dict[str, Any]) -> bool:
    """The end of a claim, whatever became of the picture meanwhile; the values are for one that is still wanted."""
    due = and_(PictureRow.name == name, PictureRow.state == "due")
    wanted = (await db.execute(update(PictureRow).where(due).values(claimed_until=None, **values))).rowcount > 0
    if not wanted:
        await release(db, name)
    return wanted


def _shows(row: Any, pictures: Pictures) -> Shows:
    if row.deleted_by or not row.pictures:
        return Shows(row.id, row.ordered_at, {})
    found = shown(media_of(row.media), author_of(row.author))
    return Shows(row.id, row.ordered_at, {pictures.name(url): (url, in_media) for url, in_media in found.items()})


def _want_on(dialect: Any, larger: Any) -> Any:
    """A picture that was wanted before keeps what is known of it. One that was to be removed is fetched again, and one
    that was given up, which may have been named by strangers only."""
    table = cast(Table, PictureRow.__table__)
    wanted = dialect.insert(table)
    is_not_here = or_(table.c.state == "gone", table.c.state == "lost")

    def unless_here(new: Any, kept: ColumnElement[Any]) -> Any:
        return case((is_not_here, new), else_=kept)

    return wanted.on_conflict_do_update(
        index_elements=["name"],
        set_={
            "newest": larger(table.c.newest, wanted.excluded.newest),
            "state": unless_here("due", table.c.state),
            "due_at": unless_here(wanted.excluded.due_at, table.c.due_at),
            "attempts": unless_here(0, table.c.attempts),
            "bytes": unless_here(0, table.c.bytes),
        },
    )


_WANT = {"sqlite": _want_on(sqlite, func.max), "postgresql": _want_on(postgresql, func.greatest)}
_LINK = tuple_(EntryPictureRow.entry_id, EntryPictureRow.name)
_CHANGED = (
    select(
        EntryRow.id, EntryRow.seq, EntryRow.deleted_by, EntryRow.ordered_at, EntryRow.media, EntryRow.author,
        SourceRow.pictures,
    )
    .join(SourceRow, SourceRow.id == EntryRow.source_id)
    .where(EntryRow.seq > bindparam("position"))
    .order_by(EntryRow.seq)
    .limit(PAGE)
)  # fmt: skip
_LINKS = select(EntryPictureRow.entry_id, EntryPictureRow.name, EntryPictureRow.in_media).where(
    among(EntryPictureRow.entry_id, "entries")
)
_KEPT_OF = select(PictureRow.name).where(among(PictureRow.name, "names"), PictureRow.state == "kept")
_UNFITTED = (
    select(EntryRow.id, EntryRow.media, PictureRow.url, PictureRow.width, PictureRow.height)
    .join(EntryPictureRow, EntryPictureRow.entry_id == EntryRow.id)
    .join(PictureRow, PictureRow.name == EntryPictureRow.name)
    .where(
        EntryPictureRow.name == bindparam("name"),
        EntryPictureRow.in_media,
        EntryRow.id > bindparam("after"),
        PictureRow.state == "kept",
    )
    .order_by(EntryRow.id)
    .limit(PAGE)
)
_now = bindparam("now", type_=Instant)
# Beside the UPDATE, not in it, as in store/due.py.
_free = (
    select(PictureRow.name)
    .where(PictureRow.due_at.is_not(None), PictureRow.due_at <= _now)
    .where(or_(PictureRow.claimed_until.is_(None), PictureRow.claimed_until <= _now))
    .order_by(PictureRow.newest.desc())
    .limit(bindparam("most", type_=Integer))
    .with_for_update(skip_locked=True)
    .cte("claimed")
)
_CLAIM = (
    update(PictureRow)
    .where(PictureRow.name.in_(select(_free.c.name)))
    .values(claimed_until=bindparam("until", type_=Instant))
    .returning(PictureRow.name, PictureRow.url, PictureRow.state, PictureRow.attempts)
)
_FEEDS = (
    select(EntryPictureRow.name, FeedRow.url.label("feed_url"))
    .join(EntryRow, EntryRow.id == EntryPictureRow.entry_id)
    .join(SourceRow, SourceRow.id == EntryRow.source_id)
    .outerjoin(FeedRow, FeedRow.id == SourceRow.feed_id)
    .where(among(EntryPictureRow.name, "names"))
    .distinct()
)
_PUBLIC_FEEDS = _FEEDS.where(SourceRow.visibility == "public", EntryRow.deleted_by == "")
_public = (
    select(EntryPictureRow.entry_id)
    .join(EntryRow, EntryRow.id == EntryPictureRow.entry_id)
    .join(SourceRow, SourceRow.id == EntryRow.source_id)
    .where(EntryPictureRow.name == PictureRow.name, SourceRow.visibility == "public", EntryRow.deleted_by == "")
    .exists()
)
_FOUND = select(
    PictureRow.url, PictureRow.state, PictureRow.due_at, PictureRow.newest, PictureRow.width, PictureRow.at_home,
    _public.label("public"),
).where(PictureRow.name == bindparam("name"))  # fmt: skip
