"""The one way in: feeds, polls and the call log hand their observations to the tracker here, and wait for the commit.

Every operation restores from the ledger the calls concerned that are not in memory, applies the observations, releases
calls that were only looked at, and notifies the writer. One lock keeps operations in order; it is held from restoring
to applying.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Collection, Iterable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from typing import Protocol

from ringledger.clock import monotonic, now_ms
from ringledger.domain.changes import AnnouncementKind, Changes, Quarantined
from ringledger.domain.matching import names_of_item, names_of_record
from ringledger.domain.observation import (
    CallItem,
    CallKey,
    Delivery,
    FeedPosition,
    PresenceObservation,
    RecordClaim,
    Unreadable,
)
from ringledger.domain.tracked import SavedCall
from ringledger.domain.tracker import CallTracker, Listing, Records
from ringledger.ledger.read.restart import OpenState
from ringledger.ledger.write.quarantine import Isolated
from ringledger.ledger.write.store import Ledger
from ringledger.ledger.write.writer import LedgerWriter
from ringledger.ringcentral.delivery import FeedNotice, FeedNoticeKind
from ringledger.service.ingest.positions import (
    LISTINGS,
    SIGHT,
    last_listings,
    listings_position,
    seen_since,
    sight_position,
)
from ringledger.service.ingest.quarantine import Aside, quarantined
from ringledger.service.ingest.readings import Candidates, RememberedReadings, nobody, portions

#: How long background work waits at most for a pause in what the feed brings, and what is a pause, seconds.
CALM_SECONDS = 0.5
BREATH_SECONDS = 0.02
#: A feed that has more to hand over is behind. What the books say of the calls it has still to tell of would cost much
#: more than its events: a row made from a record, fetched again and made anew with each of them. So the books wait
#: until the feed has caught up, for so long at most.
CATCH_UP_SECONDS = 60.0
#: After that they wait four times as long as their last turn took, which leaves the feed four fifths of the time; when
#: it is not behind they wait as long as that took, which leaves it half.
BEHIND_SHARE = 4.0
#: A feed that brings nothing for so long has been cut, and is not waited for: the books are all there is.
CUT_SECONDS = 10.0


class Sight(Protocol):
    """Who wants to know what a feed brings and how it fares."""

    def heard(self, observations: Iterable[PresenceObservation]) -> None:
        """The feed has brought something, if only what could not be read."""

    def notice(self, notice: FeedNotice) -> None:
        """The feed says something about itself."""


class Sink:
    """Where a feed delivers (``FeedSink``): the pipeline gets what it brings, ``sight`` hears that it came. ``up`` is
    set once the feed is live.
    """

    def __init__(self, intake: "Pipeline", sight: Sight, up: asyncio.Event) -> None:
        self.room = intake.room
        self._intake = intake
        self._sight = sight
        self._up = up

    async def deliver(self, delivery: Delivery) -> None:
        """Return after the commit."""
        if delivery.observations or delivery.unreadable:
            self._sight.heard(delivery.observations)
        await self._intake.deliver(delivery)

    def notice(self, notice: FeedNotice) -> None:
        """Take a notice about the feed's state."""
        if notice.kind in {FeedNoticeKind.CONNECTED, FeedNoticeKind.RESUMED}:
            self._up.set()
        self._sight.notice(notice)


class Pipeline:
    """Applies observations to the tracker and gets them committed.

    ``clock``: monotonic seconds. ``announce``: called with each batch after its commit.
    """

    def __init__(
        self,
        tracker: CallTracker,
        ledger: Ledger,
        account_id: str,
        *,
        clock: Callable[[], float] = monotonic,
        announce: Callable[[Changes], None] = lambda _: None,
    ) -> None:
        self.tracker = tracker
        self.account_id = account_id
        self._writer: LedgerWriter | None = None
        self._ledger = ledger
        self._clock = clock
        self._announce = announce
        #: Open collections of calls that only the platform's records have shown (:meth:`bringing`).
        self._bringing: list[set[CallKey]] = []
        self.aside = Aside()
        self._readings = RememberedReadings()
        #: Entries of the quarantine, since the start.
        self.put_aside_so_far = 0
        #: Deliveries of feeds that are under way, and when the last of them was over.
        self._feeding = 0
        self._fed_at = -CALM_SECONDS
        #: Since when the feed is behind.
        self._behind_since: float | None = None
        #: Poll, synchronisation and back-fill take turns, or each of them would have the share of all; what the last
        #: turn took, seconds.
        self._taking = asyncio.Lock()
        self._took = 0.0
        self._order = asyncio.Lock()
        self._timer_moved = asyncio.Event()

    # -- the writer's side -----------------------------------------------------------------------------------------

    def commit_by(self, writer: LedgerWriter) -> LedgerWriter:
        """Have what follows from observations committed by ``writer``, which takes it from :meth:`take`; returns it."""
        self._writer = writer
        return writer

    def take(self) -> Changes:
        """Return what has to be committed: the changes so far, with the positions that were reached by them."""
        return self.tracker.drain()

    async def refused(self, isolated: Isolated) -> None:
        """Go on from what the ledger has of the calls and extensions that could not be stored."""
        async with self._order:
            for account_id, extension_id in isolated.extensions:
                self.tracker.extension(account_id, extension_id).forget_statuses()
            for key in isolated.calls | isolated.unwritable:
                self.tracker.forget(key)
            calls = await self._ledger.load_sessions(isolated.calls)
            self.tracker.restore(calls, now=self._clock())
            for key in isolated.calls:
                self.tracker.save(key)
            self._release([CallKey(call.account_id, call.session_id) for call in calls])

    def put_aside(self, entries: Iterable[Quarantined]) -> None:
        """Keep what could not be read, with its text; it is committed with what comes next (or :meth:`change`)."""
        self.tracker.changes.quarantined.extend(entries)

    def committed(self, changes: Changes) -> None:
        """Release finished calls of a committed batch from memory, and announce it."""
        over = [key for key, call in changes.sessions.items() if call.is_finished]
        self._release([*over, *changes.untrackable])
        self._readings.written(changes.records.values())
        self._announce(changes)
        self.put_aside_so_far += len(changes.quarantined)
        if self._bringing:
            brought = {
                CallKey(told.account_id, told.session_id)
                for told in changes.announcements
                if told.kind is AnnouncementKind.CORRECTED and told.reason in {"written", "opened"} and told.session_id
            }
            for keys in self._bringing:
                keys.update(brought)

    @contextmanager
    def bringing(self) -> Iterator[set[CallKey]]:
        """Collect, while this is open, the calls that only the platform's records have shown, whatever read them."""
        keys: set[CallKey] = set()
        self._bringing.append(keys)
        try:
            yield keys
        finally:
            self._bringing = [one for one in self._bringing if one is not keys]

    # -- feeds -----------------------------------------------------------------------------------------------------

    async def room(self) -> None:
        """Back-pressure: returns when there is room for more (``FeedSink``)."""
        await self._writing.room()

    async def deliver(self, delivery: Delivery) -> None:
        """Take what a feed brings; returns after the commit (``FeedSink``)."""
        observations = self._wanted(delivery.observations)
        self._feeding += 1
        if not delivery.more:
            self._behind_since = None
        elif self._behind_since is None:
            self._behind_since = self._clock()
        try:
            await self._deliver(delivery, observations)
        finally:
            self._feeding -= 1
            self._fed_at = self._clock()

    def sees_since(self, at: int) -> None:
        """The feed has been seen without a blind span since ``at``, our time, ms (rule 4.3); a restart goes on with it
        from the same commit as the events that are stamped with it.
        """
        self.tracker.live_since = at
        self._note_position(sight_position(at))

    async def calm(self, seconds: float = CALM_SECONDS) -> None:
        """Let the feed go first: returns when nothing it brought waits, or after ``seconds``. For background work,
        before each of its steps. A feed that has fallen behind is waited for until it has caught up, or for longer.
        """
        began = self._clock()
        if self._behind_since is not None:
            seconds = max(seconds * BEHIND_SHARE, self._behind_since + CATCH_UP_SECONDS - began)
        while (  # noqa: ASYNC110 - a pause is what is waited for
            self._feeding or self._clock() - self._fed_at < self._breath
        ) and self._clock() - began < seconds:
            await asyncio.sleep(BREATH_SECONDS)

    @property
    def _breath(self) -> float:
        """What is a pause of the feed, seconds."""
        return BREATH_SECONDS if self._behind_since is None else CUT_SECONDS

    async def _deliver(self, delivery: Delivery, observations: Sequence[PresenceObservation]) -> None:
        async with self._applying(observations):
            now = self._clock()
            if delivery.after_gap:
                self.sees_since(now_ms())
            for observation in observations:
                self.tracker.take(observation, now)
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
        candidates: Candidates = nobody,
        about: Collection[CallKey] = (),
        not_found: Collection[CallKey] = (),
        again: bool = False,
        position: FeedPosition | None = None,
    ) -> set[CallKey]:
        """Take records of active-calls or the call log; returns the calls they speak of, after the commit. The feed
        goes first: they are taken a few at a time, when it has caught up and has had as long as the last few took.

        ``candidates``: which calls a record may mean although its session is another; ``about``: calls whose records
        these are to be; ``not_found``: those of them whose own have been asked for and do not exist;
        ``again``: what they say is taken although it has been taken before; ``position``: is committed with the last
        of them.
        """
        claims = self._wanted_claims(claims)
        listed: set[CallKey] = set()
        looked_up = bool(about or not_found)
        steps = [claims] if looked_up else list(portions(claims))
        for number, step in enumerate(steps, 1):
            async with self._taking:
                await self.calm(self._took)
                fresh = step if again or looked_up else self._readings.fresh(step, self.tracker.concerns)
                taken = {id(one) for one in fresh}
                known = [one for one in step if id(one) not in taken]
                listed.update(CallKey(one.account_id, one.call_session_id) for one in known if one.call_session_id)
                last = number == len(steps)
                if not fresh and not last:
                    continue
                async with self._applying((), fresh, candidates, about) as began:
                    now = self._clock()
                    told = [
                        one._replace(asked_at=self._on_our_clock(asked), received_at=self._on_our_clock(now))
                        for one in fresh
                    ]
                    listed |= self.tracker.take(Records(tuple(told), frozenset(not_found)), now)
                    if last:
                        self._note_position(position)
                        self._unreadable(unreadable)
                await self._commit()
                self._readings.committed(fresh)
                self._took = self._clock() - began
        return listed

    async def knows(self, claims: Collection[RecordClaim]) -> set[str]:
        """By which of their names (sessions, telephony sessions) we know the calls these records speak of."""
        names = {name for one in claims for name in (one.call_session_id, one.telephony_session_id) if name}
        here = self.tracker.known_among(self.account_id, names)
        return here | await self._ledger.names_among(self.account_id, names - here)

    async def take_presence(self, observation: PresenceObservation, *, asked: float) -> None:
        """Take one extension's presence as read; returns after the commit."""
        (observation,) = self._wanted((observation,))
        async with self._applying((observation,)):
            told = observation._replace(asked_at=self._on_our_clock(asked))
            self.tracker.take(told, self._clock())
        await self._commit()

    async def take_listing(self, listed: Collection[CallKey], *, read_at: int) -> None:
        """Take a complete listing of active calls, and the calls that it has; returns after the commit."""
        async with self._applying(()):
            self.tracker.take(Listing(frozenset(listed), read_at), self._clock())
            self._note_position(listings_position(self.tracker.listings))
        await self._commit()

    async def change(self, apply: Callable[[], None]) -> None:
        """Let ``apply`` change the tracker in turn with everybody else; returns after the commit."""
        async with self._applying(()):
            apply()
        await self._commit()

    # -- start and timers ------------------------------------------------------------------------------------------

    def resume(self, state: OpenState) -> None:
        """Go on where the last commit left off: open and settling calls, extensions (rule 9.2)."""
        calls = [*state.sessions, *state.halves]
        if state.newest_start is not None:
            self.tracker.gone_until = self.tracker.gone_unseen_until = state.newest_start
        if (sight := state.positions.get(SIGHT)) is not None:
            since = seen_since(sight)
            if since is None:  # what it told may have been a blind span: nothing behind that is taken for seen
                self.sees_since(now_ms())
            else:
                self.tracker.live_since = since
        if (last := state.positions.get(LISTINGS)) is not None:
            self.tracker.recall_listings(last_listings(last) or ())
        self.tracker.restore(calls, state.extensions, now=self._clock())
        self.tracker.recall(self.account_id, state.inventories)
        self._release([CallKey(call.account_id, call.session_id) for call in calls])  # some came with open ones
        self._timer_moved.set()

    async def run_timers(self, beat: Callable[[], None] = lambda: None) -> None:
        """Settle and expire calls as their time comes, until cancelled."""
        while True:
            beat()
            await self._sleep_until(self.tracker.next_deadline)
            await self._pass_time()
            if self.tracker.has_changes:
                self._writing.notify(0)

    async def pass_time(self) -> None:
        """Settle and expire what is due by now; returns after the commit."""
        await self._pass_time()
        await self._commit()

    async def _pass_time(self) -> None:
        async with self._order:
            self.tracker.advance(self._clock())
            self._release([CallKey(call.account_id, call.session_id) for call in await self._beside()])

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
        if self._writer is None:
            raise RuntimeError("the pipeline has no writer yet")
        return self._writer

    async def _commit(self, events: int = 0) -> None:
        self._timer_moved.set()
        self._writing.notify(events)
        await self._writing.flush()

    def _on_our_clock(self, moment: float) -> int:
        """A monotonic moment as the journal tells it, ms."""
        return now_ms() - round((self._clock() - moment) * 1000)

    def _note_position(self, position: FeedPosition | None) -> None:
        if position is not None:
            feed, key, token, at = position.feed, position.key, position.token, position.at
            self.tracker.changes.positions[feed] = FeedPosition(feed, key, token, at, self.account_id)

    def _unreadable(self, payloads: Iterable[Unreadable]) -> None:
        for payload in self.aside.fresh(payloads):
            self.tracker.changes.unreadable(self.account_id, payload)
            self.put_aside([quarantined(self.account_id, payload)])

    def _wanted(self, observations: Sequence[PresenceObservation]) -> Sequence[PresenceObservation]:
        """The observations without items of calls that were purged: those are not to come back."""
        if not self._ledger.purged or not any(self._is_purged(one, item) for one in observations for item in one.items):
            return observations
        return [
            one._replace(items=tuple(item for item in one.items if not self._is_purged(one, item)))
            for one in observations
        ]

    def _is_purged(self, seen: PresenceObservation, item: CallItem) -> bool:
        return self._ledger.purged.has(seen.account_id, names_of_item(item))

    def _wanted_claims(self, claims: Sequence[RecordClaim]) -> Sequence[RecordClaim]:
        """The records of calls that were not purged."""
        purged = self._ledger.purged
        if not purged:
            return claims
        return [one for one in claims if not purged.has(one.account_id, names_of_record(one))]

    @asynccontextmanager
    async def _applying(
        self,
        observations: Sequence[PresenceObservation],
        claims: Sequence[RecordClaim] = (),
        candidates: Candidates = nobody,
        about: Collection[CallKey] = (),
    ) -> AsyncIterator[float]:
        """Apply something within; gives when its turn came, on our clock."""
        async with self._order:
            began = self._clock()
            restored = await self._restored(observations, claims, candidates, about)
            self.tracker.restore(restored, now=self._clock())
            yield began
            restored += await self._beside()
            self._release([CallKey(call.account_id, call.session_id) for call in restored])

    async def _beside(self) -> list[SavedCall]:
        """Restore what is not in memory and may have to do with calls that have just changed, and let them meet. Only
        what came late makes this a question to the ledger.
        """
        restored: list[SavedCall] = []
        while ends := self.tracker.astray():
            near, departures = set[CallKey](), -1
            while departures != self.tracker.departures:  # what is gone by now may not have had a row when it was asked
                departures = self.tracker.departures
                near |= await self._ledger.beside(ends)
            while missing := [key for key in near if not self.tracker.has(key)]:
                near.difference_update(missing)
                loaded = await self._ledger.load_sessions(missing)
                self.tracker.restore(loaded, now=self._clock())
                restored += loaded
            self.tracker.meet(ends)
        return restored

    def _release(self, keys: Collection[CallKey]) -> None:
        """Forget calls that are over and committed; the ledger has them back."""
        gone = self.tracker.release(keys)
        self._ledger.take_back(gone.union(key for key in keys if key not in self.tracker.calls))

    async def _restored(
        self,
        observations: Sequence[PresenceObservation],
        claims: Sequence[RecordClaim],
        candidates: Candidates,
        about: Collection[CallKey],
    ) -> list[SavedCall]:
        """What the ledger knows of the calls spoken of. Asked again until nothing is missing: a call that was in memory
        when the ledger was asked may have been committed and released meanwhile. Records are looked at again in any
        case, for what the ledger lacks may be known by another name.
        """
        asked: set[CallKey] = set()
        strangers: set[CallKey] = set()
        aliases: set[CallKey] = set(about)
        restored: list[SavedCall] = []
        if claims:  # whichever half a record tells of, the pair is judged with both in memory
            aliases.update(await self._ledger.halves_of(claims))
            nameless = [one for one in claims if one.call_session_id is None]
            if nameless:  # they are found by numbers and start alone, or because they have told of a call before
                aliases.update(candidates(nameless), await self._ledger.known_as(nameless))
        while True:
            departures = self.tracker.departures
            wanted = self.tracker.unknown_calls(observations) if observations else set()
            if claims:
                wanted |= self.tracker.unknown_claims(claims)
            unknown = wanted & asked - {CallKey(call.account_id, call.session_id) for call in restored} - strangers
            if unknown and claims:  # they may be known by another name
                strangers |= unknown
                told = [one for one in claims if (one.account_id, one.call_session_id) in unknown]
                aliases.update(candidates(told), await self._ledger.known_as(told))
                continue  # time has passed: what was in memory may not be any longer
            wanted |= {key for key in aliases if key not in self.tracker.calls}
            wanted -= asked
            if not wanted:
                return restored
            loaded = await self._ledger.load_sessions(wanted)
            restored += loaded
            over = [one.published for one in loaded if one.published is not None]
            if not claims and over:  # what came late may tell that one was half of a RingOut
                aliases.update(await self._ledger.halves_of_finished(over))
            elif not claims and self.tracker.departures == departures:
                return restored
            asked |= wanted
