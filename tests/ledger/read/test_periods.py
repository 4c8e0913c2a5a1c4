from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from ringledger.ledger.read.periods import instant, zone_name

BERLIN = ZoneInfo("Europe/Berlin")
NOW = datetime(2026, 3, 2, 23, 30, tzinfo=UTC)  # half past midnight in Berlin
NOW_MS = round(NOW.timestamp() * 1000)


def ms(*parts, zone=UTC):
    return round(datetime(*parts, tzinfo=zone).timestamp() * 1000)  # type: ignore[misc]


@pytest.mark.parametrize(
    ("text", "ago"),
    [("30s", timedelta(seconds=30)), ("15m", timedelta(minutes=15)), ("2h", timedelta(hours=2)),
     ("7d", timedelta(days=7)), ("2w", timedelta(weeks=2)), ("now", timedelta(0))],
)  # fmt: skip
def test_times_ago(text, ago):
    assert instant(text, NOW_MS) == NOW_MS - ago // timedelta(milliseconds=1)


def test_a_day_begins_at_the_midnight_of_its_zone():
    assert instant("today", NOW_MS) == ms(2026, 3, 2)
    assert instant("Yesterday", NOW_MS) == ms(2026, 3, 1)
    assert instant("today", NOW_MS, BERLIN) == ms(2026, 3, 3, zone=BERLIN)
    assert instant("2026-03-01", NOW_MS, BERLIN) == ms(2026, 2, 28, 23)
    assert instant("2026-07", NOW_MS, BERLIN) == ms(2026, 6, 30, 22)


def test_the_day_after_the_clocks_changed_begins_at_midnight_too():
    morning = ms(2026, 3, 29, 12, zone=BERLIN)
    assert instant("today", morning, BERLIN) == ms(2026, 3, 28, 23)
    assert instant("yesterday", morning + 86_400_000, BERLIN) == ms(2026, 3, 28, 23)


def test_iso_times_with_and_without_offset():
    assert instant("2026-03-02T09:30", NOW_MS, BERLIN) == ms(2026, 3, 2, 8, 30)
    assert instant("2026-03-02T09:30:00.250Z", NOW_MS, BERLIN) == ms(2026, 3, 2, 9, 30) + 250
    assert instant("2026-03-02T10:30+01:00", NOW_MS) == ms(2026, 3, 2, 9, 30)


@pytest.mark.parametrize(
    "text", ["tomorrowish", "7", "h", "2026-13-01", "2026-13", "999999999w", "9" * 5000 + "d", "２d", "0000-01"]
)
def test_what_is_no_time_says_what_would_be(text):
    with pytest.raises(ValueError, match="is no time; write 2026-03-02"):
        instant(text, NOW_MS)


def test_zones_have_names():
    assert (zone_name(UTC), zone_name(BERLIN)) == ("UTC", "Europe/Berlin")
