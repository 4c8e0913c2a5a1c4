"""Leases, and a row for each process that writes: on a server alone. A file is written by one process.

Revision ID: 0010
Revises: 0009
Create Date: 2026-11-29
"""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    if op.get_bind().dialect.name != "postgresql":
        return
    op.drop_table("writer")  # nobody writes while the schema is changed
    op.create_table(
        "writer",
        _text("token"),
        sa.Column("commits", sa.BigInteger(), nullable=False),
        _text("process"),
        _text("since"),
        _text("seen_until"),
        sa.PrimaryKeyConstraint("token", name=op.f("pk_writer")),
    )
    op.create_table(
        "lease",
        _text("name"),
        sa.Column("account_id", sa.Text(collation="C"), nullable=True),
        _text("holder"),
        _text("process"),
        sa.Column("term", sa.BigInteger(), nullable=False),
        _text("taken_at"),
        _text("expires_at"),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_lease")),
    )


def downgrade() -> None:
    raise NotImplementedError("the copy made before the upgrade is what to go back to")


def _text(name: str) -> sa.Column[str]:
    return sa.Column(name, sa.Text(collation="C"), nullable=False)
