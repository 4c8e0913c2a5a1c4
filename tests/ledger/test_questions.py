"""Many accounts ask one ledger at the same time: each has its turn, however long it waits."""

import asyncio

from sqlalchemy import event

from ringledger.ledger.write.store import QUESTIONS, Ledger

ACCOUNTS = 200


async def test_who_waits_for_its_turn_is_not_refused(ledger: Ledger) -> None:
    opened: list[object] = []
    event.listen(ledger.reader.sync_engine, "connect", lambda *_: opened.append(None))
    vars(ledger.reader.pool)["_timeout"] = 0.01  # the pool's patience: what it refuses after half a minute otherwise
    found = await asyncio.gather(*(ledger.load_open(str(one)) for one in range(ACCOUNTS)))
    assert [state.sessions for state in found] == [[]] * ACCOUNTS
    assert len(opened) <= QUESTIONS, "none is opened for a moment"
