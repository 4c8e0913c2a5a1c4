"""The words for faults, and the dice."""

import random

import pytest

from ringledger.simulator import FAULT_NAMES, parse_fault
from ringledger.simulator.faults.plan import KINDS, Fault


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("drop", Fault("drop", 0.1, None, 0)), ("drop=0.25", Fault("drop", 0.25, None, 0)),
        ("drop=25%", Fault("drop", 0.25, None, 0)), ("drop=3x", Fault("drop", None, 3, 0)),
        ("delay", Fault("delay", 0.2, None, 10)), ("delay:2.5", Fault("delay", 0.2, None, 2.5)),
        ("delay:5=1", Fault("delay", 1.0, None, 5)), ("429=1x", Fault("429", None, 1, 0)),
        ("silent", Fault("silent", None, 1, 0)), ("reset=2x", Fault("reset", None, 2, 0)),
    ],
)  # fmt: skip
def test_how_faults_are_written(text: str, fault: Fault):
    assert parse_fault(text) == fault


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("dorp", "unknown fault 'dorp'; known are drop, duplicate"), ("dorp=1", "unknown fault 'dorp'"),
        ("drop=2", "between 0 and 1"), ("drop=", "write drop"), ("drop=x", "write drop"), ("drop=0x", "no count"),
        ("drop=1.5x", "no count"), ("drop=1.2.3", "no rate"), ("drop:5", "takes no seconds"),
        ("reset=0.5", "takes a count"), ("", "unknown fault"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said(text: str, problem: str):
    with pytest.raises(ValueError, match=problem):
        parse_fault(text)


def test_every_fault_can_be_written_by_its_name_alone():
    for name in FAULT_NAMES:
        fault = parse_fault(name)
        assert (fault.rate is None) != (fault.count is None)
        assert KINDS[name].where in ("notification", "rest", "poll")


def test_a_count_is_kept_and_a_rate_is_about_right():
    dice = random.Random(1)
    counted, rated = parse_fault("drop=3x"), parse_fault("drop=0.3")
    assert [counted.happens(dice) for _ in range(5)] == [True, True, True, False, False]
    assert 250 < sum(rated.happens(dice) for _ in range(1000)) < 350
