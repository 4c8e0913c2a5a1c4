"""The office everybody measures: 200 extensions, about 100 calls at a time, the same for the same seed.

Events are what the platform would send (today's payloads, encrypted); nothing of this is timed. As a program it
prints a crowd, `python tests/bench/load.py CALLS`: a line for each event, its time and its payload.
"""

import base64
import heapq
import json
import sys
from collections.abc import Iterator
from itertools import islice
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:  # the simulator is loaded only where events are made: elsewhere memory is measured
    from ringledger.simulator.exchange.model import SimCall, Step
    from ringledger.simulator.exchange.office import Office

START = 1_792_000_000_000
ACCOUNT = "1001"
KEY = base64.b64encode(b"bench-key-16-byt").decode()
EXTENSIONS = 200
#: Calls last two minutes on average, so this many an hour keep about a hundred going.
CALLS_PER_HOUR = 3000.0


class Event(NamedTuple):
    """One notification: the platform's time (ms) and its text."""

    at: int
    text: bytes


def office_events(count: int, *, seed: int = 7, start: int = START) -> list[Event]:
    """The first ``count`` events of the office's day."""
    from ringledger.simulator.exchange.office import Office
    from ringledger.simulator.exchange.pbx import Pbx, default_extensions

    pbx = Pbx(default_extensions(EXTENSIONS), account_id=ACCOUNT, seed=seed)
    office = Office(list(pbx.extensions.values()), CALLS_PER_HOUR, seed)
    return [_event(at, pbx.apply(call, step)) for at, call, step in islice(_steps(office, start), count)]


def _steps(office: "Office", start: int) -> "Iterator[tuple[int, SimCall, Step]]":
    """Every step of every call in the order of time, for ever."""
    waiting: list[tuple[int, int, Any, Any]] = []
    for n, call in enumerate(office.calls(start)):
        while waiting and waiting[0][0] < call.plan[0].at:
            at, _, one, step = heapq.heappop(waiting)
            yield at, one, step
        for i, step in enumerate(call.plan):
            heapq.heappush(waiting, (step.at, 100 * n + i, call, step))


def crowd_events(calls: int, *, start: int = START) -> Iterator[Event]:
    """Two events for each of so many calls that all stay open: five to an extension, ringing and then answered."""
    from ringledger.simulator.exchange.model import Step
    from ringledger.simulator.exchange.office import Office
    from ringledger.simulator.exchange.pbx import Pbx, default_extensions

    pbx = Pbx(default_extensions(calls // 5), account_id=ACCOUNT)
    office = Office(list(pbx.extensions.values()), seed=1)
    for n in range(calls):
        call = office.plan_answered("answered", start + 20 * n)[0]
        call.legs[0].extension_id = str(2001 + n % (calls // 5))
        for i, status in enumerate(("Ringing", "CallConnected")):
            yield _event(start + 20 * n + 10 * i, pbx.apply(call, Step(start + 20 * n + 10 * i, 0, status)))


def _event(at: int, envelope: dict[str, Any]) -> Event:
    owned = envelope | {"subscriptionId": "5f2a6b1e-8c53-4d6f-9a64-0d2a8d1c7e35", "ownerId": "2001"}
    return Event(at, json.dumps(owned, ensure_ascii=False, separators=(",", ":")).encode())


def sealed(events: list[Event], key: str = KEY) -> list[str]:
    """Their payloads as PubNub carries them."""
    from ringledger.simulator.push.encryption import encrypt

    return [encrypt(event.text, key) for event in events]


def main() -> None:
    if len(sys.argv) == 3:  # for measures.py: their texts as they are
        kind, count = sys.argv[1:]
        for one in office_events(int(count)) if kind == "--office" else crowd_events(int(count)):
            print(one.at, one.text.decode())
        return
    for one in crowd_events(int(sys.argv[1])):
        print(one.at, *sealed([one]))


if __name__ == "__main__":
    main()
