"""The telephony status of legs, calls and extensions: one table, one order of strength.

This file owns every rule that depends on a pair of statuses. ``LEG_TRANSITIONS`` has an entry for each pair, so a
leg never meets a case that was not thought of; the state diagram in ARCHITECTURE.md is generated from it. What must
stay true: the table is total, and aggregation is a maximum, so it depends on no order.
"""

from collections.abc import Iterable, Sequence
from enum import Enum, StrEnum
from typing import Final


class TelephonyStatus(StrEnum):
    """The platform's five statuses of an item, a leg, a call or an extension (platform page 1.3)."""

    NO_CALL = "NoCall"
    RINGING = "Ringing"
    PARKED_CALL = "ParkedCall"
    ON_HOLD = "OnHold"
    CALL_CONNECTED = "CallConnected"

    #: Members key the transition table on the hot path; hashing the text itself spares a Python call each time.
    __hash__ = str.__hash__


class TerminationType(StrEnum):
    """What a ``NoCall`` means: ``final`` ends the leg, ``intermediate`` does not (rule 5.1)."""

    FINAL = "final"
    INTERMEDIATE = "intermediate"


class LegChange(Enum):
    """What an accepted status does to a leg; the value is the label drawn in the state diagram."""

    REPEATED = "repeated"
    RINGS = "rings"
    ANSWERED = "answered"
    HELD = "held"
    RESUMED = "resumed"
    PARKED = "parked"
    RINGS_AGAIN = "rings again"
    REVIVED = "revived"
    ENDED = "ended"


NO_CALL, RINGING, PARKED, ON_HOLD, CONNECTED = TelephonyStatus

#: (status before, status reported) -> what it does. ``None`` stands for a leg that is new.
LEG_TRANSITIONS: Final[dict[tuple[TelephonyStatus | None, TelephonyStatus], LegChange]] = {
    (None, NO_CALL): LegChange.ENDED,
    (None, RINGING): LegChange.RINGS,
    (None, CONNECTED): LegChange.ANSWERED,
    (None, ON_HOLD): LegChange.HELD,
    (None, PARKED): LegChange.PARKED,
    (NO_CALL, NO_CALL): LegChange.REPEATED,
    (NO_CALL, RINGING): LegChange.RINGS_AGAIN,
    (NO_CALL, CONNECTED): LegChange.REVIVED,
    (NO_CALL, ON_HOLD): LegChange.REVIVED,
    (NO_CALL, PARKED): LegChange.REVIVED,
    (RINGING, NO_CALL): LegChange.ENDED,
    (RINGING, RINGING): LegChange.REPEATED,
    (RINGING, CONNECTED): LegChange.ANSWERED,
    (RINGING, ON_HOLD): LegChange.HELD,
    (RINGING, PARKED): LegChange.PARKED,
    (CONNECTED, NO_CALL): LegChange.ENDED,
    (CONNECTED, RINGING): LegChange.RINGS_AGAIN,
    (CONNECTED, CONNECTED): LegChange.REPEATED,
    (CONNECTED, ON_HOLD): LegChange.HELD,
    (CONNECTED, PARKED): LegChange.PARKED,
    (ON_HOLD, NO_CALL): LegChange.ENDED,
    (ON_HOLD, RINGING): LegChange.RINGS_AGAIN,
    (ON_HOLD, CONNECTED): LegChange.RESUMED,
    (ON_HOLD, ON_HOLD): LegChange.REPEATED,
    (ON_HOLD, PARKED): LegChange.PARKED,
    (PARKED, NO_CALL): LegChange.ENDED,
    (PARKED, RINGING): LegChange.RINGS_AGAIN,
    (PARKED, CONNECTED): LegChange.RESUMED,
    (PARKED, ON_HOLD): LegChange.HELD,
    (PARKED, PARKED): LegChange.REPEATED,
}

#: Weakest first: a call's (and an extension's) status is the strongest over its live legs (rule 3.1).
STRENGTH: Final[dict[TelephonyStatus, int]] = {
    NO_CALL: 0,
    RINGING: 1,
    PARKED: 2,
    ON_HOLD: 3,
    CONNECTED: 4,
}

#: Statuses that prove an answer.
ANSWERED_STATUSES: Final = frozenset({CONNECTED, ON_HOLD, PARKED})
#: Statuses whose spans are hold time.
HOLD_STATUSES: Final = frozenset({ON_HOLD, PARKED})


def aggregate(statuses: Iterable[TelephonyStatus]) -> TelephonyStatus:
    """The strongest of ``statuses``, each the status of a live leg; ``NoCall`` when there is none (rule 3.1)."""
    return max(statuses, key=STRENGTH.__getitem__, default=NO_CALL)


def none_living() -> list[int]:
    """How many of no legs have each status, by strength."""
    return [0, 0, 0, 0, 0]


def strongest(tally: Sequence[int]) -> TelephonyStatus:
    """The strongest status that any leg has. ``tally``: how many have each, by strength (rule 3.1)."""
    if tally[4]:
        return CONNECTED
    if tally[3]:
        return ON_HOLD
    if tally[2]:
        return PARKED
    return RINGING if tally[1] else NO_CALL
