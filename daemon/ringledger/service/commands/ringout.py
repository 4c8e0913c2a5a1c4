"""A RingOut followed from its placing to its row in the ledger; nothing is written here.

What must stay true: polling is paced (group Light, platform seconds); a RingOut the platform no longer knows is over,
for it forgets them soon after their end; waiting for the ledger's row has a bound; a call the ledger knew before the
placing is never taken for the RingOut's own.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Final

from ringledger.config.model import Settings
from ringledger.ledger.errors import LedgerError
from ringledger.ledger.read import queries
from ringledger.ledger.read.filters import CallFilter
from ringledger.ledger.read.unfinished import unfinished
from ringledger.ledger.times import to_ms
from ringledger.ledger.write.store import Ledger
from ringledger.ringcentral.api.actions import Actions, RingOut
from ringledger.ringcentral.api.pace import Pace
from ringledger.ringcentral.errors import NotFound, PlatformUnavailable

POLL_SECONDS: Final = 2.5
#: Answers that may fail in a row before following is given up.
MOST_FAILURES: Final = 3
#: How long a call's row is waited for, platform seconds: settling, the log's delay, and the next synchronisation.
ROW_SECONDS: Final = 240.0
ROW_POLL_SECONDS: Final = 3.0
#: How far our idea of the platform's clock may be off, ms: a call's start may lie so long before its placing.
CLOCK_OFF_MS: Final = 10_000
#: Calls that began so long before a placing may still end after it, ms; what is over by then is of no interest.
BEFORE_MS: Final = 3_600_000
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


@dataclass(frozen=True, slots=True)
class Placing:
    """Which call is looked for. ``numbers``: own phone and the other party's; ``asked_at``, ``placed_at``: when the
    platform was asked and when it had agreed (ms, its clock); ``known``: sessions the ledger had heard of before."""

    numbers: tuple[str, str]
    asked_at: int
    placed_at: int
    known: frozenset[str] = frozenset()


async def known_sessions(settings: Settings, now_ms: int) -> frozenset[str]:
    """Return the calls that are known before this one is placed; none when the ledger must not be read."""
    try:
        ledger = await Ledger.open(settings.database.url, read_only=True)
    except LedgerError:
        return frozenset()
    try:
        lately = CallFilter(since=now_ms - BEFORE_MS, with_parts=True)
        finished = {row["session_id"] for row in await queries.calls(ledger.reader, lately)}
        return frozenset(finished | {call.session_id for call in await unfinished(ledger.reader)})
    except LedgerError:
        return frozenset()
    finally:
        await ledger.close()


async def row_of(
    settings: Settings, placing: Placing, pace: Pace, seconds: float = ROW_SECONDS
) -> dict[str, Any] | None:
    """The ledger's row of the call, confirmed if that comes in time; ``None`` when it does not come or nobody may
    read."""
    try:
        ledger = await Ledger.open(settings.database.url, read_only=True)
    except LedgerError:
        return None
    try:
        return await _wait(ledger, placing, pace, seconds)
    except LedgerError:
        return None
    finally:
        await ledger.close()


async def _wait(ledger: Ledger, placing: Placing, pace: Pace, seconds: float) -> dict[str, Any] | None:
    deadline = pace.now() + seconds
    while True:
        wanted = CallFilter(since=placing.asked_at - CLOCK_OFF_MS, number=placing.numbers[1])
        found = fitting(await queries.calls(ledger.reader, wanted), placing)
        if (found is not None and found["confirmed_at"] is not None) or pace.now() >= deadline:
            return found
        await pace.sleep(ROW_POLL_SECONDS)


def fitting(rows: Iterable[dict[str, Any]], placing: Placing) -> dict[str, Any] | None:
    """Of rows of ``calls`` the one that is the placed call: between its numbers, not known before, not begun before it
    was asked for, and of those the one that began closest to the placing."""
    ends = {number.removeprefix("+") for number in placing.numbers}
    new = [
        row
        for row in rows
        if {(row["from_number"] or "").removeprefix("+"), (row["to_number"] or "").removeprefix("+")} == ends
        and row["session_id"] not in placing.known
        and to_ms(row["started_at"]) >= placing.asked_at - CLOCK_OFF_MS
    ]
    return min(new, key=lambda row: (row["direction"] != "Outbound", _far(row, placing)), default=None)


def _far(row: dict[str, Any], placing: Placing) -> int:
    return abs(to_ms(row["started_at"]) - placing.placed_at)
