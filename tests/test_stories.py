"""Every call story, from the platform's own words to the row people read: wire, tracker, reconciler, record.

Time is virtual: a story's pauses are the monotonic clock, so settling matters exactly where the story says so.
"""

import json
from collections import Counter
from pathlib import Path

import pytest

from ringledger.domain.changes import Changes
from ringledger.domain.observation import Source
from ringledger.domain.tracker import CallTracker, Records
from ringledger.ringcentral.decode.presence import decode_notification
from ringledger.ringcentral.decode.records import decode_records
from ringledger.service.announce import row_of
from ringledger.simulator import Story, load_story

STORIES = sorted((Path(__file__).parent / "scenarios").glob("*.story"))


class Told:
    """A story as the domain has understood it."""

    def __init__(self, story: Story) -> None:
        self.story = story
        self.tracker = CallTracker(settle_seconds=story.settle_seconds)
        self.changes = Changes()
        for delivery in story.deliveries:
            self._advance(delivery.at)
            seen = decode_notification(
                json.dumps(delivery.envelope).encode(),
                account_id=story.account_id,
                default_region="US",
                received_at=delivery.at,
            )
            self.tracker.take(seen, delivery.at / 1000)
        self._advance(story.deliveries[-1].at + 60_000)

    def _advance(self, at: int) -> None:
        while (deadline := self.tracker.next_deadline) is not None and deadline <= at / 1000:
            self.tracker.advance(deadline)
        self.changes.absorb(self.tracker.drain())

    def read_log(self) -> None:
        """The platform's log speaks."""
        for told in self.story.log_records:
            page = decode_records(
                json.dumps({"records": [told.record]}).encode(),
                account_id=self.story.account_id,
                source=Source.CALL_LOG,
                default_region="US",
                read_at=told.at,
            )
            self.tracker.take(Records(tuple(page.claims)), told.at / 1000)
        self.changes.absorb(self.tracker.drain())

    def rows(self) -> dict[str, dict[str, object]]:
        return {key.session_id: row_of(record) for key, record in self.changes.records.items()}


@pytest.mark.parametrize("path", STORIES, ids=lambda path: path.stem)
def test_the_ledger_tells_the_story_as_it_was(path: Path) -> None:
    story = load_story(path)
    told = Told(story)
    _compare(told.rows(), story.expected)
    assert sum(row["part_of"] is None for row in told.rows().values()) == story.expected_calls
    reasons = Counter(entry.reason.value for entry in told.changes.journal if entry.reason is not None)
    assert dict(reasons) == story.ignored
    told.read_log()
    _compare(told.rows(), story.confirmed)


def _compare(rows: dict[str, dict[str, object]], expected: list[dict[str, object]]) -> None:
    got = [{column: rows[str(row["session_id"])].get(column) for column in row} for row in expected]
    assert got == expected


def test_there_are_enough_stories() -> None:
    assert len(STORIES) >= 30
