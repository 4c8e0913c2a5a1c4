"""Back-fill at a person's word: inside a running daemon, or by a process of its own while none runs.

What must stay true: both go through the one way in, into the real database; holes in the account of our sight that the
log has been read for are healed, as far as the log was complete.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any, Final

from ringledger.clock import now_ms
from ringledger.config.model import Settings
from ringledger.domain.coverage import CoverageBook
from ringledger.domain.observation import CallKey
from ringledger.domain.tracker import CallTracker
from ringledger.ledger.privacy.purge import forget_deleted
from ringledger.ledger.schema.migrate import upgrade
from ringledger.ledger.write.store import Ledger
from ringledger.ledger.write.writer import LedgerWriter
from ringledger.ringcentral.errors import Throttled
from ringledger.service.commands.platform import MAX_WAIT, OneShot
from ringledger.service.commands.quarantine import Retry
from ringledger.service.control.server import Json
from ringledger.service.identity import identified
from ringledger.service.ingest.backfill import Backfill
from ringledger.service.ingest.coverage import LOG_DELAY_MS
from ringledger.service.ingest.lookups import Waiting, may_mean
from ringledger.service.ingest.pipeline import Pipeline
from ringledger.service.own_time import OwnTime

#: Told after each page: records so far, and the start of the oldest of them (ms); the log is read newest first.
Progress = Callable[[int, int], None]
#: How often a back-fill in the daemon starts again after a penalty.
ATTEMPTS: Final = 5
#: The latest moment that can be asked for: the end of the year 9999.
LATEST_MS: Final = 253_402_300_799_999


@dataclass(frozen=True, slots=True)
class Filled:
    """What a back-fill has found (records of the log), brought (calls) and healed (holes)."""

    records: int
    written: int
    healed: int


class BackfillService:
    """Reads the log of a period into the ledger and heals the holes of that period, one period at a time."""

    def __init__(
        self, ledger: Ledger, intake: Pipeline, backfill: Backfill, book: CoverageBook, now_ms: Callable[[], int]
    ) -> None:
        self._ledger = ledger
        self._intake = intake
        self._backfill = backfill
        self._book = book
        self._now_ms = now_ms
        self._turn = asyncio.Lock()

    async def run(self, since_ms: int, until_ms: int, progress: Progress) -> Filled:
        """Write what the ledger lacks of a period. Raises ``PlatformError``."""
        records = 0

        def counted(so_far: int, oldest: int) -> None:
            nonlocal records
            records = so_far
            progress(so_far, oldest)

        async with self._turn:
            await forget_deleted(self._ledger)
            written = await self._backfill.run(since_ms, until_ms, again=True, progress=counted)
            complete = min(until_ms, self._now_ms() - LOG_DELAY_MS)
            return Filled(records, written, await self._heal(since_ms, complete, written))

    def retry(self, region: str) -> Retry:
        """Tries again what was put aside, by the same way in. ``region``: for numbers written without a country."""
        return Retry(self._ledger, self._intake, self._backfill.books, region)

    async def _heal(self, since_ms: int, until_ms: int, written: int) -> int:
        spans = await self._ledger.load_coverage(self._intake.account_id)
        healed = self._book.heal_period(spans, since_ms, until_ms, "back-fill", written)
        if moved := self._book.take():
            await self._intake.change(lambda: self._intake.tracker.changes.coverage.extend(moved))
        return healed

    async def answer(self, request: Json, send: Callable[[Json], None]) -> Json:
        """``{"do": "backfill", "since": ms, "until": ms, "max_wait": s}`` (a handler of ``Control``)."""
        since, until = request.get("since"), request.get("until")
        patience = request.get("max_wait", MAX_WAIT)
        if not (isinstance(since, int) and isinstance(until, int) and 0 <= since < until <= LATEST_MS):
            raise ValueError("backfill needs since and until, ms since 1970, the earlier first")
        if not isinstance(patience, int | float):
            raise ValueError("backfill: max_wait is a number of seconds")  # noqa: TRY004 - of a request, not of ours
        for attempt in range(ATTEMPTS):
            try:
                done = await self.run(since, until, lambda records, at: send({"records": records, "oldest": at}))
            except Throttled as error:
                if attempt == ATTEMPTS - 1 or not error.retry_after <= patience:
                    raise
                send({"waiting": error.retry_after, "group": error.group})
                await self._backfill.books.client.pace.sleep(error.retry_after)
            else:
                return asdict(done)
        raise AssertionError("unreachable")


@asynccontextmanager
async def alone(asking: OneShot, tell: Callable[[str], None]) -> AsyncIterator[BackfillService]:
    """A back-fill without a daemon: takes the daemon's place at the database, which is created if there is none.

    Raises ``LedgerLocked`` while a daemon runs, ``MistakenAccount``, and what opening a database raises.
    """
    settings = asking.settings
    await asyncio.to_thread(upgrade, settings.database.url, zone=settings.report.zone)
    ledger = await Ledger.open(settings.database.url)
    try:
        me = await asking.client.whoami()
        await identified(ledger, settings.account_name, me.account_id)
        intake = Pipeline(_tracker(settings), ledger, me.account_id)
        writer = intake.commit_by(_writer(settings, ledger, intake, tell))
        books = asking.books(me, intake.knows)
        unconfirmed = await ledger.load_unconfirmed(me.account_id, 0)
        waiting = {CallKey(one.account_id, one.session_id): Waiting.of(one, 0.0) for one in unconfirmed}
        backfill = Backfill(books, intake, partial(may_mean, waiting))
        intake.resume(await ledger.load_open(me.account_id))
        async with asyncio.TaskGroup() as group:
            writing = group.create_task(writer.run(), name="writer")
            yield BackfillService(ledger, intake, backfill, CoverageBook(me.account_id), OwnTime(books.client).now)
            # Nobody is there to hear of calls that were settling: what the log says of them holds.
            settled = time.monotonic() + settings.calls.settle_seconds + 1
            await intake.change(lambda: intake.tracker.advance(settled))
            writing.cancel()
    finally:
        await ledger.close()


def _tracker(settings: Settings) -> CallTracker:
    calls = settings.calls
    return CallTracker(settle_seconds=calls.settle_seconds, stale_after_seconds=calls.stale_after_seconds)


def _writer(settings: Settings, ledger: Ledger, intake: Pipeline, tell: Callable[[str], None]) -> LedgerWriter:
    return LedgerWriter(
        ledger,
        intake.take,
        commit_interval=settings.database.commit_interval_ms / 1000,
        commit_batch=settings.database.commit_batch,
        on_committed=intake.committed,
        notices=_Told(tell),
        now_ms=now_ms,
    )


class _Told:
    """The database's troubles, for a person who waits."""

    def __init__(self, tell: Callable[[str], None]) -> None:
        self.retrying = partial(self._trouble, tell, "the database refuses")
        self.full = partial(self._trouble, tell, "no space left, free some")
        self._tell = tell

    @staticmethod
    def _trouble(tell: Callable[[str], None], what: str, error: Exception) -> None:
        tell(f"{what} ({error}); trying again until it works")

    def recovered(self, attempts: int) -> None:
        """It works again."""
        self._tell(f"the database works again, after {attempts} attempt{'' if attempts == 1 else 's'}")


def as_progress(progress: Progress, tell: Callable[[str], None]) -> Callable[[dict[str, Any]], None]:
    """What to do with the progress lines of a daemon."""

    def heard(line: dict[str, Any]) -> None:
        if "waiting" in line:
            tell(f"the daemon waits {line['waiting']:.0f} s: {str(line['group']).capitalize()} group's penalty")
        else:
            progress(line["records"], line["oldest"])

    return heard
