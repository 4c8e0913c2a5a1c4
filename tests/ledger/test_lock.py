import os
import subprocess
import sys

import pytest

from ringledger.ledger.errors import LedgerFailing, LedgerLocked
from ringledger.ledger.lock import DaemonLock

HOLD = """
import sys
from pathlib import Path
from ringledger.ledger.lock import DaemonLock
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


def test_released_it_can_be_taken_again(path):
    lock = DaemonLock(path)
    lock.release()
    lock.release()
    DaemonLock(path).release()
    assert path.with_name(f"{path.name}.lock").exists()


def test_a_folder_that_is_not_there_is_named(tmp_path):
    with pytest.raises(LedgerFailing, match="nowhere"):
        DaemonLock(tmp_path / "nowhere" / "ringledger.db")
