"""From domain objects to tuples for the driver: plain str, int and None, in the order of the table's columns.

Everything here runs before the first await of a commit, so the caller may change its calls right afterwards.
Enumerations are written by value: the driver is slow with subclasses of str.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from operator import attrgetter
from typing import Any, Final, TypeVar

from msgspec.json import Encoder

from ringledger.domain.call import CallRecord, Leg, front
from ringledger.domain.changes import (
    Changes,
    Extension,
    IgnoredReason,
    JournalEntry,
    Quarantined,
    SourceClaim,
)
from ringledger.domain.coverage import CoverageSpan
from ringledger.domain.facts import (
    Absence,
    Fact,
    GivenUp,
    Ignored,
    Inventory,
    PresenceEvent,
    Read,
    Record,
    StatusChange,
    Summary,
)
from ringledger.domain.observation import CallItem, CallKey, FeedPosition, Source
from ringledger.domain.status import TelephonyStatus
from ringledger.domain.tracked import TrackedCall
from ringledger.domain.tracker import MOST_FOLDED
from ringledger.ledger.schema.calls import COLUMNS, OF_COMMIT, ColumnKind
from ringledger.ledger.schema.statements import Statements
from ringledger.ledger.times import to_text, to_text_or_none

Row = tuple[Any, ...]
Batch = list[tuple[str, list[Row]]]
Told = TypeVar("Told")

_encode = Encoder().encode
_PRESENCE: Final = Source.PRESENCE._value_
_READ: Final = Source.PRESENCE_READ._value_
_LISTING: Final = Source.ACTIVE_CALLS._value_
_STALE: Final = IgnoredReason.STALE_SEQUENCE._value_

#: Characters of what is put aside, and how many such things of an account there may be: the oldest go.
QUARANTINED_CHARACTERS: Final = 65_536
QUARANTINED_MOST: Final = 2_000
#: Of so many live calls it is remembered what the tables hold: those that were written last.
MOST_KNOWN: Final = 2 * MOST_FOLDED
#: The last time a row can have, ms.
LAST_MS: Final = 253_402_300_799_999


class StoredState:
    """What the tables hold of the live calls that were written last, so that a commit writes what differs of them and
    nothing else.

    ``numbers``: of each account the newest publication. What must stay true: it moves by :meth:`note` alone, after the
    commit; a call that is not here is written whole.
    """

    def __init__(self) -> None:
        self.numbers: dict[str, int] = {}
        self._legs: dict[CallKey, Sequence[Leg]] = {}
        self._transitions: dict[CallKey, Sequence[StatusChange]] = {}

    def note(self, changes: Changes) -> None:
        """These changes are committed."""
        for key in changes.united:
            self.forget(key)
        _remember(self._legs, changes.legs)
        _remember(self._transitions, changes.transitions)
        for key, call in changes.sessions.items():
            if call.is_finished:
                self.forget(key)
        for key in changes.records:
            self.numbers[key.account_id] = self.numbers.get(key.account_id, 0) + 1

    def forget(self, key: CallKey) -> None:
        """What the tables hold of a call is not known."""
        self._legs.pop(key, None)
        self._transitions.pop(key, None)

    def forget_account(self, account_id: str) -> None:
        """What the tables hold of an account's calls is not known."""
        for key in {key for key in (*self._legs, *self._transitions) if key.account_id == account_id}:
            self.forget(key)

    def batch(self, statements: Statements, changes: Changes) -> Batch:
        """Legs and transitions that differ, whole where nothing is known; what is no longer so is deleted first."""
        gone: list[Row] = []
        shorter: list[Row] = []
        legs: list[Row] = []
        transitions: list[Row] = []
        for key, now in changes.legs.items():
            known = self._legs.get(key, ())
            legs += [leg_row(key, leg) for n, leg in enumerate(now) if n >= len(known) or leg != known[n]]
            if len(now) < len(known) or (not known and key not in changes.begun):
                shorter.append((*key, len(now)))
        for key, told in changes.transitions.items():
            before = self._transitions.get(key, ())
            if told[: len(before)] != before or (not before and key not in changes.begun):
                gone.append(key)
                before = ()
            last = before[-1].status if before else None
            for change in told[len(before) :]:
                transitions.append(transition_row(key, last, change))
                last = change.status
        return [
            (statements.no_transitions, gone),
            (statements.fewer_legs, shorter),
            (statements.call_leg, legs),
            (statements.call_transition, transitions),
        ]


def _remember(known: dict[CallKey, Told], told: Mapping[CallKey, Told]) -> None:
    for key, now in told.items():
        known.pop(key, None)  # the newest stand last
        known[key] = now
    while len(known) > MOST_KNOWN:
        del known[next(iter(known))]


def batch_of(
    statements: Statements,
    written: StoredState,
    changes: Changes,
    position: FeedPosition | None,
    coverage: Iterable[CoverageSpan],
    *,
    now_ms: int,
) -> Batch:
    """The statements of one commit, each with its rows; those without rows are left out."""
    now = to_text(now_ms)
    live, over = _live_rows(changes.sessions)
    batch: Batch = [
        *_united(statements, changes),
        (statements.fact, _fact_rows(changes, now)),
        (statements.live_call, live),
        (statements.no_live_call, over),
        *_published(statements, written, changes, now),
        *written.batch(statements, changes),
        (statements.call_source, [source_row(claim) for claim in changes.claims.values()]),
        (statements.extension, [extension_row(extension) for extension in changes.extensions.values()]),
        (statements.coverage_span, [coverage_row(span) for span in (*changes.coverage, *coverage)]),
    ]
    if changes.quarantined:
        batch.append((statements.quarantined, [quarantined_row(entry) for entry in changes.quarantined]))
        spoilt = sorted({entry.account_id for entry in changes.quarantined})
        batch.append((statements.most_quarantined, [(one, one, QUARANTINED_MOST) for one in spoilt]))
    positions = [*changes.positions.values(), *([position] if position is not None else [])]
    batch.append((statements.feed_position, [position_row(one) for one in positions]))
    return [(sql, rows) for sql, rows in batch if rows]


def merged(batches: Sequence[Batch]) -> Batch:
    """One batch of several that have no row in common: the same statements together, each batch's in its order."""
    if len(batches) == 1:
        return batches[0]
    found: list[tuple[str, list[Row]]] = []
    for batch in batches:
        place = 0
        for sql, rows in batch:
            at = next((n for n in range(place, len(found)) if found[n][0] == sql), None)
            if at is None:
                at = place
                found.insert(at, (sql, list(rows)))
            else:
                found[at][1].extend(rows)
            place = at + 1
    return found


def _united(statements: Statements, changes: Changes) -> Batch:
    """Calls that are known by another key: all their facts are among those that follow."""
    former: list[Row] = list(changes.united)
    return [
        (statements.ignored_of_another, [(now.session_id, *key) for key, now in changes.united.items()]),
        (statements.no_facts, former),
        (statements.no_live_call, former),
        (statements.no_transitions, former),
        (statements.fewer_legs, [(*key, 0) for key in former]),
        (statements.no_claims, former),
        (statements.no_call, former),
    ]


def _fact_rows(changes: Changes, now: str) -> list[Row]:
    """What was told, and the items of notifications that were ignored. What came late is a fact."""
    rows = [row for key, fact in changes.facts for row in fact_rows(key, fact, now)]
    rows += [ignored_row(entry, now) for entry in changes.journal if entry.reason is not IgnoredReason.STALE_SEQUENCE]
    return rows


def ignored_row(entry: JournalEntry, now: str) -> Row:
    """Return a row of ``fact`` for an item that is no fact, for the journal."""
    account_id, session_id, at, received_at, extension_id, leg_id, status, sequence, source, reason = entry
    ignored = Ignored(extension_id, leg_id, status, sequence, at, received_at, source, str(reason))
    (row,) = fact_rows(CallKey(account_id, session_id or ""), ignored, now)
    return row


def fact_rows(key: CallKey, fact: Fact, now: str) -> list[Row]:
    """The rows of one fact (:mod:`~ringledger.ledger.read.facts` reads them). ``now``: the commit's time, for kinds
    that do not say when they came.
    """
    kind = type(fact)
    if kind is PresenceEvent:
        return _event(key, fact)  # type: ignore[arg-type]
    if kind is Read:
        return _read(key, fact)  # type: ignore[arg-type]
    return [_SIMPLE[kind](key, fact, now)]


def _event(key: CallKey, fact: PresenceEvent) -> list[Row]:
    account_id, session_id = key
    extension_id, sequence, at, items, whole, uuid, received_at, stale, live_since = fact
    when, received, reason = to_text(at), to_text(received_at), _STALE if stale else None
    if len(items) == 1:  # nearly all
        item = items[0]
        body = _encode((_rest(item, session_id), whole, uuid, live_since)).decode()
        return [(account_id, session_id, "event", when, received, extension_id, item.leg_id, item.status_text, sequence,
                 _PRESENCE, reason, body)]  # fmt: skip
    told = (whole, uuid, live_since)
    return _items(key, "event", (when, received, extension_id), items, sequence, (_PRESENCE, reason), told)


def _read(key: CallKey, fact: Read) -> list[Row]:
    extension_id, at, items, whole, asked_at, received_at = fact
    place = to_text(at), to_text(received_at), extension_id
    return _items(key, "read", place, items, None, (_READ, None), (whole, asked_at))


def _items(  # noqa: PLR0917 - the parts of a row
    key: CallKey,
    kind: str,
    place: tuple[str, str, str],
    items: tuple[CallItem, ...],
    sequence: int | None,
    judged: tuple[str, str | None],
    told: tuple[Any, ...],
) -> list[Row]:
    """A row for each item; only the first has what is told of them all, and there is one without an item."""
    if not items:
        return [(*key, kind, *place, None, None, sequence, *judged, _encode((None, *told)).decode())]
    bodies = [(_rest(item, key.session_id), *told) if n == 0 else (_rest(item, key.session_id),)
              for n, item in enumerate(items)]  # fmt: skip
    return [
        (*key, kind, *place, item.leg_id, item.status_text, sequence, *judged, _encode(body).decode())
        for item, body in zip(items, bodies, strict=True)
    ]


def _rest(item: CallItem, session_id: str) -> tuple[Any, ...]:
    """What the columns do not say of an item: all of it where they would say something else."""
    (session, telephony, _, direction, status, status_text, termination, sender, to, started_at, queue_call,
     on_behalf_of, monitored) = item  # fmt: skip
    if session != session_id or status is None or status._value_ != status_text or monitored:
        return item
    if queue_call or on_behalf_of is not None:
        return telephony, direction, termination, sender, to, started_at, queue_call, on_behalf_of
    return telephony, direction, termination, sender, to, started_at


def _simple(key: CallKey, fact: Record, now: str) -> Row:
    claim = fact.claim
    received = now if claim.received_at is None else to_text(claim.received_at)
    return (*key, "record", to_text(claim.read_at), received, claim.extension_id, None, None, None,
            claim.source._value_, None, _encode(fact).decode())  # fmt: skip


def _absence(key: CallKey, fact: Absence, now: str) -> Row:
    return (*key, "absence", to_text(fact.at), now, None, None, None, None, _LISTING, None,
            _encode((fact.asked_at,)).decode())  # fmt: skip


def _inventory(key: CallKey, fact: Inventory, now: str) -> Row:  # noqa: ARG001
    extension_id, at, names, asked_at, received_at = fact
    return (key[0], None, "inventory", to_text(at), to_text(received_at), extension_id, None, None, None, _READ, None,
            _encode((names, asked_at)).decode())  # fmt: skip


def _given_up(key: CallKey, fact: GivenUp, now: str) -> Row:
    return *key, "given_up", to_text(fact.last_seen_at), now, None, None, None, None, _PRESENCE, None, "[]"


def _ignored(key: CallKey, fact: Ignored, now: str) -> Row:  # noqa: ARG001
    extension_id, leg_id, status, sequence, at, received_at, source, reason = fact
    return (key[0], key[1] or None, "ignored", to_text(at), to_text(received_at), extension_id, leg_id,
            str.__str__(status), sequence, source._value_, str.__str__(reason), None)  # fmt: skip


def _summed(key: CallKey, fact: Summary, now: str) -> Row:
    return *key, "summary", to_text(fact.at), now, None, None, None, None, _PRESENCE, None, _encode(fact).decode()


_SIMPLE: Final[dict[type[Any], Any]] = {
    Record: _simple,
    Absence: _absence,
    Inventory: _inventory,
    GivenUp: _given_up,
    Ignored: _ignored,
    Summary: _summed,
}


def _published(statements: Statements, written: StoredState, changes: Changes, now: str) -> Batch:
    """The rows of calls that are over, each with its account's next number."""
    if not changes.records:
        return []
    numbers = dict(written.numbers)
    rows: list[Row] = []
    for record in changes.records.values():
        number = numbers[record.account_id] = numbers.get(record.account_id, 0) + 1
        rows.append(call_row(record, now, number))
    moved = [(account, number) for account, number in numbers.items() if written.numbers.get(account) != number]
    return [(statements.call, rows), (statements.publication, moved)]


def _live_rows(calls: dict[CallKey, TrackedCall]) -> tuple[list[Row], list[Row]]:
    """Rows of ``live_call``, and the keys of those that are not live any longer."""
    live: list[Row] = []
    over: list[Row] = []
    for key, call in calls.items():
        if call.is_finished:
            over.append(key)
        else:
            live.append(live_row(key, call))
    return live, over


def live_row(key: CallKey, tracked: TrackedCall) -> Row:
    """A row of ``live_call``: what ``active_calls`` shows, but for a later event that repeats what is known."""
    call, part_of = tracked.call, tracked.published and tracked.published.part_of
    direction, extension_id, from_party, to_party = front(call)
    return (
        *key,
        0 if call.live else 1,
        call.status._value_,
        None if direction is None else direction._value_,
        extension_id,
        from_party.number,
        from_party.name,
        to_party.number,
        to_party.name,
        to_text(call.started_at),
        to_text_or_none(call.answered_at),
        1 if call.suspect else 0,
        to_text(tracked.last_seen_at),
        call.telephony_session_id,
        part_of,
    )


#: How a value of a kind is written; others are written as they are.
_PLAIN: Final[dict[ColumnKind, Callable[[Any], Any]]] = {
    ColumnKind.WORD: lambda value: None if value is None else value._value_,
    ColumnKind.TRUTH: {False: 0, True: 1, None: None}.__getitem__,
    ColumnKind.TIME: to_text_or_none,
}
_COMPUTED: Final = [column for column in COLUMNS if column.name not in OF_COMMIT]
_of_record: Final = attrgetter(*(column.name for column in _COMPUTED))
_WRITTEN_AS: Final = [(n, _PLAIN[column.kind]) for n, column in enumerate(_COMPUTED) if column.kind in _PLAIN]
_PLACES: Final = [n for n, column in enumerate(COLUMNS) if column.name in OF_COMMIT]


def call_row(record: CallRecord, updated_at: str, publication: int) -> Row:
    """A row of ``call``."""
    values = list(_of_record(record))
    for place, plain in _WRITTEN_AS:
        values[place] = plain(values[place])
    for place, value in zip(_PLACES, (updated_at, publication), strict=True):
        values.insert(place, value)
    return tuple(values)


def leg_row(key: CallKey, leg: Leg) -> Row:
    """A row of ``call_leg``."""
    return (
        key.account_id,
        key.session_id,
        leg.number,
        leg.leg_id,
        leg.extension_id or None,
        leg.direction._value_,
        leg.from_party.number,
        leg.from_party.name,
        leg.from_party.raw,
        leg.to_party.number,
        leg.to_party.name,
        leg.to_party.raw,
        to_text(leg.started_at),
        to_text_or_none(leg.answered_at),
        to_text_or_none(leg.ended_at),
        leg.status._value_,
        leg.termination._value_ if leg.termination else None,
        leg.source._value_,
        1 if leg.queue_call else 0,
        leg.on_behalf_of,
    )


def transition_row(key: CallKey, was: TelephonyStatus | None, change: StatusChange) -> Row:
    """A row of ``call_transition``. ``was``: the status before."""
    before = was._value_ if was is not None else None
    at, status, source = to_text(change.at), change.status._value_, change.source._value_
    return key.account_id, key.session_id, at, before, status, change.sequence, source


def source_row(claim: SourceClaim) -> Row:
    """A row of ``call_source``."""
    return (
        claim.account_id,
        claim.session_id,
        claim.source._value_,
        claim.record_id,
        None if claim.direction is None else str.__str__(claim.direction),
        to_text_or_none(claim.started_at),
        to_text_or_none(claim.ended_at),
        claim.duration_ms,
        claim.result,
        to_text(claim.seen_at),
    )


def extension_row(extension: Extension) -> Row:
    """A row of ``extension``."""
    return (
        extension.account_id,
        extension.extension_id,
        extension.telephony_status._value_,
        extension.presence_status,
        extension.user_status,
        extension.dnd_status,
        to_text(extension.since),
        to_text(extension.updated_at),
        extension.last_sequence,
        extension.epoch,
        to_text(extension.epoch_started_at),
        extension.extension_number,
        extension.name,
    )


def position_row(position: FeedPosition) -> Row:
    """A row of ``feed_position``."""
    return position.account_id, position.feed, position.key, position.token, to_text(position.at)


def coverage_row(span: CoverageSpan) -> Row:
    """A row of ``coverage_span``."""
    state = span.state._value_
    return span.account_id, to_text(span.from_at), to_text(span.until_at), state, span.cause, span.recovered_calls


def quarantined_row(entry: Quarantined) -> Row:
    """A row of ``quarantined``, whatever it is: half a character, and one that no database takes, stand there as JSON
    escapes; a time beyond the years as their end.
    """
    body = entry.body[:QUARANTINED_CHARACTERS].encode("utf-8", "backslashreplace").decode().replace("\0", "\\u0000")
    at = to_text(min(max(entry.received_at, 0), LAST_MS))
    return entry.account_id, at, entry.source._value_, entry.reason, entry.kind._value_, body
