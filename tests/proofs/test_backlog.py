"""A flood of events and two `kill -9`: the daemon catches up within half a minute, and no call is lost or wrong.

RATE (events a second) and SECONDS come from the environment (`make backlog`: 1,000 and 300). The figures are printed.
"""

import asyncio
import os
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest

from ringledger.simulator import Office, Options, Pbx, SimClock, Simulator, default_extensions
from tests.crash.child import Child
from tests.crash.test_kill import _work
from tests.manager import Manager
from tests.truth import differences, inexact, seen_whole

RATE = int(os.environ.get("RATE", "150"))
SECONDS = int(os.environ.get("SECONDS", "20"))
#: Simulated seconds in one of ours: calls are as long as in life, and so many at once as at a twentieth of the rate.
SPEED = 20.0
#: What a call of the simulated office gives rise to, on average: events as the ledger counts them, one for each call
#: that a notification tells of. Notifications are fewer (3.4); both are in the figures.
EVENTS_OF_A_CALL = 5.4
EXTENSIONS = 2_000
CATCH_UP_SECONDS = 30.0
#: How long after the last event every call may take to be there, over, and how long until the books have confirmed all.
RECORDED_SECONDS = 60.0
CONFIRMED_SECONDS = 300.0
#: Calls asked about in one question.
ASKED = 500
#: What the platform remembers for a subscription while nobody reads: a start of some seconds.
REMEMBERED = 50_000
DEFAULT = {"poll__interval_seconds": 180 / SPEED, "confirm__sync_interval_seconds": 60 / SPEED}
SHORTEST = {"poll__interval_seconds": 1, "confirm__sync_interval_seconds": 1}


@pytest.fixture
def manager(tmp_path: Path) -> Iterator[Manager]:
    made = Manager(tmp_path / "notify")
    yield made
    made.close()


@pytest.mark.slow
@pytest.mark.timeout(300 + 6 * SECONDS)
@pytest.mark.parametrize("intervals", [DEFAULT, SHORTEST], ids=["default", "shortest"])
async def test_it_catches_up_after_each_kill(
    intervals: dict[str, float],
    transport: str,
    tmp_path: Path,
    manager: Manager,
    capsys: pytest.CaptureFixture[str],
) -> None:
    pbx = Pbx(default_extensions(EXTENSIONS), seed=3)
    options = Options(real_lifetimes=True, queue_limit=REMEMBERED)
    sim = Simulator(clock=SimClock(speed=SPEED), pbx=pbx, options=options)
    sim.websocket.sessions.buffer_size = REMEMBERED
    calls_per_hour = RATE / EVENTS_OF_A_CALL / SPEED * 3_600
    office = Office([*pbx.extensions.values()], calls_per_hour=calls_per_hour, seed=3)
    notifications: list[None] = []
    pbx.listeners.append(lambda _: notifications.append(None))
    async with sim, AsyncExitStack() as stack:
        child = Child(sim, tmp_path, transport, manager=manager, calls__settle_seconds=10 / SPEED, **intervals)
        await stack.enter_async_context(child)
        await child.start()
        await child.until("service.ready")
        closed, began = asyncio.Event(), time.monotonic()
        working = asyncio.create_task(_work(sim, office, closed))
        stack.push_async_callback(_cancelled, working)
        caught_up = []
        for _ in range(2):
            await asyncio.sleep(SECONDS / 3)
            await child.kill()
            ended = {call.session_id for call in pbx.truth()}
            await child.start()
            caught_up.append(await _caught_up(child, ended))
        await asyncio.sleep(SECONDS / 3)
        lasted, notified = time.monotonic() - began, len(notifications)
        closed.set()
        await working
        closing = time.monotonic()
        await _recorded(child, {call.session_id for call in pbx.truth()})
        recorded = time.monotonic() - closing
        await _confirmed(child)
        confirmed = time.monotonic() - closing
        assert await child.stop() == 0
        rows = child.query("SELECT * FROM all_calls")
        events = child.query("SELECT * FROM call_events")
        lines = child.lines()
    seen = seen_whole(events, pbx.calls.values())
    figures = {
        "transport": transport,
        "events": len(events),
        "events a second": round(len(events) / lasted),
        "notifications a second": round(notified / lasted),
        "seconds": round(lasted),
        "calls": len(rows),
        "caught up after": [round(one, 1) for one in caught_up],
        "recorded after": round(recorded, 1),
        "confirmed after": round(confirmed, 1),
        "seen whole": len(seen),
        "without a ring or hold time": sum(None in (row["ring_seconds"], row["hold_seconds"]) for row in rows),
        "back-fills": sum(line["event"] == "backfill.finished" for line in lines),
        "disconnects": sum(line["event"] == "feed.disconnected" for line in lines),
    }
    with capsys.disabled():
        print("\nbacklog:", ", ".join(f"{name} {value}" for name, value in figures.items()))
    sessions = Counter(row["session_id"] for row in rows)
    true = {call.session_id: call for call in pbx.truth()}
    assert (sessions.keys() - true.keys(), true.keys() - sessions.keys()) == (set(), set())
    assert [session for session, count in sessions.items() if count > 1] == []
    assert differences(rows, pbx.truth()) == []
    # what a kill kept anybody from seeing is null, not told as if it had been seen
    told = [row for row in rows if row["session_id"] in seen and row["hold_seconds"] is not None]
    assert inexact(told, pbx.truth(), unseen=True) == []
    assert len(told) > 0.5 * len(rows)
    assert max(caught_up) <= CATCH_UP_SECONDS


async def _caught_up(child: Child, ended: set[str]) -> float:
    """Seconds from a start until every call that had ended before it is in the ledger."""
    began = time.monotonic()
    async with asyncio.timeout(10 * CATCH_UP_SECONDS):
        await _written(child, ended)
    return time.monotonic() - began


async def _recorded(child: Child, true: set[str]) -> None:
    """Until every call is in the ledger, and over."""
    async with asyncio.timeout(RECORDED_SECONDS):
        await _written(child, true)
        while await _asked(child, "SELECT 1 FROM active_calls LIMIT 1"):
            await asyncio.sleep(0.5)


async def _confirmed(child: Child) -> None:
    """Until the platform's records have had their say on every call."""
    async with asyncio.timeout(CONFIRMED_SECONDS):
        while await _asked(child, "SELECT 1 FROM unconfirmed_calls LIMIT 1"):
            await asyncio.sleep(1.0)


async def _written(child: Child, sessions: set[str]) -> None:
    """Until these calls are in the ledger; asked about a few at a time, the newest first."""
    missing = sorted(sessions)
    while missing:
        asked = "', '".join(missing[-ASKED:])
        found = await _asked(child, f"SELECT session_id FROM all_calls WHERE session_id IN ('{asked}')")
        there = {row["session_id"] for row in found}
        missing = missing[:-ASKED] + [one for one in missing[-ASKED:] if one not in there]
        await asyncio.sleep(0.5 if len(there) < ASKED else 0)


async def _asked(child: Child, sql: str) -> list[dict[str, Any]]:
    """An answer of the ledger; the simulator goes on meanwhile, which works in this process and on this loop."""
    return await asyncio.to_thread(child.query, sql)


async def _cancelled(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.wait({task})
