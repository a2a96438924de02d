"""Pages

Why: the globe asks for the newest of the few entries that carry a place, and how many there are, without reading all
the others; and a source's places are the owner's to hide. How much there was on a day, and of which kind, is counted in
the index of the stream alone; a kind that is rare is found without reading the others.

Revision: 0009, after 0008
"""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("sources", sa.Column("places", sa.Boolean(), server_default=sa.true(), nullable=False))
    placed = sa.text("lat IS NOT NULL")
    placed_order = ["ordered_at", "id", "source_id", "lat", "lon"]
    op.create_index("ix_entries_placed", "entries", placed_order, sqlite_where=placed, postgresql_where=placed)
    op.drop_index("ix_entries_ordered_at", table_name="entries")
    op.create_index("ix_entries_ordered_at", "entries", ["ordered_at", "id", "source_id", "kind", "deleted_by"])
    op.create_index("ix_entries_kind_ordered", "entries", ["kind", "ordered_at", "id"])


def downgrade() -> None:
    op.drop_index("ix_entries_kind_ordered", table_name="entries")
    op.drop_index("ix_entries_ordered_at", table_name="entries")
    op.create_index("ix_entries_ordered_at", "entries", ["ordered_at", "id"])
    op.drop_index("ix_entries_placed", table_name="entries")
    op.drop_column("sources", "places")
