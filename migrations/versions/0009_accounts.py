"""Accounts by their names, and the account in the key of a feed's position.

A position that was there is the one of the account whose daemon wrote last; of several only the newest is of use.

Revision ID: 0009
Revises: 0008
Create Date: 2026-11-29
"""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

_NEWEST = "SELECT account_id FROM coverage_span ORDER BY until_at DESC LIMIT 1"


def upgrade() -> None:
    op.create_table(
        "account",
        _text("name"),
        _text("account_id"),
        _text("seen_at"),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_account")),
        sqlite_strict=True,
        sqlite_with_rowid=False,
    )
    op.rename_table("feed_position", "feed_position_before")
    if op.get_bind().dialect.name == "postgresql":  # where the name of a key is that of an index, and stays with it
        op.execute("ALTER INDEX pk_feed_position RENAME TO pk_feed_position_before")
    op.create_table(
        "feed_position",
        _text("account_id"),
        _text("feed"),
        _text("key"),
        _text("token"),
        _text("at"),
        sa.PrimaryKeyConstraint("account_id", "feed", name=op.f("pk_feed_position")),
        sqlite_strict=True,
        sqlite_with_rowid=False,
    )
    op.execute(
        "INSERT INTO feed_position (account_id, feed, key, token, at) "  # noqa: S608 - a constant of this file
        f"SELECT account_id, feed, key, token, at FROM feed_position_before AS one, ({_NEWEST}) AS newest "
        "WHERE NOT EXISTS (SELECT 1 FROM feed_position_before AS other WHERE other.feed = one.feed "
        "AND (other.at > one.at OR (other.at = one.at AND other.key > one.key)))"
    )
    op.drop_table("feed_position_before")
    op.create_index(op.f("ix_quarantined_account_id_id"), "quarantined", ["account_id", "id"], unique=False)


def downgrade() -> None:
    raise NotImplementedError("the copy made before the upgrade is what to go back to")


def _text(name: str) -> sa.Column[str]:
    collation = "C" if op.get_bind().dialect.name == "postgresql" else None
    return sa.Column(name, sa.Text(collation=collation), nullable=False)
