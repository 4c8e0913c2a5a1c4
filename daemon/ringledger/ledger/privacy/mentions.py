"""Where a number stands in what is kept as JSON: at the ends of calls, and nowhere else.

What must stay true: digits that merely occur (in an id, in a longer number) are no mention; what can no longer be read
counts as one when the digits stand in it by themselves, for it is to go rather than to stay.
"""

import re
from collections.abc import Iterable
from typing import Any, Final

from msgspec import DecodeError
from msgspec.json import decode

from ringledger.domain.observation import Party
from ringledger.ledger.errors import LedgerBroken
from ringledger.ledger.read.facts import parties_of
from ringledger.ledger.schema.calls import NUMBERS

#: A number this short is an extension's: names are full of such digits.
SHORT: Final = 6


def in_fact(row: Any, digits: str) -> bool:
    """Whether a row of ``fact`` names this number at an end of its call."""
    try:
        return _among(parties_of(row), digits)
    except LedgerBroken:
        return _alone(digits, row.body)


def in_text(body: str, digits: str) -> bool:
    """Whether the digits stand by themselves in a text that could not be decoded."""
    return _alone(digits, body)


def in_letter(body: str, digits: str) -> bool:
    """Whether a row of ``outbox`` tells of a call with this number."""
    try:
        data: dict[str, Any] = decode(body)["data"]
    except (DecodeError, KeyError, TypeError):
        return _alone(digits, body)
    names = {number: number.removesuffix("_number") + "_name" for number in NUMBERS}
    return _among([Party(data.get(number), data.get(name)) for number, name in names.items()], digits)


def _among(parties: Iterable[Party], digits: str) -> bool:
    same = {digits, f"+{digits}"}
    named = len(digits) > SHORT
    return any(
        party.number in same or party.raw in same or (named and _alone(digits, party.name or "")) for party in parties
    )


def _alone(digits: str, text: str) -> bool:
    """Whether the digits stand in the text as a number of their own."""
    return re.search(rf"(?<!\d){digits}(?!\d)", text) is not None
