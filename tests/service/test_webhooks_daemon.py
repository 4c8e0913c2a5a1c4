"""Webhooks of a whole daemon: what the ledger says is what receivers hear, whatever happens to either of them."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from ringledger.cli import main
from ringledger.simulator import Office, Options, Pbx, SimClock, Simulator, default_extensions, load_story
from tests.crash.child import Child
from tests.receiver import ROW, Receiver, in_order, receiving, signed
from tests.rig import STORIES, Rig, office, running, settings_for
from tests.until import until

#: The receiver is a process of its own.
pytestmark = pytest.mark.real_time

SECRET = "planted-secret-4711"
SPEED = 20.0


def hooks(*receivers: Receiver) -> list[dict[str, Any]]:
    return [{"url": one.url, "events": ["call.*"], "secret": SECRET} for one in receivers]


def outbox(rig: Rig) -> list[dict[str, Any]]:
    return rig.query("SELECT * FROM outbox ORDER BY id")


def rows_heard(receiver: Receiver) -> dict[str, dict[str, Any]]:
    """What a receiver that keeps the newest row of each call has in its books."""
    return {one.event["subject"]: one.event["data"] for one in receiver.accepted if one.name in ROW}


@pytest.mark.parametrize(("story", "missed"), [("flow1_and_2_rings_again", 0), ("missed_then_logged", 1)])
async def test_a_receiver_ends_up_with_the_ledgers_rows(tmp_path: Path, story: str, missed: int) -> None:
    """One call that rings again and is answered, and one that the platform's log confirms as missed."""
    told = load_story(STORIES / f"{story}.story")
    options = Options(legacy_2015=True, real_lifetimes=True)
    async with receiving() as hook, office(tmp_path, "pubnub", options=options, webhooks=hooks(hook)) as rig:
        told = told.shifted(rig.sim.clock.now_ms() - told.start)
        await rig.sim.play_story(told, pace=False)
        await rig.until(lambda: rig.calls() and (rig.calls()[0]["confirmed_at"] or not missed), "the last word")
        await rig.until(lambda: not outbox(rig), "everything delivered")
        (row,) = rig.calls()
        assert rows_heard(hook) == {row["session_id"]: row}
        names = hook.names()
        assert names[0] == "call.opened"
        assert names.index("call.finished") > names.index("call.status_changed")
        assert names.count("call.missed") == missed


async def test_a_hanging_receiver_holds_up_nothing(transport: str, tmp_path: Path) -> None:
    pbx = Pbx(default_extensions(10), seed=3)
    clock = SimClock(speed=100.0)
    async with receiving() as slow, receiving() as hook:
        slow.hang()
        async with Simulator(clock=clock, pbx=pbx, options=Options(real_lifetimes=True)) as sim:
            settings = settings_for(sim, tmp_path / "r.db", transport, webhooks=hooks(slow, hook))
            async with running(sim, settings) as rig:
                people = Office(list(pbx.extensions.values()), calls_per_hour=120, seed=3)
                await sim.run_office(people, until=clock.now_ms() + 900_000)
                await rig.until(lambda: len(rig.query("SELECT 1 FROM all_calls")) >= len(pbx.truth()), "all calls")
                await rig.until(lambda: len(rows_heard(hook)) >= len(pbx.truth()), "the other has all")
                assert slow.seen == []
                assert {row["receiver"] for row in outbox(rig)}


async def test_dead_letters_are_retried_by_the_running_daemon(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    story = load_story(STORIES / "answered.story")
    async with receiving() as hook, office(tmp_path, "pubnub", webhooks=hooks(hook)) as rig:
        hook.answer = lambda _: 410
        await rig.sim.play_story(story.shifted(rig.sim.clock.now_ms() - story.start), pace=False)
        await rig.until(lambda: rig.calls() and rig.calls()[0]["confirmed_at"], "confirmed")
        await rig.until(lambda: outbox(rig) and all(row["gave_up_at"] for row in outbox(rig)), "all given up")
        count = len(outbox(rig))
        monkeypatch.setenv("RINGLEDGER_DATABASE__URL", rig.daemon.settings.database.url)
        monkeypatch.setenv("RINGLEDGER_DATABASE__DIRECTORY", str(tmp_path))
        hook.answer = lambda _: 200
        capsys.readouterr()
        assert await asyncio.to_thread(main, ["webhooks", "retry", "--all", "--json"]) == 0
        assert json.loads(capsys.readouterr().out) == {"retried": count}
        await rig.until(lambda: not outbox(rig), "delivered at last")
        assert len(hook.accepted) == count
        assert await asyncio.to_thread(main, ["webhooks", "retry", "7"]) == 1  # nothing is given up


@pytest.mark.timeout(180)
async def test_killed_twice_with_the_receiver_down_for_a_while_every_call_arrives_in_order(tmp_path: Path) -> None:
    pbx = Pbx(default_extensions(10), seed=5)
    clock = SimClock(speed=SPEED)
    pace = {"calls__settle_seconds": 10 / SPEED, "poll__interval_seconds": 5, "confirm__sync_interval_seconds": 2}
    async with (
        receiving() as hook,
        Simulator(clock=clock, pbx=pbx, options=Options(real_lifetimes=True)) as sim,
        Child(sim, tmp_path, "pubnub", forked=True, **pace) as child,
    ):
        child._environment["RINGLEDGER_WEBHOOKS"] = json.dumps(hooks(hook))
        await child.start()
        await child.until("service.ready")
        people = Office(list(pbx.extensions.values()), calls_per_hour=900, seed=5)
        working = asyncio.create_task(sim.run_office(people, until=clock.now_ms() + 240_000))
        await until(lambda: "call.finished" in hook.names(), "a first call")
        assert await child.kill()  # in the middle of deliveries
        await hook.stop()
        await child.start()
        await until(lambda: waiting(child) > 30, "letters pile up", 60)
        assert await child.kill()  # with the receiver down
        await hook.start()
        await child.start()
        await asyncio.wait_for(working, 90)
        true = {call.session_id for call in pbx.truth()}
        await until(lambda: rows_heard(hook).keys() >= true, "every call has been heard of", 60)
        await until(lambda: waiting(child) == 0 and not pbx.open_calls(), "nothing is left", 60)
        # The platform's log may correct a row at any time: then its letter is on its way.
        await until(lambda: not newer_than_heard(child, hook), lambda: newer_than_heard(child, hook), 60)
        assert await child.stop() == 0
        in_order(hook)
        signed(hook, SECRET)
        assert SECRET not in child.log.read_text()


def newer_than_heard(child: Child, hook: Receiver) -> set[str]:
    """Calls whose row is newer than the last that was heard of it."""
    heard = rows_heard(hook)
    rows = child.query("SELECT session_id, revision FROM all_calls")
    return {
        row["session_id"] for row in rows if heard.get(row["session_id"], {"revision": 0})["revision"] < row["revision"]
    }


def waiting(child: Child) -> int:
    return len(child.query("SELECT 1 FROM outbox"))
