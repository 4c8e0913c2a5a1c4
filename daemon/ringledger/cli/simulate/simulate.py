"""`simulate`: the simulated platform alone, for developing against.

What must stay true: what it prints at its start is a configuration that works as it stands.
"""

import asyncio
import os
import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ringledger.cli.errors import Failure, usage
from ringledger.cli.operate.run import stop_on_signals
from ringledger.cli.terminal import console, say, say_lines
from ringledger.durations import DAY_MS
from ringledger.exits import Exit

if TYPE_CHECKING:
    from ringledger.simulator import Extension, Office, Pbx, Simulator, Story

#: How long a daemon is waited for before stories begin, seconds.
PATIENCE_SECONDS = 3600.0

CONFIGURATION = """\
[platform]
server_url = "{url}"
extensions = ["all"]

[credentials]
client_id = "{client_id}"
client_secret = "{client_secret}"
{login}

[feed]
transport = "websocket"         # "pubnub" works as well: then the next line is what it connects to
pubnub_origin = "{url}"

[calls]
settle_seconds = {settle:g}

[poll]
interval_seconds = {poll:g}

[confirm]
sync_interval_seconds = {sync:g}

[backfill]
max_days = {days}

[database]
url = "sqlite+aiosqlite:///{database}"
"""

_HISTORY = re.compile(r"([0-9]{1,4})([hdw])")
_HOURS = {"h": 1, "d": 24, "w": 168}
#: The longest past, hours.
LONGEST_PAST = 366 * 24
#: Calls of a busy hour of the past when no office goes on.
PAST_CALLS_PER_HOUR = 20.0


def simulate(
    host: Annotated[str, typer.Option(help="Where to listen.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="0: any free one.")] = 0,
    scenario: Annotated[
        list[Path] | None, typer.Option(metavar="FILE", help="A call story to play; may be repeated.")
    ] = None,
    calls_per_hour: Annotated[
        float, typer.Option(min=0, max=100_000, help="A random office makes that many; 0: none.")
    ] = 60,
    history: Annotated[
        str | None,
        typer.Option(metavar="SPAN", help="A past with calls in the platform's log: 30d, 12h, 4w; at most a year."),
    ] = None,
    extensions: Annotated[int, typer.Option(min=2, max=1000, help="Users of the account.")] = 5,
    seed: Annotated[int, typer.Option(help="The same seed, the same office.")] = 0,
    speed: Annotated[
        float,
        typer.Option(min=0.01, max=3600, help="Simulated seconds per second; its clock runs away from the wall's."),
    ] = 1,
    legacy_2015: Annotated[bool, typer.Option("--legacy-2015", help="Grant the password login of 2015.")] = False,
    fault: Annotated[
        list[str] | None, typer.Option(metavar="NAME", help="A fault, as NAME, NAME=RATE or NAME=3x; may be repeated.")
    ] = None,
) -> None:
    """The simulated platform alone, until Ctrl-C.

    Prints its address and a configuration that is ready to paste. Stories begin when a daemon has subscribed. With
    --history the platform's call log begins that long ago, with busy days and quiet weekends; a daemon with the printed
    configuration reads it at its start.

    With --speed N the platform's clock, and with it every time in the ledger, is N - 1 seconds further ahead of the
    wall's after each second. --since and --until follow it: --since 10m means ten minutes of the platform's. What runs
    is shown too short: the durations in `top`, and the open calls' ages in `doctor`.
    """
    from ringledger.simulator import (
        Office,
        Options,
        SimClock,
        Simulator,
        default_extensions,
        remember,
    )

    _check_faults(fault or ())
    hours = 0 if history is None else history_hours(history)
    stories = [story_of(path) for path in scenario or ()]
    users = default_extensions(extensions)
    pbx = _exchange(users, stories, seed)
    office = Office(users, calls_per_hour=calls_per_hour, seed=seed) if calls_per_hour else None
    options = Options(legacy_2015=legacy_2015, real_lifetimes=True, faults=tuple(fault or ()), fault_seed=seed)
    sim = Simulator(clock=SimClock(speed=speed), pbx=pbx, options=options)
    if hours:
        often = calls_per_hour or PAST_CALLS_PER_HOUR
        now, span = sim.clock.now_ms(), hours * 3_600_000
        with _past_shown(now - span, now) as on_call:
            remember(pbx, users, now=now, span=span, calls_per_hour=often, seed=seed, on_call=on_call)
    asyncio.run(_run(sim, stories, office, host, port, hours))


@contextmanager
def _past_shown(since: int, until: int) -> Iterator[Callable[[int], None]]:
    """A progress bar on a terminal's standard error: a year of calls takes a while to make."""
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn

    shown = console(stderr=True)
    columns = TextColumn("making the calls of the past", markup=False), BarColumn(), TaskProgressColumn()
    with Progress(*columns, console=shown, transient=True, disable=not shown.is_terminal) as progress:
        task, told = progress.add_task("", total=until - since), since

        def on_call(at: int) -> None:
            nonlocal told
            if at - told > DAY_MS:
                told = at
                progress.update(task, completed=at - since)

        yield on_call


def _check_faults(texts: Iterable[str]) -> None:
    """Raise :class:`Failure` for what is no fault."""
    from ringledger.simulator import parse_fault

    for text in texts:
        try:
            parse_fault(text)
        except ValueError as error:
            raise usage(f"--fault {text}: {error}") from None


def _exchange(users: "list[Extension]", stories: "list[Story]", seed: int) -> "Pbx":
    """The exchange of these users, and of those the stories tell of."""
    from ringledger.simulator import Pbx

    pbx = Pbx(users, seed=seed)
    for extension in (extension for story in stories for extension in story.extensions):
        pbx.add_extension(extension)
    return pbx


def history_hours(text: str) -> int:
    """Return the hours of a past. Raises :class:`Failure` for a text that is no length of time."""
    found = _HISTORY.fullmatch(text.strip().lower())
    hours = int(found[1]) * _HOURS[found[2]] if found else 0
    if not 0 < hours <= LONGEST_PAST:
        raise usage(f"--history {text!r} is no span of time up to a year; write 30d, 12h or 4w")
    return hours


async def _run(
    sim: "Simulator", stories: "list[Story]", office: "Office | None", host: str, port: int, hours: int
) -> None:
    """Listen, play, and end in good order on SIGTERM or SIGINT."""
    try:
        await sim.start(host, port)
    except OSError as error:
        raise Failure(Exit.IO, f"{host}:{port}: cannot listen: {os.strerror(error.errno or 0)}") from None
    stopped = asyncio.Event()
    stop_on_signals(lambda _: stopped.set())
    _introduce(sim, legacy_2015=sim.options.legacy_2015, speed=sim.clock.speed, hours=hours)
    playing = [asyncio.create_task(_play(sim, stories))] if stories else []
    if office is not None:
        playing.append(asyncio.create_task(sim.run_office(office)))
    try:
        await _until(stopped, playing)
    finally:
        for task in playing:
            task.cancel()
        await sim.stop()


def story_of(path: Path) -> "Story":
    """The story of a file. Raises :class:`Failure` that names the line."""
    from ringledger.simulator import StoryError, load_story

    try:
        return load_story(path)
    except StoryError as error:
        raise usage(f"{path}: {error}") from None


def configuration(sim: "Simulator", *, legacy_2015: bool, speed: float, database: str, hours: int = 0) -> str:
    """The TOML a daemon needs for this simulated platform, whose past is so many ``hours`` long."""
    known = sim.options.credentials
    login = f'username = "{known.username}"\npassword = "{known.password}"' if legacy_2015 else f'jwt = "{known.jwt}"'
    return CONFIGURATION.format(
        url=sim.url,
        client_id=known.client_id,
        client_secret=known.client_secret,
        login=login,
        settle=max(0.5, 10 / speed),
        poll=max(1.0, 180 / speed),
        sync=max(1.0, 60 / speed),
        days=max(7, -(-hours // 24) + 1),
        database=database,
    )


def _introduce(sim: "Simulator", *, legacy_2015: bool, speed: float, hours: int) -> None:
    say(f"# A simulated platform listens at {sim.url}; Ctrl-C ends it.")
    say("# Save the following as sim.toml and start the daemon: ringledger run --config sim.toml")
    say()
    database = "ringledger-sim.db"
    say_lines(configuration(sim, legacy_2015=legacy_2015, speed=speed, database=database, hours=hours), flush=True)


async def _play(sim: "Simulator", stories: "list[Story]") -> None:
    """Play one story after another, each moved to the present, once a client is subscribed."""
    await sim.wait_polling(timeout=PATIENCE_SECONDS)
    for story in stories:
        say(f"# {_now()} plays: {story.name}", flush=True)
        await sim.play_story(story, rebase=True)
        say(f"# {_now()} played: {story.name}", flush=True)


async def _until(stopped: asyncio.Event, playing: list["asyncio.Task[None]"]) -> None:
    """Until Ctrl-C; a player that fails ends it too."""
    waiting = asyncio.create_task(stopped.wait())
    pending: set[asyncio.Task[object]] = {waiting, *playing}
    while not stopped.is_set():
        done, pending = await asyncio.wait(pending, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()
    waiting.cancel()


def _now() -> str:
    return datetime.now(UTC).strftime("%H:%M:%S")
