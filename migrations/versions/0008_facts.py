# ruff: noqa: S608 - nothing but the constants of this file goes into these texts
"""A call is what its facts say: one table of facts instead of states, observations and journal entries.

Every row stays. What was remembered of open, settling and guarded calls becomes a fact of its own (a summary); journal
entries become rows of ``fact`` that are shown and not folded. Bounded memory whatever the size of the database.

Revision ID: 0008
Revises: 0007
Create Date: 2026-11-28
"""

from collections.abc import Iterator
from typing import Any

import sqlalchemy as sa
from alembic import op
from msgspec.json import decode

from ringledger.domain.facts import StatusChange
from ringledger.domain.observation import CallKey, Source
from ringledger.domain.status import TelephonyStatus
from ringledger.ledger.schema.older import summary_of_state
from ringledger.ledger.times import to_ms, to_ms_or_none
from ringledger.ledger.write.encode import fact_rows

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

#: Calls moved in one step.
STEP = 500
_OURS = "account_id = :account AND session_id = :session"
_FACT = (
    "account_id", "session_id", "kind", "at", "received_at", "extension_id", "leg_id", "status", "sequence", "source",
    "reason", "body",
)  # fmt: skip
_STATUSES = ("NoCall", "Ringing", "ParkedCall", "OnHold", "CallConnected")
_DIRECTIONS = ("Inbound", "Outbound")


def upgrade() -> None:
    _make_tables()
    op.execute(
        "INSERT INTO fact (account_id, session_id, kind, at, received_at, extension_id, leg_id, status, sequence, "
        "source, reason) SELECT account_id, session_id, 'event', at, received_at, extension_id, leg_id, status, "
        "sequence, source, reason FROM call_event ORDER BY id"
    )
    _move_states()
    for name in ("call_state", "call_event", "observation"):
        op.drop_table(name)


def downgrade() -> None:
    raise NotImplementedError("the copy made before the upgrade is what to go back to")


# -- tables --------------------------------------------------------------------------------------------------------


def _one_of(table: str, column: str, words: tuple[str, ...]) -> sa.CheckConstraint:
    return sa.CheckConstraint(" OR ".join(f"{column} = '{word}'" for word in words), name=op.f(f"ck_{table}_{column}"))


def _truth(table: str, column: str) -> sa.CheckConstraint:
    return sa.CheckConstraint(f"{column} = 0 OR {column} = 1", name=op.f(f"ck_{table}_{column}"))


def _text(*names: str) -> Iterator[sa.Column[Any]]:
    for name in names:
        yield sa.Column(name.removesuffix("?"), sa.Text(), nullable=name.endswith("?"))


def _make_tables() -> None:
    op.create_table(
        "fact",
        sa.Column("id", sa.Integer(), nullable=False),
        *_text("account_id", "session_id?", "kind", "at", "received_at", "extension_id?", "leg_id?", "status?"),
        sa.Column("sequence", sa.Integer(), nullable=True),
        *_text("source", "reason?", "body?"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_fact")),
        sqlite_strict=True,
    )
    op.create_index(op.f("ix_fact_account_id_session_id"), "fact", ["account_id", "session_id"])
    op.create_table(
        "live_call",
        *_text("account_id", "session_id"),
        sa.Column("settling", sa.Integer(), nullable=False),
        *_text("status", "direction?", "extension_id?", "from_number?", "from_name?", "to_number?", "to_name?"),
        *_text("started_at", "answered_at?"),
        sa.Column("suspect", sa.Integer(), nullable=False),
        *_text("last_seen_at", "telephony_session_id?", "part_of?"),
        _one_of("live_call", "status", _STATUSES),
        _one_of("live_call", "direction", _DIRECTIONS),
        _truth("live_call", "settling"),
        _truth("live_call", "suspect"),
        sa.PrimaryKeyConstraint("account_id", "session_id", name=op.f("pk_live_call")),
        sqlite_strict=True,
        sqlite_with_rowid=False,
    )
    op.create_table(
        "publication",
        *_text("account_id"),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("account_id", name=op.f("pk_publication")),
        sqlite_strict=True,
        sqlite_with_rowid=False,
    )


# -- what was remembered of calls ----------------------------------------------------------------------------------


def _move_states() -> None:
    """Open and settling calls are live; of these and of those the guard still knew, all that was known is a fact."""
    op.execute(
        "INSERT INTO live_call (account_id, session_id, settling, status, direction, extension_id, from_number, "
        "from_name, to_number, to_name, started_at, answered_at, suspect, last_seen_at) "
        "SELECT account_id, session_id, CASE WHEN phase = 'settling' THEN 1 ELSE 0 END, status, direction, "
        "extension_id, from_number, from_name, to_number, to_name, started_at, answered_at, suspect, last_seen_at "
        "FROM call_state WHERE remembered_until IS NULL"
    )
    connection, last = op.get_bind(), ("", "")
    some = sa.text(
        "SELECT account_id, session_id, remembered_until, last_seen_at, state FROM call_state "
        "WHERE (account_id, session_id) > (:account, :session) ORDER BY account_id, session_id LIMIT :step"
    )
    while rows := connection.execute(some, {"account": last[0], "session": last[1], "step": STEP}).all():
        for row in rows:
            _move_state(connection, row)
        last = rows[-1].account_id, rows[-1].session_id


def _move_state(connection: sa.Connection, row: Any) -> None:
    ours = {"account": row.account_id, "session": row.session_id}
    told = connection.execute(sa.text(f"SELECT confirmed_at FROM call WHERE {_OURS}"), ours).scalar()
    history = [
        StatusChange(to_ms(one.at), TelephonyStatus(one.to_status), Source(one.source), one.sequence)
        for one in connection.execute(
            sa.text(f"SELECT at, to_status, sequence, source FROM call_transition WHERE {_OURS} ORDER BY id"), ours
        )
    ]
    history.sort(key=lambda change: change.at)  # late events had been added at the end
    summary = summary_of_state(row.state, history, to_ms_or_none(told))
    if not summary.legs:
        return
    (values,) = fact_rows(CallKey(row.account_id, row.session_id), summary, row.last_seen_at)
    connection.execute(
        sa.text(f"INSERT INTO fact ({', '.join(_FACT)}) VALUES ({', '.join(f':{name}' for name in _FACT)})"),
        dict(zip(_FACT, values, strict=True)),
    )
    if row.remembered_until is None:
        names = {"telephony": summary.telephony_session_id, "part_of": decode(row.state).get("part_of")}
        connection.execute(
            sa.text(f"UPDATE live_call SET telephony_session_id = :telephony, part_of = :part_of WHERE {_OURS}"),
            ours | names,
        )
