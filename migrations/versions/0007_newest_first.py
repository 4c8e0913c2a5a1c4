"""Indexes from which the newest calls of a number, an extension or an account are read in order."""

from alembic import op

revision = "0007"
down_revision = "0006"

NEW = [[name, "started_at"] for name in ("account_id", "extension_id", "from_number", "to_number")]
OLD = [["from_number"], ["to_number"]]


def upgrade() -> None:
    _replace(OLD, NEW)


def downgrade() -> None:
    _replace(NEW, OLD)


def _replace(before: list[list[str]], after: list[list[str]]) -> None:
    for columns in before:
        op.drop_index(op.f(f"ix_call_{'_'.join(columns)}"), table_name="call")
    for columns in after:
        op.create_index(op.f(f"ix_call_{'_'.join(columns)}"), "call", columns, unique=False)
