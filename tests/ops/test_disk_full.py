"""A full disk under load: nobody exits, it is told once, and everything is written when there is space again."""

import os
import sqlite3
import subprocess
import time
from contextlib import closing, contextmanager

import pytest

from tests.needs import lacking

from .conftest import ringledger


@contextmanager
def file_system(path, mebibytes):
    """A file system of that size at ``path``."""
    path.mkdir()
    options = f"size={mebibytes}m"
    mounted = os.geteuid() == 0 and subprocess.run(
        ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(path)], capture_output=True, check=False
    )
    if not mounted or mounted.returncode:
        lacking("the right to mount a small file system", "run the tests as root with CAP_SYS_ADMIN, and install mount")
    try:
        yield path
    finally:
        subprocess.run(["umount", "-l", str(path)], check=True)


@pytest.fixture
def small(tmp_path):
    with file_system(tmp_path / "small", 16) as path:
        yield path


def fill(path):
    """Leave less than a page."""
    with path.open("wb", buffering=0) as file:
        for size in (65536, 4096, 512):
            try:
                while True:
                    file.write(b"\0" * size)
            except OSError:
                pass


def finished(database):
    with closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True)) as connection:
        return {row[0] for row in connection.execute("SELECT session_id FROM all_calls")}


def test_a_full_disk(platform, small):
    database, ballast = small / "r.db", small / "ballast"
    platform.office(calls_per_hour=400)
    with ringledger(platform.settings(database, http__listen="127.0.0.1:0")) as daemon:
        daemon.ready()
        daemon.until(lambda: len(daemon.named("call.finished")) > 2)
        fill(ballast)
        daemon.until(lambda: daemon.named("store.full"))
        until = time.monotonic() + 8  # a while under load, with the disk full
        daemon.until(lambda: time.monotonic() > until)
        assert daemon.process.poll() is None
        before = len(finished(database))
        ballast.unlink()
        (line,) = daemon.until(lambda: daemon.named("store.recovered"))
        assert line["attempts"] > 1
        assert len(daemon.named("store.full")) == 1
        daemon.until(lambda: len(finished(database)) > before)
        daemon.process.terminate()
        assert daemon.wait() == 0
    told = [one["session_id"] for one in daemon.named("call.finished")]
    assert len(told) == len(set(told))
    assert set(told) == finished(database)
    with closing(sqlite3.connect(database)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
