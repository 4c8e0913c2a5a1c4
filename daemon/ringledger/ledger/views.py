"""The views: what people query (contract 5). Names and columns are public and stable; things are only ever added.

Portable SQL: no function here is SQLite's own. ``VIEWS`` is in the order of creation; the migrations drop all views
before a revision and create these after it, so no revision ever mentions one. The same goes for ``INDEXES``: they are
on expressions of a view, which a revision that rebuilds a table would lose.
"""

# ruff: noqa: S608 - nothing but the constants of this file goes into these texts

from typing import Final

_CALL_COLUMNS: Final = """
    account_id, session_id, telephony_session_id, direction, internal, queue_call, extension_id,
    from_number, from_name, to_number, to_name, started_at, answered_at, ended_at, end_estimated,
    ring_ms / 1000.0 AS ring_seconds, talk_ms / 1000.0 AS talk_seconds, hold_ms / 1000.0 AS hold_seconds,
    duration_ms / 1000.0 AS duration_seconds, disposition, result, result_source, end_source, leg_count,
    events_accepted, events_ignored, part_of, confirmed_at, revision, updated_at"""

VIEWS: Final[dict[str, str]] = {
    "all_calls": f"SELECT {_CALL_COLUMNS}\n  FROM call",
    "calls": f"SELECT {_CALL_COLUMNS}\n  FROM call WHERE part_of IS NULL",
    "call_legs": """SELECT
    account_id, session_id, leg_id, extension_id, direction, from_number, to_number, started_at, answered_at,
    ended_at, status, termination_type, source
  FROM call_leg""",
    "active_calls": """SELECT
    account_id, session_id, status, direction, extension_id, from_number, from_name, to_number, to_name,
    started_at, answered_at, suspect, last_seen_at
  FROM call_state WHERE remembered_until IS NULL AND phase = 'open'""",
    "call_transitions": """SELECT
    account_id, session_id, at, from_status, to_status, sequence, source
  FROM call_transition""",
    "call_events": """SELECT
    account_id, session_id, at, received_at, extension_id, leg_id, status, sequence, source,
    CASE WHEN reason IS NULL THEN 'accepted' ELSE 'ignored' END AS outcome, reason
  FROM call_event""",
    "call_sources": """SELECT
    account_id, session_id, source, record_id, direction, started_at, ended_at,
    duration_ms / 1000.0 AS duration_seconds, result, seen_at
  FROM call_source""",
    "coverage": """SELECT
    account_id, from_at, until_at, state, cause, recovered_calls
  FROM coverage_span""",
    "extension_presence": """SELECT
    account_id, extension_id, extension_number, name, telephony_status, presence_status, user_status, dnd_status,
    NULLIF(since, '1970-01-01T00:00:00.000Z') AS since, NULLIF(updated_at, '1970-01-01T00:00:00.000Z') AS updated_at
  FROM extension""",
    "daily_calls": """SELECT
    account_id, substr(started_at, 1, 10) AS day, direction, count(*) AS calls,
    sum(CASE WHEN disposition = 'answered' THEN 1 ELSE 0 END) AS answered,
    sum(CASE WHEN disposition = 'missed' THEN 1 ELSE 0 END) AS missed,
    sum(CASE WHEN disposition = 'voicemail' THEN 1 ELSE 0 END) AS voicemail,
    sum(CASE WHEN confirmed_at IS NULL THEN 1 ELSE 0 END) AS unconfirmed,
    sum(ring_ms) / 1000.0 AS ring_seconds, sum(talk_ms) / 1000.0 AS talk_seconds,
    sum(hold_ms) / 1000.0 AS hold_seconds
  FROM call WHERE part_of IS NULL
  GROUP BY account_id, substr(started_at, 1, 10), direction""",
    "missed_calls": f"SELECT {_CALL_COLUMNS}\n  FROM call WHERE part_of IS NULL AND disposition = 'missed'",
    "unconfirmed_calls": f"SELECT {_CALL_COLUMNS}\n  FROM call WHERE part_of IS NULL AND confirmed_at IS NULL",
}

#: All that `daily_calls` adds up: a month of it is read without visiting a call. SQLite before 3.41 is content with an
#: index alone only if that has each column, so `started_at` stands beside the day made of it, and `part_of`. It stands
#: before what calls differ in, so that new calls come to the ends of few pages.
INDEXES: Final[dict[str, str]] = {
    "ix_call_daily": """CREATE INDEX ix_call_daily ON call (
    substr(started_at, 1, 10), account_id, direction, started_at, disposition, confirmed_at, ring_ms, talk_ms, hold_ms,
    part_of)""",
}


def create_view(name: str) -> str:
    """The statement that creates the view."""
    return f"CREATE VIEW {name} AS\n{VIEWS[name]}"
