import subprocess
from contextlib import closing
from pathlib import Path

from tests.forked import Process
from tests.until import eventually


def test_a_process_nobody_asks_for_is_killed() -> None:
    process = Process("simulate", stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    assert process.stdout is not None
    with closing(process.stdout) as out:
        assert out.readline()
        process._told.close()
        eventually(lambda: not Path(f"/proc/{process.pid}").exists(), "it has ended")
