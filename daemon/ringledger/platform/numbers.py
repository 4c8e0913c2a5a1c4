"""Telephone numbers as the ledger keeps them (semantics 10).

What must stay true: a number written with and without its ``+`` comes out the same, the function is
idempotent, and it never raises. The platform writes E.164 with or without ``+``, so bare digits are first
read as international.
"""

import re
from functools import lru_cache
from typing import Final

import phonenumbers
from phonenumbers import NumberParseException, PhoneNumber, PhoneNumberFormat, ValidationResult

#: What telephone networks and the platform write in place of a number that its owner withholds.
WITHHELD: Final = frozenset(
    {
        "",
        "anonymous",
        "blocked",
        "private",
        "private number",
        "restricted",
        "unavailable",
        "unknown",
        "unknown number",
        "withheld",
        "null",
        "none",
        "-",
    }
)
#: Up to so many bare digits are an extension number, whatever the region's numbering plan says.
EXTENSION_DIGITS: Final = 6
_E164 = re.compile(r"\+[1-9][0-9]{7,14}")
_DIGITS = re.compile(r"[0-9]+")
_FORMATTING = re.compile(r"[\s().\-/\u00a0\u2010-\u2015]")


def normalise(raw: str | None, default_region: str) -> str | None:
    """``raw`` as E.164 (``+…``), as a short extension number, or ``None`` when withheld.

    Text that is no number at all (``conference``, a masked ``+1855201XXXX``) is returned stripped.
    ``default_region``: ISO 3166 code for numbers written without a country.
    """
    text = (raw or "").strip()
    if _E164.fullmatch(text):
        return text
    if text.casefold() in WITHHELD:
        return None
    compact = _FORMATTING.sub("", text)
    if compact.startswith("+") and _DIGITS.fullmatch(compact[1:]):
        return _international(compact)
    if _DIGITS.fullmatch(compact):
        return _bare(compact, default_region)
    return text


def _international(text: str) -> str:
    number = _parse(text, None)
    return _e164(number) if number is not None and _possible(number) else text


@lru_cache(maxsize=16384)  # the only costly reading: 26 µs; what comes as E.164 needs no memory
def _bare(digits: str, region: str) -> str:
    """Digits without ``+``: the most certain reading first, as it stands when there is none."""
    if len(digits) <= EXTENSION_DIGITS:
        return digits
    world = _parse("+" + digits, None)
    if world is not None and phonenumbers.is_valid_number(world):
        return _e164(world)
    local = _parse(digits, region)
    if local is not None and phonenumbers.is_valid_number(local):
        return _e164(local)
    if world is not None and len(digits) >= 11 and _possible(world):
        return _e164(world)
    return _e164(local) if local is not None and _possible(local) else digits


def _parse(text: str, region: str | None) -> PhoneNumber | None:
    try:
        return phonenumbers.parse(text, region)
    except NumberParseException:
        return None


def _possible(number: PhoneNumber) -> bool:
    return phonenumbers.is_possible_number_with_reason(number) == ValidationResult.IS_POSSIBLE


def _e164(number: PhoneNumber) -> str:
    return phonenumbers.format_number(number, PhoneNumberFormat.E164)
