"""Facts as rows of the table ``fact``, and back.

A row is one item of a notification or a read (further items of the same one follow it), or one fact of another kind.
What people query stands in columns; what only the fold needs is a short JSON array beside it (``body``), without what
the columns already say. What must stay true: a fact read back is equal to the one that was written.
"""

from collections.abc import Iterable, Iterator
from typing import Any, Final, NamedTuple

from msgspec import DecodeError, ValidationError, convert
from msgspec.json import Decoder, Encoder

from ringledger.domain.changes import IgnoredReason
from ringledger.domain.facts import Absence, Fact, GivenUp, Ignored, Inventory, PresenceEvent, Read, Record, Summary
from ringledger.domain.observation import CallItem, CallKey, Direction, Party, Source
from ringledger.domain.status import TelephonyStatus, TerminationType
from ringledger.ledger.errors import DatabaseUnreadable
from ringledger.ledger.times import to_text

Row = tuple[Any, ...]

_encode = Encoder().encode
_array = Decoder(list[Any]).decode
_record = Decoder(Record).decode
_summary = Decoder(Summary).decode
_PRESENCE: Final = Source.PRESENCE._value_
_READ: Final = Source.PRESENCE_READ._value_
_LISTING: Final = Source.ACTIVE_CALLS._value_
_STALE: Final = IgnoredReason.STALE_SEQUENCE._value_
#: Values of an item that is told whole; one that the columns complete has fewer.
_COMPLETE: Final = len(CallItem._fields)


# -- to rows -------------------------------------------------------------------------------------------------------


def fact_rows(key: CallKey, fact: Fact, now: str) -> list[Row]:
    """The rows of one fact. ``now``: the commit's time, for kinds that do not say when they came."""
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


class FactRow(NamedTuple):
    """A row of ``fact`` as it is read. Times are ms."""

    id: int
    account_id: str
    session_id: str | None
    kind: str
    at: int
    received_at: int
    extension_id: str | None
    leg_id: str | None
    status: str | None
    sequence: int | None
    source: str
    reason: str | None
    body: str | None


#: What a body that cannot be read becomes.
_UNREADABLE: Final = (
    DecodeError, ValidationError, ValueError, KeyError, IndexError, TypeError, OverflowError, RecursionError,
)  # fmt: skip


# -- and back ------------------------------------------------------------------------------------------------------


def facts_of(rows: Iterable[Any]) -> Iterator[tuple[CallKey, Fact]]:
    """The facts of rows in their order (``id``). Rows kept for the journal alone (an older version's) are passed over.

    Raises ``DatabaseUnreadable`` when a row is no fact.
    """
    waiting: list[tuple[Any, list[Any]]] = []
    for row in rows:
        if row.body is None and row.kind != "ignored":
            continue
        body = [] if row.body is None else _decoded(row)
        if waiting and len(body) == 1 and row.kind in _OF_ITEMS:
            waiting.append((row, body))  # a further item of the same fact
            continue
        if waiting:
            yield _fact(waiting)
        waiting = [(row, body)]
    if waiting:
        yield _fact(waiting)


def _decoded(row: Any) -> list[Any]:
    try:
        return _array(row.body)
    except _UNREADABLE as error:
        raise DatabaseUnreadable(f"database: fact {row.id} cannot be read ({error})") from error


def _fact(rows: list[tuple[Any, list[Any]]]) -> tuple[CallKey, Fact]:
    (first, body), *_ = rows
    key = CallKey(first.account_id, first.session_id or "")
    try:
        return key, _of_items(rows) if first.kind in _OF_ITEMS else _READERS[first.kind](first, body)
    except _UNREADABLE as error:
        raise DatabaseUnreadable(f"database: fact {first.id} cannot be read ({type(error).__name__})") from error


def _of_items(rows: list[Any]) -> Fact:
    (first, body), *_ = rows
    items = tuple([_item(row, told[0]) for row, told in rows if told[0] is not None])
    if first.kind == "read":
        _, whole, asked_at = body
        return Read(first.extension_id, first.at, items, whole, asked_at, first.received_at)
    _, whole, uuid, live_since = body
    return PresenceEvent(
        first.extension_id, first.sequence, first.at, items, whole, uuid, first.received_at,
        first.reason is not None, live_since,
    )  # fmt: skip


def _item(row: Any, told: list[Any]) -> CallItem:
    if len(told) == _COMPLETE:
        return convert(told, CallItem)
    telephony, direction, termination, sender, to, started_at, *more = told
    return CallItem(
        row.session_id, telephony, row.leg_id, None if direction is None else Direction(direction),
        TelephonyStatus(row.status), row.status, None if termination is None else TerminationType(termination),
        Party(*sender), Party(*to), started_at, *more,
    )  # fmt: skip


_OF_ITEMS: Final = frozenset({"event", "read"})
_READERS: Final[dict[str, Any]] = {
    "record": lambda row, _: _record(row.body),
    "absence": lambda row, body: Absence(row.at, *body),
    "inventory": lambda row, body: Inventory(row.extension_id, row.at, tuple(body[0]), body[1], row.received_at),
    "given_up": lambda row, _: GivenUp(row.at),
    "ignored": lambda row, _: Ignored(
        row.extension_id, row.leg_id, row.status, row.sequence, row.at, row.received_at,
        Source(row.source), row.reason,
    ),
    "summary": lambda row, _: _summary(row.body),
}  # fmt: skip


def parties_of(row: Any) -> list[Party]:
    """Whoever a row names. Raises ``DatabaseUnreadable`` when it cannot be read."""
    if row.body is None:
        return []
    body = _decoded(row)
    try:
        if row.kind in _OF_ITEMS:
            told = body[0]
            if told is None:
                return []
            told = told if isinstance(told, list) else []  # what is no item cannot be read
            return [Party(*told[7]), Party(*told[8])] if len(told) == _COMPLETE else [Party(*told[3]), Party(*told[4])]
        fact = _READERS[row.kind](row, body)
    except _UNREADABLE as error:
        raise DatabaseUnreadable(f"database: fact {row.id} cannot be read ({type(error).__name__})") from error
    if isinstance(fact, Record):
        return [fact.claim.from_party, fact.claim.to_party]
    if isinstance(fact, Summary):
        legs = [party for leg in fact.legs for party in (leg.from_party, leg.to_party)]
        return legs + [party for one in fact.records for party in (one.claim.from_party, one.claim.to_party)]
    return []
