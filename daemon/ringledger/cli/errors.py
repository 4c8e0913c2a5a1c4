"""From an exception to one line and an exit code (contract 3).

What must stay true: whatever is raised, a person sees one line without secrets and never a traceback; the traceback
of a bug goes to the log, and only when that is set to debug.
"""

import errno
import os
from pathlib import Path
from typing import Any

import typer

from ringledger.cli.terminal import say
from ringledger.cli.wording import usage_text
from ringledger.config.provenance import ADVICE, SettingsError
from ringledger.exits import Exit
from ringledger.observability.redaction import Redactor
from ringledger.rights import refusal

#: The base of everything that is wrong with a command line (click's, wherever typer keeps it).
UsageError: type[Exception] = typer.BadParameter.__mro__[1]

_PLATFORM = {
    "CredentialsRejected": (Exit.CREDENTIALS, "`ringledger check-config` says where they come from"),
    "CredentialsMissing": (Exit.CONFIG, ADVICE),
    "PermissionError": (Exit.IO, ""),
    "PermissionDenied": (Exit.CREDENTIALS, "give the app or the user that permission"),
    "Throttled": (Exit.TRY_AGAIN, "wait and try again"),
    "PlatformUnavailable": (Exit.UNAVAILABLE, "check platform.server_url and the network, or try again later"),
    "Starting": (Exit.TRY_AGAIN, "try again when it is ready"),
    "NotFound": (Exit.UNAVAILABLE, "check the id"),
    "PlatformError": (Exit.INTERNAL, "please report this"),
}


class Failure(Exception):
    """A command's own way to end: one line for a person and an exit code."""

    def __init__(self, code: Exit, message: str) -> None:
        super().__init__(message)
        self.exit_code = code


def of_kind(kind: str, message: str) -> Failure:
    """An error that another process names by its class."""
    code, remedy = _PLATFORM.get(kind, (Exit.USAGE, "") if kind == "ValueError" else (Exit.INTERNAL, ""))
    return Failure(code, f"{message}; {remedy}" if remedy else message)


def off_limits(database: Path) -> Exception:
    """The answer to who may not speak to the daemon of a database, to be raised."""
    from ringledger.ledger.errors import DatabaseOffLimits
    from ringledger.ledger.file.owner import refuse_outsider
    from ringledger.rights import owner_name

    try:
        refuse_outsider(database)
    except DatabaseOffLimits as error:
        return error
    owner = owner_name(database.parent.stat().st_uid)
    who = owner if owner == "root" else f"root and {owner}"
    return Failure(Exit.IO, f"{database}: only {who} may have the daemon change it; run this as root")


def usage(message: str) -> Exception:
    """What is wrong with the command line, to be raised; exit code 64."""
    return Failure(Exit.USAGE, message)


def told(error: BaseException, frame: Any = None, *, command: str = "") -> int:
    """Say what is wrong on standard error; returns the exit code. ``run`` says it in its log, if that is JSON."""
    code, lines = explained(error)
    if code is Exit.INTERNAL:
        _trace(error, frame)
    if command == "run" and _logged(code, [_one_line(line) for line in lines], frame):
        return int(code)
    for line in lines:
        say(f"ringledger: {_one_line(line)}", stderr=True)
    return int(code)


def explained(error: BaseException) -> tuple[Exit, list[str]]:
    """Exit code and lines; only a wrong configuration has more than one (a line for each problem)."""
    if isinstance(error, BaseExceptionGroup):
        return explained(error.exceptions[0])
    if isinstance(error, SettingsError):
        return Exit.CONFIG, list(error.problems)
    if isinstance(error, UsageError):
        return Exit.USAGE, [usage_text(error)]
    if (code := getattr(error, "exit_code", None)) is not None:
        return Exit(code), [str(error)]
    for kind in type(error).__mro__:
        if kind.__module__ == "ringledger.ringcentral.errors" and kind.__name__ in _PLATFORM:
            code, remedy = _PLATFORM[kind.__name__]
            return code, [f"{error}; {remedy}"]
    if isinstance(error, OSError):
        return Exit.IO, [_io(error)]
    bug = "this is a bug; RINGLEDGER_LOG__LEVEL=debug logs its traceback"
    return Exit.INTERNAL, [f"internal error: {type(error).__name__}: {error}; {bug}"]


def _io(error: OSError) -> str:
    if error.errno in {errno.EMFILE, errno.ENFILE}:  # whatever file it was that could not be opened is not to blame
        return f"{error.strerror}; allow more of them (LimitNOFILE= of the unit, ulimit -n)"
    if isinstance(error, PermissionError) and error.filename and (why := refusal(Path(os.fsdecode(error.filename)))):
        return f"{os.fsdecode(error.filename)}: {why}"
    where = f"{error.filename}: " if error.filename else ""
    return f"{where}{error.strerror or str(error) or type(error).__name__}"


def _one_line(text: str) -> str:
    return Redactor(mask_numbers=False).text(" ".join(text.split()))


def _logged(code: Exit, lines: list[str], frame: Any) -> bool:
    """Tell the end of the daemon as `service.failed`, where its log is JSON."""
    from ringledger.observability.logging import LOG, Event, as_json, configure_logging

    try:
        log = frame.settings().log
        level, kind, numbers = log.level, log.format, log.numbers
    except Exception:  # noqa: BLE001 - a wrong configuration is what is being told
        level, kind, numbers = "info", os.environ.get("RINGLEDGER_LOG__FORMAT", "auto"), "masked"
    if not as_json(kind):
        return False
    configure_logging(level, "json", numbers)
    LOG.error(Event.SERVICE_FAILED, reason="; ".join(lines), exit_code=int(code))
    return True


def _trace(error: BaseException, frame: Any) -> None:
    """The traceback, redacted, when the log's level is debug."""
    from ringledger.observability.logging import LOG, Event, configure_logging

    try:
        log = frame.settings().log
    except Exception:  # noqa: BLE001 - a wrong configuration must not hide the error that is being told
        return
    if log.level == "debug":
        configure_logging(log.level, log.format, log.numbers)
        LOG.debug(Event.SERVICE_FAILED, exc_info=error)
