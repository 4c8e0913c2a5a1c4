"""Read-only questions to the views: what the commands show.

Every function takes a reader's engine (``database.reader_engine`` or ``Ledger.reader``) and returns rows as
dictionaries with the columns of contract 5: times as text, durations as REAL seconds. Times given to a function are
ms. Raises ``LedgerError`` as the ledger does.
"""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import (
    ColumnElement,
    CompoundSelect,
    FromClause,
    Select,
    and_,
    column,
    func,
    literal_column,
    or_,
    select,
    table,
    union,
)
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from ringledger.domain.observation import CallKey
from ringledger.ledger.errors import classified
from ringledger.ledger.read.evidence import told_of
from ringledger.ledger.read.filters import CallFilter, FilterError, Longest
from ringledger.ledger.read.unfinished import unfinished_in
from ringledger.ledger.schema.tables import account
from ringledger.ledger.schema.tables import call as call_table
from ringledger.ledger.times import to_ms, to_text

Rows = list[dict[str, Any]]


@dataclass(frozen=True, slots=True)
class CallStory:
    """One call explained. ``call`` is ``None`` while it is not finished; ``parts``: the calls that belong to it.
    ``figures``, ``late``, ``untold``: as :class:`~ringledger.ledger.read.evidence.Traced` has them.
    """

    call: dict[str, Any] | None
    active: dict[str, Any] | None
    parts: Rows
    legs: Rows
    transitions: Rows
    events: Rows
    sources: Rows
    figures: Rows
    late: Rows
    untold: str | None


@dataclass(frozen=True, slots=True)
class Glance:
    """Everything a live view shows, as of one moment. ``minutes``: calls since the day began, by minute (UTC),
    direction and disposition; ``active``: without the parts of another call; ``recent``: the newest finished calls;
    ``sight``: the newest span of coverage; ``holes``: doubtful and blind ones of today."""

    active: Rows
    recent: Rows
    extensions: Rows
    minutes: Rows
    sight: dict[str, Any] | None
    holes: Rows
    unconfirmed: int


async def calls(
    engine: AsyncEngine,
    wanted: CallFilter | None = None,
    *,
    limit: int | None = None,
    after: tuple[str, str] | None = None,
    longest: Longest | None = None,
) -> Rows:
    """Finished calls, newest first. ``after``: ``started_at`` and ``session_id`` of the last call of a page, whose next
    one is asked for. ``longest``: those instead of which this took longest come first, and only those of which it is
    known."""
    wanted = wanted or CallFilter()
    if longest is not None:
        took: ColumnElement[float] = column(f"{longest}_seconds")
        rows = _all_of("all_calls" if wanted.with_parts else "calls").where(*call_conditions(wanted), took.is_not(None))
        return await _ask(engine, rows.order_by(took.desc(), *_NEWEST_FIRST).limit(limit))
    alternatives = [[]] if limit is None else await _alternatives(engine, wanted)
    rest = wanted if limit is None else replace(wanted, number=None, extension=None)
    newest: list[Select[Any]] = []
    for alternative in alternatives:
        one = _all_of("all_calls" if wanted.with_parts else "calls").where(*call_conditions(rest), *alternative)
        if after is not None:
            place: list[ColumnElement[str]] = [column("started_at"), column("session_id")]
            one = one.where(place[0] <= after[0], or_(place[0] < after[0], place[1] < after[1]))
        newest.append(one.order_by(*_NEWEST_FIRST).limit(limit))
    if len(newest) == 1:
        return await _ask(engine, newest[0])
    parts: list[Select[Any]] = [select(literal_column("*")).select_from(one.subquery()) for one in newest]
    return await _ask(engine, union(*parts).order_by(*_NEWEST_FIRST).limit(limit))


async def _alternatives(engine: AsyncEngine, wanted: CallFilter) -> list[list[ColumnElement[bool]]]:
    """Number and extension as alternatives of which each is one equality: an index then has the newest calls of each in
    order, however many there are.
    """
    found: list[list[ColumnElement[bool]]] = [[]]
    if wanted.number:
        ends = [column(end) == text for end in ("from_number", "to_number") for text in _spellings(wanted.number)]
        found = [[*before, end] for before in found for end in ends]
    if wanted.extension:
        same = column("extension_number") == wanted.extension
        ids = {row["extension_id"] for row in await _ask(engine, _all_of("extension_presence").where(same))}
        mine = [column("extension_id") == ident for ident in sorted(ids | {wanted.extension})]
        found = [[*before, one] for before in found for one in mine]
    return found


async def judge(engine: AsyncEngine, wanted: CallFilter) -> None:
    """Raise ``FilterError`` for an extension or a short number that is neither in the directory nor in any call."""
    mine = _account(wanted.account_id)
    if wanted.number is not None and not wanted.number.startswith("+"):
        await _judge_short(engine, wanted.number, mine)
    if wanted.extension is None:
        return
    listed = or_(column("extension_id") == wanted.extension, column("extension_number") == wanted.extension)
    for view, known in {"extension_presence": listed, "all_calls": column("extension_id") == wanted.extension}.items():
        if await _ask(engine, _all_of(view).where(known, mine).limit(1)):
            return
    reason = f"{wanted.extension}: neither the directory nor any call has such an extension; see `ringledger presence`"
    raise FilterError("extension", reason)


async def _judge_short(engine: AsyncEngine, number: str, mine: ColumnElement[bool]) -> None:
    """Raise ``FilterError`` for a number that no country has, if no extension has it and no call was with it:
    the last digits of a number, mostly, as a masked one shows them."""
    listed = column("extension_number") == number
    for view, known in {"extension_presence": listed, "all_calls": _number(number)}.items():
        if await _ask(engine, _all_of(view).where(known, mine).limit(1)):
            return
    whole = "write the whole number, like +16505551001 (--full-numbers shows it)"
    raise FilterError("number", f"{number}: no extension has this number and no call was with it; {whole}")


async def newest(engine: AsyncEngine) -> int | None:
    """The newest time the ledger knows of: the end of its account of the feed, or a call's start; ms."""
    ends: Select[Any] = select(func.max(literal_column("until_at"))).select_from(table("coverage"))
    starts: Select[Any] = select(func.max(literal_column("started_at"))).select_from(table("all_calls"))
    try:
        async with engine.connect() as connection:
            found = [(await connection.execute(question)).scalar() for question in (ends, starts)]
    except DBAPIError as error:
        raise classified(error) from error
    return max((to_ms(text) for text in found if text), default=None)


async def extension_ids(engine: AsyncEngine, extension: str) -> frozenset[str]:
    """The ids an extension's id or number stands for: itself, and every extension of that number."""
    listed = _all_of("extension_presence").where(column("extension_number") == extension)
    return frozenset({extension, *(row["extension_id"] for row in await _ask(engine, listed))})


async def each_call(
    engine: AsyncEngine, wanted: CallFilter | None = None, *, columns: Sequence[str], at_once: int = 2_000
) -> AsyncIterator[list[tuple[Any, ...]]]:
    """Finished calls, oldest first, so many at once: for more of them than the memory should hold."""
    chosen: Any = [column(name) for name in columns]
    oldest: Select[Any] = select(*chosen).select_from(table("calls")).where(*call_conditions(wanted or CallFilter()))
    oldest = oldest.order_by(column("started_at"), column("session_id"))
    try:
        async with engine.connect() as connection:
            result = await connection.stream(oldest, execution_options={"yield_per": at_once})
            async for rows in result.partitions():
                yield [tuple(row) for row in rows]
    except DBAPIError as error:
        raise classified(error) from error


async def call(engine: AsyncEngine, session_id: str, *, account_id: str | None = None) -> CallStory | None:
    """Everything the ledger knows of one session; ``None`` when it knows nothing."""
    ours = _session(session_id, account_id)
    rows = {
        name: await _ask(engine, _all_of(name).where(ours).order_by(*(column(c).nulls_first() for c in order)))
        for name, order in _STORY.items()
    }
    if not any(rows.values()):
        return None
    inner = and_(column("part_of") == session_id, _account(account_id))
    finished = next(iter(rows["all_calls"]), None)
    owner = next(row["account_id"] for part in rows.values() for row in part)
    told = await told_of(engine, CallKey(owner, session_id), finished)
    return CallStory(
        call=finished,
        active=next(iter(rows["active_calls"]), None),
        parts=await _ask(engine, _all_of("all_calls").where(inner).order_by(column("started_at"))),
        legs=rows["call_legs"],
        transitions=rows["call_transitions"],
        events=rows["call_events"],
        sources=rows["call_sources"],
        figures=told.figures,
        late=told.late,
        untold=told.untold,
    )


async def account_named(engine: AsyncEngine, name: str) -> str:
    """The id of the account that is called so in the configuration. Raises ``FilterError``: none has run yet."""
    found = await _ask(engine, select(account).where(account.c.name == name))
    if not found:
        raise FilterError("account", f"{name}: nothing of it has been recorded yet")
    return str(found[0]["account_id"])


async def account_names(engine: AsyncEngine) -> dict[str, str]:
    """The names of accounts by their ids, as far as they have one."""
    return {row["account_id"]: row["name"] for row in await _ask(engine, select(account))}


async def active_calls(engine: AsyncEngine, account_id: str | None = None) -> Rows:
    """Calls open now, oldest first; without the parts of another call, as ``calls``."""
    try:
        async with engine.connect() as connection:
            return await _active(connection, account_id)
    except DBAPIError as error:
        raise classified(error) from error


async def _active(connection: AsyncConnection, account_id: str | None) -> Rows:
    """The parts are known from the states alone: the view shows every open session."""
    mine = _all_of("active_calls").where(_account(account_id)).order_by(column("started_at"))
    rows = (await connection.execute(mine)).mappings()
    parts = {(one.account_id, one.session_id) for one in await unfinished_in(connection) if one.part_of is not None}
    return [dict(row) for row in rows if (row["account_id"], row["session_id"]) not in parts]


async def extension_numbers(engine: AsyncEngine) -> dict[str, str]:
    """The numbers people dial, by extension id; those that are known."""
    return {row["extension_id"]: row["extension_number"] for row in await presence(engine) if row["extension_number"]}


async def presence(engine: AsyncEngine, account_id: str | None = None) -> Rows:
    """Each extension's status now."""
    return await _ask(engine, _all_of("extension_presence").where(_account(account_id)).order_by(*_WHO))


async def coverage(
    engine: AsyncEngine, *, since: int | None = None, until: int | None = None, account_id: str | None = None
) -> Rows:
    """Spans of sight that touch the period, oldest first."""
    spans = _all_of("coverage").where(_account(account_id)).order_by(column("from_at"))
    if since is not None:
        spans = spans.where(column("until_at") > to_text(since))
    if until is not None:
        spans = spans.where(column("from_at") < to_text(until))
    return await _ask(engine, spans)


async def newest_span(engine: AsyncEngine, account_id: str | None = None) -> dict[str, Any] | None:
    """The newest span of coverage; ``None``: no daemon has seen anything yet."""
    return next(iter(await _ask(engine, _newest_span(account_id))), None)


async def newest_coverage(engine: AsyncEngine) -> Rows:
    """The newest span of each account, the newest first."""
    newest: dict[str, dict[str, Any]] = {}
    for span in await _ask(engine, _all_of("coverage").order_by(column("until_at").desc(), column("from_at").desc())):
        newest.setdefault(span["account_id"], span)
    return list(newest.values())


async def unconfirmed(engine: AsyncEngine) -> int:
    """How many calls the platform's own records have not confirmed yet."""
    counted = select(func.count(_NEVER_NULL).label("calls")).select_from(table("unconfirmed_calls"))
    return int((await _ask(engine, counted))[0]["calls"])


async def glance(engine: AsyncEngine, *, since: int, account_id: str | None = None) -> Glance:
    """What :class:`Glance` holds, in one transaction; ``since``: when today began, ms."""
    mine = _account(account_id)
    newest_first: tuple[ColumnElement[Any], ...] = (column("started_at").desc(), column("session_id").desc())
    unconfirmed = select(func.count(_NEVER_NULL).label("calls")).select_from(table("unconfirmed_calls"))
    questions = {
        "recent": _all_of("calls").where(mine).order_by(*newest_first).limit(_RECENT),
        "extensions": _all_of("extension_presence").where(mine).order_by(*_WHO),
        "minutes": _minutes(since).where(mine),
        "sight": _newest_span(account_id),
        "holes": _all_of("coverage").where(
            mine, column("state").in_(["doubtful", "blind"]), column("until_at") > to_text(since)
        ),
        "unconfirmed": unconfirmed.where(mine),
    }
    try:
        async with engine.connect() as connection:
            found = {
                name: [dict(row) for row in (await connection.execute(question)).mappings()]
                for name, question in questions.items()
            }
            active = await _active(connection, account_id)
    except DBAPIError as error:
        raise classified(error) from error
    return Glance(
        active,
        found["recent"],
        found["extensions"],
        found["minutes"],
        next(iter(found["sight"]), None),
        found["holes"],
        found["unconfirmed"][0]["calls"],
    )


def _newest_span(account_id: str | None) -> Select[Any]:
    return (
        _all_of("coverage")
        .where(_account(account_id))
        .order_by(column("until_at").desc(), column("from_at").desc())
        .limit(1)
    )


def _minutes(since: int) -> Select[Any]:
    """Hours are local, and the database has no local time that is portable: what shows them adds minutes up."""
    minute: ColumnElement[str] = func.substr(column("started_at"), 1, 16)
    wanted: ColumnElement[bool] = column("started_at") >= to_text(since)
    talk: ColumnElement[float] = func.sum(column("talk_seconds"))
    kind: list[ColumnElement[str]] = [column("direction"), column("disposition")]
    shown: list[ColumnElement[Any]] = [minute.label("minute"), *kind, func.count().label("calls")]
    counted: Select[Any] = Select(*shown, talk.label("talk_seconds"))
    return counted.select_from(table("calls")).where(wanted).group_by("minute", *kind)


async def published_after(engine: AsyncEngine, account_id: str, number: int, *, limit: int = 500) -> Rows:
    """Rows of ``all_calls`` published after that number, in order, each with its ``publication``. One that was amended
    stands where it was published last.
    """
    row = call_table.c
    newer = select(row.account_id, row.session_id, row.publication).where(
        row.account_id == account_id, row.publication > number
    )
    some = newer.order_by(row.publication).limit(limit).subquery()
    view = table("all_calls", column("account_id"), column("session_id"))
    same = and_(view.c.account_id == some.c.account_id, view.c.session_id == some.c.session_id)
    rows = select(literal_column("all_calls.*"), some.c.publication).select_from(some.join(view, same))
    return await _ask(engine, rows.order_by(some.c.publication))


async def finished(engine: AsyncEngine) -> set[tuple[str, str]]:
    """Account and session of every finished call, those that belong to one too."""
    return await _keys(engine, _key_of("all_calls"))


async def accepted(engine: AsyncEngine, *, since: int = 0) -> set[tuple[str, str]]:
    """Account and session of every call of which the journal has accepted an event that came ``since`` then."""
    ours = and_(column("outcome") == "accepted", column("received_at") >= to_text(since))
    return await _keys(engine, _key_of("call_events").where(ours, column("session_id").is_not(None)).distinct())


#: As many finished calls as a tall terminal shows.
_RECENT = 40
#: Counting it, not rows, makes SQLite take the small index of what is unconfirmed instead of a large one.
_NEVER_NULL: ColumnElement[str] = column("updated_at")
_NEWEST_FIRST: list[ColumnElement[Any]] = [column("started_at").desc(), column("session_id").desc()]
_WHO: list[ColumnElement[str]] = [
    column("account_id"), column("extension_number").nulls_first(), column("extension_id")
]  # fmt: skip
_STORY = {
    "all_calls": ("account_id",),
    "active_calls": ("account_id",),
    "call_legs": ("started_at", "leg_id"),
    "call_transitions": ("at", "sequence", "from_status", "to_status"),
    "call_events": ("at", "received_at", "sequence", "outcome", "leg_id"),
    "call_sources": ("source", "record_id"),
}


def call_conditions(wanted: CallFilter) -> list[ColumnElement[bool]]:
    """What a row of ``calls`` has to meet."""
    started_at: ColumnElement[str] = column("started_at")
    simple = {"direction": wanted.direction, "disposition": wanted.disposition, "account_id": wanted.account_id}
    conditions: list[ColumnElement[bool]] = [column(name) == value for name, value in simple.items() if value]
    if wanted.since is not None:
        conditions.append(started_at >= to_text(wanted.since))
    if wanted.until is not None:
        conditions.append(started_at < to_text(wanted.until))
    if wanted.number:
        conditions.append(_number(wanted.number))
    if wanted.withheld:
        conditions.extend((column("direction") == "Inbound", column("from_number").is_(None)))
    if wanted.extension:
        conditions.append(_extension(wanted.extension))
    if wanted.unconfirmed:
        conditions.append(column("confirmed_at").is_(None))
    return conditions


def _spellings(number: str) -> tuple[str, str]:
    """E.164 with and without ``+`` is the same number (rule 10.2)."""
    bare = number.strip().removeprefix("+")
    return bare, f"+{bare}"


def _number(number: str) -> ColumnElement[bool]:
    both = _spellings(number)
    return or_(column("from_number").in_(both), column("to_number").in_(both))


def _extension(extension: str) -> ColumnElement[bool]:
    known = table("extension_presence", column("extension_id"), column("extension_number"))
    ids = select(known.c.extension_id).where(known.c.extension_number == extension)
    return or_(column("extension_id") == extension, column("extension_id").in_(ids))


def _session(session_id: str, account_id: str | None) -> ColumnElement[bool]:
    return and_(column("session_id") == session_id, _account(account_id))


def _account(account_id: str | None) -> ColumnElement[bool]:
    mine: ColumnElement[bool] = column("account_id") == account_id
    known: ColumnElement[bool] = column("account_id").is_not(None)
    return known if account_id is None else mine


def _all_of(view: str) -> Select[Any]:
    source: FromClause = table(view)
    return select(literal_column("*")).select_from(source)


def _key_of(view: str) -> Select[Any]:
    key: list[ColumnElement[Any]] = [column("account_id"), column("session_id")]
    keys: Select[Any] = Select(*key)
    return keys.select_from(table(view))


async def _keys(engine: AsyncEngine, question: Select[Any]) -> set[tuple[str, str]]:
    try:
        async with engine.connect() as connection:
            return {(account_id, session_id) for account_id, session_id in await connection.execute(question)}
    except DBAPIError as error:
        raise classified(error) from error


async def _ask(engine: AsyncEngine, question: "Select[Any] | CompoundSelect[Any]") -> Rows:
    try:
        async with engine.connect() as connection:
            return [dict(row) for row in (await connection.execute(question)).mappings()]
    except DBAPIError as error:
        raise classified(error) from error
