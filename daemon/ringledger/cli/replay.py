"""`replay`: recorded events through this version's tracker, into a scratch database.

What must stay true: time is that at which the events came (a file does not tell: that at which they were sent), so a
replay of a day takes seconds and comes out the same each time; an answer that was outranked by what had been heard
since its question is outranked again; the real database is only read.
"""

import asyncio
import re
import sys
import tempfile
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ringledger.cli.calls import FullNumbers, Since
from ringledger.cli.failures import Failure, usage
from ringledger.cli.frame import console, frame_of, print_table
from ringledger.cli.output import SPARE, calls_table, masked_rows, print_json
from ringledger.cli.times import counted
from ringledger.exits import Exit

if TYPE_CHECKING:
    from ringledger.domain.observation import PresenceObservation, RecordClaim
    from ringledger.ledger.ledger import Ledger
    from ringledger.settings import Settings

Row = dict[str, Any]
#: Account and session.
Key = tuple[str, str]
#: Columns that say when and how often a row was written, not what is true of the call.
ABOUT_WRITING = frozenset({"updated_at", "revision"})
#: Columns that only the platform's books fill; a file of notifications has none.
BOOKED = frozenset({"result", "result_source", "confirmed_at"})
#: Observations between two commits to the scratch database.
BATCH = 500
_ACCOUNT = re.compile(rb"/account/([0-9]+)/")


@dataclass(frozen=True, slots=True)
class Difference:
    """One column of one call that comes out different; ``None`` for ``column``: the call is in one of them only."""

    session_id: str
    column: str | None
    recorded: Any
    replayed: Any


@dataclass(slots=True)
class Told:
    """Calls by what spoke of them: presence, or a record of the platform's books of a call that is over."""

    shown: set[Key] = field(default_factory=set)
    booked: set[Key] = field(default_factory=set)

    def add(self, seen: "PresenceObservation | RecordClaim") -> None:
        """Note the calls an observation speaks of."""
        from ringledger.domain.observation import RecordClaim

        if isinstance(seen, RecordClaim):
            if seen.call_session_id and seen.result and not seen.running:
                self.booked.add((seen.account_id, seen.call_session_id))
            return
        self.shown.update((seen.account_id, item.call_session_id) for item in seen.items if item.call_session_id)


@dataclass(frozen=True, slots=True)
class Written:
    """The ledger's finished calls before its journal was read, and those of whose events the journal has accepted one:
    a call is told whole by a record, but not by events that were too late for it."""

    finished: set[Key]
    accepted: set[Key]

    def of(self, told: Told) -> set[Key]:
        """The calls a replay of what was told has to bring out."""
        return self.finished & (told.booked | (told.shown & self.accepted))


def replay(
    ctx: typer.Context,
    file: Annotated[
        Path | None, typer.Argument(metavar="FILE", help="Notifications as received, one JSON object a line.")
    ] = None,
    journal: Annotated[bool, typer.Option("--journal", help="The ledger's own journal instead of a file.")] = False,
    since: Since = None,
    diff: Annotated[bool, typer.Option("--diff", help="Compare with the database; exits 1 if it differs.")] = False,
    full_numbers: FullNumbers = False,
) -> int:
    """Recorded events through this version's tracker.

    They go into a scratch database, on the events' own time; the calls that come out are printed.
    With --diff: the rows that come out different from those of the database, among the calls that were replayed whole;
    with --journal also the database's calls that the journal tells of and that do not come out at all.
    A line of FILE that is no notification ends the replay: what came before it is shown all the same, the line is
    named, and the exit code is 64.
    """
    if (file is None) == (not journal):
        raise usage("replay: give either FILE or --journal; see ringledger replay --help")
    frame = frame_of(ctx)
    settings = frame.settings()
    broken: list[Failure] = []
    written = asyncio.run(_written(settings, since or 0)) if journal and diff else None
    rows, told = asyncio.run(_replayed(settings, file, since or 0, broken))
    if not diff:
        shown = masked_rows(rows, masked=frame.masked(settings, full_numbers))
        if frame.json:
            print_json(shown)
        elif shown:
            print_table(calls_table(shown), spare=SPARE)
        else:
            print("no call came of it")
        return _ended(Exit.OK, broken)
    ignored = ABOUT_WRITING if journal else ABOUT_WRITING | BOOKED
    recorded, unfinished = asyncio.run(_recorded(settings))
    rows = [row for row in rows if (row["account_id"], row["session_id"]) not in unfinished]
    found = differences(recorded, rows, ignored=ignored, since=since)
    if written is not None:
        found += lost(recorded, rows, known=written.of(told) - unfinished, since=since)
    if frame.json:
        print_json([{name: getattr(one, name) for name in Difference.__slots__} for one in found])
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
) -> list[Difference]:
    """What differs between the database and the replay. Calls that began before ``since`` are not whole: left out."""
    from ringledger.ledger.times import to_text

    known = {(row["account_id"], row["session_id"]): row for row in recorded}
    found: list[Difference] = []
    for row in replayed:
        if since is not None and row["started_at"] < to_text(since):
            continue
        session, old = row["session_id"], known.get((row["account_id"], row["session_id"]))
        if old is None:
            found.append(Difference(session, None, None, "a call"))
            continue
        if since is not None and old["started_at"] < to_text(since):
            continue
        found += [
            Difference(session, name, old[name], value)
            for name, value in row.items()
            if name not in ignored and old[name] != value
        ]
    return found


def lost(recorded: list[Row], replayed: list[Row], *, known: set[Key], since: int | None) -> list[Difference]:
    """Calls of the database that do not come out, among those the journal tells of (``known``). Calls that began before
    ``since`` are left out, as above.
    """
    from ringledger.ledger.times import to_text

    missing = known - {(row["account_id"], row["session_id"]) for row in replayed}
    first = "" if since is None else to_text(since)
    return [
        Difference(row["session_id"], None, "a call", None)
        for row in recorded
        if (row["account_id"], row["session_id"]) in missing and row["started_at"] >= first
    ]


def _print(found: list[Difference], calls: int) -> None:
    out = console()
    for one in found:
        if one.column is not None:
            told = f"{one.column} is {one.recorded!r}, replayed {one.replayed!r}"
        else:
            told = "not in the database, but replayed" if one.recorded is None else "in the database, but not replayed"
        out.print(f"{one.session_id}: {told}", soft_wrap=True)
    out.print(f"{counted(calls, 'call')} replayed, {len({one.session_id for one in found})} different")


# -- reading ---------------------------------------------------------------------------------------------------------


async def _written(settings: "Settings", since: int) -> Written:
    from ringledger.ledger import queries
    from ringledger.ledger.ledger import Ledger

    ledger = await Ledger.open(settings.database.url, read_only=True)
    try:
        return Written(await queries.finished(ledger.reader), await queries.accepted(ledger.reader, since=since))
    finally:
        await ledger.close()


async def _recorded(settings: "Settings") -> tuple[list[Row], set[Key]]:
    """The rows of finished calls, and the calls (account, session) that are still open or settling there."""
    from ringledger.ledger import queries
    from ringledger.ledger.ledger import Ledger

    ledger = await Ledger.open(settings.database.url, read_only=True)
    try:
        rows = await queries.calls(ledger.reader, queries.CallFilter(with_parts=True))
        unfinished: set[Key] = set()
        for account_id in {row["account_id"] for row in rows}:
            unfinished.update((one.account_id, one.session_id) for one in (await ledger.load_open(account_id)).sessions)
        return rows, unfinished
    finally:
        await ledger.close()


async def _journal(settings: "Settings", since: int) -> "AsyncIterator[PresenceObservation | RecordClaim]":
    from ringledger.ledger import queries
    from ringledger.ledger.ledger import Ledger

    ledger = await Ledger.open(settings.database.url, read_only=True)
    try:
        async for seen in queries.observations(ledger.reader, since=since):
            yield seen
    finally:
        await ledger.close()


async def _file(
    settings: "Settings", path: Path, since: int, broken: list[Failure]
) -> "AsyncIterator[PresenceObservation | RecordClaim]":
    try:
        for seen in _notifications(settings, path):
            if seen.at >= since:
                yield seen
    except Failure as error:
        broken.append(error)


def _notifications(settings: "Settings", path: Path) -> "Iterator[PresenceObservation]":
    """The file's notifications; a line that cannot be read ends the replay and is named."""
    from ringledger.platform.unreadable import WireError
    from ringledger.platform.wire import decode_notification

    with path.open("rb") as file:
        for number, line in enumerate(file, start=1):
            if not line.strip():
                continue
            account = found[1].decode() if (found := _ACCOUNT.search(line)) else settings.platform.account
            region = settings.platform.default_region
            try:
                seen = decode_notification(line, account_id=account, default_region=region, received_at=0)
            except WireError as error:
                told = f"{path}:{number}: not a presence notification: {error.reason} {error.detail}"
                raise Failure(Exit.USAGE, f"{told}; only the lines before it were replayed") from None
            yield seen._replace(received_at=seen.at)


# -- replaying -------------------------------------------------------------------------------------------------------


async def _replayed(
    settings: "Settings", file: Path | None, since: int, broken: list[Failure]
) -> tuple[list[Row], Told]:
    """The rows that come out, and what was told. ``broken`` gets what ended the reading of a file before its end."""
    from ringledger.ledger import queries
    from ringledger.ledger.ledger import Ledger
    from ringledger.ledger.upgrade import upgrade

    source = _journal(settings, since) if file is None else _file(settings, file, since, broken)
    with tempfile.TemporaryDirectory(prefix="ringledger-replay-") as directory:
        url = f"sqlite+aiosqlite:///{directory}/scratch.db"
        await asyncio.to_thread(upgrade, url)
        scratch = await Ledger.open(url)
        try:
            player = _Player(settings, scratch)
            await player.play(source)
            return await queries.calls(scratch.reader, queries.CallFilter(with_parts=True)), player.told
        finally:
            await scratch.close()


class _Player:
    """The tracker on the time at which everything came."""

    def __init__(self, settings: "Settings", scratch: "Ledger") -> None:
        from ringledger.domain.observation import RecordClaim
        from ringledger.domain.reconcile import Reconciler
        from ringledger.domain.tracker import CallTracker

        self.told = Told()
        self._claim = RecordClaim
        self._settle = settings.calls.settle_seconds
        self._tracker: CallTracker = CallTracker(
            settle_seconds=self._settle, stale_after_seconds=settings.calls.stale_after_seconds
        )
        self._reconciler: Reconciler = Reconciler(self._tracker)
        self._scratch = scratch
        self._now = 0.0

    async def play(self, source: "AsyncIterator[PresenceObservation | RecordClaim]") -> None:
        """Everything, and a settling time after it; calls still open then stay open."""
        group: list[RecordClaim] = []
        async for seen in source:
            self.told.add(seen)
            if group and not _same_answer(group[-1], seen):
                self._claims(group)
                group = []
            if isinstance(seen, self._claim):
                group.append(seen)
            else:
                self._observe(seen)
            if self._tracker.pending >= BATCH:
                await self._commit()
        if group:
            self._claims(group)
        self._advance(self._now + self._settle)
        await self._commit()

    def _observe(self, seen: "PresenceObservation") -> None:
        self._advance(seen.received_at / 1000)
        if seen.sequence is None:
            # a journal of an older version does not tell when: then by the platform's clock
            asked = self._asked(seen.at if seen.asked_at is None else seen.asked_at, seen.received_at)
            self._reconciler.take_presence(seen, asked=asked, now=self._now)
        else:
            self._tracker.observe(seen, self._now)

    def _claims(self, group: "list[RecordClaim]") -> None:
        first = group[0]
        received_at = first.read_at if first.received_at is None else first.received_at
        self._advance(received_at / 1000)
        asked = self._asked(first.read_at if first.asked_at is None else first.asked_at, received_at)
        self._reconciler.take_claims(group, asked=asked, now=self._now)

    def _asked(self, asked_at: int, received_at: int) -> float:
        """When an answer was asked for, as long before now as it then was: clocks may have been set."""
        return self._now - max(0, received_at - asked_at) / 1000

    def _advance(self, until: float) -> None:
        """Let every timer fire at its own time; late events do not turn time back."""
        while (deadline := self._tracker.next_deadline) is not None and deadline <= until:
            self._now = max(self._now, deadline)
            self._tracker.advance(self._now)
        self._now = max(self._now, until)

    async def _commit(self) -> None:
        await self._scratch.commit(self._tracker.take_changes(), now_ms=round(self._now * 1000), journal=False)


def _same_answer(claim: "RecordClaim", seen: Any) -> bool:
    """Whether a claim belongs to the same answer of the platform: all of one session have to be taken at once."""
    if not hasattr(seen, "record_id"):
        return False
    told = (claim.received_at, claim.read_at, claim.source)
    return (seen.received_at, seen.read_at, seen.source) == told
