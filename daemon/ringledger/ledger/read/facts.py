"""Facts from rows of the table ``fact``.

A row is one item of a notification or a read (further items of the same one follow it), or one fact of another kind.
What people query stands in columns; what only the fold needs is a short JSON array beside it (``body``), without what
the columns already say. What must stay true: a fact read back is equal to the one that was written
(:mod:`~ringledger.ledger.write.encode`).
"""

from collections.abc import Iterable, Iterator
from typing import Any, Final, NamedTuple

from msgspec import DecodeError, ValidationError, convert
from msgspec.json import Decoder

from ringledger.domain.facts import Absence, Fact, GivenUp, Ignored, Inventory, PresenceEvent, Read, Record, Summary
from ringledger.domain.observation import CallItem, CallKey, Direction, Party, Source
from ringledger.domain.status import TelephonyStatus, TerminationType
from ringledger.ledger.errors import DatabaseUnreadable

_array = Decoder(list[Any]).decode
_record = Decoder(Record).decode
_summary = Decoder(Summary).decode
#: Values of an item that is told whole; one that the columns complete has fewer.
_COMPLETE: Final = len(CallItem._fields)


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
