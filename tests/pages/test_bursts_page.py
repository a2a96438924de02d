"""Groups on the pages: one card, every member in it once, and paging that never splits one."""

import re
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from lifestream.site import Site
from lifestream.store import bells, entries, sources, stream
from lifestream.types import Entry
from tests.fakes import AppClient
from tests.living import on_sqlite
from tests.stories import has_source, shows_to

MINUTE = timedelta(minutes=1)
CARD = re.compile(r'<article class="h-entry entry (group )?[^"]*" id="[eg]-(\w+)"')
MEMBER = re.compile(r'<li class="member [^"]*" id="e-(\w+)"')
OLDER = re.compile(r'<a class="btn" rel="next" href="([^"]+)">([^<]+)</a>')


def noon() -> datetime:
    """Of yesterday, so that all of a test is one day of the owner's."""
    return (datetime.now(UTC) - timedelta(days=1)).replace(hour=12, minute=0, second=0, microsecond=0)


async def plays(site: Site, *minutes_ago: float) -> list[str]:
    """Songs, as many minutes before noon; their ids, from the first given to the last."""
    data = {"artist": "Ana Reis", "album": ""}
    return await _all(
        site, "listens", minutes_ago, lambda ago: {"kind": "listen", "data": data | {"track": f"{ago:g}"}}
    )


async def notes(site: Site, *minutes_ago: float) -> list[str]:
    return await _all(site, "notes", minutes_ago, lambda ago: {"kind": "note"})


async def _all(
    site: Site, slug: str, minutes_ago: Iterable[float], what: Callable[[float], dict[str, Any]]
) -> list[str]:
    async with site.store.begin(rings=[bells.LOG]) as db:
        source = await sources.get(db, slug, audience="owner")
        return [
            await entries.add(
                db, source, Entry(title=f"Song {ago:g}", published=noon() - ago * MINUTE, **what(ago)), now=site.now()
            )
            for ago in minutes_ago
        ]


async def page(client: AppClient, path: str = "/") -> str:
    answer = await client.get(path)
    assert answer.status_code == 200, answer.text
    return answer.text


def older(text: str) -> str | None:
    found = OLDER.search(text)
    return found[1].replace("&amp;", "&") if found else None


def groups(text: str) -> list[Sequence[str]]:
    """The members of each group, in the order of the page."""
    return [MEMBER.findall(card) for card in re.split(r"(?=<article )", text) if 'class="h-entry entry group' in card]


async def test_what_came_close_together_is_one_card(client: AppClient) -> None:
    await has_source(client.site, "listens")
    songs = await plays(client.site, 40, 20, 0)
    (note,) = await notes(client.site, 10)
    text = await page(client)
    assert groups(text) == [songs[::-1]]
    assert [name for _, name in CARD.findall(text)] == [songs[0], note], "it stands where its newest does"
    assert "3 tracks by Ana Reis" in text
    assert all(text.count(f'id="e-{one}"') == 1 for one in songs), "a member is nowhere else"
    assert all(f'href="/entries/{one}"' in text for one in songs)
    assert f'data-group="listen:listens" data-gap="1200" data-ordered="{noon():%Y-%m-%dT%H:%M}' in text


@on_sqlite
async def test_a_filtered_page_groups_too(client: AppClient) -> None:
    await has_source(client.site, "listens")
    songs = await plays(client.site, 4, 2, 0)
    for query in ("kind=listen", "source=listens", "q=song"):
        assert groups(await page(client, f"/?{query}")) == [songs[::-1]], query
    assert groups(await page(client, "/sources/listens")) == [songs[::-1]]


@pytest.mark.parametrize("between", [35, 49, 50])
@on_sqlite
async def test_a_page_never_splits_a_group_and_shows_every_entry_once(client: AppClient, between: int) -> None:
    """A listen every three minutes for an hour and a half, and notes until the page ends somewhere among them."""
    await has_source(client.site, "listens")
    songs = await plays(client.site, *range(0, 90, 3))
    written = await notes(client.site, *(n / 10 for n in range(between)), *range(1, 110, 10))
    seen: list[str] = []
    together: list[Sequence[str]] = []
    path: str | None = "/"
    while path:
        text = await page(client, path)
        together += groups(text)
        members = [one for group in groups(text) for one in group]
        seen += members + [name for group, name in CARD.findall(text) if not group]
        path = older(text)
    assert together == [songs]
    assert sorted(seen) == sorted([*songs, *written])


@pytest.mark.parametrize("most_ahead", [100, stream.MOST_AHEAD])
@on_sqlite
async def test_long_groups_among_each_other_are_one_page_and_what_is_older_is_the_next(
    client: AppClient, monkeypatch: pytest.MonkeyPatch, most_ahead: int
) -> None:
    """Also where a page does not look as far ahead as the groups go on."""
    monkeypatch.setattr(stream, "MOST_AHEAD", most_ahead)
    await has_source(client.site, "forge")
    pushes = {
        name: await _all(
            client.site, "forge", [number + ahead for number in range(90)],
            lambda ago, name=name: {"kind": "code", "data": {"repository": name}},
        )
        for ahead, name in ((0.0, "a"), (0.1, "b"), (0.2, "c"), (0.3, "d"), (0.4, "e"))
    }  # fmt: skip
    written = await notes(client.site, 200, 300)
    first = await page(client)
    assert groups(first) == list(pushes.values())
    second = await page(client, older(first) or "none")
    assert [name for _, name in CARD.findall(second)] == written
    assert older(second) is None


@on_sqlite
async def test_entries_that_come_while_somebody_pages_are_not_told_twice(client: AppClient) -> None:
    await has_source(client.site, "listens")
    songs = await plays(client.site, *range(0, 60, 2))
    await notes(client.site, *(number / 10 for number in range(45)), 100)
    first = await page(client)
    path = older(first)
    assert path and len(groups(first)[0]) == 30
    await plays(client.site, -1)
    second = await page(client, path)
    assert groups(second) == []
    assert not any(one in second for one in songs)


@on_sqlite
async def test_the_link_to_what_is_older_says_which_day_it_begins_with(client: AppClient) -> None:
    await notes(client.site, *(number * 24 * 60 for number in range(51)))
    found = OLDER.search(await page(client))
    day = noon() - timedelta(days=50)
    assert found and found[2] == f"{day:%A} {day.day} {day:%B %Y} and earlier"


@pytest.mark.parametrize("cursor", ["x", "MS4x.x", "MS4x.W10", "MS4x.eyJhIjoxfQ", "MS4x.eyJhIjoieCJ9", "MS4x.\xff"])
@on_sqlite
async def test_a_cursor_that_nobody_gave_out_is_refused(client: AppClient, cursor: str) -> None:
    assert (await client.get("/", params={"before": cursor})).status_code == 400


@on_sqlite
async def test_a_cursor_says_nothing_of_what_is_private(client: AppClient) -> None:
    await has_source(client.site, "listens")
    await plays(client.site, *range(0, 60, 2))
    await shows_to(client.site, "listens", "private")
    await notes(client.site, *(number / 10 for number in range(60)))
    text = await page(client)
    cursor = parse_qs(urlsplit(older(text) or "").query)["before"][0]
    assert "." not in cursor and groups(text) == []
