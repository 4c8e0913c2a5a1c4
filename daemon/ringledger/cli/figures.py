"""What a live view makes of the ledger's answer: today's figures, calls by local hour, whether anybody writes.

What must stay true: nothing here asks a clock; an answer rate is of inbound calls only; hours are local.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from ringledger.ledger.times import to_ms, to_text

if TYPE_CHECKING:
    from ringledger.ledger.queries import Glance

#: The daemon moves the newest span of coverage on every quarter of a minute; four of these missed: it is not there.
ABSENT_MS: Final = 60_000


@dataclass(frozen=True, slots=True)
class Today:
    """Counts of the calls begun since local midnight; ``by_hour`` has one for each hour of the day."""

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
        hours[datetime.fromisoformat(f"{row['minute']}Z").astimezone().hour] += count
        dispositions[row["disposition"]] = dispositions.get(row["disposition"], 0) + count
        total, talk = total + count, talk + row["talk_seconds"]
        if row["direction"] == "Inbound":
            inbound += count
            answered += count if row["disposition"] == "answered" else 0
    return Today(total, inbound, answered, dispositions, talk, tuple(hours))


@dataclass(frozen=True, slots=True)
class View:
    """One moment of the ledger, and when that was (ms). ``written_at``: when somebody last wrote to the file;
    ``held``: whether a process holds the daemon's lock, as far as that can be told."""

    glance: "Glance"
    today: Today
    now: int
    written_at: int
    held: bool | None = None

    @property
    def absent(self) -> bool:
        """Whether no daemon writes to the file."""
        return self.held is False or self.now - self.written_at > ABSENT_MS

    @property
    def as_of(self) -> int:
        """Until when an open call is known to go on."""
        return self.written_at if self.absent else self.now

    def as_json(self) -> dict[str, Any]:
        """For scripts: everything that is shown."""
        today = self.today
        return {
            "at": to_text(self.now),
            "daemon_writes": not self.absent,
            "last_written_at": to_text(self.written_at),
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
            "active_calls": self.glance.active,
            "extension_presence": self.glance.extensions,
        }


def view_of(glance: "Glance", *, now: int, changed_at: int, held: bool | None = None) -> View:
    """``changed_at``: when the file last changed, ms; ``held``: as in :class:`View`.

    The platform's clock, by which coverage is told, may be slow.
    """
    told = to_ms(glance.sight["until_at"]) if glance.sight else 0
    return View(glance, today_of(glance.minutes), now, min(now, max(told, changed_at)), held)


def changed_at(path: Path) -> int:
    """When the database or its write-ahead log last changed, ms."""
    files = (path, path.with_name(f"{path.name}-wal"))
    return max((round(file.stat().st_mtime * 1000) for file in files if file.exists()), default=0)
