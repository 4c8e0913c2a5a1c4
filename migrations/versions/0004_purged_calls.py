"""Sessions of calls that were purged.

Revision ID: 0004
Revises: 0003
Create Date: 2026-11-28
"""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "purged_call",
        sa.Column("account_id", sa.Text(), nullable=False),
        sa.Column("session_id", sa.Text(), nullable=False),
        sa.Column("purged_at", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("account_id", "session_id", name=op.f("pk_purged_call")),
        sqlite_strict=True,
    )


def downgrade() -> None:
    op.drop_table("purged_call")
