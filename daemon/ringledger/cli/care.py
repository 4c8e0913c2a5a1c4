"""`db backup`, `db downgrade` and `purge`: care of the data, by hand or by a timer."""

import asyncio
import contextlib
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ringledger.cli.asking import telephone
from ringledger.cli.database import db_app
from ringledger.cli.failures import Failure, usage
from ringledger.cli.frame import frame_of, origin
from ringledger.cli.output import print_json
from ringledger.cli.times import instant
from ringledger.exits import Exit

if TYPE_CHECKING:
    from ringledger.settings import Settings

#: A copy that was named by this program; only such are ever removed.
NAMED = re.compile(r"ringledger-\d{8}T\d{6}Z\.db")


@db_app.command("backup")
def backup_database(
    ctx: typer.Context,
    target: Annotated[
        Path | None, typer.Argument(metavar="FILE", help="Else backups/ringledger-TIME.db beside the database.")
    ] = None,
    keep: Annotated[
        int | None, typer.Option(min=1, metavar="N", help="Afterwards remove all but the N newest in backups/.")
    ] = None,
) -> None:
    """Copy the database while the daemon writes; the copy is verified before it gets its name.

    It is one file that any SQLite reads. To go back: stop the daemon, put the copy in the database's place (and remove
    the files `-wal` and `-shm`), start it; the platform's call log fills in what has happened since.
    """
    from ringledger.ledger.backup import backup
    from ringledger.ledger.errors import DatabaseNewer
    from ringledger.ledger.upgrade import version_of

    frame = frame_of(ctx)
    settings = frame.settings()
    _must_exist(settings)
    if target is not None and keep is not None:
        raise usage("--keep is for copies that get their names by themselves; leave out one of the two")
    with contextlib.suppress(DatabaseNewer):  # a copy does no harm to it
        version_of(settings.database.url)  # another program's file is not ours to copy
    if target is not None:
        _must_be_apart(settings.database.path, target)
    made = backup(settings.database.path, target or _next_to(settings.database.path))
    removed = _remove_old(made.parent, keep) if keep is not None else []
    if frame.json:
        print_json({"path": str(made), "bytes": made.stat().st_size, "removed": [str(one) for one in removed]})
    else:
        gone = f"; removed {len(removed)} older" if removed else ""
        print(f"{made}: verified copy of {settings.database.path}, {made.stat().st_size} bytes{gone}")


def _must_be_apart(database: Path, target: Path) -> None:
    """A copy in the place of the database, or of a file beside it, would take it away from under the daemon."""
    endings = ("", "-wal", "-shm", "-journal", ".lock", ".penalties")
    own = [database.with_name(f"{database.name}{ending}") for ending in endings]
    if target.is_dir():
        raise usage(f"{target}: is a directory; name the copy itself")
    if target.resolve() in {path.resolve() for path in own} or (target.exists() and target.samefile(database)):
        raise usage(f"{target}: belongs to the database itself; give the copy another name")


def _next_to(database: Path) -> Path:
    directory = database.parent / "backups"
    directory.mkdir(mode=0o750, exist_ok=True)
    return directory / f"ringledger-{datetime.now(UTC):%Y%m%dT%H%M%SZ}.db"


def _remove_old(directory: Path, keep: int) -> list[Path]:
    named = sorted(path for path in directory.iterdir() if NAMED.fullmatch(path.name))
    for path in named[:-keep]:
        path.unlink()
    return named[:-keep]


@db_app.command("downgrade")
def downgrade_database(ctx: typer.Context) -> None:
    """Go back by one schema version, for the program before this one; a copy is made first.

    The daemon must not be running; afterwards install the older program, for this one would upgrade again.
    """
    from ringledger.ledger.upgrade import downgrade, version_of

    frame = frame_of(ctx)
    settings = frame.settings()
    _must_exist(settings)
    if version_of(settings.database.url) <= 1:
        raise usage(f"{settings.database.path}: its schema is the first one; there is no older program")
    report = downgrade(settings.database.url)
    if frame.json:
        print_json({"before": report.before, "after": report.after, "backup": str(report.backup)})
    else:
        print(f"{settings.database.path}: schema {report.before} to {report.after}; the old one is {report.backup}")


def purge(
    ctx: typer.Context,
    older_than: Annotated[
        int | None, typer.Option(parser=instant, metavar="AGE", help="Calls that began before: 90d, or a date.")
    ] = None,
    number: Annotated[
        str | None, typer.Option(help="Calls with this number at either end, read as `calls --number` reads it.")
    ] = None,
) -> None:
    """Delete calls for good: with everything known of them, and without a trace in the file.

    A running daemon does it when asked, and goes on recording; without one this command does it itself. What is not
    over yet stays. Copies beside the database are left alone; they are named at the end. The platform keeps its own
    log: `backfill` over that time would bring the calls back. A number of which nothing is found is told as that: no
    erasure has taken place (with --json `found` is false and `traceless` null).
    """
    if (older_than is None) == (number is None):
        raise usage("purge needs either --older-than AGE or --number N")
    from ringledger.ledger.copies import copies as copies_of

    frame = frame_of(ctx)
    settings = frame.settings()
    if number is not None:
        number = telephone(number, settings.platform.default_region, "--number")
    _must_exist(settings)
    found = asyncio.run(_purged(settings, number, older_than))
    if number is not None:
        found |= {"number": number, "found": bool(found["purged"] or found["events"] or found["open"])}
        found["traceless"] = found["traceless"] if found["found"] else None  # nothing was erased
    copies = copies_of(settings.database.path)
    if frame.json:
        print_json({**found, "copies": [str(path) for path in copies]})
        return
    _tell(settings.database.path, found)
    for path in copies:
        print(f"a copy may still hold them: {path}")


def _tell(database: Path, found: dict[str, Any]) -> None:
    if not found.get("found", True):
        print(f"{database}: nothing of {found['number']} was found, so nothing was deleted; check the number")
        return
    who = " by the daemon" if found["by"] == "daemon" else ""
    print(f"{database}: {found['purged']} call{'' if found['purged'] == 1 else 's'} deleted{who}")
    if found["unconfirmed"]:
        count = found["unconfirmed"]
        print(f"the platform's log, which has yet to confirm {count} of them, may bring them back: purge again later")
    if count := found.get("open", 0):
        print(f"{count} more {'is' if count == 1 else 'are'} not over yet: purge again afterwards")
    elif not found["traceless"]:
        print("a reader keeps traces in the write-ahead log: purge again when it has gone")


async def _purged(settings: "Settings", number: str | None, before_ms: int | None) -> dict[str, Any]:
    """Let the daemon delete, or do it here while none runs."""
    from ringledger.service.control import Refused, request, socket_path

    asked = {"do": "purge", "number": number, "before": before_ms}
    path = socket_path(settings.database.path)
    try:
        done = await request(path, asked, lambda _: None)
    except Refused as refused:
        code = {"ValueError": Exit.USAGE, "PermissionError": Exit.IO}.get(refused.kind, Exit.TRY_AGAIN)
        raise Failure(code, str(refused)) from None
    except PermissionError:
        text = f"{path}: permission denied; run this as root or as the daemon's user"
        raise Failure(Exit.IO, text) from None
    return {"by": "command", **await _alone(settings, number, before_ms)} if done is None else {"by": "daemon", **done}


async def _alone(settings: "Settings", number: str | None, before_ms: int | None) -> dict[str, Any]:
    from ringledger.ledger.ledger import Ledger
    from ringledger.service.erasure import purge

    ledger = await Ledger.open(settings.database.url)
    try:
        done = await purge(ledger, settings.database.path, number=number, before_ms=before_ms or 0)
    finally:
        await ledger.close()
    answer = {"purged": done.calls, "traceless": done.traceless, "unconfirmed": 0}
    return answer if number is None else {**answer, "events": done.events, "open": done.open}


def _must_exist(settings: "Settings") -> None:
    if not settings.database.path.exists():
        where = origin(settings, "database.url")
        raise Failure(Exit.IO, f"{settings.database.path}: no such database (database.url, {where})")
