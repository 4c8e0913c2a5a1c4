"""Numbers as the feed brings them and as people type them: one reading."""

from pathlib import Path

import pytest

NUMBERS = Path(__file__).parents[1] / "data" / "numbers.jsonl"
CALLERS = ["+16465550123", "+12125550147", "+14155550123", "+13125550188", "+19175550102"]


def test_ten_digits_of_the_feed_are_an_american_number(cli):
    rows = cli("replay", NUMBERS, "--full-numbers", "--json").data
    assert [row["from_number"] for row in rows][::-1] == CALLERS


@pytest.mark.parametrize("typed", ["3027430863", "302-743-0863", "13027430863", "+13027430863", "13027430863*12"])
def test_ten_digits_find_the_american_calls(cli, database, typed):
    rows = cli("calls", "--number", typed, "--json", "--full-numbers").data
    assert {row["from_number"] for row in rows} == {"+13027430863"}
