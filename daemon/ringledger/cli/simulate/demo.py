"""`demo`: a simulated platform, the real daemon against it, and the calls it recorded.

What must stay true: the daemon is the real one, in a process of its own, over real sockets; the demonstration checks
itself: the tutorial's flows with their exact figures, and every call the office made, must be in the database.
"""

import asyncio
import shutil
import signal
import sys
import tempfile
from collections.abc import Coroutine
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer
from rich.cells import cell_len
from rich.text import Text

from ringledger.cli.context import console, options_of, print_table
from ringledger.cli.errors import Failure, usage
from ringledger.cli.render import FOLDS, SPARE, calls_table, print_json, word
from ringledger.cli.simulate.process import DaemonProcess
from ringledger.cli.terminal import Terminal, bold
from ringledger.cli.times import counted, short, span
from ringledger.exits import Exit
from ringledger.ledger.read.filters import CallFilter

if TYPE_CHECKING:
    from ringledger.simulator import Simulator, Story

T = TypeVar("T")

#: The tutorial's flows, shipped with the package.
STORIES = ("flow1_and_2_rings_again.story", "flow3_ringout.story")
#: The office: calls begin during this many simulated seconds; the longest then go on for five minutes.
OFFICE_SECONDS = 120
LONGEST_CALL_SECONDS = 300
CALLS_PER_HOUR = 540
#: The platform's past, which the daemon reads from its call log at its start: something to ask about yesterday.
PAST_DAYS = 7
PAST_CALLS_PER_HOUR = 8
#: A seed whose two minutes have one call of every kind.
SEED = 99
#: What a person may ask the file.
QUESTION = "select session_id, direction, disposition, ring_seconds, talk_seconds from calls"
#: How long the daemon may take to subscribe, and to write what it has heard; real seconds.
START_SECONDS = 60.0
SETTLE_SECONDS = 30.0
#: How long the platform's own verdicts are waited for after that; they are no condition of success.
VERDICT_SECONDS = 6.0


class DemoTransport(StrEnum):
    """What ``--transport`` takes."""

    PUBNUB = "pubnub"
    WEBSOCKET = "websocket"


@dataclass(frozen=True, slots=True)
class DemoResult:
    """What the database says at the end."""

    calls: list[dict[str, Any]]
    sessions: list[dict[str, Any]]
    open_calls: int

    def since(self, begun: str) -> list[dict[str, Any]]:
        """The calls that began then or later (the database's text)."""
        return [row for row in self.calls if row["started_at"] >= begun]


def demo(
    ctx: typer.Context,
    transport: Annotated[DemoTransport, typer.Option(help="How events reach the daemon.")] = DemoTransport.PUBNUB,
    speed: Annotated[float, typer.Option(min=1, max=200, help="Simulated seconds per second.")] = 20,
    db: Annotated[
        Path | None, typer.Option(metavar="PATH", help="The database; a new file in a new directory if not given.")
    ] = None,
    keep: Annotated[bool, typer.Option("--keep", help="Go on until Ctrl-C, for looking around.")] = False,
) -> None:
    """A simulated platform, the daemon, and the calls it records.

    Plays the tutorial's flows and a busy office, and shows each call as the daemon writes it, then all of them. A week
    of calls before that is in the platform's call log, and after a moment in the database too.
    Exits 0 when every call is in the database with the right figures, 1 otherwise. Needs no account and no network.
    """
    database = _database(db)
    show = Show(console(stderr=options_of(ctx).json), speed)
    result = asyncio.run(_demonstrate(database, transport, speed, keep=keep, show=show))
    if options_of(ctx).json:
        print_json(result.since(show.begun))
    show.result(result, database)


def _database(wanted: Path | None) -> Path:
    if wanted is None:
        return Path(tempfile.mkdtemp(prefix="ringledger-demo-")) / "ringledger.db"
    if wanted.exists():
        raise usage(f"--db {wanted}: exists already; name a new file")
    if not wanted.absolute().parent.is_dir():
        raise usage(f"--db {wanted}: {wanted.parent} is no directory; create it first")
    return wanted.absolute()


async def _demonstrate(
    database: Path, transport: DemoTransport, speed: float, *, keep: bool, show: "Show"
) -> DemoResult:
    """Everything; raises :class:`Failure` when a call is missing or wrong."""
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, _cancel_this_task())
    sim = _platform(speed)
    async with sim, DaemonProcess(_settings(sim, database, transport), _log_of(database), show.event) as daemon:
        show.start(sim.url, daemon.pid, database, sim.clock.now_ms())
        await _unless_it_ends(daemon, sim.wait_polling(timeout=START_SECONDS), "the daemon did not subscribe")
        stories = _stories(sim)
        await _unless_it_ends(daemon, _play(sim, stories), "the calls were not played")
        result = await _unless_it_ends(daemon, _recorded(sim, stories, database), "the database was not read")
        if keep:
            show.keeping(database)
            await _unless_it_ends(daemon, sim.run_office(_office(sim)), "")
        if code := await daemon.stop():
            raise Failure(Exit.INTERNAL, f"the daemon ended with {code}; its log is {daemon.log}")
    if wrong := problems(sim, stories, result):
        raise Failure(Exit.DIFFERENCES, f"the demonstration failed: {wrong[0]}; the log is {_log_of(database)}")
    return result


def _cancel_this_task() -> Any:
    task = asyncio.current_task()
    return task.cancel if task is not None else None


async def _unless_it_ends(daemon: DaemonProcess, work: Coroutine[Any, Any, T], late: str) -> T:
    """The result of ``work``, unless the daemon ends first."""
    working, watching = asyncio.ensure_future(work), asyncio.ensure_future(daemon.watch())
    try:
        await asyncio.wait({working, watching}, return_when=asyncio.FIRST_COMPLETED)
        if not working.done():
            watching.result()
        return working.result()
    except TimeoutError:
        raise Failure(Exit.INTERNAL, f"{late} in time; its log is {daemon.log}") from None
    finally:
        working.cancel()
        watching.cancel()


# -- the platform's side ---------------------------------------------------------------------------------------------


def _platform(speed: float, *, past_days: int = PAST_DAYS) -> "Simulator":
    """A platform whose time began so long ago that it never overtakes ours."""
    from ringledger.simulator import Options, Pbx, SimClock, Simulator, remember

    past = OFFICE_SECONDS + LONGEST_CALL_SECONDS + speed * 30
    clock = SimClock(datetime.now(UTC) - timedelta(seconds=past), speed=speed)
    pbx = Pbx()
    for story in _shipped():
        for extension in story.extensions:
            pbx.add_extension(extension)
    span = past_days * 86_400_000
    users = [one for one in pbx.extensions.values() if len(one.id) == 4]
    remember(pbx, users, now=clock.now_ms(), span=span, calls_per_hour=PAST_CALLS_PER_HOUR, seed=SEED)
    return Simulator(clock=clock, pbx=pbx, options=Options(real_lifetimes=True))


def _shipped() -> "list[Story]":
    from ringledger.simulator import load_story

    folder = files("ringledger.simulator") / "stories"
    return [load_story((folder / name).read_text(encoding="utf-8")) for name in STORIES]


def _stories(sim: "Simulator") -> "list[Story]":
    """The tutorial's flows, moved to the simulated present."""
    now = sim.clock.now_ms()
    return [story.shifted(now - story.deliveries[0].at) for story in _shipped()]


def _office(sim: "Simulator") -> Any:
    from ringledger.simulator import Office

    users = [one for one in sim.pbx.extensions.values() if len(one.id) == 4]
    return Office(users, calls_per_hour=CALLS_PER_HOUR, seed=SEED)


async def _play(sim: "Simulator", stories: "list[Story]") -> None:
    until = sim.clock.now_ms() + OFFICE_SECONDS * 1000
    flows = [sim.play_story(story, forced=False) for story in stories]
    await asyncio.gather(*flows, sim.run_office(_office(sim), until=until))


# -- the daemon's side -----------------------------------------------------------------------------------------------


def _settings(sim: "Simulator", database: Path, transport: DemoTransport) -> dict[str, str]:
    """The daemon's whole configuration; what the platform's time rules is scaled to its speed."""
    speed, known = sim.clock.speed, sim.options.credentials
    return {
        "platform.server_url": sim.url,
        "platform.extensions": "all",
        "credentials.client_id": known.client_id,
        "credentials.client_secret": known.client_secret,
        "credentials.jwt": known.jwt,
        "feed.transport": transport,
        "feed.pubnub_origin": sim.url,
        "calls.settle_seconds": str(10 / speed),
        "poll.interval_seconds": str(max(1.0, 180 / speed)),
        "confirm.sync_interval_seconds": str(max(1.0, 60 / speed)),
        "backfill.max_days": str(PAST_DAYS + 1),
        "database.url": f"sqlite+aiosqlite:///{database}",
        "log.format": "json",
        "log.numbers": "full",  # invented ones
    }


def _log_of(database: Path) -> Path:
    return database.with_suffix(".log")


async def _recorded(sim: "Simulator", stories: "list[Story]", database: Path) -> DemoResult:
    """What the database says once everything is in it, or after a while whatever it says."""
    from ringledger.ledger.write.store import Ledger

    ledger = await Ledger.open(f"sqlite+aiosqlite:///{database}", read_only=True)
    try:
        clock = asyncio.get_running_loop().time
        deadline = clock() + SETTLE_SECONDS
        complete: float | None = None
        while True:
            result = await _read(ledger.reader)
            if not problems(sim, stories, result):
                complete = clock() if complete is None else complete
                if not _unconfirmed(sim, result) or clock() > complete + VERDICT_SECONDS:
                    return result
            elif clock() > deadline:
                return result
            await asyncio.sleep(0.25)
    finally:
        await ledger.close()


async def _read(reader: Any) -> DemoResult:
    from ringledger.ledger.read import queries

    sessions = await queries.calls(reader, CallFilter(with_parts=True))
    calls = await queries.calls(reader)
    return DemoResult(calls, sessions, len(await queries.active_calls(reader)))


def _unconfirmed(sim: "Simulator", result: DemoResult) -> bool:
    """Whether the platform has yet to say its word on a call of the office; it keeps no books of stories."""
    office = {truth.session_id for truth in sim.pbx.truth()}
    return any(row["confirmed_at"] is None for row in result.calls if row["session_id"] in office)


def problems(sim: "Simulator", stories: "list[Story]", result: DemoResult) -> list[str]:
    """What the database lacks or says wrongly, as sentences; none is good."""
    rows = {row["session_id"]: row for row in result.sessions}
    found = [f"call {truth.session_id} is missing" for truth in sim.pbx.truth() if truth.session_id not in rows]
    for expected in (row for story in stories for row in story.expected):
        row = rows.get(expected["session_id"])
        if row is None:
            found.append(f"call {expected['session_id']} of the tutorial is missing")
            continue
        found += [
            f"call {row['session_id']} of the tutorial has {column} {row[column]!r} instead of {value!r}"
            for column, value in expected.items()
            if row[column] != value
        ]
    if result.open_calls:
        found.append(f"{counted(result.open_calls, 'call is', 'calls are')} still open")
    return found


# -- what is seen ----------------------------------------------------------------------------------------------------


class Show:
    """Tells a person what happens, line by line."""

    def __init__(self, out: Terminal, speed: float) -> None:
        self._out = out
        self._speed = speed
        self._shown: dict[str, str] = {}
        #: When the demonstration began, in the platform's time.
        self.begun = ""

    def start(self, url: str, pid: int, database: Path, now: int) -> None:
        """Who is there. ``now``: the platform's time, ms."""
        from ringledger.ledger.times import to_text

        self.begun = to_text(now)
        speed = f"  {url}, {self._speed:g} times as fast as life"
        self._out.print(bold("simulated platform").append(speed, style="not bold"))
        daemon = f"              process {pid}, log in {_log_of(database)}"
        self._out.print(bold("daemon").append(daemon, style="not bold"), soft_wrap=True)
        self._out.print()
        self._out.print(bold("calls as the daemon records them"))

    def event(self, event: dict[str, Any]) -> None:
        """One line of the daemon's log; what is amended in no figure shown here is not shown again."""
        if event.get("event") in {"call.finished", "call.amended"} and event["started_at"] >= self.begun:
            line = self._line(event)
            if self._shown.get(event["session_id"]) != line.plain:
                self._shown[event["session_id"]] = line.plain
                if remarks := _remarks(event):
                    behind = cell_len(line.plain) + len(remarks) + 2 <= self._out.width
                    line.append(f"  {remarks}" if behind else f"\n{' ' * 14}{remarks}", style="dim")
                self._out.print(line, soft_wrap=True)

    def _line(self, row: dict[str, Any]) -> Text:
        line = Text(f"{short(row['started_at'])[6:]}  ")
        line.append("int " if row["internal"] else "in  " if row["direction"] == "Inbound" else "out ")
        line.append(f"{row['from_number'] or 'withheld':>12} → {row['to_number'] or '':<12}  ")
        line.append_text(word(row["disposition"]))
        line.append(" " * (11 - len(row["disposition"])) + f"ring {span(row['ring_seconds']):>6}")
        if row["answered_at"]:
            line.append(f"  talk {span(row['talk_seconds']):>6}")
        return line

    def result(self, result: DemoResult, database: Path) -> None:
        """The table, and how to ask for more."""
        out = self._out
        out.print()
        shown = result.since(self.begun)
        out.print(bold(f"{counted(len(shown), 'call')} of this demonstration"))
        print_table(calls_table(shown), spare=SPARE, folds=FOLDS, out=out)
        out.print("\nThe tutorial's flows are there with their exact figures, and every call of the office.")
        before = counted(len(result.calls) - len(shown), "call")
        out.print(f"From the platform's call log came {before} of the {PAST_DAYS} days before: ask about yesterday.")
        out.print(bold("look yourself"))
        out.print(f'  sqlite3 {database} "{QUESTION}"', soft_wrap=True)
        out.print(f"  export RINGLEDGER_DATABASE__URL=sqlite+aiosqlite:///{database}", soft_wrap=True)
        for command in ("calls --limit 20", "stats --by day", "stats --by extension --since yesterday --until today"):
            out.print(f"  {_typed()} {command}", soft_wrap=True)
        out.print(bold("see it in a browser, after the export above"))
        out.print(f"  RINGLEDGER_LOG__NUMBERS=full {_typed()} serve", soft_wrap=True)

    def keeping(self, database: Path) -> None:
        """The demonstration goes on."""
        self._out.print()
        line = bold("going on until Ctrl-C").append(f"; the database is {database}", style="not bold")
        self._out.print(line, soft_wrap=True)


def _remarks(event: dict[str, Any]) -> str:
    """What else there is to say of a call."""
    inner = ["(inner leg of a RingOut)"] if event["part_of"] else []
    return " ".join([*inner, "(corrected)"] if event["event"] == "call.amended" else inner)


def _typed() -> str:
    """What to type for this program here: its name where the shell finds it, else the path it was started by."""
    called = Path(sys.argv[0])
    return str(called) if called.name == "ringledger" and shutil.which("ringledger") is None else "ringledger"
