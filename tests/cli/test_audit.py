"""`audit`: how differences look, for people and for scripts. Its comparison is tested with the domain."""

import sqlite3
from contextlib import closing

import pytest

SINCE = ("--since", "2h")


@pytest.fixture
def written(cli, platform, tmp_path):
    """Five calls in the ledger and on the platform; ``written(SQL)`` changes the ledger by hand."""
    sim = platform()
    for n in range(5):
        sim.past_call(f"90000000{n}", minutes=60 + n, number=f"+1415555010{n}")
    assert cli("backfill", *SINCE).code == 0

    def change(sql):
        with closing(sqlite3.connect(tmp_path / "r.db")) as connection, connection:
            connection.execute(sql)

    return change


def test_agreement(cli, written):
    ended = cli("audit", *SINCE)
    assert (ended.code, ended.err) == (0, "")
    assert ended.out == "5 calls compared: the ledger and the platform's call log agree\n"


def test_every_kind_of_difference_is_named(cli, written):
    written("DELETE FROM call WHERE session_id = '900000000'")
    written("UPDATE call SET result = 'Missed' WHERE session_id = '900000001'")
    written("UPDATE call SET duration_ms = duration_ms + 5000 WHERE session_id = '900000002'")
    written("UPDATE call SET from_number = '+14155559999' WHERE session_id = '900000003'")
    written("UPDATE call SET session_id = 'x', telephony_session_id = 'y' WHERE session_id = '900000004'")
    ended = cli("audit", *SINCE, "--json")
    assert ended.code == 1
    assert list(ended.data) == ["since", "until", "compared", "left_out", "summary", "differences"]
    found = {(one["kind"], one["session_id"]): one for one in ended.data["differences"]}
    assert set(found) == {
        ("missing_in_ledger", "900000000"),
        ("result", "900000001"),
        ("duration", "900000002"),
        ("numbers", "900000003"),
        ("missing_in_ledger", "900000004"),
        ("missing_on_platform", "x"),
    }
    assert ended.data["summary"]["missing_in_ledger"] == 2
    duration = found["duration", "900000002"]
    assert (duration["ledger"], duration["platform"]) == (70.0, 65.0)
    assert found["numbers", "900000003"]["platform"] == "+*******0103 to +*******1001"
    out = cli("audit", *SINCE).out
    assert "6 differences: 2 missing in the ledger" in out
    assert "ringledger backfill" in out
    assert "0103" in cli("audit", *SINCE, "--full-numbers").out


def test_nothing_to_compare_is_no_agreement(cli, written):
    ended = cli("audit", "--since", "10m")
    assert ended.code == 0
    assert ended.out.startswith("nothing to compare")


def test_a_call_that_settles_is_left_out_and_counted(cli, written):
    written("DELETE FROM call WHERE session_id = '900000000'")
    written("UPDATE call_state SET phase = 'settling', remembered_until = NULL WHERE session_id = '900000000'")
    ended = cli("audit", *SINCE)
    assert (ended.code, ended.out.count("\n")) == (0, 2)
    assert "4 calls compared" in ended.out
    assert "1 call left out" in ended.out
    assert cli("audit", *SINCE, "--json").data["left_out"] == 1


def test_only_the_period_counts(cli, written):
    written("DELETE FROM call WHERE session_id = '900000004'")
    assert cli("audit", "--since", "63m").code == 0
    assert cli("audit", "--since", "70m").code == 1
    assert cli("audit", "--since", "70m", "--until", "65m").code == 0
