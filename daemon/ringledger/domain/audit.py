"""The ledger against the platform's call log, difference by difference (rule 8.2).

A pure comparison. What must stay true: after a back-fill of the period there is no difference that it can mend; what
may still change (calls that go on or settle, records younger than the log's delay) is not compared; records find their
call as everywhere else: by session, by telephony session, then by direction, numbers and start (rule 7.2).
"""

from collections.abc import Callable, Collection, Iterable
from enum import StrEnum
from typing import Final, NamedTuple, TypeVar

from ringledger.domain.disposition import Disposition, disposition_of
from ringledger.domain.matching import MATCH_WINDOW_MS
from ringledger.domain.observation import Direction, RecordClaim
from ringledger.domain.record_rules import answers, bare, end_of, is_forwarded

#: Starts and durations closer than this are the same: the log's are partly whole seconds.
TOLERANCE_MS: Final = 1_000
#: The platform keeps no record of a talk shorter than this.
SHORTEST_TALK_MS: Final = 500
#: Up to so many digits are an extension's number, which one side may know where the other knows the telephone's.
EXTENSION_DIGITS: Final = 6


class DifferenceKind(StrEnum):
    """What differs."""

    MISSING_IN_LEDGER = "missing_in_ledger"
    MISSING_ON_PLATFORM = "missing_on_platform"
    UNCONFIRMED = "unconfirmed"
    START = "start"
    DURATION = "duration"
    RESULT = "result"
    DISPOSITION = "disposition"
    NUMBERS = "numbers"


#: What a back-fill of the period brings into line. Of differing numbers the first that was reported counts for ever (a
#: transfer's second party is in the log alone), and the platform's log is not ours to write.
MENDABLE: Final = frozenset(set(DifferenceKind) - {DifferenceKind.NUMBERS, DifferenceKind.MISSING_ON_PLATFORM})


class Written(NamedTuple):
    """A row of ``all_calls``, as far as it is compared. Times ms; durations ms."""

    session_id: str
    telephony_session_id: str | None
    direction: Direction
    from_number: str | None
    to_number: str | None
    started_at: int
    ended_at: int
    answered: bool
    talk_ms: int
    duration_ms: int
    disposition: Disposition
    result: str | None
    part_of: str | None
    confirmed: bool
    extension_id: str | None = None


class Begun(NamedTuple):
    """A call the ledger has heard of and not written yet: it goes on, or settles. ``started_at``: ms."""

    session_id: str
    telephony_session_id: str | None
    direction: Direction | None
    from_number: str | None
    to_number: str | None
    started_at: int


Call = TypeVar("Call", Written, Begun)


class Difference(NamedTuple):
    """One difference. ``ledger`` and ``platform``: what each says (a start in ms, a duration in ms, else words)."""

    kind: DifferenceKind
    session_id: str
    started_at: int
    from_number: str | None
    to_number: str | None
    ledger: str | int | None
    platform: str | int | None

    @property
    def mendable(self) -> bool:
        """Whether a back-fill of the period mends it."""
        return self.kind in MENDABLE

    @property
    def lasting(self) -> bool:
        """Whether nothing will ever change it: a check that runs each night must not alarm for ever."""
        return self.kind is DifferenceKind.NUMBERS


#: Whether a call, as the ledger and the log's records tell of it, is asked for.
Wanted = Callable[[Written | None, list[RecordClaim]], bool]


class Report(NamedTuple):
    """``compared``: how many calls of the period both or one of them have; ``left_out``: how many of them may still
    change, and were not compared; ``unreadable``: records of the log of which nothing could be made."""

    compared: int
    differences: list[Difference]
    left_out: int = 0
    unreadable: int = 0


def compare(
    written: Iterable[Written],
    claims: Iterable[RecordClaim],
    *,
    since: int,
    until: int,
    settled: int,
    unfinished: Collection[Begun] = (),
    wanted: Wanted = lambda _row, _group: True,
) -> Report:
    """Every difference of the calls that began within the period, oldest first.

    ``written`` and ``claims`` should reach beyond the period by the matching window. ``settled``: what ended later may
    not be in the log yet, ms. ``unfinished``: calls that go on or settle in the ledger. ``wanted``: which calls count.
    """
    rows = list(written)
    matches = _match(rows, _groups(claims))
    differences: list[Difference] = []
    compared = left_out = 0
    waiting = list(unfinished)
    for row, group in matches:
        started_at = row.started_at if row is not None else _began(group)
        if not since <= started_at < until or not wanted(row, group):
            continue
        if _unsettled(row, group, settled, waiting):
            left_out += 1
            continue
        compared += 1
        differences += _of(row, group, rows)
    return Report(compared, sorted(differences, key=lambda one: (one.started_at, one.session_id)), left_out)


def _unsettled(row: Written | None, group: list[RecordClaim], settled: int, unfinished: list[Begun]) -> bool:
    """Whether a call may still change: it goes on here or there, settles, or has ended a moment ago."""
    if any(claim.running for claim in group) or _goes_on(row, group, unfinished):
        return True
    ends = [end_of(claim) for claim in group] + ([row.ended_at] if row is not None else [])
    return max(ends) > settled


def _goes_on(row: Written | None, group: list[RecordClaim], unfinished: list[Begun]) -> bool:
    """Whether the ledger has not finished with the call. Each unfinished one answers for one stranger of the log."""
    names = {claim.call_session_id for claim in group} | {claim.telephony_session_id for claim in group}
    names |= {row.session_id} if row is not None else set()
    if any(call.session_id in names or (call.telephony_session_id or "") in names for call in unfinished):
        return True
    found = _nearest(unfinished, group[0]) if row is None else None
    if found is not None:
        unfinished.remove(found)
    return found is not None


def _groups(claims: Iterable[RecordClaim]) -> dict[str, list[RecordClaim]]:
    """Return the log's records by session. Left out are legs, records without a session, and records of a user's other
    telephone where another record tells of the call. A record without a result is there, too.
    """
    groups: dict[str, list[RecordClaim]] = {}
    for claim in claims:
        session_id = claim.call_session_id
        if claim.leg_of is None and session_id is not None:
            groups.setdefault(session_id, []).append(claim)
    own = {session_id: [one for one in group if not is_forwarded(one)] for session_id, group in groups.items()}
    return {session_id: own[session_id] or group for session_id, group in groups.items()}


# -- which record speaks of which call ---------------------------------------------------------------------------


def _match(rows: list[Written], groups: dict[str, list[RecordClaim]]) -> list[tuple[Written | None, list[RecordClaim]]]:
    """Every row with the records that speak of it, and the records that speak of no row."""
    by_session = {row.session_id: row for row in rows}
    by_telephony = {row.telephony_session_id: row for row in rows if row.telephony_session_id}
    spoken_of: dict[str, list[RecordClaim]] = {}
    strangers: list[list[RecordClaim]] = []
    for session_id, group in groups.items():
        row = by_session.get(session_id) or by_telephony.get(group[0].telephony_session_id or "")
        if row is None:
            strangers.append(group)
        else:
            spoken_of.setdefault(row.session_id, []).extend(group)
    unanswered = [row for row in rows if not row.answered and row.session_id not in spoken_of]
    unknown: list[tuple[Written | None, list[RecordClaim]]] = []
    for group in strangers:
        found = _nearest(unanswered, group[0])
        if found is None:
            unknown.append((None, group))
        else:
            unanswered.remove(found)
            spoken_of[found.session_id] = group
    return [*((row, spoken_of.get(row.session_id, [])) for row in rows), *unknown]


def _nearest(unanswered: list[Call], claim: RecordClaim) -> Call | None:
    """A call with the same direction and numbers and nearly the same start."""
    ends = (claim.direction, bare(claim.from_party.number), bare(claim.to_party.number))
    near = [
        row
        for row in unanswered
        if (row.direction, bare(row.from_number), bare(row.to_number)) == ends
        and abs(row.started_at - _began([claim])) <= MATCH_WINDOW_MS
    ]
    return min(near, key=lambda row: abs(row.started_at - _began([claim])), default=None)


def _began(group: list[RecordClaim]) -> int:
    """The earliest start its records say; when none says one, when the first was read, ms."""
    starts = [claim.started_at for claim in group if claim.started_at is not None]
    return min(starts or [claim.read_at for claim in group])


# -- what differs ------------------------------------------------------------------------------------------------


def _of(row: Written | None, group: list[RecordClaim], rows: list[Written]) -> list[Difference]:
    if row is None:
        first = min(group, key=lambda claim: claim.read_at if claim.started_at is None else claim.started_at)
        numbers = first.from_party.number, first.to_party.number
        session_id = first.call_session_id or ""
        kind = DifferenceKind.MISSING_IN_LEDGER
        return [Difference(kind, session_id, _began([first]), *numbers, None, _verdict(group).result)]
    if not group:
        return [] if _need_not_be_logged(row, rows) else [_difference(row, DifferenceKind.MISSING_ON_PLATFORM)]
    return _figures(row, group)


def _need_not_be_logged(row: Written, rows: list[Written]) -> bool:
    """The inner half of a RingOut, whose outer half is the platform's record; a talk too short for a record."""
    if row.part_of is not None and any(other.session_id == row.part_of for other in rows):
        return True
    return row.answered and row.talk_ms < SHORTEST_TALK_MS


def _figures(row: Written, group: list[RecordClaim]) -> list[Difference]:
    verdict = _verdict(group)
    result = verdict.result or ""
    if not row.confirmed:
        return [_difference(row, DifferenceKind.UNCONFIRMED, row.disposition.value, result)]
    found = []
    started_at = min([claim.started_at for claim in group if claim.started_at is not None], default=row.started_at)
    if abs(row.started_at - started_at) > TOLERANCE_MS:
        found.append(_difference(row, DifferenceKind.START, row.started_at, started_at))
    if verdict.duration_ms is not None and abs(row.duration_ms - verdict.duration_ms) > TOLERANCE_MS:
        found.append(_difference(row, DifferenceKind.DURATION, row.duration_ms, verdict.duration_ms))
    if (row.result or "").casefold() != result.casefold():
        found.append(_difference(row, DifferenceKind.RESULT, row.result, result))
    elif row.disposition is not (becomes := disposition_of(result, talked=row.answered or bool(verdict.duration_ms))):
        found.append(_difference(row, DifferenceKind.DISPOSITION, row.disposition.value, becomes.value))
    if numbers := _numbers(row, group):
        found.append(_difference(row, DifferenceKind.NUMBERS, *numbers))
    return found


def _verdict(group: list[RecordClaim]) -> RecordClaim:
    """The record that counts: an answered one, else the one that ended last (rule 7.3)."""
    return max(group, key=lambda claim: (answers(claim), end_of(claim), claim.record_id))


def _numbers(row: Written, group: list[RecordClaim]) -> tuple[str, str] | None:
    """What each says when a number of the row is in none of the records. A RingOut's may be swapped."""
    senders = {bare(claim.from_party.number) for claim in group}
    receivers = {bare(claim.to_party.number) for claim in group}
    if any((claim.action or "").startswith("RingOut") for claim in group):
        senders = receivers = senders | receivers
    if _same(row.from_number, senders) and _same(row.to_number, receivers):
        return None
    claim = _verdict(group)
    ours = f"{row.from_number or 'withheld'} to {row.to_number or 'withheld'}"
    return ours, f"{claim.from_party.number or 'withheld'} to {claim.to_party.number or 'withheld'}"


def _same(number: str | None, others: set[str | None]) -> bool:
    """Whether a number agrees with the log's; one that is unknown or masked on either side agrees with any."""
    own = bare(number)
    comparable = {other for other in others if other and other.isdecimal()}
    if not own or not own.isdecimal() or not comparable or None in others:
        return True
    short = len(own) <= EXTENSION_DIGITS
    alike = {other for other in comparable if (len(other) <= EXTENSION_DIGITS) == short}
    return not alike or own in alike


def _difference(
    row: Written, kind: DifferenceKind, ledger: str | int | None = None, platform: str | int | None = None
) -> Difference:
    said = row.disposition.value if kind is DifferenceKind.MISSING_ON_PLATFORM else ledger
    return Difference(kind, row.session_id, row.started_at, row.from_number, row.to_number, said, platform)
