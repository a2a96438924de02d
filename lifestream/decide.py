"""What becomes of an entry that was read: pure judgement, with a name for each outcome.

Known entries belong to the same source always; nothing here can touch another's.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from lifestream.clean.entries import Identified

FEW = 10
"""So many entries, or half of all, may be gone from one complete document to the next. More is taken for a mistake."""
AGAIN_WITHIN = timedelta(days=7)
CHURN_LIMIT = 24
"""An entry that changed this often changes by itself (a counter, an advertisement): it is left as it is."""


@dataclass(frozen=True, slots=True)
class Known:
    """What the store remembers of an entry, for comparing."""

    id: int
    identity: str
    digest: str
    link_key: str
    title_key: str
    published: datetime | None
    updated: datetime | None
    deleted_by: Literal["", "source", "absence", "owner"] = ""
    churn: int = 0


@dataclass(frozen=True, slots=True)
class Insert:
    item: Identified


@dataclass(frozen=True, slots=True)
class Update:
    """`item.identity` may be another than `known.identity`: then the entry's id has moved, and the store follows."""

    item: Identified
    known: Known
    churn: int


@dataclass(frozen=True, slots=True)
class Skip:
    """`known` is there when the entry is: an id that moved is worth remembering even where nothing else changed."""

    item: Identified
    why: str
    known: Known | None = None


@dataclass(frozen=True, slots=True)
class Delete:
    """`by` its publisher's word, or by its absence from a document that is said to hold everything."""

    known: Known
    by: Literal["source", "absence"] = "source"


Decision = Insert | Update | Skip | Delete


def decide(item: Identified, known: Known | None) -> Insert | Update | Skip:
    if known is None:
        return Insert(item)
    if known.deleted_by == "owner":
        return Skip(item, "deleted by the owner", known)
    if known.deleted_by == "source":
        if _later(item.updated, known.updated):
            return Update(item, known, known.churn)
        return Skip(item, "deleted by its publisher", known)
    if known.deleted_by == "absence":
        return Update(item, known, known.churn)
    if item.digest == known.digest:
        return Skip(item, "unchanged", known)
    if item.updated is not None and _later(known.updated, item.updated):
        return Skip(item, "older than what is stored", known)
    if known.churn >= CHURN_LIMIT:
        return Skip(item, "changes at every fetch", known)
    return Update(item, known, known.churn + 1)


def decide_document(
    items: Iterable[Identified],
    tombstones: Mapping[str, datetime | None],
    known_by_identity: Mapping[str, Known],
    known_by_link: Mapping[str, Sequence[Known]],
) -> list[Decision]:
    """One decision for each entry of a document, in its order, then the deletions it asks for.

    `tombstones` is what `tombstone_identities` gave. A tombstone wins over an entry, of the same document or known,
    unless that was updated, or else published, after the moment of deletion (RFC 6721, section 3).
    """
    items = list(items)
    taken = {item.identity for item in items}  # and then the stored ones that are spoken for: none is moved to twice
    decisions: list[Decision] = []
    returned: set[str] = set()
    for item in items:
        if item.identity in tombstones:
            if not _outlives(item, tombstones[item.identity]):
                decisions.append(Skip(item, "deleted by its publisher", known_by_identity.get(item.identity)))
                continue
            returned.add(item.identity)
        known = known_by_identity.get(item.identity) or _moved(item, known_by_link, taken)
        if known is not None:
            taken.add(known.identity)
        decisions.append(decide(item, known))
    return decisions + _deletions(tombstones, returned, known_by_identity)


def absences(decisions: Iterable[Decision], standing: Sequence[Known]) -> list[Delete]:
    """The entries that a complete document (RFC 5005, section 2), on which this was decided, no longer has.

    `standing` is what it should have. A document that has nothing at all is never given here.
    """
    there = {one.known.identity for one in decisions if not isinstance(one, Insert) and one.known}
    gone = [known for known in standing if known.identity not in there]
    return [Delete(known, "absence") for known in gone] if len(gone) <= max(FEW, len(standing) // 2) else []


def without_old_versions(decisions: Iterable[Decision], tombstones: Mapping[str, datetime | None]) -> list[Decision]:
    """For a document of the past: what it has otherwise than it is stored counts only where it is dated later.

    So does a deletion: one that is older than what is stored was no decision at all, one without a date is none here.
    """
    return [
        Skip(one.item, "perhaps older than what is stored", one.known)
        if isinstance(one, Update) and not _later(one.item.updated, _dated(one.known))
        else one
        for one in decisions
        if not isinstance(one, Delete) or tombstones[one.known.identity]
    ]


def _moved(item: Identified, known_by_link: Mapping[str, Sequence[Known]], taken: set[str]) -> Known | None:
    """The entry that this one is under a new id: same page, same date or title, and nobody else's here.

    One that has neither id nor date, on a page of its own, is the only one that is known of that page, whatever its
    title is by now.
    """
    of_page = known_by_link.get(item.link_key, ())
    for known in of_page:
        if known.identity not in taken and _is_the_same(item, known):
            return known
    if len(of_page) == 1 and item.own_page and not item.has_id and item.published is None:
        (known,) = of_page
        return known if known.published is None and known.identity not in taken else None
    return None


def _is_the_same(item: Identified, known: Known) -> bool:
    """Two dates that contradict each other outweigh one title: a song that is heard again has the same page and title.
    But what the owner deleted stays so, if its page is published again within days."""
    same_title = bool(item.title_key) and item.title_key == known.title_key
    if item.published is None or known.published is None:
        return same_title
    if known.deleted_by == "owner" and item.own_page and same_title:
        return abs(item.published - known.published) <= AGAIN_WITHIN
    return item.published == known.published


def _deletions(
    tombstones: Mapping[str, datetime | None], returned: set[str], known_by_identity: Mapping[str, Known]
) -> list[Decision]:
    """Each known entry that is gone, once; one that outlives its tombstone is not."""
    return [
        Delete(known)
        for identity, when in tombstones.items()
        if identity not in returned
        and (known := known_by_identity.get(identity)) is not None
        and not known.deleted_by
        and not _outlives(known, when)
    ]


def _outlives(one: Identified | Known, when: datetime | None) -> bool:
    """Whether it is from after the moment that its tombstone gives; nothing outlives one that gives none."""
    return when is not None and _later(_dated(one), when)


def _dated(one: Identified | Known) -> datetime | None:
    return one.updated or one.published


def _later(one: datetime | None, other: datetime | None) -> bool:
    return one is not None and (other is None or one > other)
