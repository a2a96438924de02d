"""Changed

Why: a feed says which entries have left it. To find them it read all changes of the last thirty days, most of which are
new entries; now it reads those only that have changed since they came.

Revision: 0012, after 0011
"""

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None


def upgrade() -> None:
    changed = sa.text("seq <> first_seq")
    op.create_index("ix_entries_changed", "entries", ["seq"], sqlite_where=changed, postgresql_where=changed)
    if op.get_bind().dialect.name == "sqlite":  # an estimate, as in 0010: few entries change
        op.execute("INSERT INTO sqlite_stat1 VALUES ('entries', 'ix_entries_changed', '1000 1')")
        op.execute("ANALYZE sqlite_schema")


def downgrade() -> None:
    if op.get_bind().dialect.name == "sqlite":
        op.execute("DELETE FROM sqlite_stat1 WHERE idx = 'ix_entries_changed'")
    op.drop_index("ix_entries_changed", table_name="entries")
