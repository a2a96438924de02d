"""A fair hub

Why: callbacks share the hub by host, so that none that hangs holds up the others; a callback is asked once, so there is
nothing left to count; rssCloud's subscribers are served too; and a feed that moved is still known by its old address.

Revision: 0008, after 0007
"""

from urllib.parse import urlsplit

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    for table in ("hub_requests", "hub_subscribers", "hub_deliveries"):
        op.add_column(table, sa.Column("host", sa.Text(), server_default=sa.text("''"), nullable=False))
    op.add_column("hub_subscribers", sa.Column("kind", sa.Text(), server_default="websub", nullable=False))
    op.add_column("hub_deliveries", sa.Column("doubtful", sa.Boolean(), server_default=sa.false(), nullable=False))
    op.drop_column("hub_requests", "attempts")
    op.create_index(op.f("ix_hub_subscribers_host"), "hub_subscribers", ["host"], unique=False)
    op.create_table(
        "feed_names",
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("feed_id", ID, nullable=False),
        sa.ForeignKeyConstraint(["feed_id"], ["feeds.id"], name=op.f("fk_feed_names_feed_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_feed_names")),
    )
    op.create_index(op.f("ix_feed_names_feed_id"), "feed_names", ["feed_id"], unique=False)
    for table in ("hub_requests", "hub_subscribers"):
        _fill_in_hosts(table)
    op.execute(
        "UPDATE hub_deliveries SET host ="
        " (SELECT host FROM hub_subscribers WHERE hub_subscribers.id = hub_deliveries.subscriber_id)"
    )


def downgrade() -> None:
    op.execute(
        "DELETE FROM hub_deliveries WHERE subscriber_id IN (SELECT id FROM hub_subscribers WHERE kind <> 'websub')"
    )
    op.execute("DELETE FROM hub_subscribers WHERE kind <> 'websub'")
    op.execute("DELETE FROM hub_requests WHERE mode = 'denied'")
    op.drop_table("feed_names")
    op.drop_index(op.f("ix_hub_subscribers_host"), table_name="hub_subscribers")
    op.add_column("hub_requests", sa.Column("attempts", sa.BigInteger(), server_default="0", nullable=False))
    op.drop_column("hub_deliveries", "doubtful")
    op.drop_column("hub_subscribers", "kind")
    for table in ("hub_deliveries", "hub_subscribers", "hub_requests"):
        op.drop_column(table, "host")


def _fill_in_hosts(table: str) -> None:
    rows = sa.table(table, sa.column("id"), sa.column("callback"), sa.column("host"))
    db = op.get_bind()
    for row in db.execute(sa.select(rows.c.id, rows.c.callback)).all():
        db.execute(rows.update().where(rows.c.id == row.id).values(host=_host_of(row.callback)))


def _host_of(url: str) -> str:
    """Scheme, name and port, as limits count a host."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.hostname or ''}:{parts.port or (443 if parts.scheme == 'https' else 80)}"
