"""Ids of waiting deliveries that are never used twice: somebody may have written one down.

SQLite gives the id of a deleted newest row to the next one, unless the table says AUTOINCREMENT.
"""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    _rebuilt(autoincrement=True)


def downgrade() -> None:
    _rebuilt(autoincrement=False)


def _rebuilt(*, autoincrement: bool) -> None:
    columns = (
        sa.Column("id", sa.Integer(), primary_key=True, nullable=False),
        *(sa.Column(name, sa.Text(), nullable=False) for name in TEXTS),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("last_error", sa.Text(), nullable=True),
        sa.Column("gave_up_at", sa.Text(), nullable=True),
        sa.CheckConstraint("attempts >= 0", name=op.f("ck_outbox_attempts")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_outbox")),
    )
    op.drop_index(op.f(INDEX), table_name="outbox")
    op.rename_table("outbox", "outbox_before")
    op.create_table("outbox", *columns, sqlite_strict=True, sqlite_autoincrement=autoincrement)
    named = ", ".join(one.name for one in columns if isinstance(one, sa.Column))
    op.execute(f"INSERT INTO outbox ({named}) SELECT {named} FROM outbox_before")  # noqa: S608 - our own names
    op.drop_table("outbox_before")
    op.create_index(op.f(INDEX), "outbox", ["receiver", "account_id", "session_id", "id"])


TEXTS = ("receiver", "account_id", "session_id", "event_id", "event", "body", "since")
INDEX = "ix_outbox_receiver_account_id_session_id_id"
