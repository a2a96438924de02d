"""Webhooks: their addresses and secrets, what was seen before, what became of it, and the entries that it makes."""

import secrets as random
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, Integer, and_, bindparam, delete, insert, select, sql, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from lifestream.clean.columns import columns
from lifestream.clean.entries import Identified
from lifestream.clean.events import entry_of, identified, key_of
from lifestream.decide import Decision, Delete, Insert, Known, Update, decide
from lifestream.errors import Conflict, NotFound
from lifestream.protocol.adapter import Event
from lifestream.protocol.forges import merged
from lifestream.store import changes, entries, sources
from lifestream.store.among import among
from lifestream.store.rows import STORED, to_stored
from lifestream.store.tables import EntryRow, HookDeliveryRow, HookRow, HookSeenRow, Instant, SourceRow
from lifestream.types import Entry, Source, Stored, Visibility

KEPT = 50
"""How many deliveries of a hook can be looked at."""
REFUSED_KEPT = 10
"""How many of those may be ones that were refused: anybody can send them."""
SAID_AGAIN = timedelta(seconds=10)
"""The same refusal is written down once in this time."""
OLD_SECRET_LASTS = timedelta(days=7)
BURST = timedelta(minutes=10)


@dataclass(frozen=True, slots=True)
class Hook:
    id: int
    slug: str
    adapter: str
    topic: str
    """What it pings; empty for one that posts."""
    secret: str
    old_secret: str
    old_until: datetime | None
    created_at: datetime

    def secrets(self, now: datetime) -> list[str]:
        """The ones that count now."""
        lasts = self.old_until is not None and now < self.old_until
        return [self.secret, self.old_secret] if lasts else [self.secret]


@dataclass(frozen=True, slots=True)
class Delivery:
    received_at: datetime
    status: int
    outcome: str
    verdict: str


# -- hooks ------------------------------------------------------------------------------------


async def add(db: AsyncConnection, *, slug: str, adapter: str, topic: str, secret: str, now: datetime) -> None:
    values = {"slug": slug, "adapter": adapter, "topic": topic, "secret": secret, "created_at": now}
    try:
        await db.execute(insert(HookRow).values(values))
    except IntegrityError:
        raise Conflict(f"There is a hook “{slug}” already; remove it first or take another name.") from None


async def get(db: AsyncConnection, slug: str) -> Hook:
    """Raises NotFound."""
    row = (await db.execute(_BY_SLUG, {"slug": slug.replace("\0", "")})).one_or_none()
    if row is None:
        raise NotFound(f"There is no hook “{slug}”.")
    return Hook(**row._mapping)


async def every(db: AsyncConnection) -> list[Hook]:
    return [Hook(**row._mapping) for row in await db.execute(_HOOKS.order_by(HookRow.slug))]


async def rotate(db: AsyncConnection, hook: Hook, secret: str, now: datetime) -> None:
    """Gives it a new secret; the one before stays good for a week."""
    values = {"secret": secret, "old_secret": hook.secret, "old_until": now + OLD_SECRET_LASTS}
    await db.execute(update(HookRow).where(HookRow.id == hook.id).values(values))


async def remove(db: AsyncConnection, slug: str) -> None:
    """What it posted stays. Raises NotFound."""
    if not (await db.execute(delete(HookRow).where(HookRow.slug == slug.replace("\0", "")))).rowcount:
        raise NotFound(f"There is no hook “{slug}”.")


# -- deliveries -------------------------------------------------------------------------------


async def deliveries(db: AsyncConnection, hook: Hook, limit: int = KEPT) -> list[Delivery]:
    """The newest first."""
    return [Delivery(**row._mapping) for row in await db.execute(_DELIVERIES, {"hook": hook.id, "most": limit})]


async def said_lately(db: AsyncConnection, hook: Hook, verdict: str, now: datetime) -> bool:
    asked = {"hook": hook.id, "verdict": verdict, "since": now - SAID_AGAIN}
    return (await db.execute(_SAID_LATELY, asked)).first() is not None


async def note(db: AsyncConnection, hook: Hook, came: Sequence[Delivery]) -> None:
    """Writes down what became of deliveries, and forgets the oldest."""
    await db.execute(_NOTE, [{"hook_id": hook.id} | asdict(one) for one in came])
    for forget, most in ((_FORGET_REFUSED, REFUSED_KEPT), (_FORGET, KEPT - REFUSED_KEPT)):
        await db.execute(forget, {"hook": hook.id, "most": most})


async def first_time(db: AsyncConnection, hook: Hook, marks: Sequence[str], now: datetime, same_for: timedelta) -> bool:
    """Whether none of these marks was seen; they are from now on. In a transaction: it is taken back with it."""
    await changes.in_turn(db)  # so that of two that come at once the second waits for the first
    asked = {"hook": hook.id, "marks": list(marks)}
    await db.execute(_FORGET_THESE, asked | {"until": now - same_for})
    if (await db.execute(_SEEN, asked)).first():
        return False
    if marks:
        await db.execute(_SEE, [{"hook_id": hook.id, "mark": mark, "seen_at": now} for mark in marks])
    return True


async def forget_seen(db: AsyncConnection, hook: Hook, until: datetime) -> None:
    """Marks that nothing is known again by any more."""
    await db.execute(_FORGET_SEEN, {"hook": hook.id, "until": until})


# -- what events become -----------------------------------------------------------------------


async def record(
    db: AsyncConnection, slug: str, visibility: Visibility, events: Sequence[Event], now: datetime
) -> entries.Recorded:
    """Posts events into the local source `slug`, which is made if it is missing. Raises Conflict where it is none of
    ours, or the public sees it and must not."""
    await changes.in_turn(db)
    source = await ensure_source(db, slug, visibility, now)
    done = entries.Recorded()
    for event in events:
        done += await _record(db, source, event, now)
    if done.any:
        await sources.counted(db, source, done, now)
    return done


async def _record(db: AsyncConnection, source: Source, event: Event, now: datetime) -> entries.Recorded:
    entry = entry_of(event)
    item = identified(event, entry, key_of(event.key) if event.key else random.token_hex(16))
    known = (await entries.known(db, source.id, [item], [])).by_identity.get(item.identity)
    if event.burst:  # of a push that is here nothing can be new, and the entry may have become more than it
        return entries.Recorded() if known else await _push(db, source, event, now)
    decision = _judged(event, item, known)
    return await _write(db, source, decision, entry, now) if decision else entries.Recorded()


def _judged(event: Event, item: Identified, known: Known | None) -> Decision | None:
    if event.change == "new":
        return decide(item, known)
    if known is None or event.change == "gone" and known.deleted_by:
        return None
    return Delete(known) if event.change == "gone" else decide(item, known)


async def _push(db: AsyncConnection, source: Source, event: Event, now: datetime) -> entries.Recorded:
    """A push becomes one entry with what was pushed to the branch a moment ago."""
    last = await _last_push(db, source, event, now)
    if last is None:
        entry = entry_of(event)
        return await _write(db, source, Insert(identified(event, entry, key_of(event.key))), entry, now)
    known, there = last
    joined = merged(there.entry.data, event)
    if joined is None:
        return entries.Recorded()
    entry = entry_of(joined)
    item = identified(joined, entry, known.identity)
    return await _write(db, source, Update(item, known, known.churn), entry, now)


async def _write(
    db: AsyncConnection, source: Source, decision: Decision, entry: Entry, now: datetime
) -> entries.Recorded:
    if isinstance(decision, Update):
        first = decision.known.published
        entry = replace(entry, published=entry.published or first or now, updated=entry.updated or now)
    else:
        entry = replace(entry, published=entry.published or now)
    return await entries.record(db, source, [decision], lambda _: columns(entry), now=now, via="post", quiet=False)


async def _last_push(db: AsyncConnection, source: Source, event: Event, now: datetime) -> tuple[Known, Stored] | None:
    """The newest push to the same branch, if it came a moment ago and nobody deleted it."""
    asked = {"source": source.id, "branch": key_of(event.burst), "since": now - BURST}
    row = (await db.execute(_LAST_PUSH, asked)).first()
    if row is None:
        return None
    known = Known(
        row.row_id, row.identity, row.digest, row.link_key, row.title_key, row.published, row.updated, "", row.churn
    )
    return known, to_stored(row)


async def ensure_source(db: AsyncConnection, slug: str, visibility: Visibility, now: datetime) -> Source:
    try:
        source = await sources.get(db, slug, audience="owner")
    except NotFound:
        title = slug.replace("-", " ").capitalize()
        await sources.add_local(db, slug, now=now, title=title, kind="code", visibility=visibility)
        source = await sources.get(db, slug, audience="owner")
    if not source.local:
        raise Conflict(f"the source “{slug}” is fed by {source.url}, and this hook needs the name for itself.")
    if visibility == "private" and source.visibility != "private":
        raise Conflict(f"it is private, and the source “{slug}” is not.")
    return source


_HOOKS = select(
    HookRow.id, HookRow.slug, HookRow.adapter, HookRow.topic, HookRow.secret, HookRow.old_secret, HookRow.old_until,
    HookRow.created_at,
)  # fmt: skip
_BY_SLUG = _HOOKS.where(HookRow.slug == bindparam("slug"))
_DELIVERIES = (
    select(
        HookDeliveryRow.received_at, HookDeliveryRow.status, HookDeliveryRow.outcome, HookDeliveryRow.verdict
    )
    .where(HookDeliveryRow.hook_id == bindparam("hook"))
    .order_by(HookDeliveryRow.id.desc())
    .limit(bindparam("most", type_=Integer))
)  # fmt: skip
_SAID_LATELY = select(HookDeliveryRow.id).where(
    HookDeliveryRow.hook_id == bindparam("hook"),
    HookDeliveryRow.verdict == bindparam("verdict"),
    HookDeliveryRow.received_at > bindparam("since", type_=Instant),
)
_NOTE = insert(HookDeliveryRow)
_refused = HookDeliveryRow.outcome == "refused"


def _forgetting(which: ColumnElement[bool]) -> sql.Delete:
    """All but the newest of a hook."""
    mine = select(HookDeliveryRow.id).where(HookDeliveryRow.hook_id == bindparam("hook"), which)
    newest = mine.order_by(HookDeliveryRow.id.desc()).limit(1).offset(bindparam("most", type_=Integer))
    older = HookDeliveryRow.id <= newest.scalar_subquery()
    return delete(HookDeliveryRow).where(HookDeliveryRow.hook_id == bindparam("hook"), which, older)


_FORGET, _FORGET_REFUSED = _forgetting(~_refused), _forgetting(_refused)
_SEE = insert(HookSeenRow)
_these = and_(HookSeenRow.hook_id == bindparam("hook"), among(HookSeenRow.mark, "marks"))
_old = HookSeenRow.seen_at <= bindparam("until", type_=Instant)
_SEEN = select(HookSeenRow.mark).where(_these)
_FORGET_THESE = delete(HookSeenRow).where(_these, _old)
# By the time, of which few are old: SQLite would rather go through all marks of the hook.
_FORGET_SEEN = delete(HookSeenRow).where(_old, HookSeenRow.hook_id + 0 == bindparam("hook"))
_LAST_PUSH = (
    select(*STORED, EntryRow.identity, EntryRow.digest, EntryRow.link_key, EntryRow.title_key, EntryRow.churn)
    .join(SourceRow, SourceRow.id == EntryRow.source_id)
    .where(
        EntryRow.source_id == bindparam("source"),
        EntryRow.link_key == bindparam("branch"),
        EntryRow.deleted_by == "",
        EntryRow.received > bindparam("since", type_=Instant),
    )
    .order_by(EntryRow.id.desc())
    .limit(1)
)
