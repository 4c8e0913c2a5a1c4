"""Values from outside: what is let through can stand in any database and any arithmetic with clocks."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringledger.ringcentral.decode.unreadable import WireError, WireReason
from ringledger.ringcentral.decode.values import (
    AHEAD_MS,
    EARLIEST_MS,
    INT64_MAX,
    LATEST_MS,
    MAX_LIFE_SECONDS,
    PlatformDates,
    cut,
    figure,
    http_date,
    latest_time,
    life,
    text_id,
    time_of,
    whole,
)

NOW = 1767607200000  # 2026-01-05T10:00:00Z
DAY = 86_400_000


@pytest.mark.parametrize(
    ("text", "at"),
    [
        ("2026-01-05T10:00:00Z", NOW),
        ("2026-01-06T10:00:00Z", NOW + DAY),
        ("2000-01-01T00:00:00Z", EARLIEST_MS),
    ],
)
def test_times_within_the_bounds_are_taken(text: str, at: int) -> None:
    assert time_of(text, latest_time(NOW)) == at


@pytest.mark.parametrize(
    "text",
    [
        "1999-12-31T23:59:59.999Z",
        "2026-01-06T10:00:00.001Z",
        "9999-12-31T23:59:59.999-12:00",
        "0001-01-01T00:00:00+14:00",
        "2100-01-01T00:00:00Z",
        "noon",
        "",
        "2026-01-05T10:00:00Z" + " " * 200_000,
    ],
)
def test_times_without_are_not(text: str) -> None:
    with pytest.raises(WireError) as refused:
        time_of(text, latest_time(NOW))
    assert refused.value.reason is WireReason.BAD_TIMESTAMP


@given(now=st.integers(-(2**70), 2**70))
def test_nothing_is_ever_believed_beyond_2099(now: int) -> None:
    assert EARLIEST_MS < latest_time(now) < LATEST_MS


@pytest.mark.parametrize(
    ("text", "at"),
    [
        ("Mon, 05 Jan 2026 10:00:00 GMT", NOW),
        ("Mon,  5 Jan 2026 10:00:00 GMT", NOW),
        ("05 Jan 2026 11:00:00 +0100", NOW),
        ("Monday, 05-Jan-2026 10:00:00 UTC", NOW),
        ("Mon, 05 Jan 2026 10:00:60 GMT", NOW + 59_000),
        ("Fri, 31 Dec 9999 23:59:59 GMT", None),
        ("Mon, 01 Jan 0001 00:00:00 GMT", None),  # the library reads it as a year of two digits: 2001
        ("Fri, 31 Dec 1999 23:59:59 GMT", None),
        ("Mon, 32 Jan 2026 10:00:00 GMT", None),
        ("Mon, 05 Jan 2026 25:00:00 GMT", None),
        ("yesterday", None),
        ("", None),
        ("Mon, 05 Jan 2026 10:00:00 GMT" * 10_000, None),
    ],
)
def test_dates_of_headers(text: str, at: int | None) -> None:
    assert http_date(text) == at


@given(st.datetimes(datetime.fromisoformat("2000-01-01"), datetime.fromisoformat("2099-12-31")))
def test_every_date_a_server_writes_is_read(moment: datetime) -> None:
    aware = moment.replace(microsecond=0, tzinfo=UTC)
    assert http_date(f"{aware:%a, %d %b %Y %H:%M:%S} GMT") == round(aware.timestamp() * 1000)


@given(st.text())
def test_no_header_raises(text: str) -> None:
    http_date(text)
    figure(text, 0, 1e9)
    whole(text)


def test_an_odd_date_is_not_believed_and_one_that_is_said_again_is() -> None:
    dates = PlatformDates()
    dates.learn(NOW, NOW)
    far = NOW + 40 * DAY
    assert not dates.believes(far, NOW)
    dates.learn(far, NOW)
    assert not dates.believes(far, NOW)
    dates.learn(NOW + 1000, NOW)
    dates.learn(far, NOW)
    assert not dates.believes(far, NOW), "two odd ones with a good one between them"
    dates.learn(far + 5000, NOW)
    assert dates.believes(far, NOW)
    assert dates.latest(NOW) == far + 5000 + AHEAD_MS


def test_figures_of_headers() -> None:
    assert figure("12.5", 0, 100) == 12.5
    for text in (None, "", "nan", "inf", "-inf", "1e400", "-1", "101", "soon", "9" * 5000):
        assert figure(text, 0, 100) is None


def test_whole_numbers() -> None:
    assert whole("17") == 17
    assert whole(INT64_MAX) == INT64_MAX
    for value in (None, "", "x", INT64_MAX + 1, -1, float("inf"), float("nan"), "9" * 5000, [], {}):
        assert whole(value) is None


def test_lives() -> None:
    assert life(900) == 900
    assert life(1e300) == MAX_LIFE_SECONDS
    for seconds in (None, 0, -5, float("nan")):
        assert life(seconds) is None


def test_text_is_bounded_and_storable() -> None:
    assert cut("Ann\x00") == "Ann\ufffd"
    assert cut("x" * 200_000, 256) == "x" * 256
    assert cut("") is None
    assert cut(None) is None
    assert text_id("a\x00") == "a\ufffd"
