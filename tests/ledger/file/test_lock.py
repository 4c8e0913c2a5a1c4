import fcntl
import os
import sqlite3
import struct
import subprocess
import sys
from contextlib import closing

import pytest

from ringledger.ledger.errors import LedgerFailing, LedgerLocked
from ringledger.ledger.file.lock import DaemonLock
from ringledger.ledger.file.probe import is_held
from ringledger.ledger.schema.migrate import upgrade

HOLD = """
import sys
from pathlib import Path
from ringledger.ledger.file.probe import is_held
from ringledger.ledger.file.lock import DaemonLock
from ringledger.ledger.schema.migrate import upgrade
lock = DaemonLock(Path(sys.argv[1]))
print("held", flush=True)
sys.stdin.read()
"""


def test_the_second_is_told_who_holds_it(path):
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as holder:
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(LedgerLocked, match=f"process {holder.pid} "):
            DaemonLock(path)
        holder.kill()
        holder.wait()
        with DaemonLock(path) as lock:  # the kernel has let go of it
            assert lock.path.read_text() == f"{os.getpid()}\n"


def test_without_its_lock_file_a_second_daemon_is_kept_out_all_the_same(path):
    """The file was removed, a second daemon started, and both wrote."""
    upgrade(f"sqlite+aiosqlite:///{path}")
    link = path.with_name("other-name.db")
    link.symlink_to(path)
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as holder:
        assert holder.stdout.readline() == "held\n"
        path.with_name(f"{path.name}.lock").unlink()
        for name in (path, link):
            with pytest.raises(LedgerLocked, match="another process writes to it"):
                DaemonLock(name)
        assert is_held(path) is True
        with closing(sqlite3.connect(path)) as connection, connection:  # SQLite's own locks are others
            connection.execute("DELETE FROM call")
        holder.kill()
        holder.wait()
    DaemonLock(path).release()


def test_who_may_only_read_keeps_no_daemon_out(path):
    """A member of the reading group could hold a lock on either file for ever."""
    upgrade(f"sqlite+aiosqlite:///{path}")
    files = [path, path.with_name(f"{path.name}.lock")]
    opened = [os.open(one, os.O_RDONLY) for one in files]
    for handle in opened:
        fcntl.flock(handle, fcntl.LOCK_EX)
        fcntl.fcntl(handle, fcntl.F_OFD_SETLK, struct.pack("@hhqqi4x", fcntl.F_RDLCK, os.SEEK_SET, 0, 0, 0))
    DaemonLock(path).release()
    for handle in opened:
        os.close(handle)


def test_released_it_can_be_taken_again(path):
    lock = DaemonLock(path)
    lock.release()
    lock.release()
    DaemonLock(path).release()
    assert path.with_name(f"{path.name}.lock").exists()


def test_a_folder_that_is_not_there_is_named(tmp_path):
    with pytest.raises(LedgerFailing, match="nowhere"):
        DaemonLock(tmp_path / "nowhere" / "ringledger.db")
