"""The daemon's housekeeping: memories, checkpoints, retention, and the database's health.

What must stay true: nothing here ends the daemon but a database that is damaged or has lost its place; a full or busy
one is tried again at the next round. What is old is so by each of the clocks we have: nothing is deleted on the word of
one that disagrees with the others.
"""

import asyncio
import threading
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Final

from ringledger.clock import monotonic
from ringledger.config.model import Settings
from ringledger.durations import DAY_MS
from ringledger.ledger.errors import DatabaseReplaced, LedgerError, LedgerFailing, LedgerUnavailable
from ringledger.ledger.file.copies import expire, rescued
from ringledger.ledger.file.inspect import size_of, verify
from ringledger.ledger.privacy.purge import forget, mask_numbers, purge_calls, purge_journal
from ringledger.ledger.write.store import Ledger
from ringledger.observability.logging import LOG, Event
from ringledger.service.own_time import CommonTime, OwnTime

#: Memories are dropped and the write-ahead log is moved on this often, seconds.
ROUND_SECONDS: Final = 60.0
#: How long what was put aside is kept where there is no journal.
QUARANTINE_DAYS: Final = 30
#: What is too old is deleted or masked this often, seconds; the first time a while after the start.
CARE_SECONDS: Final = 3_600.0
FIRST_CARE_SECONDS: Final = 120.0
#: Copies that deleted rows have left in the file's pages are overwritten at most this often, seconds.
CLEAN_SECONDS: Final = 86_400.0
#: The whole database is verified this often, seconds.
VERIFY_SECONDS: Final = 7 * 86_400.0
#: A database up to this size is verified before READY, a larger one behind it; bytes.
VERIFY_AT_ONCE: Final = 64 * 1024 * 1024
#: Whether the file is still where it was is looked at this often, seconds.
WATCH_SECONDS: Final = 10.0
ASK: Final = "put the file that is to be the ledger there, with the daemon stopped, and start it again"
#: A write-ahead log that is larger is being kept by a reader whose transaction does not end, bytes; four times what it
#: is cut to.
MOST_LOG_BYTES: Final = 256 * 1024 * 1024
#: A verification may take this long: it reads the whole file, and leaves the disk to others.
VERIFY_AT_MOST: Final = 6 * 3_600.0
#: A look may take this long: a file that has lost its place is copied first.
WATCH_AT_MOST: Final = 900.0
#: A round may take this long: deleting many old calls is work, step by step.
ROUND_AT_MOST: Final = 900.0


class Maintenance:
    """One task. ``settings``: those in force now (a reload changes them); ``time``: our own, with what the platform
    tells of its.
    """

    def __init__(
        self,
        ledger: Ledger,
        settings: Callable[[], Settings],
        time: OwnTime | CommonTime,
        *,
        clock: Callable[[], float] = monotonic,
        most_log_bytes: int = MOST_LOG_BYTES,
    ) -> None:
        self._most_log_bytes = most_log_bytes
        self._log_held = False
        self._ledger = ledger
        self._settings = settings
        self._time = time
        self._disagree = False
        self._clock = clock
        self._care_at = clock() + FIRST_CARE_SECONDS
        self._clean_at = clock()
        self._deleted = False

    async def run(self, beat: Callable[[], None] = lambda: None) -> None:
        """Until cancelled."""
        while True:
            beat()
            await asyncio.sleep(ROUND_SECONDS)
            with suppress(LedgerUnavailable):  # the writer tells of it
                self._compare_clocks()
                await self._ledger.forget_purged(self._time.earliest())
                if not self._settings().journal.days:
                    self._deleted |= bool(await forget(self._ledger, self._time.earliest()))
                await self._ledger.checkpoint()
                self.look_at_the_log()
                if self._clock() >= self._care_at:
                    self._care_at = self._clock() + CARE_SECONDS
                    await self.care()
                await self.clean()

    def _compare_clocks(self) -> None:
        """Say once when the clocks disagree, and once when they agree again."""
        apart = self._time.disagreement()
        if bool(apart) != self._disagree:
            self._disagree = bool(apart)
            if apart:
                LOG.warning(Event.CLOCK_DISAGREES, seconds=apart // 1000)
            else:
                LOG.info(Event.CLOCK_AGREES)

    def look_at_the_log(self) -> None:
        """Log once when the write-ahead log grows because a reader does not finish, and once when that is over.

        The daemon cannot stop a reader; what is written stays safe, and only the disk bounds the log's size.
        """
        place = self._ledger.place
        size = size_of(place.path.with_name(f"{place.path.name}-wal")) if place else 0
        if (size > self._most_log_bytes) != self._log_held:
            self._log_held = not self._log_held
            if self._log_held:
                LOG.warning(Event.DATABASE_LOG_HELD, bytes=size)
            else:
                LOG.info(Event.DATABASE_LOG_FREED, bytes=size)

    async def care(self) -> None:
        """Delete and mask what the settings say is too old, and copies from before upgrades. Raises
        ``LedgerUnavailable``."""
        settings, now = self._settings(), self._time.earliest()
        kept, journal, readable = (
            settings.retention.calls_days,
            settings.journal.days,
            settings.retention.mask_numbers_after_days,
        )
        done = {
            "calls_deleted": await purge_calls(self._ledger, _ago(now, kept), now_ms=now) if kept else 0,
            "events_deleted": await purge_journal(self._ledger, _ago(now, journal or QUARANTINE_DAYS)),
            "calls_masked": await mask_numbers(self._ledger, _ago(now, readable)) if readable else 0,
            "copies_deleted": await self._expire_copies(now),
        }
        if any(done.values()):
            self._deleted = True
            LOG.info(Event.DATABASE_PURGED, **done)

    async def clean(self) -> None:
        """Leave no trace of what was deleted, once a day: the whole file is read for it. Raises
        ``LedgerUnavailable``."""
        if self._deleted and self._clock() >= self._clean_at:
            self._clean_at = self._clock() + CLEAN_SECONDS
            self._deleted = not await self._ledger.wipe()

    async def _expire_copies(self, now_ms: int) -> int:
        """How many could be deleted; in a directory that is not ours to write they stay."""
        place = self._ledger.place
        with suppress(LedgerFailing):
            return len(await asyncio.to_thread(expire, place.path, now_ms)) if place else 0
        return 0


def _ago(now_ms: int, days: int) -> int:
    """So many days ago; of more days than there are the beginning of the count: nothing is older."""
    return max(0, now_ms - days * DAY_MS)


class Watch:
    """Sees to it that what is written is written to the file that the path names. ``settle``: writes what waits.

    A file that was moved, replaced or removed would take everything with it at the end of the process.
    """

    def __init__(self, ledger: Ledger, settle: Callable[[], Awaitable[None]]) -> None:
        self._ledger = ledger
        self._settle = settle

    async def run(self, beat: Callable[[], None] = lambda: None) -> None:
        """Look for ever. Raises ``DatabaseReplaced``."""
        while True:
            beat()
            await self.look()
            await asyncio.sleep(WATCH_SECONDS)

    @property
    def lost(self) -> str:
        """What has become of the file; empty: it is where it was."""
        return self._ledger.place.lost() if self._ledger.place else ""

    async def look(self) -> None:
        """Raises ``DatabaseReplaced`` when the file is not where it was; what it holds has been saved beside it."""
        place, lost = self._ledger.place, self.lost
        if place is None or not lost:
            return
        target = rescued(place.path)
        try:
            await self._settle()
            await self._ledger.save(target)
        except LedgerError as error:
            LOG.error(Event.DATABASE_REPLACED, reason=lost, saved=None, failure=str(error))
            raise DatabaseReplaced(f"{lost}; what was known could not be saved ({error}); {ASK}") from error
        LOG.error(Event.DATABASE_REPLACED, reason=lost, saved=str(target))
        raise DatabaseReplaced(f"{lost}; what was known is in {target}; {ASK}")


async def verify_at_start(settings: Settings) -> None:
    """Verify a small database before it is used; a server sees to its own. Raises ``DatabaseCorrupt``."""
    if settings.database.is_file and size_of(settings.database.path) <= VERIFY_AT_ONCE:
        await verified(settings)


async def keep_verified(settings: Settings, beat: Callable[[], None] = lambda: None) -> None:
    """Verify a large database behind the start, and any once a week. Raises ``DatabaseCorrupt``."""
    beat()
    if not settings.database.is_file:
        while True:
            await asyncio.sleep(ROUND_SECONDS)
            beat()
    if size_of(settings.database.path) > VERIFY_AT_ONCE:
        await verified(settings)
    while True:
        again = time.monotonic() + VERIFY_SECONDS
        while (left := again - time.monotonic()) > 0:
            beat()
            await asyncio.sleep(min(left, ROUND_SECONDS))
        await verified(settings, thorough=True)


async def verified(settings: Settings, *, thorough: bool = False) -> None:
    """Read the whole database on a thread; cancelling breaks it off. Raises ``DatabaseCorrupt``."""
    stop = threading.Event()
    try:
        with suppress(LedgerUnavailable):
            await asyncio.to_thread(verify, settings.database.url, thorough=thorough, stop=stop)
    finally:
        stop.set()
