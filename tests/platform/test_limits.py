"""Rate groups: arithmetic over given instants, then the waiting."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringledger.platform.limits import GroupBudget, RateGroup, RateLimits, retry_after
from ringledger.platform.pace import Pace


def test_background_work_takes_half_and_a_person_the_rest() -> None:
    budget = GroupBudget(10)
    for _ in range(5):
        assert budget.wait(0.0, background=True) == 0
        budget.spend(0.0)
    assert budget.wait(1.0, background=True) == 59.0
    for _ in range(5):
        assert budget.wait(1.0, background=False) == 0
        budget.spend(1.0)
    assert budget.wait(2.0, background=False) == 58.0
    assert budget.wait(60.0, background=False) == 0


def test_the_platforms_count_outranks_ours() -> None:
    budget = GroupBudget(10)
    budget.learn(0.0, limit=4, remaining=0, window=30)
    assert budget.wait(0.0, background=False) == 30
    budget.learn(40.0, limit=40, remaining=40, window=60)
    assert budget.wait(40.0, background=True) == 0


def test_a_penalty_stops_everything() -> None:
    budget = GroupBudget(10)
    budget.penalise(100.0, 45)
    assert budget.wait(110.0, background=False) == 35
    assert budget.wait(145.0, background=False) == 0


@given(
    limit=st.integers(1, 60),
    steps=st.lists(st.tuples(st.floats(0, 30), st.booleans(), st.booleans()), max_size=80),
)
def test_no_window_ever_holds_more_than_the_limit(limit: int, steps: list[tuple[float, bool, bool]]) -> None:
    budget, now, sent, blocked = GroupBudget(limit), 0.0, list[float](), 0.0
    for wait, background, refused in steps:
        now += wait
        while (seconds := budget.wait(now, background=background)) > 0:
            now += seconds
        assert now >= blocked
        budget.spend(now)
        sent.append(now)
        assert sum(1 for at in sent if at > now - 60) <= limit
        if refused:
            budget.penalise(now, 20)
            blocked = max(blocked, now + 20)


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"Retry-After": "12"}, 12),
        ({"Retry-After": "99999999"}, 3600),
        ({"Retry-After": "-1"}, None),
        ({"Retry-After": "soon"}, None),
        ({}, None),
        ({"Retry-After": "Mon, 05 Jan 2026 10:00:30 GMT", "Date": "Mon, 05 Jan 2026 10:00:00 GMT"}, 30),
        ({"Retry-After": "Mon, 05 Jan 2026 10:00:30 GMT"}, None),
    ],
)
def test_retry_after(headers: dict[str, str], seconds: float | None) -> None:
    assert retry_after(headers) == seconds


async def test_waiting_is_told_and_happens_in_platform_seconds() -> None:
    waits: list[tuple[str, str, float]] = []
    limits = RateLimits(pace=Pace(2000), on_wait=lambda *told: waits.append(told))
    limits.learn(RateGroup.HEAVY, {"X-Rate-Limit-Limit": "2", "X-Rate-Limit-Remaining": "2"})
    await limits.acquire(RateGroup.HEAVY)
    await limits.acquire(RateGroup.HEAVY)
    assert {told[:2] for told in waits} == {("heavy", "budget")}
    waits.clear()
    assert limits.penalise(RateGroup.LIGHT, {}) == 60
    assert limits.blocked_for(RateGroup.LIGHT) > 0
    await limits.acquire(RateGroup.LIGHT, background=False)
    assert waits[0][:2] == ("light", "penalty")
    assert limits.blocked_for(RateGroup.LIGHT) == 0


@pytest.mark.parametrize("headers", [{}, {"X-Rate-Limit-Limit": "nan"}, {"X-Rate-Limit-Limit": "0"}])
def test_nonsense_in_headers_is_passed_over(headers: dict[str, str]) -> None:
    RateLimits().learn(RateGroup.LIGHT, headers)


class Steps(Pace):
    """Time that passes only while somebody sleeps."""

    def __init__(self) -> None:
        super().__init__()
        self.seconds = 1_000.0

    def now(self) -> float:
        return self.seconds

    async def sleep(self, seconds: float) -> None:
        self.seconds += seconds


REFUSED = {"Retry-After": "30", "X-Rate-Limit-Limit": "10", "X-Rate-Limit-Remaining": "0", "X-Rate-Limit-Window": "60"}


@pytest.mark.parametrize("background", [True, False])
async def test_after_a_penalty_the_next_request_leaves_at_once_and_none_before(background: bool) -> None:
    limits = RateLimits(pace=Steps())
    await limits.acquire(RateGroup.HEAVY, background=background)
    limits.learn(RateGroup.HEAVY, REFUSED)
    over = limits.pace.now() + limits.penalise(RateGroup.HEAVY, REFUSED)
    await limits.acquire(RateGroup.HEAVY, background=background)
    assert limits.pace.now() == over == 1_030.0


async def test_after_a_penalty_background_work_still_leaves_half_of_the_group() -> None:
    limits = RateLimits(pace=Steps())
    for _ in range(5):
        await limits.acquire(RateGroup.HEAVY)
    limits.learn(RateGroup.HEAVY, REFUSED)
    limits.penalise(RateGroup.HEAVY, REFUSED)
    await limits.acquire(RateGroup.HEAVY, background=False)
    assert limits.pace.now() == 1_030.0
    await limits.acquire(RateGroup.HEAVY)
    assert limits.pace.now() == 1_060.0  # what was spent before the refusal counts for its whole minute


async def test_another_group_does_not_wait_for_a_penalty() -> None:
    limits = RateLimits(pace=Steps())
    limits.penalise(RateGroup.HEAVY, REFUSED)
    await limits.acquire(RateGroup.LIGHT)
    assert limits.pace.now() == 1_000.0
