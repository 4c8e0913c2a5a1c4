"""Audit: reads both sides of a period, the ledger read-only and the platform's call log whole, and compares them.

What must stay true: nothing is written; a log that could not be read to its end is no log at all; what is compared are
the calls of those we watch and all that both sides have, as a back-fill would see it.
"""

from collections.abc import Callable, Collection
from typing import Any, Final

from ringledger.domain.audit import Begun, Report, Written, compare
from ringledger.domain.disposition import Disposition
from ringledger.domain.matching import MATCH_WINDOW_MS, names_of_record
from ringledger.domain.observation import CallKey, Direction, RecordClaim
from ringledger.ledger.privacy.purged import purged_among
from ringledger.ledger.read import queries
from ringledger.ledger.read.filters import CallFilter
from ringledger.ledger.read.unfinished import Unfinished, unfinished
from ringledger.ledger.times import to_ms
from ringledger.ledger.write.store import Ledger
from ringledger.ringcentral.api.query import CallLogQuery
from ringledger.service.commands.platform import OneShot
from ringledger.service.ingest.backfill import BEGAN_BEFORE_MS, PER_PAGE
from ringledger.service.ingest.coverage import LOG_DELAY_MS
from ringledger.service.ingest.scope import ScopedCallLog, known_as

#: A call that ended within the log's delay, and the time a daemon takes to confirm it, is no difference yet (ms).
SETTLED_MS: Final = 2 * LOG_DELAY_MS


async def audit(
    asking: OneShot,
    since: int,
    until: int,
    progress: Callable[[int, int], None] = lambda _records, _oldest: None,
    *,
    asked: CallFilter | None = None,
    grace_ms: int = SETTLED_MS,
) -> Report:
    """The differences of a period (ms). ``progress``: records so far, start of the oldest of them. ``asked``: of which
    number and extension; ``grace_ms``: calls that ended so lately are left out.

    Raises ``PlatformError``, ``LedgerError`` and ``FilterError``.
    """
    ledger = await Ledger.open(asking.settings.database.url, read_only=True)
    try:
        asked = asked or CallFilter()
        await queries.judge(ledger.reader, asked)
        extensions = (
            await queries.extension_ids(ledger.reader, asked.extension) if asked.extension else frozenset[str]()
        )
        me = await asking.client.whoami()
        books = asking.books(me)
        logged, unreadable = await _logged(books, since, until, progress)
        account = None if me.account_id == "~" else me.account_id
        wanted = CallFilter(
            account_id=account, since=since - BEGAN_BEFORE_MS, until=until + MATCH_WINDOW_MS, with_parts=True
        )
        rows = await queries.calls(ledger.reader, wanted)
        going_on = await unfinished(ledger.reader)
        purged = await purged_among(ledger.reader)
    finally:
        await ledger.close()
    known = {name for call in [*rows, *(one._asdict() for one in going_on)] for name in _names_of(call)}
    claims = books.mine([one for one in logged if not _is_purged(one, purged)], known)
    spoken_of = {name for claim in claims for name in known_as(claim)}
    report = compare(
        [written(row) for row in rows if _watched(row, books) or not spoken_of.isdisjoint(_names_of(row))],
        claims,
        since=since,
        until=until,
        settled=asking.client.platform_now_ms() - grace_ms,
        unfinished=[begun(call) for call in going_on if account is None or call.account_id == account],
        wanted=lambda row, group: _wanted(asked, extensions, row, group),
    )
    return report._replace(unreadable=unreadable)


def _is_purged(claim: RecordClaim, purged: Collection[CallKey]) -> bool:
    return any((claim.account_id, name) in purged for name in names_of_record(claim))


def _wanted(asked: CallFilter, extensions: frozenset[str], row: Written | None, group: list[RecordClaim]) -> bool:
    """Whether a call has the number and the extension that are asked for, as either side tells of it."""
    told = [row.extension_id] if row is not None else []
    if extensions and extensions.isdisjoint([*told, *(claim.extension_id for claim in group)]):
        return False
    ends = [(row.direction, row.from_number, row.to_number)] if row is not None else []
    ends += [(claim.direction, claim.from_party.number, claim.to_party.number) for claim in group]
    if asked.withheld:
        return any(direction is Direction.INBOUND and sender is None for direction, sender, _ in ends)
    if asked.number is None:
        return True
    return asked.number.removeprefix("+") in {(end or "").removeprefix("+") for _, *both in ends for end in both}


async def _logged(
    books: ScopedCallLog, since: int, until: int, progress: Callable[[int, int], None]
) -> tuple[list[RecordClaim], int]:
    """The log's records, each once, and how many could not be read."""

    def query(extension_id: str | None) -> CallLogQuery:
        return CallLogQuery(
            extension_id=extension_id,
            since_ms=since - BEGAN_BEFORE_MS,
            until_ms=until + MATCH_WINDOW_MS,
            per_page=PER_PAGE,
        )

    found: dict[str, RecordClaim] = {}
    oldest, unreadable = until, 0
    async for page in books.log_pages(query):
        found.update((claim.record_id, claim) for claim in page.claims)
        oldest = min([oldest, *(claim.started_at for claim in page.claims if claim.started_at is not None)])
        progress(len(found), oldest)
        unreadable += len(page.unreadable)
    return list(found.values()), unreadable


def _watched(row: dict[str, Any], books: ScopedCallLog) -> bool:
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
        extension_id=row["extension_id"],
    )


def begun(call: Unfinished) -> Begun:
    """A call that has no row yet as the comparison wants it."""
    direction = None if call.direction is None else Direction(call.direction)
    ends = call.from_number, call.to_number
    return Begun(call.session_id, call.telephony_session_id, direction, *ends, call.started_at)
