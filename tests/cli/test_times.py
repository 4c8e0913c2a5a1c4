from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from ringledger.cli.times import clock, counted, dated, headed, short, show_in, span

NOW = datetime(2026, 3, 2, 9, 30, tzinfo=UTC)


@pytest.fixture
def berlin():
    show_in(ZoneInfo("Europe/Berlin"))
    yield
    show_in(UTC)


def test_another_year_is_shown():
    assert dated("2026-03-01T12:00:00.000Z", NOW) == short("2026-03-01T12:00:00.000Z")
    assert dated("2024-07-01T12:00:00.000Z", NOW).startswith("2024-07-01 ")


def test_times_are_those_of_the_reports_zone_and_a_heading_names_it(berlin):
    winter, summer = "2026-01-05T23:30:00.000Z", "2026-07-05T22:30:00.000Z"
    assert (short(winter), short(summer)) == ("01-06 00:30:00", "07-06 00:30:00")
    assert headed("started", [winter, None]) == "started (CET)"
    assert headed("started", [winter, summer, winter]) == "started (CET/CEST)"


def test_a_heading_without_times_names_the_zone_too():
    assert headed("started", []) == "started (UTC)"


def test_one_is_no_plural():
    assert [counted(n, "call") for n in (0, 1, 2)] == ["0 calls", "1 call", "2 calls"]
    assert counted(2, "call is", "calls are") == "2 calls are"


def test_durations_as_people_read_them():
    assert [span(one) for one in (None, 0.0, 15.141, 59.94, 60, 725, 3725, 604_801)] == [
        "", "0.0 s", "15.1 s", "59.9 s", "1:00", "12:05", "1:02:05", "7 d 0:00",
    ]  # fmt: skip


def test_times_as_people_read_them():
    assert short(None) == ""
    assert clock(None) == "–"
    assert clock("2026-03-02T09:30:00.250Z").endswith("00.250")
