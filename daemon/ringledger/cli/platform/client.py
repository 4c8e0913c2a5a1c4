"""What the commands that ask the platform share: the client, the waits a person sees, and errors in plain words.

What must stay true: a refusal says what the platform said and what to do about it; what the platform refuses because of
what was typed is a usage error (64), a missing permission is 77, an outage 69, a penalty longer than --max-wait 75.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, Final, TypeVar

import typer

from ringledger.cli.context import console
from ringledger.cli.errors import Failure, usage
from ringledger.cli.ledger.filters import now_of, span_of
from ringledger.cli.terminal import say
from ringledger.config.model import Settings
from ringledger.exits import Exit
from ringledger.observability.logging import configure_logging

if TYPE_CHECKING:
    from ringledger.ringcentral.errors import BadRequest, NotFound, PermissionDenied
    from ringledger.service.commands.platform import OneShot

T = TypeVar("T")
#: Called while the log is read, with the number of records so far and the start of the oldest (ms).
Progress = Callable[[int, int], None]

MaxWait = Annotated[
    float,
    typer.Option(
        "--max-wait",
        min=0,
        metavar="SECONDS",
        help="Wait at most so long for the platform's rate limits, else exit with 75.",
    ),
]
Speed = Annotated[
    float,
    typer.Option(min=0.01, metavar="X", help="For a simulated platform: how many of its seconds pass in one."),
]
#: Patience with the platform's rate limits; a test compares it with the service's.
PATIENCE: Final = 120.0


def ask(
    settings: Settings,
    work: "Callable[[OneShot], Awaitable[T]]",
    *,
    max_wait: float = PATIENCE,
    speed: float = 1.0,
) -> T:
    """The result of ``work(one_shot)``. Raises :class:`Failure` and ``PlatformError``."""
    configure_logging("critical", settings.log.format, settings.log.numbers)
    return asyncio.run(_ask(settings, work, max_wait, speed))


async def _ask(settings: Settings, work: "Callable[[OneShot], Awaitable[T]]", max_wait: float, speed: float) -> T:
    from ringledger.ringcentral.api.pace import Pace
    from ringledger.ringcentral.errors import BadRequest, NotFound, PermissionDenied
    from ringledger.service.commands.platform import OutOfPatience, one_shot

    try:
        async with one_shot(settings, tell, max_wait=max_wait, pace=Pace(speed)) as asking:
            return await work(asking)
    except OutOfPatience as error:
        text = f"{error}, longer than --max-wait {max_wait:g}; try again then, or grant more"
        raise Failure(Exit.TRY_AGAIN, text) from None
    except (BadRequest, NotFound) as error:
        raise refused(error) from None
    except PermissionDenied as error:
        raise (error if error.permission else refused(error)) from None


def refused(error: "BadRequest | NotFound | PermissionDenied") -> Exception:
    """Return the usage error for a request the platform refused: its words and what to do about it."""
    from ringledger.ringcentral.errors import PermissionDenied
    from ringledger.ringcentral.remedies import REMEDIES

    words = str(error)
    if isinstance(error, PermissionDenied):  # a 403 that names no permission is about what was typed
        words = f"the platform refuses the request: {words.partition(': ')[2]}"
    return usage(f"{words}; {REMEDIES.get(error.code, 'check what you typed')}")


def tell(line: str) -> None:
    """Print a line on standard error, for the person who waits."""
    say(f"ringledger: {line}", stderr=True, flush=True)


def period(since: str, until: str | None, settings: Settings) -> tuple[int, int]:
    """From and until, ms; until now when not given. Raises ``FilterError`` for a period nothing can lie in."""
    first, last = span_of(since, until, settings)
    return first or 0, now_of(settings) if last is None else last


@contextmanager
def bar(what: str, since: int, until: int) -> Iterator[Progress]:
    """A progress bar on a terminal's standard error: the log is read from the newest call back to ``since``."""
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (
        TextColumn(what, markup=False),
        BarColumn(),
        TextColumn("{task.fields[records]} records", markup=False),
        TimeElapsedColumn(),
    )
    shown = console(stderr=True)
    with Progress(*columns, console=shown, transient=True, disable=not shown.is_terminal) as progress:
        task = progress.add_task("", total=until - since, records=0)

        def update(records: int, oldest: int) -> None:
            done = max(progress.tasks[0].completed, until - max(oldest, since))
            progress.update(task, completed=done, records=records)

        yield update


def telephone(text: str, region: str, what: str) -> str:
    """A number to be dialled, as E.164 or a short number. Raises :class:`Failure` when it is no telephone number."""
    from ringledger.numbers import normalise

    number = normalise(text, region)
    if number is None or not number.removeprefix("+").isascii() or not number.removeprefix("+").isdecimal():
        raise usage(f"{what} {text!r}: is no telephone number; write it like +16505551001")
    return number
