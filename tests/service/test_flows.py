"""The tutorial's flows through the whole daemon: real feed, real sockets, real SQLite file (rule 11)."""

from pathlib import Path
from typing import Any

import pytest

from ringledger.simulator import Options, load_story
from tests.rig import STORIES, office

ROWS = [
    "flow1_missed_inbound",
    "flow2_answered_inbound",
    "flow1_and_2_rings_again",
    "flow2_shuffled_duplicated",
    "flow3_ringout",
    "flow3_ringout_no_answer",
]


@pytest.mark.parametrize("name", ROWS)
async def test_a_row_of_the_table(name: str, transport: str, tmp_path: Path) -> None:
    story = load_story(STORIES / f"{name}.story")
    async with office(tmp_path, transport, options=Options(legacy_2015=True, real_lifetimes=True)) as rig:
        story = story.shifted(rig.sim.clock.now_ms() - story.start)  # the platform's books reach back 30 days only
        await rig.sim.play_story(story, pace=False)
        await rig.until(lambda: len(rig.calls()) == story.expected_calls and _agrees(rig.calls(), story.confirmed))
        assert _agrees(rig.calls(), story.confirmed)


def _agrees(rows: list[dict[str, Any]], expected: list[dict[str, Any]]) -> bool:
    by_session = {row["session_id"]: row for row in rows}
    return all(
        row["session_id"] in by_session and row == {column: by_session[row["session_id"]][column] for column in row}
        for row in expected
    )
