"""Telephone numbers as the ledger keeps them (rule 10.1).

There is one reading, for what the platform sends and for what people type. What must stay true: it is idempotent and
never raises; a number written with and without its ``+`` comes out the same, but for ten digits in a region of country
code 1 and for digits that begin with the region's trunk prefix, which are national first.
"""

import re
from functools import lru_cache
from typing import Final, Literal, NamedTuple

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
#: A main number with an extension behind it (rule 10.3).
_BEHIND = re.compile(r"([+(]?[0-9][0-9\s().\-/]*?)\s*(?:[*#]|;ext=|ext\.?\s*|x\s*)([0-9]{1,7})", re.IGNORECASE)
#: Digits of a national number in the regions of country code 1.
_NANP_DIGITS: Final = 10
#: No number and no text in place of one is longer.
_LONGEST: Final = 64

How = Literal["withheld", "extension", "international", "national", "text"]


class Reading(NamedTuple):
    """A number as the ledger keeps it (``None``: withheld), and how the text was read.

    ``text``: it is no telephone number and stands as it was written.
    """

    number: str | None
    how: How


def normalise(raw: str | None, default_region: str) -> str | None:
    """``raw`` as E.164 (``+…``), as a short extension number, or ``None`` when withheld.

    Text that is no number at all (``conference``, a masked ``+1855201XXXX``) is returned stripped.
    ``default_region``: ISO 3166 code for numbers written without a country.
    """
    text = (raw or "").strip()
    return text if _E164.fullmatch(text) else read_number(text, default_region).number


def read_number(raw: str | None, default_region: str) -> Reading:
    """The number of a text and how it was read; see :func:`normalise`."""
    text = (raw or "").strip()
    if text.casefold() in WITHHELD:
        return Reading(None, "withheld")
    if len(text) > _LONGEST:
        return Reading(text, "text")
    compact = _FORMATTING.sub("", text)
    if compact.startswith("+") and _DIGITS.fullmatch(compact[1:]):
        return _international(compact)
    if _DIGITS.fullmatch(compact):
        return _bare(compact, default_region)
    if behind := _BEHIND.fullmatch(text):
        main = read_number(behind[1], default_region)
        if main.how in {"international", "national"}:
            return main
    return Reading(text, "text")


def _international(text: str) -> Reading:
    number = _parse(text, None)
    return Reading(_e164(number) if number is not None and _possible(number) else text, "international")


@lru_cache(maxsize=16384)  # the only costly reading: 26 µs; what comes as E.164 needs no memory
def _bare(digits: str, region: str) -> Reading:
    """Digits without ``+``: the most certain reading first, as it stands when there is none."""
    if len(digits) <= EXTENSION_DIGITS:
        return Reading(digits, "extension")
    world, local = _parse("+" + digits, None), _parse(digits, region)
    readings: list[tuple[PhoneNumber | None, How]] = [(world, "international"), (local, "national")]
    for number, how in reversed(readings) if _national_first(digits, region) else readings:
        if number is not None and phonenumbers.is_valid_number(number):
            return Reading(_e164(number), how)
    if world is not None and len(digits) > _NANP_DIGITS and _possible(world):
        return Reading(_e164(world), "international")
    return Reading(_e164(local), "national") if local is not None and _possible(local) else Reading(digits, "text")


def _national_first(digits: str, region: str) -> bool:
    """Whether people of the region who write these digits mean a number of their own country (rule 10.2)."""
    if phonenumbers.country_code_for_region(region) == 1 and len(digits) == _NANP_DIGITS:
        return True
    trunk = phonenumbers.ndd_prefix_for_region(region, strip_non_digits=True)
    return trunk is not None and trunk != "" and digits.startswith(trunk)


def _parse(text: str, region: str | None) -> PhoneNumber | None:
    try:
        return phonenumbers.parse(text, region)
    except NumberParseException:
        return None


def _possible(number: PhoneNumber) -> bool:
    return phonenumbers.is_possible_number_with_reason(number) == ValidationResult.IS_POSSIBLE


def _e164(number: PhoneNumber) -> str:
    return phonenumbers.format_number(number, PhoneNumberFormat.E164)
