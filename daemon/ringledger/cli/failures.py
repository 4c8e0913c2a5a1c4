"""From an exception to one line and an exit code (contract 3).

What must stay true: whatever is raised, a person sees one line without secrets and never a traceback; the traceback
of a bug goes to the log, and only when that is set to debug.
"""

import errno
import sys
from typing import Any

import typer

from ringledger.exits import Exit
from ringledger.layers import SettingsError
from ringledger.redaction import Redactor

#: The base of everything that is wrong with a command line (click's, wherever typer keeps it).
UsageError: type[Exception] = typer.BadParameter.__mro__[1]

_PLATFORM = {
    "CredentialsRejected": (Exit.CREDENTIALS, "check [credentials] in the configuration"),
    "CredentialsMissing": (Exit.CONFIG, "set it in [credentials] of the configuration; `ringledger doctor` says more"),
    "PermissionError": (Exit.IO, ""),
    "PermissionDenied": (Exit.CREDENTIALS, "give the app or the user that permission"),
    "Throttled": (Exit.TRY_AGAIN, "wait and try again"),
    "PlatformUnavailable": (Exit.UNAVAILABLE, "check platform.server_url and the network, or try again later"),
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


def usage(message: str) -> Exception:
    """What is wrong with the command line, to be raised; exit code 64."""
    return Failure(Exit.USAGE, message)


def told(error: BaseException, frame: Any = None) -> int:
    """Say what is wrong on standard error; returns the exit code."""
    code, lines = explained(error)
    if code is Exit.INTERNAL:
        _trace(error, frame)
    for line in lines:
        print(f"ringledger: {_one_line(line)}", file=sys.stderr)
    return int(code)


def explained(error: BaseException) -> tuple[Exit, list[str]]:
    """Exit code and lines; only a wrong configuration has more than one (a line for each problem)."""
    if isinstance(error, BaseExceptionGroup):
        return explained(error.exceptions[0])
    if isinstance(error, SettingsError):
        return Exit.CONFIG, list(error.problems)
    if isinstance(error, UsageError):
        return Exit.USAGE, [_usage(error)]
    if (code := getattr(error, "exit_code", None)) is not None:
        return Exit(code), [str(error)]
    for kind in type(error).__mro__:
        if kind.__module__ == "ringledger.platform.errors" and kind.__name__ in _PLATFORM:
            code, remedy = _PLATFORM[kind.__name__]
            return code, [f"{error}; {remedy}"]
    if isinstance(error, OSError):
        return Exit.IO, [_io(error)]
    bug = "this is a bug; RINGLEDGER_LOG__LEVEL=debug logs its traceback"
    return Exit.INTERNAL, [f"internal error: {type(error).__name__}: {error}; {bug}"]


def _usage(error: Any) -> str:
    context = getattr(error, "ctx", None)
    path = context.command_path if context is not None else "ringledger"
    said = error.format_message().replace("Value error, ", "").rstrip(".")
    return f"{said or 'no command was given'}; see {path} --help"


def _io(error: OSError) -> str:
    if error.errno in {errno.EMFILE, errno.ENFILE}:  # whatever file it was that could not be opened is not to blame
        return f"{error.strerror}; allow more of them (LimitNOFILE= of the unit, ulimit -n)"
    where = f"{error.filename}: " if error.filename else ""
    return f"{where}{error.strerror or str(error) or type(error).__name__}"


def _one_line(text: str) -> str:
    return Redactor(mask_numbers=False).text(" ".join(text.split()))


def _trace(error: BaseException, frame: Any) -> None:
    """The traceback, redacted, when the log's level is debug."""
    from ringledger.logs import LOG, Event, configure_logging

    try:
        log = frame.settings().log
    except Exception:  # noqa: BLE001 - a wrong configuration must not hide the error that is being told
        return
    if log.level == "debug":
        configure_logging(log.level, log.format, log.numbers)
        LOG.debug(Event.SERVICE_FAILED, exc_info=error)
