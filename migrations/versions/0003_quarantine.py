"""What could not be read or stored.

Revision ID: 0003
Revises: 0002
Create Date: 2026-11-28
"""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "quarantined",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("account_id", sa.Text(), nullable=False),
        sa.Column("received_at", sa.Text(), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.CheckConstraint(
            "source = 'presence' OR source = 'presence-read' OR source = 'active-calls' OR source = 'call-log'",
            name=op.f("ck_quarantined_source"),
        ),
        sa.CheckConstraint("kind = 'payload' OR kind = 'record' OR kind = 'fact'", name=op.f("ck_quarantined_kind")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_quarantined")),
        sqlite_strict=True,
    )


def downgrade() -> None:
    op.drop_table("quarantined")
