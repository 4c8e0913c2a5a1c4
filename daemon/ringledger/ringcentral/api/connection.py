"""The way to the platform: one request path for everything above it.

What must stay true: every request is paid from its rate group; a 401 renews the token once; an outage is told
once when it begins and once when it ends. The platform's clock is learnt from ``Date`` headers.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

import aiohttp

from ringledger.clock import now_ms
from ringledger.config.model import is_ringcentral
from ringledger.ringcentral.api.http import Answer, exchange, failure
from ringledger.ringcentral.auth.authorisation import Authenticator
from ringledger.ringcentral.decode.values import PlatformDates, http_date
from ringledger.ringcentral.errors import PlatformError, PlatformUnavailable, Throttled
from ringledger.ringcentral.ratelimit.limits import RateGroup, RateLimits

API: Final = "/restapi/v1.0"
#: ``Date`` has whole seconds: a smaller difference is no difference.
CLOCK_NOISE_MS: Final = 1500
#: How many of its seconds pass in one of ours, told by a simulator with each answer.
PACE_HEADER: Final = "X-Simulated-Pace"


class PlatformNoticeKind(StrEnum):
    """Log events of the platform's health (contract 6)."""

    THROTTLED = "platform.throttled"
    UNAVAILABLE = "platform.unavailable"
    RECOVERED = "platform.recovered"


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One request below ``root``. ``background=False``: a person waits, the whole budget may be used."""

    method: str
    path: str
    group: RateGroup
    params: Mapping[str, str] | None = None
    json: Any = None
    background: bool = True
    root: str = API


class Connection:
    """Sends requests on behalf of one user. ``on_notice(kind, detail)`` hears of outages and throttling."""

    def __init__(
        self,
        server_url: str,
        session: aiohttp.ClientSession,
        auth: Authenticator,
        limits: RateLimits,
        *,
        on_notice: Callable[[PlatformNoticeKind, str], None] | None = None,
    ) -> None:
        self.auth = auth
        self.pace = limits.pace
        self.clock_offset_ms = 0
        #: Whether the platform is a simulator that has announced its pace; RingCentral's own hosts never are.
        self.simulated = False
        self._may_be_simulated = not is_ringcentral(server_url)
        self._dated: tuple[int, float] | None = None
        self._dates = PlatformDates()
        self._server_url = server_url.rstrip("/")
        self.session = session
        self._limits = limits
        self._on_notice = on_notice
        self._down = False

    async def send(self, request: Request) -> Answer:
        """Send ``request``; any 2xx is returned, all else raises :class:`PlatformError`."""
        try:
            answer = self._judged(request, await self._authorised(request))
        except PlatformUnavailable as error:
            if not self._down:
                self._down = True
                self._notice(PlatformNoticeKind.UNAVAILABLE, str(error))
            raise
        if self._down:
            self._down = False
            self._notice(PlatformNoticeKind.RECOVERED, "")
        return answer

    def platform_now_ms(self) -> int:
        """Now, on the platform's clock as far as known, ms."""
        return now_ms() + self.clock_offset_ms

    def dated_now_ms(self) -> int | None:
        """Now, from the last ``Date`` that was believed and the monotonic clock since, ms; ``None``: there was none."""
        if self._dated is None:
            return None
        date, at = self._dated
        return date + round((self.pace.now() - at) * 1000)

    def told_at(self, answer: Answer) -> int:
        """When the platform gave ``answer``, ms: by its own ``Date``, cut to the second, so never later than it was.

        What we make of its clock would add the time the answer took, and the time it waited for its turn. A ``Date``
        that is not believed dates nothing.
        """
        date = date_of(answer)
        return self.platform_now_ms() if date is None or not self._dates.believes(date, now_ms()) else date

    def latest_ms(self) -> int:
        """The latest time that is believed of anything the platform tells, ms."""
        return self._dates.latest(now_ms())

    def _judged(self, request: Request, answer: Answer) -> Answer:
        if answer.status == 429:
            seconds = self._limits.penalise(request.group, answer.headers)
            self._notice(PlatformNoticeKind.THROTTLED, f"group {request.group}, {seconds:.0f} s")
            raise Throttled(seconds, request.group)
        if not 200 <= answer.status < 300:
            failed: PlatformError = failure(answer)
            raise failed
        return answer

    async def _authorised(self, request: Request) -> Answer:
        token = await self.auth.token()
        answer = await self._attempt(request, token)
        if answer.status != 401:
            return answer
        self.auth.invalidate(token)
        return await self._attempt(request, await self.auth.token())

    async def _attempt(self, request: Request, token: str) -> Answer:
        await self._limits.acquire(request.group, background=request.background)
        content: dict[str, Any] = {"params": request.params} if request.params else {}
        if request.json is not None:
            content["json"] = request.json
        headers = {"Authorization": f"Bearer {token}", "Accept": "application/json"}
        address = self._server_url + request.root + request.path
        sent = now_ms()
        answer = await exchange(self.session, request.method, address, headers=headers, **content)
        self._learn_clock(sent, answer)
        self._limits.learn(request.group, answer.headers)
        return answer

    def _learn_clock(self, sent: int, answer: Answer) -> None:
        date = date_of(answer)
        if date is None:
            return
        self._dates.learn(date, now_ms())
        if not self._dates.believes(date, now_ms()):
            return
        self._dated = date + 500, self.pace.now()
        if self._may_be_simulated and PACE_HEADER in answer.headers:
            self.simulated = True
        offset = round(date + 500 - (sent + now_ms()) / 2)
        self.clock_offset_ms = offset if abs(offset) > CLOCK_NOISE_MS else 0

    def _notice(self, kind: PlatformNoticeKind, detail: str) -> None:
        if self._on_notice is not None:
            self._on_notice(kind, detail)


def date_of(answer: Answer) -> int | None:
    """The start of the second in which an answer was given, ms since the epoch; ``None`` if its ``Date`` tells none."""
    return http_date(answer.headers.get("Date", ""))
