"""The views: what people query (contract 5). Names and columns are public and stable; things are only ever added.

Portable SQL but for two things, which :func:`create_view` says in each database's words: seconds as a number with a
point, and the day in a zone other than UTC. ``VIEWS``
is in the order of creation; the migrations drop all views before a revision and create these after it, so no revision
ever mentions one. The same goes for ``INDEXES``: they are on expressions of a view, which a revision that rebuilds a
table would lose.
"""

# ruff: noqa: S608 - nothing but the constants of this file goes into these texts

from collections.abc import Sequence
from datetime import UTC, tzinfo
from typing import Final

from ringledger.ledger.read.periods import offsets, zone_name
from ringledger.ledger.schema.calls import SHOWN, who
from ringledger.ledger.times import to_text


def _who(of: str) -> str:
    """The columns that say who the extension of a row is."""
    return f"{who(of, 'extension_number')} AS extension_number,\n    {who(of, 'name')} AS extension_name"


#: When a call was last heard of: a notification that only repeats what is known writes no row but its fact.
_LAST_SEEN_AT: Final = """coalesce((SELECT max(at) FROM fact
      WHERE fact.account_id = live_call.account_id AND fact.session_id = live_call.session_id
        AND fact.kind = 'event' AND fact.status IS NOT NULL AND fact.at > live_call.last_seen_at), last_seen_at)"""
_CALL_COLUMNS: Final = "\n    " + ",\n    ".join(column.expression for column in SHOWN)


def _daily_calls(day: str, zone: str) -> str:
    return f"""SELECT
    account_id, {day} AS day, direction, count(*) AS calls,
    sum(CASE WHEN disposition = 'answered' THEN 1 ELSE 0 END) AS answered,
    sum(CASE WHEN disposition = 'missed' THEN 1 ELSE 0 END) AS missed,
    sum(CASE WHEN disposition = 'voicemail' THEN 1 ELSE 0 END) AS voicemail,
    sum(CASE WHEN confirmed_at IS NULL THEN 1 ELSE 0 END) AS unconfirmed,
    sum(ring_ms) / 1000.0 AS ring_seconds, sum(talk_ms) / 1000.0 AS talk_seconds,
    sum(hold_ms) / 1000.0 AS hold_seconds, '{zone}' AS time_zone
  FROM call WHERE part_of IS NULL
  GROUP BY account_id, {day}, direction"""


VIEWS: Final[dict[str, str]] = {
    "all_calls": f"SELECT {_CALL_COLUMNS}\n  FROM call",
    "calls": f"SELECT {_CALL_COLUMNS}\n  FROM call WHERE part_of IS NULL",
    "call_legs": f"""SELECT
    account_id, session_id, leg_id, extension_id, direction, from_number, to_number, started_at, answered_at,
    ended_at, status, termination_type, source,
    {_who("call_leg")}
  FROM call_leg""",
    "active_calls": f"""SELECT
    account_id, session_id, status, direction, extension_id, from_number, from_name, to_number, to_name,
    started_at, answered_at, suspect, {_LAST_SEEN_AT} AS last_seen_at,
    {_who("live_call")}
  FROM live_call WHERE settling = 0""",
    "call_transitions": """SELECT
    account_id, session_id, at, from_status, to_status, sequence, source
  FROM call_transition""",
    "call_events": """SELECT
    account_id, session_id, at, received_at, extension_id, leg_id, status, sequence, source,
    CASE WHEN reason IS NULL THEN 'accepted' ELSE 'ignored' END AS outcome, reason
  FROM fact WHERE status IS NOT NULL""",
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
    "quarantine": """SELECT
    id, account_id, received_at, source, reason, body, kind
  FROM quarantined""",
    "daily_calls": _daily_calls("substr(started_at, 1, 10)", "UTC"),
    "missed_calls": f"SELECT {_CALL_COLUMNS}\n  FROM call WHERE part_of IS NULL AND disposition = 'missed'",
    "unconfirmed_calls": f"SELECT {_CALL_COLUMNS}\n  FROM call WHERE part_of IS NULL AND confirmed_at IS NULL",
}

#: All that `daily_calls` and charts add up, in the order of their groups: a month is read without visiting a call.
#: SQLite before 3.41 is content with an index alone only if that has each column, so `started_at` stands beside the day
#: and the hour made of it, and `part_of`. What calls differ in stands last, so that new calls come to the ends of few
#: pages.
INDEXES: Final[dict[str, str]] = {
    "ix_call_daily": """CREATE INDEX ix_call_daily ON call (
    substr(started_at, 1, 10), account_id, direction, substr(started_at, 1, 13), extension_id, started_at, disposition,
    confirmed_at, ring_ms, talk_ms, hold_ms, part_of)""",
}


def create_view(name: str, zone: tzinfo = UTC, dialect: str = "sqlite") -> str:
    """The statement that creates the view. ``zone``: the report's, whose days `daily_calls` counts."""
    text = VIEWS[name]
    if name == "daily_calls" and zone is not UTC:
        day = _day_in(zone) if dialect == "sqlite" else _day_of_server(zone)
        text = _daily_calls(day, zone_name(zone))
    if dialect == "postgresql":  # which divides a whole number by a decimal one to a decimal one
        text = text.replace(" / 1000.0", "::double precision / 1000")
    return f"CREATE VIEW {name} AS\n{text}"


def _day_of_server(zone: tzinfo) -> str:
    """The day of ``started_at`` in a zone, in PostgreSQL's words: it knows zones."""
    return f"to_char(started_at::timestamptz AT TIME ZONE '{zone_name(zone)}', 'YYYY-MM-DD')"


def _day_in(zone: tzinfo) -> str:
    """The day of ``started_at`` in a zone, in SQLite's words.

    SQLite knows none, so the view tells it when the zone's distance from UTC changes, halving what is left to compare.
    """
    offset = _choice(offsets(zone))
    return f"strftime('%Y-%m-%d', started_at, {offset})"


def _choice(spans: Sequence[tuple[int, int]]) -> str:
    if len(spans) == 1:
        return f"'{spans[0][1]:+d} seconds'"
    half = len(spans) // 2
    early, late = _choice(spans[:half]), _choice(spans[half:])
    if early == late:
        return early
    return f"CASE WHEN started_at < '{to_text(spans[half][0])}' THEN {early} ELSE {late} END"
