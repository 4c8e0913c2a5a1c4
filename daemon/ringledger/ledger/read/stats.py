"""Calls counted by time, party or ending: what `stats` and the read API show.

What must stay true: the database adds up, so that a million calls cost no memory; days and hours are those of the
report's zone; an answer rate is of inbound calls; an unknown time (null) has no part in a mean.
"""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime, tzinfo
from typing import Any, Final

from sqlalchemy import ColumnElement, Select, case, column, func, literal_column, select, table
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncEngine

from ringledger.domain.observation import Direction
from ringledger.ledger.errors import classified
from ringledger.ledger.read.filters import WITHHELD, CallFilter
from ringledger.ledger.read.groups import TIMES, By
from ringledger.ledger.read.periods import zone_name
from ringledger.ledger.read.queries import call_conditions
from ringledger.ledger.times import in_zone

Row = dict[str, Any]


#: Sums, from which the figures of any union of groups follow.
SUMS: Final = ("calls", "inbound", "answered", "taken", "missed", "rung", "ring", "spoken", "talk")
Sums = dict[str, float]


async def stats(engine: AsyncEngine, wanted: CallFilter, by: By, *, zone: tzinfo = UTC) -> tuple[list[Row], Row]:
    """One row per group, by time in its order, else the busiest first; and the figures of all together.

    A row has ``by``'s name with the group's key, then ``groups.FIGURES``; with groups of time also ``time_zone``, with
    extensions ``extension_number`` and ``extension_name``. Raises ``LedgerError``.
    """
    groups: dict[str, Sums] = {}
    name = _namer(by, zone)
    keys, details = keys_of(by, zone)
    counted: Select[Any] = Select(keys.label("key"), *totals())
    counted = counted.select_from(table("calls")).where(*call_conditions(wanted)).group_by("key")
    people: dict[str, Row] = {}
    try:
        async with engine.connect() as connection:
            async for found in (await connection.stream(counted)).mappings():
                sums = groups.setdefault(name(found["key"]), dict.fromkeys(SUMS, 0))
                for what in SUMS:
                    sums[what] += found[what] or 0
            if by is By.EXTENSION:
                people = {row["extension_id"]: dict(row) for row in (await connection.execute(details)).mappings()}
    except DBAPIError as error:
        raise classified(error) from error
    whole = {what: sum(sums[what] for sums in groups.values()) for what in SUMS}
    return rows_of(by, groups, people, zone), _figures(whole)


def rows_of(by: By, groups: Mapping[str, Sums], people: Mapping[str, Row], zone: tzinfo = UTC) -> list[Row]:
    """The rows of groups, in their order. ``people``: who the extensions are, by id."""
    rows = [_row(by, key, sums, people, zone) for key, sums in groups.items()]
    order: Callable[[Row], Any] = (lambda row: row[by]) if by.of_time else (lambda row: (-row["calls"], row[by]))
    return sorted(rows, key=order)


def _row(by: By, key: str, sums: Sums, people: Mapping[str, Row], zone: tzinfo) -> Row:
    row: Row = {by.value: key, **_figures(sums)}
    if by.of_time:
        row["time_zone"] = zone_name(zone)
    if by is By.EXTENSION:
        known = people.get(key, {})
        row |= {"extension_number": known.get("extension_number"), "extension_name": known.get("name")}
    return row


def _figures(sums: Sums) -> Row:
    def mean(total: str, count: str, digits: int = 3) -> float | None:
        return round(sums[total] / sums[count], digits) if sums[count] else None

    return {
        "calls": int(sums["calls"]),
        "inbound": int(sums["inbound"]),
        "outbound": int(sums["calls"] - sums["inbound"]),
        "answered": int(sums["answered"]),
        "missed": int(sums["missed"]),
        "answer_rate": mean("taken", "inbound", 4),
        "ring_seconds_mean": mean("ring", "rung"),
        "talk_seconds_mean": mean("spoken", "answered"),
        "talk_seconds": round(sums["talk"], 3),
    }


def totals() -> list[ColumnElement[Any]]:
    """The sums of :data:`SUMS`, as columns."""
    inbound = column("direction") == Direction.INBOUND.value
    answered = column("disposition") == "answered"
    missed = column("disposition") == "missed"
    rang = column("ring_seconds").is_not(None)
    made: dict[str, ColumnElement[Any]] = {
        "calls": func.count(),
        "inbound": _many(inbound),
        "answered": _many(answered),
        "taken": _many(inbound & answered),
        "missed": _many(missed),
        "rung": _many(rang),
        "ring": func.sum(case((rang, column("ring_seconds")))),
        "spoken": func.sum(case((answered, column("talk_seconds")))),
        "talk": func.sum(column("talk_seconds")),
    }
    return [made[what].label(what) for what in SUMS]


def _many(condition: ColumnElement[bool]) -> ColumnElement[Any]:
    return func.sum(case((condition, 1), else_=0))


def keys_of(by: By, zone: tzinfo) -> tuple[ColumnElement[str], Select[Any]]:
    """What the database groups by, and the question who the extensions are."""
    who: Any = [column(name) for name in ("extension_id", "extension_number", "name")]
    people: Select[Any] = select(*who).select_from(table("extension_presence"))
    if by.of_time:  # the database has no zones that are portable: hours, or minutes, are added up here
        return beginning(13 if _whole_hours(zone) else 16), people
    if by is By.EXTENSION:
        return func.coalesce(column("extension_id"), ""), people
    if by is By.NUMBER:
        inbound = column("direction") == Direction.INBOUND.value
        caller: ColumnElement[str] = func.coalesce(column("from_number"), WITHHELD)
        return case((inbound, caller), else_=func.coalesce(column("to_number"), "unknown")), people
    return column(by.value), people


def beginning(characters: int) -> ColumnElement[str]:
    """So many characters of a call's start, as an index has them: an expression with parameters is not the index's."""
    return func.substr(column("started_at"), literal_column("1"), literal_column(str(characters)))


def _namer(by: By, zone: tzinfo) -> Callable[[str], str]:
    if not by.of_time:
        return lambda key: key
    form = TIMES[by]
    return lambda key: in_zone(f"{key if len(key) > 13 else f'{key}:00'}Z", zone).strftime(form)


def _whole_hours(zone: tzinfo) -> bool:
    """Whether the zone is never off UTC by a part of an hour, from 2000 to 2100."""
    moments = (datetime(year, month, 1, tzinfo=zone) for year in range(2000, 2101) for month in (1, 7))
    return all(not (moment.utcoffset() or moment - moment).seconds % 3600 for moment in moments)
