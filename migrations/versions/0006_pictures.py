"""Pictures

Why: the pictures of the entries are kept here, in sizes that suit a page, so that the stream outlives the places it
came from and visitors are seen by nobody else. What is to be fetched is a due row like all other work.

Revision: 0006, after 0005
"""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "pictures",
        sa.Column("name", sa.String(length=24), nullable=False),
        sa.Column("url", sa.Text(), nullable=False),
        sa.Column("host", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("why", sa.Text(), nullable=False),
        sa.Column("newest", sa.BigInteger(), nullable=False),
        sa.Column("width", sa.BigInteger(), nullable=True),
        sa.Column("height", sa.BigInteger(), nullable=True),
        sa.Column("bytes", sa.BigInteger(), nullable=False),
        sa.Column("attempts", sa.BigInteger(), nullable=False),
        sa.Column("due_at", sa.BigInteger(), nullable=True),
        sa.Column("claimed_until", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_pictures")),
    )
    due = sa.text("due_at IS NOT NULL")
    op.create_index("ix_pictures_due", "pictures", ["newest"], sqlite_where=due, postgresql_where=due)
    op.create_index("ix_pictures_due_host", "pictures", ["host"], sqlite_where=due, postgresql_where=due)
    op.create_table(
        "entry_pictures",
        sa.Column("entry_id", ID, nullable=False),
        sa.Column("name", sa.String(length=24), nullable=False),
        sa.Column("in_media", sa.Boolean(), nullable=False),
        sa.ForeignKeyConstraint(["entry_id"], ["entries.id"], name=op.f("fk_entry_pictures_entry_id")),
        sa.PrimaryKeyConstraint("entry_id", "name", name=op.f("pk_entry_pictures")),
    )
    op.create_index(op.f("ix_entry_pictures_name"), "entry_pictures", ["name"])
    op.add_column("sources", sa.Column("pictures", sa.Boolean(), server_default=sa.true(), nullable=False))


def downgrade() -> None:
    op.drop_column("sources", "pictures")
    op.drop_table("entry_pictures")
    op.drop_table("pictures")
