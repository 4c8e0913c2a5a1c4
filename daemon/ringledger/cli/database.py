"""`db`: the schema's care. What stands behind it is :mod:`ringledger.ledger.upgrade`."""

import typer

from ringledger.cli.frame import frame_of, origin
from ringledger.cli.helps import PlainGroup
from ringledger.cli.output import print_json
from ringledger.exits import Exit

db_app = typer.Typer(
    cls=PlainGroup, help="The database: its schema and its health.", no_args_is_help=True, rich_markup_mode="rich"
)


@db_app.command("upgrade")
def upgrade_database(ctx: typer.Context) -> None:
    """Bring the database to this program's schema, after a backup; create it when there is none.

    The daemon does so by itself at its start; it must not be running now.
    """
    from ringledger.ledger.upgrade import upgrade

    frame = frame_of(ctx)
    settings = frame.settings()
    report = upgrade(settings.database.url)
    if frame.json:
        copy = None if report.backup is None else str(report.backup)
        print_json(
            {"path": str(settings.database.path), "before": report.before, "after": report.after, "backup": copy}
        )
    elif report.before == report.after:
        print(f"{settings.database.path}: schema {report.after} is the newest; nothing to do")
    else:
        done = f"upgraded from schema {report.before}" if report.before else "created with schema"
        kept = f"; the old one is {report.backup}" if report.backup else ""
        print(f"{settings.database.path}: {done} {'to ' if report.before else ''}{report.after}{kept}")


@db_app.command("check")
def check_database(ctx: typer.Context) -> int:
    """Read the whole database and compare its schema with this program's; exits 1 when something is wrong."""
    from ringledger.ledger.errors import DatabaseMissing
    from ringledger.ledger.upgrade import check

    frame = frame_of(ctx)
    settings = frame.settings()
    try:
        report = check(settings.database.url)
    except DatabaseMissing:
        where = origin(settings, "database.url")
        raise DatabaseMissing(
            f"{settings.database.path}: no such database (database.url, {where}); `ringledger db upgrade` creates it"
        ) from None
    if frame.json:
        found = {"version": report.version, "newest": report.newest, "problems": list(report.problems)}
        print_json({"path": str(settings.database.path), **found})
    else:
        for problem in report.problems:
            print(problem)
        verdict = f"{len(report.problems)} problems" if report.problems else "all is well"
        print(f"{settings.database.path}: schema {report.version} of {report.newest}, {verdict}")
    return int(Exit.DIFFERENCES if report.problems else Exit.OK)
