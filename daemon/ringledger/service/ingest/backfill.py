"""Back-fill: every call the platform's log has for a period and the ledger lacks is written (rule 8.1)."""

from collections.abc import Callable, Sequence
from typing import Final

from ringledger.clock import monotonic
from ringledger.domain.observation import RecordClaim
from ringledger.ledger.times import to_text
from ringledger.observability.logging import LOG, Event
from ringledger.ringcentral.api.query import CallLogQuery
from ringledger.service.ingest.pipeline import Pipeline
from ringledger.service.ingest.readings import Candidates, nobody
from ringledger.service.ingest.scope import ScopedCallLog

#: The largest page the platform serves: one Heavy request for so many calls.
PER_PAGE: Final = 1000
#: The log is filtered by start: calls that began this long before a period may have ended within it (ms).
BEGAN_BEFORE_MS: Final = 900_000


class Backfill:
    """Reads the call log of a period through the one way in."""

    def __init__(
        self,
        books: ScopedCallLog,
        intake: Pipeline,
        candidates: Candidates = nobody,
        *,
        clock: Callable[[], float] = monotonic,
    ) -> None:
        self.books = books
        self._intake = intake
        self._candidates = candidates
        self._clock = clock

    async def run(
        self,
        since_ms: int,
        until_ms: int,
        *,
        again: bool = False,
        progress: Callable[[int, int], None] = lambda _records, _oldest: None,
    ) -> int:
        """Take every record of the period; returns how many calls that brought. Raises ``PlatformError``.

        ``again``: what has been read before is taken once more, so that a lost row comes back.
        ``progress`` is told after each page: how many records so far, and when the oldest of them began (ms).
        """

        def query(extension_id: str | None) -> CallLogQuery:
            return CallLogQuery(
                extension_id=extension_id, since_ms=since_ms - BEGAN_BEFORE_MS, until_ms=until_ms, per_page=PER_PAGE
            )

        written, records, oldest, asked = 0, 0, until_ms, self._clock()
        with self._intake.bringing() as brought:
            async for page in self.books.log_pages(query):
                await self._intake.calm()
                told = await self._intake.take_claims(
                    await self.books.ours(_of_period(page.claims, since_ms)),
                    asked=asked,
                    unreadable=page.unreadable,
                    candidates=self._candidates,
                    again=again,
                )
                written += len(brought & told)  # another back-fill may be under way
                brought.clear()
                asked = self._clock()  # the next page is asked for now
                records += len(page.claims)
                oldest = min([oldest, *(claim.started_at for claim in page.claims if claim.started_at is not None)])
                progress(records, oldest)
        LOG.info(
            Event.BACKFILL_FINISHED, since=to_text(since_ms), until=to_text(until_ms), records=records, written=written
        )
        return written


def _of_period(claims: Sequence[RecordClaim], since_ms: int) -> list[RecordClaim]:
    """Records of calls that went on in the period: the margin is for those that had begun before. What ended before is
    not asked for, and may have been erased.
    """
    within = {one.call_session_id for one in claims if one.running or one.ended_at is None or one.ended_at >= since_ms}
    return [one for one in claims if one.call_session_id in within]
