"""The simulated exchange: applies changes to calls and tells what presence reports of them.

What must stay true: one change of one leg is one presence event of that leg's extension, carrying all calls of the
extension; an ended leg is in the event that ends it and in no later one; sequences of an extension only grow,
with gaps.
"""

import random
import uuid
from collections.abc import Callable, Iterable

from ringledger.simulator.exchange.model import CallTruth, Change, Extension, SimCall, SimLeg, Step, Style, truth_of
from ringledger.simulator.push.payloads import Json, body_of, envelope_of, item_of
from ringledger.simulator.story.story import LogRecord

Listener = Callable[[Json], object]

NAMES = (
    "Ann Archer", "Ben Okafor", "Chloé Martin", "Dörte Günther", "Émile Roux", "Fatima Haddad", "Goro Saitō",
    "Hana Nováková", "Igor Petrov", "Jean O'Neill", "Kim Søndergaard", "Lía Muñoz", "王小明", "Nia Mensah",
    "Oleh Шевченко", "Priya Nair", "Quentin Blake", "Rosa Lima", "Şebnem Kaya", 'Tom "T" Weller',
)  # fmt: skip


def default_extensions(count: int = 5) -> list[Extension]:
    """Invented users: ids from 2001, numbers from 101, direct numbers in the range kept for fiction."""
    return [
        Extension(str(2001 + n), str(101 + n), NAMES[n % len(NAMES)], f"+1650555{1001 + n:04d}") for n in range(count)
    ]


class Pbx:
    """All extensions and calls of one account. ``listeners`` get each event's envelope, in order."""

    def __init__(
        self,
        extensions: Iterable[Extension] | None = None,
        *,
        account_id: str = "1001",
        style: Style = "modern",
        seed: int = 0,
    ) -> None:
        self.account_id, self.style = account_id, style
        self.extensions = {e.id: e for e in (default_extensions() if extensions is None else extensions)}
        self.calls: dict[str, SimCall] = {}
        self.listeners: list[Listener] = []
        self.told_records: list[LogRecord] = []  # of stories, for the books
        self.woken: list[SimCall] = []  # each time that something happens to a call that was over
        self._random = random.Random(f"pbx-{seed}")
        self._sequences: dict[str, int] = {}
        self._live: dict[str, list[tuple[SimCall, SimLeg]]] = {}
        self._told: dict[str, tuple[str, list[Json]]] = {}

    def add_extension(self, extension_id: str) -> Extension:
        """The extension of that id; made up when it is new."""
        known = self.extensions.get(extension_id)
        if known is None:
            n = len(self.extensions)
            known = Extension(extension_id, str(101 + n), NAMES[n % len(NAMES)], f"+1650555{1001 + n:04d}")
            self.extensions[extension_id] = known
        return known

    def apply(self, call: SimCall, step: Step) -> Json:
        """Let a planned step happen; returns the presence event's envelope after telling every listener."""
        self.calls.setdefault(call.session_id, call)
        leg = call.legs[step.leg]
        if any(one.timeline for one in call.legs) and not any(one.live for one in call.legs):
            self.woken.append(call)
        leg.timeline.append(Change(step.at, step.status, step.termination))
        live = self._live.setdefault(leg.extension_id, [])
        if not any(known is leg for _, known in live):
            live.insert(0, (call, leg))
        envelope = self._envelope(leg.extension_id, step.at)
        self._live[leg.extension_id] = [pair for pair in live if pair[1].live]
        for listener in self.listeners:
            listener(envelope)
        return envelope

    def tell(self, envelope: Json) -> None:
        """Take over what a story's event says, so that a read of the extension's presence agrees with it."""
        extension_id, at = str(envelope["body"]["extensionId"]), str(envelope["timestamp"])
        self.add_extension(extension_id)
        if at >= self._told.get(extension_id, ("", []))[0]:
            self._told[extension_id] = (at, [item for item in envelope["body"]["activeCalls"] if _shown_later(item)])

    def items(self, extension_id: str) -> list[Json]:
        """Every call of the extension now, newest first, uncut: what a read of its presence shows."""
        told = self._told.get(extension_id, ("", []))[1]
        return [item_of(call, leg, self.style) for call, leg in self._live.get(extension_id, [])] + told

    def open_calls(self) -> list[SimCall]:
        return [call for call in self.calls.values() if not call.over]

    def truth(self) -> list[CallTruth]:
        """What is true of every call that has begun, oldest first."""
        return sorted((truth_of(call) for call in self.calls.values()), key=lambda t: (t.started_at, t.session_id))

    def restart_sequences(self) -> None:
        """Counters begin anew with small numbers, as after a change in the platform's own house."""
        self._sequences = dict.fromkeys(self._sequences, 0)

    def _envelope(self, extension_id: str, at: int) -> Json:
        extension = self.add_extension(extension_id)
        body = body_of(extension, self.items(extension_id), self._next_sequence(extension_id), self.style)
        event_id = str(uuid.UUID(int=self._random.getrandbits(128), version=4))
        return envelope_of(self.account_id, extension_id, body, at=at, uuid=event_id, style=self.style)

    def _next_sequence(self, extension_id: str) -> int:
        if extension_id not in self._sequences:
            self._sequences[extension_id] = self._random.randrange(1_000, 200_000)
        self._sequences[extension_id] += self._random.randint(1, 150)
        return self._sequences[extension_id]


def _shown_later(item: Json) -> bool:
    return item["telephonyStatus"] != "NoCall" or item.get("terminationType") == "intermediate"
