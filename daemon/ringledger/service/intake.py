"""The one way in: feeds, polls and books hand their observations to the tracker here, and wait for the commit.

Every operation is: restore from the ledger what is spoken of and not in memory, apply, release what was only looked
at, let the writer know. One lock keeps operations in order; nothing between restoring and applying lets go of it.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Collection, Iterable, Sequence
from contextlib import asynccontextmanager, suppress

from ringledger.domain.call import CallSession, Phase
from ringledger.domain.changes import Changes, Happening
from ringledger.domain.observation import (
    CallKey,
    Delivery,
    FeedPosition,
    PresenceObservation,
    RecordClaim,
    Unreadable,
)
from ringledger.domain.reconcile import Reconciler
from ringledger.domain.tracker import CallTracker
from ringledger.ledger.ledger import Ledger
from ringledger.ledger.memory import OpenState
from ringledger.ledger.writer import LedgerWriter
from ringledger.platform.connection import now_ms


class Intake:
    """Applies observations to the tracker and gets them committed.

    ``clock``: monotonic seconds. ``on_doubts``: told of changes that raise doubts (suspects, cut snapshots) after their
    commit.
    """

    def __init__(
        self,
        tracker: CallTracker,
        ledger: Ledger,
        account_id: str,
        *,
        clock: Callable[[], float] = time.monotonic,
        announce: Callable[[Changes], None] = lambda _: None,
        on_doubts: Callable[[Changes], None] = lambda _: None,
    ) -> None:
        self.tracker = tracker
        self.reconciler = Reconciler(tracker)
        self.account_id = account_id
        self.writer: LedgerWriter | None = None
        self._ledger = ledger
        self._clock = clock
        self._announce = announce
        self._on_doubts = on_doubts
        #: Calls that only the platform's books have shown us, since the start.
        self.written = 0
        self._order = asyncio.Lock()
        self._timer_moved = asyncio.Event()

    # -- the writer's side -----------------------------------------------------------------------------------------

    def take(self) -> Changes:
        """What has to be committed now: the consequences so far and the positions they brought us to."""
        return self.tracker.take_changes()

    def committed(self, changes: Changes) -> None:
        """A batch is safe: forget what is over, tell who wants to know."""
        self.tracker.release([key for key, call in changes.sessions.items() if call.phase is Phase.FINISHED])
        self._announce(changes)
        self.written += sum(
            1
            for told in changes.announcements
            if told.happening is Happening.CORRECTED and told.reason in {"written", "opened"}
        )
        if changes.suspects or changes.cut:
            self._on_doubts(changes)

    # -- feeds -----------------------------------------------------------------------------------------------------

    async def room(self) -> None:
        """Back-pressure: returns when there is room for more (``FeedSink``)."""
        await self._writing.room()

    async def deliver(self, delivery: Delivery) -> None:
        """Take what a feed brings; returns after the commit (``FeedSink``)."""
        async with self._applying(delivery.observations):
            now = self._clock()
            for observation in delivery.observations:
                self.tracker.observe(observation, now)
            self._unreadable(delivery.unreadable)
            self._note_position(delivery.position)
        await self._commit(len(delivery.observations))

    # -- answers of the platform -----------------------------------------------------------------------------------

    async def take_claims(
        self,
        claims: Sequence[RecordClaim],
        *,
        asked: float,
        unreadable: Iterable[Unreadable] = (),
        candidates: Collection[CallKey] = (),
        in_vain: Collection[CallKey] = (),
        position: FeedPosition | None = None,
    ) -> set[CallKey]:
        """Take records of active-calls or the call log; returns the calls they speak of, after the commit.

        ``candidates``: calls a record may mean although its session is another (semantics 7); ``in_vain``: those of
        them whose own records have been asked for and do not exist.
        """
        async with self._applying((), claims, candidates):
            self._note_position(position)
            now = self._clock()
            told = [
                one._replace(asked_at=self._on_our_clock(asked), received_at=self._on_our_clock(now)) for one in claims
            ]
            listed = self.reconciler.take_claims(told, asked=asked, now=now, in_vain=in_vain)
            self._unreadable(unreadable)
        await self._commit()
        return listed

    async def knows(self, claims: Collection[RecordClaim]) -> set[str]:
        """By which of their names (sessions, telephony sessions) we know the calls these records speak of."""
        names = {name for one in claims for name in (one.call_session_id, one.telephony_session_id) if name}
        here = {name for call in self.tracker.calls.values() for name in (call.session_id, call.telephony_session_id)}
        return names & here | await self._ledger.names_among(self.account_id, names - here)

    async def take_presence(self, observation: PresenceObservation, *, asked: float) -> None:
        """Take one extension's presence as read; returns after the commit."""
        async with self._applying((observation,)):
            told = observation._replace(asked_at=self._on_our_clock(asked))
            self.reconciler.take_presence(told, asked=asked, now=self._clock())
        await self._commit()

    async def change(self, apply: Callable[[], None]) -> None:
        """Let ``apply`` change the tracker in turn with everybody else; returns after the commit."""
        async with self._applying(()):
            apply()
        await self._commit()

    # -- start and timers ------------------------------------------------------------------------------------------

    def resume(self, state: OpenState) -> None:
        """Go on where the last commit left off: open and settling calls, extensions (semantics 9)."""
        self.tracker.restore(state.sessions, state.extensions, now=self._clock())
        self._timer_moved.set()

    async def run_timers(self, beat: Callable[[], None] = lambda: None) -> None:
        """Settle and expire calls as their time comes, until cancelled."""
        while True:
            beat()
            await self._sleep_until(self.tracker.next_deadline)
            async with self._order:
                self.tracker.advance(self._clock())
            if self.tracker.has_changes:
                self._writing.notify(0)

    async def _sleep_until(self, deadline: float | None, longest: float = 15.0) -> None:
        self._timer_moved.clear()
        seconds = longest if deadline is None else min(longest, max(0.0, deadline - self._clock()))
        if seconds:
            with suppress(TimeoutError):
                async with asyncio.timeout(seconds):
                    await self._timer_moved.wait()

    # -- inside ----------------------------------------------------------------------------------------------------

    @property
    def _writing(self) -> LedgerWriter:
        if self.writer is None:
            raise RuntimeError("the intake has no writer yet")
        return self.writer

    async def _commit(self, events: int = 0) -> None:
        self._timer_moved.set()
        self._writing.notify(events)
        await self._writing.flush()

    def _on_our_clock(self, moment: float) -> int:
        """A monotonic moment as the journal tells it, ms."""
        return now_ms() - round((self._clock() - moment) * 1000)

    def _note_position(self, position: FeedPosition | None) -> None:
        if position is not None:
            self.tracker.books.changes.positions[position.feed] = position

    def _unreadable(self, payloads: Iterable[Unreadable]) -> None:
        for payload in payloads:
            self.tracker.books.unreadable(self.account_id, payload)

    @asynccontextmanager
    async def _applying(
        self,
        observations: Sequence[PresenceObservation],
        claims: Sequence[RecordClaim] = (),
        candidates: Collection[CallKey] = (),
    ) -> AsyncIterator[None]:
        async with self._order:
            restored = await self._restored(observations, claims, candidates)
            self.tracker.restore(restored, now=self._clock())
            yield
            self.tracker.release([call.key for call in restored])

    async def _restored(
        self,
        observations: Sequence[PresenceObservation],
        claims: Sequence[RecordClaim],
        candidates: Collection[CallKey],
    ) -> list[CallSession]:
        """What the ledger knows of the calls spoken of. Asked again until nothing is missing: a call that was in memory
        when the ledger was asked may have been committed and released meanwhile.
        """
        asked: set[CallKey] = set()
        strangers: set[CallKey] = set()
        aliases: set[CallKey] = set()
        named: set[str] = set()
        restored: list[CallSession] = []
        while True:
            wanted = self.tracker.unknown_calls(observations) if observations else set()
            nameless = self.tracker.nameless(observations) - named if wanted else set()
            if nameless:  # they may be of a call that is over
                named |= nameless
                aliases.update(await self._ledger.of_telephony(nameless))
                continue  # time has passed: what was in memory may not be any longer
            if claims:
                wanted |= self.reconciler.unknown_calls(claims, self.tracker)
            nobodys = wanted & asked - {call.key for call in restored} - strangers
            if nobodys and claims:  # they may be known by another name
                strangers |= nobodys
                told = [one for one in claims if (one.account_id, one.call_session_id) in nobodys]
                aliases.update(candidates, await self._ledger.known_as(told))
                continue  # time has passed: what was in memory may not be any longer
            wanted |= {key for key in aliases if key not in self.tracker.calls}
            wanted -= asked
            if not wanted:
                return restored
            restored += await self._ledger.load_sessions(wanted)
            asked |= wanted
