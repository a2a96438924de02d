"""What was listened to, in the local source `listens`, and what is playing now."""

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from typing import Any

import orjson
from sqlalchemy import and_, bindparam, or_, select
from sqlalchemy.ext.asyncio import AsyncConnection

from lifestream.clean.columns import Columns, columns, json_of
from lifestream.clean.entries import Identified
from lifestream.decide import Insert
from lifestream.errors import Conflict, NotFound
from lifestream.protocol.listens import SAME_WITHIN, Heard, Listen, Track, entry_of, is_history, plays_until, unheard
from lifestream.store import changes, entries, gate, owner, sources
from lifestream.store.among import among
from lifestream.store.rows import STORED, to_stored
from lifestream.store.tables import EntryRow, Instant, SourceRow
from lifestream.types import Source, Stored, Visibility

LISTENS = "listens"
PLAYING = "playing"
LONG_SILENCE = timedelta(days=30)


async def record(db: AsyncConnection, listens: Sequence[Listen], now: datetime) -> entries.Recorded:
    """Stores those that are new, of at least one; what was heard more than a day ago comes in quietly. Raises Conflict.

    What the owner deleted stays so. What is over is not playing any more.
    """
    await changes.in_turn(db)
    source = await _ensure_source(db, now)
    new = unheard(listens, await _heard(db, source, listens))
    heard = {one.identity: one for one in new}

    def columns_of(item: Identified) -> Columns:
        return columns(entry_of(heard[item.identity]))

    done = entries.Recorded()
    for quiet in (True, False):
        inserts = [Insert(_identified(one)) for one in new if is_history(one, now) is quiet]
        done += await entries.record(db, source, inserts, columns_of, now=now, via="post", quiet=quiet)
    if done.any:
        await sources.counted(db, source, done, now)
    await over(db, {one.track.key for one in listens})
    return done


async def newest(
    db: AsyncConnection, *, after: datetime | None = None, before: datetime | None = None, limit: int
) -> Sequence[Stored]:
    """Those that anybody may see, newest first, by when they were heard."""
    query = select(*STORED).select_from(EntryRow).join(SourceRow, SourceRow.id == EntryRow.source_id)
    query = query.where(
        SourceRow.slug == LISTENS, EntryRow.deleted_by == "", EntryRow.kind == "listen", gate.readable("public")
    )
    if after:
        query = query.where(EntryRow.ordered_at > after)
    if before:
        query = query.where(EntryRow.ordered_at < before)
    rows = await db.execute(query.order_by(EntryRow.ordered_at.desc(), EntryRow.id.desc()).limit(limit))
    return [to_stored(row) for row in rows]


async def count(db: AsyncConnection) -> int:
    """How many there are that anybody may see."""
    try:
        return (await sources.get(db, LISTENS, audience="public")).entry_count
    except NotFound:
        return 0


# -- what is playing --------------------------------------------------------------------------


async def play(db: AsyncConnection, track: Track, now: datetime) -> None:
    until = int(plays_until(track, now).timestamp() * 1000)
    playing = {"track": track.names, "key": track.key, "until": until}
    await owner.set_fact(db, PLAYING, json_of(playing))


async def playing(db: AsyncConnection, now: datetime) -> tuple[dict[str, str] | None, float]:
    """What plays now for anybody to see, and for how many seconds more; nothing while `listens` is private."""
    fact = await _playing(db)
    remains = fact["until"] / 1000 - now.timestamp() if fact else 0.0
    if fact is None or remains <= 0 or not await _is_public(db):
        return None, 0.0
    return fact["track"], remains


async def _playing(db: AsyncConnection) -> dict[str, Any] | None:
    fact = await owner.fact(db, PLAYING)
    return orjson.loads(fact) if fact else None


async def over(db: AsyncConnection, keys: set[str]) -> None:
    """A track that was stopped or scrobbled is not playing any more."""
    fact = await _playing(db)
    if fact and fact["key"] in keys:
        await owner.drop_fact(db, PLAYING)


async def _is_public(db: AsyncConnection) -> bool:
    return await _visibility(db) == "public"


async def _visibility(db: AsyncConnection) -> Visibility:
    """Of the source, or, where it is not there before its first entry, what it will have: the last one's, if any."""
    return "private" if (await db.execute(_VISIBILITY)).scalar_one_or_none() == "private" else "public"


# -- the parts of it --------------------------------------------------------------------------


async def _ensure_source(db: AsyncConnection, now: datetime) -> Source:
    try:
        source = await sources.get(db, LISTENS, audience="owner")
    except NotFound:
        await sources.add_local(db, LISTENS, now=now, kind="listen", visibility=await _visibility(db))
        source = await sources.get(db, LISTENS, audience="owner")
    if not source.local:
        raise Conflict(f"The source “{LISTENS}” is fed by {source.url}; scrobbles need this name for themselves.")
    return source


async def _heard(db: AsyncConnection, source: Source, listens: Sequence[Listen]) -> Sequence[Heard]:
    """What is stored, deleted or not, that may be one of these: the same track around the time, or the same listen
    where its words were edited since."""
    found: list[Heard] = []
    for part in _parts(listens):
        asked = {
            "source": source.id,
            "identities": [one.identity for one in part],
            "tracks": {one.track.key for one in part},
            "first": part[0].at - SAME_WITHIN,
            "last": part[-1].at + SAME_WITHIN,
        }
        found += [Heard(row.identity, row.link_key, row.published) for row in await db.execute(_HEARD, asked)]
    return found


def _parts(listens: Sequence[Listen]) -> Iterator[Sequence[Listen]]:
    """In the order of time, and where nothing was heard for long there is a cut: for one listen of today beside old
    ones, not all plays of their tracks since then are read."""
    part: list[Listen] = []
    for one in sorted(listens, key=lambda one: one.at):
        if part and (len(part) == entries.MOST_KEYS or one.at - part[-1].at > LONG_SILENCE):
            yield part
            part = []
        part.append(one)
    yield part


def _identified(listen: Listen) -> Identified:
    """`link_key` is the track's: what other entries' pages are found by."""
    return Identified(listen.identity, "", listen.track.key, "", listen.at, None)


_HEARD = select(EntryRow.identity, EntryRow.link_key, EntryRow.published).where(
    EntryRow.source_id == bindparam("source"),
    or_(
        among(EntryRow.identity, "identities"),
        and_(
            among(EntryRow.link_key, "tracks"),
            EntryRow.published.between(bindparam("first", type_=Instant), bindparam("last", type_=Instant)),
        ),
    ),
)
_removed_before = and_(SourceRow.removed, SourceRow.slug.startswith(f"{LISTENS}~"), SourceRow.delivery == "local")
_VISIBILITY = (
    select(SourceRow.visibility)
    .where(or_(SourceRow.slug == LISTENS, _removed_before))
    .order_by(SourceRow.removed, SourceRow.id.desc())
    .limit(1)
)
