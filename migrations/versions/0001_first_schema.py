"""First schema.

Revision ID: 0001
Revises:
Create Date: 2026-11-23
"""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:

    op.create_table(
        "call",
        sa.Column("account_id", sa.Text(), nullable=False),
        sa.Column("session_id", sa.Text(), nullable=False),
        sa.Column("telephony_session_id", sa.Text(), nullable=True),
        sa.Column("direction", sa.Text(), nullable=False),
        sa.Column("internal", sa.Integer(), nullable=False),
        sa.Column("queue_call", sa.Integer(), nullable=False),
        sa.Column("extension_id", sa.Text(), nullable=True),
        sa.Column("from_number", sa.Text(), nullable=True),
        sa.Column("from_name", sa.Text(), nullable=True),
        sa.Column("from_raw", sa.Text(), nullable=True),
        sa.Column("to_number", sa.Text(), nullable=True),
        sa.Column("to_name", sa.Text(), nullable=True),
        sa.Column("to_raw", sa.Text(), nullable=True),
        sa.Column("started_at", sa.Text(), nullable=False),
        sa.Column("answered_at", sa.Text(), nullable=True),
        sa.Column("ended_at", sa.Text(), nullable=False),
        sa.Column("end_estimated", sa.Integer(), nullable=False),
        sa.Column("ring_ms", sa.Integer(), nullable=False),
        sa.Column("talk_ms", sa.Integer(), nullable=False),
        sa.Column("hold_ms", sa.Integer(), nullable=False),
        sa.Column("duration_ms", sa.Integer(), nullable=False),
        sa.Column("disposition", sa.Text(), nullable=False),
        sa.Column("result", sa.Text(), nullable=True),
        sa.Column("result_source", sa.Text(), nullable=True),
        sa.Column("end_source", sa.Text(), nullable=False),
        sa.Column("leg_count", sa.Integer(), nullable=False),
        sa.Column("events_accepted", sa.Integer(), nullable=False),
        sa.Column("events_ignored", sa.Integer(), nullable=False),
        sa.Column("part_of", sa.Text(), nullable=True),
        sa.Column("confirmed_at", sa.Text(), nullable=True),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("updated_at", sa.Text(), nullable=False),
        sa.CheckConstraint("direction = 'Inbound' OR direction = 'Outbound'", name=op.f("ck_call_direction")),
        sa.CheckConstraint(
            "disposition = 'answered' OR disposition = 'voicemail' OR disposition = 'missed' OR "
            "disposition = 'no_answer' OR disposition = 'busy' OR disposition = 'declined' OR "
            "disposition = 'abandoned' OR disposition = 'answered_elsewhere' OR "
            "disposition = 'blocked' OR disposition = 'failed' OR disposition = 'unknown'",
            name=op.f("ck_call_disposition"),
        ),
        sa.CheckConstraint(
            "end_source = 'presence' OR end_source = 'reconciled' OR end_source = 'call-log' OR end_source = 'expired'",
            name=op.f("ck_call_end_source"),
        ),
        sa.CheckConstraint(
            "result_source = 'presence' OR result_source = 'presence-read' OR "
            "result_source = 'active-calls' OR result_source = 'call-log'",
            name=op.f("ck_call_result_source"),
        ),
        sa.CheckConstraint("end_estimated = 0 OR end_estimated = 1", name=op.f("ck_call_end_estimated")),
        sa.CheckConstraint("ended_at >= started_at", name=op.f("ck_call_span")),
        sa.CheckConstraint("internal = 0 OR internal = 1", name=op.f("ck_call_internal")),
        sa.CheckConstraint("queue_call = 0 OR queue_call = 1", name=op.f("ck_call_queue_call")),
        sa.CheckConstraint(
            "ring_ms >= 0 AND talk_ms >= 0 AND hold_ms >= 0 AND duration_ms >= 0", name=op.f("ck_call_durations")
        ),
        sa.PrimaryKeyConstraint("account_id", "session_id", name=op.f("pk_call")),
        sqlite_strict=True,
    )
    op.create_index(op.f("ix_call_disposition_started_at"), "call", ["disposition", "started_at"], unique=False)
    op.create_index(op.f("ix_call_from_number"), "call", ["from_number"], unique=False)
    op.create_index(op.f("ix_call_started_at"), "call", ["started_at"], unique=False)
    op.create_index(op.f("ix_call_to_number"), "call", ["to_number"], unique=False)
    op.create_index(
        "ix_call_unconfirmed",
        "call",
        ["started_at"],
        unique=False,
        sqlite_where=sa.text("confirmed_at IS NULL"),
        postgresql_where=sa.text("confirmed_at IS NULL"),
    )
    op.create_table(
        "call_event",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("account_id", sa.Text(), nullable=False),
        sa.Column("session_id", sa.Text(), nullable=True),
        sa.Column("at", sa.Text(), nullable=False),
        sa.Column("received_at", sa.Text(), nullable=False),
        sa.Column("extension_id", sa.Text(), nullable=False),
        sa.Column("leg_id", sa.Text(), nullable=True),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("sequence", sa.Integer(), nullable=True),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.CheckConstraint(
            "source = 'presence' OR source = 'presence-read' OR source = 'active-calls' OR source = 'call-log'",
            name=op.f("ck_call_event_source"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_call_event")),
        sqlite_strict=True,
    )
    op.create_index(
        op.f("ix_call_event_account_id_session_id"), "call_event", ["account_id", "session_id"], unique=False
    )
    op.create_table(
        "call_leg",
        sa.Column("account_id", sa.Text(), nullable=False),
        sa.Column("session_id", sa.Text(), nullable=False),
        sa.Column("leg_no", sa.Integer(), nullable=False),
        sa.Column("leg_id", sa.Text(), nullable=True),
        sa.Column("extension_id", sa.Text(), nullable=True),
        sa.Column("direction", sa.Text(), nullable=False),
        sa.Column("from_number", sa.Text(), nullable=True),
        sa.Column("from_name", sa.Text(), nullable=True),
        sa.Column("from_raw", sa.Text(), nullable=True),
        sa.Column("to_number", sa.Text(), nullable=True),
        sa.Column("to_name", sa.Text(), nullable=True),
        sa.Column("to_raw", sa.Text(), nullable=True),
        sa.Column("started_at", sa.Text(), nullable=False),
        sa.Column("answered_at", sa.Text(), nullable=True),
        sa.Column("ended_at", sa.Text(), nullable=True),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("termination_type", sa.Text(), nullable=True),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("queue_call", sa.Integer(), nullable=False),
        sa.Column("on_behalf_of", sa.Text(), nullable=True),
        sa.CheckConstraint("direction = 'Inbound' OR direction = 'Outbound'", name=op.f("ck_call_leg_direction")),
        sa.CheckConstraint(
            "source = 'presence' OR source = 'presence-read' OR source = 'active-calls' OR source = 'call-log'",
            name=op.f("ck_call_leg_source"),
        ),
        sa.CheckConstraint(
            "status = 'NoCall' OR status = 'Ringing' OR status = 'ParkedCall' OR "
            "status = 'OnHold' OR status = 'CallConnected'",
            name=op.f("ck_call_leg_status"),
        ),
        sa.CheckConstraint(
            "termination_type = 'final' OR termination_type = 'intermediate'", name=op.f("ck_call_leg_termination_type")
        ),
        sa.CheckConstraint("queue_call = 0 OR queue_call = 1", name=op.f("ck_call_leg_queue_call")),
        sa.PrimaryKeyConstraint("account_id", "session_id", "leg_no", name=op.f("pk_call_leg")),
        sqlite_strict=True,
        sqlite_with_rowid=False,
    )
    op.create_table(
        "call_source",
        sa.Column("account_id", sa.Text(), nullable=False),
        sa.Column("session_id", sa.Text(), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("record_id", sa.Text(), nullable=False),
        sa.Column("direction", sa.Text(), nullable=True),
        sa.Column("started_at", sa.Text(), nullable=True),
        sa.Column("ended_at", sa.Text(), nullable=True),
        sa.Column("duration_ms", sa.Integer(), nullable=True),
        sa.Column("result", sa.Text(), nullable=True),
        sa.Column("seen_at", sa.Text(), nullable=False),
        sa.CheckConstraint("direction = 'Inbound' OR direction = 'Outbound'", name=op.f("ck_call_source_direction")),
        sa.CheckConstraint(
            "source = 'presence' OR source = 'presence-read' OR source = 'active-calls' OR source = 'call-log'",
            name=op.f("ck_call_source_source"),
        ),
        sa.PrimaryKeyConstraint("account_id", "session_id", "source", "record_id", name=op.f("pk_call_source")),
        sqlite_strict=True,
        sqlite_with_rowid=False,
    )
    op.create_table(
        "call_state",
        sa.Column("account_id", sa.Text(), nullable=False),
        sa.Column("session_id", sa.Text(), nullable=False),
        sa.Column("phase", sa.Text(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("direction", sa.Text(), nullable=True),
        sa.Column("extension_id", sa.Text(), nullable=True),
        sa.Column("from_number", sa.Text(), nullable=True),
        sa.Column("from_name", sa.Text(), nullable=True),
        sa.Column("to_number", sa.Text(), nullable=True),
        sa.Column("to_name", sa.Text(), nullable=True),
        sa.Column("started_at", sa.Text(), nullable=False),
        sa.Column("answered_at", sa.Text(), nullable=True),
        sa.Column("suspect", sa.Integer(), nullable=False),
        sa.Column("last_seen_at", sa.Text(), nullable=False),
        sa.Column("remembered_until", sa.Text(), nullable=True),
        sa.Column("state", sa.Text(), nullable=False),
        sa.CheckConstraint("direction = 'Inbound' OR direction = 'Outbound'", name=op.f("ck_call_state_direction")),
        sa.CheckConstraint(
            "phase = 'open' OR phase = 'settling' OR phase = 'finished'", name=op.f("ck_call_state_phase")
        ),
        sa.CheckConstraint(
            "status = 'NoCall' OR status = 'Ringing' OR status = 'ParkedCall' OR "
            "status = 'OnHold' OR status = 'CallConnected'",
            name=op.f("ck_call_state_status"),
        ),
        sa.CheckConstraint("suspect = 0 OR suspect = 1", name=op.f("ck_call_state_suspect")),
        sa.PrimaryKeyConstraint("account_id", "session_id", name=op.f("pk_call_state")),
        sqlite_strict=True,
    )
    op.create_index(op.f("ix_call_state_remembered_until"), "call_state", ["remembered_until"], unique=False)
    op.create_table(
        "call_transition",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("account_id", sa.Text(), nullable=False),
        sa.Column("session_id", sa.Text(), nullable=False),
        sa.Column("at", sa.Text(), nullable=False),
        sa.Column("from_status", sa.Text(), nullable=True),
        sa.Column("to_status", sa.Text(), nullable=False),
        sa.Column("sequence", sa.Integer(), nullable=True),
        sa.Column("source", sa.Text(), nullable=False),
        sa.CheckConstraint(
            "from_status = 'NoCall' OR from_status = 'Ringing' OR from_status = 'ParkedCall' OR "
            "from_status = 'OnHold' OR from_status = 'CallConnected'",
            name=op.f("ck_call_transition_from_status"),
        ),
        sa.CheckConstraint(
            "source = 'presence' OR source = 'presence-read' OR source = 'active-calls' OR source = 'call-log'",
            name=op.f("ck_call_transition_source"),
        ),
        sa.CheckConstraint(
            "to_status = 'NoCall' OR to_status = 'Ringing' OR to_status = 'ParkedCall' OR "
            "to_status = 'OnHold' OR to_status = 'CallConnected'",
            name=op.f("ck_call_transition_to_status"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_call_transition")),
        sqlite_strict=True,
    )
    op.create_index(
        op.f("ix_call_transition_account_id_session_id"), "call_transition", ["account_id", "session_id"], unique=False
    )
    op.create_table(
        "coverage_span",
        sa.Column("account_id", sa.Text(), nullable=False),
        sa.Column("from_at", sa.Text(), nullable=False),
        sa.Column("until_at", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("cause", sa.Text(), nullable=True),
        sa.Column("recovered_calls", sa.Integer(), nullable=False),
        sa.CheckConstraint(
            "state = 'live' OR state = 'doubtful' OR state = 'blind' OR state = 'healed'",
            name=op.f("ck_coverage_span_state"),
        ),
        sa.CheckConstraint("recovered_calls >= 0", name=op.f("ck_coverage_span_recovered_calls")),
        sa.CheckConstraint("until_at >= from_at", name=op.f("ck_coverage_span_span")),
        sa.PrimaryKeyConstraint("account_id", "from_at", name=op.f("pk_coverage_span")),
        sqlite_strict=True,
        sqlite_with_rowid=False,
    )
    op.create_table(
        "extension",
        sa.Column("account_id", sa.Text(), nullable=False),
        sa.Column("extension_id", sa.Text(), nullable=False),
        sa.Column("telephony_status", sa.Text(), nullable=False),
        sa.Column("presence_status", sa.Text(), nullable=True),
        sa.Column("user_status", sa.Text(), nullable=True),
        sa.Column("dnd_status", sa.Text(), nullable=True),
        sa.Column("since", sa.Text(), nullable=False),
        sa.Column("updated_at", sa.Text(), nullable=False),
        sa.Column("last_sequence", sa.Integer(), nullable=False),
        sa.Column("epoch", sa.Integer(), nullable=False),
        sa.Column("epoch_started_at", sa.Text(), nullable=False),
        sa.Column("extension_number", sa.Text(), nullable=True),
        sa.Column("name", sa.Text(), nullable=True),
        sa.CheckConstraint(
            "telephony_status = 'NoCall' OR telephony_status = 'Ringing' OR "
            "telephony_status = 'ParkedCall' OR telephony_status = 'OnHold' OR "
            "telephony_status = 'CallConnected'",
            name=op.f("ck_extension_telephony_status"),
        ),
        sa.PrimaryKeyConstraint("account_id", "extension_id", name=op.f("pk_extension")),
        sqlite_strict=True,
        sqlite_with_rowid=False,
    )
    op.create_table(
        "feed_position",
        sa.Column("feed", sa.Text(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("token", sa.Text(), nullable=False),
        sa.Column("at", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("feed", "key", name=op.f("pk_feed_position")),
        sqlite_strict=True,
        sqlite_with_rowid=False,
    )
    op.create_table(
        "observation",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("account_id", sa.Text(), nullable=False),
        sa.Column("received_at", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.CheckConstraint("kind = 'presence' OR kind = 'record'", name=op.f("ck_observation_kind")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_observation")),
        sqlite_strict=True,
    )


def downgrade() -> None:

    op.drop_table("observation")
    op.drop_table("feed_position")
    op.drop_table("extension")
    op.drop_table("coverage_span")
    op.drop_index(op.f("ix_call_transition_account_id_session_id"), table_name="call_transition")
    op.drop_table("call_transition")
    op.drop_index(op.f("ix_call_state_remembered_until"), table_name="call_state")
    op.drop_table("call_state")
    op.drop_table("call_source")
    op.drop_table("call_leg")
    op.drop_index(op.f("ix_call_event_account_id_session_id"), table_name="call_event")
    op.drop_table("call_event")
    op.drop_index(
        "ix_call_unconfirmed",
        table_name="call",
        sqlite_where=sa.text("confirmed_at IS NULL"),
        postgresql_where=sa.text("confirmed_at IS NULL"),
    )
    op.drop_index(op.f("ix_call_to_number"), table_name="call")
    op.drop_index(op.f("ix_call_started_at"), table_name="call")
    op.drop_index(op.f("ix_call_from_number"), table_name="call")
    op.drop_index(op.f("ix_call_disposition_started_at"), table_name="call")
    op.drop_table("call")
