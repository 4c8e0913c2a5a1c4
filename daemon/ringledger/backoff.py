"""How long to wait after a failure: the first pause, then twice as long after each further one, up to the longest.

What must stay true: a pause depends on the number of failures in a row alone, so whoever counts them can begin anew.
"""

from typing import Final, NamedTuple

#: No pause is doubled more often: a count has no bound, a float has.
_MOST_DOUBLINGS: Final = 30


class Backoff(NamedTuple):
    """``first`` and ``longest`` pause, seconds."""

    first: float
    longest: float

    def after(self, failures: int) -> float:
        """Seconds to wait after so many failures in a row (from 1 on)."""
        return min(self.longest, self.first * 2.0 ** min(max(failures - 1, 0), _MOST_DOUBLINGS))
