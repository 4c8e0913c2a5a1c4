"""For each figure of a call's row the fact it comes from, and what came late: the domain's answer as rows.

What must stay true: no phone number is in these rows, so that they need no masking.
"""

from collections.abc import Sequence
from typing import Any, Final, NamedTuple

from sqlalchemy import select
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncEngine

from ringledger.domain.evidence import Late, evidence
from ringledger.domain.facts import Absence, Fact, GivenUp, PresenceEvent, Read, Record, Summary
from ringledger.domain.observation import CallKey, Source
from ringledger.ledger.errors import classified
from ringledger.ledger.read.facts import FactRow, facts_of
from ringledger.ledger.schema.calls import NUMBERS
from ringledger.ledger.schema.tables import fact as fact_table
from ringledger.ledger.times import to_text

#: The facts of a call with more of them are not traced: a person waits for the answer.
MOST_FACTS: Final = 1_000
#: Why the figures of a call are not told.
GONE: Final = "its facts are no longer kept"
TOO_MANY: Final = f"it has more than {MOST_FACTS:,} facts, too many to trace while somebody waits"

Row = dict[str, Any]


class Traced(NamedTuple):
    """``figures``: a row for each figure, in the order of the row of ``calls``; ``late``: a row for each fact that came
    late, in the order of arrival. ``untold``: why both are empty; ``None`` when they were made.
    """

    figures: list[Row]
    late: list[Row]
    untold: str | None = None


async def told_of(engine: AsyncEngine, key: CallKey, call: Row | None) -> Traced:
    """What the facts of one call tell of its figures. ``call``: its row of ``all_calls``. Raises ``LedgerError``."""
    column = fact_table.c
    wanted = (column.account_id == key.account_id) & (column.session_id == key.session_id) & column.body.is_not(None)
    question = select(fact_table).where(wanted).order_by(column.id).limit(MOST_FACTS + 1)
    try:
        async with engine.connect() as connection:
            rows = [FactRow(**row) for row in (await connection.execute(question)).mappings()]
    except DBAPIError as error:
        raise classified(error) from error
    if not rows:
        return Traced([], [], GONE)
    if len(rows) > MOST_FACTS:
        return Traced([], [], TOO_MANY)
    facts = [fact for _, fact in facts_of(rows)]
    found = evidence(key, facts)
    figures = [] if call is None else [
        {"figure": name, "value": None if name in NUMBERS else call[name], **_fact(facts[number])}
        for field, number in found.figures.items()
        if call[name := _named(field)] is not None
    ]  # fmt: skip
    order = list(call or ())
    figures.sort(key=lambda row: order.index(row["figure"]))
    return Traced(figures, [_late(one, facts) for one in found.late])


def _late(late: Late, facts: Sequence[Fact]) -> Row:
    changed = [
        {"figure": _named(name)}
        if name in NUMBERS
        else {"figure": _named(name), "before": _shown(name, before), "after": _shown(name, after)}
        for name, before, after in late.changed
    ]
    return {
        **_fact(facts[late.fact]),
        "behind_seconds": late.behind_ms / 1000,
        "changed": changed,
    }


def _named(field: str) -> str:
    """A field of the row as the view calls it."""
    return f"{field.removesuffix('_ms')}_seconds" if field.endswith("_ms") else field


def _shown(field: str, value: Any) -> Any:
    """A value as the view has it."""
    if value is None or isinstance(value, str):
        return None if value is None else str.__str__(value)
    return value / 1000 if field.endswith("_ms") else to_text(value)


def _fact(fact: Fact) -> Row:
    """What a fact is, when it is of and when it came, and whom it is about."""
    row: Row = dict.fromkeys(("kind", "at", "received_at", "extension_id", "sequence", "record_id", "says", "source"))
    if isinstance(fact, PresenceEvent | Read):
        said = "/".join(dict.fromkeys(item.status_text for item in fact.items)) or "not listed"
        row |= {"at": fact.at, "received_at": fact.received_at, "extension_id": fact.extension_id, "says": said}
        if isinstance(fact, PresenceEvent):
            row |= {"kind": "event", "sequence": fact.sequence, "source": Source.PRESENCE}
        else:
            row |= {"kind": "read", "source": Source.PRESENCE_READ}
    elif isinstance(fact, Record):
        claim = fact.claim
        said = claim.result or ("in progress" if claim.running else "no result")
        row |= {"kind": "record", "at": claim.read_at, "received_at": claim.received_at, "says": said}
        row |= {"extension_id": claim.extension_id or None, "record_id": claim.record_id, "source": claim.source}
    elif isinstance(fact, Absence):
        row |= {"kind": "absence", "at": fact.at, "says": "not listed", "source": Source.ACTIVE_CALLS}
    elif isinstance(fact, Summary):
        row |= {"kind": "summary", "at": fact.at, "says": "its earlier facts, summed up", "source": Source.PRESENCE}
    elif isinstance(fact, GivenUp):
        row |= {"kind": "given_up", "at": fact.last_seen_at, "says": "nothing heard since", "source": Source.PRESENCE}
    for name in ("at", "received_at"):
        row[name] = None if row[name] is None else to_text(row[name])
    return row | {"source": str.__str__(row["source"])}
