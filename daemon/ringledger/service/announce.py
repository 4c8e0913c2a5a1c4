"""After the commit: log lines and metrics for what has become true (semantics 9, contract 6).

Nothing in here may fail the daemon or change a fact; it only tells.
"""

import logging
from collections import Counter
from collections.abc import Callable
from enum import StrEnum
from typing import Any, Final, get_type_hints

from structlog.typing import FilteringBoundLogger

from ringledger.domain.changes import Announcement, Changes, Happening
from ringledger.domain.observation import Source
from ringledger.domain.record import CallRecord
from ringledger.ledger.times import to_text, to_text_or_none
from ringledger.logs import LOG, Event
from ringledger.metrics import Metrics

_HIDDEN: Final = frozenset({"from_raw", "to_raw"})
#: What is not told at level info.
_LEVELS: Final = {
    Happening.IGNORED: logging.DEBUG,
    Happening.UNREADABLE: logging.WARNING,
    Happening.RESTARTED: logging.WARNING,
}
_EVENTS: Final = {happening: Event(happening) for happening in Happening}


def _shown(name: str, kind: Any) -> tuple[str | None, Callable[[Any], object] | None]:
    """What a field of a record is called in ``calls`` (``None``: it is not there), and how its value is shown."""
    if name in _HIDDEN:
        return None, None
    if name.endswith("_at"):
        return name, to_text_or_none
    if name.endswith("_ms"):
        return name.removesuffix("_ms") + "_seconds", lambda ms: ms / 1000
    if kind is bool:
        return name, int
    words = isinstance(kind, type) and issubclass(kind, StrEnum)
    return name, _word if words or kind == (Source | None) else None


def _word(word: StrEnum | None) -> str | None:
    """A word of ours as plain text: whoever renders it is slow with subclasses of str."""
    return None if word is None else word._value_


#: Of each field of a record, by place: its name, and what shows its value.
_SHOWN: Final = tuple(zip(*(_shown(name, kind) for name, kind in get_type_hints(CallRecord).items()), strict=True))


def row_of(record: CallRecord) -> dict[str, object]:
    """A record with the names and units of the ``calls`` view (contract 5)."""
    return {
        name: value if show is None else show(value) for name, show, value in zip(*_SHOWN, record, strict=True) if name
    }


class Announcer:
    """Tells the log and the metrics what a commit has made true."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics

    def announce(self, changes: Changes) -> None:
        """Every announcement of a committed batch, in order."""
        log: FilteringBoundLogger = LOG.bind()  # once a batch: the global one looks up its configuration on each line
        for announcement in changes.announcements:
            self._count(announcement)
            _log(log, announcement, changes.committed_at)
        for source, count in Counter([observation.source for observation in changes.observations]).items():
            self._metrics.events_received.labels(source=source).inc(count)

    def _count(self, told: Announcement) -> None:
        metrics, record = self._metrics, told.record
        match told.happening:
            case Happening.IGNORED:
                metrics.events_ignored.labels(reason=told.reason or "").inc()
            case Happening.UNREADABLE:
                metrics.events_unreadable.labels(reason=told.reason or "").inc()
            case Happening.CORRECTED:
                metrics.reconcile_corrections.labels(kind=told.reason or "").inc()
            case Happening.FINISHED if record is not None:
                metrics.calls_recorded.labels(direction=record.direction, disposition=record.disposition).inc()
                metrics.call_ring_seconds.observe(record.ring_ms / 1000)
                if record.answered_at is not None:
                    metrics.call_talk_seconds.observe(record.talk_ms / 1000)


def _log(log: FilteringBoundLogger, told: Announcement, committed_at: int) -> None:
    level = _LEVELS.get(told.happening, logging.INFO)
    if log.is_enabled_for(level):  # making the fields costs more than all the rest of an unheard line
        log.log(level, _EVENTS[told.happening], **_fields(told, committed_at))


def _fields(told: Announcement, committed_at: int) -> dict[str, object]:
    fields: dict[str, object] = {
        "account_id": told.account_id,
        "session_id": told.session_id,
        "extension_id": told.extension_id,
        "at": to_text(told.at),
        "sequence": told.sequence,
        "source": told.source._value_,
        "reason": told.reason,
        "detail": told.detail,
        "from_status": _word(told.from_status),
        "to_status": _word(told.to_status),
    }
    fields = {name: value for name, value in fields.items() if value is not None}
    if told.record is not None:
        return fields | row_of(told.record) | {"updated_at": to_text(committed_at)}
    return fields
