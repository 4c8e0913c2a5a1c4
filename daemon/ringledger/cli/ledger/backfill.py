"""`backfill`: what the ledger lacks is written from the platform's call log.

What must stay true: one process writes to the database. While the daemon runs it is asked to do the work, over the
socket beside the database; else this process takes its place for as long as it takes.
"""

import asyncio
from typing import TYPE_CHECKING, Any

import typer

from ringledger.cli.context import console, options_of
from ringledger.cli.errors import Failure, of_kind, off_limits
from ringledger.cli.ledger.filters import From, Until
from ringledger.cli.platform.client import PATIENCE, MaxWait, Progress, ask, bar, period, tell
from ringledger.cli.render import print_json
from ringledger.cli.times import counted
from ringledger.exits import Exit

if TYPE_CHECKING:
    from ringledger.config.model import Settings
    from ringledger.service.commands.platform import OneShot

Found = dict[str, Any]


def backfill(ctx: typer.Context, since: From, until: Until = None, max_wait: MaxWait = PATIENCE) -> None:
    """Write what the ledger lacks: every call of the platform's call log since then.

    A running daemon does it when asked; without one this process does it itself, and the daemon cannot start meanwhile.
    What is there already is confirmed or corrected, never doubled. Holes of `ringledger coverage` within the period
    are healed.
    """
    options = options_of(ctx)
    settings = options.account_settings()
    first, last = period(since, until, settings)
    with bar("reading the call log", first, last) as progress:
        found = _by_the_daemon(settings, first, last, max_wait, progress)
        if found is None:
            found = ask(settings, lambda asking: _alone(asking, first, last, progress), max_wait=max_wait)
    if options.json:
        print_json(found)
        return
    who = "the daemon has" if found["by"] == "daemon" else "no daemon runs: this command has"
    holes = f", {counted(found['healed'], 'hole')} of coverage healed" if found["healed"] else ""
    read, written = counted(found["records"], "record"), counted(found["written"], "call")
    console().print(f"{who} read {read}; {written} written{holes}")


def _by_the_daemon(settings: "Settings", since: int, until: int, max_wait: float, progress: Progress) -> Found | None:
    """What the daemon has done; ``None`` when none runs."""
    from ringledger.service.commands.backfill import as_progress
    from ringledger.service.control.server import Refused, of_account, request, socket_path

    asked = {**of_account(settings), "do": "backfill", "since": since, "until": until, "max_wait": max_wait}
    path = socket_path(settings.database.path)
    try:
        found = asyncio.run(request(path, asked, as_progress(progress, tell)))
    except Refused as error:
        raise of_kind(error.kind, str(error)) from None
    except PermissionError:
        raise off_limits(settings.database.path) from None
    return None if found is None else {"by": "daemon", **found}


async def _alone(asking: "OneShot", since: int, until: int, progress: Progress) -> Found:
    from dataclasses import asdict

    from ringledger.ledger.errors import LedgerLocked
    from ringledger.service.commands.backfill import alone

    try:
        async with alone(asking, tell) as refill:
            return {"by": "command", **asdict(await refill.run(since, until, progress))}
    except LedgerLocked as error:
        where = "it has no socket for commands (is it still starting, or of an older version?)"
        raise Failure(Exit.TRY_AGAIN, f"{error}; {where}") from None
