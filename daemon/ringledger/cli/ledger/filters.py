"""The options that say which calls: made from the one declaration of filters, the same on every command.

What must stay true: a command takes a filter by its name alone; spelling, help and reading are those of
:mod:`ringledger.ledger.read.filters`.
"""

import inspect
import time
from collections.abc import Callable
from dataclasses import replace
from functools import wraps
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ringledger.cli.context import account_id, read
from ringledger.ledger.read.filters import FILTERS, CallFilter, chosen, moment, period
from ringledger.ledger.read.periods import WHEN

if TYPE_CHECKING:
    from ringledger.config.model import Settings

Command = Callable[..., Any]
#: The texts of the filters that were given, by name.
Asked = dict[str, str | bool | None]

Since = Annotated[str | None, typer.Option("--since", metavar="TIME", help=f"From then on: {WHEN}.")]
From = Annotated[str, typer.Option("--since", metavar="TIME", help=f"From then on: {WHEN}.")]
Until = Annotated[str | None, typer.Option("--until", metavar="TIME", help="Before then.")]


def filtered(*names: str) -> Callable[[Command], Command]:
    """Give a command the options of these filters; it gets what was typed as its argument ``asked``."""

    def decorate(command: Command) -> Command:
        @wraps(command)
        def run(*arguments: Any, **options: Any) -> Any:
            given = {name: options.pop(name) for name in names}
            asked = {name: value for name, value in given.items() if value is not None and value is not False}
            return command(*arguments, asked=asked, **options)

        signature = inspect.signature(command)
        parameters: list[inspect.Parameter] = []
        for one in signature.parameters.values():
            made = [_parameter(name) for name in names] if one.name == "asked" else [one]
            parameters += [each.replace(kind=inspect.Parameter.KEYWORD_ONLY) for each in made]
        run.__signature__ = signature.replace(parameters=parameters)  # type: ignore[attr-defined]
        run.__annotations__ = {one.name: one.annotation for one in parameters} | {"return": signature.return_annotation}
        return run

    return decorate


def _parameter(name: str) -> inspect.Parameter:
    """The option of one filter. Texts are read by the command: only the configuration knows zone and region."""
    one = FILTERS[name]
    option = typer.Option(f"--{name}", metavar=one.metavar or None, help=one.help)
    kind: Any = Annotated[str | None, option] if one.metavar else Annotated[bool, option]
    default = None if one.metavar else False
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=kind)


def call_filter(asked: Asked, settings: "Settings") -> CallFilter:
    """The filter of what was typed. Raises ``FilterError`` for what can match nothing."""
    from ringledger.numbers import normalise

    region = settings.platform.default_region
    now = now_of(settings) if asked.keys() & {"since", "until"} else now_ms()
    return chosen(asked, now_ms=now, zone=settings.report.zone, read_number=lambda text: normalise(text, region))


async def of_account(engine: Any, wanted: CallFilter, settings: "Settings") -> CallFilter:
    """The filter for the account that was named, if one was. Raises ``FilterError`` for what can match nothing."""
    from ringledger.ledger.read import queries

    wanted = replace(wanted, account_id=await account_id(engine, settings))
    await queries.judge(engine, wanted)
    return wanted


def none_found(asked: Asked) -> str:
    """What is said instead of an empty table: of what there is none."""
    if asked.keys() - {"since", "until"}:
        return "no such call in this time" if asked.keys() & {"since", "until"} else "no such call"
    return "no call in this time" if asked else "no call has been recorded yet"


def span_of(since: str | None, until: str | None, settings: "Settings") -> tuple[int | None, int | None]:
    """From and until, ms. Raises ``FilterError`` for what is no time, and for a period nothing can lie in."""
    now = now_ms() if since is None and until is None else now_of(settings)
    return period(since, until, now_ms=now, zone=settings.report.zone)


def past(option: str, text: str, settings: "Settings") -> int:
    """Return the time that an option names, ms. Raises ``FilterError`` for a text that names none."""
    return moment(option, text, now_ms=now_ms(), zone=settings.report.zone)


def now_of(settings: "Settings") -> int:
    """Now where calls are made, ms: a simulated platform's clock may run ahead of this machine's, and so may the times
    in its ledger."""
    if settings.platform.is_ringcentral:
        return now_ms()
    from ringledger.ledger.errors import LedgerError
    from ringledger.ledger.read import queries

    try:
        newest = read(settings, queries.newest)
    except LedgerError:  # the command says so itself, if it needs the ledger
        newest = None
    return max(now_ms(), newest or 0)


def now_ms() -> int:
    """Now, by this machine's clock, ms."""
    return time.time_ns() // 1_000_000
