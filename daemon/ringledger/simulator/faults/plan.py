"""Named faults of the simulated platform, with their rates, and the dice that decide when they happen.

A fault is written ``NAME``, ``NAME=RATE`` (``drop=0.1``, ``drop=10%``) or ``NAME=COUNTx`` (``drop=3x``: the next three
occasions); those that take time also ``NAME:SECONDS``. What must stay true: the same seed and the same traffic bring
the same faults.
"""

import random
import re
from dataclasses import dataclass

from ringledger.simulator.faults.pubnub import NAMES as POLL_NAMES
from ringledger.simulator.faults.pubnub import FaultQueue


@dataclass(frozen=True, slots=True)
class Kind:
    """What a fault concerns (notification, rest or poll), and what it is without further words."""

    where: str
    rate: float | None = None
    count: int | None = None
    seconds: float = 0.0
    timed: bool = False


KINDS: dict[str, Kind] = {
    "drop": Kind("notification", rate=0.1),
    "duplicate": Kind("notification", rate=0.2),
    "reorder": Kind("notification", rate=0.2),
    "delay": Kind("notification", rate=0.2, seconds=10, timed=True),
    "hold-back": Kind("notification", rate=0.05, seconds=30, timed=True),
    "disconnect": Kind("notification", rate=0.05),
    "silent": Kind("notification", count=1),
    "overflow": Kind("notification", rate=0.02, seconds=60, timed=True),
    "sequence-restart": Kind("notification", rate=0.02),
    "no-nocall": Kind("notification", rate=0.1),
    "no-ringing": Kind("notification", rate=0.1),
    "garbage": Kind("notification", rate=0.1),
    "poison": Kind("notification", rate=0.1),
    "status-5xx": Kind("rest", rate=0.1),
    "429": Kind("rest", rate=0.05),
    "slow": Kind("rest", rate=0.2, seconds=3, timed=True),
    "cut-body": Kind("rest", rate=0.1),
    "html": Kind("rest", rate=0.1),
    "page-fails": Kind("rest", rate=0.5),
    "empty-listing": Kind("rest", rate=0.1),
    "poison-record": Kind("rest", rate=0.1),
    "scramble": Kind("rest", rate=0.1),
    "same-page": Kind("rest", rate=1.0),
    "odd-date": Kind("rest", rate=0.1),
    "odd-rate": Kind("rest", rate=0.1),
    "bomb": Kind("rest", rate=0.1),
    "endless": Kind("rest", rate=0.1),
    "redirect": Kind("rest", rate=0.1),
    **{name: Kind("poll", count=1) for name in POLL_NAMES},
}
#: Every name ``--fault`` understands.
FAULT_NAMES = tuple(KINDS)
_WRITTEN = re.compile(r"(?P<name>[a-z0-9-]+)(:(?P<seconds>\d+(\.\d+)?))?(=(?P<amount>[0-9.]+)(?P<unit>[x%]?))?")


@dataclass(slots=True)
class Fault:
    """One fault at work. ``rate`` of occasions, or the next ``count`` of them; ``path``: only requests to it."""

    name: str
    rate: float | None
    count: int | None
    seconds: float
    path: str = ""

    def happens(self, dice: random.Random) -> bool:
        """Decide one occasion."""
        if self.count is None:
            return dice.random() < (self.rate or 0.0)
        self.count -= 1
        return self.count >= 0


def parse_fault(text: str) -> Fault:
    """A fault as it is written on a command line. Raises ``ValueError`` that says what is known."""
    match = _WRITTEN.fullmatch(text)
    name = match["name"] if match else re.split("[:=]", text)[0]
    if name not in KINDS:
        raise ValueError(f"unknown fault {name!r}; known are {', '.join(FAULT_NAMES)}")
    if match is None:
        raise ValueError(f"fault {text!r}: write {name}, {name}=RATE, {name}=10% or {name}=3x")
    kind = KINDS[name]
    if match["seconds"] and not kind.timed:
        raise ValueError(f"fault {name} takes no seconds")
    seconds = float(match["seconds"] or kind.seconds)
    if match["amount"] is None:
        return Fault(name, kind.rate, kind.count, seconds)
    return _with_amount(Fault(name, None, None, seconds), kind, match["amount"], match["unit"])


def _with_amount(fault: Fault, kind: Kind, amount: str, unit: str) -> Fault:
    if unit == "x":
        if not amount.isdecimal() or int(amount) < 1:
            raise ValueError(f"fault {fault.name}: {amount}x is no count")
        fault.count = int(amount)
        return fault
    if kind.where == "poll":
        raise ValueError(f"fault {fault.name} takes a count: {fault.name}=3x")
    try:
        fault.rate = float(amount) / (100 if unit == "%" else 1)
    except ValueError:
        raise ValueError(f"fault {fault.name}: {amount} is no rate") from None
    if not 0 <= fault.rate <= 1:
        raise ValueError(f"fault {fault.name}: a rate is between 0 and 1")
    return fault


class FaultPlan:
    """The faults at work now; ``happened`` counts by name what they have done."""

    def __init__(self, polls: FaultQueue, *, seed: int = 0) -> None:
        self.dice = random.Random(f"faults-{seed}")
        self.active: list[Fault] = []
        self.happened: dict[str, int] = {}
        self._polls = polls

    def add(self, text: str, *, path: str = "") -> None:
        """Begin a fault; ``path`` narrows one of REST to requests whose path contains it. Raises ``ValueError``."""
        fault = parse_fault(text)
        fault.path = path
        if KINDS[fault.name].where == "poll":
            self._polls.extend([fault.name] * (fault.count or 1))
        else:
            self.active.append(fault)

    def remove(self, name: str) -> None:
        """End the faults of that name."""
        self.active = [fault for fault in self.active if fault.name != name]

    def clear(self) -> None:
        """End all faults, those of polls too."""
        self.active.clear()
        self._polls.clear()

    def of(self, where: str) -> list[Fault]:
        return [fault for fault in self.active if KINDS[fault.name].where == where]

    def strikes(self, fault: Fault) -> bool:
        """Decide one occasion of a fault, and count it if it happens."""
        if not fault.happens(self.dice):
            return False
        self.happened[fault.name] = self.happened.get(fault.name, 0) + 1
        return True
