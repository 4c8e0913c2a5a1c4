"""Rate limits: sliding counters of each group, and the penalty that starts anew (platform page 6).

What must stay true: every answer of a group says how much of it is left; above the limit everything of that group is
refused until the penalty is over, and whoever asks within it begins the penalty again and is counted as a violation.
Groups are counted per user and app. Seconds are simulated ones, or real ones with ``real_time``.
"""

import re
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

from aiohttp import web

from ringledger.simulator.clock import SimClock
from ringledger.simulator.rest.answers import ApiError, Handler, api_error
from ringledger.simulator.rest.oauth import OAuth

DEFAULTS = {"light": 50, "medium": 40, "heavy": 10, "auth": 5}
UNLIMITED = 100_000
RateLimit = Mapping[str, int] | Literal["default"] | None

#: Method, path below the account or extension, group; the first that fits counts.
_GROUPS = [
    (re.compile(method), re.compile(path), group)
    for method, path, group in (
        ("POST", r"^/restapi/oauth/", "auth"),
        ("GET", r"/(active-calls|call-log|call-log-sync)(/|$)", "heavy"),
        ("GET", r"/account/[^/]+/presence$", "heavy"),
        ("GET", r"/extension/[^/]+/presence$", "light"),
        ("GET", r"/ring-?out/", "light"),
        ("POST|DELETE", r"/ring-?out(/|$)", "heavy"),
        ("POST", r"/(sms|company-pager)$", "medium"),
        ("POST", r"^/restapi/v1.0/subscription/[^/]+/renew$", "light"),
        ("GET", r"^/restapi/v1.0/subscription", "light"),
        ("POST|PUT|DELETE", r"^/restapi/v1.0/subscription", "medium"),
        ("GET", r"/account/[^/]+/extension$", "medium"),
        ("GET", r"/account/[^/]+(/extension/[^/]+)?$", "light"),
    )
]


def group_of(method: str, path: str) -> str | None:
    """The rate group of a request; ``None`` for what is not limited."""
    return next((group for m, p, group in _GROUPS if m.fullmatch(method) and p.search(path)), None)


class Violation(NamedTuple):
    """A request within a penalty: when (seconds of the limits' clock), of which group, for what."""

    at: float
    group: str
    path: str


@dataclass(slots=True)
class Counter:
    """One group of one user: when its requests came, and until when it is closed."""

    spent: deque[float] = field(default_factory=deque)
    closed_until: float = 0.0
    most: int = 0  # in any window so far

    def used(self, now: float, window: float) -> int:
        while self.spent and self.spent[0] <= now - window:
            self.spent.popleft()
        return len(self.spent)


class Limits:
    """``limits`` may be changed at any time: ``None`` refuses nothing, though it counts and announces."""

    def __init__(
        self,
        clock: SimClock,
        oauth: OAuth,
        limits: RateLimit = None,
        *,
        real_time: bool = False,
        window_seconds: float = 60.0,
        penalty_seconds: float | None = None,
    ) -> None:
        self.oauth, self.limits = oauth, limits
        self.window = window_seconds
        self.penalty = window_seconds if penalty_seconds is None else penalty_seconds
        self.log: list[Violation] = []
        self.refused: dict[str, int] = {}
        self._now: Callable[[], float] = time.monotonic if real_time else lambda: clock.now_ms() / 1000
        self._counters: dict[tuple[str, str], Counter] = {}

    @property
    def violations(self) -> int:
        """Requests that came within a penalty."""
        return len(self.log)

    def usage(self) -> dict[str, int]:
        """For each group the most requests one user has made in any window."""
        most: dict[str, int] = {}
        for (_, group), counter in self._counters.items():
            most[group] = max(most.get(group, 0), counter.most)
        return most

    def limit_of(self, group: str) -> int:
        if self.limits is None:
            return UNLIMITED
        return DEFAULTS[group] if self.limits == "default" else self.limits.get(group, DEFAULTS[group])

    def take(self, user: str, group: str, path: str) -> dict[str, str]:
        """Count a request; returns the headers of its answer, or raises the 429."""
        now, counter = self._now(), self._counters.setdefault((user, group), Counter())
        if now < counter.closed_until:
            self.log.append(Violation(now, group, path))
            raise self.refuse(user, group)
        used, limit = counter.used(now, self.window), self.limit_of(group)
        if used >= limit:
            raise self.refuse(user, group)
        counter.spent.append(now)
        counter.most = max(counter.most, used + 1)
        return self._headers(group, limit, limit - used - 1)

    def refuse(self, user: str, group: str) -> ApiError:
        """Close a group, beginning now; the 429 to raise."""
        counter = self._counters.setdefault((user, group), Counter())
        counter.closed_until = self._now() + self.penalty
        self.refused[group] = self.refused.get(group, 0) + 1
        error = api_error(429, "CMN-301", "Request rate exceeded")
        error.headers = self._headers(group, self.limit_of(group), 0) | {"Retry-After": _seconds(self.penalty)}
        return error

    def user_of(self, request: web.Request, group: str) -> str:
        """Whose request it is, as far as its token tells. Token requests tell the app only: they are all of the one
        user we grant tokens to, and count together with those for a WebSocket's."""
        if group == "auth":
            return self.oauth.owner_id
        token = request.headers.get("Authorization", "").partition(" ")[2]
        return next((s.owner_id for s in self.oauth.sessions if token and s.access_token == token), "")

    def _headers(self, group: str, limit: int, remaining: int) -> dict[str, str]:
        return {
            "X-Rate-Limit-Group": group,
            "X-Rate-Limit-Limit": str(limit),
            "X-Rate-Limit-Remaining": str(remaining),
            "X-Rate-Limit-Window": _seconds(self.window),
        }

    @web.middleware
    async def middleware(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Count the request and put the headers on its answer, whatever the answer is."""
        group = group_of(request.method, request.path)
        if group is None:
            return await handler(request)
        headers = self.take(self.user_of(request, group), group, request.path)
        try:
            response = await handler(request)
        except ApiError as error:
            error.headers = headers | error.headers
            raise
        if not response.prepared:
            response.headers.update(headers)
        return response


def _seconds(value: float) -> str:
    return f"{value:g}"
