"""The whole way of what others have written: decode, fold, commit, view, by the real pipeline into a real SQLite file.

One ledger takes what all inputs bring, one after another, and is opened anew now and then, as by a restart. What must
come true of any input: it is taken or put aside, it ends nothing, the next good call is recorded as it was, and every
row that the views show adds up.
"""

import asyncio
import atexit
import json
import resource
import sqlite3
import tempfile
import time
from contextlib import closing, suppress
from pathlib import Path
from typing import Any, Final

from ringledger.clock import now_ms
from ringledger.domain.observation import Delivery, FeedPosition, PresenceObservation, Source
from ringledger.domain.tracker import CallTracker
from ringledger.ledger.times import to_ms, to_text
from ringledger.ledger.write.store import Ledger
from ringledger.ledger.write.writer import LedgerWriter
from ringledger.ringcentral.decode.presence import decode_notification, decode_presence_read
from ringledger.ringcentral.decode.records import decode_records
from ringledger.ringcentral.decode.unreadable import WireError
from ringledger.service.ingest.pipeline import Pipeline
from tests.platform.payloads import event, item, record
from tests.template import migrated

ACCOUNT: Final = "1001"
#: A good call follows so many inputs; a new ledger (and a look at memory) so many.
GOOD_EVERY: Final = 25
RESTART_EVERY: Final = 1_000
NEW_EVERY: Final = 5_000
#: Where a ledger costs no disk its time.
_MEMORY: Final = Path("/dev/shm")
#: Memory the process may have taken more than when it began with a ledger, KiB.
MOST_MORE: Final = 250_000
VIEWS: Final = (
    "all_calls", "call_legs", "call_events", "call_sources", "call_transitions", "active_calls", "quarantine",
    "extension_presence", "daily_calls",
)  # fmt: skip
#: Rows that do not add up (rules 4): each duration is at least 0, and together they are no longer than the call.
WRONG: Final = """SELECT session_id FROM all_calls WHERE ended_at < started_at OR ring_seconds < 0 OR talk_seconds < 0
    OR hold_seconds < 0 OR coalesce(ring_seconds, 0) + talk_seconds + coalesce(hold_seconds, 0)
       > (julianday(ended_at) - julianday(started_at)) * 86400.0 + 0.002"""


class _Silent:
    """Hears of no trouble; a refused value is none, it is put aside."""

    def retrying(self, error: Exception) -> None:
        raise error

    full = retrying

    def recovered(self, attempts: int) -> None:
        """Nothing."""


class _Way:
    """A ledger and the pipeline into it."""

    def __init__(self) -> None:
        self.taken = 0
        self._loop = asyncio.new_event_loop()
        self._directory = tempfile.TemporaryDirectory(
            prefix="ringledger-fuzz-", dir=_MEMORY if _MEMORY.is_dir() else None
        )
        self._path = Path(self._directory.name) / "r.db"
        self._url = migrated(self._path)
        self._loop.run_until_complete(self._open())
        self._before = _peak()

    async def _open(self) -> None:
        self._ledger = await Ledger.open(self._url)
        self._intake = Pipeline(CallTracker(), self._ledger, ACCOUNT)
        writer = self._intake.commit_by(LedgerWriter(
            self._ledger, self._intake.take, commit_interval=0, commit_batch=1, on_committed=self._intake.committed,
            notices=_Silent(), now_ms=now_ms, on_refused=self._intake.refused,
        ))  # fmt: skip
        self._intake.resume(await self._ledger.load_open(ACCOUNT))
        self._writing = asyncio.create_task(writer.run())

    async def _close(self) -> None:
        self._writing.cancel()
        await asyncio.wait({self._writing})
        await self._ledger.close()

    def take(self, data: bytes) -> None:
        """Everything that this may be; raises what no documented error is."""
        self.taken += 1
        self._loop.run_until_complete(self._take(data))
        if self.taken % GOOD_EVERY == 0:
            self._loop.run_until_complete(self._good())
        if self.taken % RESTART_EVERY == 0:
            self._loop.run_until_complete(self._close())
            self._loop.run_until_complete(self._open())

    async def _take(self, data: bytes) -> None:
        at = now_ms()
        seen: list[PresenceObservation] = []
        unreadable = []
        try:
            seen.append(decode_notification(data, account_id=ACCOUNT, default_region="US", received_at=at))
        except WireError as error:
            unreadable.append(error.unreadable(at))
        position = FeedPosition("pubnub", "key", str(self.taken), at)
        await self._intake.deliver(Delivery(tuple(seen), tuple(unreadable), position))
        if b"activeCalls" in data:
            with suppress(WireError):
                read = decode_presence_read(
                    data, account_id=ACCOUNT, extension_id="2002", default_region="US", read_at=at, received_at=at
                )
                await self._intake.take_presence(read, asked=time.monotonic() - 1)
        if b"records" in data:
            source = Source.CALL_LOG if self.taken % 2 else Source.ACTIVE_CALLS
            with suppress(WireError):
                page = decode_records(data, account_id=ACCOUNT, source=source, default_region="US", read_at=at)
                await self._intake.take_claims(page.claims, asked=time.monotonic() - 1, unreadable=page.unreadable)
        if self.taken % 10 == 0:  # an hour later
            await self._intake.change(lambda: self._intake.tracker.advance(time.monotonic() + 20_000))

    async def _good(self) -> None:
        """A call of 3 s of ringing and 6 s of talk is recorded as such, whatever came before it."""
        session, began = f"good-{self.taken}", now_ms() - 60_000
        for sequence, (after, status) in enumerate(((0, "Ringing"), (3_000, "CallConnected"), (9_000, "NoCall"))):
            told = event(
                extensionId=f"9{self.taken}", sequence=sequence + 1, telephonyStatus=status,
                activeCalls=[item(id=f"leg-{session}", sessionId=session, telephonySessionId=f"s-{session}",
                                  telephonyStatus=status, startTime=to_text(began))],
            )  # fmt: skip
            told |= {"timestamp": to_text(began + after), "uuid": f"{session}-{sequence}"}
            payload = json.dumps(told)
            seen = decode_notification(payload, account_id=ACCOUNT, default_region="US", received_at=now_ms())
            await self._intake.deliver(Delivery((seen,), (), None))
        await self._intake.change(lambda: self._intake.tracker.advance(time.monotonic() + 60))
        with closing(sqlite3.connect(f"file:{self._path}?mode=ro", uri=True)) as connection:
            row = connection.execute(
                "SELECT disposition, ring_seconds, talk_seconds FROM all_calls WHERE session_id = ?", (session,)
            ).fetchone()
            assert row == ("answered", 3.0, 6.0), row
            assert connection.execute(WRONG).fetchall() == []
            if self.taken % (4 * GOOD_EVERY) == 0:
                for view in VIEWS:
                    connection.execute(f"SELECT * FROM {view}").fetchall()
                for (text,) in connection.execute("SELECT started_at FROM all_calls"):
                    assert to_ms(text) > 0

    def end(self) -> None:
        """Let go of it. Raises when memory has grown beyond what an office takes."""
        self._loop.run_until_complete(self._close())
        self._loop.close()
        self._directory.cleanup()
        grown = _peak() - self._before
        assert grown < MOST_MORE, f"{grown} KiB more"


def _peak() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


_way: _Way | None = None


def way(data: bytes) -> None:
    """Take an input; what it leaves in the ledger is there when the next one comes."""
    global _way  # noqa: PLW0603 - a ledger is not made for each input
    if _way is not None and _way.taken >= NEW_EVERY:
        done, _way = _way, None
        done.end()
    if _way is None:
        _way = _Way()
    try:
        _way.take(data)
    except BaseException:
        _way = None
        raise


@atexit.register
def _at_last() -> None:
    if _way is not None:
        _way.end()


def _seeds() -> tuple[Any, ...]:
    """A few calls of a few extensions in every status, in disorder, and what the books say of them."""
    began = now_ms() - 600_000
    made: list[Any] = []
    for number in range(48):
        session = f"9000000010{number % 6}1"
        status = ("Ringing", "CallConnected", "OnHold", "ParkedCall", "NoCall", "CallConnected")[number // 8]
        call = item(
            id=f"leg-{number % 9}", sessionId=session, telephonySessionId=f"s-{number % 6}", telephonyStatus=status,
            startTime=to_text(began + number % 6 * 1_000), direction=("Inbound", "Outbound")[number % 2],
        )  # fmt: skip
        calls = [call, item(sessionId=f"9000000010{(number + 1) % 6}1", telephonyStatus=status)][: 1 + number % 2]
        told = event(extensionId=str(2000 + number % 4), sequence=500 + number, activeCalls=calls)
        made.append(told | {"timestamp": to_text(began + 1_000 * number), "uuid": str(number)})
        made.append({
            "records": [
                record(id=f"R{number % 7}", sessionId=session, telephonySessionId=f"s-{number % 6}",
                       result=("Accepted", "Missed", "In Progress", "Voicemail", None, "911")[number % 6],
                       startTime=to_text(began + number * 500), durationMs=number * 300, duration=None,
                       legs=[record(id=f"L{number}"), record()] if number % 3 else None)
                for _ in range(1 + number % 2)
            ],
            "navigation": {}, "paging": {"page": 1},
        })  # fmt: skip
    return tuple(made)


SEEDS: Final = _seeds()
