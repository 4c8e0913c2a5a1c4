"""Durations in words, for people."""

import pytest

from ringledger.durations import in_words, roughly


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (0.4, "0 s"),
        (59, "59 s"),
        (60, "1 min"),
        (3_540, "59 min"),
        (14_400, "4 h"),
        (12_600, "3.5 h"),
        (345_600, "4 d"),
    ],
)
def test_a_rough_duration_has_one_unit(seconds: float, said: str) -> None:
    assert roughly(seconds) == said


@pytest.mark.parametrize(
    ("seconds", "said"), [(15.14, "15.1 s"), (725, "12:05"), (3_725, "1:02:05"), (604_800, "7 d 0:00")]
)
def test_an_exact_duration_reads_like_a_clock(seconds: float, said: str) -> None:
    assert in_words(seconds) == said
