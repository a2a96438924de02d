"""What a document brings its source: decided on, cleaned and recorded.

Deciding compares with what is stored, so it has to happen in the transaction that stores; what takes long is done
ahead of it.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from sqlalchemy.ext.asyncio import AsyncConnection

from lifestream.clean.columns import Columns, columns
from lifestream.clean.entries import Identified, clean, tombstone_identities
from lifestream.decide import Decision, Insert, Update, absences, decide_document, without_old_versions
from lifestream.exchanges import Exchange
from lifestream.parse.packed import Packed
from lifestream.reading import Reading, clean_in_worker
from lifestream.site import Site
from lifestream.store import changes, entries, sources
from lifestream.types import KINDS, Feed, Kind, Source, Via

MANY, LONG = 20, 16 * 1024
"""More entries or characters than this are cleaned elsewhere, before the writer is taken."""
SETTLED = timedelta(hours=1)
"""So long after its push an entry may be missing from a complete document, which some cache keeps."""


@dataclass(frozen=True, slots=True)
class Arrival:
    """A document of a source, ready to be decided on. `whole`: as its publisher has it; a hub may push a part of it."""

    source: Source
    feed: Feed
    url: str
    via: Via
    quiet: bool
    items: Sequence[Identified]
    tombstones: Mapping[str, datetime | None]
    whole: bool = False
    cleaned: dict[str, tuple[Packed[Columns], int]] = field(default_factory=dict)
    """Where the clean form of an item is, by identity, as far as it was made ahead."""
    told: Exchange | None = None
    """The push that brought it, where it is written down."""

    @classmethod
    def of(
        cls,
        source: Source,
        reading: Reading,
        url: str,
        via: Via,
        *,
        quiet: bool = False,
        whole: bool = False,
        told: Exchange | None = None,
    ) -> "Arrival":
        """What was read at `url`."""
        feed = reading.feed
        return cls(source, feed, url, via, quiet, reading.items, tombstone_identities(feed), whole, told=told)

    @property
    def default_kind(self) -> Kind | None:
        """What its owner says that the source's entries are."""
        return next((kind for kind in KINDS if kind == self.source.kind and kind != "other"), None)

    def columns_of(self, item: Identified, now: datetime) -> Columns:
        """The clean form of an item: made ahead, or now."""
        if made := self.cleaned.get(item.identity):
            packed, place = made
            return packed[place]
        return columns(clean(item, self.feed, self.url, self.default_kind, now))


def waves(arrivals: Iterable[Arrival]) -> list[list[Arrival]]:
    """The arrivals parted so that those of one list can be decided together: of one source, and about other entries.

    What comes twice within a batch is decided the second time against what the first one stored.
    """
    found: list[list[Arrival]] = []
    open_waves: dict[int, tuple[list[Arrival], set[str]]] = {}
    for arrival in arrivals:
        about = {item.identity for item in arrival.items} | set(arrival.tombstones)
        about |= {f"link {item.link_key}" for item in arrival.items if item.link_key}
        wave, seen = open_waves.get(arrival.source.id, ([], set()))
        if not wave or seen & about:
            wave, seen = [], set()
            found.append(wave)
        wave.append(arrival)
        seen |= about
        open_waves[arrival.source.id] = wave, seen
    return found


async def history(site: Site, source: Source, reading: Reading, url: str, now: datetime) -> Arrival:
    """Older entries of a source, which come in quietly; to be given to `record_history` in a transaction."""
    arrival = Arrival.of(source, reading, url, "backfill", quiet=True)
    await clean_ahead(site, arrival, now)
    return arrival


async def record_history(db: AsyncConnection, arrival: Arrival, now: datetime) -> entries.Recorded:
    done = await record(db, [arrival], now)
    # No `last_entry`: what is old is no sign of life.
    await sources.counted(db, arrival.source, entries.Recorded(living=done.living), now)
    return done


async def clean_ahead(site: Site, arrival: Arrival, now: datetime) -> None:
    """Cleans what is likely to be new in a long document, in the parser's process: so nobody waits for it here."""
    if _is_little(arrival.items):
        return
    async with site.store.read() as db:
        decisions = await _decide(db, [arrival])
    items = [one.item for one in decisions if isinstance(one, Insert | Update)]
    if _is_little(items):
        return
    rest = iter(items)
    for packed in await clean_in_worker(arrival.feed, arrival.url, items, arrival.default_kind, now):
        arrival.cleaned.update((next(rest).identity, (packed, place)) for place in range(len(packed)))


def _is_little(items: Sequence[Identified]) -> bool:
    return len(items) <= MANY and sum(item.size for item in items) <= LONG


async def record(db: AsyncConnection, together: Sequence[Arrival], now: datetime) -> entries.Recorded:
    """Decides on arrivals of one source that are about different entries, and writes what was decided."""
    first = together[0]
    others = {item.identity: arrival for arrival in together[1:] for item in arrival.items}

    def columns_of(item: Identified) -> Columns:
        return others.get(item.identity, first).columns_of(item, now)

    await changes.in_turn(db)  # the same document may be on its way twice: the second decides on what the first stored
    decisions = await _decide(db, together)
    if first.whole and first.feed.complete and not first.feed.damaged and first.items:
        decisions += absences(decisions, await entries.standing(db, first.source.id, now - SETTLED))
    return await entries.record(db, first.source, decisions, columns_of, now=now, via=first.via, quiet=first.quiet)


async def _decide(db: AsyncConnection, together: Sequence[Arrival]) -> list[Decision]:
    items = [item for arrival in together for item in arrival.items]
    tombstones = {identity for arrival in together for identity in arrival.tombstones}
    knowledge = await entries.known(db, together[0].source.id, items, tombstones)
    decisions: list[Decision] = []
    for arrival in together:
        decided = decide_document(arrival.items, arrival.tombstones, knowledge.by_identity, knowledge.by_link)
        if arrival.via == "backfill":
            decided = without_old_versions(decided, arrival.tombstones)
        decisions.extend(reversed(decided))  # a document has its newest entry first, the log its newest last
    return decisions
