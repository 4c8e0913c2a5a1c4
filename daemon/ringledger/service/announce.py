"""After the commit: log lines and metrics for what has become true (rule 9.3, contract 6).

Nothing in here may fail the daemon or change a fact; it only tells.
"""

import logging
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from enum import StrEnum
from operator import itemgetter
from typing import Any, Final, get_type_hints

from ringledger.domain.call import CallRecord
from ringledger.domain.changes import Announcement, AnnouncementKind, Changes
from ringledger.domain.observation import Source
from ringledger.ledger.schema.calls import TEXTS
from ringledger.ledger.times import to_text
from ringledger.observability.logging import Event, is_heard, log_together
from ringledger.observability.metrics import Metrics

_HIDDEN: Final = frozenset({"from_raw", "to_raw"})
#: Kinds that are not logged at level info.
_LEVELS: Final = {
    AnnouncementKind.IGNORED: logging.DEBUG,
    AnnouncementKind.UNREADABLE: logging.WARNING,
    AnnouncementKind.RESTARTED: logging.WARNING,
}
#: Level and log event of each kind, by its value: an enumeration's own hash is slow.
_LINES: Final = {kind._value_: (_LEVELS.get(kind, logging.INFO), Event(kind)) for kind in AnnouncementKind}


def _shown(name: str, kind: Any) -> tuple[str | None, Callable[[Any], object] | None]:
    """What a field of a record is called in ``calls`` (``None``: it is not there), and how its value is shown."""
    if name in _HIDDEN:
        return None, None
    if name.endswith("_at"):
        return name, to_text
    if name.endswith("_ms"):
        return name.removesuffix("_ms") + "_seconds", _seconds
    if kind in {bool, bool | None}:
        return name, int
    words = isinstance(kind, type) and issubclass(kind, StrEnum)
    return name, _word if words or kind == (Source | None) else None


def _seconds(ms: int) -> float:
    return ms / 1000


def _word(word: StrEnum | None) -> str | None:
    """Return an enumeration's value as a plain string: the renderer is slow with subclasses of str."""
    return None if word is None else word._value_


_FIELDS: Final = {name: _shown(name, kind) for name, kind in get_type_hints(CallRecord).items()}
#: What a record's fields are called, the fields that have a name, and what shows those that are not shown as they are.
_NAMES: Final = tuple([name for name, _ in _FIELDS.values() if name is not None])
_named: Final = itemgetter(*[place for place, (name, _) in enumerate(_FIELDS.values()) if name is not None])
_SHOW: Final = tuple([(name, show) for name, show in _FIELDS.values() if name is not None and show is not None])
#: Fields of a line that the redaction has to see: others have written them, or they are of a person.
FOREIGN: Final = (*TEXTS, "reason", "detail")


#: An extension's number and name by its id, as far as they are known.
Who = Callable[[str | None], tuple[str | None, str | None]]


def nobody(extension_id: str | None) -> tuple[str | None, str | None]:  # noqa: ARG001 - as any Who
    """A directory without entries."""
    return None, None


def row_of(record: CallRecord, who: Who = nobody) -> dict[str, object]:
    """A record with the names and units of the ``calls`` view (contract 5)."""
    row: dict[str, object] = dict(zip(_NAMES, _named(record), strict=True))
    for name, show in _SHOW:
        if (value := row[name]) is not None:
            row[name] = show(value)
    row["extension_number"], row["extension_name"] = who(record.extension_id)
    return row


class Announcer:
    """Writes log lines and counts metrics for committed changes."""

    def __init__(self, metrics: Metrics, who: Who = nobody) -> None:
        self._metrics = metrics
        self._who = who

    def announce(self, changes: Changes) -> None:
        """Log and count every announcement of a committed batch, in order."""
        told = changes.announcements
        if told:
            self._count(told)
            log_together(_lines(told, changes.committed_at, self._who), FOREIGN)
        for entry in changes.quarantined:
            self._metrics.quarantined.labels(source=entry.source, reason=entry.reason).inc()
        for source, count in Counter([observation.source._value_ for observation in changes.observations]).items():
            self._metrics.events_received.labels(source=source).inc(count)

    def _count(self, announcements: Iterable[Announcement]) -> None:
        """Add up what is counted by a label first: each visit to a metric takes its lock."""
        ignored, unreadable, corrected, recorded = (
            Counter[str](),
            Counter[str](),
            Counter[str](),
            Counter[tuple[str, str]](),
        )
        metrics = self._metrics
        for told in announcements:
            kind, record = told.kind, told.record
            if kind is _IGNORED:
                ignored[told.reason or ""] += 1
            elif kind is _UNREADABLE:
                unreadable[told.reason or ""] += 1
            elif kind is _CORRECTED:
                corrected[told.reason or ""] += 1
            elif kind is _FINISHED and record is not None:
                recorded[record.direction._value_, record.disposition._value_] += 1
                if record.ring_ms is not None:
                    metrics.call_ring_seconds.observe(record.ring_ms / 1000)
                if record.answered_at is not None:
                    metrics.call_talk_seconds.observe(record.talk_ms / 1000)
        for reason, count in ignored.items():
            metrics.events_ignored.labels(reason=reason).inc(count)
        for reason, count in unreadable.items():
            metrics.events_unreadable.labels(reason=reason).inc(count)
        for what, count in corrected.items():
            metrics.reconcile_corrections.labels(kind=what).inc(count)
        for (direction, disposition), count in recorded.items():
            metrics.calls_recorded.labels(direction=direction, disposition=disposition).inc(count)


_IGNORED, _UNREADABLE = AnnouncementKind.IGNORED, AnnouncementKind.UNREADABLE
_CORRECTED, _FINISHED = AnnouncementKind.CORRECTED, AnnouncementKind.FINISHED


def _lines(
    announcements: Iterable[Announcement], committed_at: int, who: Who
) -> Iterator[tuple[int, Event, dict[str, object]]]:
    """Yield level, name and fields of each line that the log's level lets through."""
    heard = {level for level in (logging.DEBUG, logging.INFO, logging.WARNING) if is_heard(level)}
    for told in announcements:
        level, event = _LINES[told.kind._value_]
        if level in heard:
            yield level, event, _fields(told, committed_at, who)


def _fields(told: Announcement, committed_at: int, who: Who) -> dict[str, object]:
    _, account_id, session_id, extension_id, at, sequence, source, reason, before, after, record, detail = told
    fields: dict[str, object] = {
        "account_id": account_id,
        "session_id": session_id,
        "extension_id": extension_id,
        "at": to_text(at),
        "sequence": sequence,
        "source": source._value_,
        "reason": reason,
        "detail": detail,
        "from_status": _word(before),
        "to_status": _word(after),
    }
    if record is None:
        return fields  # what is not known is left out where it is rendered
    fields = {name: value for name, value in fields.items() if value is not None}
    fields |= row_of(record, who)
    fields["updated_at"] = to_text(committed_at)
    return fields
