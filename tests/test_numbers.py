"""Numbers: one reading for all that is sent and typed, and never an exception."""

import phonenumbers
import pytest
from hypothesis import given
from hypothesis import strategies as st
from phonenumbers import PhoneNumberFormat, PhoneNumberType

from ringledger.numbers import normalise, read_number
from ringledger.observability.redaction import mask_number

REGIONS = st.sampled_from(["US", "DE", "GB", "BR", "IT", "XX", ""])


@pytest.mark.parametrize(
    ("raw", "region", "expected"),
    [
        ("+16505550100", "US", "+16505550100"),
        ("16505550100", "US", "+16505550100"),
        ("16505550100", "DE", "+16505550100"),
        ("6505550100", "US", "+16505550100"),
        ("(650) 555-0100", "US", "+16505550100"),
        ("030 901820", "DE", "+4930901820"),
        ("4930901820", "DE", "+4930901820"),
        ("6465550123", "US", "+16465550123"),
        ("6465550123", "JM", "+16465550123"),
        ("6465550123", "NZ", "+6465550123"),
        ("84951234567", "RU", "+74951234567"),
        ("84951234567", "US", "+84951234567"),
        ("2083661177", "US", "+12083661177"),
        ("4121234567", "US", "+14121234567"),
        ("442083661177", "US", "+442083661177"),
        ("16505551000*102", "US", "+16505551000"),
        ("+16505551000*102", "DE", "+16505551000"),
        ("(650) 555-1000 x102", "US", "+16505551000"),
        ("+16505551000;ext=102", "US", "+16505551000"),
        ("101*2", "US", "101*2"),
        ("*72", "US", "*72"),
        ("123456", "DE", "123456"),
        ("101", "US", "101"),
        ("101", "DE", "101"),
        ("conference", "US", "conference"),
        ("+1855201XXXX", "US", "+1855201XXXX"),
        ("18885434778", "US", "+18885434778"),
        (" +16505550100 ", "US", "+16505550100"),
        ("6505550100", "XX", "6505550100"),
    ],
)
def test_a_number_has_one_spelling(raw: str, region: str, expected: str) -> None:
    assert normalise(raw, region) == expected


@pytest.mark.parametrize("raw", ["", None, "  ", "anonymous", "Anonymous", "UNKNOWN", "restricted", "Private"])
def test_withheld_is_none(raw: str | None) -> None:
    assert normalise(raw, "US") is None


@given(raw=st.one_of(st.text(), st.from_regex(r"\+?[0-9 ().-]{0,20}", fullmatch=True)), region=REGIONS)
def test_it_never_raises_and_is_idempotent(raw: str, region: str) -> None:
    once = normalise(raw, region)
    assert normalise(once, region) == once


REGION_NAMES = sorted(phonenumbers.SUPPORTED_REGIONS)
KINDS = (PhoneNumberType.FIXED_LINE, PhoneNumberType.MOBILE, PhoneNumberType.TOLL_FREE)


def examples(region: str) -> list[phonenumbers.PhoneNumber]:
    found = (phonenumbers.example_number_for_type(region, kind) for kind in KINDS)
    return [number for number in found if number is not None]


def e164(number: phonenumbers.PhoneNumber) -> str:
    return phonenumbers.format_number(number, PhoneNumberFormat.E164)


def read_as_national(number: str, region: str) -> bool:
    """The exceptions of rule 10, and numbers so short that they are an extension's."""
    digits = number[1:]
    trunk = phonenumbers.ndd_prefix_for_region(region, strip_non_digits=True)
    code = phonenumbers.country_code_for_region(region)
    return (code == 1 and len(digits) == 10) or bool(trunk and digits.startswith(trunk)) or len(digits) <= 6


@pytest.mark.parametrize(
    "region",
    [
        *("US", "DE", "HU", ""),
        *(
            pytest.param(name, marks=pytest.mark.slow)
            for name in ("CA", "JM", "GB", "RU", "KZ", "BR", "IT", "JP", "XX")
        ),
    ],
)
def test_every_countrys_numbers_with_and_without_plus_are_the_same(region: str) -> None:
    for home in REGION_NAMES:
        for number in map(e164, examples(home)):
            assert normalise(number, region) == number
            if not read_as_national(number, region):
                assert normalise(number[1:], region) == number, home


def test_what_people_write_at_home_is_their_countrys_number() -> None:
    """With the trunk prefix, or with ten digits in the regions of code 1; elsewhere without, it may be another's."""
    for home in REGION_NAMES:
        trunk = phonenumbers.ndd_prefix_for_region(home, strip_non_digits=True)
        for number in examples(home):
            written = phonenumbers.format_number(number, PhoneNumberFormat.NATIONAL)
            digits = "".join(filter(str.isdigit, written))
            certain = (trunk and digits.startswith(trunk)) or (number.country_code == 1 and len(digits) == 10)
            if certain and len(digits) > 6:
                assert normalise(written, home) == e164(number), (home, written)
                assert read_number(digits, home) == (e164(number), "national")


@given(st.from_regex(r"[2-9][0-9]{9}", fullmatch=True), st.sampled_from(["US", "CA", "PR"]))
def test_ten_digits_that_are_valid_in_north_america_are_a_number_there(digits: str, region: str) -> None:
    valid = phonenumbers.is_valid_number(phonenumbers.parse(digits, region))
    assert normalise(digits, region) == f"+1{digits}" or not valid


@pytest.mark.parametrize("number", ["911", "933", "112", "999", "000", "110", "119", "*911", "+911"])
def test_an_emergency_number_is_the_same_in_every_country(number: str) -> None:
    """It is dialled, sought and shown as it was written."""
    assert {normalise(number, region) for region in REGION_NAMES} == {number}
    assert mask_number(number) == number
