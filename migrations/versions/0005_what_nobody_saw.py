"""What nobody saw is null: ring and hold time may be unknown, and an answer may only have been found.

Revision ID: 0005
Revises: 0004
Create Date: 2026-11-28
"""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

_BEFORE = (
    "account_id", "session_id", "telephony_session_id", "direction", "internal", "queue_call", "extension_id",
    "from_number", "from_name", "from_raw", "to_number", "to_name", "to_raw", "started_at", "answered_at", "ended_at",
    "end_estimated",
)  # fmt: skip
_AFTER = (
    "duration_ms", "disposition", "result", "result_source", "end_source", "leg_count", "events_accepted",
    "events_ignored", "part_of", "confirmed_at", "revision", "updated_at",
)  # fmt: skip
_WORDS = {
    "direction": ("Inbound", "Outbound"),
    "disposition": (
        "answered", "voicemail", "missed", "no_answer", "busy", "declined", "abandoned", "answered_elsewhere",
        "blocked", "failed", "unknown",
    ),
    "result_source": ("presence", "presence-read", "active-calls", "call-log"),
    "end_source": ("presence", "reconciled", "call-log", "expired"),
}  # fmt: skip
#: Presence showed at least one leg of it.
_SEEN = """EXISTS (SELECT 1 FROM call_leg WHERE call_leg.account_id = call_old.account_id
    AND call_leg.session_id = call_old.session_id AND call_leg.source IN ('presence', 'presence-read'))"""


def upgrade() -> None:
    """Calls that the platform's records alone told of have neither ring nor hold time."""
    _rebuild(
        nullable=True,
        new="answer_estimated",
        values=f"""CASE WHEN answered_at IS NULL OR {_SEEN} THEN 0 ELSE 1 END,
    CASE WHEN {_SEEN} THEN ring_ms END, talk_ms, CASE WHEN {_SEEN} THEN hold_ms END""",
    )


def downgrade() -> None:
    """What is unknown becomes 0, as the version before told it."""
    _rebuild(nullable=False, new=None, values="COALESCE(ring_ms, 0), talk_ms, COALESCE(hold_ms, 0)")


def _rebuild(*, nullable: bool, new: str | None, values: str) -> None:
    op.rename_table("call", "call_old")
    op.create_table("call", *_columns(nullable=nullable, new=new), *_constraints(new), sqlite_strict=True)
    columns = [*_BEFORE, *([new] if new else []), "ring_ms", "talk_ms", "hold_ms", *_AFTER]
    after = [*_AFTER, *(["0"] if new else [])]
    if new:
        columns.append("publication")
    op.execute(
        f"INSERT INTO call ({', '.join(columns)}) SELECT {', '.join(_BEFORE)},\n    {values},\n"  # noqa: S608
        f"    {', '.join(after)} FROM call_old"
    )
    op.drop_table("call_old")
    op.create_index(op.f("ix_call_started_at"), "call", ["started_at"])
    op.create_index(op.f("ix_call_disposition_started_at"), "call", ["disposition", "started_at"])
    op.create_index(op.f("ix_call_from_number"), "call", ["from_number"])
    op.create_index(op.f("ix_call_to_number"), "call", ["to_number"])
    if new:
        op.create_index(op.f("ix_call_account_id_publication"), "call", ["account_id", "publication"])
    op.create_index("ix_call_unconfirmed", "call", ["started_at"], sqlite_where=sa.text("confirmed_at IS NULL"))


def _columns(*, nullable: bool, new: str | None) -> list[sa.Column]:
    may_be_null = {
        "telephony_session_id", "extension_id", "from_number", "from_name", "from_raw", "to_number", "to_name",
        "to_raw", "answered_at", "result", "result_source", "part_of", "confirmed_at",
    }  # fmt: skip
    if nullable:
        may_be_null |= {"ring_ms", "hold_ms"}
    numbers = {
        "internal", "queue_call", "end_estimated", "answer_estimated", "ring_ms", "talk_ms", "hold_ms", "duration_ms",
        "leg_count", "events_accepted", "events_ignored", "revision", "publication",
    }  # fmt: skip
    names = [*_BEFORE, *([new] if new else []), "ring_ms", "talk_ms", "hold_ms", *_AFTER]
    if new:
        names.append("publication")
    return [
        sa.Column(name, sa.Integer() if name in numbers else sa.Text(), nullable=name in may_be_null) for name in names
    ]


def _constraints(new: str | None) -> list[sa.Constraint]:
    found: list[sa.Constraint] = [
        sa.CheckConstraint(" OR ".join(f"{column} = '{word}'" for word in words), name=op.f(f"ck_call_{column}"))
        for column, words in _WORDS.items()
    ]
    truths = ["internal", "queue_call", "end_estimated", *([new] if new else [])]
    found += [sa.CheckConstraint(f"{name} = 0 OR {name} = 1", name=op.f(f"ck_call_{name}")) for name in truths]
    return [
        *found,
        sa.CheckConstraint(
            "ring_ms >= 0 AND talk_ms >= 0 AND hold_ms >= 0 AND duration_ms >= 0", name=op.f("ck_call_durations")
        ),
        sa.CheckConstraint("ended_at >= started_at", name=op.f("ck_call_span")),
        sa.PrimaryKeyConstraint("account_id", "session_id", name=op.f("pk_call")),
    ]
