"""Where entries happened, and who may see it."""

from datetime import datetime
from typing import Any

import pytest
from sqlalchemy import event, text

from lifestream import index
from lifestream.site import Site
from lifestream.store import changes, days, entries, places, sources
from lifestream.types import Audience, Entry, Filter, Location, Near, Source
from tests.living import on_sqlite
from tests.store.story import HOUR, NOON, again, local_source

COMPORTA = Location(38.38, -8.8, "Comporta")
SYDNEY = Location(-33.87, 151.21, "Sydney")


async def happens(site: Site, source: Source, title: str, where: Location | None, at: datetime = NOON) -> str:
    async with site.store.begin() as db:
        return await entries.add(db, source, Entry(title=title, published=at, location=where), now=NOON)


async def newest(site: Site, audience: Audience = "public") -> list[str | None]:
    async with site.store.read() as db:
        found = await places.newest(db, audience=audience, limit=20)
        assert await places.count(db, audience=audience) == len(found)
    return [one.entry.title for one in found]


async def test_the_newest_first_and_only_what_carries_a_place(site: Site) -> None:
    diary = await local_source(site.store)
    await happens(site, diary, "earlier", COMPORTA, NOON - HOUR)
    await happens(site, diary, "nowhere", None)
    await happens(site, diary, "last", SYDNEY)
    assert await newest(site) == ["last", "earlier"]


async def test_private_hidden_and_deleted_places_are_not_there(site: Site) -> None:
    diary = await local_source(site.store, visibility="private")
    walks = await local_source(site.store, "walks")
    await happens(site, diary, "private", COMPORTA)
    walk = await happens(site, walks, "walk", SYDNEY)
    assert await newest(site) == ["walk"]
    assert len(await newest(site, "owner")) == 2
    async with site.store.begin() as db:
        await sources.set_places(db, diary, False, NOON)
        await entries.remove(db, await entries.one(db, walk, audience="owner"), now=NOON)
    assert await newest(site, "owner") == []


@pytest.mark.parametrize("shown", [True, False], ids=["shown", "hidden"])
async def test_whoever_has_an_entry_learns_that_its_place_is_shown_or_hidden(site: Site, shown: bool) -> None:
    diary = await local_source(site.store)
    if shown:
        async with site.store.begin() as db:
            await sources.set_places(db, diary, False, NOON)
    await happens(site, await again(site.store, diary), "here", COMPORTA)
    await happens(site, diary, "nowhere", None)
    async with site.store.begin() as db:
        head = await changes.head(db)
        await sources.set_places(db, await sources.get(db, "diary", audience="owner"), shown, NOON)
        told = await changes.after(db, head, audience="public", limit=9)
        assert [(one.entry.title, one.entry.location) for one in told] == [("here", COMPORTA if shown else None)]
        near, _ = await entries.page(db, audience="owner", wanted=Filter(near=Near(38.4, -8.8, 10)), limit=9)
        assert len(near) == shown


@on_sqlite
async def test_a_check_in_says_nothing_where_places_are_hidden_and_no_title_is_a_place(site: Site) -> None:
    diary = await local_source(site.store)
    visit = Entry(kind="checkin", title="Praia", summary="At Praia", content_html="<p>At Praia</p>", published=NOON)
    await happens(site, diary, "Comporta", COMPORTA)
    await happens(site, diary, "Lunch", COMPORTA)
    async with site.store.begin() as db:
        visited = await entries.add(db, diary, visit, now=NOON)
        head = await changes.head(db)
        await sources.set_places(db, diary, False, NOON)
        assert len(await changes.after(db, head, audience="public", limit=9)) == 3
    await index.before_search(site)
    async with site.store.read() as db:
        found, _ = await entries.page(db, audience="owner", wanted=Filter(), limit=9)
        assert {(one.entry.title, one.entry.summary, one.entry.content_html) for one in found} == {
            (None, "", ""), ("Lunch", "", ""),
        }  # fmt: skip
        lunch = next(one for one in found if one.entry.title)
        beside = await days.beside(db, lunch, audience="public")
        assert [one.title for one in beside if one] == ["Entry", "Check-in"]
        for words, amount in (("praia", 0), ("comporta", 0), ("lunch", 1)):
            found, _ = await entries.page(db, audience="owner", wanted=Filter(q=words), limit=9)
            assert len(found) == amount, words
        whole = await entries.one(db, visited, audience="owner", whole=True)
        assert (whole.entry.title, whole.entry.content_html) == ("Praia", "<p>At Praia</p>")


@on_sqlite
async def test_only_entries_with_a_place_are_read(site: Site) -> None:
    asked: list[str] = []

    def remember(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        if statement.startswith("SELECT"):
            asked.append(statement)

    async with site.store.read() as db:
        event.listen(db.sync_connection, "before_cursor_execute", remember)
        await places.newest(db, audience="public", limit=20)
        await places.count(db, audience="public")
        event.remove(db.sync_connection, "before_cursor_execute", remember)
        asked_for, counted = [
            [row.detail for row in await db.execute(text(f"EXPLAIN QUERY PLAN {one.replace('?', '1')}"))]
            for one in asked
        ]
    assert "SCAN entries USING INDEX ix_entries_placed" in asked_for
    assert "SCAN entries USING COVERING INDEX ix_entries_placed" in counted
    assert not any("TEMP B-TREE" in step for step in asked_for)
