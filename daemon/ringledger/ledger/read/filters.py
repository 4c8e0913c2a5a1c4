"""Filters of calls: the one declaration of them, for commands and the read API alike.

:data:`FILTERS` names them, :func:`chosen` reads their texts, ``queries.judge`` compares with what the ledger has. What
must stay true: a value that can match nothing raises :class:`FilterError`, with the reason, before a call is looked at;
a filter is spelled and read the same by everything that takes it. Standard library only.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, tzinfo
from enum import StrEnum
from typing import Final

from ringledger.domain.disposition import Disposition
from ringledger.domain.observation import Direction
from ringledger.exits import Exit
from ringledger.ledger.read.periods import OLDEST_MS, WHEN, instant
from ringledger.ledger.times import to_text

#: The word that finds calls whose caller withheld the number.
WITHHELD: Final = "withheld"
#: A telephone number has 15 digits at most (E.164); what is dialled before and behind it makes it longer.
LONGEST_NUMBER: Final = 24
#: Most rows one question may ask for.
MOST: Final = 1_000_000_000

_DIGITS: Final = re.compile(r"\+?[0-9]+")
#: A number as `[retention] mask_numbers_after_days` leaves it.
_MASKED: Final = re.compile(r"\+?[0-9]+x{4}")
_DIRECTIONS: Final = {
    "in": Direction.INBOUND,
    "inbound": Direction.INBOUND,
    "out": Direction.OUTBOUND,
    "outbound": Direction.OUTBOUND,
}


@dataclass(frozen=True, slots=True)
class Filter:
    """One filter: its name (an option is ``--name``, a query parameter ``name``), what it takes, what it does."""

    name: str
    metavar: str
    help: str


FILTERS: Final = {
    one.name: one
    for one in (
        Filter("since", "TIME", f"Calls that started then or later: {WHEN}."),
        Filter("until", "TIME", "Calls that started before then."),
        Filter("direction", "DIRECTION", "in or out (Inbound, Outbound); an internal call is out."),
        Filter("disposition", "HOW", f"How it ended: {', '.join(Disposition)}."),
        Filter("number", "NUMBER", "Either end's number, with or without +, or `withheld`: the caller's was."),
        Filter("extension", "EXTENSION", "An extension's id or number."),
        Filter("unconfirmed", "", "Not confirmed by the platform yet."),
    )
}


class Longest(StrEnum):
    """What of a call may have taken long: the ``…_seconds`` of a row."""

    RING = "ring"
    TALK = "talk"
    HOLD = "hold"
    DURATION = "duration"


class FilterError(ValueError):
    """A value that can match nothing. ``name`` is the filter's, ``reason`` one sentence for a person."""

    exit_code = Exit.USAGE

    def __init__(self, name: str, reason: str) -> None:
        super().__init__(f"--{name} {reason}")
        self.name = name
        self.reason = reason


@dataclass(frozen=True, slots=True, kw_only=True)
class CallFilter:
    """Which calls. ``since`` and ``until`` (not included, ms) compare with the start; ``number`` is any end, with or
    without ``+``; ``withheld``: the caller's number is not known; ``extension`` is an extension's id or its number;
    ``with_parts``: also those that belong to one."""

    account_id: str | None = None
    since: int | None = None
    until: int | None = None
    direction: str | None = None
    disposition: str | None = None
    number: str | None = None
    withheld: bool = False
    extension: str | None = None
    unconfirmed: bool = False
    with_parts: bool = False


def chosen(
    texts: Mapping[str, str | bool | None],
    *,
    now_ms: int,
    zone: tzinfo = UTC,
    read_number: Callable[[str], str | None],
) -> CallFilter:
    """The filter that texts by name ask for; an absent or ``None`` one asks for nothing. ``zone``: of the report;
    ``read_number``: a number as the ledger keeps it, by the one reader of numbers.

    Raises :class:`FilterError` for what can match nothing, whatever the ledger has, and ``KeyError`` for an unknown
    name.
    """
    given = {FILTERS[name].name: value for name, value in texts.items() if value is not None}
    for name, value in given.items():
        if isinstance(value, str) and not value.strip():
            raise FilterError(name, f"is empty; leave it out or write {FILTERS[name].metavar or 'true'}")
    text = {name: str(value).strip() for name, value in given.items()}
    since, until = period(text.get("since"), text.get("until"), now_ms=now_ms, zone=zone)
    number = _number(text["number"], read_number) if "number" in text else None
    return CallFilter(
        since=since,
        until=until,
        direction=_direction(text["direction"]) if "direction" in text else None,
        disposition=_disposition(text["disposition"]) if "disposition" in text else None,
        number=None if number == WITHHELD else number,
        withheld=number == WITHHELD,
        extension=text.get("extension"),
        unconfirmed=_truth("unconfirmed", text["unconfirmed"]) if "unconfirmed" in text else False,
    )


def period(since: str | None, until: str | None, *, now_ms: int, zone: tzinfo = UTC) -> tuple[int | None, int | None]:
    """From and until, ms. Raises :class:`FilterError` for what is no time and for a period nothing can lie in."""
    first = None if since is None else moment("since", since, now_ms=now_ms, zone=zone)
    last = None if until is None else moment("until", until, now_ms=now_ms, zone=zone)
    if first is not None and first > now_ms:
        raise FilterError("since", f"{since} lies in the future: no call has started since then")
    if last is not None and last <= OLDEST_MS:
        raise FilterError("until", f"{until} lies before {to_text(OLDEST_MS)[:10]}: no call is as old")
    if first is not None and last is not None and first >= last:
        raise FilterError("since", "must lie before --until")
    return first, last


def moment(name: str, text: str, *, now_ms: int, zone: tzinfo = UTC) -> int:
    """Return the time that an option names, ms. Raises :class:`FilterError` for a text that names none."""
    try:
        return instant(text, now_ms, zone)
    except ValueError as error:
        raise FilterError(name, str(error)) from None


def _truth(name: str, text: str) -> bool:
    if (word := text.lower()) not in {"true", "1", "false", "0"}:
        raise FilterError(name, f"{text!r} is neither true nor false")
    return word in {"true", "1"}


def _direction(text: str) -> str:
    if (found := _DIRECTIONS.get(text.lower())) is None:
        raise FilterError("direction", f"{text!r} is no direction; write in or out")
    return found.value


def _disposition(text: str) -> str:
    word = text.lower().replace("-", "_").replace(" ", "_")
    if word not in set(Disposition):
        raise FilterError("disposition", f"{text!r} is no disposition; write {', '.join(Disposition)}")
    return word


def _number(text: str, read_number: Callable[[str], str | None]) -> str:
    if text.lower() == WITHHELD:
        return WITHHELD
    if "**" in text:
        raise FilterError("number", f"{text!r} is masked; write the whole number, as --full-numbers shows it")
    if _MASKED.fullmatch(text):
        return text
    number = read_number(text)
    if number is None:
        return WITHHELD
    if len(number) > LONGEST_NUMBER:
        raise FilterError("number", f"has {len(number)} digits; no telephone number is as long")
    if not _DIGITS.fullmatch(number):
        raise FilterError("number", f"{text!r} is no telephone number; write it like +16505551001, or withheld")
    return number
