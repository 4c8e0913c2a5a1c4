"""Where a number stands in what is kept as JSON: at the ends of calls, and nowhere else.

What must stay true: digits that merely occur (in an id, in a longer number) are no mention; what can no longer be read
counts as one when the digits stand in it by themselves, for it is to go rather than to stay.
"""

import re
from collections.abc import Iterator
from typing import Any, Final

from msgspec import DecodeError
from msgspec.json import decode

from ringledger.domain.observation import Party, RecordClaim
from ringledger.ledger.errors import LedgerBroken
from ringledger.ledger.memory import observation_of, session_of

#: A number this short is an extension's: names are full of such digits.
SHORT: Final = 6


def in_observation(kind: str, body: str, digits: str) -> bool:
    """Whether a row of ``observation`` has a call with this number."""
    try:
        seen = observation_of(kind, body)
    except LedgerBroken:
        return _alone(digits, body)
    if isinstance(seen, RecordClaim):
        return _among((seen.from_party, seen.to_party), digits)
    return any(_among((item.from_party, item.to_party), digits) for item in seen.items)


def in_letter(body: str, digits: str) -> bool:
    """Whether a row of ``outbox`` tells of a call with this number."""
    try:
        data: dict[str, Any] = decode(body)["data"]
    except (DecodeError, KeyError, TypeError):
        return _alone(digits, body)
    ends = (Party(data.get(f"{end}_number"), data.get(f"{end}_name")) for end in ("from", "to"))
    return _among(ends, digits)


def in_state(state: str, digits: str) -> bool:
    """Whether a row of ``call_state`` is of a call with this number. Raises ``LedgerBroken``."""
    return any(_among((leg.from_party, leg.to_party), digits) for leg in session_of(state).legs)


def _among(parties: Iterator[Party] | tuple[Party, ...], digits: str) -> bool:
    same = {digits, f"+{digits}"}
    named = len(digits) > SHORT
    return any(
        party.number in same or party.raw in same or (named and _alone(digits, party.name or "")) for party in parties
    )


def _alone(digits: str, text: str) -> bool:
    """Whether the digits stand in the text as a number of their own."""
    return re.search(rf"(?<!\d){digits}(?!\d)", text) is not None
