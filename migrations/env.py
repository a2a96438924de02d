"""Alembic's entry: runs in the connection that lifestream (store/migrate.py) or a developer's command hands over."""

from alembic import context

from lifestream.store.tables import Base

connection = context.config.attributes.get("connection")
if connection is None:
    raise SystemExit("Run `lifestream migrate`; to write a migration: see CONTRIBUTING.md.")

context.configure(connection=connection, target_metadata=Base.metadata, compare_type=False)
context.run_migrations()
