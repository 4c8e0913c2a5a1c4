"""Delivery of the outbox: at least once, in order per call, at each receiver's own pace.

What must stay true: only what is in the database is sent, so nothing leaves before its commit; no letter about a call
is sent while an earlier one waits; a receiver that is slow, dead or wrong delays its own letters and no
others. No address beyond its host, no secret and no body is ever logged.
"""

import asyncio
import heapq
import random
import time
from collections import deque
from collections.abc import Callable, Collection, Coroutine, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from math import inf
from typing import Any, Final

import aiohttp

from ringledger.backoff import Backoff
from ringledger.clock import monotonic
from ringledger.clock import now_ms as wall_ms
from ringledger.config.model import WebhookSettings
from ringledger.domain.changes import Changes
from ringledger.ledger.errors import LedgerUnavailable
from ringledger.ledger.write import outbox
from ringledger.ledger.write.outbox import Head, Outcome
from ringledger.ledger.write.store import Ledger
from ringledger.observability.logging import LOG, Event
from ringledger.observability.metrics import Metrics
from ringledger.service.announce import Who
from ringledger.service.webhooks.delivery import AttemptResult, post, posting
from ringledger.service.webhooks.letters import LetterWriter, WebhookReceiver, receivers_of
from ringledger.service.webhooks.metrics import ACCEPTED, FAILED, GIVEN_UP, WebhookMetrics

#: Letters of different calls that are under way to one receiver at a time.
PARALLEL: Final = 8
#: Heads read from the outbox at a time.
BUFFER: Final = 64
#: Calls that wait for another attempt, in memory; of more the oldest are found again by the next look through all.
MOST_DUE: Final = 100_000
#: How often the whole outbox is looked through, seconds: a letter that is first of its call because another
#: process removed the one before it, or wrote it long ago, is found by nothing else.
LOOK_THROUGH_SECONDS: Final = 60.0
#: Outcomes gather for so long, seconds, before they are written down together.
GATHER_SECONDS: Final = 0.05
#: So many outcomes are written in one transaction; other writers have their turn after it. While as many letters of a
#: receiver are under way or their outcomes not written, no further one is sent to it.
WRITTEN_AT_ONCE: Final = 250
#: No loop sleeps longer than this, seconds, so that its progress shows.
ROUND_SECONDS: Final = 20.0
#: Failures in a row after which a receiver is logged as unavailable, and failed calls after which it gets one letter
#: at a time.
TELL_AFTER: Final = 3
DOWN_AFTER: Final = 8
KEEPER_SECONDS: Final = 3_600.0
#: How often the outbox is looked at for the figures; without receivers it hardly changes.
FIGURES_SECONDS: Final = 15.0

_Key = tuple[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class RetrySchedule:
    """The waits of a delivery. A letter is given up ``give_up_seconds`` after its commit, but not before
    ``least_attempts``; what was given up is kept for ``dead_days``."""

    first_seconds: float = 1.0
    longest_seconds: float = 300.0
    timeout_seconds: float = 10.0
    give_up_seconds: float = 86_400.0
    least_attempts: int = 5
    dead_days: int = 30

    def pause(self, failures: int) -> float:
        """Seconds until the next attempt after so many failures: twice as long each time, with jitter."""
        longest = Backoff(self.first_seconds, self.longest_seconds).after(failures)
        return longest * random.uniform(0.5, 1.0)  # noqa: S311 - spreads attempts, keeps no secret

    def at_speed(self, speed: float) -> "RetrySchedule":
        """The same schedule where ``speed`` seconds pass in one of ours. An answer takes the time it takes."""
        return replace(
            self,
            first_seconds=self.first_seconds / speed,
            longest_seconds=self.longest_seconds / speed,
            give_up_seconds=self.give_up_seconds / speed,
        )


class Deliveries:
    """One task. ``clock``: monotonic seconds; ``now_ms``: our wall clock, as the commits' ``updated_at``; ``may_send``:
    whether this process may send an account's letters at present.
    """

    def __init__(
        self,
        ledger: Ledger,
        receivers: Sequence[WebhookReceiver],
        *,
        schedule: RetrySchedule | None = None,
        metrics: Metrics | None = None,
        clock: Callable[[], float] = monotonic,
        now_ms: Callable[[], int] = wall_ms,
        may_send: Callable[[str], bool] = lambda _: True,
    ) -> None:
        self._ledger = ledger
        self._schedule = schedule or RetrySchedule()
        self._now_ms = now_ms
        self._earliest = now_ms
        self._desk = _Desk(ledger, now_ms)
        self._tally = tally = WebhookMetrics(metrics or Metrics(), receivers)
        self._carriers = [
            _Carrier(
                one,
                ledger,
                self._desk,
                self._schedule,
                tally,
                clock=clock,
                now_ms=now_ms,
                old_by=self._old_by,
                may_send=may_send,
            )
            for one in receivers
        ]

    async def run(
        self, beat: Callable[[str], None] = lambda _: None, earliest: Callable[[], int] | None = None
    ) -> None:
        """Deliver until cancelled. ``beat``: called by each loop, with its name, as it goes round. ``earliest``: now by
        the slowest of all clocks, ms; nothing is given up or deleted that is young by it.
        """
        self._earliest = earliest or self._now_ms
        async with posting(self._schedule.timeout_seconds) as session, asyncio.TaskGroup() as group:
            loops: list[tuple[str, Callable[[Callable[[], None]], Coroutine[Any, Any, None]]]] = [
                ("letters given up", self._keep),
                ("letters counted", self._look),
            ]
            if self._carriers:
                loops.append(("letters written down", self._desk.run))
            loops += [(f"webhook {n}", partial(one.run, session)) for n, one in enumerate(self._carriers, start=1)]
            for name, loop in loops:
                group.create_task(loop(partial(beat, name)), name=name)

    def _old_by(self) -> int:
        """The time by which something is old, ms: no single clock gives up or deletes anything."""
        return min(self._now_ms(), self._earliest())

    def committed(self, changes: Changes) -> None:
        """Look into the outbox if the batch may have brought letters."""
        if changes.announcements:
            self.wake()

    def wake(self) -> None:
        """Look into the outbox."""
        for carrier in self._carriers:
            carrier.wake()

    def look_through(self) -> None:
        """Look through the whole outbox: it may hold letters of an account that another process worked for."""
        for carrier in self._carriers:
            carrier.look_through()

    async def retry(self, ids: Collection[int] | None) -> int:
        """Try dead letters again, ``None``: all of them; returns how many. Raises as ``Ledger.commit`` does."""
        count = await outbox.retry(self._ledger, ids, now_ms=self._now_ms())
        self.look_through()
        return count

    async def answer(self, request: dict[str, Any], _progress: Callable[[dict[str, Any]], None]) -> dict[str, Any]:
        """``{"do": "webhooks-retry", "ids": [1, 2]}`` (``null``: all) on the control socket. Raises ``ValueError``."""
        ids = request.get("ids")
        if ids is not None and not (isinstance(ids, list) and all(type(one) is int for one in ids)):
            raise ValueError("ids: should be a list of numbers, or null for all")
        try:
            return {"retried": await self.retry(ids)}
        except LedgerUnavailable as error:
            raise ValueError(str(error)) from error

    async def _keep(self, beat: Callable[[], None]) -> None:
        """Give up letters of receivers that are no longer configured, and delete old dead letters; until cancelled."""
        known = [carrier.receiver.key for carrier in self._carriers]
        while True:
            now = self._now_ms()
            with suppress(LedgerUnavailable):
                if count := await outbox.give_up_strangers(self._ledger, known, now_ms=now):
                    LOG.warning(Event.WEBHOOK_FAILED, reason=outbox.UNKNOWN_RECEIVER, count=count)
                await outbox.forget_dead(self._ledger, self._old_by() - self._schedule.dead_days * 86_400_000)
            await _rest(KEEPER_SECONDS, beat)

    async def _look(self, beat: Callable[[], None]) -> None:
        """What stands in the outbox, for the figures."""
        while True:
            with suppress(LedgerUnavailable):
                self._tally.stand(await outbox.backlogs(self._ledger), self._now_ms())
            await _rest(FIGURES_SECONDS if self._carriers else KEEPER_SECONDS, beat)


async def _rest(seconds: float, beat: Callable[[], None]) -> None:
    """In pieces: who waits is not stuck."""
    until = time.monotonic() + seconds
    while (left := until - time.monotonic()) > 0:
        beat()
        await asyncio.sleep(min(left, ROUND_SECONDS))


def deliveries_of(
    hooks: Iterable[WebhookSettings],
    ledger: Ledger,
    metrics: Metrics,
    *,
    directories: Mapping[str, Who] | None = None,
    speed: float = 1.0,
    may_send: Callable[[str], bool] = lambda _: True,
) -> Deliveries:
    """Return the deliveries for ``[[webhooks]]``; from now on the ledger writes letters, if there is a receiver.

    ``directories``: of each account; ``speed``: the platform's, what is waited for is scaled by it.
    """
    receivers = receivers_of(hooks)
    ledger.fill_outbox_with(LetterWriter(receivers, directories=directories) if receivers else None)
    schedule = RetrySchedule().at_speed(speed)
    return Deliveries(ledger, receivers, schedule=schedule, metrics=metrics, may_send=may_send)


class _Desk:
    """Writes the outcomes of attempts, many in one transaction: the writer's commits wait for few of them."""

    def __init__(self, ledger: Ledger, now_ms: Callable[[], int]) -> None:
        self._ledger = ledger
        self._now_ms = now_ms
        self._done: list[tuple[_Carrier, _Key, Outcome]] = []
        self._some = asyncio.Event()

    def put(self, carrier: "_Carrier", key: _Key, outcome: Outcome) -> None:
        self._done.append((carrier, key, outcome))
        self._some.set()

    async def run(self, beat: Callable[[], None]) -> None:
        try:
            while True:
                beat()
                with suppress(TimeoutError):
                    async with asyncio.timeout(ROUND_SECONDS):
                        await self._some.wait()
                if self._some.is_set():
                    await asyncio.sleep(GATHER_SECONDS)
                    self._some.clear()
                    await self._write()
        finally:
            with suppress(Exception):  # what is not written down is sent once more
                await outbox.settle(self._ledger, [outcome for *_, outcome in self._done], now_ms=self._now_ms())

    async def _write(self) -> None:
        count = min(len(self._done), WRITTEN_AT_ONCE)
        try:
            await outbox.settle(self._ledger, [outcome for *_, outcome in self._done[:count]], now_ms=self._now_ms())
        except LedgerUnavailable:  # the writer tells of it
            self._some.set()
            await asyncio.sleep(1.0)
            return
        written, self._done = self._done[:count], self._done[count:]
        for carrier, key, _ in written:
            carrier.written_down(key)
        if self._done:
            self._some.set()


class _Carrier:
    """Delivers one receiver's letters. A call is busy from the start of an attempt until its outcome is written."""

    def __init__(
        self,
        receiver: WebhookReceiver,
        ledger: Ledger,
        desk: _Desk,
        schedule: RetrySchedule,
        tally: WebhookMetrics,
        *,
        clock: Callable[[], float],
        now_ms: Callable[[], int],
        old_by: Callable[[], int],
        may_send: Callable[[str], bool],
    ) -> None:
        self._may_send = may_send
        self.receiver = receiver
        self._ledger = ledger
        self._desk = desk
        self._schedule = schedule
        self._tally = tally
        self._clock = clock
        self._now_ms = now_ms
        self._old_by = old_by
        self._ready: deque[Head] = deque()
        self._busy: set[_Key] = set()
        self._due: dict[_Key, float] = {}  # calls whose first letter failed: when it may be tried again
        self._later: list[tuple[float, _Key]] = []  # the same as a heap; what says otherwise than ``_due`` is past
        self._follow: dict[_Key, None] = {}  # calls that may have a first letter we have not read
        self._flying = 0
        self._read_to = 0  # the first letters up to this id are under way, due, or followed
        self._stale = True  # there may be letters after it
        self._look_through_at = clock() + LOOK_THROUGH_SECONDS
        self._news = asyncio.Event()
        self._failures = 0  # in a row
        self._failed: set[_Key] = set()  # calls, since the last success
        self._pauses = 0
        self._paused_until = 0.0

    def wake(self) -> None:
        """Look for new letters."""
        self._stale = True
        self._news.set()

    def look_through(self) -> None:
        """There may be letters anywhere."""
        self._read_to, self._look_through_at = 0, self._clock() + LOOK_THROUGH_SECONDS
        self.wake()

    def written_down(self, key: _Key) -> None:
        """What became of a call's letter is in the outbox: the next one may leave."""
        self._busy.discard(key)
        if (due := self._due.get(key)) is not None:
            heapq.heappush(self._later, (due, key))
        else:
            self._follow[key] = None
        self._news.set()

    async def run(self, session: aiohttp.ClientSession, beat: Callable[[], None]) -> None:
        async with asyncio.TaskGroup() as group:
            while True:
                beat()
                self._news.clear()
                try:
                    leaving, seconds = await self._next()
                except LedgerUnavailable:
                    leaving, seconds = [], 1.0
                for head in leaving:
                    if not self._may_send(head.account_id):
                        self._follow[_key(head)] = None  # the process that works for the account sends it
                        continue
                    self._busy.add(_key(head))
                    self._flying += 1
                    group.create_task(self._carry(session, head))
                with suppress(TimeoutError):
                    async with asyncio.timeout(min(seconds, ROUND_SECONDS)):
                        await self._news.wait()

    # -- what goes next --------------------------------------------------------------------------------------------

    @property
    def _down(self) -> bool:
        return len(self._failed) >= DOWN_AFTER

    async def _next(self) -> tuple[list[Head], float]:
        """What leaves now, and how long to wait for news after that, seconds."""
        if self._down:
            return await self._next_of_the_dead()
        free = PARALLEL - self._flying if len(self._busy) < WRITTEN_AT_ONCE else 0
        if free and not self._ready:
            self._ready.extend(await self._heads(BUFFER))
        leaving = [self._ready.popleft() for _ in range(min(free, len(self._ready)))]
        due = self._next_due() if len(leaving) < free else None  # else there will be news
        return leaving, ROUND_SECONDS if due is None else max(0.0, due - self._clock())

    async def _next_of_the_dead(self) -> tuple[list[Head], float]:
        """A receiver that fails for everybody gets one letter at a time, the one that has waited longest for its turn;
        a letter that only it refuses must not be the only one that is tried."""
        self._follow.update(dict.fromkeys(_key(head) for head in self._ready))  # read again: it may take hours
        self._ready.clear()
        seconds = self._paused_until - self._clock()
        if seconds > 0 or self._flying:
            return [], seconds if seconds > 0 else ROUND_SECONDS
        first = await self._heads(1) or await self._first_of(self._soonest(1, inf))
        if not first and not self._busy:
            self._failed.clear()  # they have gone: deleted, or given up
        return first[:1], ROUND_SECONDS

    async def _heads(self, most: int) -> list[Head]:
        """First letters that may leave now: the next ones of calls whose last one has left, those not read yet, those
        whose time has come again; of the last two neither keeps the other from its turn. Whatever waits, so many are
        read at a time.
        """
        if self._clock() >= self._look_through_at:
            self.look_through()
        found: list[Head] = []
        try:
            found += await self._first_of([key for key in self._follow if key not in self._busy][:most])
            await self._read_on((most - len(found) + 1) // 2, found)
            found += await self._first_of(self._soonest(most - len(found), self._clock()))
            await self._read_on(most - len(found), found)
        except LedgerUnavailable:
            self._follow.update(dict.fromkeys(_key(head) for head in found))
            raise
        return found

    async def _first_of(self, keys: Sequence[_Key]) -> list[Head]:
        """The first letters of these calls. What we remember of a call that has none has gone."""
        self._follow.update(dict.fromkeys(keys))  # if it cannot be read now
        found = await outbox.heads_of(self._ledger, self.receiver.key, keys) if keys else []
        there = {_key(head) for head in found}
        for key in keys:
            self._follow.pop(key, None)
            if key not in there:
                self._due.pop(key, None)
        return found

    async def _read_on(self, most: int, found: list[Head]) -> None:
        """Add up to so many first letters nobody has read yet, but those of calls that are known otherwise."""
        there, enough = {_key(head) for head in found}, len(found) + most
        while self._stale and len(found) < enough:
            self._stale = False
            try:
                newest = await outbox.newest(self._ledger)
                read = await outbox.heads(self._ledger, self.receiver.key, most, after=self._read_to)
            except LedgerUnavailable:
                self._stale = True
                raise
            self._stale |= len(read) == most
            for head in read:
                if len(found) == enough:
                    self._stale = True
                    break
                self._read_to, key = head.id, _key(head)
                if key not in there and key not in self._busy and key not in self._due:
                    found.append(head)
            if not self._stale:
                self._read_to = max(self._read_to, newest)  # what others have is not gone through again

    def _soonest(self, most: int, until: float) -> list[_Key]:
        """Calls whose next attempt is due by then, the soonest first; each is given once."""
        found: list[_Key] = []
        while len(found) < most and (due := self._next_due()) is not None and due <= until:
            found.append(heapq.heappop(self._later)[1])
        return found

    def _next_due(self) -> float | None:
        """When the next attempt is due, on our clock."""
        while self._later and self._due.get(self._later[0][1]) != self._later[0][0]:
            heapq.heappop(self._later)
        return self._later[0][0] if self._later else None

    def _wait_until(self, key: _Key, due: float) -> None:
        """Try this call's first letter again at ``due``, if what became of it has been written down by then."""
        self._due.pop(key, None)
        self._due[key] = due
        while len(self._due) > MOST_DUE:
            self._due.pop(next(iter(self._due)))

    # -- one letter ------------------------------------------------------------------------------------------------

    async def _carry(self, session: aiohttp.ClientSession, head: Head) -> None:
        answer = await post(session, self.receiver, head.event_id, head.body, self._now_ms() // 1000)
        self._flying -= 1
        if answer.error is None:
            self._accepted(_key(head))
            outcome = Outcome(head.id, head.event_id)
        else:
            outcome = self._refused(head, answer, answer.error)
        self._tally.attempt(self.receiver.key, ACCEPTED if not outcome.error else GIVEN_UP if outcome.final else FAILED)
        self._desk.put(self, _key(head), outcome)
        self._news.set()

    def _accepted(self, key: _Key) -> None:
        if self._failures >= TELL_AFTER:
            LOG.warning(Event.WEBHOOK_RECOVERED, address=self.receiver.address, attempts=self._failures)
        if self._down:
            self._due.clear()  # it was the receiver's fault, not theirs
            self._later.clear()
            self.look_through()
        self._failures = self._pauses = 0
        self._failed.clear()
        self._due.pop(key, None)

    def _refused(self, head: Head, answer: AttemptResult, error: str) -> Outcome:
        attempts, age = head.attempts + 1, (self._old_by() - head.since) / 1000
        tried_enough = age >= self._schedule.give_up_seconds and attempts >= self._schedule.least_attempts
        final = answer.gone or tried_enough
        if not final:
            pause = max(self._schedule.pause(attempts), answer.wait(self._schedule))
            self._wait_until(_key(head), self._clock() + pause)
        else:
            self._due.pop(_key(head), None)
            LOG.warning(
                Event.WEBHOOK_FAILED, address=self.receiver.address, reason=error, attempts=attempts,
                session_id=head.session_id, event_id=head.event_id,
            )  # fmt: skip
        if answer.receivers_fault:
            self._ails(_key(head), error)
        return Outcome(head.id, head.event_id, error, final)

    def _ails(self, key: _Key, error: str) -> None:
        self._failures += 1
        self._failed.add(key)
        if self._failures == TELL_AFTER:
            LOG.warning(Event.WEBHOOK_UNAVAILABLE, address=self.receiver.address, reason=error)
        if self._down and self._clock() >= self._paused_until:  # not those that were under way when it began
            self._pauses += 1
            self._paused_until = self._clock() + self._schedule.pause(self._pauses)


def _key(head: Head) -> _Key:
    return head.account_id, head.session_id
