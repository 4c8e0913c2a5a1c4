"""What a live view makes of the ledger's answer: today's figures, calls by hour, as of when they are.

What must stay true: nothing here asks a clock; an answer rate is of inbound calls only; hours are those of the report's
zone.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ringledger.cli.status import stamped
from ringledger.cli.times import local
from ringledger.ledger.times import to_text

if TYPE_CHECKING:
    from ringledger.ledger.read.queries import Glance
    from ringledger.service.health.status import DaemonStatus


@dataclass(frozen=True, slots=True)
class Today:
    """Counts of the calls begun since midnight; ``by_hour`` has one for each hour of the day."""

    calls: int = 0
    inbound: int = 0
    inbound_answered: int = 0
    dispositions: dict[str, int] = field(default_factory=dict)
    talk_seconds: float = 0.0
    by_hour: tuple[int, ...] = (0,) * 24

    @property
    def answer_rate(self) -> float | None:
        """Answered of the inbound calls; none: there were no such calls."""
        return self.inbound_answered / self.inbound if self.inbound else None

    def count(self, disposition: str) -> int:
        """How many ended so."""
        return self.dispositions.get(disposition, 0)


def today_of(minutes: Iterable[Mapping[str, Any]]) -> Today:
    """The sums of :attr:`Glance.minutes`."""
    hours, dispositions = [0] * 24, dict[str, int]()
    total = inbound = answered = 0
    talk = 0.0
    for row in minutes:
        count = row["calls"]
        hours[local(f"{row['minute']}Z").hour] += count
        dispositions[row["disposition"]] = dispositions.get(row["disposition"], 0) + count
        total, talk = total + count, talk + row["talk_seconds"]
        if row["direction"] == "Inbound":
            inbound += count
            answered += count if row["disposition"] == "answered" else 0
    return Today(total, inbound, answered, dispositions, talk, tuple(hours))


@dataclass(frozen=True, slots=True)
class View:
    """One moment of the ledger, and what is known of its daemon at that moment."""

    glance: "Glance"
    today: Today
    status: "DaemonStatus"

    @property
    def now(self) -> int:
        """When this was, ms."""
        return self.status.at

    @property
    def current(self) -> bool:
        """Whether what is shown is as of now."""
        return self.status.current

    @property
    def as_of(self) -> int:
        """Until when an open call is known to go on, ms."""
        return self.now if self.status.as_of is None else self.status.as_of

    def as_json(self) -> dict[str, Any]:
        """For scripts: everything that is shown."""
        today, status = self.today, self.status.as_json()
        return {
            "at": to_text(self.now),
            "as_of": status["as_of"],
            "daemon_writes": self.status.runs,
            "last_written_at": status["written_at"],
            "daemon": status,
            "coverage": self.glance.sight,
            "holes_today": self.glance.holes,
            "unconfirmed": self.glance.unconfirmed,
            "today": {
                "calls": today.calls,
                "inbound": today.inbound,
                "outbound": today.calls - today.inbound,
                "answer_rate": None if today.answer_rate is None else round(today.answer_rate, 4),
                "dispositions": today.dispositions,
                "talk_seconds": round(today.talk_seconds, 3),
                "by_hour": list(today.by_hour),
            },
            "active_calls": stamped(self.glance.active, self.status),
            "extension_presence": stamped(self.glance.extensions, self.status),
        }


def view_of(glance: "Glance", status: "DaemonStatus") -> View:
    """What is shown of both."""
    return View(glance, today_of(glance.minutes), status)
