"""Estimates

Why: SQLite takes any value of an index's first column to stand in some ten rows, until it is told otherwise. A source
may have a hundred thousand entries, and each poll, delivery and scrobble that asked which of a few were known read
them all. So it is told what a stream that has lived for a while looks like. Measured statistics (ANALYZE) would do
harm: with few sources they make it go through all of them, sorting, for the newest entries.

Revision: 0010, after 0009
"""

from alembic import op
from sqlalchemy import text

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

# All rows, and those with one value of the first column, of the first two, and so on.
ESTIMATES = {
    "sqlite_autoindex_entries_3": "100000 5000 1",  # source_id, identity
    "ix_entries_source_link": "100000 5000 2",
    "ix_entries_source_ordered": "100000 5000 1 1",
    "ix_entries_kind_ordered": "100000 10000 1 1 noskipscan",
}


def upgrade() -> None:
    if op.get_bind().dialect.name != "sqlite":
        return
    op.execute("ANALYZE alembic_version")  # makes the table
    op.execute("DELETE FROM sqlite_stat1")
    for index, estimate in ESTIMATES.items():
        row = {"index": index, "estimate": estimate}
        op.get_bind().execute(text("INSERT INTO sqlite_stat1 VALUES ('entries', :index, :estimate)"), row)
    op.execute("ANALYZE sqlite_schema")  # has this connection read it


def downgrade() -> None:
    if op.get_bind().dialect.name == "sqlite":
        op.execute("DELETE FROM sqlite_stat1")
        op.execute("ANALYZE sqlite_schema")
