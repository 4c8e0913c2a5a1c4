"""`db backup` and `db downgrade`: care of the data, by hand or by a timer."""

import contextlib
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ringledger.cli.context import missing, options_of
from ringledger.cli.errors import Failure, usage
from ringledger.cli.operate.database import db_app
from ringledger.cli.render import print_json
from ringledger.cli.terminal import say
from ringledger.cli.times import counted
from ringledger.exits import Exit

if TYPE_CHECKING:
    from ringledger.config.model import Settings

#: A copy that was named by this program; only such are ever removed.
NAMED = re.compile(r"ringledger-\d{8}T\d{6}Z\.db")


@db_app.command("backup")
def backup_database(
    ctx: typer.Context,
    target: Annotated[
        Path | None,
        typer.Argument(metavar="FILE", readable=False, help="Else backups/ringledger-TIME.db beside the database."),
    ] = None,
    keep: Annotated[
        int | None, typer.Option(min=1, metavar="N", help="Afterwards remove all but the N newest in backups/.")
    ] = None,
) -> None:
    """Copy the database while the daemon writes; the copy is verified before it gets its name.

    It is one file that any SQLite reads, and replaces an older copy of its name, nothing else; root's copies belong to
    the database's owner, in somebody else's directory to whoever that belongs to. To go back: stop the
    daemon, `ringledger db restore FILE`, start it; the platform's call log fills in what has happened since.
    """
    from ringledger.ledger.errors import DatabaseNewer
    from ringledger.ledger.file.backup import backup
    from ringledger.ledger.file.opening import acting_as_owner
    from ringledger.ledger.file.owner import writers_of
    from ringledger.ledger.schema.migrate import version_of
    from ringledger.rights import may_write

    options = options_of(ctx)
    settings = options.settings()
    must_be_a_file(settings, "backup")
    must_exist(settings)
    if target is not None and keep is not None:
        raise usage("--keep is for copies that get their names by themselves; leave out one of the two")
    with contextlib.suppress(DatabaseNewer):  # a copy does no harm to it
        version_of(settings.database.url)  # another program's file is not ours to copy
    if target is not None:
        _must_be_apart(settings.database.path, target)
    database = settings.database.path
    if target is None:
        with acting_as_owner(database):
            if not may_write(database.parent):
                cure = f"{writers_of(database)}, or name a FILE of your own"
                raise Failure(Exit.IO, f"{database.parent}: cannot be written to; {cure}")
            made = backup(database, _next_to(database))
            removed = _remove_old(made.parent, keep) if keep is not None else []
    else:
        made, removed = backup(database, target), []
    if options.json:
        print_json({"path": str(made), "bytes": made.stat().st_size, "removed": [str(one) for one in removed]})
    else:
        gone = f"; removed {len(removed)} older" if removed else ""
        say(f"{made}: verified copy of {settings.database.path}, {made.stat().st_size} bytes{gone}")


def _must_be_apart(database: Path, target: Path) -> None:
    """A copy in the place of the database, or of a file beside it, would take it away from under the daemon."""
    endings = ("", "-wal", "-shm", "-journal", ".lock", ".penalties")
    own = [database.with_name(f"{database.name}{ending}") for ending in endings]
    if target.is_dir():
        raise usage(f"{target}: is a directory; name the copy itself")
    if target.resolve() in {path.resolve() for path in own} or (target.exists() and target.samefile(database)):
        raise usage(f"{target}: belongs to the database itself; give the copy another name")
    if target.exists() and not _is_copy(target):
        raise usage(f"{target}: is there already and no copy of a ledger; give the copy another name")


def _is_copy(path: Path) -> bool:
    """Whether a file is a database of this program's, which a newer copy may replace. Raises ``Failure``."""
    from ringledger.ledger.schema.tables import APPLICATION_ID

    if not path.is_file():
        return False
    try:
        with path.open("rb") as file:
            head = file.read(72)
    except OSError as error:
        raise Failure(Exit.IO, f"{path}: {error.strerror}") from None
    return head.startswith(b"SQLite format 3\0") and head[68:] == APPLICATION_ID.to_bytes(4)


def _next_to(database: Path) -> Path:
    from ringledger.ledger.file.owner import hand_over

    directory = database.parent / "backups"
    if not directory.exists():
        directory.mkdir(mode=0o750)
        hand_over(directory, database)
    return directory / f"ringledger-{datetime.now(UTC):%Y%m%dT%H%M%SZ}.db"


def _remove_old(directory: Path, keep: int) -> list[Path]:
    named = sorted(path for path in directory.iterdir() if NAMED.fullmatch(path.name))
    for path in named[:-keep]:
        path.unlink()
    return named[:-keep]


@db_app.command("restore")
def restore_database(
    ctx: typer.Context,
    source: Annotated[
        Path, typer.Argument(metavar="FILE", readable=False, help="A copy that `db backup` or an upgrade has made.")
    ],
) -> None:
    """Put a copy in the database's place; refused (75) while a daemon runs.

    The copy is verified first and stays where it is; the present database is kept beside the new one
    (its name and `.before-restore.TIME.backup`); owner, rights and the files `-wal` and `-shm` are put right. Then
    start the daemon: it upgrades an older copy, and reads what has happened since from the platform's call log, as far
    back as backfill.max_days.
    """
    from ringledger.ledger.file.restore import restore

    options = options_of(ctx)
    settings = options.settings()
    must_be_a_file(settings, "restore")
    if source.is_dir():
        raise usage(f"{source}: is a directory; name a copy")
    if not source.exists():
        raise Failure(Exit.IO, f"{source}: no such file; name a copy")
    report = restore(settings.database.url, source)
    if options.json:
        kept = None if report.kept is None else str(report.kept)
        print_json({"path": str(settings.database.path), "from": str(source), "schema": report.version, "kept": kept})
        return
    kept = f"; what was there before is {report.kept}" if report.kept else ""
    say(f"{settings.database.path}: restored from {source}, schema {report.version}{kept}")
    say("start the daemon now (systemctl start ringledger): it reads what has happened since from the platform's log")


@db_app.command("downgrade")
def downgrade_database(
    ctx: typer.Context,
    yes: Annotated[bool, typer.Option("--yes", help="Go back without asking, whatever is lost.")] = False,
) -> None:
    """Go back to the schema before the last upgrade, for the program before this one.

    The copy that the upgrade has made is put in the database's place, and the present database is kept beside it. Calls
    written or corrected since are not in the copy: how many is said, and going back wants --yes. The daemon must not be
    running; afterwards install the older program, for this one would upgrade again.
    """
    from ringledger.ledger.file.downgrade import go_back, way_back

    options = options_of(ctx)
    settings = options.settings()
    must_be_a_file(settings, "downgrade")
    must_exist(settings)
    way = way_back(settings.database.url)
    plan = (
        f"{settings.database.path}: back from schema {way.before} to {way.after} with {way.copy}; "
        f"{counted(way.later, 'call')} written or corrected since will be missing"
    )
    if not yes:
        raise usage(f"{plan}; add --yes to go back")
    report = go_back(settings.database.url, way)
    kept = str(report.kept)
    if options.json:
        done = {"before": way.before, "after": report.version, "from": str(way.copy), "later": way.later, "kept": kept}
        print_json(done)
    else:
        say(f"{plan}\nwhat was there before is {kept}; install the older program now")


#: What does the work of a command with PostgreSQL.
_SERVERS = {
    "backup": "pg_dump --format=custom --file=ringledger.dump {url}",
    "restore": "pg_restore --clean --if-exists --dbname={url} ringledger.dump, with the daemon stopped",
    "downgrade": "pg_restore --clean --if-exists --dbname={url} of a dump from before, with the daemon stopped",
}


def must_be_a_file(settings: "Settings", command: str) -> None:
    """Raise ``Failure`` for a server's database, of which no file can be copied: it says what to use there."""
    if not settings.database.is_file:
        use = _SERVERS[command].format(url=settings.database.shown)
        raise usage(f"db {command} is for SQLite; with PostgreSQL use {use} (docs/postgresql.md)")


def must_exist(settings: "Settings") -> None:
    """Raise ``Failure`` (74) where there is no database, ``DatabaseOffLimits`` where it is not to be read."""
    from ringledger.ledger.file.owner import refuse_outsider

    if settings.database.is_file:
        refuse_outsider(settings.database.path)
    if settings.database.is_file and not settings.database.path.exists():
        raise Failure(Exit.IO, missing(settings, "start the daemon, which creates it"))
