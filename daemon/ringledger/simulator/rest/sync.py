"""Tokens of call-log-sync: what they stand for and when they are good no longer.

What must stay true: a token is good for the scope it was given for, and until its time is over; then the client has
to begin anew with a full synchronisation.
"""

import secrets

from ringledger.simulator.clock import SimClock
from ringledger.simulator.rest.answers import ApiError, api_error, invalid


class SyncTokens:
    """Tokens given out so far, each with its scope and the simulated instant (ms) it stands for."""

    def __init__(self, clock: SimClock) -> None:
        self.clock = clock
        self._given: dict[str, tuple[str, int]] = {}

    def issue(self, scope: str, at: int) -> str:
        """A token for everything the books of ``scope`` had learnt by ``at`` (ms, the instant they were read)."""
        token = secrets.token_urlsafe(24)
        self._given[token] = (scope, at)
        return token

    def read(self, token: str, scope: str, life_seconds: float) -> int:
        """The instant a token stands for; CLG-101 when it is too old, CLG-102 when it is unknown in this scope."""
        if not token:
            raise invalid("syncToken")
        owner, at = self._given.get(token, (None, 0))
        if owner != scope:
            raise self.refusal("CLG-102")
        if self.clock.now_ms() - at > life_seconds * 1000:
            raise self.refusal("CLG-101")
        return at

    def expire(self) -> None:
        """For tests: every token given out so far is good no longer."""
        self._given = {token: (scope, 0) for token, (scope, _) in self._given.items()}

    @staticmethod
    def refusal(code: str) -> ApiError:
        return api_error(400, code, "Sync token expired, call log was reset")
