"""A past is in the books, and nowhere else."""

from collections import Counter
from datetime import UTC, datetime

import pytest

from ringledger.simulator import Office, Pbx, default_extensions, remember

NOW = 1_772_442_000_000  # Monday 2026-03-02, 09:00 UTC
DAY = 86_400_000


def past(days=28, seed=3, calls_per_hour=20):
    pbx = Pbx(default_extensions(8))
    count = remember(
        pbx, list(pbx.extensions.values()), now=NOW, span=days * DAY, calls_per_hour=calls_per_hour, seed=seed
    )
    return pbx, count


def test_everything_was_over_before_now_and_nobody_is_on_the_telephone():
    pbx, count = past()
    truth = pbx.truth()
    assert len(truth) == count > 1000
    assert all(NOW - 28 * DAY <= one.started_at <= one.ended_at < NOW for one in truth)
    assert pbx.open_calls() == []
    assert all(pbx.items(extension_id) == [] for extension_id in pbx.extensions)


def test_the_same_seed_makes_the_same_past():
    assert past()[0].truth() == past()[0].truth()
    assert past()[0].truth() != past(seed=4)[0].truth()


def test_days_have_a_rhythm():
    begun = [datetime.fromtimestamp(one.started_at / 1000, UTC) for one in past()[0].truth()]
    weekdays = Counter(moment.weekday() < 5 for moment in begun)
    assert weekdays[True] > 10 * weekdays[False] > 0
    hours = Counter(moment.hour for moment in begun)
    assert hours[10] > 10 * hours[3]


def test_customers_call_again_and_both_halves_of_a_ringout_are_there():
    truth = past()[0].truth()
    callers = Counter(one.from_number for one in truth if one.direction == "Inbound" and not one.part_of)
    assert len(callers) <= 120
    assert callers.most_common(1)[0][1] > 10
    sessions = {one.session_id for one in truth}
    halves = [one.part_of for one in truth if one.part_of]
    assert halves
    assert sessions.issuperset(halves)


@pytest.mark.parametrize("days", [0.01, 1])
def test_a_short_past_is_short(days):
    assert all(one.started_at >= NOW - days * DAY for one in past(days)[0].truth())


def test_no_call_of_the_past_shares_a_name_with_one_of_the_office_that_goes_on():
    pbx, _ = past()
    later = Office(list(pbx.extensions.values()), 20, seed=3).day(NOW, 24)
    assert not _names(pbx.calls.values()) & _names(later)


def _names(calls):
    """What tells that two records are of one call."""
    legs = {leg.leg_id for call in calls for leg in call.legs}
    return legs | {name for call in calls for name in (call.session_id, call.telephony_session_id)}
