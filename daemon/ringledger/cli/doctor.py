"""`doctor`: named checks, each with what was found, why it matters and what to type."""

import asyncio
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer
from rich.text import Text

from ringledger.cli.frame import console, frame_of, print_table
from ringledger.cli.output import print_json, table
from ringledger.exits import Exit
from ringledger.logs import configure_logging

if TYPE_CHECKING:
    from ringledger.service.checks import Finding
    from ringledger.settings import Settings

#: What a failure of a check means for whoever started us, the gravest first; others are 70.
EXITS = {
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
}
#: A daemon that does not answer so soon, seconds, is left out.
ANSWER_WITHIN = 10.0
_STYLES = {"ok": "green", "warning": "yellow", "failure": "red"}


def doctor(
    ctx: typer.Context,
    offline: Annotated[bool, typer.Option("--offline", help="Do not ask the platform.")] = False,
) -> int:
    """Look at configuration, files, database and platform, and say what to do.

    Every check has a name that stays, and none keeps the others from being made. Exits 0 when all is well, 1 with
    warnings; with failures 65 for a database that is damaged or another program's, 78 for a configuration that cannot
    work (nothing to log in with, no place for a database, one newer than the program), 77 for credentials or
    permissions the platform refuses, 69 when it does not answer or grants no subscription, 74 for the disk. A running
    daemon is asked what it finds; without one a subscription is made for a trial and deleted. Nothing else is changed.
    """
    frame = frame_of(ctx)
    settings = frame.settings()
    configure_logging("critical", settings.log.format, settings.log.numbers)  # the checks say it
    findings = _findings(settings, offline=offline)
    if frame.json:
        print_json([asdict(one) for one in findings])
    else:
        _print(findings)
    return int(exit_code(findings))


def _findings(settings: "Settings", *, offline: bool) -> list["Finding"]:
    from ringledger.service.checks import examine
    from ringledger.service.diagnose import database_facts, machine_facts, merged, platform_facts

    daemons = asyncio.run(_of_the_daemon(settings))
    facts = database_facts(settings, machine_facts(settings))
    if not offline:
        facts = asyncio.run(platform_facts(settings, facts, trial=daemons is None))
    return merged(examine(facts), daemons or ())


async def _of_the_daemon(settings: "Settings") -> list["Finding"] | None:
    """What a running daemon finds; ``None``: there is none, or none that answers us."""
    from ringledger.service.control import Refused, request, socket_path
    from ringledger.service.diagnose import findings_of

    try:
        async with asyncio.timeout(ANSWER_WITHIN):
            told = await request(socket_path(settings.database.path), {"do": "findings"}, lambda _: None)
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
    made = table("check", "", "found")
    for one in findings:
        made.add_row(Text(one.code), Text(one.severity, style=_STYLES[one.severity]), Text(_line(one.found)))
    out = console()
    print_table(made)
    for one in findings:
        if one.bad:
            out.print()
            out.print(Text(f"{one.code}: {_line(one.found)}", style=_STYLES[one.severity]))
            out.print(Text(f"  why it matters: {one.why}"))
            out.print(Text(f"  what to do:     {one.cure}"))


def _line(found: str) -> str:
    """One line of a table: SQLite tells of damage in several."""
    return "; ".join(part.strip() for part in found.splitlines() if part.strip())
