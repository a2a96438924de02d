"""Polling behind push

Why: a poll shows what push missed, and so which hub fell silent; feeds move for good; many feeds share a host, which
is not to be asked for all of them at once; and rssCloud is a second way to be pushed.

Revision: 0003, after 0002
"""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "hosts",
        sa.Column("host", sa.Text(), nullable=False),
        sa.Column("free_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("host", name=op.f("pk_hosts")),
    )
    op.add_column("feeds", sa.Column("moved_to", sa.Text(), nullable=True))
    op.add_column("subscriptions", sa.Column("kind", sa.Text(), server_default="websub", nullable=False))
    op.add_column("sources", sa.Column("pushed_since", sa.BigInteger(), nullable=True))
    for name in ("missed", "missed_lately", "missed_looks"):
        op.add_column("sources", sa.Column(name, sa.BigInteger(), server_default="0", nullable=False))
    op.add_column("sources", sa.Column("last_missed", sa.BigInteger(), nullable=True))
    op.execute("UPDATE sources SET pushed_since = created_at WHERE delivery IN ('websub', 'hub')")


def downgrade() -> None:
    # What is before 0003 knows no clouds, and would take these for subscriptions at hubs.
    at_a_cloud = (
        "SELECT feed_id FROM subscriptions WHERE kind = 'rsscloud' AND state IN ('pending', 'active', 'denied')"
    )
    op.execute(f"UPDATE sources SET delivery = 'polling', hub_url = '' WHERE feed_id IN ({at_a_cloud})")
    op.execute("DELETE FROM subscriptions WHERE kind = 'rsscloud'")
    for name in ("last_missed", "missed_looks", "missed_lately", "missed", "pushed_since"):
        op.drop_column("sources", name)
    op.drop_column("subscriptions", "kind")
    op.drop_column("feeds", "moved_to")
    op.drop_table("hosts")
