"""The program on its way to the disk: lines of a recording go through decoders, pipeline, tracker and writer into a
file, and rows come out of the file. As `playing`, but a restart may come after any line, as it does to a daemon that is
killed.

What must stay true: nothing is carried over a restart but the file.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any

from sqlalchemy import Table, select

from ringledger.domain.observation import Delivery, PresenceObservation, Source
from ringledger.domain.tracker import CallTracker
from ringledger.ledger.read.restart import record_of
from ringledger.ledger.schema import tables
from ringledger.ledger.write.store import Ledger
from ringledger.ledger.write.writer import LedgerWriter
from ringledger.ringcentral.decode.recording import FeedState, Recorded, RecordedListing, read_recording
from ringledger.service.ingest.pipeline import Pipeline
from tests.generator.playing import ABOUT_ARRIVAL, SETTLE_SECONDS, STALE_AFTER_SECONDS, Outcome
from tests.generator.voices import Json
from tests.generator.world import ACCOUNT
from tests.template import migrated


async def file(path: Path, portions: Iterable[Sequence[Json]], *, stops: frozenset[int] = frozenset()) -> Outcome:
    """Play a recording into a new database at ``path``, each portion in one go. ``stops``: the program is killed and
    starts again after so many portions.
    """
    url, now = migrated(path), 0.0
    live: int | None = None
    told = list(portions)
    for first, last in _lives(len(told), stops):
        async with _Life.begun(url, now) as life:
            life.up(live)
            for portion in told[first:last]:
                lines = [json.dumps(line).encode() for line in portion]
                await life.take(list(read_recording(lines, account_id=ACCOUNT, default_region="US")))
            now, live = life.now, life.said_live
            if last == len(told):
                await life.wait(SETTLE_SECONDS)
                await life.wait(STALE_AFTER_SECONDS + 1)  # a call whose end was lost is given up
                return await _filed(life.ledger)
    raise AssertionError("a recording has a last portion")


def _lives(count: int, stops: frozenset[int]) -> list[tuple[int, int]]:
    """From which portion to which each run of the program goes."""
    cuts = [0, *sorted(stop for stop in stops if 0 < stop < count), count]
    return list(pairwise(cuts))


class _Life:
    """One run of the program. Its clock is the recording's."""

    def __init__(self, ledger: Ledger, now: float) -> None:
        self.ledger = ledger
        self.now = now
        #: Since when the feed was live, as it said last, if no commit has come since.
        self.said_live: int | None = None
        tracker = CallTracker(settle_seconds=SETTLE_SECONDS, stale_after_seconds=STALE_AFTER_SECONDS)
        self.intake = Pipeline(tracker, ledger, ACCOUNT, clock=lambda: self.now)

    @classmethod
    @asynccontextmanager
    async def begun(cls, url: str, now: float) -> AsyncIterator["_Life"]:
        """From the start to the kill: nothing is flushed at the end."""
        ledger = await Ledger.open(url)
        life = cls(ledger, now)
        writer = life.intake.commit_by(LedgerWriter(
            ledger, life.intake.take, commit_interval=0, commit_batch=1, on_committed=life.intake.committed,
            notices=_Strict(), now_ms=lambda: round(life.now * 1000),
        ))  # fmt: skip
        life.intake.resume(await ledger.load_open(ACCOUNT))
        writing = asyncio.create_task(writer.run())
        try:
            yield life
        finally:
            writing.cancel()
            await asyncio.wait({writing})
            await ledger.close()

    async def take(self, portion: Sequence[Recorded]) -> None:
        """What came next: notifications in a row are one delivery."""
        pushed: list[PresenceObservation] = []
        for one in portion:
            if isinstance(one, PresenceObservation) and one.source is Source.PRESENCE:
                pushed.append(one)
                continue
            await self._deliver(pushed)
            pushed = []
            self.said_live = None
            if isinstance(one, PresenceObservation):
                await self._until(one.received_at)
                await self.intake.take_presence(one, asked=self.now)
            elif isinstance(one, RecordedListing):
                await self._until(one.received_at)
                await self._answer(one)
            elif isinstance(one, FeedState):
                await self._until(one.at)
                self.up(one.at if one.live else None)
        await self._deliver(pushed)

    def up(self, since: int | None) -> None:
        """The feed is live since then. It goes on where the last commit left it: after a kill before the next commit
        it is as far behind as it was, and says so again.
        """
        if since is not None:
            self.intake.sees_since(since)
        self.said_live = since

    async def _deliver(self, pushed: Sequence[PresenceObservation]) -> None:
        if pushed:
            await self._until(pushed[-1].received_at)
            await self.intake.deliver(Delivery(tuple(pushed), (), None))
            self.said_live = None

    async def _answer(self, answer: RecordedListing) -> None:
        listed = await self.intake.take_claims(answer.claims, asked=self.now)
        if answer.complete and answer.source is Source.ACTIVE_CALLS:
            await self.intake.take_listing(listed, read_at=answer.read_at)

    async def wait(self, seconds: float) -> None:
        """Let time pass in which nothing comes."""
        await self._until(round((self.now + seconds) * 1000))

    async def _until(self, at: int) -> None:
        """Let every timer fire at its own time; what is late does not turn time back."""
        until = at / 1000
        while (deadline := self.intake.tracker.next_deadline) is not None and deadline <= until:
            self.now = max(self.now, deadline)
            await self.intake.pass_time()
        self.now = max(self.now, until)


class _Strict:
    """Trouble with the database ends the story."""

    def retrying(self, error: Exception) -> None:
        raise error

    full = retrying

    def recovered(self, attempts: int) -> None:
        """Never: nothing fails."""


async def _filed(ledger: Ledger) -> Outcome:
    """What the tables have."""
    rows = {row["session_id"]: record_of(row)._asdict() for row in await _all(ledger, tables.call)}
    legs: dict[str, list[tuple[Any, ...]]] = {}
    for row in await _all(ledger, tables.call_leg):
        legs.setdefault(row["session_id"], []).append(tuple(
            row[name] for name in ("leg_id", "extension_id", "direction", "from_number", "to_number", "started_at",
                                   "answered_at", "ended_at", "status", "termination_type", "source")
        ))  # fmt: skip
    transitions: dict[str, list[tuple[Any, ...]]] = {}
    for row in await _all(ledger, tables.call_transition):
        transitions.setdefault(row["session_id"], []).append((row["at"], row["from_status"], row["to_status"]))
    return Outcome(
        {key: {name: value for name, value in row.items() if name not in ABOUT_ARRIVAL} for key, row in rows.items()},
        {session: sorted(some, key=repr) for session, some in legs.items()},
        {session: sorted(some, key=repr) for session, some in transitions.items()},
    )


async def _all(ledger: Ledger, table: Table) -> list[Any]:
    async with ledger.reader.connect() as connection:
        return list((await connection.execute(select(table))).mappings())
