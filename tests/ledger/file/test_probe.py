"""Looking at the daemon's lock: what is told of a held, a free and an unknown one, and that looking takes nothing."""

import subprocess
import sys

import pytest

from ringledger.ledger.file import probe
from ringledger.ledger.file.lock import DaemonLock
from ringledger.ledger.file.probe import is_held

HOLD = """
import pathlib, sys
from ringledger.ledger.file.lock import DaemonLock
lock = DaemonLock(pathlib.Path(sys.argv[1]))
print(1, flush=True)
sys.stdin.read()
"""


@pytest.fixture
def whole(monkeypatch):
    """As on a machine whose list of locks is complete, wherever the test runs."""
    monkeypatch.setattr(probe, "_ALL", str(probe._PROCESSES.readlink()))


def test_a_database_no_daemon_ever_opened(tmp_path):
    assert is_held(tmp_path / "x.db") is None


def test_held_and_after_a_kill(tmp_path, whole):
    path = tmp_path / "x.db"
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen([sys.executable, "-c", HOLD, path], **pipes) as child:
        assert child.stdout.readline() == b"1\n"
        assert is_held(path) is True
        child.kill()
        child.wait()
    assert is_held(path) is False


def test_what_cannot_be_told_is_not_told(tmp_path, monkeypatch):
    path = tmp_path / "x.db"
    DaemonLock(path).release()
    assert is_held(path) is None  # the process that held it last still lives
    (tmp_path / "x.db.lock").write_text("4194305\n")  # beyond the largest id
    monkeypatch.setattr(probe, "_ALL", "pid:[another]")
    assert is_held(path) is None
