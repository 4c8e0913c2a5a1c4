"""What a parsed call story is: calls, notifications with their delivery times, log records, expectations.

The text form is documented in ``docs/scenarios.md`` and read by :mod:`ringledger.simulator.story.parser`.
"""

import copy
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, NamedTuple, Self

from ringledger.simulator.clock import iso_offset, iso_z, to_ms
from ringledger.simulator.exchange.model import Style

Json = dict[str, Any]


class StoryError(ValueError):
    """A story cannot be read; the message begins with the line number."""

    def __init__(self, line: int, problem: str) -> None:
        super().__init__(f"line {line}: {problem}")
        self.line = line


class Delivery(NamedTuple):
    """One notification as it reaches a subscriber: when (simulated ms), and what."""

    at: int
    envelope: Json


class LogRecord(NamedTuple):
    """One record of the platform's call log, and from when on the log has it (simulated ms); ``listed_at``: from when
    on active-calls shows it, ``None`` if never. One whose result is In Progress is in active-calls only."""

    at: int
    record: Json
    listed_at: int | None = None

    def later(self, ms: int) -> "LogRecord":
        """The same, known ``ms`` later; the times it states stay."""
        return LogRecord(self.at + ms, self.record, None if self.listed_at is None else self.listed_at + ms)


@dataclass(slots=True)
class StoryCall:
    """A call (or a leg's own particulars, where they differ from its call's)."""

    label: str
    line: int
    fields: dict[str, str]


@dataclass(slots=True)
class Story:
    """A call story. ``expected`` and ``confirmed`` hold one dict per call, keyed by the ledger's column names;
    ``confirmed`` is what the same rows say once the log records are known (equal to ``expected`` without any)."""

    name: str
    style: Style
    account_id: str
    start: int
    settle_seconds: float
    calls: dict[str, StoryCall] = field(default_factory=dict)
    deliveries: list[Delivery] = field(default_factory=list)
    log_records: list[LogRecord] = field(default_factory=list)
    expected: list[Json] = field(default_factory=list)
    confirmed: list[Json] = field(default_factory=list)
    ignored: dict[str, int] = field(default_factory=dict)
    expected_calls: int = 0

    @property
    def extensions(self) -> list[str]:
        """The extensions that take part, in order of appearance."""
        return list(dict.fromkeys(str(d.envelope["body"]["extensionId"]) for d in self.deliveries))

    def shifted(self, ms: int) -> Self:
        """The same story at another time: deliveries, timestamps, start times, log records, expectations."""
        return replace(
            self,
            start=self.start + ms,
            deliveries=[Delivery(d.at + ms, shifted_times(d.envelope, ms)) for d in self.deliveries],
            log_records=[r.later(ms)._replace(record=shifted_times(r.record, ms)) for r in self.log_records],
            expected=[shifted_times(row, ms) for row in self.expected],
            confirmed=[shifted_times(row, ms) for row in self.confirmed],
        )


_TIME_KEYS = frozenset({"timestamp", "startTime", "started_at", "answered_at", "ended_at"})


def shifted_times(value: Any, ms: int) -> Any:
    """A copy of a JSON value in which the platform's times are ``ms`` later, each in its own style."""
    value = copy.deepcopy(value)
    pending = [value]
    while pending:
        node = pending.pop()
        if isinstance(node, list):
            pending += node
        elif isinstance(node, dict):
            for key, content in node.items():
                if key in _TIME_KEYS and isinstance(content, str):
                    node[key] = _shifted_time(content, ms)
            pending += node.values()
    return value


def _shifted_time(text: str, ms: int) -> str:
    moment = to_ms(datetime.fromisoformat(text)) + ms
    return iso_z(moment) if text.endswith("Z") else iso_offset(moment)
