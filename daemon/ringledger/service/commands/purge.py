"""`purge` inside a running daemon: calls are deleted by the one process that writes, while it goes on recording.

What must stay true: nothing that was deleted comes back out of memory; whether the file still holds traces is said.
"""

from collections.abc import Callable
from dataclasses import dataclass

from ringledger.clock import now_ms
from ringledger.domain.observation import CallKey
from ringledger.ledger.privacy.purge import Erased, purge_calls, purge_number
from ringledger.ledger.write.store import Ledger
from ringledger.numbers import normalise
from ringledger.service.control.server import Json
from ringledger.service.ingest.confirmer import Confirmer
from ringledger.service.ingest.pipeline import Pipeline


async def purge(ledger: Ledger, *, number: str | None, before_ms: int, account_id: str | None = None) -> Erased:
    """Delete the calls of a number, or those that began before. Raises ``ValueError`` (no number), ``LedgerError``.

    ``number``: as the ledger keeps it, E.164 or a short one; ``account_id``: of one account alone.
    """
    if number is None:
        return Erased(await purge_calls(ledger, before_ms, now_ms=now_ms(), account_id=account_id), 0, 0)
    return await purge_number(ledger, number, now_ms=now_ms(), account_id=account_id)


@dataclass(frozen=True, slots=True)
class PurgeService:
    """The daemon's answer to ``{"do": "purge", "number": text}`` or ``{"do": "purge", "before": ms}``. ``region``: for
    a number written without a country.
    """

    ledger: Ledger
    intake: Pipeline
    confirmer: Confirmer
    region: str
    #: Of several accounts the one whose calls these are; ``None``: whatever the ledger has.
    account_id: str | None = None

    async def answer(self, request: Json, _send: Callable[[Json], None]) -> Json:
        """Delete, and forget what was waiting for the platform's verdict (a handler of ``Control``)."""
        number, before = request.get("number"), request.get("before")
        if not ((isinstance(number, str) and before is None) or (isinstance(before, int) and number is None)):
            raise ValueError("purge needs a number, or before: ms")
        if number is not None:
            number = normalise(number, self.region) or number
        waiting = set(self.confirmer.waiting)
        calls = events = 0
        # Twice: a call that was being told of had perhaps been read from the ledger before it was deleted there, and
        # was written again. What is read afterwards is gone already.
        for _ in range(2):
            await self.intake.change(lambda: None)  # what has been collected is committed first
            done = await purge(self.ledger, number=number, before_ms=before or 0, account_id=self.account_id)
            calls, events = calls + done.calls, events + done.events
        wiped = await self.ledger.wipe()
        answer = {"purged": calls, "traceless": wiped and not done.open, "unconfirmed": await self._forget(waiting)}
        return answer if number is None else {**answer, "events": events, "open": done.open}

    async def _forget(self, waiting: set[CallKey]) -> int:
        """Ask no longer about calls that are gone; how many."""
        there = await self.ledger.load_unconfirmed(self.intake.account_id, 0)
        gone = waiting - {CallKey(one.account_id, one.session_id) for one in there}
        return sum(self.confirmer.waiting.pop(key, None) is not None for key in gone)
