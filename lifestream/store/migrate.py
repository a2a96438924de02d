"""Brings the database to this version, with Alembic and the files in `migrations/`.

Every command looks whether that is needed; Alembic itself, whose import takes longer than most commands, is only
brought in when it is. A migration's file is named after its revision: `0001_the_first_tables.py`.
"""

from typing import TYPE_CHECKING

from sqlalchemy import Connection, inspect, text
from sqlalchemy.exc import DBAPIError

from lifestream.errors import SetupError
from lifestream.places import top
from lifestream.store.database import Store, explain

if TYPE_CHECKING:
    from alembic.config import Config as AlembicConfig

MIGRATION_LOCK = 0x6D6967  # "mig"


async def migrate(store: Store) -> None:
    """Runs what is missing. Raises SetupError for a database that cannot be used, or is of a newer lifestream."""
    try:
        async with store.engine.connect() as connection, connection.begin():
            await connection.run_sync(_upgrade)
    except DBAPIError as error:
        raise explain(error, store.sqlite_path) from error


async def pending(store: Store) -> bool:
    """Whether the database is older than this code."""
    async with store.engine.connect() as connection:
        return await connection.run_sync(current) != newest()


def newest() -> str:
    return max(revisions())


def revisions() -> set[str]:
    return {path.name.partition("_")[0] for path in (top("migrations") / "versions").glob("[0-9]*.py")}


def current(connection: Connection) -> str | None:
    """The database's version; None for an empty one."""
    if not inspect(connection).has_table("alembic_version"):
        return None
    version: str | None = connection.execute(text("SELECT version_num FROM alembic_version")).scalar_one_or_none()
    return version


def alembic_config(connection: Connection | None = None) -> "AlembicConfig":
    from alembic.config import Config as AlembicConfig

    config = AlembicConfig()
    config.set_main_option("script_location", str(top("migrations")))
    config.attributes["connection"] = connection
    return config


def _upgrade(connection: Connection) -> None:
    if connection.dialect.name == "postgresql":  # several processes may start at once
        connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": MIGRATION_LOCK})
    version = current(connection)
    if version == newest():
        return
    if version is not None and version not in revisions():
        raise SetupError(
            f"This database was written by a newer lifestream (its version is {version}); upgrade lifestream, "
            "or restore the backup from before that upgrade."
        )
    from alembic import command

    command.upgrade(alembic_config(connection), "head")
