"""What a test has started ends with it, whatever has failed."""

import asyncio
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest

from ringledger.simulator import Simulator
from tests.crash.child import Child
from tests.ending import ended, ended_here

#: It tells that it runs, and goes on for ever.
GOES_ON = [sys.executable, "-c", "import signal\nprint(flush=True)\nsignal.pause()"]


class FailedError(Exception):
    """What went wrong in the test."""


@pytest.mark.slow
@pytest.mark.parametrize("forked", [False, True])
async def test_a_daemon(forked: bool, tmp_path: Path) -> None:
    with suppress(FailedError):
        async with Simulator() as sim, Child(sim, tmp_path, "websocket", forked=forked) as child:
            await child.start()
            await child.until("service.ready")
            raise FailedError
    assert not child.running


def test_a_process_even_one_that_was_stopped() -> None:
    with suppress(FailedError), subprocess.Popen(GOES_ON, stdout=subprocess.PIPE) as process, ended(process):
        assert process.stdout is not None
        process.stdout.readline()
        process.send_signal(signal.SIGSTOP)
        raise FailedError
    assert process.returncode == -signal.SIGKILL


async def test_a_process_of_the_loops() -> None:
    process = await asyncio.create_subprocess_exec(*GOES_ON, stdout=subprocess.PIPE)
    with suppress(FailedError):
        async with ended_here(process):
            raise FailedError
    assert process.returncode == -signal.SIGKILL
