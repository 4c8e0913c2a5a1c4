"""A RingOut followed from its placing to its row in the ledger; nothing is written here.

What must stay true: polling is paced (group Light, platform seconds); a RingOut the platform no longer knows is over,
for it forgets them soon after their end; waiting for the ledger's row has a bound.
"""

from collections.abc import Callable
from typing import Any, Final

from ringledger.ledger import queries
from ringledger.ledger.errors import LedgerError
from ringledger.ledger.ledger import Ledger
from ringledger.platform.actions import Actions, RingOut
from ringledger.platform.errors import NotFound, PlatformUnavailable
from ringledger.platform.pace import Pace
from ringledger.settings import Settings

POLL_SECONDS: Final = 2.5
#: Answers that may fail in a row before following is given up.
MOST_FAILURES: Final = 3
#: How long a call's row is waited for, platform seconds: settling, the log's delay, and the next synchronisation.
ROW_SECONDS: Final = 240.0
ROW_POLL_SECONDS: Final = 3.0
#: A call's start may lie this long before its RingOut was acknowledged, ms.
MARGIN_MS: Final = 60_000
#: Statuses of a party or call that still may become something else.
UNDECIDED: Final = frozenset({"", "InProgress", "Success"})


def is_over(ring_out: RingOut) -> bool:
    """Whether nothing more will happen: the call is finished, or one party will not be reached."""
    return not {ring_out.call_status, ring_out.caller_status, ring_out.callee_status} <= UNDECIDED


async def follow(actions: Actions, placed: RingOut, pace: Pace, on_change: Callable[[RingOut], None]) -> RingOut:
    """Poll until it is over; returns the last status known. Raises ``PlatformError``."""
    last, failures = placed, 0
    while not is_over(last):
        await pace.sleep(POLL_SECONDS)
        try:
            now = await actions.ring_out_status(placed.id)
        except NotFound:
            return last
        except PlatformUnavailable:
            failures += 1
            if failures > MOST_FAILURES:
                raise
            continue
        failures = 0
        if now != last:
            last = now
            on_change(now)
    return last


async def row_of(
    settings: Settings, numbers: tuple[str, str], placed_at: int, pace: Pace, seconds: float = ROW_SECONDS
) -> dict[str, Any] | None:
    """The ledger's row of the call, confirmed if that comes in time; ``None`` when it does not come or nobody may
    read. ``numbers``: own phone and the other party's; ``placed_at``: ms, the platform's clock."""
    try:
        ledger = await Ledger.open(settings.database.url, read_only=True)
    except LedgerError:
        return None
    try:
        return await _wait(ledger, numbers, placed_at, pace, seconds)
    except LedgerError:
        return None
    finally:
        await ledger.close()


async def _wait(
    ledger: Ledger, numbers: tuple[str, str], placed_at: int, pace: Pace, seconds: float
) -> dict[str, Any] | None:
    deadline = pace.now() + seconds
    while True:
        found = await _find(ledger, numbers, placed_at)
        if (found is not None and found["confirmed_at"] is not None) or pace.now() >= deadline:
            return found
        await pace.sleep(ROW_POLL_SECONDS)


async def _find(ledger: Ledger, numbers: tuple[str, str], placed_at: int) -> dict[str, Any] | None:
    wanted = queries.CallFilter(since=placed_at - MARGIN_MS, number=numbers[1])
    ends = {number.removeprefix("+") for number in numbers}
    rows = [
        row
        for row in await queries.calls(ledger.reader, wanted)
        if {(row["from_number"] or "").removeprefix("+"), (row["to_number"] or "").removeprefix("+")} == ends
    ]
    return min(rows, key=lambda row: (row["direction"] != "Outbound", row["started_at"]), default=None)
