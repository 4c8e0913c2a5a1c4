"""A full disk under load: nobody exits, it is told once, and everything is written when there is space again."""

import os
import sqlite3
import subprocess
import sys
import time
from contextlib import closing, contextmanager

import pytest

from tests import office
from tests.needs import lacking
from tests.ops.conftest import ringledger

#: So many calls begin while the disk is full, and are in the database so many seconds after there is space again.
LOAD, WRITTEN_WITHIN = 12, 5.0


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


def asked(database, sql):
    with closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True)) as connection:
        return connection.execute(sql).fetchall()


def known(database):
    """Calls the database speaks of, over or not."""
    return {row[0] for row in asked(database, "SELECT session_id FROM live_call UNION SELECT session_id FROM call")}


def on_its_thread(platform, calls):
    """The sessions of what ``calls()`` gives where the simulator lives."""

    async def sessions():
        return {call.session_id for call in calls()}

    return platform.do(sessions())


def begun(platform):
    return on_its_thread(platform, platform.sim.pbx.truth)


def test_a_full_disk(platform, small):
    """Calls begin and end while it is full. Over WebSocket each of them is promised (docs/operations.md)."""
    database, ballast = small / "r.db", small / "ballast"
    platform.office(calls_per_hour=400)
    settings = platform.settings(database, feed__transport="websocket")
    with ringledger(settings) as daemon:
        daemon.ready()
        daemon.until(lambda: len(daemon.named("call.finished")) > 2)
        fill(ballast)
        daemon.until(lambda: daemon.named("store.full"))
        before = begun(platform)  # some of these may have waited for a slow machine, not for space
        daemon.until(lambda: len(begun(platform) - before) >= LOAD)
        happened = begun(platform)
        ballast.unlink()
        freed = time.monotonic()
        daemon.until(lambda: happened <= known(database))
        took = time.monotonic() - freed
        assert took < WRITTEN_WITHIN
        (line,) = daemon.until(lambda: daemon.named("store.recovered"))
        assert line["attempts"] > 1
        assert len(daemon.named("store.full")) == 1
        daemon.process.terminate()
        assert daemon.wait() == 0
    told = [one["session_id"] for one in daemon.named("call.finished")]
    assert len(told) == len(set(told))
    assert set(told) == {row[0] for row in asked(database, "SELECT session_id FROM all_calls")}
    assert asked(database, "PRAGMA integrity_check") == [("ok",)]


def test_a_backup_that_has_no_room_is_named_and_leaves_nothing(tmp_path, small):
    url = office.prepared(tmp_path / "r.db")
    fill(small / "filler")
    ended = subprocess.run(
        [sys.executable, "-m", "ringledger", "db", "backup", str(small / "copy.db")],
        env=os.environ | {"RINGLEDGER_DATABASE__URL": url}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (ended.returncode, ended.stdout) == (75, "")
    assert ended.stderr == f"ringledger: {small}/copy.db: database or disk is full; nothing was copied\n"
    assert [one.name for one in small.iterdir()] == ["filler"]
