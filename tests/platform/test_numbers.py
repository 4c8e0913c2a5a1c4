"""Numbers: one spelling per number, and never an exception."""

import phonenumbers
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringledger.platform.numbers import normalise

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


@given(
    number=st.sampled_from(["US", "DE", "GB", "FR", "BR", "JP", "AU", "IN", "IT", "NZ"]).map(
        lambda region: phonenumbers.format_number(
            phonenumbers.example_number(region), phonenumbers.PhoneNumberFormat.E164
        )
    ),
    region=REGIONS,
)
def test_with_and_without_plus_is_the_same_number(number: str, region: str) -> None:
    assert normalise(number[1:], region) == number == normalise(number, region)
