"""What faults do to notifications on their way to a subscriber.

What must stay true: without faults every notification goes straight through; what is only delayed, held back or
swapped arrives all the same. Seconds are simulated ones.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any

from ringledger.simulator.clock import SimClock
from ringledger.simulator.exchange.pbx import Pbx
from ringledger.simulator.faults.plan import Fault, FaultPlan
from ringledger.simulator.faults.poison import notifications
from ringledger.simulator.push.payloads import Json
from ringledger.simulator.push.subscriptions import Subscription

#: How many of the notifications held back survive an overflow.
OVERFLOW_KEEPS = 5
#: A notification taken out of its order comes after the next one, or after so many seconds.
SWAP_SECONDS = 5.0
#: Sealed like real ones, and still no notifications.
GARBAGE: tuple[Json, ...] = (
    {},
    {"uuid": "garbage-1", "event": "/restapi/v1.0/account/1001/extension/2001/presence", "body": None},
    {"uuid": "garbage-2", "body": []},
    {"uuid": "garbage-3", "timestamp": "soon", "body": {"extensionId": "2001", "activeCalls": "none"}},
    {"uuid": "garbage-4", "body": {"extensionId": {"id": 1}, "sequence": -1, "activeCalls": [None, 7, {}]}},
)
#: Not even that.
RUBBISH = ("", "not base64 at all", "bm90IGEgY2lwaGVydGV4dA==")

Send = Callable[[Subscription, Json], None]
Raw = Callable[[Subscription, str], object]


@dataclass(slots=True)
class Line:
    """The way to one subscriber."""

    silent: bool = False
    swapped: Json | None = None
    held: deque[Json] | None = None


@dataclass
class Mishaps:
    """``deliver`` sends for good; ``cut`` breaks a subscriber's connection and ``raw`` sends it text, by transport."""

    clock: SimClock
    plan: FaultPlan
    pbx: Pbx
    deliver: Send
    cut: dict[str, Callable[[], object]]
    raw: dict[str, Raw]
    _lines: dict[str, Line] = field(default_factory=dict)
    _tasks: set[asyncio.Task[None]] = field(default_factory=set)

    def send(self, subscription: Subscription, envelope: Json) -> None:
        """Deliver one notification, unless a fault has other plans."""
        line = self._lines.setdefault(subscription.id, Line())
        if line.silent:
            return
        if line.held is not None:
            line.held.append(envelope)
            return
        for fault in self.plan.of("notification"):
            if _fits(fault.name, envelope) and self.plan.strikes(fault):
                method: Callable[..., bool] = getattr(self, "_" + fault.name.replace("-", "_"))
                if method(fault, subscription, envelope):
                    return
        self.deliver(subscription, envelope)
        if line.swapped is not None:
            swapped, line.swapped = line.swapped, None
            self.deliver(subscription, swapped)

    def stop(self) -> None:
        """Forget what is still on its way."""
        for task in self._tasks:
            task.cancel()

    # -- what each fault does; whether the notification has been dealt with ------------------------------------

    def _drop(self, _fault: Fault, _subscription: Subscription, _envelope: Json) -> bool:
        return True

    _no_nocall = _no_ringing = _drop

    def _duplicate(self, _fault: Fault, subscription: Subscription, envelope: Json) -> bool:
        self.deliver(subscription, envelope)
        return False

    def _reorder(self, _fault: Fault, subscription: Subscription, envelope: Json) -> bool:
        line = self._lines[subscription.id]
        if line.swapped is not None:
            return False
        line.swapped = envelope
        self._later(SWAP_SECONDS, lambda: self._unswap(subscription, envelope))
        return True

    def _unswap(self, subscription: Subscription, envelope: Json) -> None:
        line = self._lines[subscription.id]
        if line.swapped is envelope:
            line.swapped = None
            self.deliver(subscription, envelope)

    def _delay(self, fault: Fault, subscription: Subscription, envelope: Json) -> bool:
        self._later(fault.seconds, lambda: self.deliver(subscription, envelope))
        return True

    def _hold_back(self, fault: Fault, subscription: Subscription, envelope: Json, keeps: int | None = None) -> bool:
        self._lines[subscription.id].held = deque([envelope], maxlen=keeps)
        self._later(fault.seconds, lambda: self._let_go(subscription))
        return True

    def _overflow(self, fault: Fault, subscription: Subscription, envelope: Json) -> bool:
        return self._hold_back(fault, subscription, envelope, OVERFLOW_KEEPS)

    def _let_go(self, subscription: Subscription) -> None:
        line = self._lines[subscription.id]
        held, line.held = line.held, None
        for envelope in held or ():
            self.deliver(subscription, envelope)

    def _disconnect(self, _fault: Fault, subscription: Subscription, _envelope: Json) -> bool:
        self.cut[subscription.transport]()
        return False

    def _silent(self, _fault: Fault, subscription: Subscription, _envelope: Json) -> bool:
        self._lines[subscription.id].silent = True
        return True

    def _sequence_restart(self, _fault: Fault, _subscription: Subscription, _envelope: Json) -> bool:
        self.pbx.restart_sequences()
        return False

    def _garbage(self, _fault: Fault, subscription: Subscription, _envelope: Json) -> bool:
        for garbage in GARBAGE:
            self.deliver(subscription, garbage)
        for rubbish in RUBBISH:
            self.raw[subscription.transport](subscription, rubbish)
        return False

    def _poison(self, _fault: Fault, subscription: Subscription, envelope: Json) -> bool:
        for poisoned in notifications(envelope):
            self.deliver(subscription, poisoned)
        return False

    def _later(self, seconds: float, action: Callable[[], None]) -> None:
        task = asyncio.get_running_loop().create_task(self._wait(seconds, action))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _wait(self, seconds: float, action: Callable[[], None]) -> Coroutine[Any, Any, None]:
        until = self.clock.now_ms() + round(seconds * 1000)

        async def work() -> None:
            await self.clock.sleep_until(until)
            action()

        return work()


def _fits(name: str, envelope: Json) -> bool:
    """Whether a notification is an occasion for a fault."""
    if name not in ("no-nocall", "no-ringing"):
        return True
    items = envelope["body"].get("activeCalls", [])
    ends = any(item["telephonyStatus"] == "NoCall" for item in items)
    if name == "no-nocall":
        return ends
    return not ends and any(item["telephonyStatus"] == "Ringing" for item in items)
