"""The whole of it: a simulated platform, the real daemon in a process of its own, the file at the end."""

import json
import os
import re
import signal
import sqlite3
import subprocess
from contextlib import closing
from importlib.resources import files
from pathlib import Path

import pytest

from ringledger.cli.context import console
from ringledger.cli.simulate.demo import STORIES, DemoResult, Show, _platform, _stories, problems
from tests import office
from tests.cli.conftest import SCENARIOS, command
from tests.until import PATIENCE


@pytest.mark.parametrize("options", [[], ["--transport", "websocket"]], ids=["pubnub", "websocket"])
def test_the_demonstration(clean, tmp_path, options):
    path = tmp_path / "demo.db"
    words = command("demo", "--speed", "60", "--db", path, *options)
    done = subprocess.run(words, capture_output=True, text=True, timeout=PATIENCE, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert "calls as the daemon records them" in done.stdout
    assert f'sqlite3 {path} "select' in done.stdout.replace("\n", "")
    with closing(sqlite3.connect(path)) as connection:
        question = (
            "SELECT direction, disposition, ring_seconds, talk_seconds, leg_count FROM calls WHERE session_id = ?"
        )
        assert connection.execute(question, ("67029198021",)).fetchone() == ("Inbound", "answered", 31.554, 15.141, 2)
        assert connection.execute(question, ("915021981016",)).fetchone()[:4] == (
            "Outbound", "answered", 13.232, 27.222,
        )  # fmt: skip
        days = connection.execute("SELECT count(DISTINCT substr(started_at, 1, 10)), count(*) FROM calls").fetchone()
        assert days[0] >= 5  # a week before, whose Saturday and Sunday may be quiet
        assert days[1] > 100
        assert connection.execute("SELECT count(*) FROM active_calls").fetchone()[0] == 0
    for session in ("67029198021", "915021981016"):
        assert session in done.stdout
    events = [json.loads(line)["event"] for line in path.with_suffix(".log").read_text().splitlines()]
    assert events[0] == "service.started"
    assert events[-1] == "service.stopped"


def test_ctrl_c_ends_the_daemon_too(process, tmp_path):
    child = process("demo", "--db", tmp_path / "demo.db")
    while not (line := child.stdout.readline()).startswith("daemon"):
        assert child.poll() is None
    pid = int(line.split("process ")[1].split(",")[0])
    child.send_signal(signal.SIGINT)
    assert child.wait(PATIENCE) == 130
    assert child.stderr.read() == ""
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def test_a_file_that_exists_is_not_touched(cli, tmp_path):
    (tmp_path / "mine.db").write_text("precious")
    ended = cli("demo", "--db", tmp_path / "mine.db")
    assert ended.code == 64
    assert "exists already" in ended.err
    assert (tmp_path / "mine.db").read_text() == "precious"
    assert cli("demo", "--db", tmp_path / "none" / "x.db").code == 64


@pytest.mark.parametrize("name", STORIES)
def test_the_stories_it_ships_are_those_of_the_tests(name):
    shipped = files("ringledger.simulator") / "stories" / name
    assert Path(str(shipped)).read_text() == (SCENARIOS / name).read_text()


def test_what_it_shows_fits_80_columns(clean, capsys, tmp_path):
    """But for what is to be pasted, which is one line each."""
    clean.setenv("FORCE_COLOR", "1")
    clean.setenv("COLUMNS", "80")
    show = Show(console(), 60)
    show.start("http://127.0.0.1:18080", 4711, tmp_path / "demo.db", 1_772_442_000_000)
    rows = [row | {"started_at": "2026-03-02T09:30:12.000Z"} for row in office.days(5, office.utc("2026-03-02"), 1, 60)]
    calls = []
    for row in rows:
        figures = {f"{name}_seconds": None if row[f"{name}_ms"] is None else row[f"{name}_ms"] / 1000
                   for name in ("ring", "talk", "hold", "duration")}  # fmt: skip
        calls.append(row | figures | {"extension_number": "101", "extension_name": "Ann Lee"})
    for call in calls:
        show.event(call | {"event": "call.finished"})
        show.event(call | {"event": "call.amended", "disposition": "answered", "part_of": "900000000001"})
    show.result(DemoResult(calls, calls, 0), tmp_path / "demo.db")
    lines = re.sub(r"\x1b\[[\d;]*m", "", capsys.readouterr().out).splitlines()
    assert any("(inner leg of a RingOut) (corrected)" in line for line in lines)
    assert any(line.startswith("  export RINGLEDGER_DATABASE__URL=") for line in lines)
    for line in lines:
        assert len(line.rstrip()) <= 80 or line.startswith(("  ", "daemon")), line
        assert "…" not in line
    sessions = [line.split()[-1] for line in lines if line.startswith("03-02 09:30:12")]
    assert sessions == [call["session_id"] for call in calls]


async def test_it_finds_out_when_a_call_is_missing_or_wrong():
    sim = _platform(20.0, past_days=0)
    stories = _stories(sim)
    rows = [dict(row) for story in stories for row in story.expected]
    assert problems(sim, stories, DemoResult(rows, rows, 0)) == []
    assert problems(sim, stories, DemoResult(rows[1:], rows[1:], 0)) == ["call 67029198021 of the tutorial is missing"]
    wrong = [rows[0] | {"talk_seconds": 15.0}, rows[1]]
    assert "has talk_seconds 15.0 instead of 15.141" in problems(sim, stories, DemoResult(wrong, wrong, 0))[0]
    assert problems(sim, stories, DemoResult(rows, rows, 2)) == ["2 calls are still open"]
