"""What could not be read: chosen to be told and put aside once, however often the platform gives it again.

A feed's position moves past a payload in the commit that puts it aside, so it comes once. A record of active-calls or
the call log is given again with every answer that lists it. What must stay true: memory of what was met is bounded.
"""

from collections import OrderedDict
from collections.abc import Iterable
from hashlib import blake2b
from typing import Final

from ringledger.domain.changes import Quarantined, QuarantineKind
from ringledger.domain.observation import PRESENCE_SOURCES, Unreadable

#: So many records that could not be read are remembered; as many as the quarantine keeps.
MOST_REMEMBERED: Final = 2_000


class Aside:
    """Remembers the records that were met."""

    def __init__(self) -> None:
        self._met: OrderedDict[bytes, None] = OrderedDict()

    def remember(self, bodies: Iterable[str]) -> None:
        """Take these as met: the quarantine has them from a former run."""
        for body in bodies:
            self._note(body)

    def fresh(self, payloads: Iterable[Unreadable]) -> list[Unreadable]:
        """Those that have not been met."""
        return [one for one in payloads if one.source in PRESENCE_SOURCES or self._note(one.body)]

    def _note(self, body: str) -> bool:
        """Whether it is new; from now on it is not."""
        mark = blake2b(body.encode("utf-8", "replace"), digest_size=16).digest()
        new = mark not in self._met
        self._met[mark] = None
        self._met.move_to_end(mark)
        while len(self._met) > MOST_REMEMBERED:
            self._met.popitem(last=False)
        return new


def quarantined(account_id: str, payload: Unreadable) -> Quarantined:
    """What is put aside of a payload or record."""
    kind = QuarantineKind.PAYLOAD if payload.source in PRESENCE_SOURCES else QuarantineKind.RECORD
    return Quarantined(account_id, payload.received_at, payload.source, payload.reason, kind, payload.body)
