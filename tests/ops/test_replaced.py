"""The database's file is moved, replaced or removed under a running daemon."""

import shutil
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing

import pytest

from ringledger.exits import Exit
from ringledger.ledger.file.lock import DaemonLock
from ringledger.ledger.schema.migrate import upgrade
from tests.ops.conftest import environment, ringledger
from tests.until import PATIENCE


def calls(path):
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as connection:
        return connection.execute("SELECT count(*) FROM all_calls").fetchone()[0]


def moved(path):
    path.rename(path.with_name("elsewhere.db"))


def removed(path):
    for one in path.parent.glob("r.db*"):
        one.unlink()


def replaced(path):
    other = path.with_name("other.db")
    upgrade(f"sqlite+aiosqlite:///{other}")
    other.replace(path)


def without_its_log(path):
    path.with_name("r.db-wal").unlink()


@pytest.mark.parametrize("harm", [moved, removed, replaced, without_its_log])
def test_the_daemon_saves_what_it_knows_and_ends(platform, tmp_path, harm):
    path = tmp_path / "r.db"
    platform.office(2000)
    with ringledger(platform.settings(path)) as daemon:
        daemon.ready()
        daemon.until(lambda: len(daemon.named("call.finished")) >= 3)
        harm(path)
        assert daemon.wait() == Exit.DATA
    (line,) = daemon.named("database.replaced")
    (said,) = [line["reason"] for line in daemon.named("service.failed")]
    (saved,) = tmp_path.glob("r.db.saved-*")
    assert line["saved"] == str(saved)
    assert str(saved) in said
    finished = {one["session_id"] for one in daemon.named("call.finished")}
    with closing(sqlite3.connect(f"file:{saved}?mode=ro", uri=True)) as connection:
        assert finished <= {row[0] for row in connection.execute("SELECT session_id FROM all_calls")}
    assert not list(tmp_path.glob(".*partial"))


def test_a_stop_right_after_it_loses_nothing_either(platform, tmp_path):
    path = tmp_path / "r.db"
    platform.office(2000)
    with ringledger(platform.settings(path)) as daemon:
        daemon.ready()
        daemon.until(lambda: daemon.named("call.finished"))
        moved(path)
        daemon.process.terminate()
        assert daemon.wait() == Exit.DATA
    (saved,) = tmp_path.glob("r.db.saved-*")
    assert calls(saved) >= len({one["session_id"] for one in daemon.named("call.finished")})


def test_without_a_place_to_save_to_it_says_so(platform, tmp_path):
    home = tmp_path / "home"
    home.mkdir()
    with ringledger(platform.settings(home / "r.db")) as daemon:
        daemon.ready()
        shutil.rmtree(home)
        assert daemon.wait() == Exit.DATA
    (line,) = daemon.named("database.replaced")
    assert "saved" not in line
    (said,) = [line["reason"] for line in daemon.named("service.failed")]
    assert "could not be saved" in said
    assert "Traceback" not in "".join(daemon.lines)


def test_our_own_care_of_the_data_does_not_look_like_it(platform, tmp_path):
    path = tmp_path / "r.db"
    settings = platform.settings(path)
    with ringledger(settings) as daemon:
        daemon.ready()
        for words in (["db", "backup", str(tmp_path / "copy.db")], ["purge", "--older-than", "1d"]):
            command = [sys.executable, "-m", "ringledger", *words]
            subprocess.run(command, env=environment(settings), check=True, capture_output=True, timeout=PATIENCE)
        with closing(sqlite3.connect(path)) as connection:
            connection.execute("VACUUM")
        assert DaemonLock.writes_elsewhere(path) is None
        daemon.process.terminate()
        assert daemon.wait() == 0


def test_doctor_sees_it_while_the_daemon_runs(platform, tmp_path):
    path = tmp_path / "r.db"
    settings = platform.settings(path)
    with ringledger(settings) as daemon:
        daemon.ready()
        daemon.process.send_signal(signal.SIGSTOP)  # it cannot notice itself
        replaced(path)
        command = [sys.executable, "-m", "ringledger", "doctor", "--offline"]
        done = subprocess.run(command, env=environment(settings), capture_output=True, timeout=PATIENCE, check=False)
        assert done.returncode == Exit.DATA
        assert f"process {daemon.process.pid} writes to another file" in " ".join(done.stdout.decode().split())
