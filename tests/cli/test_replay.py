import json
import sqlite3
from contextlib import closing

import pytest

from ringledger.ledger.backup import backup

from .conftest import deliveries


@pytest.fixture
def recording(tmp_path):
    file = tmp_path / "events.jsonl"
    file.write_text("".join(json.dumps(one.envelope) + "\n" for one in deliveries()) + "\n")
    return file


def test_a_file_gives_the_calls_it_tells_of(cli, recording):
    rows = cli("replay", recording, "--json").data
    assert [row["session_id"] for row in rows] == ["915021981016", "67029198021"]
    assert (rows[1]["ring_seconds"], rows[1]["talk_seconds"], rows[1]["leg_count"]) == (31.554, 15.141, 2)
    assert "67029198021" in cli("replay", recording).out


def test_the_journal_comes_out_as_it_was_recorded(cli, database):
    ended = cli("replay", "--journal", "--diff")
    assert (ended.code, ended.err) == (0, "")
    assert "2 calls replayed, 0 different" in ended.out


def test_a_row_that_differs_is_shown_and_1(cli, clean, database, tmp_path):
    copy = backup(database, tmp_path / "copy.db")
    with closing(sqlite3.connect(copy)) as connection, connection:
        connection.execute("UPDATE call SET talk_ms = 1 WHERE session_id = '67029198021'")
    clean.setenv("RINGLEDGER_DATABASE__URL", f"sqlite+aiosqlite:///{copy}")
    ended = cli("replay", "--journal", "--diff", "--json")
    assert ended.code == 1
    assert ended.data == [
        {"session_id": "67029198021", "column": "talk_seconds", "recorded": 0.001, "replayed": 15.141}
    ]
    assert "talk_seconds is 0.001, replayed 15.141" in cli("replay", "--journal", "--diff").out


def test_the_real_database_is_not_written_to(cli, database):
    before = database.read_bytes()
    cli("replay", "--journal")
    assert database.read_bytes() == before


@pytest.mark.parametrize("line", [b'{"body": 5}', b'{"body": {"cut', b"\xff\xfe"])
@pytest.mark.parametrize("diff", [(), ("--diff",)])
def test_a_line_that_is_no_notification_is_named_and_what_came_before_it_is_shown(cli, recording, database, line, diff):
    number = len(recording.read_bytes().splitlines()) + 1
    with recording.open("ab") as file:
        file.write(line + b"\n")
    ended = cli("replay", recording, *diff)
    assert ended.code == 64
    assert f"{recording}:{number}: not a presence notification" in ended.err
    assert ended.err.count("\n") == 1
    assert ("2 calls replayed" if diff else "67029198021") in ended.out


def test_a_missing_file_is_74(cli, tmp_path):
    assert cli("replay", tmp_path / "none.jsonl").code == 74
