"""The migrations: up, down, up again, and what they make is what the tables say."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, inspect, text

from lifestream.errors import SetupError
from lifestream.site import Site
from lifestream.store import changes, sources, subscriptions
from lifestream.store.database import Store
from lifestream.store.migrate import alembic_config, migrate, newest, pending
from lifestream.store.tables import Base
from tests.living import on_sqlite
from tests.store.story import NOON, local_source, note

SCHEMA = Path(__file__).parents[2] / "docs" / "schema.md"


async def run(store: Store, what: Callable[[Connection], Any]) -> Any:
    async with store.engine.connect() as connection, connection.begin():
        return await connection.run_sync(what)


def downgrade(connection: Connection) -> None:
    command.downgrade(alembic_config(connection), "base")


def tables(connection: Connection) -> set[str]:
    return set(inspect(connection).get_table_names()) - {"alembic_version"}


def differences(connection: Connection) -> list[Any]:
    options = {"compare_type": _same_type, "compare_server_default": True, "include_name": _is_ours}
    context = MigrationContext.configure(connection, opts=options)
    return list(compare_metadata(context, Base.metadata))


def _is_ours(name: str | None, kind: str, _parents: Any) -> bool:
    """The search index is the database's own kind of table (store/search.py), with more of them behind it on SQLite."""
    return not (kind == "table" and name is not None and name.startswith("entry_words"))


def _same_type(context: Any, inspected: Any, declared: Any, there: Any, wanted: Any) -> bool:
    """Whether the types differ, as this database spells them: our own ones are a number or a text underneath."""
    dialect = context.dialect
    spelled = [str(one.compile(dialect=dialect)) for one in (there, declared.type)]
    aliases = {"DOUBLE_PRECISION": "DOUBLE", "DOUBLE PRECISION": "DOUBLE", "FLOAT": "DOUBLE"}
    there_is, wanted_is = (aliases.get(one, one) for one in spelled)
    return there_is != wanted_is


async def test_the_migrations_make_what_the_tables_say(site: Site) -> None:
    assert await run(site.store, differences) == []


async def test_a_difference_would_be_noticed(site: Site) -> None:
    async with site.store.begin() as db:
        await db.execute(text("DROP INDEX ix_entries_source_link"))
        await db.execute(text("ALTER TABLE facts DROP COLUMN value"))
        await db.execute(text("ALTER TABLE facts ADD COLUMN value INTEGER NOT NULL DEFAULT 0"))
    found = {str(one[0] if isinstance(one, tuple) else one[0][0]) for one in await run(site.store, differences)}
    assert {"add_index", "modify_type"} <= found


async def test_down_leaves_nothing_and_up_makes_it_again(site: Site) -> None:
    await note(site.store, await local_source(site.store), "one")
    made = await run(site.store, tables)
    await run(site.store, downgrade)
    assert await run(site.store, tables) == set()
    assert await pending(site.store)
    await migrate(site.store)
    assert await run(site.store, tables) == made
    assert await run(site.store, differences) == []
    assert not await pending(site.store)
    async with site.store.read() as db:
        assert await changes.head(db) == 0


async def test_what_knows_no_clouds_is_left_none(site: Site) -> None:
    """Before 0003 a subscription at a cloud would be taken for one at a hub."""
    async with site.store.begin() as db:
        for slug, kind in (("clouded", "rsscloud"), ("hubbed", "websub")):
            await sources.add_feed(db, f"https://{slug}.example/", slug=slug, now=NOON)
            source = await sources.get(db, slug, audience="owner")
            await sources.change(db, source, delivery=kind, hub_url="https://there.example/")
            assert source.feed_id is not None
            told = {"hub_url": "https://there.example/", "topic": source.url, "token": slug, "secret": "", "now": NOON}
            await subscriptions.add(db, feed_id=source.feed_id, kind=kind, **told)
    await run(site.store, lambda connection: command.downgrade(alembic_config(connection), "0002"))
    async with site.store.read() as db:
        assert (await db.execute(text("SELECT token FROM subscriptions"))).scalars().all() == ["hubbed"]
        fed = text("SELECT delivery, hub_url FROM sources WHERE feed_id IS NOT NULL ORDER BY slug")
        assert [tuple(row) for row in await db.execute(fed)] == [
            ("polling", ""), ("websub", "https://there.example/"),
        ]  # fmt: skip


async def test_migrating_what_is_up_to_date_changes_nothing(site: Site) -> None:
    public_id = await note(site.store, await local_source(site.store), "one")
    await migrate(site.store)
    async with site.store.read() as db:
        assert [one.id for one in await changes.after(db, 0, audience="owner", limit=9)] == [public_id]


async def test_processes_that_start_at_once_migrate_once(site: Site) -> None:
    await run(site.store, downgrade)
    stores = [Store(site.store.url, site.store.sqlite_path) for _ in range(3)]
    await asyncio.gather(*(migrate(store) for store in stores))
    for store in stores:
        await store.aclose()
    assert not await pending(site.store)


async def test_the_database_of_a_newer_lifestream_is_refused_in_one_sentence(site: Site) -> None:
    async with site.store.begin() as db:
        await db.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(SetupError) as caught:
        await migrate(site.store)
    message = str(caught.value)
    assert "9999" in message and "upgrade lifestream" in message and "\n" not in message


async def test_a_fresh_database_is_pending_and_then_is_not(tmp_path: Path) -> None:
    store = Store("", tmp_path / "new" / "lifestream.sqlite3")
    assert await pending(store)
    await migrate(store)
    assert not await pending(store)
    await store.aclose()


def test_each_migration_says_why_and_can_be_taken_back() -> None:
    scripts = list(ScriptDirectory.from_config(alembic_config()).walk_revisions())
    assert scripts[0].revision == newest()
    for script in scripts:
        assert "Why:" in script.module.__doc__
        assert script.module.downgrade.__code__.co_names


def test_every_table_and_every_column_of_the_entries_is_explained() -> None:
    explained = SCHEMA.read_text("utf-8")
    for table in Base.metadata.sorted_tables:
        assert f"**`{table.name}`**" in explained
    missing = [one.name for one in Base.metadata.tables["entries"].columns if f"`{one.name}`" not in explained]
    assert missing == ["id"]


@on_sqlite
async def test_what_is_known_of_a_source_is_asked_by_its_keys_and_not_by_reading_all_of_it(site: Site) -> None:
    """SQLite's own guess is that a source has ten entries."""
    asked = "SELECT digest FROM entries WHERE source_id = 1 AND (identity IN ({0}) OR link_key IN ({0}))"
    many = ", ".join(f"'{number}'" for number in range(400))
    async with site.store.read() as db:
        plan = [row.detail for row in await db.execute(text(f"EXPLAIN QUERY PLAN {asked.format(many)}"))]
    assert any("source_id=? AND identity=?" in step for step in plan), plan
    assert any("source_id=? AND link_key=?" in step for step in plan), plan
