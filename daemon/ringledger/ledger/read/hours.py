"""Calls added up by the hour and by extension: what charts are drawn from.

What must stay true: one pass over the calls of the period, in the database, and in the order of an index that has all
that is added up; hours are those of the report's zone.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, tzinfo
from typing import Any, Final

from sqlalchemy import (
    ColumnElement,
    CompoundSelect,
    Select,
    column,
    func,
    literal,
    literal_column,
    select,
    table,
    union_all,
)
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncEngine

from ringledger.ledger.errors import classified
from ringledger.ledger.read.filters import CallFilter
from ringledger.ledger.read.groups import By
from ringledger.ledger.read.queries import call_conditions
from ringledger.ledger.read.stats import SUMS, Row, beginning, keys_of, rows_of, totals
from ringledger.ledger.times import in_zone, to_text


@dataclass(slots=True)
class Hour:
    """The calls that started within an hour, or within several. ``taken``: of the inbound ones, the answered;
    ``rung`` calls rang ``ring`` seconds in all, ``answered`` ones were spoken for ``spoken`` seconds."""

    calls: int = 0
    inbound: int = 0
    answered: int = 0
    taken: int = 0
    missed: int = 0
    rung: int = 0
    ring: float = 0.0
    spoken: float = 0.0
    talk: float = 0.0

    def add(self, other: "Hour | Mapping[str, Any]") -> None:
        """Add the figures of another hour."""
        for name in SUMS:
            more = other[name] if isinstance(other, Mapping) else getattr(other, name)
            setattr(self, name, getattr(self, name) + (more or 0))

    @property
    def answer_rate(self) -> float | None:
        """Answered of the inbound calls."""
        return self.taken / self.inbound if self.inbound else None

    @property
    def mean_ring(self) -> float | None:
        """Seconds a call rang, of those that were seen ringing."""
        return self.ring / self.rung if self.rung else None

    @property
    def mean_talk(self) -> float | None:
        """Seconds an answered call was spoken."""
        return self.spoken / self.answered if self.answered else None


#: So many characters of a time are its day, its minute, all of it.
_DAY: Final = 10
_MINUTE: Final = 16
_WHOLE: Final = 24


async def hours_and_extensions(
    engine: AsyncEngine, wanted: CallFilter, *, zone: tzinfo = UTC
) -> tuple[dict[datetime, Hour], list[Row]]:
    """The hours that have calls, by their beginning in the zone, and the rows of `stats` by extension.

    Raises ``LedgerError``.
    """
    hours: dict[datetime, Hour] = {}
    groups: dict[str, dict[str, float]] = {}
    try:
        async with engine.connect() as connection:
            async for row in (await connection.stream(_question(wanted, zone))).mappings():
                if row["of"] == By.EXTENSION:
                    groups[row["key"]] = {what: row[what] or 0 for what in SUMS}
                else:
                    hours.setdefault(_began(row["key"], zone), Hour()).add(row)
            details = keys_of(By.EXTENSION, zone)[1]
            people = {row["extension_id"]: dict(row) for row in (await connection.execute(details)).mappings()}
    except DBAPIError as error:
        raise classified(error) from error
    ordered = dict(sorted(hours.items(), key=lambda one: (one[0].timestamp(), one[0].fold)))
    return ordered, rows_of(By.EXTENSION, groups, people)


def _question(wanted: CallFilter, zone: tzinfo) -> "CompoundSelect[Any]":
    """Sums by day, account, direction, hour and extension, in the order of the index; from them those by hour and those
    by extension.
    """
    hour, _ = keys_of(By.HOUR, zone)
    inner: Select[Any] = Select(hour.label("hour"), column("extension_id"), *totals())
    inner = inner.select_from(table("calls")).where(*_conditions(wanted))
    order: list[Any] = [beginning(_DAY), column("account_id"), column("direction"), hour, column("extension_id")]
    pieces = inner.group_by(*order).cte("pieces")
    sums = [func.sum(pieces.c[what]).label(what) for what in SUMS]
    whose = func.coalesce(pieces.c.extension_id, literal_column("''"))
    by_hour: Any = select(literal(By.HOUR.value).label("of"), pieces.c.hour.label("key"), *sums)
    by_extension: Any = select(literal(By.EXTENSION.value).label("of"), whose.label("key"), *sums)
    return union_all(by_hour.group_by(pieces.c.hour), by_extension.group_by(whose))


def _conditions(wanted: CallFilter) -> list[ColumnElement[bool]]:
    """What a call has to meet.

    Few calls are of one number or extension: they are found by that. All else is read off the index of the days, whose
    columns are asked for as expressions: SQLite would take one with fewer columns instead and visit every call.
    """
    if wanted.number or wanted.withheld or wanted.extension:
        return call_conditions(wanted)
    plain = {"account_id": wanted.account_id, "direction": wanted.direction, "disposition": wanted.disposition}
    rest = replace(wanted, since=None, until=None, account_id=None, direction=None, disposition=None)
    conditions = call_conditions(rest)
    conditions += [literal_column(f"{name} || ''") == value for name, value in plain.items() if value]
    if wanted.since is not None:
        first = to_text(wanted.since)
        conditions += [beginning(_DAY) >= first[:_DAY], beginning(_WHOLE) >= first]
    if wanted.until is not None:
        last = to_text(wanted.until)
        conditions += [beginning(_DAY) <= last[:_DAY], beginning(_WHOLE) < last]
    return conditions


def _began(text: str, zone: tzinfo) -> datetime:
    """The hour of the zone in which an hour or a minute (UTC) lies."""
    minute = text if len(text) == _MINUTE else f"{text}:00"
    return in_zone(f"{minute}Z", zone).replace(minute=0)
