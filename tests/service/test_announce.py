"""What is told once it is committed (semantics 9, contract 6)."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from ringledger.service import confirm
from ringledger.simulator import Options, load_story
from tests.rig import STORIES, Rig, office

LEGACY = Options(legacy_2015=True, real_lifetimes=True)


@asynccontextmanager
async def one_call(tmp_path: Path) -> AsyncIterator[Rig]:
    """A daemon that leaves confirmations alone and has seen the tutorial's answered call."""
    story = load_story(STORIES / "flow2_answered_inbound.story")
    quiet = {"confirm__enabled": False, "poll__interval_seconds": 120, "backfill__max_days": 0}
    async with office(tmp_path, "pubnub", options=LEGACY, **quiet) as rig:
        await rig.sim.play_story(story.shifted(rig.sim.clock.now_ms() - story.start), pace=False)
        await rig.until(rig.calls)
        yield rig


async def test_a_finished_call_carries_its_whole_row(tmp_path: Path, logs) -> None:
    async with one_call(tmp_path) as rig:
        (told,) = await rig.until(lambda: logs.named("call.finished"))
        row = rig.calls()[0]
    numbers = {"from_number", "to_number"}  # masked in the log
    assert {name: told[name] for name in row if name not in numbers} == {
        name: value for name, value in row.items() if name not in numbers
    }
    assert numbers <= told.keys()


async def test_without_confirmations_nothing_waits_for_ever(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(confirm, "GIVE_UP_AFTER", -1.0)
    async with one_call(tmp_path) as rig:
        assert rig.daemon.parts is not None
        await rig.until(lambda: not rig.daemon.parts.confirmer.waiting)
        assert rig.query("SELECT 1 FROM unconfirmed_calls")
