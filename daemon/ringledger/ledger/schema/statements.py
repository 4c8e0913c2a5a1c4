"""The ledger's write statements as driver-level SQL: compiled once per dialect, executed with lists of tuples.

The values of a tuple stand in the order of the table's columns.
"""

from dataclasses import dataclass
from importlib import import_module
from typing import Any, Final

from sqlalchemy import ColumnElement, Dialect, Table, and_, bindparam, delete, exists, literal_column, select, update

from ringledger.ledger.schema import tables as schema


@dataclass(frozen=True, slots=True)
class Statements:
    """One text per table the writer writes to."""

    call: str
    publication: str
    live_call: str
    fact: str
    call_leg: str
    call_transition: str
    call_source: str
    feed_position: str
    coverage_span: str
    extension: str
    outbox: str
    quarantined: str
    #: A call is live no longer; its history, or legs beyond a number, are no longer so.
    no_live_call: str
    no_transitions: str
    fewer_legs: str
    #: An event for a receiver goes if the call is known as missed.
    no_news: str
    #: A call is known by another key: what was ignored of it goes there, nothing else of it stays.
    ignored_of_another: str
    no_facts: str
    no_call: str
    no_claims: str
    #: Of what was put aside of an account only the newest stay.
    most_quarantined: str


_COMPILED: Final[dict[tuple[str, str, str], Statements]] = {}


def compiled(dialect: Dialect) -> Statements:
    """The statements for this dialect, compiled when they are first asked for."""
    key = dialect.name, dialect.driver, dialect.paramstyle
    if key not in _COMPILED:
        _COMPILED[key] = _compile(dialect)
    return _COMPILED[key]


def _compile(dialect: Dialect) -> Statements:
    """Journals are inserted, everything that has a key is inserted or replaced."""
    append = {"call_transition", "fact", "outbox", "quarantined"}
    tables = {name for name in Statements.__dataclass_fields__ if name in schema.metadata.tables}
    texts = {name: (_append if name in append else _upsert)(schema.metadata.tables[name], dialect) for name in tables}
    leg = schema.call_leg
    return Statements(
        **texts,
        no_live_call=_delete(schema.live_call, dialect),
        no_transitions=_delete(schema.call_transition, dialect),
        fewer_legs=_delete(leg, dialect, leg.c.leg_no > bindparam("leg_no")),
        no_news=_no_news(dialect),
        ignored_of_another=_rekey(schema.fact, dialect, schema.fact.c.body.is_(None)),
        no_facts=_delete(schema.fact, dialect),
        no_call=_delete(schema.call, dialect),
        no_claims=_delete(schema.call_source, dialect),
        most_quarantined=_newest(schema.quarantined, dialect),
    )


def columns(table: Table) -> list[str]:
    """The columns a tuple for this table has, in order: all but a row number the database gives."""
    return [column.name for column in table.columns if column.name != "id"]


def _insert(table: Table, dialect: Dialect) -> Any:
    """The dialect's own INSERT, which knows conflicts; of the dialects only that one is loaded."""
    return import_module(f"sqlalchemy.dialects.{dialect.name}").insert(table)


def _append(table: Table, dialect: Dialect) -> str:
    return str(_insert(table, dialect).inline().compile(dialect=dialect, column_keys=columns(table)))


def _upsert(table: Table, dialect: Dialect) -> str:
    keys = [column.name for column in table.primary_key.columns]
    statement = _insert(table, dialect)
    replaced = {name: statement.excluded[name] for name in columns(table) if name not in keys}
    statement = statement.on_conflict_do_update(index_elements=keys, set_=replaced)
    return str(statement.compile(dialect=dialect, column_keys=columns(table)))


def _delete(table: Table, dialect: Dialect, *more: ColumnElement[bool]) -> str:
    """Delete a call's rows: account and session are bound, and what else the condition asks for, in this order."""
    mine = and_(*(table.c[name] == bindparam(name) for name in ("account_id", "session_id")), *more)
    return str(delete(table).where(mine).compile(dialect=dialect))


def _newest(table: Table, dialect: Dialect) -> str:
    """Delete all but an account's newest rows: the account is bound, once more, and how many stay."""
    mine = table.alias()
    last = (
        select(mine.c.id)
        .where(mine.c.account_id == bindparam("same_account"))
        .order_by(mine.c.id.desc())
        .offset(bindparam("most"))
        .limit(literal_column("1"))
        .scalar_subquery()
    )
    old = (table.c.account_id == bindparam("account")) & (table.c.id <= last)
    return str(delete(table).where(old).compile(dialect=dialect))


def _no_news(dialect: Dialect) -> str:
    """Bound are receiver and event, then account and session of the call."""
    row, call = schema.outbox.c, schema.call.c
    known = (call.account_id == bindparam("account_id")) & (call.session_id == bindparam("session_id"))
    missed = call.disposition == literal_column("'missed'")
    this = (row.receiver == bindparam("receiver")) & (row.event_id == bindparam("event_id"))
    return str(delete(schema.outbox).where(this, exists().where(known & missed)).compile(dialect=dialect))


def _rekey(table: Table, dialect: Dialect, which: ColumnElement[bool]) -> str:
    """Give some of a call's rows another session: the new one, account and the former one are bound, in this order."""
    mine = and_(table.c.account_id == bindparam("account"), table.c.session_id == bindparam("former"), which)
    return str(update(table).where(mine).values(session_id=bindparam("now")).compile(dialect=dialect))
