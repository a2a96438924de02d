"""Backfills

Why: a walk through a source's history can take hours, so how far it got must outlive the process that walks.

Revision: 0002, after 0001
"""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "backfills",
        sa.Column("source_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("next_url", sa.Text(), nullable=False),
        sa.Column("host", sa.Text(), nullable=False),
        sa.Column("pages", sa.BigInteger(), nullable=False),
        sa.Column("entries", sa.BigInteger(), nullable=False),
        sa.Column("added", sa.BigInteger(), nullable=False),
        sa.Column("oldest", sa.BigInteger(), nullable=True),
        sa.Column("visited", sa.LargeBinary(), nullable=False),
        sa.Column("error", sa.Text(), nullable=False),
        sa.Column("attempts", sa.BigInteger(), nullable=False),
        sa.Column("due_at", sa.BigInteger(), nullable=True),
        sa.Column("claimed_until", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(["source_id"], ["sources.id"], name=op.f("fk_backfills_source_id")),
        sa.PrimaryKeyConstraint("source_id", name=op.f("pk_backfills")),
    )
    op.create_index(op.f("ix_backfills_host"), "backfills", ["host"], unique=False)
    op.create_index(op.f("ix_backfills_due_at"), "backfills", ["due_at"], unique=False)


def downgrade() -> None:
    op.drop_index(op.f("ix_backfills_due_at"), table_name="backfills")
    op.drop_index(op.f("ix_backfills_host"), table_name="backfills")
    op.drop_table("backfills")
