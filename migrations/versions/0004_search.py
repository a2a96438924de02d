"""Search

Why: a search must read no entry that it does not find. The index of words is SQLite's FTS5 or a PostgreSQL tsvector; it
holds nothing that is not in `entries`, and is filled from there.

Revision: 0004, after 0003
"""

from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    if op.get_bind().dialect.name == "sqlite":
        # The words are folded already and have spaces between them. No positions: nobody asks for phrases.
        op.execute("CREATE VIRTUAL TABLE entry_words USING fts5(words, detail='none', tokenize='ascii')")
    else:
        op.execute(
            "CREATE TABLE entry_words (entry_id BIGINT PRIMARY KEY REFERENCES entries (id) ON DELETE CASCADE, "
            "words TSVECTOR NOT NULL)"
        )
        op.execute("CREATE INDEX ix_entry_words ON entry_words USING gin (words)")


def downgrade() -> None:
    op.execute("DROP TABLE entry_words")
    op.execute("DELETE FROM facts WHERE name = 'search_position'")
