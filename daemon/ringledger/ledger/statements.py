"""The ledger's write statements as driver-level SQL: compiled once per dialect, executed with lists of tuples.

The values of a tuple stand in the order of the table's columns.
"""

from dataclasses import dataclass
from importlib import import_module
from typing import Any

from sqlalchemy import Dialect, Table

from ringledger.ledger import schema


@dataclass(frozen=True, slots=True)
class Statements:
    """One text per table the writer writes to."""

    call: str
    call_state: str
    call_leg: str
    call_transition: str
    call_event: str
    observation: str
    call_source: str
    feed_position: str
    coverage_span: str
    extension: str
    outbox: str


def compiled(dialect: Dialect) -> Statements:
    """The statements for this dialect. Journals are inserted, everything that has a key is inserted or replaced."""
    append = {"call_transition", "call_event", "observation", "outbox"}
    texts = {
        name: (_append if name in append else _upsert)(schema.metadata.tables[name], dialect)
        for name in Statements.__dataclass_fields__
    }
    return Statements(**texts)


def columns(table: Table) -> list[str]:
    """The columns a tuple for this table has, in order: all but a row number the database gives."""
    return [column.name for column in table.columns if column.name != "id"]


def _insert(table: Table, dialect: Dialect) -> Any:
    """The dialect's own INSERT, which knows conflicts; of the dialects only that one is loaded."""
    return import_module(f"sqlalchemy.dialects.{dialect.name}").insert(table)


def _append(table: Table, dialect: Dialect) -> str:
    return str(_insert(table, dialect).compile(dialect=dialect, column_keys=columns(table)))


def _upsert(table: Table, dialect: Dialect) -> str:
    keys = [column.name for column in table.primary_key.columns]
    statement = _insert(table, dialect)
    replaced = {name: statement.excluded[name] for name in columns(table) if name not in keys}
    statement = statement.on_conflict_do_update(index_elements=keys, set_=replaced)
    return str(statement.compile(dialect=dialect, column_keys=columns(table)))
