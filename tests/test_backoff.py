"""The pauses after failures in a row."""

import math

from ringledger.backoff import Backoff


def test_each_pause_is_twice_the_one_before_up_to_the_longest():
    assert [Backoff(2.0, 60.0).after(failures) for failures in range(1, 8)] == [2, 4, 8, 16, 32, 60, 60]


def test_a_longest_pause_below_the_first_is_kept():
    assert Backoff(5.0, 1.0).after(1) == 1.0


def test_however_often_it_fails_a_pause_is_a_number():
    assert Backoff(1.0, 300.0).after(10**9) == 300.0
    assert math.isfinite(Backoff(1.0, math.inf).after(10**9))
