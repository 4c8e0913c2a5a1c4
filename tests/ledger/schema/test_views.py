"""The public names: contract as data, compared with what a fresh database really has."""

import random
import sqlite3
from collections import Counter
from contextlib import closing
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from ringledger.ledger.schema.migrate import upgrade
from ringledger.ledger.schema.views import VIEWS
from tests import office

CALLS = """account_id session_id telephony_session_id direction internal queue_call extension_id from_number
from_name to_number to_name started_at answered_at ended_at end_estimated ring_seconds talk_seconds hold_seconds
duration_seconds disposition result result_source end_source leg_count events_accepted events_ignored part_of
confirmed_at revision updated_at answer_estimated extension_number extension_name"""

CONTRACT = {
    "calls": CALLS,
    "all_calls": CALLS,
    "missed_calls": CALLS,
    "unconfirmed_calls": CALLS,
    "call_legs": """account_id session_id leg_id extension_id direction from_number to_number started_at answered_at
        ended_at status termination_type source extension_number extension_name""",
    "active_calls": """account_id session_id status direction extension_id from_number from_name to_number to_name
        started_at answered_at suspect last_seen_at extension_number extension_name""",
    "call_transitions": "account_id session_id at from_status to_status sequence source",
    "call_events": """account_id session_id at received_at extension_id leg_id status sequence source outcome
        reason""",
    "call_sources": """account_id session_id source record_id direction started_at ended_at duration_seconds result
        seen_at""",
    "coverage": "account_id from_at until_at state cause recovered_calls",
    "extension_presence": """account_id extension_id extension_number name telephony_status presence_status
        user_status dnd_status since updated_at""",
    "daily_calls": """account_id day direction calls answered missed voicemail unconfirmed ring_seconds talk_seconds
        hold_seconds time_zone""",
    "quarantine": "id account_id received_at source reason body kind",
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


def call(number, started):
    return office.call(random.Random(number), number, office.ms_of(started)) | {"part_of": None}


@pytest.mark.parametrize(
    ("zone", "started", "day"),
    [
        ("Europe/Berlin", "2026-03-28T22:59:59.999Z", "2026-03-28"),
        ("Europe/Berlin", "2026-03-28T23:00:00.000Z", "2026-03-29"),
        ("Europe/Berlin", "2026-03-29T21:59:59.999Z", "2026-03-29"),
        ("Europe/Berlin", "2026-03-29T22:00:00.000Z", "2026-03-30"),
        ("America/New_York", "2026-11-01T03:59:59.999Z", "2026-10-31"),
        ("America/New_York", "2026-11-02T04:59:59.999Z", "2026-11-01"),
        ("Asia/Kathmandu", "2026-11-02T18:15:00.000Z", "2026-11-03"),
    ],
)
def test_days_are_those_of_the_reports_zone(tmp_path, zone, started, day):
    path = tmp_path / "zoned.db"
    upgrade(f"sqlite+aiosqlite:///{path}", zone=ZoneInfo(zone))
    office.insert(path, "call", [call(1, datetime.fromisoformat(started))])
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("SELECT day, time_zone FROM daily_calls").fetchall() == [(day, zone)]


def test_every_day_of_two_years_in_a_zone_is_pythons(tmp_path):
    zone, path = ZoneInfo("Australia/Lord_Howe"), tmp_path / "zoned.db"
    upgrade(f"sqlite+aiosqlite:///{path}", zone=zone)
    start = datetime(2025, 1, 1, 0, 20, tzinfo=UTC)
    moments = [start + timedelta(minutes=400 * n) for n in range(2600)]
    office.insert(path, "call", [call(n, at) for n, at in enumerate(moments)])
    with closing(sqlite3.connect(path)) as connection:
        found = dict(connection.execute("SELECT day, sum(calls) FROM daily_calls GROUP BY day"))
    assert found == Counter(at.astimezone(zone).strftime("%Y-%m-%d") for at in moments)


def test_another_zone_makes_the_view_anew_and_the_first_one_brings_it_back(url, path):
    def zone():
        with closing(sqlite3.connect(path)) as connection:
            return connection.execute("SELECT sql FROM sqlite_master WHERE name = 'daily_calls'").fetchone()[0]

    before = zone()
    upgrade(url, zone=ZoneInfo("Europe/Berlin"))
    assert "'Europe/Berlin' AS time_zone" in zone()
    upgrade(url)
    assert zone() == before


def test_an_extension_has_its_number_and_name(url, path):
    at = datetime(2026, 3, 2, 9, tzinfo=UTC)
    office.insert(path, "call", [call(1, at) | {"extension_id": "2001"}, call(2, at) | {"extension_id": "9999"}])
    office.insert(path, "extension", [office.extension(0, "NoCall", 0)])
    question = "SELECT extension_id, extension_number, extension_name FROM calls ORDER BY extension_id"
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute(question).fetchall() == [("2001", "101", "Ann Lee"), ("9999", None, None)]
        plan = connection.execute("EXPLAIN QUERY PLAN SELECT count(*), sum(talk_seconds) FROM calls").fetchall()
    assert "extension" not in str(plan)
