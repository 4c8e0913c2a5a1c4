"""Audit: reads both sides of a period, the ledger read-only and the platform's call log whole, and compares them.

What must stay true: nothing is written; a log that could not be read to its end is no log at all; what is compared are
the calls of those we watch and all that both sides have, as a back-fill would see it.
"""

from collections.abc import Callable
from typing import Any, Final

from ringledger.domain.audit import Begun, Report, Written, compare
from ringledger.domain.claims import MATCH_WINDOW_MS
from ringledger.domain.disposition import Disposition
from ringledger.domain.observation import Direction, RecordClaim
from ringledger.ledger import queries
from ringledger.ledger.ledger import Ledger
from ringledger.ledger.times import to_ms
from ringledger.ledger.unfinished import Unfinished, unfinished
from ringledger.platform.query import CallLogQuery
from ringledger.service.backfill import MARGIN_MS, PER_PAGE
from ringledger.service.oneshot import OneShot
from ringledger.service.scope import PlatformBooks, known_as
from ringledger.service.sight import LOG_DELAY_MS

#: A call that ended within the log's delay, and the time a daemon takes to confirm it, is no difference yet (ms).
SETTLED_MS: Final = 2 * LOG_DELAY_MS


async def audit(
    asking: OneShot, since: int, until: int, progress: Callable[[int, int], None] = lambda _records, _oldest: None
) -> Report:
    """The differences of a period (ms). ``progress``: records so far, start of the oldest of them.

    Raises ``PlatformError`` and ``LedgerError``.
    """
    ledger = await Ledger.open(asking.settings.database.url, read_only=True)
    try:
        books, me = await asking.books()
        logged = await _logged(books, since, until, progress)
        account = None if me.account_id == "~" else me.account_id
        wanted = queries.CallFilter(
            account_id=account, since=since - MARGIN_MS, until=until + MATCH_WINDOW_MS, with_parts=True
        )
        rows = await queries.calls(ledger.reader, wanted)
        going_on = await unfinished(ledger.reader)
    finally:
        await ledger.close()
    known = {name for call in [*rows, *(one._asdict() for one in going_on)] for name in _names_of(call)}
    claims = books.mine(logged, known)
    spoken_of = {name for claim in claims for name in known_as(claim)}
    return compare(
        [written(row) for row in rows if _watched(row, books) or not spoken_of.isdisjoint(_names_of(row))],
        claims,
        since=since,
        until=until,
        settled=asking.client.platform_now_ms() - SETTLED_MS,
        unfinished=[begun(call) for call in going_on if account is None or call.account_id == account],
    )


async def _logged(
    books: PlatformBooks, since: int, until: int, progress: Callable[[int, int], None]
) -> list[RecordClaim]:
    def query(extension_id: str | None) -> CallLogQuery:
        return CallLogQuery(
            extension_id=extension_id,
            since_ms=since - MARGIN_MS,
            until_ms=until + MATCH_WINDOW_MS,
            per_page=PER_PAGE,
        )

    found: dict[str, RecordClaim] = {}
    oldest = until
    async for page in books.log_pages(query):
        found.update((claim.record_id, claim) for claim in page.claims)
        oldest = min([oldest, *(claim.started_at for claim in page.claims)])
        progress(len(found), oldest)
    return list(found.values())


def _watched(row: dict[str, Any], books: PlatformBooks) -> bool:
    return books.watched is None or row["extension_id"] is None or row["extension_id"] in books.watched


def _names_of(call: dict[str, Any]) -> set[str]:
    """The sessions by which a call of the ledger is known."""
    return {name for name in (call["session_id"], call["telephony_session_id"]) if name}


def written(row: dict[str, Any]) -> Written:
    """A row of ``all_calls`` as the comparison wants it."""
    return Written(
        session_id=row["session_id"],
        telephony_session_id=row["telephony_session_id"],
        direction=Direction(row["direction"]),
        from_number=row["from_number"],
        to_number=row["to_number"],
        started_at=to_ms(row["started_at"]),
        ended_at=to_ms(row["ended_at"]),
        answered=row["answered_at"] is not None,
        talk_ms=round(row["talk_seconds"] * 1000),
        duration_ms=round(row["duration_seconds"] * 1000),
        disposition=Disposition(row["disposition"]),
        result=row["result"],
        part_of=row["part_of"],
        confirmed=row["confirmed_at"] is not None,
    )


def begun(call: Unfinished) -> Begun:
    """A call that has no row yet as the comparison wants it."""
    direction = None if call.direction is None else Direction(call.direction)
    ends = call.from_number, call.to_number
    return Begun(call.session_id, call.telephony_session_id, direction, *ends, call.started_at)
