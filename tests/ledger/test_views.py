"""The public names: contract as data, compared with what a fresh database really has."""

import sqlite3
from contextlib import closing

import pytest

from ringledger.ledger.views import VIEWS

CALLS = """account_id session_id telephony_session_id direction internal queue_call extension_id from_number
from_name to_number to_name started_at answered_at ended_at end_estimated ring_seconds talk_seconds hold_seconds
duration_seconds disposition result result_source end_source leg_count events_accepted events_ignored part_of
confirmed_at revision updated_at"""

CONTRACT = {
    "calls": CALLS,
    "all_calls": CALLS,
    "missed_calls": CALLS,
    "unconfirmed_calls": CALLS,
    "call_legs": """account_id session_id leg_id extension_id direction from_number to_number started_at answered_at
        ended_at status termination_type source""",
    "active_calls": """account_id session_id status direction extension_id from_number from_name to_number to_name
        started_at answered_at suspect last_seen_at""",
    "call_transitions": "account_id session_id at from_status to_status sequence source",
    "call_events": """account_id session_id at received_at extension_id leg_id status sequence source outcome
        reason""",
    "call_sources": """account_id session_id source record_id direction started_at ended_at duration_seconds result
        seen_at""",
    "coverage": "account_id from_at until_at state cause recovered_calls",
    "extension_presence": """account_id extension_id extension_number name telephony_status presence_status
        user_status dnd_status since updated_at""",
    "daily_calls": """account_id day direction calls answered missed voicemail unconfirmed ring_seconds talk_seconds
        hold_seconds""",
}


@pytest.fixture
def reader(url, path):
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as connection:
        connection.execute("PRAGMA trusted_schema = OFF")
        yield connection


def test_no_view_is_missing_and_none_is_new():
    assert VIEWS.keys() == CONTRACT.keys()


@pytest.mark.parametrize("view", CONTRACT)
def test_columns_are_the_contracts(reader, view):
    cursor = reader.execute(f"SELECT * FROM {view}")
    assert [column[0] for column in cursor.description] == CONTRACT[view].split()


@pytest.mark.parametrize("view", ["calls", "all_calls", "missed_calls", "unconfirmed_calls"])
def test_a_period_and_a_number_are_found_by_an_index(reader, view):
    for condition in ("started_at > '2026'", "from_number = '+1'", "to_number = '+1'"):
        plan = reader.execute(f"EXPLAIN QUERY PLAN SELECT * FROM {view} WHERE {condition}").fetchall()
        assert "USING INDEX" in plan[0][3], (condition, plan)


def test_a_month_of_daily_calls_is_answered_by_its_index_alone(url, path):
    with closing(sqlite3.connect(path)) as connection:
        question = "SELECT * FROM daily_calls WHERE day >= '2026-03-01' AND day < '2026-04-01'"
        plan = " ".join(row[3] for row in connection.execute(f"EXPLAIN QUERY PLAN {question}"))
    assert "SEARCH call USING COVERING INDEX ix_call_daily (<expr>>? AND <expr><?)" in plan
    assert "TEMP B-TREE" not in plan
