"""`purge`: calls are deleted for good, after saying what was understood and how much that is.

What must stay true: a number is read as every other command reads it, and how it was read is said before anything is
deleted; without a person to ask nothing is deleted but with ``--yes`` (a usual age needs neither).
"""

import asyncio
import sys
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from ringledger.cli.context import account_id, options_of, read
from ringledger.cli.errors import Failure, off_limits, usage
from ringledger.cli.ledger.filters import now_ms, past
from ringledger.cli.operate.care import must_exist
from ringledger.cli.platform.client import telephone
from ringledger.cli.render import print_json
from ringledger.cli.terminal import ask, say
from ringledger.cli.times import counted, dated
from ringledger.exits import Exit

if TYPE_CHECKING:
    from ringledger.config.model import Settings

#: An age below this may well be a slip of the pen, and nearly everything would go: asked for, ms.
USUAL_AGE_MS: Final = 86_400_000


def purge(
    ctx: typer.Context,
    older_than: Annotated[
        str | None, typer.Option(metavar="AGE", help="Calls that began before: 90d, or a date.")
    ] = None,
    number: Annotated[
        str | None, typer.Option(help="Calls with this number at either end, read as `calls --number` reads it.")
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Delete without asking.")] = False,
) -> int:
    """Delete calls for good: with everything known of them, and without a trace in the file.

    It says how it read the number and how many calls that is, and asks; where nobody can be asked it wants --yes. So
    does an age of less than a day; a greater one is deleted without a question.
    A running daemon does it when asked, and goes on recording; without one this command does it itself. What is not
    over yet stays. Copies beside the database are left alone; they are named at the end. The platform keeps its own
    log; the sessions of the deleted calls, nothing else of them, are remembered for `backfill.max_days`, so that
    nothing read from it brings them back. A number of which nothing is found is told as that and is 1: no erasure has
    taken place (with --json `found` is false and `traceless` null).
    """
    if (older_than is None) == (number is None):
        raise usage("purge needs either --older-than AGE or --number N")
    from ringledger.ledger.file.copies import copies as copies_of

    options = options_of(ctx)
    settings = options.account_settings()
    typed = number
    number = None if typed is None else telephone(typed, settings.platform.default_region, "--number")
    before = None if older_than is None else past("older-than", older_than, settings)
    must_exist(settings)
    if not yes and (before is None or before > now_ms() - USUAL_AGE_MS):
        _ask(settings, _understood(settings, typed, number, before), number, before, as_json=options.json)
    found = asyncio.run(_purged(settings, number, before))
    if number is not None:
        found |= {"number": number, "found": bool(found["purged"] or found["events"] or found["open"])}
        found["traceless"] = found["traceless"] if found["found"] else None  # nothing was erased
    copies = copies_of(settings.database.path)
    if options.json:
        print_json({**found, "copies": [str(path) for path in copies]})
    else:
        if yes and typed is not None:
            say(_understood(settings, typed, number, before))
        _tell(settings.database.shown, {**found, "file": settings.database.is_file})
        for path in copies:
            say(f"a copy may still hold them: {path}")
        if not settings.database.is_file and found["purged"]:
            say("the server's archived log and its backups may still hold them, until they expire")
    return int(Exit.OK if found.get("found", True) else Exit.DIFFERENCES)


def _understood(settings: "Settings", typed: str | None, number: str | None, before: int | None) -> str:
    """How what was typed was read."""
    from ringledger.ledger.times import to_text
    from ringledger.numbers import read_number

    if typed is None:
        return f"calls that began before {dated(to_text(before or 0))}"
    region = settings.platform.default_region
    how = {"national": f"a number of {region}", "extension": "an extension's number"}
    told = how.get(read_number(typed, region).how, "an international number")
    return f"{typed!r} is read as {number}, {told}"


def _ask(settings: "Settings", understood: str, number: str | None, before: int | None, *, as_json: bool) -> None:
    """Return when a person says yes. Raises ``Failure``: 64 without a terminal to ask at, 1 for any other answer."""
    from ringledger.ledger.privacy.purge import matching

    async def look(engine: Any) -> int:
        mine = await account_id(engine, settings)
        return await matching(engine, number=number, before_ms=before or 0, account_id=mine)

    count = read(settings, look)
    plan = f"{understood}: {counted(count, 'call')} would be deleted for good"
    if as_json or not sys.stdin.isatty():
        raise usage(f"{plan}; add --yes to delete")
    if not ask(f"{plan}. Delete?"):
        raise Failure(Exit.DIFFERENCES, "nothing was deleted")


def _tell(database: str, found: dict[str, Any]) -> None:
    if not found.get("found", True):
        say(f"{database}: nothing of {found['number']} was found, so nothing was deleted; check the number")
        return
    who = " by the daemon" if found["by"] == "daemon" else ""
    say(f"{database}: {counted(found['purged'], 'call')} deleted{who}")
    if count := found.get("open", 0):
        say(f"{count} more {'is' if count == 1 else 'are'} not over yet: purge again afterwards")
    elif not found["traceless"] and found.get("file", True):
        say("a reader keeps traces in the write-ahead log: purge again when it has gone")


async def _purged(settings: "Settings", number: str | None, before_ms: int | None) -> dict[str, Any]:
    """Let the daemon delete, or do it here while none runs."""
    from ringledger.service.control.server import Refused, of_account, request, socket_path

    asked = {**of_account(settings), "do": "purge", "number": number, "before": before_ms}
    path = socket_path(settings.database.path)
    try:
        done = await request(path, asked, lambda _: None)
    except Refused as refused:
        code = {"ValueError": Exit.USAGE, "PermissionError": Exit.IO}.get(refused.kind, Exit.TRY_AGAIN)
        raise Failure(code, str(refused)) from None
    except PermissionError:
        raise off_limits(settings.database.path) from None
    return {"by": "command", **await _alone(settings, number, before_ms)} if done is None else {"by": "daemon", **done}


async def _alone(settings: "Settings", number: str | None, before_ms: int | None) -> dict[str, Any]:
    from ringledger.ledger.write.store import Ledger
    from ringledger.service.commands.purge import purge

    ledger = await Ledger.open(settings.database.url, purged_days=max(1, settings.backfill.max_days))
    try:
        mine = await account_id(ledger.reader, settings)
        done = await purge(ledger, number=number, before_ms=before_ms or 0, account_id=mine)
        wiped = await ledger.wipe()
    finally:
        await ledger.close()
    answer = {"purged": done.calls, "traceless": wiped and not done.open, "unconfirmed": 0}
    return answer if number is None else {**answer, "events": done.events, "open": done.open}
