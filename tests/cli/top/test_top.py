import asyncio
import fcntl
import io
import json
import os
import pty
import re
import signal
import sqlite3
import struct
import subprocess
import sys
import termios
import time
from codecs import getincrementaldecoder
from contextlib import closing, contextmanager
from datetime import UTC
from pathlib import Path
from select import select
from zoneinfo import ZoneInfo

import pytest
from rich.console import Console

from ringledger.cli.context import reading
from ringledger.cli.times import show_in
from ringledger.cli.top.layout import board, running
from ringledger.cli.top.top import look
from ringledger.cli.top.view import Today, today_of, view_of
from ringledger.config.model import load_settings
from ringledger.ledger.read import queries
from ringledger.ledger.times import to_text
from ringledger.service.health.status import Life
from tests import office, standing
from tests.cli.pictures import fill
from tests.forked import Process
from tests.until import PATIENCE

NOW = 1_772_634_727_000  # 2026-03-04T14:32:07Z


@pytest.fixture(scope="module")
def filled(tmp_path_factory):
    path = tmp_path_factory.mktemp("filled") / "ringledger.db"
    fill(path, NOW)
    return path


def glance_of(path):
    settings = load_settings(Path(os.devnull), env={}, overrides={"database.url": f"sqlite+aiosqlite:///{path}"})

    async def ask():
        async with reading(settings) as engine:
            return await queries.glance(engine, since=NOW // 86_400_000 * 86_400_000)

    return asyncio.run(ask())


@pytest.fixture(scope="module")
def glance(filled):
    return glance_of(filled)


@pytest.fixture
def view(glance):
    return view_of(glance, standing.status(NOW))


def drawn(view, width=80, height=24, *, masked=True, note=""):
    written = io.StringIO()
    paper = Console(width=width, height=height, file=written, highlight=False)
    paper.print(board(view, width, height, masked=masked, note=note))
    return written.getvalue().rstrip("\n")


# -- figures ---------------------------------------------------------------------------------------------------------


def test_todays_figures_are_those_of_the_calls(glance, filled):
    with closing(sqlite3.connect(filled)) as connection:
        rows = connection.execute("SELECT direction, disposition, talk_seconds FROM calls").fetchall()
    today = today_of(glance.minutes)
    inbound = [row for row in rows if row[0] == "Inbound"]
    assert (today.calls, today.inbound) == (len(rows), len(inbound))
    assert today.count("missed") == sum(row[1] == "missed" for row in rows) > 0
    assert today.answer_rate == pytest.approx(sum(row[1] == "answered" for row in inbound) / len(inbound))
    assert today.talk_seconds == pytest.approx(sum(row[2] for row in rows))
    assert sum(today.by_hour) == len(rows)


def test_hours_are_those_of_the_reports_zone():
    kind = {"direction": "Inbound", "disposition": "missed", "calls": 3, "talk_seconds": 0}
    minute = kind | {"minute": "2026-03-04T14:32"}
    try:
        show_in(ZoneInfo("Asia/Kolkata"))
        assert today_of([minute]).by_hour[20] == 3
    finally:
        show_in(UTC)


def test_a_day_without_inbound_calls_has_no_answer_rate():
    assert Today().answer_rate is None


@pytest.mark.parametrize(
    ("ms", "text"),
    [(-5, "0:00"), (7_999, "0:07"), (725_000, "12:05"), (3_725_000, "1:02:05"), (273_900_000, "3 d 04:05")],
)
def test_a_running_duration(ms, text):
    assert running(ms) == text


# -- the picture -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [(40, 12), (60, 18), (80, 24), (100, 30), (120, 20), (160, 50), (300, 90)])
def test_a_frame_has_exactly_its_size(view, size):
    lines = drawn(view, *size).split("\n")
    assert len(lines) == size[1]
    assert {len(line) for line in lines} == {size[0]}


def test_too_small_a_terminal_is_told(view):
    assert drawn(view, 30, 8).strip().startswith("at least")


def test_what_a_frame_says(view):
    frame = drawn(view)
    assert "feed live since" in frame
    assert "unconfirmed" in frame
    assert "open calls · 5" in frame
    assert re.search(r"32:13 +32:01 +in +\+\*{7}0121 .* 104 +CallConnected", frame)
    assert "0:06           in" in frame
    assert "withheld" in frame
    assert "extensions · 5 of 8 on a call" in frame
    assert re.search(r"101 +Ann Lee +CallConnected 6:52", frame)
    most = max(view.today.by_hour)
    assert f"most {most} at {view.today.by_hour.index(most):02d}:00" in frame
    assert "last calls" in drawn(view, 160, 50)


def test_numbers_are_masked_unless_it_is_told_otherwise(view):
    assert "+14155550121" not in drawn(view, 160, 50)
    assert "+14155550121" in drawn(view, 160, 50, masked=False)


def test_without_a_daemon_durations_stand_still(glance):
    gone = standing.status(NOW + 7_200_000, life=Life.STOPPED, since=NOW, seen_until=NOW, told={})
    frame = drawn(view_of(glance, gone))
    assert "no daemon runs since 03-04 14:32:07" in frame
    assert "32:13" in frame
    assert "as of 03-04 14:32:07; q quits" in frame
    assert "not watched now: see ringledger coverage" in frame
    assert "no hole today" not in frame


def test_blindness_and_holes_are_told(glance):
    blind = {"state": "blind", "cause": "network", "from_at": to_text(NOW - 90_000), "until_at": to_text(NOW)}
    glance = glance.__class__(**{name: getattr(glance, name) for name in glance.__slots__} | {
        "sight": blind, "holes": [blind]})  # fmt: skip
    frame = drawn(view_of(glance, standing.status(NOW, state="blind", cause="network")), 120)
    assert "feed not connected since 03-04 14:30:37 (network)" in frame
    assert "as of 03-04 14:30:37" in frame
    assert "1 hole today" in frame


def test_what_does_not_fit_is_counted(view, glance):
    many = [glance.active[0] | {"session_id": str(n)} for n in range(40)]
    crowd = [glance.extensions[0] | {"extension_id": str(n)} for n in range(300)]
    crowded = glance.__class__(**{name: getattr(glance, name) for name in glance.__slots__} | {
        "active": many, "extensions": crowd})  # fmt: skip
    frame = drawn(view_of(crowded, standing.status(NOW)))
    shown = frame.count("Dev Rao") + frame.count("+*******1041")
    assert "open calls · 40" in frame
    assert shown > 0
    hidden = [int(count) for count in re.findall(r"and (\d+) more", frame)]
    assert len(hidden) == 2
    assert hidden[0] + frame.count("+*******1041") == 40


def test_an_empty_ledger_and_a_note(tmp_path):
    path = tmp_path / "ringledger.db"
    office.prepared(path)
    frame = drawn(view_of(glance_of(path), standing.status(NOW, life=Life.NEVER)), note="database is busy")
    for text in ("no call is open", "no extension has been heard of yet", "no call yet", "no daemon runs", "is busy"):
        assert text in frame


# -- the command -----------------------------------------------------------------------------------------------------


@pytest.fixture
def office_now(tmp_path, clean):
    path = tmp_path / "ringledger.db"
    clean.setenv("RINGLEDGER_DATABASE__URL", fill(path, time.time_ns() // 1_000_000))
    with standing.says(path):
        yield path


def test_a_single_frame(cli, office_now):
    ended = cli("top", "--once")
    assert (ended.code, ended.err) == (0, "")
    assert len(ended.out.rstrip("\n").split("\n")) == 24
    assert "open calls · 5" in ended.out
    assert "\x1b" not in ended.out


def test_a_single_frame_as_json(cli, office_now):
    data = cli("top", "--json").data
    assert data["daemon_writes"] is True
    assert len(data["active_calls"]) == 5
    assert data["coverage"]["state"] == "live"
    assert sum(data["today"]["by_hour"]) == data["today"]["calls"]
    assert "+14155550121" not in json.dumps(data)


def test_a_picture_needs_nothing_from_elsewhere(cli, office_now, tmp_path):
    assert cli("top", "--size", "100x30", "--svg", tmp_path / "top.svg").code == 0
    picture = (tmp_path / "top.svg").read_text()
    assert "ringledger" in picture
    assert "open&#160;calls" in picture
    assert set(re.findall(r"https?://[^\s\"]+", picture)) <= {"http://www.w3.org/2000/svg", "https://www.textualize.io"}


def test_the_pictures_of_the_readme_are_what_the_program_draws(tmp_path, clean):
    docs = Path(__file__).parents[3] / "docs"
    command = [sys.executable, str(Path(__file__).parents[1] / "pictures.py"), str(tmp_path)]
    subprocess.run(command, check=True, capture_output=True, timeout=60)
    for size in ("80x24", "160x50"):
        name = f"top-{size}.svg"
        drawn = (tmp_path / name).read_text()
        assert "open&#160;calls" in drawn
        assert drawn == (docs / name).read_text(), "make pictures"
        assert f"docs/{name}" in (docs.parent / "README.md").read_text()


def test_without_a_terminal_it_says_what_to_do(cli, office_now):
    ended = cli("top")
    assert ended.code == 64
    assert "--once" in ended.err


def test_a_size_that_is_none(cli, office_now):
    assert cli("top", "--once", "--size", "80").code == 64


@pytest.mark.parametrize("size", ["3x3", "39x12", "40x11"])
def test_a_size_no_frame_fits_is_64_and_the_smallest_is_named(cli, office_now, size):
    ended = cli("top", "--size", size, "--once")
    assert (ended.code, ended.out) == (64, "")
    assert "the smallest size is 40x12" in ended.err


def test_no_database(cli, clean, tmp_path):
    clean.setenv("RINGLEDGER_DATABASE__URL", f"sqlite+aiosqlite:///{tmp_path}/none.db")
    assert cli("top", "--once").code == 74


# -- in a terminal ---------------------------------------------------------------------------------------------------


#: What a test writes when the program has ended: all the program wrote has been read when this comes.
LAST = "\n(that was all)"


class Terminal:
    """A program in a terminal of its own, and what it has written there."""

    def __init__(self, master, slave, child):
        self.master, self.slave, self.child, self.text = master, slave, child, ""
        self.decoder = getincrementaldecoder("utf-8")("replace")  # a portion may end within a character

    def until(self, pattern):
        deadline = time.monotonic() + PATIENCE
        while not re.search(pattern, self.text):
            assert time.monotonic() < deadline, self.text[-2000:]
            self._read(1.0)

    def _read(self, seconds):
        if select([self.master], [], [], seconds)[0]:
            self.text += self.decoder.decode(os.read(self.master, 65_536))

    def type(self, keys):
        os.write(self.master, keys)

    def resize(self, columns, rows):
        fcntl.ioctl(self.master, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
        self.child.send_signal(signal.SIGWINCH)

    def ended(self):
        deadline = time.monotonic() + PATIENCE
        while self.child.poll() is None:
            assert time.monotonic() < deadline, self.text[-2000:]
            self._read(0.1)
        os.write(self.slave, LAST.encode())  # all it wrote comes before that
        self.until(re.escape(LAST.strip()))
        return self.child.returncode


@contextmanager
def terminal(*arguments, columns=80, rows=24):
    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
    before = termios.tcgetattr(slave)
    environment = {name: value for name, value in os.environ.items() if name not in {"NO_COLOR", "COLUMNS", "LINES"}}
    child = Process(
        *arguments, stdin=slave, stdout=slave, stderr=slave, start_new_session=True,
        env=environment | {"TERM": "xterm-256color"},
    )  # fmt: skip
    screen = Terminal(master, slave, child)
    try:
        yield screen
        assert termios.tcgetattr(slave) == before, "the terminal is not as it was"
    finally:
        child.kill()
        child.wait()
        os.close(master)
        os.close(slave)


ENTERED, LEFT = "\x1b[?1049h", "\x1b[?1049l"


@pytest.mark.parametrize(("end", "code"), [(b"q", 0), (signal.SIGTERM, 0), (signal.SIGINT, 130)])
def test_it_ends_cleanly_and_gives_the_screen_back(office_now, end, code):
    with terminal("top") as screen:
        screen.until("q quits")
        screen.type(end) if isinstance(end, bytes) else screen.child.send_signal(end)
        assert screen.ended() == code
        assert screen.text.count(ENTERED) == screen.text.count(LEFT) == 1
        assert screen.text.rindex("\x1b[?25h") > screen.text.rindex("q quits")
        assert "Traceback" not in screen.text


def test_it_follows_the_database_and_the_size(office_now):
    with terminal("top") as screen:
        screen.until("open calls · 5")
        with closing(sqlite3.connect(office_now)) as connection, connection:
            connection.execute("DELETE FROM live_call WHERE status = 'OnHold'")
        screen.until("open calls · 4")
        screen.resize(160, 50)
        screen.until("last calls")
        screen.type(b"q")
        assert screen.ended() == 0


def test_the_view_looks_at_the_clock_of_the_machine(filled):
    settings = load_settings(Path(os.devnull), env={}, overrides={"database.url": f"sqlite+aiosqlite:///{filled}"})

    async def ask():
        async with reading(settings) as engine:
            return await look(engine, settings)

    before = time.time_ns() // 1_000_000
    assert before <= asyncio.run(ask()).now <= time.time_ns() // 1_000_000
