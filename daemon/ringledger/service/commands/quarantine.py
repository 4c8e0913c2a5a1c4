"""What was put aside, read once more: by a newer version that understands it, or by a database that has room again.

What must stay true: it comes in by the same way as when it first came, so what is known already changes nothing; what
is taken leaves the quarantine, what still cannot be read or stored stays there under its number, told once only.
"""

import time
from collections.abc import Awaitable, Callable, Collection
from dataclasses import asdict, dataclass
from typing import Any, Final

from ringledger.domain.changes import QuarantineKind
from ringledger.domain.observation import Delivery, RecordClaim, Source
from ringledger.ledger.errors import LedgerBroken
from ringledger.ledger.read.quarantine import entries
from ringledger.ledger.times import to_ms
from ringledger.ledger.write.quarantine import discard, observation_of
from ringledger.ledger.write.store import Ledger
from ringledger.ringcentral.decode.presence import decode_notification
from ringledger.ringcentral.decode.records import decode_records
from ringledger.ringcentral.decode.unreadable import WireError
from ringledger.service.control.server import Json
from ringledger.service.ingest.pipeline import Pipeline
from ringledger.service.ingest.scope import ScopedCallLog

#: Longest list of ids that is taken.
MOST_IDS: Final = 2_000

Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Retried:
    """How many entries were tried, and how many of them were taken."""

    tried: int
    taken: int


class _StillUnreadable(Exception):
    """An entry of which nothing can be made yet."""


class Retry:
    """Tries entries of the quarantine again. ``region``: for numbers written without a country."""

    def __init__(self, ledger: Ledger, intake: Pipeline, books: ScopedCallLog, region: str) -> None:
        self._ledger = ledger
        self._intake = intake
        self._books = books
        self._region = region

    async def run(self, ids: Collection[int] | None) -> Retried:
        """Try those entries, or all, oldest first. Raises ``LedgerError``."""
        rows = await entries(self._ledger.reader, ids)
        mine = [row for row in reversed(rows) if row["account_id"] == self._intake.account_id]
        taken = [row["id"] for row in mine if await self._taken(row)]
        if taken:
            await discard(self._ledger, taken)
        return Retried(len(mine), len(taken))

    async def answer(self, request: Json, _send: Callable[[Json], None]) -> Json:
        """``{"do": "quarantine-retry", "ids": [1, 2]}``, or ``"ids": null`` for all (a handler of ``Control``)."""
        ids = request.get("ids")
        if ids is not None and not (
            isinstance(ids, list) and len(ids) <= MOST_IDS and all(isinstance(one, int) for one in ids)
        ):
            raise ValueError(f"quarantine-retry needs ids: at most {MOST_IDS} numbers, or null for all")
        return asdict(await self.run(ids))

    async def _taken(self, row: Row) -> bool:
        before = self._intake.put_aside_so_far
        try:
            await self._ways()[QuarantineKind(row["kind"])](row)
        except (WireError, LedgerBroken, _StillUnreadable, ValueError):
            return False
        return self._intake.put_aside_so_far == before  # the database may have refused it again

    def _ways(self) -> dict[QuarantineKind, Callable[[Row], Awaitable[None]]]:
        return {
            QuarantineKind.PAYLOAD: self._payload,
            QuarantineKind.RECORD: self._record,
            QuarantineKind.FACT: self._fact,
        }

    async def _payload(self, row: Row) -> None:
        seen = decode_notification(
            row["body"],
            account_id=row["account_id"],
            default_region=self._region,
            received_at=to_ms(row["received_at"]),
            latest=self._books.client.latest_ms(),
        )
        await self._intake.deliver(Delivery((seen,), (), None))

    async def _record(self, row: Row) -> None:
        page = decode_records(
            f'{{"records": [{row["body"]}]}}',
            account_id=row["account_id"],
            source=Source(row["source"]),
            default_region=self._region,
            read_at=to_ms(row["received_at"]),
            latest=self._books.client.latest_ms(),
        )
        if page.unreadable or not page.claims:
            raise _StillUnreadable
        await self._intake.take_claims(await self._books.ours(page.claims), asked=time.monotonic(), again=True)

    async def _fact(self, row: Row) -> None:
        presence = Source(row["source"]) in {Source.PRESENCE, Source.PRESENCE_READ}
        seen = observation_of("presence" if presence else "record", row["body"])
        if isinstance(seen, RecordClaim):
            await self._intake.take_claims(await self._books.ours([seen]), asked=time.monotonic(), again=True)
        elif seen.sequence is None:
            await self._intake.take_presence(seen, asked=time.monotonic())
        else:
            await self._intake.deliver(Delivery((seen,), (), None))
