"""What is told once it is committed (rule 9, contract 6)."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from enum import Enum
from pathlib import Path
from typing import get_type_hints

from ringledger.domain.call import CallRecord
from ringledger.domain.changes import Announcement
from ringledger.ledger.schema.calls import NUMBERS
from ringledger.service.announce import FOREIGN
from ringledger.service.ingest import confirmer
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
    monkeypatch.setattr(confirmer, "GIVE_UP_AFTER", -1.0)
    async with one_call(tmp_path) as rig:
        assert rig.daemon.parts is not None
        await rig.until(lambda: not rig.daemon.parts.confirmer.waiting)
        assert rig.query("SELECT 1 FROM unconfirmed_calls")


def test_the_redaction_sees_every_text_that_is_no_word_of_ours() -> None:
    told = get_type_hints(CallRecord) | get_type_hints(Announcement)
    words = {name for name, kind in told.items() if isinstance(kind, type) and issubclass(kind, Enum)}
    texts = {name for name, kind in told.items() if kind in {str, str | None}} - words
    assert texts - {"from_raw", "to_raw"} <= set(FOREIGN)
    assert {"extension_number", "extension_name"} <= set(FOREIGN)  # of the directory
    assert all(name.endswith("_number") for name in NUMBERS)  # by its name a number is masked in log lines
