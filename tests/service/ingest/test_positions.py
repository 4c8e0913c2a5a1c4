"""What a start goes on from may have been changed by hand: what cannot be read counts as not there (rule 9.5)."""

from typing import get_args

import pytest

from ringledger.config.model import Transport
from ringledger.domain.facts import Inventory
from ringledger.domain.observation import FeedPosition
from ringledger.service.build import bookmark_reader
from ringledger.service.ingest.positions import last_listings, listings_position, seen_since, sight_position
from tests.builders import T0

SPOILT = [
    "", "x", "null", "true", "1.5", "-1", "99999999999999999999999", f"{T0 + 1}", "[[1]]", '[["a", ["b"]]]',
    '[[1, "ab"]]', f"[[{T0}, [2]]]", f'[[{T0 + 1}, ["a"]]]', f'[[{T0}, ["\\ud800"]]]', "\ud800", "[" * 2_000, "{}",
    '{"cursor": -5, "subscription_id": "s", "filters": "f"}',
    '{"cursor": 0, "subscription_id": "s", "filters": "f"}',
    '{"cursor": 99999999999999999, "subscription_id": "s", "filters": "f"}',
    '{"subscription_id": 5, "filters": "f", "token": "t"}',
]  # fmt: skip


@pytest.mark.parametrize("token", SPOILT)
def test_what_none_of_ours_has_written_is_told_by_nothing(token: str) -> None:
    assert seen_since(FeedPosition("sight", "", token, T0)) is None
    assert last_listings(FeedPosition("listings", "", token, T0)) is None
    for feed in get_args(Transport):
        assert bookmark_reader(feed)(FeedPosition(feed, "", token, T0)) is None


def test_what_was_written_is_read() -> None:
    listings = [Inventory("", T0 - 5_000, ("a", "b")), Inventory("", T0)]
    assert last_listings(listings_position(listings)) == listings
    assert seen_since(sight_position(T0)) == T0
