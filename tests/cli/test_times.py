from datetime import UTC, datetime

import pytest
import typer

from ringledger.cli.times import clock, counted, dated, instant, short, span

NOW = datetime(2026, 3, 2, 9, 30, tzinfo=UTC)


def ms(*parts):
    return round(datetime(*parts).astimezone().timestamp() * 1000)


def test_another_year_is_shown():
    assert dated("2026-03-01T12:00:00.000Z", NOW) == short("2026-03-01T12:00:00.000Z")
    assert dated("2024-07-01T12:00:00.000Z", NOW).startswith("2024-07-01 ")


def test_one_is_no_plural():
    assert [counted(n, "call") for n in (0, 1, 2)] == ["0 calls", "1 call", "2 calls"]
    assert counted(2, "call is", "calls are") == "2 calls are"


def test_times_ago():
    now = round(NOW.timestamp() * 1000)
    assert instant("30s", NOW) == now - 30_000
    assert instant("15m", NOW) == now - 900_000
    assert instant("2h", NOW) == now - 7_200_000
    assert instant("7d", NOW) == now - 604_800_000
    assert instant("now", NOW) == now


def test_days_are_local():
    local = NOW.astimezone()
    assert instant("today", NOW) == ms(local.year, local.month, local.day)
    assert instant("today", NOW) - instant("Yesterday", NOW) in {82_800_000, 86_400_000, 90_000_000}
    assert instant("2026-03-01", NOW) == ms(2026, 3, 1)


def test_iso_times_with_and_without_offset():
    assert instant("2026-03-02T09:30", NOW) == ms(2026, 3, 2, 9, 30)
    assert instant("2026-03-02T09:30:00.250Z", NOW) == round(NOW.timestamp() * 1000) + 250
    assert instant("2026-03-02T10:30+01:00", NOW) == round(NOW.timestamp() * 1000)


@pytest.mark.parametrize("text", ["", "tomorrowish", "7", "h", "2026-13-01", "999999999999w"])
def test_what_is_no_time_says_what_would_be(text):
    with pytest.raises(typer.BadParameter, match="write 2026-03-02"):
        instant(text, NOW)


def test_durations_as_people_read_them():
    assert [span(one) for one in (None, 0.0, 15.141, 59.94, 60, 725, 3725, 604_801)] == [
        "", "0.0 s", "15.1 s", "59.9 s", "1:00", "12:05", "1:02:05", "7 d 0:00",
    ]  # fmt: skip


def test_times_as_people_read_them():
    assert short(None) == ""
    assert clock(None) == "–"
    assert clock("2026-03-02T09:30:00.250Z").endswith("00.250")
