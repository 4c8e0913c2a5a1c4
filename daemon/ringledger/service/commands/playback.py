"""Recorded facts through the tracker, on the time at which they came.

No clock and no waiting: timers fire at their own time while the recorded time moves on, so a day takes seconds and
comes out the same each time. What must stay true: late facts do not turn time back; all records of one answer are
taken at once; an incomplete listing proves no absence.
"""

from collections.abc import Collection

from ringledger.domain.changes import Changes
from ringledger.domain.observation import PresenceObservation, Source
from ringledger.domain.tracked import SavedCall
from ringledger.domain.tracker import CallTracker, Listing, Records
from ringledger.ringcentral.decode.recording import FeedState, Recorded, RecordedListing


class Playback:
    """A tracker whose clock is the recording's. Times are ms since the epoch."""

    def __init__(self, *, settle_seconds: float, stale_after_seconds: float) -> None:
        self.tracker = CallTracker(settle_seconds=settle_seconds, stale_after_seconds=stale_after_seconds)
        self._settle = settle_seconds
        self._now = 0.0

    @property
    def now_ms(self) -> int:
        """The recorded time reached so far."""
        return round(self._now * 1000)

    def take(self, recorded: Recorded) -> None:
        """Apply what came next."""
        if isinstance(recorded, PresenceObservation):
            self._observe(recorded)
        elif isinstance(recorded, RecordedListing):
            self._answer(recorded)
        elif isinstance(recorded, FeedState):
            self._advance(recorded.at / 1000)
            if recorded.live:
                self.tracker.live_since = recorded.at
        else:
            self._advance(recorded.received_at / 1000)

    def restore(self, calls: Collection[SavedCall]) -> None:
        """Take calls whose facts are all known; the settling time has to pass for their rows."""
        self.tracker.restore(calls, now=self._now)

    def settle(self) -> None:
        """Let the settling time pass; calls that are still open then stay open."""
        self.wait(self._settle)

    def wait(self, seconds: float) -> None:
        """Let time pass in which nothing comes."""
        self._advance(self._now + seconds)

    def take_changes(self) -> Changes:
        """What has come of it since the last time."""
        return self.tracker.drain()

    def _observe(self, seen: PresenceObservation) -> None:
        self._advance(seen.received_at / 1000)
        self.tracker.take(seen, self._now)

    def _answer(self, answer: RecordedListing) -> None:
        self._advance(answer.received_at / 1000)
        listed = self.tracker.take(Records(tuple(answer.claims)), self._now)
        if answer.complete and answer.source is Source.ACTIVE_CALLS:
            self.tracker.take(Listing(frozenset(listed), answer.read_at), self._now)

    def _advance(self, until: float) -> None:
        """Let every timer fire at its own time; late facts do not turn time back."""
        while (deadline := self.tracker.next_deadline) is not None and deadline <= until:
            self._now = max(self._now, deadline)
            self.tracker.advance(self._now)
        self._now = max(self._now, until)
