"""How late an office's books are, as a client sees it who asks each second (ranges: platform page 5)."""

import heapq
from itertools import count
from typing import Any

from ringledger.simulator import Office, SimCall, SimClock, Simulator
from tests.simulator.conftest import Client

CALLS = "/restapi/v1.0/account/~"
#: Seconds a question may come after what it sees.
STEP = 1


class Watch:
    """When each session was listed first and last, and when it was logged first (ms)."""

    def __init__(self) -> None:
        self.listed: dict[str, int] = {}
        self.left: dict[str, int] = {}
        self.logged: dict[str, int] = {}

    async def look(self, client: Client, now: int) -> None:
        for record in await _records(client, "active-calls"):
            self.listed.setdefault(record["sessionId"], now)
            self.left[record["sessionId"]] = now
        for record in await _records(client, "call-log"):
            self.logged.setdefault(record["sessionId"], now)


async def _records(client: Client, name: str) -> list[dict[str, Any]]:
    status, body = await client.call("GET", f"{CALLS}/{name}?perPage=1000")
    assert status == 200
    return list(body["records"])


async def _watched(client: Client, calls: list[SimCall]) -> Watch:
    """The calls happen to the second, and every second somebody looks, until all of them have left the list."""
    watch, order, clock, pbx = Watch(), count(), client.sim.clock, client.sim.pbx
    steps = [(step.at, next(order), call, step) for call in calls for step in call.plan]
    heapq.heapify(steps)
    until = max(step[0] for step in steps) + 130_000
    while clock.now_ms() < until:
        clock.advance(STEP)
        while steps and steps[0][0] <= clock.now_ms():
            _, _, call, step = heapq.heappop(steps)
            pbx.apply(call, step)
        await watch.look(client, clock.now_ms())
    return watch


def _within(delays: list[float], low: float, high: float) -> None:
    """All of them, told by who looks each second, and spread over the whole range."""
    assert low <= min(delays) < low + (high - low) / 4
    assert high - (high - low) / 4 < max(delays) <= high + STEP


async def test_books_are_late_by_what_the_platforms_are(http: Any) -> None:
    async with Simulator(clock=SimClock(speed=0)) as sim:
        client = Client(sim, http)
        await client.login()
        office = Office([*sim.pbx.extensions.values()], calls_per_hour=400, seed=4)
        calls = office.day(sim.clock.now_ms(), 0.2)
        watch = await _watched(client, calls)
    assert len(calls) > 60
    ends = {call.session_id: call.changes()[-1][0].at for call in calls}
    answers = {
        call.session_id: next((one.at for one, _ in call.changes() if one.status == "CallConnected"), None)
        for call in calls
    }
    assert watch.listed.keys() == watch.logged.keys() == ends.keys()
    shown = {session: answers[session] or ends[session] for session in ends}  # ringing calls are never listed
    _within([(watch.listed[session] - at) / 1000 for session, at in shown.items()], 3, 10)
    _within([(watch.logged[session] - at) / 1000 for session, at in ends.items()], 15, 60)
    assert sum(answer is None for answer in answers.values()) > 10
    for session, at in ends.items():
        assert 120 - 2 * STEP <= (watch.left[session] - at) / 1000 < 120
