"""The protocol log: whose an exchange is, in what order they are read, and how many are kept."""

from typing import Any

import pytest

from lifestream.errors import InvalidInput
from lifestream.site import Site
from lifestream.store import exchanges
from lifestream.store.exchanges import Draft, Wanted
from tests.store.story import NOON, SECOND, feed_source


def draft(number: int = 0, **changed: Any) -> Draft:
    values: dict[str, Any] = {
        "at": NOON + number * SECOND, "feed_ids": (), "slug": "", "about": "", "direction": "in", "what": "push",
        "method": "POST", "url": f"/push/{number}", "status": 202, "took": 1.5, "outcome": "ok", "detail": "",
        "alike": 0, "steps": [("Received", 0.5, "3 bytes")], "wire": exchanges.packed({"request": number}),
    }  # fmt: skip
    return Draft(**values | changed)


async def keeps(site: Site, *drafts: Draft) -> None:
    async with site.store.begin() as db:
        await exchanges.record(db, drafts)


async def page(site: Site, wanted: Wanted | None = None, **how: Any) -> list[exchanges.Kept]:
    async with site.store.read() as db:
        return await exchanges.page(db, wanted or Wanted(), **{"limit": 100} | how)


async def test_an_exchange_comes_back_as_it_went(site: Site) -> None:
    await keeps(site, draft(about="somebody", detail="1 new"))
    (found,) = await page(site)
    assert (found.at, found.about, found.slug, found.status, found.took) == (NOON, "somebody", "", 202, 1.5)
    assert found.steps == (exchanges.Step("Received", 0.5, "3 bytes"),)
    assert found.wire and exchanges.unpacked(found.wire) == {"request": 0}


async def test_an_exchange_is_its_feeds_or_its_names(site: Site) -> None:
    blog, git = (
        await feed_source(site.store, "https://blog.example/", slug="blog"),
        await feed_source(site.store, "https://git.example/", slug="git"),
    )
    assert blog.feed_id and git.feed_id
    await keeps(
        site,
        draft(1, feed_ids=(blog.feed_id, git.feed_id), about="both"),
        draft(2, feed_ids=(999,), about="https://stranger.example/"),
        draft(3, slug="notes"),
        draft(4, slug="forge"),
    )
    assert [(one.slug, one.about) for one in await page(site)] == [
        ("", "forge"), ("notes", ""), ("", "https://stranger.example/"), ("git", ""), ("blog", ""),
    ]  # fmt: skip
    assert [one.url for one in await page(site, Wanted(source_id=git.id))] == ["/push/1"]


async def test_pages_follow_each_other_newest_first(site: Site) -> None:
    await keeps(site, draft(2), draft(1), draft(3), draft(3))
    first = await page(site, limit=2)
    assert [one.url for one in first] == ["/push/3", "/push/3"]
    assert [one.url for one in await page(site, before=first[0].cursor)] == ["/push/3", "/push/2", "/push/1"]


@pytest.mark.parametrize("cursor", ["?", "AAAA", "MTIz", "é", "OTk5OTk5OTk5OTk5OTk5OTk5OTk5LjE"])
async def test_a_cursor_of_somebodys_own_is_refused(site: Site, cursor: str) -> None:
    with pytest.raises(InvalidInput):
        await page(site, before=cursor)


async def test_kinds_and_outcomes_can_be_picked(site: Site) -> None:
    await keeps(site, draft(1), draft(2, what="ping"), draft(3, outcome="refused"), draft(4, direction="out"))
    for wanted, numbers in (
        (Wanted(what="push"), [4, 3, 1]), (Wanted(outcome="refused"), [3]), (Wanted(direction="in"), [3, 2, 1]),
        (Wanted(what="push", outcome="ok", direction="in"), [1]),
    ):  # fmt: skip
        assert [one.url for one in await page(site, wanted)] == [f"/push/{number}" for number in numbers]


async def test_many_pushes_do_not_push_the_handshake_out(site: Site) -> None:
    await keeps(site, draft(0, what="challenge"), *(draft(number) for number in range(1, 7)))
    async with site.store.begin() as db:
        rows, wires = await exchanges.too_many(db, most=4, wires=2)
        assert (len(rows), len(wires)) == (2, 2)
        await exchanges.drop(db, before=NOON - SECOND, rows=rows, wires=wires)
    kept = await page(site)
    assert [(one.what, bool(one.wire)) for one in kept] == [
        ("push", True), ("push", True), ("push", False), ("push", False), ("challenge", True),
    ]  # fmt: skip
    async with site.store.read() as db:
        assert await exchanges.too_many(db, most=4, wires=2) == ([], [])


async def test_what_is_old_goes(site: Site) -> None:
    await keeps(site, draft(1), draft(2))
    async with site.store.begin() as db:
        await exchanges.drop(db, before=NOON + 2 * SECOND)
    assert [one.url for one in await page(site)] == ["/push/2"]


async def test_a_log_can_be_handed_over(site: Site) -> None:
    blog, trial = (
        await feed_source(site.store, "https://blog.example/", slug="blog"),
        await feed_source(site.store, "https://trial.example/", slug="trial"),
    )
    assert trial.feed_id
    await keeps(site, draft(1, feed_ids=(trial.feed_id,)), draft(2, slug="notes"))
    async with site.store.begin() as db:
        await exchanges.hand_over(db, trial.id, blog.id, "test")
    assert [(one.slug, one.what) for one in await page(site)] == [("notes", "push"), ("blog", "test")]
