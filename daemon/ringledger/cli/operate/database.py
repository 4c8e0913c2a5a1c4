"""`db`: the schema's care. What stands behind it is :mod:`ringledger.ledger.schema.migrate`."""

import asyncio
import re
from dataclasses import asdict
from typing import Annotated

import typer

from ringledger.cli.context import missing, options_of
from ringledger.cli.errors import usage
from ringledger.cli.help import PlainGroup
from ringledger.cli.render import print_json
from ringledger.cli.terminal import say
from ringledger.cli.times import counted
from ringledger.exits import Exit

db_app = typer.Typer(
    cls=PlainGroup, help="The database: its schema and its health.", no_args_is_help=True, rich_markup_mode="rich"
)


@db_app.command("upgrade")
def upgrade_database(ctx: typer.Context) -> None:
    """Bring the database to this program's schema, after a backup; create it when there is none.

    The daemon does so by itself at its start; it must not be running now.
    """
    from ringledger.ledger.schema.migrate import upgrade

    options = options_of(ctx)
    settings = options.settings()
    report = upgrade(settings.database.url, zone=settings.report.zone)
    if options.json:
        copy = None if report.backup is None else str(report.backup)
        print_json({"path": settings.database.shown, "before": report.before, "after": report.after, "backup": copy})
    elif report.before == report.after:
        say(f"{settings.database.shown}: schema {report.after} is the newest; nothing to do")
    else:
        done = f"upgraded from schema {report.before}" if report.before else "created with schema"
        kept = f"; the old one is {report.backup}" if report.backup else ""
        say(f"{settings.database.shown}: {done} {'to ' if report.before else ''}{report.after}{kept}")


@db_app.command("check")
def check_database(ctx: typer.Context) -> int:
    """Read the whole database and compare its schema with this program's; exits 1 when something is wrong."""
    from ringledger.ledger.errors import DatabaseMissing
    from ringledger.ledger.schema.migrate import check

    options = options_of(ctx)
    settings = options.settings()
    try:
        report = check(settings.database.url)
    except DatabaseMissing:
        if not settings.database.is_file:
            raise
        raise DatabaseMissing(missing(settings, "`ringledger db upgrade` creates it")) from None
    if options.json:
        found = {"version": report.version, "newest": report.newest, "problems": list(report.problems)}
        print_json({"path": settings.database.shown, **found})
    else:
        for problem in report.problems:
            say(problem)
        verdict = counted(len(report.problems), "problem") if report.problems else "all is well"
        say(f"{settings.database.shown}: schema {report.version} of {report.newest}, {verdict}")
    return int(Exit.DIFFERENCES if report.problems else Exit.OK)


@db_app.command("copy")
def copy_database(
    ctx: typer.Context,
    to: Annotated[str, typer.Option("--to", metavar="URL", help="The other database, as database.url names it.")],
) -> int:
    """Copy the ledger to another database, SQLite or PostgreSQL, and compare both; exits 1 when they differ.

    The daemon must not be running (75). A copy that was broken off goes on where it stood when it is asked for again;
    until it is complete no daemon opens the new database. Then set database.url to it and start the daemon: it goes on
    from the same position of the feed.
    """
    from ringledger.config.model import DatabaseSettings
    from ringledger.ledger.copy import copy

    options = options_of(ctx)
    settings = options.settings()
    if re.search(r"://[^/?#@:]*:[^/?#]*@|[?&]password=", to):
        raise usage("--to holds a password, which others on this machine can see; use ~/.pgpass or ?passwordfile=FILE")
    try:
        given = DatabaseSettings(url=to)
    except ValueError:
        raise usage("--to should be sqlite+aiosqlite:///PATH or postgresql://USER@HOST/DATABASE") from None
    done = asyncio.run(copy(settings.database.url, given.url))
    different = [one for one in done if not one.equal]
    if options.json:
        print_json({"from": settings.database.shown, "to": given.shown, "tables": [asdict(one) for one in done]})
    else:
        for one in done:
            found = "the same" if one.equal else f"DIFFERENT: {one.arrived} there"
            say(f"{one.table}: {counted(one.rows, 'row')}, {found}")
        rest = "they differ" if different else "verified; set database.url to it and start the daemon"
        say(f"{settings.database.shown} copied to {given.shown}: {rest}")
    return int(Exit.DIFFERENCES if different else Exit.OK)
