from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringledger.ledger.times import to_ms, to_ms_or_none, to_text, to_text_or_none

years_0001_to_9999 = st.integers(-62_135_596_800_000, 253_402_300_799_999)


@given(years_0001_to_9999)
def test_a_time_survives_the_way_to_text_and_back(ms):
    assert to_ms(to_text(ms)) == ms


@given(years_0001_to_9999, years_0001_to_9999)
def test_texts_sort_like_times(one, other):
    assert (to_text(one) < to_text(other)) == (one < other)


def test_the_shape_is_the_contracts():
    assert to_text(1_451_587_735_133) == "2015-12-31T18:48:55.133Z"
    assert datetime.fromisoformat(to_text(0)) == datetime(1970, 1, 1, tzinfo=UTC)


def test_nothing_stays_nothing():
    assert to_text_or_none(None) is None
    assert to_ms_or_none(None) is None


def test_a_text_that_is_no_time_is_refused():
    with pytest.raises(ValueError, match="where a time has to be"):
        to_ms("yesterday")
