"""Other names of calls: what the ledger knows of calls that records speak of under a session of their own.

Sessions of missed and voicemail calls differ now and then between presence and log (semantics 7). What must stay true:
a record that has once spoken of a call finds that call again, however long ago it was confirmed and forgotten; the two
halves of a RingOut find each other although one of them ended long before the other was heard of.
"""

from collections.abc import Collection, Iterable
from typing import Any, Final

from sqlalchemy import ColumnElement, Select, or_, select
from sqlalchemy.ext.asyncio import AsyncConnection

from ringledger.domain.observation import CallKey, RecordClaim
from ringledger.domain.pairs import PAIR_WINDOW_MS
from ringledger.ledger.schema import call, call_source, call_state

#: Records asked about in one SELECT.
CHUNK: Final = 200
#: Every number of records makes a statement of its own: kept compiled, they would take many MiB.
UNKEPT: Final = {"compiled_cache": None}


async def known_as(connection: AsyncConnection, claims: Iterable[RecordClaim]) -> set[CallKey]:
    """The calls these records may mean or complete: told of by the same record before, of the same telephony session,
    or the other half of a RingOut.
    """
    found: set[CallKey] = set()
    asked = list(claims)
    for start in range(0, len(asked), CHUNK):
        chunk = asked[start : start + CHUNK]
        for query in (_told_by(chunk), _of_telephony(chunk), _crossed(chunk)):
            rows = await connection.execute(query, execution_options=UNKEPT)
            found.update(CallKey(account_id, session_id) for account_id, session_id in rows)
    return found


async def of_telephony(connection: AsyncConnection, sessions: Collection[str]) -> set[CallKey]:
    """The calls of these telephony sessions."""
    found: set[CallKey] = set()
    asked = sorted(sessions)
    for start in range(0, len(asked), CHUNK):
        query = _with_telephony(asked[start : start + CHUNK])
        rows = await connection.execute(query, execution_options=UNKEPT)
        found.update(CallKey(account_id, session_id) for account_id, session_id in rows)
    return found


async def names_among(connection: AsyncConnection, account_id: str, names: Iterable[str]) -> set[str]:
    """Those of the names that are the session or the telephony session of a call, finished or not."""
    found: set[str] = set()
    asked = list(names)
    for start in range(0, len(asked), CHUNK):
        chunk = asked[start : start + CHUNK]
        for name in (call.c.session_id, call.c.telephony_session_id, call_state.c.session_id):
            query = select(name).where(name.in_(chunk), name.table.c.account_id == account_id)
            found.update((await connection.execute(query, execution_options=UNKEPT)).scalars())
    return found


def _told_by(claims: Collection[RecordClaim]) -> Select[Any]:
    records = {claim.record_id for claim in claims}
    return select(call_source.c.account_id, call_source.c.session_id).where(call_source.c.record_id.in_(records))


def _of_telephony(claims: Collection[RecordClaim]) -> Select[Any]:
    return _with_telephony({claim.telephony_session_id for claim in claims if claim.telephony_session_id})


def _with_telephony(sessions: Collection[str]) -> Select[Any]:
    return select(call.c.account_id, call.c.session_id).where(call.c.telephony_session_id.in_(sessions))


def _crossed(claims: Collection[RecordClaim]) -> Select[Any]:
    """Calls of the other direction between the same numbers, begun within the window of a RingOut's halves."""
    return select(call.c.account_id, call.c.session_id).where(or_(*[_half_of(claim) for claim in claims]))


def _half_of(claim: RecordClaim) -> ColumnElement[bool]:
    near = call.c.started_at.between(claim.started_at - PAIR_WINDOW_MS, claim.started_at + PAIR_WINDOW_MS)
    crossed = (call.c.from_number == claim.to_party.number) & (call.c.to_number == claim.from_party.number)
    return near & crossed & (call.c.direction != claim.direction.value)
