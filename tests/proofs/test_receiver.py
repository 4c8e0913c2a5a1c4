"""A receiver of webhooks is down for an hour while calls go on, and the daemon is killed in the middle of it.

In the end every finished call has been told, in order, signed, and nothing was given up.
"""

import asyncio
import json
from collections import Counter
from pathlib import Path

import pytest

from ringledger.simulator import Office, Options, Pbx, SimClock, Simulator, default_extensions
from tests.proofs.fast import FastChild, complete
from tests.receiver import Receiver, in_order, receiving, signed
from tests.until import until

pytestmark = pytest.mark.timeout(420)

SPEED = 30.0
MINUTE = 60.0
CALLS_PER_HOUR = 240
SECRET = "planted-secret-4711"
EVENTS = ["call.opened", "call.status_changed", "call.finished", "call.amended", "call.missed"]
#: Attempts that half an hour of the real schedule leaves room for, several times over.
HAMMERING = 100


def _daemon(sim: Simulator, directory: Path, hook: Receiver) -> FastChild:
    child = FastChild(
        sim,
        directory,
        "websocket",
        calls__settle_seconds=10 / SPEED,
        poll__interval_seconds=180 / SPEED,
        confirm__sync_interval_seconds=60 / SPEED,
    )
    child.speed = SPEED
    hooks = [{"url": hook.url, "events": EVENTS, "secret": SECRET}]
    child._environment["RINGLEDGER_WEBHOOKS"] = json.dumps(hooks)
    return child


def _waiting(child: FastChild) -> set[str]:
    return {row["event_id"] for row in child.query("SELECT event_id FROM outbox")}


async def _outage(sim: Simulator, child: FastChild, hook: Receiver) -> Counter[str]:
    """Half an hour of a closed port, `kill -9` and a new start, half an hour of 503; how fast the rest goes out."""
    figures: Counter[str] = Counter()
    await hook.stop()
    await sim.clock.sleep(30 * MINUTE)
    figures["letters at the kill"] = len(_waiting(child))
    assert await child.kill()
    hook.answer = lambda _: 503
    await hook.start()
    await child.start()
    await child.until("service.ready")
    before = len(hook.seen)
    await sim.clock.sleep(30 * MINUTE)
    figures["attempts in half an hour of 503"] = len(hook.seen) - before
    figures["most attempts of a letter"] = child.query("SELECT max(attempts) AS n FROM outbox")[0]["n"]
    backlog, told = _waiting(child), len(hook.accepted)
    figures["letters at the end"] = len(backlog)
    hook.answer = lambda _: 204
    up = sim.clock.now_ms()
    await until(lambda: len(hook.accepted) > told, "a first delivery", 30)
    figures["simulated seconds to the first"] = (first := sim.clock.now_ms() - up) // 1000
    await until(lambda: not backlog & _waiting(child), "the rest goes out", 120)
    figures["real ms to drain after it"] = round((sim.clock.now_ms() - up - first) / SPEED)
    return figures


async def test_an_hour_without_a_receiver_and_a_kill(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Five minutes of deliveries, an hour of none, five minutes more; at 30 times the speed, the schedule with it."""
    clock, pbx = SimClock(speed=SPEED), Pbx(default_extensions(20), seed=11)
    async with (
        receiving() as hook,
        Simulator(clock=clock, pbx=pbx, options=Options(real_lifetimes=True)) as sim,
        _daemon(sim, tmp_path, hook) as child,
    ):
        await child.start()
        await child.until("service.ready")
        office = Office(list(pbx.extensions.values()), calls_per_hour=CALLS_PER_HOUR, seed=11)
        calls = asyncio.create_task(sim.run_office(office, until=clock.now_ms() + round(70 * MINUTE * 1000)))
        await clock.sleep(5 * MINUTE)
        assert hook.accepted
        figures = await _outage(sim, child, hook)
        await calls
        await complete(sim, child)
        await until(lambda: not _waiting(child), "nothing is left", 60)
        finished = {row["session_id"] for row in child.query("SELECT session_id FROM all_calls")}
        dead = child.query("SELECT 1 FROM outbox WHERE gave_up_at IS NOT NULL")
        assert await child.stop() == 0
    told = [one for one in hook.accepted if one.name == "call.finished"]
    ids = Counter(one.event["id"] for one in hook.accepted)
    events = Counter(line["event"] for line in child.lines() if line["event"].startswith("webhook."))
    figures |= {"calls": len(finished), "events": len(ids), "told twice": len(hook.accepted) - len(ids)}
    with capsys.disabled():
        print("\nreceiver:", ", ".join(f"{name} {value}" for name, value in figures.items()), dict(events))
        print("receiver:", dict(Counter(one.name for one in hook.accepted)))
    assert finished == {call.session_id for call in pbx.truth()}
    assert {one.event["subject"] for one in told} == finished
    assert dead == []
    assert events["webhook.failed"] == 0
    assert figures["attempts in half an hour of 503"] < HAMMERING
    assert {one.name for one in hook.accepted} == set(EVENTS)
    in_order(hook)
    signed(hook, SECRET)
