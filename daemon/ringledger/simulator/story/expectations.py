"""The expectations of a story: what the ledger must say, in the ledger's own column names."""

from collections.abc import Callable

from ringledger.simulator.clock import iso_z
from ringledger.simulator.story.story import Json, Story, StoryError
from ringledger.simulator.story.words import direction_of

SECONDS = {
    "ring": "ring_seconds",
    "talk": "talk_seconds",
    "hold": "hold_seconds",
    "duration": "duration_seconds",
}
TIMES = {"started": "started_at", "answered": "answered_at", "ended": "ended_at"}
COUNTS = {
    "legs": "leg_count",
    "internal": "internal",
    "queue": "queue_call",
    "revision": "revision",
    "accepted": "events_accepted",
    "ignored": "events_ignored",
    "estimated": "end_estimated",
}
TEXTS = {
    "disposition": "disposition",
    "from": "from_number",
    "to": "to_number",
    "from-name": "from_name",
    "to-name": "to_name",
    "ext": "extension_id",
    "result": "result",
    "end-source": "end_source",
    "telephony": "telephony_session_id",
}
#: What the platform's books may change; ``confirmed`` keeps only what is said again about these.
BOOKED = frozenset({*SECONDS.values(), *TIMES.values(), "disposition", "result", "end_source", "revision"})
REASONS = ("stale_sequence", "duplicate", "untrackable", "unreadable", "unknown_status", "monitored")
DISPOSITIONS = frozenset(
    [
        "answered",
        "voicemail",
        "missed",
        "no_answer",
        "busy",
        "declined",
        "abandoned",
        "answered_elsewhere",
        "blocked",
        "failed",
        "unknown",
    ]
)


class Expectations:
    """Collects the lines below ``expect``, ``confirmed`` and ``ignored``. ``time`` reads a time into ms,
    ``session`` gives the ledger's session id of a call."""

    def __init__(self, time: Callable[[str], int], session: Callable[[str], str]) -> None:
        self._time, self._session = time, session
        self.count = -1
        self.rows: dict[str, dict[str, Json]] = {"expect": {}, "confirmed": {}}
        self.ignored: dict[str, int] = {}

    def add(self, block: str, label: str, options: dict[str, str]) -> None:
        """One line about a call; further lines about the same call add to it."""
        row = self.rows[block].setdefault(label, {"session_id": self._session(label)})
        for key, text in options.items():
            column, value = self._value(key, text)
            row[column] = value

    def add_ignored(self, options: dict[str, str]) -> None:
        if unknown := options.keys() - set(REASONS):
            raise ValueError(f"no such reason: {', '.join(sorted(unknown))}; there are {', '.join(REASONS)}")
        self.ignored |= {reason: int(count) for reason, count in options.items()}

    def fill(self, story: Story, line: int) -> None:
        """Put what was collected into the story; raises when counts and lines disagree."""
        before, after = self.rows["expect"], self.rows["confirmed"]
        if self.count < 0:
            raise StoryError(line, "a story says what it expects: expect N calls")
        told = sum("part_of" not in row for row in before.values())
        if told != self.count:
            raise StoryError(line, f"{self.count} calls are expected, but {told} are told")
        if after and not story.log_records:
            raise StoryError(line, "confirmed needs log records")
        story.expected_calls, story.ignored = self.count, self.ignored
        story.expected = list(before.values())
        kept = {label: {c: v for c, v in row.items() if c not in BOOKED} for label, row in before.items()}
        known = {label: kept.get(label, {}) | after.get(label, {}) for label in before | after}
        story.confirmed = list(known.values()) if after else [dict(row) for row in story.expected]

    def _value(self, key: str, text: str) -> tuple[str, object]:
        blank = text == "none"
        if key == "direction":
            return "direction", direction_of(text)
        if key == "disposition" and text not in DISPOSITIONS:
            raise ValueError(f"no such disposition: {text}")
        if key in SECONDS:
            return SECONDS[key], None if blank else float(text)
        if key in TIMES:
            return TIMES[key], None if blank else iso_z(self._time(text))
        if key in COUNTS:
            return COUNTS[key], int(text)
        if key in TEXTS:
            return TEXTS[key], None if blank else text
        if key == "part-of":
            return "part_of", self._session(text)
        raise ValueError(f"nothing to expect of {key}={text}")
