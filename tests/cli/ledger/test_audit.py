"""`audit`: how differences look, for people and for scripts. Its comparison is tested with the domain."""

import sqlite3
from contextlib import closing

import pytest

from ringledger.cli.ledger.audit import GRACE
from ringledger.service.commands.audit import SETTLED_MS

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


def test_records_nobody_can_read_are_no_agreement(cli, platform, tmp_path):
    sim = platform()
    sim.past_call("900000001", minutes=60, number="+14155550101")
    assert cli("backfill", *SINCE).code == 0
    sim.do(lambda: sim.sim.faults.add("poison-record=1"))
    ended = cli("audit", *SINCE)
    assert ended.code == 1
    assert "7 records of the log could not be read: see `ringledger quarantine list`" in ended.out
    assert cli("audit", *SINCE, "--json").data["unreadable"] == 7


def test_every_kind_of_difference_is_named(cli, written):
    written("DELETE FROM call WHERE session_id = '900000000'")
    written("UPDATE call SET result = 'Missed' WHERE session_id = '900000001'")
    written("UPDATE call SET duration_ms = duration_ms + 5000 WHERE session_id = '900000002'")
    written("UPDATE call SET from_number = '+14155559999' WHERE session_id = '900000003'")
    written("UPDATE call SET session_id = 'x', telephony_session_id = 'y' WHERE session_id = '900000004'")
    ended = cli("audit", *SINCE, "--json")
    assert ended.code == 1
    names = ["since", "until", "compared", "left_out", "unreadable", "grace_seconds", "summary", "differences"]
    assert list(ended.data) == names
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
    written(
        "INSERT INTO live_call SELECT account_id, session_id, 1, 'NoCall', direction, extension_id, from_number, "
        "from_name, to_number, to_name, started_at, answered_at, 0, ended_at, telephony_session_id, NULL "
        "FROM call WHERE session_id = '900000000'"
    )
    written("DELETE FROM call WHERE session_id = '900000000'")
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


def test_numbers_alone_are_named_and_do_not_alarm_for_ever(cli, written):
    written("UPDATE call SET to_number = '+16505551099' WHERE session_id = '900000003'")
    ended = cli("audit", *SINCE, "--json")
    assert ended.code == 0
    (one,) = ended.data["differences"]
    assert (one["kind"], one["mendable"], one["lasting"]) == ("numbers", False, True)
    out = cli("audit", *SINCE).out
    assert "1 difference is of numbers" in out
    assert "ringledger backfill" not in out
    written("UPDATE call SET result = 'Missed' WHERE session_id = '900000001'")
    assert cli("audit", *SINCE).code == 1


def test_a_number_or_an_extension_alone(cli, written):
    written("UPDATE call SET result = 'Missed'")

    def sessions(*words):
        return [one["session_id"] for one in cli("audit", *SINCE, *words, "--json").data["differences"]]

    assert sessions("--number", "(415) 555-0103") == ["900000003"]
    assert sorted(sessions("--number", "+16505551001")) == [f"90000000{n}" for n in range(5)]
    assert len(sessions("--extension", "2001")) == 5
    assert sessions("--number", "withheld") == []
    assert cli("audit", *SINCE, "--number", "+14155550109").out.startswith("nothing to compare")
    assert cli("audit", *SINCE, "--extension", "999").code == 64


def test_what_has_only_just_ended_is_left_out_as_asked(cli, written):
    assert SETTLED_MS == GRACE * 1000
    document = cli("audit", *SINCE, "--grace", str(61 * 60 + 30), "--json").data
    assert (document["compared"], document["left_out"], document["grace_seconds"]) == (2, 3, 3690.0)
    assert (
        "3 calls left out: not finished yet, or ended less than 3690 s ago"
        in cli("audit", *SINCE, "--grace", "3690").out
    )
    assert cli("audit", *SINCE, "--grace", "1e30").code == 64
