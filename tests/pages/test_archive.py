"""Days, months and years of the archive; what stands around the stream; and how pages are kept."""

import re
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import update

from lifestream.around import Reader
from lifestream.pages import _around_entry
from lifestream.site import Site
from lifestream.store import owner
from lifestream.store.tables import EntryRow, SourceRow
from lifestream.types import Stored
from tests.fakes import AppClient
from tests.living import on_sqlite
from tests.stories import deletes, gets_history, has_source, shows_to, writes

LISBON_SPRING = date(2026, 3, 29)
"""The clocks go from one to two."""


def at(day: date, hour: int, minute: int = 0) -> datetime:
    return datetime(day.year, day.month, day.day, hour, minute, tzinfo=UTC)


async def wrote(site: Site, title: str, when: datetime, **more: Any) -> Stored:
    return await writes(site, title, published=when, **more)


async def page(client: AppClient, path: str, status: int = 200) -> str:
    answer = await client.get(path)
    assert answer.status_code == status, (path, answer.status_code)
    assert answer.headers["content-type"].startswith("text/html")
    return answer.text


def heading(text: str) -> str:
    found = re.search(r"<h1[^>]*>(.*?)</h1>", text, re.S)
    assert found
    return " ".join(re.sub(r"<[^>]+>", "", found[1]).split())


def shown(text: str) -> list[str]:
    return re.findall(r'<article [^>]*data-id="(\w+)"', text)


async def test_a_day_shows_what_was_of_it_by_the_owners_clock(client: AppClient) -> None:
    before = await wrote(client.site, "still Saturday", at(LISBON_SPRING, 0) - timedelta(minutes=1))
    first = await wrote(client.site, "midnight", at(LISBON_SPRING, 0))
    last = await wrote(client.site, "late", at(LISBON_SPRING, 22, 59))
    after = await wrote(client.site, "already Monday", at(LISBON_SPRING, 23))
    text = await page(client, "/day/2026-03-29")
    assert shown(text) == [last.id, first.id]
    assert heading(text) == "On Sunday 29 March 2026 Mara wrote 2 notes."
    assert '<a rel="prev" href="/day/2026-03-28">' in text and '<a rel="next" href="/day/2026-03-30">' in text
    assert "2 entries between 00:00 and 23:59" in text
    assert shown(await page(client, "/day/2026-03-29?order=oldest")) == [first.id, last.id]
    assert shown(await page(client, "/day/2026-03-28")) == [before.id]
    assert shown(await page(client, "/day/2026-03-30")) == [after.id]


@on_sqlite
async def test_a_day_can_be_filtered(client: AppClient) -> None:
    await wrote(client.site, "note", at(LISBON_SPRING, 10))
    photo = await wrote(client.site, "photo", at(LISBON_SPRING, 11), kind="photo")
    text = await page(client, "/day/2026-03-29?kind=photo")
    assert shown(text) == [photo.id]
    assert heading(text) == "On Sunday 29 March 2026 Mara took 1 photo."


@on_sqlite
async def test_a_day_without_entries_says_so_and_leads_to_those_that_have_some(client: AppClient) -> None:
    await wrote(client.site, "early", at(date(2026, 3, 1), 10))
    text = await page(client, "/day/2026-03-29")
    assert heading(text) == "On Sunday 29 March 2026 nothing happened here."
    assert '<a rel="prev" href="/day/2026-03-01">' in text and 'rel="next" href="/day' not in text


@pytest.mark.parametrize("path", [
    "/day/2026-02-30", "/day/2026-2-3", "/day/tomorrow", "/day/9998-01-01", "/day/0001-01-01", "/day/", "/2026/13",
    "/2026/3", "/2026/003", "/1800", "/9998", "/99999", "/2026/", "/2026/03/29",
])  # fmt: skip
@on_sqlite
async def test_a_day_that_cannot_be_is_not_found(client: AppClient, path: str) -> None:
    await page(client, path, 404)


async def test_months_and_years_are_calendars(client: AppClient) -> None:
    for hour in range(3):
        await wrote(client.site, "x", at(LISBON_SPRING, hour))
    await wrote(client.site, "x", at(date(2026, 3, 1), 12))
    await wrote(client.site, "x", at(date(2025, 12, 31), 12))
    month = await page(client, "/2026/03")
    assert '<a class="l3" href="/day/2026-03-29" aria-label="29 March 2026, 3 entries">29</a>' in month
    assert '<a class="l1" href="/day/2026-03-01" aria-label="1 March 2026, 1 entry">1</a>' in month
    assert '<span class="l0">2</span>' in month
    assert "4 entries" in month and 'rel="prev" href="/2025/12"' in month
    year = await page(client, "/2026")
    assert year.count('<div class="cal">') == 12
    assert 'href="/day/2026-03-29"' in year and 'rel="prev" href="/2025"' in year
    assert 'rel="next"' not in year


async def test_the_archive_hides_what_is_private_and_what_is_gone(client: AppClient) -> None:
    await has_source(client.site, "diary")
    await wrote(client.site, "secret", at(LISBON_SPRING, 10), slug="diary")
    await shows_to(client.site, "diary", "private")
    await deletes(client.site, await wrote(client.site, "gone", at(LISBON_SPRING, 11)))
    assert "nothing happened" in await page(client, "/day/2026-03-29")
    assert "/day/2026-03-29" not in await page(client, "/2026/03")
    assert "0 entries" in await page(client, "/2026")
    day = await client.get("/day/2026-03-29", headers=await client.token("read"))
    assert "secret" in day.text and day.headers["cache-control"].startswith("private")


# -- around the stream ------------------------------------------------------------------------


async def test_the_day_is_told_in_a_sentence_whose_numbers_can_change(client: AppClient) -> None:
    for number in range(3):
        await writes(client.site, f"{number}", kind="video")
    await writes(client.site, "song", kind="listen", data={"track": "song"})
    commits = [{"id": "a"}, {"id": "b"}]
    await writes(client.site, "push", kind="code", data={"repository": "r", "commits": commits})
    text = await page(client, "/")
    assert heading(text) == "Today Mara posted 3 videos, pushed 2 commits and played 1 song."
    assert '<a href="/?kind=code" data-amount="code" data-one="commit" data-many="commits">2 commits</a>' in text
    assert re.search(r'Everything <span class="num" data-count="">5</span>', text)
    assert re.search(r'Code <span class="num" data-count="code">1</span>', text)


@on_sqlite
async def test_a_quiet_day_tells_of_the_last_one(client: AppClient) -> None:
    await wrote(client.site, "x", at(LISBON_SPRING, 10))
    text = await page(client, "/")
    assert heading(text) == "Nothing yet today. On 29 March 2026 Mara wrote 1 note."
    assert 'href="/day/2026-03-29?kind=note"' in text


@on_sqlite
async def test_a_filtered_page_says_so_and_counts_what_else_there_is(client: AppClient) -> None:
    await writes(client.site, "a", kind="video")
    await writes(client.site, "b", kind="note", tags=("x",))
    text = await page(client, "/?kind=note")
    assert heading(text) == "Notes"
    assert "<title>Notes – " in text
    assert 'Videos <span class="num" data-count="video">1</span>' in text
    assert 'aria-label="1 entry at ' in text, "the ribbon is of what is shown"


@on_sqlite
async def test_a_search_marks_its_words_and_escapes_them(client: AppClient) -> None:
    await writes(client.site, "The <b>harbour</b>", content_html="<p>Harbours &amp; piers</p>")
    text = await page(client, "/?q=harbour")
    assert "The &lt;b&gt;<mark>harbour</mark>&lt;/b&gt;" in text
    assert "<mark>Harbours</mark> &amp; piers" in text
    assert heading(text) == "Everything with the words “harbour”"
    nasty = await page(client, "/?q=%3Cscript%3Ealert(1)")
    assert "<script>alert" not in nasty


@on_sqlite
async def test_the_side_says_where_entries_come_from_and_what_was_written(client: AppClient) -> None:
    post = await writes(client.site, "A post", kind="article")
    await writes(client.site, "a note")
    text = (await page(client, "/")).partition("<aside")[2]
    assert f'<a href="/entries/{post.id}" dir="auto">A post</a>' in text
    assert "Search 2 entries" in text
    assert '<a href="/sources/notes" dir="auto">Notes</a>' in text
    assert 'aria-current="date"' in text


@on_sqlite
async def test_an_entrys_page_knows_what_stands_beside_it(client: AppClient) -> None:
    older = await wrote(client.site, "older", at(LISBON_SPRING, 8))
    other = await wrote(client.site, "another kind", at(LISBON_SPRING, 9), kind="video")
    here = await wrote(client.site, "here", at(LISBON_SPRING, 10))
    newer = await wrote(client.site, "newer", at(date(2026, 4, 2), 10))
    site = client.site
    async with site.store.read() as db:
        facts = await _around_entry(Reader(db, site.config, "public", site.now()), here)
    assert [one and one.id for one in facts["same_kind"]] == [older.id, newer.id]
    assert [one and one.id for one in facts["same_day"]] == [other.id, None]
    assert facts["via"] == "post"
    assert facts["ribbon"].here == 11 * 60, "Lisbon is an hour ahead by then"


# -- how pages are kept -----------------------------------------------------------------------


async def test_a_page_that_has_not_changed_is_304(client: AppClient) -> None:
    await writes(client.site, "one")
    for path in ("/", "/?kind=note", "/sources", "/2026", "/hub"):
        first = await client.get(path)
        again = await client.get(path, headers={"If-None-Match": first.headers["etag"]})
        changed = await client.get(path, headers={"If-None-Match": '"x"'})
        assert (again.status_code, again.content) in [(304, b""), (200, again.content)], path
        assert changed.status_code == 200
        if first.headers["etag"] == changed.headers["etag"]:  # the minute did not end in between
            assert again.status_code == 304, path


@on_sqlite
async def test_whatever_changes_is_seen_at_once(client: AppClient) -> None:
    one = await writes(client.site, "one")
    assert "one" in await page(client, "/")
    await writes(client.site, "two")
    assert "two" in await page(client, "/")
    await deletes(client.site, one)
    assert one.id not in await page(client, "/")
    async with client.site.store.begin() as db:
        await db.execute(update(SourceRow).where(SourceRow.slug == "notes").values(title="Renamed"))
    assert "Renamed" in await page(client, "/")
    await shows_to(client.site, "notes", "private")
    assert "two" not in await page(client, "/")


@on_sqlite
async def test_what_the_owner_sees_is_never_kept_for_others(client: AppClient) -> None:
    await has_source(client.site, "diary", "private")
    await writes(client.site, "public")
    await writes(client.site, "secret", "diary")
    headers = await client.token("read")
    for _ in range(2):
        owners = await client.get("/", headers=headers)
        assert "secret" in owners.text
        assert owners.headers["cache-control"] == "private, no-cache"
        assert "secret" not in await page(client, "/")


@on_sqlite
async def test_the_owners_keys_are_on_no_page_of_a_stranger(client: AppClient) -> None:
    await writes(client.site, "public")
    async with client.site.store.begin() as db:
        cookie = await owner.open_session(db, client.site.now())
    signed_in = await client.get("/", headers={"Cookie": f"lifestream={cookie}"})
    assert 'name="csrf"' in signed_in.text
    assert 'name="csrf"' not in await page(client, "/")


@on_sqlite
async def test_the_memory_for_pages_is_bounded(client: AppClient) -> None:
    await writes(client.site, "one")
    kept = client.app.state.kept
    kept._room = room = 150_000
    for number in range(20):
        await page(client, f"/?n={number}")
    assert 0 <= kept._room < room
    assert len(kept._pages) < 20


@on_sqlite
async def test_entries_of_one_moment_are_in_one_order_everywhere(client: AppClient) -> None:
    await gets_history(client.site, *(str(number) for number in range(60)))
    async with client.site.store.begin() as db:
        await db.execute(update(EntryRow).values(ordered_at=at(LISBON_SPRING, 10)))
    seen: list[str] = []
    path = "/"
    while path:
        text = await page(client, path)
        seen += shown(text)
        found = re.search(r'rel="next" href="([^"]+)">S', text)
        path = found[1] if found else ""
    assert len(seen) == len(set(seen)) == 60
    assert shown(await page(client, "/day/2026-03-29")) == seen
