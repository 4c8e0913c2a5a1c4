import csv
import io
import json
import shutil
import sqlite3
import time
from contextlib import closing

import pytest
import time_machine

from ringledger.domain.coverage import FIRST, CoverageSpan, CoverageState
from ringledger.ledger.schema.calls import CALL_COLUMNS
from ringledger.ledger.times import to_text
from tests import office


def test_json_has_the_columns_of_the_view_newest_first(cli, database):
    rows = cli("calls", "--json").data
    with sqlite3.connect(database) as connection:
        columns = [row[1] for row in connection.execute("PRAGMA table_info(calls)")]
    connection.close()
    assert list(rows[0]) == columns == list(CALL_COLUMNS)
    assert [row["session_id"] for row in rows] == ["915021981016", "67029198021"]


def test_the_tutorials_flows(cli, database):
    newest, oldest = cli("calls", "--json").data
    assert (oldest["disposition"], oldest["ring_seconds"], oldest["talk_seconds"]) == ("answered", 31.554, 15.141)
    assert (newest["direction"], newest["ring_seconds"], newest["talk_seconds"]) == ("Outbound", 13.232, 27.222)


def test_numbers_are_masked_unless_asked_for(cli, clean, database):
    assert cli("calls", "--json").data[1]["from_number"] == "+*******0863"
    assert "13027430863" not in cli("calls").out + cli("calls", "--csv").out
    assert cli("calls", "--json", "--full-numbers").data[1]["from_number"] == "+13027430863"
    clean.setenv("RINGLEDGER_LOG__NUMBERS", "full")
    assert "+13027430863" in cli("calls").out


def test_filters(cli, database):
    def sessions(*arguments):
        return [row["session_id"] for row in cli("calls", "--json", *arguments).data]

    assert sessions("--direction", "in") == ["67029198021"]
    assert sessions("--direction", "out") == ["915021981016"]
    assert sessions("--disposition", "missed") == []
    assert sessions("--number", "16502008440") == sessions("--number", "+16502008440") == ["915021981016"]
    assert sessions("--extension", "607457016") == ["67029198021"]
    assert sessions("--since", "2015-04-12T00:00Z") == ["915021981016"]
    assert sessions("--until", "2015-04-12T00:00Z") == ["67029198021"]
    assert len(sessions("--unconfirmed")) == 2
    assert sessions("--limit", "1") == ["915021981016"]
    assert sessions("--since", "today") == []


def test_csv_has_a_header_even_without_a_call(cli, database):
    rows = list(csv.DictReader(io.StringIO(cli("calls", "--csv").out)))
    assert [row["session_id"] for row in rows] == ["915021981016", "67029198021"]
    assert rows[0]["result"] == ""
    assert cli("calls", "--csv", "--since", "today").out == ",".join(CALL_COLUMNS) + "\n"


def test_the_table_says_what_is_not_confirmed(cli, database):
    out = cli("calls").out
    assert "answered ?" in out
    assert "67029198021" in out
    assert cli("calls", "--since", "today").out == "no call in this time\n"
    assert cli("calls", "--since", "today", "--direction", "in").out == "no such call in this time\n"
    assert cli("calls", "--disposition", "busy").out == "no such call\n"


def test_the_longest_come_first(cli, database):
    rows = cli("calls", "--json").data
    for what in ("ring", "talk", "hold", "duration"):
        wanted = sorted((row[f"{what}_seconds"] for row in rows), reverse=True)
        longest = cli("calls", "--longest", what, "--json").data
        assert [row[f"{what}_seconds"] for row in longest] == wanted
        assert cli("calls", "--longest", what, "--limit", "1", "--json").data == longest[:1]
    assert [row["direction"] for row in cli("calls", "--longest", "ring", "--direction", "in", "--json").data] == [
        "Inbound"
    ]
    assert "'wait' is none of ring, talk, hold, duration" in cli("calls", "--longest", "wait").err


def test_what_was_asked_for_by_its_length_is_shown_on_a_narrow_terminal(cli, database, clean):
    clean.setenv("FORCE_COLOR", "1")
    clean.setenv("COLUMNS", "74")
    assert "ring" not in cli("calls").out.splitlines()[0]
    for what in ("ring", "talk", "hold", "duration"):
        assert what in cli("calls", "--longest", what).out.splitlines()[0]


def test_a_call_nobody_saw_ring_is_not_among_the_longest(cli, database, tmp_path, clean):
    copy = tmp_path / "unseen.db"
    shutil.copyfile(database, copy)
    with closing(sqlite3.connect(copy)) as connection, connection:
        connection.execute("UPDATE call SET ring_ms = NULL WHERE session_id = '67029198021'")
    clean.setenv("RINGLEDGER_DATABASE__URL", f"sqlite+aiosqlite:///{copy}")
    assert [row["session_id"] for row in cli("calls", "--longest", "ring", "--json").data] == ["915021981016"]
    line = "no such call whose ring time is known\n"
    assert cli("calls", "--longest", "ring", "--number", "+13027430863").out == line


@pytest.mark.parametrize("command", [("calls",), ("stats",), ("export", "--format", "csv"), ("calls", "--limit", "3")])
@pytest.mark.parametrize("digits", ["0003", "555", "5550003"])
def test_the_last_digits_of_a_number_are_none(cli, database, command, digits):
    ended = cli(*command, "--number", digits)
    assert (ended.code, ended.out) == (64, "")
    assert f"--number {digits}: no extension has this number and no call was with it; write the whole" in ended.err


def test_a_short_number_that_is_known_is_one(cli, database, tmp_path, clean):
    copy = tmp_path / "short.db"
    shutil.copyfile(database, copy)
    with closing(sqlite3.connect(copy)) as connection, connection:
        connection.execute("UPDATE call SET to_number = '911' WHERE session_id = '67029198021'")
        connection.execute("UPDATE extension SET extension_number = '0003'")
    clean.setenv("RINGLEDGER_DATABASE__URL", f"sqlite+aiosqlite:///{copy}")
    assert [row["session_id"] for row in cli("calls", "--number", "911", "--json").data] == ["67029198021"]
    assert (cli("calls", "--number", "0003").out, cli("calls", "--number", "0003").code) == ("no such call\n", 0)


@pytest.mark.parametrize("command", [("calls",), ("stats",), ("export", "--format", "csv")])
def test_what_is_still_to_be_read_is_told(cli, database, tmp_path, clean, command):
    now = time.time_ns() // 1_000_000
    copy = tmp_path / "new.db"
    shutil.copyfile(database, copy)
    url = f"sqlite+aiosqlite:///{copy}"
    clean.setenv("RINGLEDGER_DATABASE__URL", url)
    assert cli(*command).err == "", "the hole of 2026-03-02 is too old to be read"
    hole = CoverageSpan("1001", now - 7 * 86_400_000 + 60_000, now - 600_000, CoverageState.BLIND, FIRST)
    office.cover(url, [hole, CoverageSpan("1001", now - 600_000, now, CoverageState.LIVE)], now)
    ended = cli(*command)
    assert (ended.code, ended.err.count("\n")) == (0, 1)
    assert ended.err.startswith("ringledger: not complete yet: the daemon has still to read the platform's log for ")
    assert cli(*command, "--since", to_text(now - 300_000)).err == ""
    if command == ("calls",):
        assert json.loads(cli("calls", "--json").err)["note"].startswith("not complete yet")


@pytest.mark.parametrize("command", [("calls",), ("stats",), ("export", "--format", "csv")])
@pytest.mark.parametrize(
    ("option", "value", "reason"),
    [
        ("--extension", "999", "--extension 999: neither the directory nor any call has such an extension"),
        ("--extension", "9" * 40, "neither the directory nor any call"),
        ("--extension", "", "--extension is empty"),
        ("--number", "abc", "--number 'abc' is no telephone number"),
        ("--direction", "up", "--direction 'up' is no direction"),
        ("--since", "2099-01-01", "--since 2099-01-01 lies in the future"),
        ("--since", "9" * 30, "is no time"),
        ("--until", "", "--until is empty"),
    ],
)
def test_what_can_match_nothing_is_a_usage_error_on_every_command(cli, database, command, option, value, reason):
    ended = cli(*command, option, value)
    assert (ended.code, ended.out) == (64, "")
    assert reason in ended.err
    assert len(ended.err.splitlines()) == 1


def test_a_limit_beyond_the_database_is_a_usage_error(cli, database):
    assert cli("calls", "--limit", "9" * 20).code == 64


def test_now_is_the_simulated_platforms_whose_clock_runs_ahead(cli, clean, database):
    with time_machine.travel("2026-03-01T00:00:00Z", tick=False):  # its account of the feed ends on 2026-03-02, 11:00
        assert "lies in the future" in cli("calls", "--since", "2026-03-02T10:00").err
        clean.setenv("RINGLEDGER_PLATFORM__SERVER_URL", "http://127.0.0.1:1")
        assert cli("calls", "--since", "2026-03-02T10:00").code == 0
        assert cli("coverage", "--since", "1h", "--json").data[0]["from_at"] == "2026-03-02T10:00:00.000Z"
        assert cli("calls", "--since", "2026-03-02T11:01").code == 64
