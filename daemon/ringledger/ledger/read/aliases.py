"""Other names of calls: what the ledger knows of calls that records speak of under a session of their own.

Sessions of missed and voicemail calls differ now and then between presence and log (rule 7.2). What must stay true:
a record that has once spoken of a call finds that call again, however long ago it was confirmed and forgotten; the two
halves of a RingOut find each other although one of them ended long before the other was heard of.
"""

from collections.abc import Collection, Iterable, Sequence
from operator import attrgetter
from typing import Any, Final, NamedTuple

from sqlalchemy import ColumnElement, Select, func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from ringledger.domain.call import CallRecord
from ringledger.domain.matching import MATCH_WINDOW_MS, Ends
from ringledger.domain.observation import CallKey, Direction, RecordClaim
from ringledger.domain.pairs import PAIR_WINDOW_MS
from ringledger.domain.record_rules import bare
from ringledger.domain.tracked import SavedCall
from ringledger.ledger.errors import reading
from ringledger.ledger.schema.tables import call, call_source, live_call
from ringledger.ledger.schema.types import UtcText

#: Records asked about in one SELECT.
CHUNK: Final = 200
#: Every number of records makes a statement of its own: kept compiled, they would take many MiB.
UNKEPT: Final = {"compiled_cache": None}
#: Calls that began less than this apart are asked for by one span of time, ms: a condition for each of a page's
#: records took more of the processor than all else that was done with them.
APART_MS: Final = 600_000
#: How far apart the rows of a RingOut's halves may begin: a row has its record's start, which is not presence's, by
#: which both are judged once they are in memory, ms.
ROWS_APART_MS: Final = PAIR_WINDOW_MS + 5_000
#: The same of calls that are matched by numbers and start, ms.
LIKE_APART_MS: Final = MATCH_WINDOW_MS + 5_000


async def known_as(connection: AsyncConnection, claims: Iterable[RecordClaim]) -> set[CallKey]:
    """The calls these records may mean or complete: told of by the same record, never connected and like it by numbers
    and start (rule 7.2), or the other half of a RingOut.
    """
    found: set[CallKey] = set()
    asked = list(claims)
    for start in range(0, len(asked), CHUNK):
        chunk = asked[start : start + CHUNK]
        rows = await connection.execute(_told_by(chunk), execution_options=UNKEPT)
        found.update(CallKey(account_id, session_id) for account_id, session_id in rows)
    meant = [
        _like_it(one.account_id, one.direction, one.from_party.number, one.to_party.number, one.started_at)
        for one in asked
    ]
    return found | await _alike(connection, [*meant, *map(_half_of, asked)])


async def halves_of(connection: AsyncConnection, claims: Iterable[RecordClaim]) -> set[CallKey]:
    """The calls that may be the other half of a RingOut one of whose records this is (rule 7.9)."""
    return await _alike(connection, [_half_of(one) for one in claims])


async def halves_of_finished(connection: AsyncConnection, rows: Iterable[CallRecord]) -> set[CallKey]:
    """The calls that may be the other half of one of these, which are over."""
    crossed = (
        _crossed(one.account_id, one.from_number, one.to_number, one.direction, one.started_at)
        for one in rows if not one.internal
    )  # fmt: skip
    return await _alike(connection, crossed)


async def beside(connection: AsyncConnection, ends: Iterable[Ends]) -> set[CallKey]:
    """The calls that may have to do with those found by these numbers and starts: other halves of a RingOut, and ones
    that never connected and may be of one record.
    """
    sought: list[_Sought | None] = []
    for account_id, direction, caller, callee, window in ends:
        middle = window * MATCH_WINDOW_MS + MATCH_WINDOW_MS // 2
        sought += [
            _crossed(account_id, caller, callee, direction, middle),
            _like_it(account_id, direction, caller, callee, middle),
        ]
    sought = [None if one is None else one._replace(within=one.within + MATCH_WINDOW_MS // 2) for one in sought]
    return await _alike(connection, sought)


async def newest_start(connection: AsyncConnection, account_id: str) -> int | None:
    """When the last of the account's calls began that has a row, ms."""
    wanted = select(func.max(call.c.started_at, type_=UtcText)).where(call.c.account_id == account_id)
    newest: int | None = (await connection.execute(wanted)).scalar()
    return newest


async def halves_of_open(connection: AsyncConnection, account_id: str) -> set[str]:
    """The sessions of finished calls that may be the other half of one that is not over: its row will be judged with
    both.
    """
    live = live_call.c
    columns = live.from_number, live.to_number, live.direction, live.started_at
    wanted = select(*columns).where(live.account_id == account_id, live.direction.is_not(None))
    with reading("live_call"):
        halves = [
            _crossed(account_id, one.from_number, one.to_number, Direction(one.direction), one.started_at)
            for one in await connection.execute(wanted)
        ]
    return {key.session_id for key in await _alike(connection, halves)}


async def _alike(connection: AsyncConnection, looked_for: Iterable["_Sought | None"]) -> set[CallKey]:
    """The calls that are looked for, as far as the ledger has them."""
    found: set[CallKey] = set()
    for group in _together(looked_for):
        wanted: dict[tuple[str, str | None, str | None, Direction], list[_Sought]] = {}
        for one in group:
            wanted.setdefault((one.account_id, one.from_number, one.to_number, one.direction), []).append(one)
        for row in await connection.execute(_like(group), execution_options=UNKEPT):
            ends = row.account_id, bare(row.from_number), bare(row.to_number), Direction(row.direction)
            if any(
                abs(row.started_at - one.at) <= one.within and not (one.unanswered and row.answered_at is not None)
                for one in wanted.get(ends, ())
            ):
                found.add(CallKey(row.account_id, row.session_id))
    return found


async def other_halves(connection: AsyncConnection, calls: Iterable[SavedCall]) -> set[str]:
    """The sessions of the calls that are part of these, or that these are part of, and are not among them."""
    rows = [one.published for one in calls if one.published is not None]
    found = {row.part_of for row in rows if row.part_of is not None}
    outer = (
        _Sought(row.account_id, None, None, Direction.OUTBOUND, row.started_at, session_id=row.session_id)
        for row in rows if row.direction is Direction.OUTBOUND
    )  # fmt: skip
    for halves in _together(outer):
        whole = call.c.part_of.in_(sorted({half.session_id for half in halves}))
        parts = select(call.c.session_id).where(_of_accounts(halves) & whole & _around(halves))
        found.update((await connection.execute(parts, execution_options=UNKEPT)).scalars())
    return found - {row.session_id for row in rows}


def sessions_of_records(calls: Iterable[SavedCall]) -> set[str]:
    """The sessions that records of these calls name, and that are not theirs."""
    given = list(calls)
    named = {record.claim.call_session_id for one in given for record in one.records}
    return {name for name in named if name is not None} - {one.session_id for one in given}


async def names_among(connection: AsyncConnection, account_id: str, names: Iterable[str]) -> set[str]:
    """Those of the names that are the session or the telephony session of a call, finished or not."""
    found: set[str] = set()
    asked = list(names)
    for start in range(0, len(asked), CHUNK):
        chunk = asked[start : start + CHUNK]
        for name in (call.c.session_id, call.c.telephony_session_id, live_call.c.session_id):
            query = select(name).where(name.in_(chunk), name.table.c.account_id == account_id)
            found.update((await connection.execute(query, execution_options=UNKEPT)).scalars())
    return found


def _told_by(claims: Collection[RecordClaim]) -> Select[Any]:
    """Calls one of these records told of before, some more than once: SQLite does not use the index for DISTINCT."""
    told = call_source.c
    mine = told.account_id.in_(sorted({claim.account_id for claim in claims}))
    named = told.record_id.in_(sorted({claim.record_id for claim in claims}))
    return select(told.account_id, told.session_id).where(mine, named)


class _Sought(NamedTuple):
    """A call that is looked for: one with these numbers (without ``+``) and this direction, begun no farther from
    ``at`` than ``within`` (ms); ``unanswered``: and never connected.
    """

    account_id: str
    from_number: str | None
    to_number: str | None
    direction: Direction
    at: int
    within: int = ROWS_APART_MS
    unanswered: bool = False
    session_id: str = ""


def _like_it(
    account_id: str, direction: Direction, sender: str | None, callee: str | None, at: int | None
) -> _Sought | None:
    """A call that never connected and may be the same as this one. ``None``: nobody can tell by numbers and start."""
    if at is None or not sender or not callee:
        return None
    return _Sought(account_id, bare(sender), bare(callee), direction, at, LIKE_APART_MS, unanswered=True)


def _half_of(claim: RecordClaim) -> _Sought | None:
    """The other half of a record's call: the same numbers crossed, the other direction. ``None``: it has none."""
    if claim.started_at is None:
        return None
    sender, callee = claim.from_party.number, claim.to_party.number
    return _crossed(claim.account_id, sender, callee, claim.direction, claim.started_at)


def _crossed(account_id: str, sender: str | None, callee: str | None, direction: Direction, at: int) -> _Sought | None:
    if not sender or not callee:
        return None
    other = Direction.OUTBOUND if direction is Direction.INBOUND else Direction.INBOUND
    return _Sought(account_id, bare(callee), bare(sender), other, at)


def _together(halves: Iterable[_Sought | None]) -> Iterable[Sequence[_Sought]]:
    """In the order of their starts, in groups that one question asks for: few, and near each other in time."""
    group: list[_Sought] = []
    for half in sorted((one for one in halves if one is not None), key=attrgetter("at")):
        if group and (len(group) == CHUNK or half.at - group[-1].at > APART_MS):
            yield group
            group = []
        group.append(half)
    if group:
        yield group


def _like(halves: Sequence[_Sought]) -> Select[Any]:
    """Calls of these numbers in the time that the halves take up together: a few more than are meant."""
    callers = call.c.from_number.in_(_written(half.from_number for half in halves))
    callees = call.c.to_number.in_(_written(half.to_number for half in halves))
    columns = (call.c.account_id, call.c.session_id, call.c.from_number, call.c.to_number, call.c.direction,
               call.c.started_at, call.c.answered_at)  # fmt: skip
    return select(*columns).where(_of_accounts(halves) & callers & callees & _around(halves))


def _written(numbers: Iterable[str | None]) -> list[str]:
    """As a row may have them: with and without ``+`` a number is the same (rule 10.2)."""
    return sorted({text for number in numbers if number for text in (number, f"+{number}")})


def _of_accounts(halves: Sequence[_Sought]) -> ColumnElement[bool]:
    return call.c.account_id.in_(sorted({half.account_id for half in halves}))


def _around(halves: Sequence[_Sought]) -> ColumnElement[bool]:
    """Begun no farther than is allowed from one of these, which stand in the order of their starts."""
    within = max(half.within for half in halves)
    return call.c.started_at.between(halves[0].at - within, halves[-1].at + within)
