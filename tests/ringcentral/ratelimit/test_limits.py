"""Rate groups: arithmetic over given instants, then the waiting."""

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringledger.ringcentral.api.pace import Pace
from ringledger.ringcentral.ratelimit.limits import (
    FIRST_SECONDS,
    LONGEST_WINDOW,
    MAX_PENALTY_SECONDS,
    MOST_REQUESTS,
    GroupBudget,
    RateGroup,
    RateLimits,
    retry_after,
)

NAMES = ("X-Rate-Limit-Limit", "X-Rate-Limit-Remaining", "X-Rate-Limit-Window", "Retry-After", "Date")


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


@pytest.mark.parametrize(
    ("limit", "remaining", "window"),
    [("10", "0", "99999999"), ("999999999", "0", "60"), ("10", "0", "0"), ("10", "0", "inf"), ("1e300", "0", "1e-300")],
)
async def test_no_header_closes_a_group_for_long_or_is_remembered_at_length(
    limit: str, remaining: str, window: str
) -> None:
    pace = Steps()
    limits = RateLimits(pace=pace)
    began = pace.now()
    for _ in range(20):
        limits.learn(
            RateGroup.HEAVY,
            {"X-Rate-Limit-Limit": limit, "X-Rate-Limit-Remaining": remaining, "X-Rate-Limit-Window": window},
        )
        await limits.acquire(RateGroup.HEAVY)
    assert pace.now() - began <= 20 * LONGEST_WINDOW
    assert len(limits._groups[RateGroup.HEAVY]._spent) <= MOST_REQUESTS


@given(headers=st.dictionaries(st.sampled_from(NAMES), st.text() | st.integers().map(str) | st.floats().map(str)))
async def test_any_headers_leave_a_group_open_within_an_hour(headers: dict[str, str]) -> None:
    pace = Steps()
    limits = RateLimits(pace=pace)
    began = pace.now()
    limits.learn(RateGroup.HEAVY, headers)
    limits.penalise(RateGroup.HEAVY, headers)
    await limits.acquire(RateGroup.HEAVY)
    assert pace.now() - began <= MAX_PENALTY_SECONDS + LONGEST_WINDOW


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


async def test_after_a_penalty_one_request_leaves_and_the_others_wait_for_its_answer() -> None:
    """Were it refused again, each other one would begin the penalty anew."""
    limits = RateLimits(pace=Steps())
    limits.penalise(RateGroup.HEAVY, REFUSED)
    await limits.acquire(RateGroup.HEAVY)
    other = asyncio.create_task(limits.acquire(RateGroup.HEAVY))
    await asyncio.sleep(1)
    assert not other.done()
    limits.learn(RateGroup.HEAVY, REFUSED)
    limits.penalise(RateGroup.HEAVY, REFUSED)
    await other
    assert limits.pace.now() == 1_060.0


async def test_the_first_request_after_a_penalty_may_fail_without_an_answer() -> None:
    limits = RateLimits(pace=Steps())
    limits.penalise(RateGroup.HEAVY, REFUSED)
    for _ in range(5):
        await asyncio.wait_for(limits.acquire(RateGroup.HEAVY), 2 * FIRST_SECONDS)
