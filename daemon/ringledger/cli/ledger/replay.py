"""`replay`: recorded events through this version's tracker, into a scratch database.

What must stay true: time is that at which the facts came (a plain notification does not say: that at which it was
sent), so a replay of a day takes seconds and comes out the same each time; an answer that was outranked by what had
been heard since its question is outranked again; the real database is only read.
"""

import asyncio
import sys
import tempfile
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ringledger.cli.context import console, options_of, print_table
from ringledger.cli.errors import Failure, usage
from ringledger.cli.ledger.calls import FullNumbers
from ringledger.cli.ledger.filters import Since, past
from ringledger.cli.render import FOLDS, SPARE, calls_table, masked_rows, print_json
from ringledger.cli.terminal import say
from ringledger.cli.times import counted
from ringledger.exits import Exit
from ringledger.ledger.read.filters import CallFilter

if TYPE_CHECKING:
    from ringledger.config.model import Settings
    from ringledger.domain.observation import RecordClaim
    from ringledger.domain.tracked import SavedCall
    from ringledger.ledger.write.store import Ledger
    from ringledger.ringcentral.decode.recording import Recorded
    from ringledger.service.commands.playback import Playback

Row = dict[str, Any]
#: Account and session.
Key = tuple[str, str]
#: Columns that say when and how often a row was written, or who an extension is now: not what is true of the call.
ABOUT_WRITING = frozenset({"updated_at", "revision", "extension_number", "extension_name"})
#: Columns that only the platform's books fill: left out when a recording has no records.
BOOKED = frozenset({"result", "result_source", "confirmed_at"})
#: Observations between two commits to the scratch database.
BATCH = 500


@dataclass(frozen=True, slots=True)
class ReplayDifference:
    """One column of one call that comes out different; ``None`` for ``column``: the call is in one of them only."""

    session_id: str
    column: str | None
    recorded: Any
    replayed: Any


@dataclass(slots=True)
class ReportedCalls:
    """Calls by what reported them: presence (``shown``), or a record of a finished call (``booked``)."""

    shown: set[Key] = field(default_factory=set)
    booked: set[Key] = field(default_factory=set)

    #: Payloads that could not be read, and were put aside.
    unreadable: int = 0

    def add(self, seen: "Recorded | RecordClaim") -> None:
        """Note the calls that are spoken of."""
        from ringledger.domain.observation import PresenceObservation, RecordClaim, Unreadable
        from ringledger.ringcentral.decode.recording import RecordedListing

        if isinstance(seen, RecordClaim):
            if seen.call_session_id and seen.result and not seen.running:
                self.booked.add((seen.account_id, seen.call_session_id))
        elif isinstance(seen, PresenceObservation):
            self.shown.update((seen.account_id, item.call_session_id) for item in seen.items if item.call_session_id)
        elif isinstance(seen, RecordedListing):
            self.unreadable += len(seen.unreadable)
            for claim in seen.claims:
                self.add(claim)
        else:
            self.unreadable += isinstance(seen, Unreadable)

    def add_call(self, call: "SavedCall") -> None:
        """Note a call of the journal."""
        key = (call.account_id, call.session_id)
        if any(event.items for event in call.events) or any(read.items for read in call.reads) or call.summary:
            self.shown.add(key)
        if any(record.claim.result and not record.claim.running for record in call.records):
            self.booked.add(key)


@dataclass(frozen=True, slots=True)
class LedgerCalls:
    """The ledger's finished calls before its journal was read, and those of whose events the journal has accepted one:
    a call is told whole by a record, but not by events that were too late for it."""

    finished: set[Key]
    accepted: set[Key]

    def of(self, told: ReportedCalls) -> set[Key]:
        """The calls a replay of what was told has to bring out."""
        return self.finished & (told.booked | (told.shown & self.accepted))


def replay(
    ctx: typer.Context,
    file: Annotated[
        Path | None, typer.Argument(metavar="FILE", readable=False, help="A recording, one JSON object a line.")
    ] = None,
    journal: Annotated[bool, typer.Option("--journal", help="The ledger's own journal instead of a file.")] = False,
    since_text: Since = None,
    diff: Annotated[bool, typer.Option("--diff", help="Compare with the database; exits 1 if it differs.")] = False,
    full_numbers: FullNumbers = False,
) -> int:
    """Recorded facts through this version's tracker.

    They go into a scratch database, on the recording's own time; the calls that come out are printed. A recording has
    notifications as received and, where it tells more, answers of the platform and states of the feed
    (docs/recordings.md). A notification that the daemon would put aside is counted on standard error.
    With --diff: the rows that come out different from those of the database, among the calls that were replayed whole;
    with --journal also the database's calls that the journal tells of and that do not come out at all.
    A line of FILE that cannot be read ends the replay: what came before it is shown all the same, the line is named,
    and the exit code is 64.
    """
    if (file is None) == (not journal):
        raise usage("replay: give either FILE or --journal; see ringledger replay --help")
    options = options_of(ctx)
    settings = options.settings()
    since = None if since_text is None else past("since", since_text, settings)
    broken: list[Failure] = []
    written = asyncio.run(_written(settings, since or 0)) if journal and diff else None
    rows, told = asyncio.run(_replayed(settings, file, since or 0, broken))
    if told.unreadable:
        say(f"ringledger: {counted(told.unreadable, 'payload')} put aside as unreadable", stderr=True)
    if not diff:
        shown = masked_rows(rows, masked=options.masked(settings, full_numbers))
        if options.json:
            print_json(shown)
        elif shown:
            print_table(calls_table(shown), spare=SPARE, folds=FOLDS)
        else:
            say("no call came of it")
        return _ended(Exit.OK, broken)
    ignored = ABOUT_WRITING if journal or told.booked else ABOUT_WRITING | BOOKED
    recorded, unfinished = asyncio.run(_recorded(settings))
    rows = [row for row in rows if (row["account_id"], row["session_id"]) not in unfinished]
    found = differences(recorded, rows, ignored=ignored, since=since)
    if written is not None:
        found += lost(recorded, rows, known=written.of(told) - unfinished, since=since)
    if options.json:
        print_json([{name: getattr(one, name) for name in ReplayDifference.__slots__} for one in found])
    else:
        _print(found, len(rows))
    return _ended(Exit.DIFFERENCES if found else Exit.OK, broken)


def _ended(code: Exit, broken: list[Failure]) -> int:
    """The exit code; what ended the replay early is raised, now that the rest has been shown."""
    if broken:
        sys.stdout.flush()
        raise broken[0]
    return int(code)


def differences(
    recorded: list[Row], replayed: list[Row], *, ignored: frozenset[str], since: int | None
) -> list[ReplayDifference]:
    """What differs between the database and the replay. Calls that began before ``since`` are not whole: left out."""
    from ringledger.ledger.times import to_text

    known = {(row["account_id"], row["session_id"]): row for row in recorded}
    found: list[ReplayDifference] = []
    for row in replayed:
        if since is not None and row["started_at"] < to_text(since):
            continue
        session, old = row["session_id"], known.get((row["account_id"], row["session_id"]))
        if old is None:
            found.append(ReplayDifference(session, None, None, "a call"))
            continue
        if since is not None and old["started_at"] < to_text(since):
            continue
        found += [
            ReplayDifference(session, name, old[name], value)
            for name, value in row.items()
            if name not in ignored and old[name] != value
        ]
    return found


def lost(recorded: list[Row], replayed: list[Row], *, known: set[Key], since: int | None) -> list[ReplayDifference]:
    """Calls of the database that do not come out, among those the journal tells of (``known``). Calls that began before
    ``since`` are left out, as above.
    """
    from ringledger.ledger.times import to_text

    missing = known - {(row["account_id"], row["session_id"]) for row in replayed}
    first = "" if since is None else to_text(since)
    return [
        ReplayDifference(row["session_id"], None, "a call", None)
        for row in recorded
        if (row["account_id"], row["session_id"]) in missing and row["started_at"] >= first
    ]


def _print(found: list[ReplayDifference], calls: int) -> None:
    out = console()
    for one in found:
        if one.column is not None:
            told = f"{one.column} is {one.recorded!r}, replayed {one.replayed!r}"
        else:
            told = "not in the database, but replayed" if one.recorded is None else "in the database, but not replayed"
        out.print(f"{one.session_id}: {told}", soft_wrap=True)
    out.print(f"{counted(calls, 'call')} replayed, {len({one.session_id for one in found})} different")


# -- reading ---------------------------------------------------------------------------------------------------------


async def _written(settings: "Settings", since: int) -> LedgerCalls:
    from ringledger.ledger.read import queries
    from ringledger.ledger.write.store import Ledger

    ledger = await Ledger.open(settings.database.url, read_only=True)
    try:
        return LedgerCalls(await queries.finished(ledger.reader), await queries.accepted(ledger.reader, since=since))
    finally:
        await ledger.close()


async def _recorded(settings: "Settings") -> tuple[list[Row], set[Key]]:
    """The rows of finished calls, and the calls (account, session) that are still open or settling there."""
    from ringledger.ledger.read import queries
    from ringledger.ledger.write.store import Ledger

    ledger = await Ledger.open(settings.database.url, read_only=True)
    try:
        rows = await queries.calls(ledger.reader, CallFilter(with_parts=True))
        unfinished: set[Key] = set()
        for account_id in {row["account_id"] for row in rows}:
            unfinished.update((one.account_id, one.session_id) for one in (await ledger.load_open(account_id)).sessions)
        return rows, unfinished
    finally:
        await ledger.close()


async def _play_journal(
    playback: "Playback", scratch: "Ledger", settings: "Settings", since: int, told: ReportedCalls
) -> None:
    """Every call of the journal as its facts tell it; calls that are still open then stay open."""
    from ringledger.ledger.write.store import Ledger

    ledger = await Ledger.open(settings.database.url, read_only=True)
    try:
        async for calls in ledger.recorded(since):
            for call in calls:
                told.add_call(call)
            playback.restore(calls)
            playback.settle()
            await scratch.commit(playback.take_changes(), now_ms=playback.now_ms)
    finally:
        await ledger.close()


async def _file(settings: "Settings", path: Path, since: int, broken: list[Failure]) -> "AsyncIterator[Recorded]":
    """The recording in a file from ``since`` on; a line that cannot be read ends it and is named in ``broken``."""
    from ringledger.ringcentral.decode.recording import RecordingError, account_of, read_recording

    with path.open("rb") as file:
        account = account_of(file) or settings.platform.account
    with path.open("rb") as file:
        recording = read_recording(file, account_id=account, default_region=settings.platform.default_region)
        try:
            for one in recording:
                if _came_at(one) >= since:
                    yield one
        except RecordingError as error:
            said = f"{path}:{error.line}: {error.reason}; only the lines before it were replayed"
            broken.append(Failure(Exit.USAGE, said))


def _came_at(one: "Recorded") -> int:
    """The time by which ``--since`` judges: of a notification or an answer the platform's own, ms."""
    from ringledger.domain.observation import Unreadable
    from ringledger.ringcentral.decode.recording import RecordedListing

    if isinstance(one, Unreadable):
        return sys.maxsize  # it has no time that could be believed
    return one.read_at if isinstance(one, RecordedListing) else one.at


# -- replaying -------------------------------------------------------------------------------------------------------


async def _replayed(
    settings: "Settings", file: Path | None, since: int, broken: list[Failure]
) -> tuple[list[Row], ReportedCalls]:
    """The rows that come out, and what was told. ``broken`` gets what ended the reading of a file before its end."""
    from ringledger.ledger.read import queries
    from ringledger.ledger.schema.migrate import upgrade
    from ringledger.ledger.write.store import Ledger
    from ringledger.service.commands.playback import Playback

    with tempfile.TemporaryDirectory(prefix="ringledger-replay-") as directory:
        url = f"sqlite+aiosqlite:///{directory}/scratch.db"
        await asyncio.to_thread(upgrade, url)
        scratch = await Ledger.open(url)
        try:
            told = ReportedCalls()
            playback = Playback(
                settle_seconds=settings.calls.settle_seconds, stale_after_seconds=settings.calls.stale_after_seconds
            )
            if file is None:
                await _play_journal(playback, scratch, settings, since, told)
            else:
                await _play(playback, scratch, _file(settings, file, since, broken), told)
            return await queries.calls(scratch.reader, CallFilter(with_parts=True)), told
        finally:
            await scratch.close()


async def _play(
    playback: "Playback", scratch: "Ledger", source: "AsyncIterator[Recorded]", told: ReportedCalls
) -> None:
    """Everything, and a settling time after it; calls still open then stay open."""
    async for seen in source:
        told.add(seen)
        playback.take(seen)
        if playback.tracker.pending >= BATCH:
            await scratch.commit(playback.take_changes(), now_ms=playback.now_ms)
    playback.settle()
    await scratch.commit(playback.take_changes(), now_ms=playback.now_ms)
