"""Read-only questions to the views: what the commands show.

Every function takes a reader's engine (``database.reader_engine`` or ``Ledger.reader``) and returns rows as
dictionaries with the columns of contract 5: times as text, durations as REAL seconds. Times given to a function are
ms. Raises ``LedgerError`` as the ledger does.
"""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, FromClause, Select, and_, column, func, literal_column, or_, select, table
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from ringledger.domain.observation import PresenceObservation, RecordClaim
from ringledger.ledger.errors import classified
from ringledger.ledger.memory import observation_of
from ringledger.ledger.schema import observation
from ringledger.ledger.times import to_text
from ringledger.ledger.unfinished import unfinished_in

Rows = list[dict[str, Any]]


@dataclass(frozen=True, slots=True, kw_only=True)
class CallFilter:
    """Which calls. ``since`` and ``until`` (not included) compare with the start; ``number`` is any end, with or
    without ``+``; ``extension`` is an extension's id or its number; ``with_parts``: also those that belong to one."""

    account_id: str | None = None
    since: int | None = None
    until: int | None = None
    direction: str | None = None
    disposition: str | None = None
    number: str | None = None
    extension: str | None = None
    unconfirmed: bool = False
    with_parts: bool = False


@dataclass(frozen=True, slots=True)
class CallStory:
    """One call explained. ``call`` is ``None`` while it is not finished; ``parts``: the calls that belong to it."""

    call: dict[str, Any] | None
    active: dict[str, Any] | None
    parts: Rows
    legs: Rows
    transitions: Rows
    events: Rows
    sources: Rows


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


async def calls(engine: AsyncEngine, wanted: CallFilter | None = None, *, limit: int | None = None) -> Rows:
    """Finished calls, newest first."""
    wanted = wanted or CallFilter()
    newest = _all_of("all_calls" if wanted.with_parts else "calls").where(*_conditions(wanted))
    newest = newest.order_by(column("started_at").desc(), column("session_id").desc()).limit(limit)
    return await _ask(engine, newest)


async def each_call(
    engine: AsyncEngine, wanted: CallFilter | None = None, *, columns: Sequence[str], at_once: int = 2_000
) -> AsyncIterator[list[tuple[Any, ...]]]:
    """Finished calls, oldest first, so many at once: for more of them than the memory should hold."""
    chosen: Any = [column(name) for name in columns]
    oldest: Select[Any] = select(*chosen).select_from(table("calls")).where(*_conditions(wanted or CallFilter()))
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
        name: await _ask(engine, _all_of(name).where(ours).order_by(*(column(c) for c in order)))
        for name, order in _STORY.items()
    }
    if not any(rows.values()):
        return None
    inner = and_(column("part_of") == session_id, _account(account_id))
    return CallStory(
        call=next(iter(rows["all_calls"]), None),
        active=next(iter(rows["active_calls"]), None),
        parts=await _ask(engine, _all_of("all_calls").where(inner).order_by(column("started_at"))),
        legs=rows["call_legs"],
        transitions=rows["call_transitions"],
        events=rows["call_events"],
        sources=rows["call_sources"],
    )


async def active_calls(engine: AsyncEngine) -> Rows:
    """Calls open now, oldest first; without the parts of another call, as ``calls``."""
    try:
        async with engine.connect() as connection:
            return await _active(connection)
    except DBAPIError as error:
        raise classified(error) from error


async def _active(connection: AsyncConnection) -> Rows:
    """The parts are known from the states alone: the view shows every open session."""
    rows = (await connection.execute(_all_of("active_calls").order_by(column("started_at")))).mappings()
    parts = {(one.account_id, one.session_id) for one in await unfinished_in(connection) if one.part_of is not None}
    return [dict(row) for row in rows if (row["account_id"], row["session_id"]) not in parts]


async def extension_numbers(engine: AsyncEngine) -> dict[str, str]:
    """The numbers people dial, by extension id; those that are known."""
    return {row["extension_id"]: row["extension_number"] for row in await presence(engine) if row["extension_number"]}


async def presence(engine: AsyncEngine) -> Rows:
    """Each extension's status now."""
    return await _ask(engine, _all_of("extension_presence").order_by(*_WHO))


async def coverage(engine: AsyncEngine, *, since: int | None = None, until: int | None = None) -> Rows:
    """Spans of sight that touch the period, oldest first."""
    spans = _all_of("coverage").order_by(column("from_at"))
    if since is not None:
        spans = spans.where(column("until_at") > to_text(since))
    if until is not None:
        spans = spans.where(column("from_at") < to_text(until))
    return await _ask(engine, spans)


async def daily(engine: AsyncEngine, *, since: int | None = None) -> Rows:
    """Calls by day (UTC) and direction, oldest first."""
    days = _all_of("daily_calls").order_by(column("day"), column("direction"))
    if since is not None:
        days = days.where(column("day") >= to_text(since)[:10])
    return await _ask(engine, days)


async def glance(engine: AsyncEngine, *, since: int) -> Glance:
    """What :class:`Glance` holds, in one transaction; ``since``: when today began, ms."""
    questions = {
        "recent": _all_of("calls").order_by(column("started_at").desc(), column("session_id").desc()).limit(_RECENT),
        "extensions": _all_of("extension_presence").order_by(*_WHO),
        "minutes": _minutes(since),
        "sight": _all_of("coverage").order_by(column("until_at").desc(), column("from_at").desc()).limit(1),
        "holes": _all_of("coverage").where(
            column("state").in_(["doubtful", "blind"]), column("until_at") > to_text(since)
        ),
        "unconfirmed": select(func.count(_NEVER_NULL).label("calls")).select_from(table("unconfirmed_calls")),
    }
    try:
        async with engine.connect() as connection:
            found = {
                name: [dict(row) for row in (await connection.execute(question)).mappings()]
                for name, question in questions.items()
            }
            active = await _active(connection)
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


def _minutes(since: int) -> Select[Any]:
    """Hours are local, and the database has no local time that is portable: whoever shows them adds minutes up."""
    minute: ColumnElement[str] = func.substr(column("started_at"), 1, 16)
    wanted: ColumnElement[bool] = column("started_at") >= to_text(since)
    talk: ColumnElement[float] = func.sum(column("talk_seconds"))
    kind: list[ColumnElement[str]] = [column("direction"), column("disposition")]
    shown: list[ColumnElement[Any]] = [minute.label("minute"), *kind, func.count().label("calls")]
    counted: Select[Any] = Select(*shown, talk.label("talk_seconds"))
    return counted.select_from(table("calls")).where(wanted).group_by(minute, *kind)


async def observations(
    engine: AsyncEngine, *, since: int = 0, until: int | None = None
) -> AsyncIterator[PresenceObservation | RecordClaim]:
    """What the journal has recorded, in the order in which it was committed (for ``replay --journal``)."""
    seen = select(observation.c.kind, observation.c.body).order_by(observation.c.id)
    seen = seen.where(observation.c.received_at >= since)
    if until is not None:
        seen = seen.where(observation.c.received_at < until)
    try:
        async with engine.connect() as connection:
            async for kind, body in await connection.stream(seen):
                yield observation_of(kind, body)
    except DBAPIError as error:
        raise classified(error) from error


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
_WHO: list[ColumnElement[str]] = [column(name) for name in ("account_id", "extension_number", "extension_id")]
_STORY = {
    "all_calls": ("account_id",),
    "active_calls": ("account_id",),
    "call_legs": ("started_at", "leg_id"),
    "call_transitions": ("at", "sequence"),
    "call_events": ("at", "received_at", "sequence"),
    "call_sources": ("source", "record_id"),
}


def _conditions(wanted: CallFilter) -> list[ColumnElement[bool]]:
    started_at: ColumnElement[str] = column("started_at")
    simple = {"direction": wanted.direction, "disposition": wanted.disposition, "account_id": wanted.account_id}
    conditions: list[ColumnElement[bool]] = [column(name) == value for name, value in simple.items() if value]
    if wanted.since is not None:
        conditions.append(started_at >= to_text(wanted.since))
    if wanted.until is not None:
        conditions.append(started_at < to_text(wanted.until))
    if wanted.number:
        conditions.append(_number(wanted.number))
    if wanted.extension:
        conditions.append(_extension(wanted.extension))
    if wanted.unconfirmed:
        conditions.append(column("confirmed_at").is_(None))
    return conditions


def _number(number: str) -> ColumnElement[bool]:
    """E.164 with and without ``+`` is the same number (semantics 10)."""
    bare = number.strip().removeprefix("+")
    both = [bare, f"+{bare}"]
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


async def _ask(engine: AsyncEngine, question: Select[Any]) -> Rows:
    try:
        async with engine.connect() as connection:
            return [dict(row) for row in (await connection.execute(question)).mappings()]
    except DBAPIError as error:
        raise classified(error) from error
