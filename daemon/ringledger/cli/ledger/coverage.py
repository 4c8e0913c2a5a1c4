"""`coverage`: whether the ledger has all calls of a period.

What must stay true: the answer is yes only when every moment of the period was seen live or has been healed; time
the ledger has no record of is a hole.
"""

from typing import TYPE_CHECKING, Any

import typer

from ringledger.cli.context import account_id, console, options_of, print_table, read
from ringledger.cli.ledger.filters import Since, Until, span_of
from ringledger.cli.render import print_json, table, word
from ringledger.cli.status import tell
from ringledger.cli.times import counted, dates, headed, span
from ringledger.durations import DAY_MS
from ringledger.exits import Exit
from ringledger.ledger.read.sight import NO_HOLE_MS, SEEN, WRITTEN_LATE_MS, until_now
from ringledger.ledger.times import to_ms, to_text

if TYPE_CHECKING:
    from ringledger.service.health.status import DaemonStatus

Row = dict[str, Any]
#: The cause of a span that has not been yet.
TO_COME = "still to come"


def coverage(
    ctx: typer.Context,
    since_text: Since = None,
    until_text: Until = None,
) -> int:
    """When the feed was live, doubtful or blind, and what healed each hole.

    Exits 0 when the ledger has every call of the period, 1 when it may lack some. Without --since from the first
    start on; that the ledger has no record of the time at all is told and is 1. Spans are shown as far as they lie
    within the period; the calls recovered are those of the whole span. Time that is still to come, or in which no
    daemon watches, is never answered with yes.
    """
    from ringledger.ledger.read import queries
    from ringledger.service.health.status import status_of

    options = options_of(ctx)
    settings = options.settings()
    since, until = span_of(since_text, until_text, settings)
    earlier = None if since is None else since - NO_HOLE_MS

    async def ask(engine: Any) -> tuple[list[Row], Any, dict[str, str]]:
        mine = await account_id(engine, settings)
        spans = await queries.coverage(engine, since=earlier, account_id=mine)
        names = await queries.account_names(engine) if settings.accounts else {}
        return spans, await status_of(settings, engine), names

    spans, status, names = read(settings, ask)
    if settings.accounts:
        rows, unrecorded = _by_account(spans, since, until, status, names, [one.name for one in settings.accounts])
    else:
        seen = cut(until_now(spans, status), since, until)
        rows, unrecorded = with_unknown(seen, since, until, status), [] if seen else [""]
    holes = [row for row in rows if row["state"] not in SEEN]
    if until is None or status.as_of is None or until > status.as_of:
        tell(status, as_json=options.json)
    if options.json:
        print_json(rows)
    else:
        _print(rows, holes, unrecorded=unrecorded, cure=cure(holes, status, settings.backfill.max_days))
    return int(Exit.DIFFERENCES if holes or unrecorded else Exit.OK)


def _by_account(
    spans: list[Row],
    since: int | None,
    until: int | None,
    status: "DaemonStatus",
    names: dict[str, str],
    wanted: list[str],
) -> tuple[list[Row], list[str]]:
    """The rows of each configured account with its name, and the names of those whose time the ledger does not know."""
    rows: list[Row] = []
    unrecorded: list[str] = []
    for name in wanted:
        ids = [one for one, known in names.items() if known == name]
        own = status.of(name)
        seen = cut(until_now([row for row in spans if row["account_id"] in ids], own), since, until)
        unrecorded += [] if seen else [name]
        rows += [{"account": name, **row} for row in with_unknown(seen, since, until, own)]
    return rows, unrecorded


def cut(spans: list[Row], since: int | None, until: int | None) -> list[Row]:
    """The spans of the period (ms), those that reach over an end of it cut there."""
    first, last = "" if since is None else to_text(since), "9" if until is None else to_text(until)
    return [
        row | {"from_at": max(row["from_at"], first), "until_at": min(row["until_at"], last)}
        for row in spans
        if row["until_at"] > first and row["from_at"] < last
    ]


def with_unknown(spans: list[Row], since: int | None, until: int | None, status: "DaemonStatus") -> list[Row]:
    """The spans, and ``unknown`` ones for time before, between and after them that nobody watched (ms), and for time
    that is still to come.

    Without ``since`` the period begins with the first span; without that there is none.
    """
    rows: list[Row] = []
    account = spans[0]["account_id"] if spans else None

    def unknown(start: int, end: int, *, slack: int = NO_HOLE_MS, why: str = "no daemon ran") -> None:
        if end - start > slack:
            missing = {"account_id": account, "from_at": to_text(start), "until_at": to_text(end)}
            rows.append(missing | {"state": "unknown", "cause": why, "recovered_calls": 0})

    reached = since
    for row in spans:
        begun, ended = to_ms(row["from_at"]), to_ms(row["until_at"])
        unknown(begun if reached is None else reached, begun)
        rows.append(row)
        reached = ended if reached is None else max(reached, ended)
    now = status.at
    if reached is not None:  # while a daemon runs, it is late in writing; else nobody has watched since
        last = now if until is None else min(until, now)
        why = "the daemon does not answer" if status.runs and not status.told else "no daemon ran"
        why = why if status.unwritten_since is None else "what was seen cannot be written"
        unknown(reached, last, slack=WRITTEN_LATE_MS if status.current else 0, why=why)
        unknown(max(reached, now), until or 0, slack=0, why=TO_COME)
    return rows


def cure(holes: list[Row], status: "DaemonStatus", max_days: int) -> str:
    """What closes the holes: the daemon by itself, its start, or a person who asks for what is further back."""
    oldest = status.at - max_days * DAY_MS
    left: list[Row] = []
    own, after, ailing = 0, 0, False
    for hole in (one for one in holes if one["cause"] != TO_COME):
        told = hole["state"] != "unknown"
        present = not told and to_ms(hole["until_at"]) >= status.at - WRITTEN_LATE_MS
        if present and status.runs:
            ailing = True
        elif to_ms(hole["until_at"]) <= oldest or not (told or present):
            left.append(hole)
        elif status.runs:
            own += 1
        else:
            after += 1
    ways = ["`ringledger doctor` says what is wrong now"] if ailing else []
    if own:
        ways.append(f"the daemon reads the platform's log for {_these(own, holes)} by itself, within minutes")
    if after:
        starting = "`systemctl start ringledger` (or `ringledger run`)"
        ways.append(f"{starting}: a daemon reads the platform's log for {_these(after, holes)} by itself")
    if left:
        since = min(hole["from_at"] for hole in left)[:19] + "Z"
        ways.append(f"`ringledger backfill --since {since}` closes what the platform still knows")
    return "; ".join(ways)


def _these(number: int, holes: list[Row]) -> str:
    if number < len(holes):
        return f"{number} of them"
    return "it" if number == 1 else "them"


def _print(rows: list[Row], holes: list[Row], *, unrecorded: list[str], cure: str) -> None:
    out = console()
    times = [row[name] for row in rows for name in ("from_at", "until_at")]
    several = ["account"] if any("account" in row for row in rows) else []
    heads = *several, headed("from", times), "until", "lasted", "state", "recovered", "cause"
    made = table(*heads, right=("lasted", "recovered"), gap=1)
    for row, first, last in zip(rows, *[iter(dates(times))] * 2, strict=True):
        lasted = (to_ms(row["until_at"]) - to_ms(row["from_at"])) / 1000
        cells = first, last, span(lasted), word(row["state"]), str(row["recovered_calls"]), row["cause"] or ""
        made.add_row(*(row[name] for name in several), *cells)
    if rows:
        print_table(made, folds=("cause",))
    if unrecorded:
        whose = f" for {', '.join(unrecorded)}" if unrecorded != [""] else ""
        out.print(f"no: the ledger has no account of this time{whose}; no daemon has watched it", style="red")
        return
    if holes and all(row["cause"] == TO_COME for row in holes):
        out.print("no: a part of this time is still to come; up to now every call is in the ledger", style="red")
        return
    if not holes:
        out.print("yes: every call of this time is in the ledger", style="green")
        return
    verb = f"{'is' if len(holes) == 1 else 'are'} {counted(len(holes), 'hole')}"
    out.print(f"no: there {verb}; {cure}", style="red")
