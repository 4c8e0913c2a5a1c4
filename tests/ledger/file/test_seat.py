"""Who gets a seat knows that whoever sat there is dead."""

import signal
import subprocess
import sys

import pytest

from ringledger.ledger.file.seat import Seat
from tests.ending import ended

SIT = """
import sys
from pathlib import Path
from ringledger.ledger.file.seat import Seat
seat = Seat(Path(sys.argv[1]))
seat.sit("of-the-first")
print("sits", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def path(tmp_path):
    return tmp_path / "postgresql-ringledger.seat"


def test_a_killed_process_is_known_by_its_token_and_a_living_one_is_not(path):
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen([sys.executable, "-c", SIT, str(path)], text=True, **pipes) as first, ended(first):
        assert first.stdout.readline() == "sits\n"
        first.send_signal(signal.SIGSTOP)  # it is not dead
        with Seat(path) as second:
            assert second.former == ""
            second.sit("of-the-second")  # which has no seat to tell it in
        first.kill()
        first.wait()
    with Seat(path) as third:
        assert third.former == "of-the-first"
        third.sit("of-the-third")
    with Seat(path) as fourth:
        assert fourth.former == "of-the-third"


def test_a_file_of_another_machine_names_nobody(path, monkeypatch):
    with Seat(path) as one:
        one.sit("of-the-first")
    monkeypatch.setattr("socket.gethostname", lambda: "another")
    with Seat(path) as other:
        assert other.former == ""


def test_without_a_place_there_is_no_seat(tmp_path):
    with Seat(tmp_path / "nowhere" / "x.seat") as seat:
        seat.sit("of-the-first")
        assert seat.former == ""
    (tmp_path / "link").symlink_to(tmp_path / "elsewhere")
    with Seat(tmp_path / "link") as seat:
        seat.sit("of-the-first")
    assert not (tmp_path / "elsewhere").exists()


def test_nobody_else_may_write_into_it(path):
    with Seat(path) as seat:
        seat.sit("of-the-first")
    assert path.stat().st_mode & 0o077 & ~0o040 == 0
