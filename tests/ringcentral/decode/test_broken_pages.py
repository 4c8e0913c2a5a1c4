"""Pages that are no JSON as a whole: what can be told apart by brackets is."""

import json
import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringledger.ringcentral.decode.broken_pages import elements, members

VALUES: Any = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)


@given(st.lists(VALUES))
def test_elements_are_those_of_a_parser(values: list[Any]) -> None:
    found = elements(json.dumps(values).encode())
    assert found is not None
    assert [json.loads(one) for one in found] == values


@given(st.dictionaries(st.sampled_from(["records", "paging", "navigation", "uri"]), VALUES))
def test_members_are_those_of_a_parser(values: dict[str, Any]) -> None:
    found = members(json.dumps(values).encode())
    assert found is not None
    assert {key.decode(): json.loads(value) for key, value in found.items()} == values


@given(st.binary())
def test_nothing_raises(data: bytes) -> None:
    members(data)
    elements(data)


@pytest.mark.parametrize(
    "text", [b"", b"[", b"[}", b"[1]]", b"[1] 2", b"{}", b"7", b"[" * 3_000_000, b"[" + b"," * 3_000_000 + b"]"]
)
def test_what_does_not_match_is_not_taken_apart(text: bytes) -> None:
    began = time.process_time()
    assert elements(text) is None
    assert time.process_time() - began < 5
