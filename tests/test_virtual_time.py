"""The loop that jumps: it skips waiting, and nothing else."""

import asyncio
import socket
import threading
import time
from pathlib import Path

import aiosqlite

from tests import virtual_time
from tests.virtual_time import REAL_MONOTONIC, JumpingLoop


def run(work):
    with asyncio.Runner(loop_factory=JumpingLoop) as runner:
        return runner.run(work)


def test_a_day_of_sleep_takes_no_time_and_every_clock_tells_of_it():
    async def day():
        before = time.monotonic(), time.time(), asyncio.get_running_loop().time()
        await asyncio.sleep(86_400)
        after = time.monotonic(), time.time(), asyncio.get_running_loop().time()
        return [round(late - early) for early, late in zip(before, after, strict=True)]

    began = REAL_MONOTONIC()
    assert run(day()) == [86_400, 86_400, 86_400]
    assert REAL_MONOTONIC() - began < 60
    assert abs(time.monotonic() - REAL_MONOTONIC()) < 60  # outside of the loop the machine's clock is back


def test_timers_fire_in_their_order():
    async def three():
        fired = []
        async with asyncio.TaskGroup() as group:
            for seconds in (3_600, 1, 60):

                async def wait(seconds=seconds):
                    await asyncio.sleep(seconds)
                    fired.append(seconds)

                group.create_task(wait())
        return fired

    assert run(three()) == [1, 60, 3_600]


def test_work_in_a_thread_is_waited_for():
    async def work():
        begun, go_on = threading.Event(), threading.Event()

        def slow():
            begun.set()
            go_on.wait()
            return "done"

        job = asyncio.create_task(asyncio.to_thread(slow))
        while not begun.is_set():
            await asyncio.sleep(0)
        threading.Timer(0.05, go_on.set).start()  # the machine's time
        async with asyncio.timeout(30):
            return await job

    assert run(work()) == "done"


def test_work_takes_no_time_however_slow_the_machine():
    def busy():
        began = REAL_MONOTONIC()
        while REAL_MONOTONIC() - began < 0.05:
            pass

    async def work():
        before = time.monotonic(), time.time_ns()
        busy()
        await asyncio.to_thread(busy)
        await asyncio.sleep(0)
        return time.monotonic() - before[0], time.time_ns() - before[1]

    assert run(work()) == (0, 0)


def test_work_in_a_thread_that_waits_for_a_timer_gets_it(monkeypatch):
    monkeypatch.setattr(virtual_time, "JOB_SECONDS", 0.01)

    async def work():
        go_on = threading.Event()
        asyncio.get_running_loop().call_later(3_600, go_on.set)
        return await asyncio.to_thread(go_on.wait, 30)

    assert run(work()) is True


def test_a_query_is_waited_for(tmp_path: Path):
    slow = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 300000) SELECT count(*) FROM n"

    async def query():
        path = tmp_path / "r.db"
        async with asyncio.timeout(30), aiosqlite.connect(path) as database, database.execute(slow) as rows:
            return await rows.fetchone()

    assert run(query()) == (300_000,)


def test_what_a_socket_brings_comes_before_the_timer():
    async def read():
        here, there = socket.socketpair()
        reader, writer = await asyncio.open_connection(sock=here)
        there.sendall(b"now\n")
        try:
            async with asyncio.timeout(0.001):
                return await reader.readline()
        finally:
            writer.close()
            there.close()

    assert run(read()) == b"now\n"


def test_a_child_process_is_waited_for():
    async def child():
        async with asyncio.timeout(30):
            process = await asyncio.create_subprocess_exec("sleep", "0.05")
            return await process.wait()

    assert run(child()) == 0
