"""A past: calls that were over before the simulated platform began, in its books only.

What must stay true: nothing of them is told to a subscriber or shown by presence; the same seed, span and start make
the same past; days have a rhythm, and customers call again; none of its calls has an id of the office that goes on.
"""

import random
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Final

from ringledger.simulator.exchange.model import Change, Extension, SimCall
from ringledger.simulator.exchange.office import Office
from ringledger.simulator.exchange.pbx import Pbx

#: Sessions of the past; those of an office that goes on are larger.
FIRST_SESSION: Final = 800_000_000_000
#: So many customers call; the first of them most often.
CUSTOMERS: Final = 120
#: Which part of the calls of a busy hour comes in an hour of the day (UTC) from Monday to Friday.
_RHYTHM: Final = (
    0.02, 0.02, 0.01, 0.01, 0.02, 0.04, 0.1, 0.3, 0.7, 1.0, 1.0, 0.9,
    0.6, 0.8, 1.0, 0.9, 0.7, 0.5, 0.25, 0.12, 0.08, 0.05, 0.04, 0.03,
)  # fmt: skip
_WEEKEND: Final = 0.08
_NAMES: Final = ("Bakery", "Clinic", "Dental", "Estates", "Freight", "Garage", "Hotel", "Logistics", "Optics", "School")
_PLACES: Final = ("Elm Street", "Harbour", "Hillside", "Lakeside", "Northwind", "Old Mill", "Riverside", "Summit")


def remember(
    pbx: Pbx,
    extensions: list[Extension],
    *,
    now: int,
    span: int,
    calls_per_hour: float,
    seed: int,
    on_call: Callable[[int], None] = lambda _: None,
) -> int:
    """Put the calls of ``span`` ms before ``now`` (ms) into the exchange's books; returns how many.

    ``calls_per_hour``: of the busiest hours. ``on_call`` hears of each when it began, for a long past takes a while.
    """
    office = Office(extensions, calls_per_hour, seed, FIRST_SESSION, _customers(), name="office-of-the-past")
    luck = random.Random(f"past-{seed}")
    count = 0
    for call in _begun_within(office, now - span, now):
        started, ended = call.plan[0].at, max(step.at for step in call.plan)
        on_call(started)
        kept = call.part_of in pbx.calls if call.part_of else luck.random() < _busy(started)
        if not kept or ended + call.logged_after_ms >= now:
            continue
        for step in sorted(call.plan, key=lambda step: step.at):
            call.legs[step.leg].timeline.append(Change(step.at, step.status, step.termination))
        pbx.calls[call.session_id] = call
        count += 1
    return count


def _begun_within(office: Office, since: int, until: int) -> Iterator[SimCall]:
    for call in office.calls(since):
        if call.plan[0].at >= until:
            return
        yield call


def _busy(at: int) -> float:
    moment = datetime.fromtimestamp(at / 1000, UTC)
    return _RHYTHM[moment.hour] * (1 if moment.weekday() < 5 else _WEEKEND)


def _customers() -> tuple[tuple[str, str], ...]:
    names = [f"{place} {name}" for name in _NAMES for place in _PLACES]
    return tuple((f"+1415555{n:04d}", names[n] if n < len(names) else "") for n in range(CUSTOMERS))
