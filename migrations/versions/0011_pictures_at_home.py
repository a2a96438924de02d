"""Pictures from the owner's networks

Why: a picture is kept once, whoever shows it. One that only the owner's networks lead to must not be shown to everybody
because somebody outside has named its address.

Revision: 0011, after 0010
"""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("pictures", sa.Column("at_home", sa.Boolean(), server_default=sa.false(), nullable=False))


def downgrade() -> None:
    op.drop_column("pictures", "at_home")
