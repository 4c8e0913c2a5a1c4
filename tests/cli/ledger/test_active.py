import contextlib
import json
import random
import re
import signal
import socket
import sqlite3
import time
from contextlib import closing

import pytest

from ringledger.domain.coverage import CoverageSpan, CoverageState
from ringledger.ledger.times import to_ms
from tests import office, standing
from tests.until import PATIENCE


def test_open_calls(cli, database):
    (row,) = cli("active", "--json").data
    assert list(row) == [
        "account_id", "session_id", "status", "direction", "extension_id", "from_number", "from_name", "to_number",
        "to_name", "started_at", "answered_at", "suspect", "last_seen_at", "extension_number",
        "extension_name", "as_of",
    ]  # fmt: skip
    assert (row["session_id"], row["status"]) == ("900000099001", "CallConnected")
    out = cli("active").out
    assert "CallConnected" in out
    assert "+*******0123" in out
    assert "+14155550123" in cli("active", "--full-numbers").out


def test_extensions(cli, database):
    rows = {row["extension_id"]: row for row in cli("presence", "--json").data}
    assert list(rows["2001"]) == [
        "account_id", "extension_id", "extension_number", "name", "telephony_status", "presence_status",
        "user_status", "dnd_status", "since", "updated_at", "as_of",
    ]  # fmt: skip
    assert rows["2001"]["telephony_status"] == "CallConnected"
    assert rows["607457016"]["telephony_status"] == "NoCall"
    assert "2001" in cli("presence").out


def test_tables_show_the_number_and_json_the_id(cli, tmp_path, clean):
    path = books(tmp_path, clean)
    office.insert(path, "extension", [office.extension(0, "NoCall", 0)])
    now = time.time_ns() // 1_000_000
    office.insert(path, "call", [office.call(random.Random(n), n, now - 60_000) for n in range(20)])
    assert cli("active", "--json").data[0]["extension_id"] == "2001"
    for words in (("active",), ("calls",), ("stats", "--by", "extension")):
        out = cli(*words).out
        assert re.search(r"\b101\b", out), words
        assert not re.search(r"\b2001\b", out), words
        assert re.search(r"^.*\bext\b", out), words


def test_the_inner_half_of_a_ringout_is_no_call_of_its_own(cli, tmp_path, clean):
    path = books(tmp_path, clean)
    half = office.open_call(1, "CallConnected", 0, 0, part_of="9900000000")
    office.insert(path, "live_call", [half])
    assert [row["session_id"] for row in cli("active", "--json").data] == ["9900000000"]
    assert [row["session_id"] for row in cli("top", "--json").data["active_calls"]] == ["9900000000"]


def books(tmp_path, clean):
    path = tmp_path / "ringledger.db"
    clean.setenv("RINGLEDGER_DATABASE__URL", office.prepared(path))
    now = time.time_ns() // 1_000_000
    office.insert(path, "live_call", [office.open_call(0, "CallConnected", now, now)])
    return path


def change(path, statement):
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute(statement)


def test_watching_tells_each_change_once(tmp_path, clean, process):
    path = books(tmp_path, clean)
    child = process("active", "--watch")
    lines = iter(child.stdout.readline, "")
    assert "1 open" in next(lines)
    assert "CallConnected" in "".join((next(lines), next(lines)))
    change(path, "UPDATE live_call SET last_seen_at = '2030-01-01T00:00:00.000Z'")  # nothing to tell
    change(path, "UPDATE live_call SET status = 'OnHold'")
    assert "1 open" in next(line for line in lines if line.strip())
    assert "OnHold" in "".join((next(lines), next(lines)))
    change(path, "DELETE FROM live_call")
    assert "0 open" in next(line for line in lines if line.strip())
    child.send_signal(signal.SIGINT)
    assert child.wait(PATIENCE) == 130
    assert (
        child.stderr.read()
        == "ringledger: no daemon runs, and none has recorded anything yet: there is nothing to show yet\n"
    )


def test_watching_as_json_is_a_line_for_each_change(tmp_path, clean, process):
    path = books(tmp_path, clean)
    child = process("active", "--watch", "--json")
    first = json.loads(child.stdout.readline())
    change(path, "DELETE FROM live_call")
    second = json.loads(child.stdout.readline())
    assert [row["status"] for row in first["active_calls"]] == ["CallConnected"]
    assert "+14155550100" not in json.dumps(first)
    assert second["active_calls"] == []
    assert first["at"] < second["at"]


#: What each of them says of the daemon; `top` and `coverage` answer other questions, but of the same daemon.
LOOKS = (("active",), ("presence",), ("top",), ("coverage", "--since", "1h"))


def said(cli, path):
    """The daemon's status as each of them tells it."""
    found = []
    for words in LOOKS:
        ended = cli(*words, "--json")
        found.append(json.loads(ended.err) if ended.err else None)
    return found


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (None, "no daemon runs since"),
        ({"state": "blind", "cause": "network"}, "feed not connected since"),
        ({"ready": False, "phase": "asking the platform", "trouble": "refused", "feed": {}}, "has been starting since"),
    ],
)
def test_all_of_them_say_the_same_of_a_daemon_that_sees_nothing(cli, tmp_path, clean, answer, words):
    path = books(tmp_path, clean)
    now = time.time_ns() // 1_000_000
    spans = [CoverageSpan("1001", now - 7_200_000, now - 600_000, CoverageState.LIVE)]
    office.cover(f"sqlite+aiosqlite:///{path}", spans, now)
    with contextlib.nullcontext() if answer is None else standing.says(path, lambda: standing.answer(now, **answer)):
        notes = said(cli, path)
        row = cli("active", "--json").data[0]
        people = [cli(*words).err for words in LOOKS if words != ("top",)]
        frame = cli("top", "--once", "--size", "160x30").out
    assert all(words in one["note"] for one in notes)
    assert len({json.dumps([one["daemon"], one["since"], one["feed"], one["as_of"]]) for one in notes}) == 1
    assert row["as_of"] == notes[0]["as_of"]
    assert all(words in one and one.count("\n") == 1 for one in people)
    assert words in frame


def test_nothing_is_said_of_a_daemon_that_sees_everything(cli, tmp_path, clean):
    path = books(tmp_path, clean)
    now = time.time_ns() // 1_000_000
    office.cover(f"sqlite+aiosqlite:///{path}", [CoverageSpan("1001", now - 7_200_000, now, CoverageState.LIVE)], now)
    with standing.says(path):
        assert said(cli, path) == [None] * len(LOOKS)
        as_of = cli("active", "--json").data[0]["as_of"]
    assert abs(to_ms(as_of) - now) < 60_000


def test_a_daemon_that_hangs_is_told(cli, tmp_path, clean):
    path = books(tmp_path, clean)
    now = time.time_ns() // 1_000_000
    office.cover(f"sqlite+aiosqlite:///{path}", [CoverageSpan("1001", now - 7_200_000, now, CoverageState.LIVE)], now)
    with socket.socket(socket.AF_UNIX) as deaf:
        deaf.bind(str(path.with_suffix(".sock")))
        deaf.listen()
        assert "does not answer" in cli("active").err
