"""Calls are found by their telephony session and by their records, however old they are.

Revision ID: 0011
Revises: 0010
Create Date: 2026-11-29
"""

from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None

NEW = [("call", "telephony_session_id"), ("call_source", "record_id")]


def upgrade() -> None:
    for table, column in NEW:
        op.create_index(op.f(f"ix_{table}_account_id_{column}"), table, ["account_id", column], unique=False)


def downgrade() -> None:
    for table, column in NEW:
        op.drop_index(op.f(f"ix_{table}_account_id_{column}"), table_name=table)
