"""Whether a daemon runs, since when, and whether its feed is connected: the one answer every command gives.

What must stay true: looking takes no lock, writes nothing and never fails; a daemon that can be asked is believed,
else the kernel's list of locks and what the daemon has written say it; "it runs" is never inferred from a file's age
when one of those says otherwise. Times are ms since the epoch, of this machine's clock.
"""

import asyncio
import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from pathlib import Path
from typing import Any, Final

from ringledger.config.model import Settings
from ringledger.domain.coverage import FIRST
from ringledger.ledger.database.base import database_of
from ringledger.ledger.errors import DatabaseMissing, LedgerError
from ringledger.ledger.file.probe import holder_of, is_held
from ringledger.ledger.read.filters import FilterError
from ringledger.ledger.read.queries import account_named, newest_span
from ringledger.ledger.times import to_ms, to_text_or_none
from ringledger.service.control.server import Refused, of_account, request, socket_path

#: A daemon that does not answer within this time, seconds, is taken for one that hangs.
ANSWER_WITHIN: Final = 1.0
#: The daemon writes its coverage at least this often, ms; a later write is another process's.
LAST_WRITE_MS: Final = 25_000
#: A socket's path is at most so long, bytes; beyond that a daemon does without.
LONGEST_NAME: Final = 107
#: Of these a feed brings calls.
CONNECTED: Final = frozenset({"live", "doubtful"})


class Life(StrEnum):
    """What the daemon of a database is doing."""

    RUNNING = "running"
    STARTING = "starting"
    SILENT = "not answering"
    """A process holds the database and does not answer: it hangs, it is stopped, or it is a command at work."""
    STOPPED = "not running"
    NEVER = "never ran"
    UNKNOWN = "unknown"
    """The database is there and cannot be read, and nothing else tells."""


@dataclass(frozen=True, slots=True)
class DaemonStatus:
    """What is known at ``at``. ``since``: since when it runs, or the last sign of it when it does not.

    ``feed``: live, doubtful, blind, or empty before it was ever asked for; ``feed_since``: since when, and ``cause``:
    why. ``seen_until``: the last moment at which the feed was seen connected. ``unwritten_since``: from when on nothing
    of what the daemon sees can be committed (the disk is full, the file cannot be written). ``told``: the daemon's own
    answer.
    """

    at: int
    life: Life
    since: int | None = None
    pid: int | None = None
    written_at: int | None = None
    feed: str = ""
    feed_since: int | None = None
    cause: str = ""
    seen_until: int | None = None
    unwritten_since: int | None = None
    #: Whether the database is there and cannot be read.
    unread: bool = False
    told: Mapping[str, Any] = field(default_factory=dict)

    @property
    def runs(self) -> bool:
        """Whether there is a daemon at all."""
        return self.life in {Life.RUNNING, Life.STARTING, Life.SILENT}

    @property
    def connected(self) -> bool:
        """Whether a daemon runs, answers, and its feed is connected."""
        return self.life is Life.RUNNING and self.feed in CONNECTED

    @property
    def current(self) -> bool:
        """Whether the ledger's present state is true now: the daemon is connected, and what it observes is written."""
        return self.connected and self.unwritten_since is None

    @property
    def as_of(self) -> int | None:
        """The time that the ledger's present state is true of, ms; ``None``: nothing has been observed yet."""
        if self.current:
            return self.at
        seen = [one for one in (self.seen_until, self.told.get("polled_at")) if one is not None]
        return min(self.at, self.unwritten_since or self.at, max(seen)) if seen else None

    def of(self, name: str) -> "DaemonStatus":
        """The status as far as it is about one of several accounts."""
        told = (self.told.get("accounts") or {}).get(name)
        if told is None:
            return self
        feed = told["feed"]
        return replace(
            self,
            feed=feed["state"],
            feed_since=feed.get("since"),
            cause=feed.get("cause") or told["trouble"],
            seen_until=feed.get("seen_until"),
            told={**self.told, **told},
        )

    def as_json(self) -> dict[str, Any]:
        """For scripts; times as text."""
        accounts = self.told.get("accounts")
        return {
            **({} if accounts is None else {"accounts": {name: _told_of(one) for name, one in accounts.items()}}),
            "daemon": self.life.value,
            "since": to_text_or_none(self.since),
            "pid": self.pid,
            "feed": self.feed or None,
            "feed_since": to_text_or_none(self.feed_since),
            "cause": self.cause or None,
            "as_of": to_text_or_none(self.as_of),
            "written_at": to_text_or_none(self.written_at),
        }


def _told_of(account: Mapping[str, Any]) -> dict[str, Any]:
    """One of several accounts, for scripts."""
    feed = account["feed"]
    return {
        "account_id": account["account_id"],
        "state": account["state"],
        "feed": feed["state"] or None,
        "feed_since": to_text_or_none(feed["since"]),
        "cause": feed["cause"] or account["trouble"] or None,
    }


async def status_of(settings: Settings, engine: Any = None) -> DaemonStatus:
    """The status of the daemon of the configured database. ``engine``: a reader's, if one is open already."""
    path = settings.database.path
    answer, told = await _asked(path, settings)
    at = time.time_ns() // 1_000_000
    span, unread = None, False
    try:
        span = await _span(settings, engine)
    except (LedgerError, OSError) as error:
        unread = not isinstance(error, DatabaseMissing)
    written = written_at(path)
    if told is not None:
        return _of_answer(at, told, span, written)
    return _from_outside(path, at, span, written, answered=answer, unread=unread)


async def _asked(path: Path, settings: Settings) -> tuple[bool | None, dict[str, Any] | None]:
    """Return the daemon's answer, if any, and whether a process listens (``None``: that is not known)."""
    place = socket_path(path)
    try:
        async with asyncio.timeout(ANSWER_WITHIN):
            told = await request(place, {**of_account(settings), "do": "status"}, lambda _: None)
    except (PermissionError, Refused):
        return None, None
    except TimeoutError:
        return True, None
    except (OSError, ValueError):
        return None, None
    silent = None if len(str(place).encode()) > LONGEST_NAME else False  # a daemon always listens where it can
    return (silent if told is None else True), told


def _of_answer(at: int, told: dict[str, Any], span: dict[str, Any] | None, written: int | None) -> DaemonStatus:
    feed = told.get("feed") or {}
    return DaemonStatus(
        at=at,
        life=Life.RUNNING if told["ready"] else Life.STARTING,
        since=told["started_at"],
        pid=told["pid"],
        written_at=written,
        feed=feed.get("state", ""),
        feed_since=feed.get("since"),
        cause=feed.get("cause") or told.get("trouble") or "",
        seen_until=feed.get("seen_until") or _seen_until(span),
        unwritten_since=told.get("unwritten_since"),
        told=told,
    )


def _from_outside(
    path: Path, at: int, span: dict[str, Any] | None, written: int | None, *, answered: bool | None, unread: bool
) -> DaemonStatus:
    seen = _seen_until(span)
    last = _last_sign(span, written)
    state, began = (str(span["state"]), to_ms(span["from_at"])) if span else ("", None)
    if state in CONNECTED:
        seen = last  # while it was connected, what the daemon has written was true then
    facts: dict[str, Any] = {"at": at, "written_at": written, "seen_until": seen, "feed_since": began, "unread": unread}
    held = is_held(path)
    if unread and answered is None and held is None:
        return DaemonStatus(at=at, life=Life.UNKNOWN, written_at=written, unread=True)
    if answered is None and held is None:  # nothing better is known than when somebody has written
        held = last is not None and at - last < LAST_WRITE_MS
    if held and answered is None:  # who must not ask has to believe what is written
        return DaemonStatus(life=Life.RUNNING, pid=holder_of(path), feed=state, cause=_cause(span), **facts)
    if held or answered:
        return DaemonStatus(life=Life.SILENT, since=last, pid=holder_of(path), feed=state, cause=_cause(span), **facts)
    if span is None:
        return DaemonStatus(at=at, life=Life.NEVER, written_at=written, unread=unread)
    return DaemonStatus(life=Life.STOPPED, since=last, feed=state, cause=_cause(span), **facts)


def _cause(span: dict[str, Any] | None) -> str:
    return str(span["cause"] or "") if span else ""


async def _span(settings: Settings, engine: Any) -> dict[str, Any] | None:
    """The newest span of coverage. Raises ``LedgerError``, ``OSError``."""
    if engine is not None:
        return await _newest(engine, settings)
    database = database_of(settings.database.url)
    own = database.reader()
    try:
        await database.check_version(own)
        return await _newest(own, settings)
    finally:
        await own.dispose()


async def _newest(engine: Any, settings: Settings) -> dict[str, Any] | None:
    """The newest span, of the account that is meant if one is."""
    name = settings.account_name
    try:
        return await newest_span(engine, await account_named(engine, name) if name else None)
    except FilterError:
        return None  # it has never run


def _seen_until(span: dict[str, Any] | None) -> int | None:
    """Until when the feed was connected, as far as it is written down."""
    if span is None or (span["state"] == "blind" and span["cause"] == FIRST):
        return None
    return to_ms(span["from_at"] if span["state"] == "blind" else span["until_at"])


def _last_sign(span: dict[str, Any] | None, written: int | None) -> int | None:
    """The last thing the daemon has written: its account of sight, or a commit soon after."""
    if span is None:
        return None
    told = to_ms(span["until_at"])
    return written if written is not None and told < written <= told + LAST_WRITE_MS else told


def written_at(path: Path) -> int | None:
    """When the database or its write-ahead log last changed; ``None``: there is none, or it must not be looked at."""
    found = []
    for file in (path, path.with_name(f"{path.name}-wal")):
        try:
            found.append(file.stat().st_mtime_ns // 1_000_000)
        except OSError:
            continue
    return max(found, default=None)
