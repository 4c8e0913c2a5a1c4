"""The ledger's account of its own sight: spans of time and how well the feed was seen in them (semantics 8)."""

from enum import StrEnum
from typing import NamedTuple


class CoverageState(StrEnum):
    """How well the feed was seen during a span of time."""

    LIVE = "live"
    DOUBTFUL = "doubtful"
    BLIND = "blind"
    HEALED = "healed"


class CoverageSpan(NamedTuple):
    """A row of ``coverage``. Times ms. The account and ``from_at`` identify it: committing the same start again
    moves its end, its state and what a healing has recovered."""

    account_id: str
    from_at: int
    until_at: int
    state: CoverageState
    cause: str | None = None
    recovered_calls: int = 0
