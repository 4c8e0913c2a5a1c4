"""Damaged input for everything that reads what others have written: only documented errors, only storable values.

A short round; `make fuzz ROUNDS=1000000` is a long one. What any round has found is in ``corpus/`` and is tried always.
"""

import random
from pathlib import Path

import pytest

from ringledger.ringcentral.decode.presence import decode_notification
from ringledger.ringcentral.decode.unreadable import WireError, WireReason
from tests.fuzz.mutate import mutated
from tests.fuzz.run import CORPUS, attempt, fuzz, rounds_of
from tests.fuzz.targets import TARGETS

ROUNDS = 3_000
KEPT = sorted(path for path in CORPUS.rglob("*") if path.is_file())


@pytest.mark.parametrize("path", KEPT, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_what_was_found_before(path: Path) -> None:
    attempt(TARGETS[path.parent.name][0], path.read_bytes())


@pytest.mark.parametrize("name", TARGETS)
def test_a_short_round(name: str) -> None:
    assert fuzz(name, rounds_of(ROUNDS)[name], seed=20260105) == []


def test_every_target_keeps_something() -> None:
    assert {path.parent.name for path in KEPT} == set(TARGETS)


def test_damage_is_neither_too_small_nor_too_large() -> None:
    """Some of it is read all the same, and the rest is refused for many reasons."""
    dice = random.Random(7)
    outcomes = {_outcome(mutated(TARGETS["notification"][1], dice)) for _ in range(3_000)}
    assert {None, "not_json", "wrong_shape", "missing_body", "bad_timestamp", "not_presence"} <= outcomes


def _outcome(payload: bytes) -> WireReason | None:
    try:
        decode_notification(payload, account_id="1", default_region="US", received_at=0)
    except WireError as error:
        return error.reason
    return None
