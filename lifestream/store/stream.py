"""The stream page by page, where a page never splits a group.

A page takes the rest of each group that is open at its end. Its cursor says up to where, so that the next page leaves
out what it has shown, whatever has come meanwhile.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta

import orjson
from sqlalchemy.ext.asyncio import AsyncConnection

from lifestream.errors import InvalidInput
from lifestream.store import cursors, entries
from lifestream.types import Audience, Filter, Stored
from lifestream.view import bursts
from lifestream.view.bursts import DayOf, Item, Place

PAGE = 50
ENOUGH = 20
"""Cards: a page of fewer reads on, up to `ROUNDS` times `PAGE` entries."""
ROUNDS = 4
FEW = 25
"""Most groups go on for fewer entries than this."""
MANY = 1000
"""What one group's rest may stand among: pushes to other repositories of the same source."""
MOST_OPEN = ROUNDS * PAGE
"""A page cannot leave more groups open than it has entries."""
AHEAD = 100
MOST_AHEAD = 5000
"""Entries that were shown already, which a page goes past to find where the next one begins."""
LONGEST = timedelta(days=2)
"""Longer than a day, and so than any group."""

Shown = Mapping[str, str]
"""By a group's key the cursor of the last entry of it that was shown."""


@dataclass(frozen=True, slots=True)
class Stretch:
    """A part of the stream, newest first. `older` is the cursor for more, which begins on the day `then`."""

    entries: Sequence[Stored]
    items: Sequence[Item]
    older: str | None = None
    then: date | None = None


async def stretch(
    db: AsyncConnection, *, audience: Audience, wanted: Filter, before: str = "", day_of: DayOf
) -> Stretch:
    """The next page after the cursor `before`. Raises InvalidInput for a cursor that is none."""
    cursor, shown = _read(before)
    found: list[Stored] = []
    for _ in range(ROUNDS):
        part, _ = await entries.page(db, audience=audience, wanted=wanted, before=cursor, limit=PAGE + 1)
        ahead = part[PAGE:]
        found += _without(part[:PAGE], shown)
        if not ahead:
            return Stretch(found, bursts.gathered(found, day_of))
        cursor = entries.cursor(part[PAGE - 1])
        if len(bursts.gathered(found, day_of)) >= ENOUGH:
            break
    rest = await _rest_of_groups(db, audience, wanted, cursor, found, day_of)
    shown = _below(cursor, shown) | {bursts.key_of(one): entries.cursor(one) for one in rest}
    then: Stored | None = ahead[0]
    if shown:
        cursor, then = await _not_shown(db, audience, wanted, cursor, shown)
    found += rest
    items = bursts.gathered(found, day_of)
    if not then:
        return Stretch(found, items)
    return Stretch(found, items, _write(cursor, _below(cursor, shown)), day_of(then))


async def _rest_of_groups(
    db: AsyncConnection, audience: Audience, wanted: Filter, cursor: str, found: Sequence[Stored], day_of: DayOf
) -> list[Stored]:
    """What belongs to groups that `found` begins, newest first."""
    rest: list[Stored] = []
    alike: dict[Filter, Sequence[Stored]] = {}
    for run in bursts.unfinished(found, day_of):
        last = run[-1]
        which = replace(wanted, kind=last.entry.kind, source=last.source.slug)
        for limit in (FEW, bursts.MOST, MANY):
            if len(alike.get(which, ())) < limit:
                since = found[-1].ordered_at - LONGEST
                alike[which], _ = await entries.page(
                    db, audience=audience, wanted=which, before=cursor, since=since, limit=limit
                )
            more = bursts.rest_of(run, alike[which], day_of)
            if len(alike[which]) < limit or not bursts.unfinished([*run, *more, alike[which][-1]], day_of):
                break
        rest += more
    return sorted(rest, key=bursts.place_of, reverse=True)


async def _not_shown(
    db: AsyncConnection, audience: Audience, wanted: Filter, cursor: str, shown: Shown
) -> tuple[str, Stored | None]:
    """A cursor behind entries that were shown, and what comes next; beyond `MOST_AHEAD` that may be shown too."""
    for _ in range(MOST_AHEAD // AHEAD):
        ahead, _ = await entries.page(db, audience=audience, wanted=wanted, before=cursor, limit=AHEAD)
        for one in ahead:
            if _without([one], shown):
                return cursor, one
            cursor = entries.cursor(one)
        if len(ahead) < AHEAD:
            return cursor, None
    return cursor, ahead[-1]


def _below(cursor: str, shown: Shown) -> dict[str, str]:
    return {key: last for key, last in shown.items() if entries.place(last) < entries.place(cursor)}


def _without(found: Iterable[Stored], shown: Shown) -> list[Stored]:
    last: Mapping[str, Place] = {key: entries.place(cursor) for key, cursor in shown.items()}
    return [one for one in found if not (place := last.get(bursts.key_of(one))) or bursts.place_of(one) < place]


def _write(cursor: str, shown: Shown) -> str:
    if not shown:
        return cursor
    return f"{cursor}.{cursors.packed(orjson.dumps(shown))}"


def _read(before: str) -> tuple[str, dict[str, str]]:
    cursor, _, more = before.partition(".")
    if not more:
        return before, {}
    try:
        shown = orjson.loads(cursors.unpacked(more))
    except ValueError:
        raise InvalidInput(cursors.BAD_CURSOR) from None
    if not isinstance(shown, dict) or len(shown) > MOST_OPEN or not all(isinstance(one, str) for one in shown.values()):
        raise InvalidInput(cursors.BAD_CURSOR)
    above, _ = entries.place(cursor)
    if any(not timedelta() <= above - entries.place(one)[0] <= LONGEST for one in shown.values()):
        raise InvalidInput(cursors.BAD_CURSOR)
    return cursor, shown
