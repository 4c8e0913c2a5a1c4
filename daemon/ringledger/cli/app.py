"""The program: global options, the list of commands, and the one place where every error becomes an exit code.

What must stay true: usage errors are 64; a reader that goes away (`| head`) is no error.
"""

import os
import sys
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.completion import get_completion_inspect_parameters

from ringledger import __version__, tracker_kind
from ringledger.cli.context import GlobalOptions, hoisted, rest_of
from ringledger.cli.errors import told, usage
from ringledger.cli.help import PlainCommand, PlainGroup
from ringledger.cli.ledger.active import active, presence
from ringledger.cli.ledger.audit import audit
from ringledger.cli.ledger.backfill import backfill
from ringledger.cli.ledger.calls import calls_app
from ringledger.cli.ledger.coverage import coverage
from ringledger.cli.ledger.explain import show
from ringledger.cli.ledger.export import export
from ringledger.cli.ledger.replay import replay
from ringledger.cli.ledger.stats import stats
from ringledger.cli.operate.completion import completion
from ringledger.cli.operate.configuration import check_config
from ringledger.cli.operate.database import db_app
from ringledger.cli.operate.doctor import doctor
from ringledger.cli.operate.purge import purge
from ringledger.cli.operate.quarantine import quarantine_app
from ringledger.cli.operate.run import run
from ringledger.cli.operate.serve import serve
from ringledger.cli.operate.webhooks import webhooks_app
from ringledger.cli.platform.auth import auth_app
from ringledger.cli.platform.messages import pager, sms
from ringledger.cli.platform.query import platform_app
from ringledger.cli.platform.ringout import ringout_app
from ringledger.cli.simulate.demo import demo
from ringledger.cli.simulate.simulate import simulate
from ringledger.cli.terminal import say
from ringledger.cli.top.top import top
from ringledger.exits import Exit

EPILOG = (
    "Everywhere: --config PATH (or RINGLEDGER_CONFIG), --account NAME where there are several, --json on what prints "
    "data, --no-color."
)
#: What has nothing to do with one account.
OF_ALL = frozenset({"run", "serve", "demo", "simulate", "completion", "db", "webhooks", "replay"})
COMPLETE = "_RINGLEDGER_COMPLETE"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit code. Raises ``KeyboardInterrupt``."""
    words = hoisted(list(sys.argv[1:] if arguments is None else arguments))
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:  # closed by the parent process: it is not read
            setattr(sys, name, Path(os.devnull).open("w", encoding="utf-8"))  # noqa: SIM115 - to the end
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")
    try:
        code = _run(words)
        sys.stdout.flush()
    except BrokenPipeError:
        return _unread()
    except SystemExit as ended:  # rich ends so when its reader has gone, completion when it is done
        return _unread() if not os.environ.get(COMPLETE) else int(ended.code or 0)
    except typer.Abort:
        raise KeyboardInterrupt from None
    except Exception as error:  # noqa: BLE001 - the last resort: told in one line
        return told(error, _options, command=next((word for word in rest_of(words) if not word.startswith("-")), ""))
    return code


_options = GlobalOptions()


def _unread() -> int:
    """Whoever read has seen enough; the interpreter must not complain when it flushes at its end."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    return int(Exit.OK)


@cache
def _command() -> Any:
    """The tree of commands; made once, for it takes longer than most of what they do."""
    return typer.main.get_command(app)


def _run(words: list[str]) -> int:
    command = _command()
    if os.environ.get(COMPLETE):
        get_completion_inspect_parameters()  # makes typer know the shells
        command.main(args=words, prog_name="ringledger", complete_var=COMPLETE)
    try:
        with command.make_context("ringledger", words) as context:
            result = command.invoke(context)
    except typer.Exit as ended:
        return int(ended.exit_code)
    return int(result) if isinstance(result, int) else int(Exit.OK)


def _version(wanted: bool) -> None:
    if wanted:
        say(f"ringledger {__version__} (tracker: {tracker_kind()})")
        raise typer.Exit


def _no_color(wanted: bool) -> None:
    if wanted:
        os.environ["NO_COLOR"] = "1"


app = typer.Typer(
    name="ringledger",
    cls=PlainGroup,
    help="Keeps an exact ledger of a RingCentral account's calls.",
    epilog=EPILOG,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
)


@app.callback()
def program(
    ctx: typer.Context,
    config: Annotated[
        Path | None,
        typer.Option(metavar="PATH", readable=False, help="The configuration file; else RINGLEDGER_CONFIG."),
    ] = None,
    account: Annotated[
        str | None, typer.Option(metavar="NAME", help="Of several accounts the one that is meant.")
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print data as JSON.")] = False,
    no_color: Annotated[  # noqa: ARG001 - its callback has done the work
        bool, typer.Option("--no-color", callback=_no_color, help="No colours.")
    ] = False,
    version: Annotated[  # noqa: ARG001 - its callback has done the work
        bool,
        typer.Option("--version", callback=_version, is_eager=True, help="The version, and how the tracker runs."),
    ] = False,
) -> None:
    """Read the options that hold for every command."""
    if account is not None and ctx.invoked_subcommand in OF_ALL:
        raise usage(f"--account: `{ctx.invoked_subcommand}` is about all accounts; leave it out")
    _options.config, _options.json, _options.account = config, json, account
    ctx.obj = _options


def _register() -> None:
    """Every command; the help lists them in an order of its own."""
    _commands(run, demo, simulate)
    calls_app.command()(show)
    app.add_typer(calls_app, name="calls", epilog=EPILOG)
    _commands(active, presence, top, serve, coverage, stats, export)
    _commands(audit, backfill)
    app.add_typer(platform_app, name="platform", epilog=EPILOG)
    app.add_typer(ringout_app, name="ringout", epilog=EPILOG)
    _commands(sms, pager)
    app.add_typer(auth_app, name="auth", epilog=EPILOG)
    app.command("check-config", epilog=EPILOG)(check_config)
    _commands(doctor)
    app.add_typer(db_app, name="db", epilog=EPILOG)
    _commands(purge)
    app.add_typer(webhooks_app, name="webhooks", epilog=EPILOG)
    app.add_typer(quarantine_app, name="quarantine", epilog=EPILOG)
    _commands(replay, completion)
    for family in [app, *(one.typer_instance for one in app.registered_groups)]:
        for command in family.registered_commands if family is not None else ():
            command.cls = PlainCommand


def _commands(*functions: Callable[..., Any]) -> None:
    for function in functions:
        app.command(epilog=EPILOG)(function)


_register()
