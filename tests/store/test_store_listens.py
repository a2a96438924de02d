"""What was listened to: which of the plays in the store are looked at when more come."""

from datetime import datetime, timedelta

import pytest

from lifestream.protocol.listens import Listen, Track
from lifestream.site import Site
from lifestream.store import entries, listens, sources
from lifestream.types import Filter
from tests.store.story import DAY, NOON, SECOND

JOGA, HUNTER, ALARM = (Track("Björk", title) for title in ("Jóga", "Hunter", "Alarm Call"))
YEAR = timedelta(days=365)


async def heard(site: Site, *plays: tuple[Track, datetime]) -> int:
    """How many of them were new."""
    async with site.store.begin() as db:
        return (await listens.record(db, [Listen(*play) for play in plays], NOON)).new


@pytest.mark.parametrize("at_once", [2, entries.MOST_KEYS])
async def test_one_listen_of_today_beside_old_ones_does_not_have_all_between_them_read(
    site: Site, monkeypatch: pytest.MonkeyPatch, at_once: int
) -> None:
    monkeypatch.setattr(entries, "MOST_KEYS", at_once)
    await heard(site, *((track, NOON - number * DAY) for number in range(1, 30) for track in (JOGA, HUNTER)))
    wanted = [Listen(ALARM, NOON), Listen(JOGA, NOON - YEAR), Listen(HUNTER, NOON - YEAR + 300 * SECOND)]
    async with site.store.read() as db:
        source = await sources.get(db, listens.LISTENS, audience="owner")
        assert list(await listens._heard(db, source, wanted)) == []


async def test_whatever_the_order_of_a_batch_each_play_is_there_once(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(entries, "MOST_KEYS", 2)
    plays = [(track, NOON - number * DAY) for number in (5, 1, 9, 3) for track in (JOGA, HUNTER, ALARM)]
    assert await heard(site, *plays) == 12
    again = [(track, at + number * SECOND) for number, (track, at) in enumerate(plays[::-1])]
    assert await heard(site, *again, (JOGA, NOON - 2 * DAY)) == 1
    async with site.store.read() as db:
        found, _ = await entries.page(db, audience="owner", wanted=Filter(), limit=100)
    assert len(found) == 13
