"""The log: one JSON object a line (or a coloured line for a person), with a closed list of event names.

Owns the event names, which are as stable as an API, and the way from a call of `LOG` or of any library's
logger to a line on standard error. What must stay true: every value that others may have written passes the redaction
last; our own loggers use no name that is not in `Event`; a line's first fields are timestamp, level and event.
"""

import codecs
import json
import logging
import os
import sys
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, MutableMapping
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, Literal, NamedTuple, Self, TextIO

import msgspec
import structlog

from ringledger.observability.redaction import REDACTED, Redactor, mask_number
from ringledger.text import visible

__all__ = [
    "LOG",
    "REDACTED",
    "UNKNOWN_EVENTS",
    "Event",
    "UnknownEventError",
    "bind_account",
    "bind_name",
    "configure_logging",
    "event_table",
    "get_logger",
    "is_heard",
    "log_together",
    "mask_number",
]

LIBRARIES = (
    "aiohttp",
    "aiosqlite",
    "alembic",
    "asyncio",
    "hpack",
    "httpcore",
    "httpx",
    "pubnub",
    "sqlalchemy",
    "uvicorn",
)
"""Loggers of libraries, heard from WARNING up whatever our own level is."""

_SYSLOG = {"debug": 7, "info": 6, "warning": 4, "error": 3, "critical": 2}


class Event(StrEnum):
    """The names a log line can have (contract section 6). Names may be added, none renamed or removed."""

    doc: str

    def __new__(cls, value: str, doc: str = "") -> Self:
        """A name and the one line that explains it."""
        member = str.__new__(cls, value)
        member._value_ = value
        member.doc = doc
        return member

    SERVICE_STARTED = "service.started", "The process runs; version and configuration file."
    SERVICE_READY = "service.ready", "Database, token, first reconciliation and feed are up, or this process stands by."
    SERVICE_STOPPING = "service.stopping", "A stop was asked for; with the signal or reason."
    SERVICE_STOPPED = "service.stopped", "Everything is written and closed."
    SERVICE_FAILED = "service.failed", "The daemon ends, or has not begun: why, and with which exit code (`exit_code`)."
    ACCOUNT_STARTED = "account.started", "One of several accounts begins, or begins again."
    ACCOUNT_FAILED = "account.failed", "One of several accounts does not run: why; the others are not touched."
    ACCOUNT_STOPPED = "account.stopped", "An account is no longer in the configuration; the ledger keeps what it has."
    LEASE_WAITING = "lease.waiting", "Another process works for the account (`holder`); this one stands by."
    LEASE_TAKEN = (
        "lease.taken",
        "This process works for the account from now on; with `term`, and for how many `seconds` nobody did.",
    )
    LEASE_RELEASED = "lease.released", "This process works for the account no longer; others may at once."
    LEASE_LOST = "lease.lost", "Another process has taken the account: ours ends, and has written nothing since."
    LEASE_UNRENEWED = (
        "lease.unrenewed",
        "Leases could not be renewed in time: others may take them, and no webhook is sent meanwhile. Logged once.",
    )
    LEASE_RENEWED = "lease.renewed", "Leases that could not be renewed in time are held all the same."
    DATABASE_UPGRADED = "database.upgraded", "The schema went to a newer revision, after a backup."
    DATABASE_PURGED = "database.purged", "What is older than the settings allow was deleted or masked; how much."
    DATABASE_REPLACED = "database.replaced", "The database's file has lost its place; where what is known was saved."
    AUTH_TOKEN_OBTAINED = "auth.token_obtained", "The platform granted an access token."
    AUTH_TOKEN_REFRESHED = "auth.token_refreshed", "The access token was renewed before its end."
    AUTH_SESSION_RESUMED = "auth.session_resumed", "The session of the last run goes on, without a login."
    AUTH_SESSION_NOT_RESUMED = "auth.session_not_resumed", "What the last run left is of no use; with the reason."
    AUTH_REJECTED = "auth.rejected", "The platform refused the credentials for certain."
    SUBSCRIPTION_CREATED = "subscription.created", "The platform sends events from now on; until when."
    SUBSCRIPTION_RENEWED = "subscription.renewed", "The subscription lives longer; until when."
    SUBSCRIPTION_LOST = "subscription.lost", "The platform no longer knows the subscription."
    SUBSCRIPTION_FILTERS_REFUSED = "subscription.filters_refused", "Some event filters were not accepted."
    FEED_CONNECTED = "feed.connected", "The feed is up, from the newest position."
    FEED_DISCONNECTED = "feed.disconnected", "The feed is down; with the reason."
    FEED_RESUMED = "feed.resumed", "The feed is up again and replays what was missed."
    FEED_EXTENSION_UNHEARD = (
        "feed.extension_unheard",
        "Calls of an extension come from the platform's records alone: the subscription may not cover it.",
    )
    FEED_SILENT = "feed.silent", "No sign of life for longer than feed.silence_timeout_seconds."
    FEED_GAP = "feed.gap", "Events may be missing; a reconciliation or back-fill follows."
    EVENT_IGNORED = "event.ignored", "An event changed nothing; with the reason."
    EVENT_UNREADABLE = "event.unreadable", "A payload could not be read; one line for each."
    SEQUENCE_RESTARTED = "sequence.restarted", "An extension's sequence numbers began anew."
    CLOCK_STEPPED = "clock.stepped", "This machine's clock was set, and our account of our sight follows; by how much."
    CLOCK_DISAGREES = "clock.disagrees", "Our clock and the platform's differ; nothing young by either is deleted."
    CLOCK_AGREES = "clock.agrees", "Our clock and the platform's agree again."
    DIRECTORY_UNREADABLE = "directory.unreadable", "Entries of the account's extensions cannot be read: not watched."
    DATABASE_UNREADABLE = (
        "database.unreadable",
        "A value that a start goes on from cannot be read, and counts as not there; `table` and `row`.",
    )
    DATABASE_LOG_HELD = "database.log_held", "A reader keeps the write-ahead log from being emptied; how large it is."
    DATABASE_LOG_FREED = "database.log_freed", "The write-ahead log has been emptied again."
    CONNECTIONS_REFUSED = "connections.refused", "Too many connections to a socket of ours; logged once, `where` it is."
    CONNECTIONS_ACCEPTED = "connections.accepted", "There is room again; how many were refused or dropped."
    CALL_OPENED = "call.opened", "A call session was seen for the first time."
    CALL_STATUS_CHANGED = "call.status_changed", "An open call has another telephony status."
    CALL_FINISHED = "call.finished", "A call is over; carries its whole row of `calls`."
    CALL_REOPENED = "call.reopened", "A finished call gave a sign of life."
    CALL_AMENDED = "call.amended", "A finished call's row was corrected; its revision grew."
    CALL_CONFIRMED = "call.confirmed", "The platform's own records agree, or have had the last word."
    CALL_SUSPECT = "call.suspect", "An open call vanished from its extension; the platform is asked."
    POLL_FINISHED = "poll.finished", "Active calls were read and compared."
    POLL_FAILED = "poll.failed", "Active calls, or what `source` names, could not be read; nothing was changed."
    POLL_CORRECTED = "poll.corrected", "The comparison changed a call; with the kind of correction."
    PLATFORM_THROTTLED = "platform.throttled", "The platform asks for fewer requests; until when."
    PLATFORM_UNAVAILABLE = "platform.unavailable", "The platform does not answer; logged once."
    PLATFORM_RECOVERED = "platform.recovered", "The platform answers again; after how long."
    CONTROL_UNAVAILABLE = "control.unavailable", "The socket for commands could not be opened; the daemon runs on."
    BACKFILL_FINISHED = "backfill.finished", "The call log was read; how many calls that brought."
    STORE_RETRYING = "store.retrying", "The database refused a commit; kept in memory. Logged once."
    STORE_FULL = "store.full", "The disk is full; commits wait in memory. Logged once."
    STORE_RECOVERED = "store.recovered", "Everything that waited is committed; how much and how long."
    WEBHOOK_UNAVAILABLE = "webhook.unavailable", "A receiver does not accept deliveries; tried again, logged once."
    WEBHOOK_RECOVERED = "webhook.recovered", "A receiver accepts deliveries again."
    WEBHOOK_FAILED = "webhook.failed", "A delivery was given up; with address and reason."
    WEB_EXPORTED = "web.exported", "Somebody took calls out of `serve`; who, what, with which filters."
    WEB_CALL_OPENED = "web.call_opened", "Somebody opened one call in `serve`; who, which."
    WEB_SIGNED_IN = "web.signed_in", "Somebody signed in to the page with a token; who."
    WEB_REFUSED = "web.refused", "Somebody came to `serve` with a token nobody has; from where."
    WEB_FAILED = "web.failed", "An answer of `serve` could not be made; with the traceback, for it is a bug."
    CONFIG_RELOADED = "config.reloaded", "A changed configuration is in force; with its keys."
    CONFIG_REJECTED = "config.rejected", "A changed configuration is wrong; the old one stays."
    LIBRARY_MESSAGE = "library.message", "A library had something to say; `message` and `logger`."


_NAMES = frozenset(event.value for event in Event)


class UnknownEventError(ValueError):
    """Our own code logged under a name that is not in `Event`."""


UNKNOWN_EVENTS: Counter[str] = Counter()
"""Names outside the closed list that were logged all the same (not in strict mode)."""

EventDict = MutableMapping[str, Any]


#: Lines that carry a whole row of `calls`: there a null says something (contract section 6).
_ROWS = frozenset({Event.CALL_FINISHED, Event.CALL_AMENDED, Event.CALL_CONFIRMED})


class _Known:
    """Processor: leaves out what is not known, but for the nulls of a whole row, which a person's line spares too."""

    def __init__(self, *, rows_whole: bool) -> None:
        self._whole = _ROWS if rows_whole else frozenset[str]()

    def __call__(self, _logger: Any, _method: str, event: EventDict) -> EventDict:
        if event.get("event") in self._whole or None not in event.values():
            return event
        return {name: value for name, value in event.items() if value is not None}


class _ClosedList:
    """Processor: refuses names outside the list (strict), or counts them."""

    def __init__(self, *, strict: bool) -> None:
        self._strict = strict

    def __call__(self, _logger: Any, _method: str, event: EventDict) -> EventDict:
        name = str(event.get("event"))
        if name not in _NAMES:
            if self._strict:
                raise UnknownEventError(f"{name!r} is not in ringledger.observability.logging.Event")
            UNKNOWN_EVENTS[name] += 1
        event["event"] = name
        return event


def _foreign(_logger: Any, _method: str, event: EventDict) -> EventDict:
    """A library's text becomes the message of one named event."""
    event["message"] = event["event"]
    event["event"] = Event.LIBRARY_MESSAGE.value
    return event


def _ordered(_logger: Any, _method: str, event: EventDict) -> EventDict:
    first = {key: event.pop(key) for key in ("timestamp", "level", "event") if key in event}
    return {**first, **event}


def _json_line(_logger: Any, _method: str, event: EventDict) -> str:
    """One line of ASCII. What the fast encoder cannot write at all (broken alphabets) the slow one can."""
    try:
        line = msgspec.json.encode(event)
    except UnicodeEncodeError:
        return json.dumps(event, separators=(",", ":"))
    return line.decode() if line.isascii() else line.decode().encode("ascii", "ringledger.json").decode()


def _json_escapes(error: UnicodeError) -> tuple[str, int]:
    """Codec error handler: characters that are not ASCII as JSON writes them, in halves where they need two."""
    assert isinstance(error, UnicodeEncodeError)  # noqa: S101 - nothing else is encoded with it
    told = error.object[error.start : error.end].encode("utf-16-be").hex()
    return "".join(["\\u" + told[n : n + 4] for n in range(0, len(told), 4)]), error.end


codecs.register_error("ringledger.json", _json_escapes)


def _shown(_logger: Any, _method: str, event: EventDict) -> EventDict:
    """Processor before the renderer for people: no text that a terminal would obey (a traceback keeps its lines)."""
    return {name: _visible(value, "\n" if name == "exception" else "") for name, value in event.items()}


def _visible(value: Any, kept: str = "") -> Any:
    if isinstance(value, str):
        return visible(value, kept=kept)
    if isinstance(value, dict):
        return {visible(str(name)): _visible(one) for name, one in value.items()}
    return [_visible(one) for one in value] if isinstance(value, list) else value


class _SyslogPrefix:
    """Processor after the renderer: `<N>` before each line, so that the journal knows the priority."""

    def __call__(self, _logger: Any, method: str, line: Any) -> str:
        prefix = f"<{_SYSLOG.get(method, 6)}>"
        return "\n".join(prefix + part for part in str(line).split("\n"))


class _Together(NamedTuple):
    """What the configuration in force does with the lines of one moment."""

    threshold: int
    known: _Known
    redactor: Redactor
    renderers: list[Any]
    stream: TextIO


_together: _Together | None = None


def is_heard(level: int) -> bool:
    """Whether lines of this level are written at all: making their fields costs more than an unheard line."""
    return _together is None or level >= _together.threshold


def log_together(lines: Iterable[tuple[int, Event, Mapping[str, Any]]], foreign: Collection[str]) -> None:
    """Log lines of one moment (level, event, fields). Each comes out as if it had been logged by itself; they share
    their time, and are written together: a fifth of what they cost one by one.

    ``foreign``: the fields whose values others have written, or that name a person: the redaction looks at these. The
    others are times, figures and words of our own.
    """
    if _together is None:
        for level, event, fields in lines:
            LOG.log(level, event, **fields)
        return
    threshold, known, redactor, renderers, stream = _together
    stamp = datetime.now(tz=UTC).isoformat().replace("+00:00", "Z")
    context = list(redactor(None, "", structlog.contextvars.get_contextvars()).items())
    written: list[str] = []
    for level, event, fields in lines:
        if level >= threshold:
            method = _METHODS[level]
            line: Any = {"timestamp": stamp, "level": method, "event": event._value_, **fields}
            for name, value in context:
                line.setdefault(name, value)
            line = known(None, method, line)
            redactor.redact(line, foreign)
            for renderer in renderers:
                line = renderer(None, method, line)
            written.append(line)
    if written:
        stream.write("\n".join(written) + "\n")
        stream.flush()


_METHODS = {logging.DEBUG: "debug", logging.INFO: "info", logging.WARNING: "warning", logging.ERROR: "error"}


def configure_logging(
    level: str = "info",
    format: Literal["auto", "console", "json"] = "auto",  # noqa: A002 - the configuration's own word
    numbers: Literal["masked", "full"] = "masked",
    stream: TextIO | None = None,
    *,
    strict: bool = False,
) -> None:
    """Sends our log and the libraries' to `stream` (standard error); may be called again, for a reload.

    strict: an event name outside `Event` raises UnknownEventError instead of being counted; for tests.
    """
    stream = stream or sys.stderr
    threshold = logging.getLevelNamesMapping()[level.upper()]
    common: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    known = _Known(rows_whole=as_json(format, stream))
    redactor = Redactor(mask_numbers=numbers == "masked")
    renderers = _renderers(format, stream)
    rendering = [structlog.processors.format_exc_info, known, _ordered, redactor, *renderers]
    global _together  # noqa: PLW0603 - as the configuration of structlog
    _together = _Together(threshold, known, redactor, renderers, stream)
    structlog.configure(
        processors=[
            *common,
            _ClosedList(strict=strict),
            *rendering,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(threshold),
        logger_factory=structlog.WriteLoggerFactory(stream),  # past the standard library: half the cost of a line
        cache_logger_on_first_use=False,  # a reload must reach loggers already in use
    )
    handler = logging.StreamHandler(stream)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[*common, structlog.stdlib.add_logger_name, _foreign],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *rendering],
        )
    )
    logging.basicConfig(handlers=[handler], level=threshold, force=True)
    for name in LIBRARIES:
        library, wanted = logging.getLogger(name), max(threshold, logging.WARNING)
        if library.level != wanted:  # setting one looks through every logger there is
            library.setLevel(wanted)


def as_json(format_: str, stream: TextIO | None = None) -> bool:
    """Whether the log is JSON: said so, or "auto" and nobody looks at a terminal."""
    return format_ == "json" or (format_ != "console" and not (stream or sys.stderr).isatty())


def _renderers(format_: str, stream: TextIO) -> list[Any]:
    """What makes a line text."""
    console = not as_json(format_, stream)
    renderers: list[Any] = [_json_line]
    if console:
        plain = structlog.dev.plain_traceback
        renderers = [_shown, structlog.dev.ConsoleRenderer(colors=stream.isatty(), exception_formatter=plain)]
    journal = [_SyslogPrefix()] if _is_journal(stream) else []
    return [*renderers, *journal]


def _is_journal(stream: TextIO) -> bool:
    """Whether the stream is the journal's, by the device and inode that systemd names in JOURNAL_STREAM."""
    try:
        status = os.fstat(stream.fileno())
    except (OSError, ValueError):
        return False
    return os.environ.get("JOURNAL_STREAM") == f"{status.st_dev}:{status.st_ino}"


def get_logger(**fields: Any) -> structlog.typing.FilteringBoundLogger:
    """Our logger, with fields on every line."""
    logger: structlog.typing.FilteringBoundLogger = structlog.get_logger("ringledger", **fields)
    return logger


LOG = get_logger()


def bind_account(account_id: str) -> None:
    """Puts the account on every line of this task and those it starts."""
    structlog.contextvars.bind_contextvars(account_id=account_id)


def bind_name(name: str) -> None:
    """Puts what one of several accounts is called on every line of this task and those it starts."""
    structlog.contextvars.bind_contextvars(account=name)


def event_table() -> str:
    """docs/log-events.md, made from `Event`."""
    rows = "\n".join(f"| `{event}` | {event.doc} |" for event in Event)
    return (
        "# Log events\n\nMade by `make generate`. Names may be added, none renamed or removed.\n\n"
        "A field that is not known is left out. Only the lines that carry a whole row of `calls` (`call.finished`,\n"
        "`call.amended`, `call.confirmed`) have each of its columns, null where it is null.\n"
        "Lines that tell of one commit are written together and share their `timestamp`.\n\n"
        f"| event | meaning |\n|---|---|\n{rows}\n"
    )


if __name__ == "__main__":
    print(event_table(), end="")  # noqa: T201 - `make generate`
