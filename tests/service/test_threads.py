"""Work that hangs delays neither other work nor the end."""

import asyncio
import subprocess
import sys
import threading
import time

import pytest

from ringledger.service.threads import MOST, Abandonable

HANGS = """
import asyncio, time
from ringledger.service.threads import Abandonable
async def main():
    asyncio.get_running_loop().set_default_executor(Abandonable())
    try:
        await asyncio.wait_for(asyncio.to_thread(time.sleep, 3600), 0.1)
    except TimeoutError:
        print("given up")
asyncio.run(main())
"""


def test_the_process_ends_although_a_thread_hangs():
    ended = subprocess.run([sys.executable, "-c", HANGS], capture_output=True, text=True, timeout=60, check=False)
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "given up\n", "")


@pytest.mark.real_time
async def test_results_errors_and_what_was_cancelled():
    asyncio.get_running_loop().set_default_executor(Abandonable(1))
    gate = threading.Event()
    first = asyncio.ensure_future(asyncio.to_thread(gate.wait))
    cancelled = asyncio.ensure_future(asyncio.to_thread(gate.clear))
    await asyncio.sleep(0)
    cancelled.cancel()
    with pytest.raises(asyncio.CancelledError):
        await cancelled
    gate.set()
    assert await first
    with pytest.raises(ZeroDivisionError):
        await asyncio.to_thread(lambda: 1 // 0)
    assert gate.is_set()


@pytest.mark.real_time
async def test_there_is_a_bound_and_those_who_wait_have_their_turn():
    executor, gate, before = Abandonable(), threading.Event(), threading.active_count()
    asked = [executor.submit(gate.wait, 30) for _ in range(3 * MOST)]
    assert threading.active_count() - before <= MOST
    gate.set()
    assert all(one.result(30) for one in asked)
    deadline = time.monotonic() + 30
    while threading.active_count() > before:
        assert time.monotonic() < deadline
        await asyncio.sleep(0.01)
