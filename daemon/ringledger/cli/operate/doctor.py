"""`doctor`: named checks, each with what was found, why it matters and what to type."""

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated

import typer
from rich.text import Text

from ringledger.cli.context import console, options_of, print_table
from ringledger.cli.render import print_json, table
from ringledger.cli.status import sentence
from ringledger.cli.times import counted
from ringledger.exits import Exit
from ringledger.observability.logging import configure_logging

if TYPE_CHECKING:
    from ringledger.config.model import Settings
    from ringledger.service.health.checks import Finding
    from ringledger.service.health.status import DaemonStatus

#: The exit code of a failed check, the gravest first; that of others is 70.
EXITS = {
    "database-access": Exit.IO,
    "database-directory": Exit.IO,
    "integrity": Exit.DATA,
    "database-owner": Exit.DATA,
    "database-place": Exit.DATA,
    "schema": Exit.CONFIG,
    "database": Exit.CONFIG,
    "login": Exit.CONFIG,
    "credentials": Exit.CREDENTIALS,
    "permissions": Exit.CREDENTIALS,
    "platform": Exit.UNAVAILABLE,
    "subscription": Exit.UNAVAILABLE,
    "disk": Exit.IO,
    "store": Exit.IO,
    "feed": Exit.UNAVAILABLE,
    "account": Exit.UNAVAILABLE,
    "daemon": Exit.TRY_AGAIN,
    "started": Exit.TRY_AGAIN,
}
#: A daemon that does not answer so soon, seconds, is left out.
ANSWER_WITHIN = 10.0
_STYLES = {"ok": "green", "warning": "yellow", "failure": "red"}


def doctor(
    ctx: typer.Context,
    offline: Annotated[bool, typer.Option("--offline", help="Do not ask the platform.")] = False,
    expect_running: Annotated[
        bool, typer.Option("--expect-running", help="A daemon that does not run is a failure (75), not a warning.")
    ] = False,
) -> int:
    """Look at daemon, configuration, files, database and platform, and say what to do.

    The first line says whether a daemon runs, and since when or since when not.

    Every check has a name that stays, and none keeps the others from being made. Exits 0 when all is well, 1 with
    warnings; with failures 65 for a database that is damaged or another program's, 78 for a configuration that cannot
    work (nothing to log in with, a path where no database can be, one newer than the program), 77 for credentials or
    permissions the platform refuses, 69 when it does not answer or grants no subscription, 74 for the disk, a missing
    directory or a database that must not be read, 75 with --expect-running when no daemon runs. A running daemon is
    asked what it finds, also of its login and its feed; without one a subscription is made for a trial and deleted.
    Nothing else is changed.
    """
    options = options_of(ctx)
    settings = options.settings()
    configure_logging("critical", settings.log.format, settings.log.numbers)  # the checks say it
    findings = _findings(settings, offline=offline, expected=expect_running)
    if options.json:
        print_json([one.told() for one in findings])
    else:
        _print(findings)
    return int(exit_code(findings))


def _findings(settings: "Settings", *, offline: bool, expected: bool) -> list["Finding"]:
    from ringledger.service.health.checklist import examine
    from ringledger.service.health.diagnosis import (
        accounts_findings,
        daemon_facts,
        database_facts,
        machine_facts,
        merged,
        platform_facts,
    )
    from ringledger.service.health.status import status_of

    async def asked() -> tuple["DaemonStatus", list["Finding"] | None]:
        return await status_of(settings), await _of_the_daemon(settings)

    status, daemons = asyncio.run(asked())
    facts = database_facts(settings, machine_facts(settings))
    facts = daemon_facts(facts, status, sentence(status), settings.feed.transport, expected=expected)
    trial = daemons is None and not status.runs  # one that runs has its own subscription, also when it does not answer
    if settings.accounts or settings.account_name:
        facts = replace(facts, login_missing=None, missing_permissions=None, excess_permissions=None, reachable=None)
        accounts = asyncio.run(accounts_findings(settings, offline=offline, trial=trial))
        return merged([*examine(facts), *accounts], daemons or ())
    if not offline:
        facts = asyncio.run(platform_facts(settings, facts, trial=trial))
    return merged(examine(facts), daemons or ())


async def _of_the_daemon(settings: "Settings") -> list["Finding"] | None:
    """Return the findings of a running daemon; ``None``: none runs, or none answers."""
    from ringledger.service.control.server import Refused, of_account, request, socket_path
    from ringledger.service.health.diagnosis import findings_of

    try:
        async with asyncio.timeout(ANSWER_WITHIN):
            told = await request(
                socket_path(settings.database.path), {**of_account(settings), "do": "findings"}, lambda _: None
            )
    except (Refused, OSError, TimeoutError):
        return None
    return None if told is None else findings_of(told["findings"])


def exit_code(findings: list["Finding"]) -> Exit:
    """The code for what was found; the gravest failure has the word."""
    failed = {one.code for one in findings if one.severity == "failure"}
    for code, meant in EXITS.items():
        if code in failed:
            return meant
    if failed:
        return Exit.INTERNAL
    return Exit.DIFFERENCES if any(one.bad for one in findings) else Exit.OK


def _print(findings: list["Finding"]) -> None:
    several = ["account"] if any(one.account for one in findings) else []
    made = table(*several, "check", "", "found", gap=1)
    shown = [one for one in findings if one.bad or not one.account]  # of many accounts those in trouble
    for one in shown:
        cells = Text(one.code), Text(one.severity, style=_STYLES[one.severity]), Text(_line(one.found))
        made.add_row(*(Text(one.account) for _ in several), *cells)
    out = console()
    first = next((one for one in findings if one.code == "daemon"), None)
    if first is not None:
        out.print(Text(first.found, style=_STYLES[first.severity]))
    print_table(made, folds=("found",))
    if well := {one.account for one in findings if one.account} - {one.account for one in shown}:
        out.print(f"nothing is wrong with {counted(len(well), 'account')}", style="green")
    for one in findings:
        if one.bad:
            out.print()
            whose = f"{one.account}: " if one.account else ""
            out.print(Text(f"{whose}{one.code}: {_line(one.found)}", style=_STYLES[one.severity]))
            out.print(Text(f"  why it matters: {one.why}"))
            out.print(Text(f"  what to do:     {one.cure}"))


def _line(found: str) -> str:
    """One line of a table: SQLite tells of damage in several."""
    return "; ".join(part.strip() for part in found.splitlines() if part.strip())
