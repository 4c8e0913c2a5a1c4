"""The sequence guard: which events may change a status (semantics 2).

Two memories serve it. Per extension: the largest sequence and the newest server time accepted, to notice that the
counter has started again. Per extension and call: the newest accepted event (:class:`~ringledger.domain.call.Mark`).
What must stay true: the order of two events of one extension about one call is the order of their
``(epoch, sequence, time)``, so the newest event is the same whatever order they arrive in.
"""

from enum import Enum
from typing import Final

from ringledger.domain.call import CallSession, Mark, Phase
from ringledger.domain.changes import Extension
from ringledger.domain.hindsight import only_books_told
from ringledger.domain.observation import CallItem
from ringledger.domain.status import TelephonyStatus, TerminationType

#: A smaller sequence is a restart only when it was sent this long after the newest accepted event (semantics 2.3).
RESTART_AFTER_MS: Final = 60_000

#: How many event ids a call remembers; older repeats are caught by the sequence (semantics 2.4).
REMEMBERED_UUIDS: Final = 32


class Order(Enum):
    """How an event stands to what is known of the call."""

    NEWER = "newer"
    """Changes statuses."""
    REPEATED = "repeated"
    """Accepted, but tells nothing new: an equal sequence of an earlier time, or a repeat of an end."""
    HINDSIGHT = "hindsight"
    """Of a call that only the books had told of, and that is over: accepted, but for its status and its end."""
    LATE = "late"
    """The end of a side nobody saw, heard after the call was over: noted for the guard, changes nothing."""
    STALE = "stale"
    """Ignored; may only fill in facts."""


def count_sequence(extension: Extension, sequence: int, at: int) -> tuple[int, bool]:
    """The epoch an event belongs to, and whether it started that epoch. Moves the extension's counters.

    An event older than the restart belongs to the epoch before, however large its sequence.
    """
    if sequence < extension.last_sequence and at > extension.updated_at + RESTART_AFTER_MS:
        extension.epoch += 1
        extension.epoch_started_at = at
        extension.last_sequence = sequence
        return extension.epoch, True
    if at < extension.epoch_started_at:
        return extension.epoch - 1, False
    extension.last_sequence = max(extension.last_sequence, sequence)
    return extension.epoch, False


def judge(call: CallSession, extension_id: str, event: Mark, items: list[CallItem]) -> Order:
    """Whether an event of ``extension_id`` that reports ``items`` of ``call`` may change it."""
    mark = call.marks.get(extension_id)
    if mark is not None:
        if (event.epoch, event.sequence) < (mark.epoch, mark.sequence):
            return Order.STALE
        if event < mark:
            return Order.REPEATED
    if call.phase is Phase.FINISHED:
        return _judge_finished(call, mark, event, items)
    return Order.NEWER


def _judge_finished(call: CallSession, mark: Mark | None, event: Mark, items: list[CallItem]) -> Order:
    """A finished call is reopened only by a sign of life that is newer than its end (semantics 2.5, 2.8, 5.4); a
    newer end of a side we know moves the end; an intermediate ``NoCall`` is neither. What a feed that was away tells of
    a call the books have closed meanwhile is no repeat: nobody has told it before.
    """
    alive = any(item.status is not TelephonyStatus.NO_CALL for item in items)
    ended = any(
        item.status is TelephonyStatus.NO_CALL and item.termination is not TerminationType.INTERMEDIATE
        for item in items
    )
    newer = call.ended_at is None or event.at > call.ended_at
    if alive and not newer and only_books_told(call):
        return Order.HINDSIGHT
    if mark is None:
        return (Order.NEWER if newer else Order.STALE) if alive else Order.LATE
    larger = (event.epoch, event.sequence) > (mark.epoch, mark.sequence)
    return Order.NEWER if larger and (alive or ended) else Order.REPEATED


def remember(call: CallSession, extension_id: str, event: Mark, uuid: str | None) -> None:
    """Record that an event was accepted."""
    mark = call.marks.get(extension_id)
    if mark is None or event > mark:
        call.marks[extension_id] = event
    remember_uuid(call, uuid)


def remember_uuid(call: CallSession, uuid: str | None) -> None:
    """Record that an event has been taken, whatever it changed."""
    if uuid is not None:
        call.uuids.append(uuid)
        del call.uuids[:-REMEMBERED_UUIDS]
