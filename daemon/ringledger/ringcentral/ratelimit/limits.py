"""Rate groups: how much may be asked, learnt from the platform's own headers (platform page 6).

:class:`GroupBudget` is arithmetic over given instants; :class:`RateLimits` waits by it. What must stay true: no request
of a group leaves within a penalty that this process has earned, nor within the first ``LONGEST_SECONDS``
(:mod:`~ringledger.ringcentral.ratelimit.penalties`) of one that another process of the configuration has; when it is
over one leaves alone, and the next waits for its answer (were it refused again, each other one would begin the penalty
anew). Background work never takes more than half of a group, so that a person's request always finds room; whatever the
headers say, a group is closed for an hour at most, and no answer makes us remember more than ``MOST_REQUESTS``
requests. All seconds are platform seconds.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Mapping
from contextlib import suppress
from enum import StrEnum
from itertools import repeat
from typing import Final

from ringledger.ringcentral.api.pace import Pace
from ringledger.ringcentral.decode.values import figure, http_date
from ringledger.ringcentral.ratelimit.penalties import PenaltyFile

#: Waited for after a 429 that names no time of its own.
DEFAULT_PENALTY_SECONDS: Final = 60.0
MAX_PENALTY_SECONDS: Final = 3600.0
WINDOW_SECONDS: Final = 60.0
#: So long others wait for the answer to the first request after a penalty.
FIRST_SECONDS: Final = 10.0
#: Windows and limits outside of this are none of the platform's: what the headers say is passed over.
SHORTEST_WINDOW: Final = 0.001
LONGEST_WINDOW: Final = 600.0
MOST_REQUESTS: Final = 100_000


class RateGroup(StrEnum):
    """The platform's rate groups."""

    LIGHT = "light"
    MEDIUM = "medium"
    HEAVY = "heavy"
    AUTH = "auth"


#: Requests per window until the first answer says otherwise.
DEFAULT_LIMITS: Final[dict[RateGroup, int]] = {
    RateGroup.LIGHT: 50,
    RateGroup.MEDIUM: 40,
    RateGroup.HEAVY: 10,
    RateGroup.AUTH: 5,
}


class GroupBudget:
    """What one group still allows; every instant is an argument."""

    def __init__(self, limit: int, window: float = WINDOW_SECONDS) -> None:
        self.limit = limit
        self.window = window
        self._spent: deque[float] = deque()
        self._blocked_until = 0.0

    def wait(self, now: float, *, background: bool) -> float:
        """Seconds until a request may leave; 0 when it may now."""
        if now < self._blocked_until:
            return self._blocked_until - now
        self._forget(now)
        allowed = max(1, self.limit // 2) if background else max(1, self.limit)
        if len(self._spent) < allowed:
            return 0.0
        return max(0.001, self._spent[len(self._spent) - allowed] + self.window - now)

    def spend(self, now: float) -> bool:
        """A request leaves; returns whether it is the first one after a penalty."""
        first, self._blocked_until = self._blocked_until > 0, 0.0
        self._spent.append(now)
        return first

    def learn(self, now: float, *, limit: int, remaining: int, window: float) -> None:
        """An answer's headers: what the platform counts outranks our own count, others may use the group too."""
        self.limit, self.window = limit, window
        self._forget(now)
        self._spent.extend(repeat(now, max(0, limit - remaining - len(self._spent))))

    def penalise(self, now: float, seconds: float) -> None:
        """A 429: nothing leaves before the penalty is over, for any request would start it anew."""
        self._blocked_until = max(self._blocked_until, now + seconds)

    def blocked_for(self, now: float) -> float:
        """Seconds of penalty left."""
        return max(0.0, self._blocked_until - now)

    def _forget(self, now: float) -> None:
        while self._spent and self._spent[0] <= now - self.window:
            self._spent.popleft()


class RateLimits:
    """The budgets of one user and app. ``on_wait(group, reason, seconds)`` is told of every wait; ``penalties``: those
    that other processes of the same user and app have earned, and where ours are told to them.
    """

    def __init__(
        self,
        *,
        pace: Pace | None = None,
        on_wait: Callable[[str, str, float], None] | None = None,
        penalties: PenaltyFile | None = None,
    ) -> None:
        self.pace = pace or Pace()
        self._on_wait = on_wait
        self._penalties = penalties
        self._groups = {group: GroupBudget(limit) for group, limit in DEFAULT_LIMITS.items()}
        #: The first request after a penalty, while it has no answer.
        self._first: dict[RateGroup, asyncio.Event] = {}

    async def acquire(self, group: RateGroup, *, background: bool = True) -> None:
        """Return when a request of ``group`` may leave; it is counted as sent."""
        while True:
            budget = self._heard(group)
            if (seconds := budget.wait(self.pace.now(), background=background)) > 0:
                if self._on_wait is not None:
                    penalised = budget.blocked_for(self.pace.now()) > 0
                    self._on_wait(group.value, "penalty" if penalised else "budget", seconds)
                await self.pace.sleep(seconds)
            elif (first := self._first.get(group)) is not None:
                with suppress(TimeoutError):
                    await asyncio.wait_for(first.wait(), FIRST_SECONDS / self.pace.speed)
                if self._first.get(group) is first:
                    self._answered(group)  # it failed without an answer
            else:
                break
        if budget.spend(self.pace.now()):
            self._first[group] = asyncio.Event()

    def _answered(self, group: RateGroup) -> None:
        """Let those go who wait for the first request after a penalty."""
        if (first := self._first.pop(group, None)) is not None:
            first.set()

    def learn(self, group: RateGroup, headers: Mapping[str, str]) -> None:
        """Take what an answer's ``X-Rate-Limit-*`` headers say; nonsense in them is passed over.

        Nothing remains in a refusal, but it names the end of that itself: its ``Retry-After``.
        """
        self._answered(group)
        limit = figure(headers.get("X-Rate-Limit-Limit"), 1, MOST_REQUESTS)
        left = figure(headers.get("X-Rate-Limit-Remaining"), 0, MOST_REQUESTS)
        told = headers.get("X-Rate-Limit-Window")
        window = figure(told, SHORTEST_WINDOW, LONGEST_WINDOW) if told else WINDOW_SECONDS
        if limit is None or window is None:
            return
        remaining = limit if left is None or "Retry-After" in headers else min(left, limit)
        self._groups[group].learn(self.pace.now(), limit=int(limit), remaining=int(remaining), window=window)

    def penalise(self, group: RateGroup, headers: Mapping[str, str]) -> float:
        """Stop ``group`` after a 429; returns the penalty in seconds."""
        seconds = retry_after(headers) or DEFAULT_PENALTY_SECONDS
        self._groups[group].penalise(self.pace.now(), seconds)
        if self._penalties is not None:
            self._penalties.extend(group.value, seconds / self.pace.speed)
        return seconds

    def blocked_for(self, group: RateGroup) -> float:
        """Seconds of penalty left for ``group``."""
        return self._heard(group).blocked_for(self.pace.now())

    def _heard(self, group: RateGroup) -> GroupBudget:
        """The group's budget, with the penalties others have earned."""
        budget = self._groups[group]
        if self._penalties is not None and (left := self._penalties.left(group.value)) > 0:
            budget.penalise(self.pace.now(), left * self.pace.speed)
        return budget


def retry_after(headers: Mapping[str, str]) -> float | None:
    """``Retry-After`` in seconds (a number, or a date against ``Date``); ``None`` when it says nothing usable."""
    text = headers.get("Retry-After", "")
    seconds = figure(text, 0, 1e9)
    if seconds is None and text:
        until, date = http_date(text), http_date(headers.get("Date", ""))
        seconds = None if until is None or date is None else (until - date) / 1000
    return None if seconds is None or seconds <= 0 else min(seconds, MAX_PENALTY_SECONDS)
