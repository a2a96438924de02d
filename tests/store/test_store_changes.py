"""The log of changes: numbers only grow, and whoever follows it sees each number once, in order."""

import asyncio
import sys
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event, text

from lifestream.site import Site
from lifestream.store import changes, entries, gate, sources
from lifestream.store.database import Store
from lifestream.types import Entry, Filter, Location, Near
from tests.living import on_sqlite
from tests.store.story import DAY, NOON, SECOND, arrives, feed_source, flipped, head, local_source, log, note, raw
from tests.stories import deletes, edits, writes

WRITERS = 8
NOTES_EACH = 15

WRITE_NOTES = """
import asyncio, sys
from datetime import UTC, datetime
from pathlib import Path
from lifestream.store.database import Store
from lifestream.store import entries, sources
from lifestream.types import Entry

async def main():
    store = Store("", Path(sys.argv[1]))
    for number in range(int(sys.argv[3])):
        async with store.begin() as db:
            notes = await sources.get(db, "notes", audience="owner")
            title = f"{sys.argv[2]} {number}"
            await entries.add(db, notes, Entry(kind="note", title=title), now=datetime.now(UTC))
    await store.aclose()

asyncio.run(main())
"""


class Follower:
    """Reads on from where it stands, as every transport does, until it is told to stop; then once more."""

    def __init__(self, store: Store) -> None:
        self.seen: list[int] = []
        self._store = store
        self._stop = False
        self._task = asyncio.create_task(self._follow())

    async def _follow(self) -> None:
        stopping = False
        while not stopping:
            stopping = self._stop
            while page := await log(self._store, self.seen[-1] if self.seen else 0, limit=7):
                self.seen += [one.seq for one in page]
            await asyncio.sleep(0)

    async def stopped(self) -> list[int]:
        self._stop = True
        await self._task
        return self.seen


async def test_the_head_of_an_empty_log_is_zero(site: Site) -> None:
    assert await head(site.store) == 0


async def test_a_number_is_the_time_in_microseconds(site: Site) -> None:
    diary = await local_source(site.store)
    await note(site.store, diary, "one")
    assert await head(site.store) == NOON.timestamp() * 1_000_000


async def test_numbers_grow_within_one_moment(site: Site) -> None:
    diary = await local_source(site.store)
    for title in "abc":
        await note(site.store, diary, title)
    first, second, third = [one.seq for one in await log(site.store)]
    assert (second, third) == (first + 1, first + 2)


async def test_numbers_grow_when_the_clock_goes_back(site: Site) -> None:
    diary = await local_source(site.store)
    await note(site.store, diary, "today")
    before = await head(site.store)
    await note(site.store, diary, "yesterday", now=NOON - DAY)
    assert await head(site.store) == before + 1


async def test_one_document_has_numbers_in_a_row_and_its_newest_entry_the_highest(site: Site) -> None:
    blog = await feed_source(site.store)
    await arrives(site.store, blog, raw(3), raw(2), raw(1))
    found = await log(site.store)
    assert [one.entry.title for one in found] == ["Post 1", "Post 2", "Post 3"]
    assert [one.seq - found[0].seq for one in found] == [0, 1, 2]


async def test_after_begins_behind_the_position_and_ends_at_upto(site: Site) -> None:
    diary = await local_source(site.store)
    for title in "abcd":
        await note(site.store, diary, title)
    one, two, three, four = [one.seq for one in await log(site.store)]
    async with site.store.read() as db:
        assert [c.seq for c in await changes.after(db, one, audience="owner", limit=9, upto=three)] == [two, three]
        assert [c.seq for c in await changes.after(db, one, audience="owner", limit=1)] == [two]
        assert not await changes.after(db, four, audience="owner", limit=9)
        assert not await changes.after(db, 0, audience="owner", limit=9, upto=one - 1)


async def test_an_edited_entry_is_in_the_log_once_at_its_new_place(site: Site) -> None:
    diary = await local_source(site.store)
    first = await note(site.store, diary, "first")
    await note(site.store, diary, "second")
    async with site.store.begin() as db:
        await entries.edit(db, await entries.one(db, first, audience="owner"), Entry(title="edited"), now=NOON)
    found = await log(site.store)
    assert [one.entry.title for one in found] == ["second", "edited"]
    assert found[1].first_seq < found[0].seq < found[1].seq


async def test_history_is_quiet_and_its_later_edit_is_not(site: Site) -> None:
    blog = await feed_source(site.store)
    await arrives(site.store, blog, raw(1), quiet=True)
    assert [one.quiet for one in await log(site.store)] == [True]
    await arrives(site.store, blog, raw(1, "better", updated="2026-11-20T11:00:00Z"), now=NOON + SECOND)
    assert [one.quiet for one in await log(site.store)] == [False]


async def test_the_newest_changes_are_those_that_anybody_is_told(site: Site) -> None:
    diary, blog = await local_source(site.store), await feed_source(site.store)
    for title in ("one", "two", "three"):
        await note(site.store, diary, title)
    await arrives(site.store, blog, raw(1), quiet=True)
    async with site.store.read() as db:
        assert [one.entry.title for one in await changes.newest(db, 2)] == ["two", "three"]


async def test_a_second_writer_waits_for_the_first_and_numbers_after_it(site: Site) -> None:
    """The trap: B numbers after A and commits before it, and whoever has read B's number never finds A's."""
    other = Store(site.store.url, site.store.sqlite_path)
    diary = await local_source(site.store)
    numbered, release = asyncio.Event(), asyncio.Event()

    async def first() -> None:
        async with site.store.begin() as db:
            await entries.add(db, diary, Entry(title="A"), now=NOON)
            numbered.set()
            await release.wait()

    async def second() -> None:
        async with other.begin() as db:
            await entries.add(db, diary, Entry(title="B"), now=NOON + SECOND)

    async with asyncio.TaskGroup() as both:
        both.create_task(first())
        await numbered.wait()
        late = both.create_task(second())
        await blocked(site.store, late)
        assert await log(site.store) == []
        release.set()
    await other.aclose()
    found = await log(site.store)
    assert [one.entry.title for one in found] == ["A", "B"]
    assert found[0].seq < found[1].seq


async def blocked(store: Store, task: asyncio.Task[None]) -> None:
    """Waits until `task` stands before the database's own lock."""
    if store.is_sqlite:  # it tries again from the loop, and cannot get through
        for _ in range(20):
            await asyncio.sleep(0)
    else:
        waiting = "SELECT count(*) FROM pg_locks WHERE NOT granted AND locktype = 'advisory'"
        async with asyncio.timeout(10), store.engine.connect() as connection:
            while not (await connection.execute(text(waiting))).scalar_one():
                await connection.rollback()
    assert not task.done()


async def test_a_follower_of_many_writers_sees_each_number_once_and_in_order(site: Site) -> None:
    stores = [Store(site.store.url, site.store.sqlite_path) for _ in range(WRITERS)]
    blog, diary = await feed_source(site.store), await local_source(site.store)
    follower = Follower(site.store)

    async def write(store: Store, number: int) -> None:
        for one in range(NOTES_EACH):
            await note(store, diary, f"{number}.{one}", now=site.now() - number * SECOND)  # clocks that disagree
        await arrives(store, blog, raw(number), raw(number + WRITERS), now=site.now())

    async with asyncio.TaskGroup() as writing:
        for number, store in enumerate(stores):
            writing.create_task(write(store, number))
    seen = await follower.stopped()
    for store in stores:
        await store.aclose()
    assert seen == [one.seq for one in await log(site.store)]
    assert len(set(seen)) == WRITERS * (NOTES_EACH + 2)


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
async def test_two_processes_write_into_one_sqlite_file_and_no_number_is_there_twice(site: Site) -> None:
    assert site.store.sqlite_path is not None
    follower = Follower(site.store)
    processes = await asyncio.gather(*(_writing(site.store.sqlite_path, name) for name in ("A", "B")))
    notes = await _notes(site)
    for number in range(NOTES_EACH):
        await note(site.store, notes, f"C {number}", now=site.now())
    for process in processes:
        _, said = await process.communicate()
        assert process.returncode == 0, said.decode()
    seen = await follower.stopped()
    found = await log(site.store)
    assert seen == [one.seq for one in found]
    assert {one.entry.title for one in found} == {f"{who} {n}" for who in "ABC" for n in range(NOTES_EACH)}


async def test_numbers_of_a_flipped_source_are_new_and_in_the_old_order(site: Site) -> None:
    diary = await local_source(site.store)
    for title in "abc":
        await note(site.store, diary, title)
    before = await head(site.store)
    await flipped(site.store, diary, "private")
    found = await log(site.store)
    assert [one.entry.title for one in found] == ["a", "b", "c"]
    assert [one.seq - before for one in found] == [1, 2, 3]


async def _writing(path: Path, name: str) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        sys.executable, "-c", WRITE_NOTES, str(path), name, str(NOTES_EACH), stderr=asyncio.subprocess.PIPE
    )


async def _notes(site: Site) -> sources.Source:
    async with site.store.read() as db:
        return await sources.get(db, "notes", audience="owner")


async def test_what_is_left_out_for_a_filter_would_not_have_been_told(site: Site) -> None:
    for number in range(6):
        kind, tag = ("photo", "note")[number % 2], ("Kitten", "dog", "kitten")[number % 3]
        await writes(site, f"{kind} {number}", kind=kind, tags=(tag,), location=Location(51 + number / 100, 0))
    leaves = await writes(site, "leaves", kind="photo", tags=("kitten",))
    await edits(site, leaves, kind="note", tags=())
    await deletes(site, await writes(site, "goes"))
    near = Filter(near=Near(51, 0, 3))
    for wanted in (Filter(kind="photo"), Filter(tag="kitten"), near, Filter(source="notes"), Filter(source="other")):
        async with site.store.read() as db:
            everything = await changes.after(db, 0, audience="public", limit=100)
            found = await changes.after(db, 0, audience="public", limit=100, wanted=wanted)
        told = [one.seq for one in everything if gate.told(one, "public", wanted)]
        assert [one.seq for one in found if gate.told(one, "public", wanted)] == told
        assert len(found) < len(everything) or wanted.source == "notes"


@on_sqlite
async def test_a_feed_reads_of_the_log_only_what_has_changed(site: Site) -> None:
    asked: list[str] = []

    def remember(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        if statement.startswith("SELECT"):
            asked.append(statement)

    async with site.store.read() as db:
        event.listen(db.sync_connection, "before_cursor_execute", remember)
        for wanted in (Filter(), Filter(source="notes"), Filter(kind="photo")):
            await entries.tombstones(db, wanted=wanted, since=site.now(), limit=50)
        event.remove(db.sync_connection, "before_cursor_execute", remember)
        assert asked
        for one in asked:
            plan = [row.detail for row in await db.execute(text(f"EXPLAIN QUERY PLAN {one.replace('?', '1')}"))]
            assert any("ix_entries_changed" in step for step in plan), plan
