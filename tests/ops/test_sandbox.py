"""The whole daemon under what the units forbid: the system calls, the address families, write-and-execute memory."""

import shutil
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from tests.needs import needs
from tests.ops import sandbox
from tests.ops.conftest import environment, ringledger

SYSTEMD = Path(__file__).resolve().parents[2] / "systemd"

pytestmark = [
    pytest.mark.skipif(sandbox.old_kernel(), reason="this kernel (before 6.3) knows no refusal of write and execute"),
    needs(sandbox.library(), "libseccomp", "apt-get install libseccomp2"),
    needs(shutil.which("systemd-analyze"), "systemd-analyze", "apt-get install systemd"),
]


def confined(unit: str) -> list[str]:
    """What goes before a command that is to run as this unit runs it."""
    return [sys.executable, sandbox.__file__, str(SYSTEMD / unit)]


def count(database: Path) -> int:
    with closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True)) as connection:
        return connection.execute("SELECT count(*) FROM all_calls").fetchone()[0]


#: Each is refused by another line of the unit.
FORBIDDEN = {
    "write and execute": "mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)",
    "@resources": "os.sched_setaffinity(0, {0})",
    "@privileged": "os.chown(sys.executable, 0, 0)",
    "not of a service": "os.chroot('/')",
    "address family": "socket.socket(socket.AF_NETLINK, socket.SOCK_RAW)",
}


@pytest.mark.parametrize("unit", ["ringledger.service", "ringledger-backup.service"])
@pytest.mark.parametrize("what", FORBIDDEN)
def test_the_sandbox_refuses(what, unit):
    program = f"import mmap, os, socket, sys\n{FORBIDDEN[what]}"
    free = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    if free.returncode:
        pytest.skip("refused here in any case")
    done = subprocess.run([*confined(unit), sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "PermissionError" in done.stderr


@pytest.mark.parametrize("transport", ["pubnub", "websocket"])
def test_a_life_in_the_sandbox(transport, platform, tmp_path):
    database = tmp_path / "r.db"
    platform.office(calls_per_hour=400)
    settings = platform.settings(database, feed__transport=transport, http__listen="127.0.0.1:0")
    with ringledger(settings, through=confined("ringledger.service")) as daemon:
        daemon.ready()
        state = Path(f"/proc/{daemon.process.pid}/status").read_text()
        assert "Seccomp:\t2" in state
        assert "NoNewPrivs:\t1" in state
        daemon.until(lambda: daemon.named("call.finished"))
        daemon.process.send_signal(signal.SIGHUP)
        daemon.until(lambda: daemon.named("config.reloaded"))
        copied = subprocess.run(
            [*confined("ringledger-backup.service"), sys.executable, "-m", "ringledger", "db", "backup"],
            env=environment(settings), capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert copied.returncode == 0, copied.stderr
        daemon.process.terminate()
        assert daemon.wait() == 0
    assert count(database) >= len(daemon.named("call.finished")) > 0
    (copy,) = (tmp_path / "backups").glob("*.db")
    assert count(copy) > 0
    assert not [line for line in daemon.lines if "Permission" in line or "not permitted" in line]
