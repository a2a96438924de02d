"""Entries: what a document does to them, who may see them, and reading them page by page."""

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from lifestream.errors import Gone, InvalidInput, NotFound
from lifestream.site import Site
from lifestream.store import changes, entries, gate, search, sources
from lifestream.store.database import Store
from lifestream.store.entries import Recorded
from lifestream.store.filters import condition, matches
from lifestream.store.tables import EntryRow
from lifestream.types import Author, Entry, Filter, Location, Media, Near, Source, Stored, Tombstone
from tests.store.story import (
    DAY,
    HOUR,
    NOON,
    SECOND,
    arrives,
    count,
    feed_source,
    flipped,
    head,
    local_source,
    log,
    note,
    raw,
    removed,
    row,
    titles,
)

LATER = {"updated": "2026-11-20T11:00:00Z"}


async def one(store: Store, public_id: str, audience: Any = "owner") -> Stored:
    async with store.read() as db:
        return await entries.one(db, public_id, audience=audience)


# -- what a document does ---------------------------------------------------------------------


async def test_new_entries_are_inserted_and_a_changed_one_is_updated(site: Site) -> None:
    blog = await feed_source(site.store)
    assert await arrives(site.store, blog, raw(2), raw(1)) == Recorded(new=2, living=2)
    assert await arrives(site.store, blog, raw(2), raw(1, "better", **LATER)) == Recorded(changed=1)
    (found,) = [change for change in await log(site.store) if change.entry.title == "Post 1"]
    assert "better" in found.entry.content_html
    assert found.seq > found.first_seq


async def test_a_document_that_is_repeated_changes_nothing(site: Site) -> None:
    blog = await feed_source(site.store)
    await arrives(site.store, blog, raw(2), raw(1))
    before = await log(site.store)
    assert await arrives(site.store, blog, raw(2), raw(1), now=NOON + DAY) == Recorded()
    assert await log(site.store) == before


async def test_an_entry_keeps_its_id_and_when_it_came_through_an_edit(site: Site) -> None:
    blog = await feed_source(site.store)
    await arrives(site.store, blog, raw(1))
    (before,) = await log(site.store)
    await arrives(site.store, blog, raw(1, "better", **LATER), now=NOON + DAY)
    (after,) = await log(site.store)
    assert (after.id, after.first_seq, after.received) == (before.id, before.first_seq, before.received)


async def test_how_an_entry_was_first_seen_is_kept(site: Site) -> None:
    blog = await feed_source(site.store)
    await arrives(site.store, blog, raw(1), via="ping")
    await arrives(site.store, blog, raw(1, "better", **LATER), via="poll")
    assert (await row(site.store, EntryRow)).first_via == "ping"


async def test_what_its_publisher_deletes_is_a_tombstone_without_words(site: Site) -> None:
    blog = await feed_source(site.store)
    await arrives(site.store, blog, raw(1, "secret words", link="https://blog.example/secret", tags=("secret",)))
    done = await arrives(site.store, blog, gone=[Tombstone("urn:1")], now=NOON + SECOND)
    assert done == Recorded(deleted=1, living=-1)
    kept = await row(site.store, EntryRow)
    assert kept.deleted_by == "source"
    assert kept.digest and kept.identity
    assert "secret" not in str(kept)
    (change,) = await log(site.store)
    assert (change.deleted, change.quiet, change.entry.content_html) == (True, False, "")
    assert await titles(site.store) == []


async def test_a_deletion_said_twice_is_told_once(site: Site) -> None:
    blog = await feed_source(site.store)
    await arrives(site.store, blog, raw(1))
    await arrives(site.store, blog, gone=[Tombstone("urn:1")])
    before = await head(site.store)
    assert await arrives(site.store, blog, gone=[Tombstone("urn:1")], now=NOON + DAY) == Recorded()
    assert await head(site.store) == before


async def test_what_its_publisher_deleted_comes_back_when_it_was_updated_since(site: Site) -> None:
    blog = await feed_source(site.store)
    await arrives(site.store, blog, raw(1))
    (before,) = await log(site.store)
    await arrives(site.store, blog, gone=[Tombstone("urn:1")])
    assert await arrives(site.store, blog, raw(1)) == Recorded()
    assert await arrives(site.store, blog, raw(1, "again", **LATER)) == Recorded(changed=1, living=1)
    (after,) = await log(site.store)
    assert (after.id, after.deleted, after.entry.title) == (before.id, False, "Post 1")


async def test_what_the_owner_deleted_stays_deleted_and_keeps_no_words(site: Site) -> None:
    blog = await feed_source(site.store)
    await arrives(site.store, blog, raw(1, "secret words"))
    (before,) = await log(site.store)
    await removed(site.store, before.id)
    assert await arrives(site.store, blog, raw(1, "secret words, again", **LATER)) == Recorded()
    assert "secret" not in str(await row(site.store, EntryRow))
    with pytest.raises(Gone):
        await one(site.store, before.id)


async def test_what_the_owner_deletes_while_its_update_is_decided_stays_deleted(site: Site) -> None:
    blog = await feed_source(site.store)
    await arrives(site.store, blog, raw(1))
    async with site.store.read() as db:
        (known,) = await changes.after(db, 0, audience="owner", limit=9)
    await removed(site.store, known.id)
    with pytest.raises(Gone):
        async with site.store.begin() as db:
            await entries.edit(db, known, Entry(title="secret"), now=NOON)
    with pytest.raises(Gone):
        async with site.store.begin() as db:
            await entries.remove(db, known, now=NOON)
    assert "secret" not in str(await row(site.store, EntryRow))


async def test_an_id_is_worth_something_in_its_own_source_only(site: Site) -> None:
    blog = await feed_source(site.store)
    other = await feed_source(site.store, "https://other.example/feed", slug="other")
    await arrives(site.store, blog, raw(1, "mine", link="https://blog.example/1"))
    theft = raw(1, "yours", link="https://blog.example/1", **LATER)
    assert await arrives(site.store, other, theft, gone=[Tombstone("urn:2")]) == Recorded(new=1, living=1)
    assert await arrives(site.store, other, gone=[Tombstone("urn:1")]) == Recorded(deleted=1, living=-1)
    (living,) = [change for change in await log(site.store) if not change.deleted]
    assert living.source.slug == "blog"
    assert "mine" in living.entry.content_html


async def test_an_entry_whose_id_moved_is_the_same_and_is_known_by_the_new_one(site: Site) -> None:
    blog = await feed_source(site.store)
    old = raw(1, link="https://blog.example/1")
    new = replace(old, id="urn:moved")
    await arrives(site.store, blog, old)
    before = await log(site.store)
    assert await arrives(site.store, blog, new) == Recorded()
    assert await log(site.store) == before
    await arrives(site.store, blog, gone=[Tombstone("urn:moved")])
    assert [change.deleted for change in await log(site.store)] == [True]


async def test_more_entries_than_one_question_holds_are_all_known(site: Site) -> None:
    blog = await feed_source(site.store)
    many = [raw(n, updated="2026-11-20T10:00:00Z") for n in range(2 * entries.MOST_KEYS + 1)]
    assert (await arrives(site.store, blog, *many)).new == len(many)
    assert await arrives(site.store, blog, *many) == Recorded()


async def test_a_document_of_a_source_that_was_removed_meanwhile_stores_nothing(site: Site) -> None:
    blog, diary = await feed_source(site.store), await local_source(site.store)
    async with site.store.begin() as db:
        await sources.remove(db, blog, NOON)
        await sources.remove(db, diary, NOON)
    assert await arrives(site.store, blog, raw(1)) == Recorded()
    with pytest.raises(NotFound):
        await note(site.store, diary, "too late")
    assert await count(site.store, EntryRow) == 0


async def test_a_document_that_comes_twice_at_once_is_stored_once(site: Site) -> None:
    blog = await feed_source(site.store)
    other = Store(site.store.url, site.store.sqlite_path)
    for number in range(5):
        done = await asyncio.gather(*(arrives(store, blog, raw(number)) for store in (site.store, other)))
        assert sum(one.new for one in done) == 1
    await other.aclose()
    assert len(await log(site.store)) == 5


async def test_an_entry_comes_back_as_it_was_put(site: Site) -> None:
    diary = await local_source(site.store)
    entry = Entry(
        kind="checkin",
        verb="checkin",
        title="Café 🐈",
        url="https://cafe.example/",
        content_html="<p>Ω</p>",
        summary="Ω",
        author=Author("Mara", "https://mara.example/", "https://mara.example/p.jpg"),
        published=datetime(2026, 11, 20, 23, 30, 0, 1, tzinfo=timezone(timedelta(hours=5, minutes=30))),
        updated=NOON,
        tags=("Kitten", "äö"),
        media=(Media("image/jpeg", "https://cafe.example/1.jpg", 3, 4, "a cat", "https://cafe.example/s.jpg"),),
        location=Location(38.7, -9.1, "Lisboa"),
        in_reply_to="https://other.example/",
        language="pt",
        data={"n": [1, 2.5, None, {"a": "b"}]},
    )
    async with site.store.begin() as db:
        public_id = await entries.add(db, diary, entry, now=NOON)
    found = await one(site.store, public_id)
    assert found.entry == entry
    assert found.entry.published is not None
    assert found.entry.published.utcoffset() == timedelta(hours=5, minutes=30)
    assert found.ordered_at == datetime(2026, 11, 20, 18, 0, 0, 1, tzinfo=UTC)


async def test_an_entry_without_anything_comes_back_too(site: Site) -> None:
    diary = await local_source(site.store)
    async with site.store.begin() as db:
        public_id = await entries.add(db, diary, Entry(), now=NOON)
    assert (await one(site.store, public_id)).entry == Entry()


async def test_an_id_that_is_none_is_not_found(site: Site) -> None:
    for strange in ("", "nobody", "\0", "a\0b", "é" * 500, "' OR 1=1 --"):
        with pytest.raises(NotFound):
            await one(site.store, strange)


async def test_two_edits_at_once_both_get_a_number(site: Site) -> None:
    diary = await local_source(site.store)
    public_id = await note(site.store, diary, "draft")
    stores = [Store(site.store.url, site.store.sqlite_path) for _ in range(2)]

    async def edit(store: Store, title: str) -> None:
        async with store.begin() as db:
            stored = await entries.one(db, public_id, audience="owner")
            await entries.edit(db, stored, replace(stored.entry, title=title), now=NOON)

    before = await head(site.store)
    await asyncio.gather(*(edit(store, title) for store, title in zip(stores, "AB", strict=True)))
    for store in stores:
        await store.aclose()
    assert (await one(site.store, public_id)).seq == before + 2


# -- pages ------------------------------------------------------------------------------------


async def walk(store: Store, limit: int, wanted: Filter | None = None) -> list[str | None]:
    found: list[str | None] = []
    before = ""
    while True:
        async with store.read() as db:
            page, cursor = await entries.page(
                db, audience="owner", wanted=wanted or Filter(), before=before, limit=limit
            )
        found += [one.entry.title for one in page]
        assert len(found) < 100
        if cursor is None:
            return found
        assert len(page) == limit
        before = cursor


async def test_pages_hold_every_entry_once_also_of_one_moment(site: Site) -> None:
    diary = await local_source(site.store)
    for number in range(7):
        await note(site.store, diary, str(number), now=NOON + SECOND * (number // 3))
    for limit in (1, 2, 3, 6, 7, 8):
        assert await walk(site.store, limit) == ["6", "5", "4", "3", "2", "1", "0"]


async def test_a_page_goes_on_where_it_was_whatever_comes_or_goes_meanwhile(site: Site) -> None:
    diary = await local_source(site.store)
    ids = [await note(site.store, diary, str(number)) for number in range(6)]
    async with site.store.read() as db:
        first, cursor = await entries.page(db, audience="owner", wanted=Filter(), limit=2)
    assert [one.entry.title for one in first] == ["5", "4"]
    assert cursor
    await note(site.store, diary, "newer", now=NOON + DAY)
    await removed(site.store, ids[4])
    await removed(site.store, ids[2])
    await note(site.store, diary, "older", now=NOON + DAY, published=NOON - DAY)
    async with site.store.read() as db:
        second, end = await entries.page(db, audience="owner", wanted=Filter(), before=cursor, limit=9)
    assert [one.entry.title for one in second] == ["3", "1", "0", "older"]
    assert end is None


async def test_entries_stand_by_when_they_were_published_unless_that_is_in_the_future(site: Site) -> None:
    diary = await local_source(site.store)
    await note(site.store, diary, "yesterday", published=NOON - DAY)
    await note(site.store, diary, "tomorrow", published=NOON + DAY)
    await note(site.store, diary, "an hour ago", published=NOON - HOUR)
    assert await titles(site.store) == ["tomorrow", "an hour ago", "yesterday"]


STRANGE_CURSORS = (
    "x", "AAAA", "MS4y.x", "MQ", "LjE", "MS4", "MS4yLjM", "%00", "\0", "é", "MWU5LjE", "OTk" * 12 + "LjE",
    "MS45" + "OTk5" * 9,
)  # fmt: skip


async def test_a_cursor_that_nobody_gave_out_is_refused(site: Site) -> None:
    async with site.store.read() as db:
        for cursor in STRANGE_CURSORS:
            with pytest.raises(InvalidInput):
                await entries.page(db, audience="public", wanted=Filter(), before=cursor, limit=5)


@given(cursor=st.text(min_size=1, max_size=60))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=50)
async def test_no_cursor_breaks_anything(site: Site, cursor: str) -> None:
    async with site.store.read() as db:
        try:
            await entries.page(db, audience="public", wanted=Filter(), before=cursor, limit=5)
        except InvalidInput as error:
            assert "before" in str(error)


# -- filters ----------------------------------------------------------------------------------


PLACES = (None, Location(51.5, -0.12), Location(51.51, -0.1), Location(-33.9, 151.2, "Sydney"), Location(0.0, 0.0))
WORDS = st.text("abAB éÉßΣ%_\\\"'<>&🐈", max_size=6)
TAGS = st.text("abAB éÉß%_\\\"'/", min_size=1, max_size=4)
ENTRIES = st.lists(
    st.builds(
        Entry,
        kind=st.sampled_from(["note", "photo"]),
        title=st.none() | WORDS,
        summary=WORDS,
        content_html=WORDS,
        tags=st.lists(TAGS, max_size=3).map(tuple),
        location=st.sampled_from(PLACES),
    ),
    max_size=4,
)
NEARS = st.builds(
    Near, st.sampled_from([51.5, 0.0]), st.sampled_from([-0.12, 0.0]), st.sampled_from([1.0, 5.0, 9000.0])
)
FILTERS = st.builds(
    Filter,
    kind=st.sampled_from(["", "note", "photo", "video"]),
    source=st.sampled_from(["", "", "diary", "blog", "di%"]),
    tag=st.just("") | TAGS,
    q=st.just("") | WORDS,
    near=st.none() | NEARS,
)


@asynccontextmanager
async def holding(store: Store, source: Source, some: list[Entry]) -> AsyncIterator[Any]:
    """A transaction in which these entries are there, and that leaves nothing behind."""
    async with store.engine.connect() as connection:
        transaction = await connection.begin()
        for entry in some:
            await entries.add(connection, source, entry, now=NOON)
        await indexed(connection)
        yield connection
        await transaction.rollback()


async def indexed(db: AsyncConnection) -> None:
    """Brings the search index up to the head."""
    before = await search.position(db)
    page, upto = await search.unknown(db, before)
    assert not page or await search.know(db, page, before, upto)


async def agree(site: Site, source: Source, some: list[Entry], wanted: Filter) -> list[str]:
    """What SQL finds is what `matches` says; returns the ids."""
    async with holding(site.store, source, some) as db:
        everything = await changes.after(db, 0, audience="owner", limit=99)
        found, _ = await entries.page(db, audience="owner", wanted=wanted, limit=99)
    assert {one.id for one in found} == {one.id for one in everything if matches(one, wanted)}
    return [one.id for one in found]


@given(some=ENTRIES, wanted=FILTERS)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=150)
async def test_a_filter_means_the_same_in_sql_and_in_python(site: Site, some: list[Entry], wanted: Filter) -> None:
    async with site.store.read() as db:
        try:
            diary = await sources.get(db, "diary", audience="owner")
        except NotFound:
            diary = await local_source(site.store)
    await agree(site, diary, some, wanted)


NAMING = (
    Filter(kind="photo"),
    Filter(source="diary"),
    Filter(tag="kitten"),
    Filter(tag="KITTEN"),
    Filter(tag="été"),
    Filter(q="LISBOA sol"),
    Filter(q="é"),
    Filter(q="100%"),
    Filter(q="a_b"),
    Filter(near=Near(38.7, -9.1, 10)),
    Filter(kind="photo", tag="Été", q="ÉTÉ", near=Near(38.7, -9.1, 2)),
)
NOT_NAMING = (
    Filter(kind="note"),
    Filter(source="dia"),
    Filter(tag="kit"),
    Filter(tag='kitten","x'),
    Filter(q="isboa"),
    Filter(q="lis%z"),
    Filter(q="!?"),
    Filter(q="lis_oa"),
    Filter(q="lisboa porto"),
    Filter(near=Near(38.7, 170.0, 500)),
    Filter(tag="\0"),
    Filter(q="\0"),
    Filter(source="\0"),
)


async def test_each_filter_finds_what_it_names_and_nothing_else(site: Site) -> None:
    diary = await local_source(site.store)
    named = Entry(
        kind="photo", title="Été à Lisboa", content_html="<p>o Sol, 100% a_b</p>", tags=("Kitten", "Été", "x"),
        location=Location(38.71, -9.1),
    )  # fmt: skip
    for wanted in NAMING:
        assert len(await agree(site, diary, [named], wanted)) == 1, wanted
    for wanted in NOT_NAMING:
        assert await agree(site, diary, [named], wanted) == [], wanted


async def test_an_entry_without_a_place_is_near_nothing(site: Site) -> None:
    diary = await local_source(site.store)
    assert await agree(site, diary, [Entry(title="nowhere")], Filter(near=Near(0.0, 0.0, 20_000))) == []


def test_what_a_filter_asks_is_never_part_of_the_statement() -> None:
    wanted = Filter("note", "blog", "tag", "Robert'); DROP TABLE entries;--", Near(1.0, 2.0, 3.0))
    assert not re.search("Robert|DROP|blog", str(select(EntryRow.id).where(condition(wanted))))


# -- who may see ------------------------------------------------------------------------------


async def told(store: Store, after: int, audience: Any = "public") -> list[tuple[str, str | None]]:
    """What a live stream tells of the changes since: (what, title)."""
    changes_since = await log(store, after, audience=audience)
    said = [(gate.told(change, audience, Filter()), change.entry.title) for change in changes_since]
    return [(what, title) for what, title in said if what]


async def public_tombstones(store: Store, wanted: Filter | None = None, since: datetime = NOON - DAY) -> list[str]:
    async with store.read() as db:
        found = await entries.tombstones(db, wanted=wanted or Filter(), since=since, limit=50)
    return [public_id for public_id, _ in found]


async def test_nothing_of_a_private_source_reaches_the_public(site: Site) -> None:
    secret = await local_source(site.store, "secret", visibility="private")
    public_id = await note(site.store, secret, "secret")
    assert await titles(site.store) == ["secret"]
    assert await titles(site.store, "public") == []
    assert await titles(site.store, "public", Filter(source="secret")) == []
    with pytest.raises(NotFound):
        await one(site.store, public_id, "public")
    assert await log(site.store, audience="public") == []
    await removed(site.store, public_id)
    assert await log(site.store, audience="public") == []
    assert await public_tombstones(site.store) == []
    with pytest.raises(NotFound):
        await one(site.store, public_id, "public")
    with pytest.raises(Gone):
        await one(site.store, public_id)


async def test_the_owner_is_told_of_a_private_entry_that_goes(site: Site) -> None:
    secret = await local_source(site.store, "secret", visibility="private")
    public_id = await note(site.store, secret, "secret")
    await removed(site.store, public_id)
    assert await told(site.store, 0, "owner") == [("delete", None)]


async def test_the_public_is_told_of_what_it_held_and_what_went(site: Site) -> None:
    diary = await local_source(site.store)
    public_id = await note(site.store, diary, "one")
    assert await told(site.store, 0) == [("entry", "one")]
    before = await head(site.store)
    await removed(site.store, public_id)
    assert await told(site.store, before) == [("delete", None)]
    assert await public_tombstones(site.store) == [public_id]
    with pytest.raises(Gone):
        await one(site.store, public_id, "public")


async def test_a_source_made_private_is_told_as_deletes_and_made_public_again_comes_back_quietly(site: Site) -> None:
    diary = await local_source(site.store)
    ids = [await note(site.store, diary, title) for title in ("one", "two")]
    before = await head(site.store)
    private = await flipped(site.store, diary, "private")
    assert [what for what, _ in await told(site.store, before)] == ["delete", "delete"]
    assert sorted(await public_tombstones(site.store)) == sorted(ids)
    assert await titles(site.store, "public") == []
    with pytest.raises(NotFound):
        await one(site.store, ids[0], "public")
    before = await head(site.store)
    await flipped(site.store, private, "public")
    assert await told(site.store, before) == []
    assert [change.quiet for change in await log(site.store, before, audience="public")] == [True, True]
    assert await titles(site.store, "public") == ["two", "one"]
    assert await public_tombstones(site.store) == []


async def test_what_was_deleted_while_private_is_never_told_to_the_public(site: Site) -> None:
    secret = await local_source(site.store, "secret", visibility="private")
    gone = await note(site.store, secret, "gone")
    await note(site.store, secret, "kept")
    await removed(site.store, gone)
    await flipped(site.store, secret, "public")
    public = await log(site.store, audience="public")
    said = [gate.told(change, "public", Filter(), with_quiet=True) for change in public if change.id == gone]
    assert not any(said)
    assert await titles(site.store, "public") == ["kept"]
    assert await public_tombstones(site.store) == []
    with pytest.raises(NotFound):
        await one(site.store, gone, "public")


async def test_an_entry_deleted_after_its_source_was_published_is_told(site: Site) -> None:
    secret = await local_source(site.store, "secret", visibility="private")
    public_id = await note(site.store, secret, "one")
    await flipped(site.store, secret, "public")
    before = await head(site.store)
    await removed(site.store, public_id)
    assert await told(site.store, before) == [("delete", None)]


async def test_an_entry_that_arrives_as_its_source_is_flipped_counts_by_what_the_source_is_then(site: Site) -> None:
    public = await feed_source(site.store)
    private = await flipped(site.store, public, "private")
    await arrives(site.store, public, raw(1))  # read before the flip
    assert await log(site.store, audience="public") == []
    await flipped(site.store, private, "public")
    await arrives(site.store, private, raw(2))
    (change,) = [one for one in await log(site.store) if one.entry.title == "Post 2"]
    assert change.exposed


async def test_an_entry_edited_out_of_a_filter_is_told_there_as_a_delete(site: Site) -> None:
    diary = await local_source(site.store)
    public_id = await note(site.store, diary, "cat", tags=("cat",))
    cats = Filter(tag="cat")
    (change,) = await log(site.store)
    assert gate.told(change, "public", cats) == "entry"
    async with site.store.begin() as db:
        await entries.edit(db, change, replace(change.entry, tags=()), now=NOON)
    (change,) = await log(site.store)
    assert (gate.told(change, "public", cats), gate.told(change, "public", Filter())) == ("delete", "entry")
    other = await note(site.store, diary, "dog")
    assert public_id != other
    assert gate.told((await log(site.store))[-1], "public", cats) is None


async def test_tombstones_are_those_since_a_moment_and_of_one_source_where_asked(site: Site) -> None:
    diary, blog = await local_source(site.store), await local_source(site.store, "blog")
    old, new = await note(site.store, diary, "old"), await note(site.store, blog, "new")
    await removed(site.store, old, now=NOON + HOUR)
    await removed(site.store, new, now=NOON + 2 * HOUR)
    assert await public_tombstones(site.store) == [new, old]
    assert await public_tombstones(site.store, since=NOON + HOUR + SECOND) == [new]
    assert await public_tombstones(site.store, Filter(source="diary")) == [old]
    async with site.store.read() as db:
        (found,) = await entries.tombstones(db, wanted=Filter(source="blog"), since=NOON, limit=9)
    assert found == (new, NOON + 2 * HOUR)
