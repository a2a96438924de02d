"""The tail: whatever the interleaving of writes, comings and goings, a follower sees each change once, in order."""

import asyncio
import random
from collections.abc import AsyncIterator
from typing import Any

import orjson
import pytest

from lifestream.publish.encode import Encoder
from lifestream.publish.tail import Framing, Tail, View
from lifestream.render import Renderer
from lifestream.site import Site
from lifestream.store import changes, entries, sources
from lifestream.types import Entry, Filter, Location, Near, Stored
from tests.fakes import until
from tests.living import on_sqlite
from tests.stories import deletes, edits, gets_history, has_source, shows_to, writes


@pytest.fixture
async def tail(site: Site) -> AsyncIterator[Tail]:
    tail = Tail(site, Encoder(Renderer.of(site.config)).entry)
    task = asyncio.create_task(tail.run())
    await tail.ready.wait()
    yield tail
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


def in_lines(message: bytes, _seq: int | None) -> bytes:
    return message + b"\n"


class Reader:
    """A client of the live stream that does what the contract asks of clients, and notes all it is told."""

    gone = False

    def __init__(self, tail: Tail, view: View | None = None, position: int | None = None) -> None:
        self.tail = tail
        self.view = view or View()
        self.position = position
        self.reset = False
        self.told: list[dict[str, Any]] = []
        self.holds: dict[str, str] = {}
        """What its page shows: titles by id."""

    async def comes(self) -> "Reader":
        start = await self.tail.start(self.position)
        self.reset = start.reset
        if start.reset or self.position is None:
            self.position = start.position
        self.gone = False
        self.tail.open(self.view, self)
        await self.tail.join(self.view, start.position, self)
        return self

    def goes(self) -> None:
        self.gone = True
        self.tail.leave(self.view, self)

    @property
    def framing(self) -> Framing:
        return in_lines

    def write(self, data: bytes) -> bool:
        for line in data.splitlines():
            self.hear(orjson.loads(line))
        return True

    def beat(self) -> None:
        pass

    def come_back(self) -> None:
        self.goes()

    def hear(self, said: dict[str, Any]) -> None:
        assert self.position is not None
        assert said["seq"] > self.position, "never twice"
        assert said["prev"] <= self.position, "never a gap"
        self.position = said["seq"]
        self.told.append(said)
        if said["type"] == "entry":
            assert said["entry"]["seq"] == said["seq"]
            self.holds[said["entry"]["id"]] = said["entry"]["title"]
        else:
            self.holds.pop(said["id"], None)

    @property
    def full(self) -> bool:
        return False

    async def drained(self) -> None:
        await asyncio.sleep(0)

    def too_slow(self) -> None:
        self.goes()

    async def hears(self, *what: tuple[str, str]) -> None:
        """Returns once it has been told exactly this: ("entry", title) or ("delete", id)."""
        await until(lambda: len(self.told) >= len(what))
        assert self.heard == list(what)

    @property
    def heard(self) -> list[tuple[str, str]]:
        return [(one["type"], one["entry"]["title"] if one["type"] == "entry" else one["id"]) for one in self.told]


async def caught_up(site: Site, tail: Tail) -> None:
    async with site.store.read() as db:
        head = await changes.head(db)
    await until(lambda: tail.head == head)


# -- where a stream starts --------------------------------------------------------------------


@on_sqlite
async def test_without_a_position_a_stream_starts_now(site: Site, tail: Tail) -> None:
    await writes(site, "before")
    await caught_up(site, tail)
    reader = await Reader(tail).comes()
    assert (reader.position, reader.reset) == (tail.head, False)
    await writes(site, "after")
    await reader.hears(("entry", "after"))


async def test_from_a_position_everything_after_it_is_told_and_then_what_comes(site: Site, tail: Tail) -> None:
    one = await writes(site, "one")
    await writes(site, "two")
    await writes(site, "three")
    await caught_up(site, tail)
    reader = await Reader(tail, position=one.seq).comes()
    await writes(site, "four")
    await reader.hears(("entry", "two"), ("entry", "three"), ("entry", "four"))
    assert not reader.reset


async def test_zero_means_from_the_oldest_and_is_no_reset(site: Site, tail: Tail) -> None:
    await writes(site, "one")
    await writes(site, "two")
    await caught_up(site, tail)
    reader = await Reader(tail, position=0).comes()
    await reader.hears(("entry", "one"), ("entry", "two"))
    assert not reader.reset


@on_sqlite
async def test_zero_on_an_empty_log_is_no_reset(site: Site, tail: Tail) -> None:
    start = await tail.start(0)
    assert (start.position, start.reset) == (0, False)


@on_sqlite
async def test_a_position_beyond_the_head_asks_for_reload(site: Site, tail: Tail) -> None:
    one = await writes(site, "one")
    await caught_up(site, tail)
    start = await tail.start(one.seq + 1)
    assert (start.position, start.reset) == (one.seq, True)


@on_sqlite
async def test_a_position_between_two_changes_is_fine(site: Site, tail: Tail) -> None:
    one = await writes(site, "one")
    await writes(site, "two")
    await caught_up(site, tail)
    reader = await Reader(tail, position=one.seq - 1).comes()
    await reader.hears(("entry", "one"), ("entry", "two"))


async def test_a_position_that_only_the_database_knows_yet_is_no_reset(site: Site, tail: Tail) -> None:
    late = Tail(site, lambda _: b"{}")  # another process, that has not heard of it
    late.ready.set()
    one = await writes(site, "one")
    start = await late.start(one.seq)
    assert (start.position, start.reset) == (one.seq, False)


# -- what is told to whom ---------------------------------------------------------------------


async def test_edits_and_deletions_are_told(site: Site, tail: Tail) -> None:
    reader = await Reader(tail).comes()
    one = await writes(site, "one")
    await reader.hears(("entry", "one"))
    one = await edits(site, one, title="better")
    await reader.hears(("entry", "one"), ("entry", "better"))
    await deletes(site, one)
    await reader.hears(("entry", "one"), ("entry", "better"), ("delete", one.id))
    assert reader.told[1]["entry"]["first_seq"] == reader.told[0]["seq"]


@on_sqlite
async def test_on_replay_an_entry_is_told_as_it_is_now_and_once(site: Site, tail: Tail) -> None:
    one = await writes(site, "one")
    two = await writes(site, "two")
    await edits(site, one, title="better")
    await deletes(site, two)
    await caught_up(site, tail)
    await (await Reader(tail, position=0).comes()).hears(("entry", "better"), ("delete", two.id))


@on_sqlite
async def test_each_change_names_the_one_before_it_in_its_own_stream(site: Site, tail: Tail) -> None:
    await has_source(site, "other")
    start = tail.head
    every = await Reader(tail, position=start).comes()
    only = await Reader(tail, View(wanted=Filter(source="other")), start).comes()
    for title, slug in (("one", "other"), ("two", "notes"), ("three", "notes"), ("four", "other")):
        await writes(site, title, slug)
    await only.hears(("entry", "one"), ("entry", "four"))
    await until(lambda: len(every.told) == 4)
    assert [one["prev"] for one in every.told] == [start, *(one["seq"] for one in every.told[:-1])]
    assert [one["prev"] for one in only.told] == [start, only.told[0]["seq"]]


THERE = Location(51.5, -0.12, "London")


@pytest.mark.parametrize(
    ("wanted", "fits", "does_not"),
    [
        (Filter(kind="photo"), {"kind": "photo"}, {"kind": "note"}),
        (Filter(tag="Kitten"), {"tags": ("kitten", "x")}, {"tags": ("kittens",)}),
        (Filter(q="soft paws"), {"content_html": "<p>Paws, so SOFT</p>"}, {"content_html": "<p>soft</p>"}),
        (Filter(near=Near(51.5, -0.1, 10)), {"location": THERE}, {"location": Location(48.8, 2.3)}),
    ],
)
@on_sqlite
async def test_a_filtered_stream_holds_what_fits(
    site: Site, tail: Tail, wanted: Filter, fits: dict[str, Any], does_not: dict[str, Any]
) -> None:
    live = await Reader(tail, View(wanted=wanted)).comes()
    start = live.position
    await writes(site, "does not", **does_not)
    one = await writes(site, "fits", **fits)
    await edits(site, one, **does_not)
    await live.hears(("entry", "fits"), ("delete", one.id))
    two = await writes(site, "comes in later", **does_not)
    await edits(site, two, **fits)
    await live.hears(("entry", "fits"), ("delete", one.id), ("entry", "comes in later"))
    replayed = await Reader(tail, View(wanted=wanted), start).comes()
    assert replayed.holds == live.holds


@on_sqlite
async def test_deletions_pass_every_filter(site: Site, tail: Tail) -> None:
    reader = await Reader(tail, View(wanted=Filter(kind="photo", source="other", tag="x", q="y"))).comes()
    one = await writes(site, "a note")
    await deletes(site, one)
    await reader.hears(("delete", one.id))


async def test_the_public_is_told_nothing_of_a_private_source(site: Site, tail: Tail) -> None:
    await has_source(site, "diary", "private")
    start = tail.head
    public = await Reader(tail).comes()
    owner = await Reader(tail, View("owner")).comes()
    one = await writes(site, "secret", "diary")
    await owner.hears(("entry", "secret"))
    one = await edits(site, one, title="more secret")
    await owner.hears(("entry", "secret"), ("entry", "more secret"))
    await deletes(site, one)
    await owner.hears(("entry", "secret"), ("entry", "more secret"), ("delete", one.id))
    await writes(site, "the end")
    await public.hears(("entry", "the end"))
    await owner.hears(("entry", "secret"), ("entry", "more secret"), ("delete", one.id), ("entry", "the end"))
    replayed = await Reader(tail, position=start).comes()
    assert replayed.heard == [("entry", "the end")]


async def test_a_source_made_private_leaves_the_public_stream_and_stays_in_the_owners(site: Site, tail: Tail) -> None:
    await has_source(site, "diary")
    start = tail.head
    one = await writes(site, "one", "diary")
    public = await Reader(tail, position=start).comes()
    owner = await Reader(tail, View("owner"), start).comes()
    await shows_to(site, "diary", "private")
    await public.hears(("entry", "one"), ("delete", one.id))
    await owner.hears(("entry", "one"), ("entry", "one"))
    two = await writes(site, "two", "diary")
    await deletes(site, two)
    await writes(site, "the end")
    await public.hears(("entry", "one"), ("delete", one.id), ("entry", "the end"))
    late = await Reader(tail, position=start).comes()
    assert late.heard == [("delete", one.id), ("entry", "the end")]


async def test_a_source_made_public_arrives_quietly(site: Site, tail: Tail) -> None:
    await has_source(site, "diary", "private")
    one = await writes(site, "one", "diary")
    reader = await Reader(tail).comes()
    await shows_to(site, "diary", "public")
    await edits(site, one, title="edited")
    await reader.hears(("entry", "edited"))


async def test_history_is_never_told_and_its_edits_are(site: Site, tail: Tail) -> None:
    start = tail.head
    live = await Reader(tail, position=start).comes()
    await gets_history(site, "old one", "old two")
    async with site.store.read() as db:
        found, _ = await entries.page(db, audience="public", wanted=Filter(), limit=10)
    by_title = {one.entry.title: one for one in found}
    await edits(site, by_title["old one"], title="mended")
    await deletes(site, by_title["old two"])
    expected = [("entry", "mended"), ("delete", by_title["old two"].id)]
    await live.hears(*expected)
    assert (await Reader(tail, position=start).comes()).heard == expected


# -- many at once -----------------------------------------------------------------------------


async def test_more_changes_than_one_page_of_the_log_are_all_told(site: Site, tail: Tail) -> None:
    titles = [f"note {number}" for number in range(450)]
    async with site.store.begin() as db:
        notes = await sources.get(db, "notes", audience="owner")
        for title in titles:
            await entries.add(db, notes, Entry(kind="note", title=title), now=site.now())
    early = await Reader(tail, position=0).comes()
    site.store.bells.ring("log")
    await until(lambda: len(early.told) == 450)
    late = await Reader(tail, position=0).comes()
    assert [title for _, title in late.heard] == [title for _, title in early.heard] == titles


VIEWS = [
    View(), View("owner"), View(wanted=Filter(kind="photo")), View(wanted=Filter(source="diary")),
    View("owner", Filter(tag="x")),
]  # fmt: skip


@pytest.mark.parametrize("seed", range(3))
async def test_whoever_comes_and_goes_ends_up_with_what_is_there(site: Site, tail: Tail, seed: int) -> None:
    """Writers write, edit, delete, hide and show; readers leave at any moment and come back with their position."""
    chance = random.Random(seed)
    await has_source(site, "diary")
    writing = True

    async def writer(number: int) -> None:
        mine: list[Stored] = []
        for step in range(25):
            await asyncio.sleep(0)
            more = {"kind": chance.choice(["note", "photo"]), "tags": chance.choice([(), ("x",)])}
            match chance.choice(["new", "new", "edit", "delete", "flip"]):
                case "edit" if mine:
                    at = chance.randrange(len(mine))
                    mine[at] = await edits(site, mine[at], title=f"{number} {step} edited", **more)
                case "delete" if mine:
                    await deletes(site, mine.pop(chance.randrange(len(mine))))
                case "flip" if number == 0:
                    await shows_to(site, "diary", chance.choice(["public", "private"]))
                case _:
                    mine.append(await writes(site, f"{number} {step}", chance.choice(["notes", "diary"]), **more))

    async def reader(view: View) -> Reader:
        found = Reader(tail, view, 0)
        while writing:
            await found.comes()
            for _ in range(chance.randrange(30)):
                await asyncio.sleep(0)
            found.goes()
        return found

    readers = [asyncio.create_task(reader(view)) for view in VIEWS * 2]
    await asyncio.gather(*(writer(number) for number in range(4)))
    await shows_to(site, "diary", "private")  # what was made public came quietly: not to those who were there
    writing = False
    for found in await asyncio.gather(*readers):
        await caught_up(site, tail)
        await found.comes()
        assert not found.reset
        assert found.holds == await there(site, found.view), found.view


async def there(site: Site, view: View) -> dict[str, str]:
    """What a page for this view shows, by the database: titles by id."""
    async with site.store.read() as db:
        found, more = await entries.page(db, audience=view.audience, wanted=view.wanted, limit=1000)
    assert more is None
    return {one.id: one.entry.title or "" for one in found}


@on_sqlite
async def test_an_entry_that_cannot_be_rendered_holds_up_nobody(site: Site) -> None:
    def encode(stored: Stored) -> bytes:
        if stored.entry.title == "impossible":
            raise ValueError("no such thing")
        return Encoder(Renderer.of(site.config)).entry(stored)

    tail = Tail(site, encode)
    task = asyncio.create_task(tail.run())
    await tail.ready.wait()
    reader = await Reader(tail).comes()
    async with site.store.begin(rings=["log"]) as db:
        notes = await sources.get(db, "notes", audience="owner")
        for title in ("one", "impossible", "two"):
            await entries.add(db, notes, Entry(kind="note", title=title), now=site.now())
    await reader.hears(("entry", "one"), ("entry", "two"))
    assert (await Reader(tail, position=0).comes()).heard == [("entry", "one"), ("entry", "two")]
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
