"""Brings the database to this version, with Alembic and the files in `migrations/`."""

from alembic import command
from alembic.config import Config as AlembicConfig
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError

from lifestream.errors import SetupError
from lifestream.places import top
from lifestream.store.database import Store, explain

MIGRATION_LOCK = 0x6D6967  # "mig"


def alembic_config(connection: Connection | None = None) -> AlembicConfig:
    config = AlembicConfig()
    config.set_main_option("script_location", str(top("migrations")))
    config.attributes["connection"] = connection
    return config


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
        current = await connection.run_sync(lambda sync: MigrationContext.configure(sync).get_current_revision())
    return current != newest()


def newest() -> str | None:
    return ScriptDirectory.from_config(alembic_config()).get_current_head()


def _upgrade(connection: Connection) -> None:
    if connection.dialect.name == "postgresql":  # several processes may start at once
        connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": MIGRATION_LOCK})
    script = ScriptDirectory.from_config(alembic_config())
    current = MigrationContext.configure(connection).get_current_revision()
    if current == script.get_current_head():
        return
    if current is not None and current not in {one.revision for one in script.walk_revisions()}:
        raise SetupError(
            f"This database was written by a newer lifestream (its version is {current}); upgrade lifestream, "
            "or restore the backup from before that upgrade."
        )
    command.upgrade(alembic_config(connection), "head")
