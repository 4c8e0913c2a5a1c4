"""Who may read: a member of the group at any time, nobody else; and nobody but the daemon writes."""

import os
import signal
import subprocess
import sys

from tests.needs import needs
from tests.ops.conftest import GROUP, ringledger
from tests.until import PATIENCE

ANALYST, STRANGER = 54322, 54323

pytestmark = needs(os.geteuid() == 0, "root", "run the tests as root")

#: Everything is imported before the change, for the other user may not see the interpreter's files.
AS_SOMEBODY = """
import os, sqlite3, sys
uid, gid, path, sql = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3], sys.argv[4]
os.setgroups([]); os.setgid(gid); os.setuid(uid)
try:
    connection = sqlite3.connect(f"file:{path}?mode=" + ("ro" if sql.startswith("SELECT") else "rw"), uri=True)
    print(connection.execute(sql).fetchone()[0] if sql.startswith("SELECT") else connection.execute(sql).rowcount)
except sqlite3.Error as error:
    print(f"{type(error).__name__}: {error}")
"""


def ask(uid, gid, path, sql="SELECT count(*) FROM calls"):
    command = [sys.executable, "-c", AS_SOMEBODY, str(uid), str(gid), str(path), sql]
    return subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, check=True).stdout.strip()


def started(platform, state):
    return ringledger(platform.settings(state / "r.db"), group=GROUP, extra_groups=[], umask=0o027)


def test_the_group_reads_at_any_time_and_nobody_else(platform, state):
    path = state / "r.db"
    platform.office(calls_per_hour=400)
    with started(platform, state) as daemon:
        daemon.ready()
        daemon.until(lambda: daemon.named("call.finished"))
        assert int(ask(ANALYST, GROUP, path)) > 0
        assert "unable to open" in ask(STRANGER, STRANGER, path)
        for sql in ("DELETE FROM call", "CREATE TABLE mine (x)", "PRAGMA user_version = 7"):
            assert "readonly" in ask(ANALYST, GROUP, path, sql)
        daemon.process.send_signal(signal.SIGKILL)
        assert daemon.wait() == -signal.SIGKILL
    after_kill = int(ask(ANALYST, GROUP, path))
    assert after_kill > 0
    with started(platform, state) as daemon:
        daemon.ready()
        assert int(ask(ANALYST, GROUP, path)) >= after_kill
        daemon.process.terminate()
        assert daemon.wait() == 0
    assert int(ask(ANALYST, GROUP, path)) >= after_kill
    assert "unable to open" in ask(STRANGER, STRANGER, path)
    for file in state.iterdir():
        assert file.stat().st_mode & 0o027 == 0, file
