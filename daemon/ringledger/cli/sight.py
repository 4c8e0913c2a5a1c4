"""`coverage`: whether the ledger has all calls of a period.

What must stay true: the answer is yes only when every moment of the period was seen live or has been healed; time
the ledger has no account of is a hole.
"""

import time
from typing import Any

import typer

from ringledger.cli.calls import Since, Until, ordered
from ringledger.cli.frame import console, frame_of, print_table, read
from ringledger.cli.output import print_json, table, word
from ringledger.cli.times import counted, dated, span
from ringledger.exits import Exit

Row = dict[str, Any]
SEEN = frozenset({"live", "healed"})
#: The running span's end is moved on every few seconds; that much unaccounted time is no hole.
SLACK_MS = 60_000


def coverage(ctx: typer.Context, since: Since = None, until: Until = None) -> int:
    """When the feed was live, doubtful or blind, and what healed each hole.

    Exits 0 when the ledger has every call of the period, 1 when it may lack some. Without --since from the first
    start on; that the ledger has no account of the time at all is told and is 1. Spans are shown as far as they lie
    within the period; the calls recovered are those of the whole span.
    """
    from ringledger.ledger import queries

    ordered(since, until)
    frame = frame_of(ctx)
    earlier = None if since is None else since - SLACK_MS
    spans = read(frame.settings(), lambda engine: queries.coverage(engine, since=earlier, until=until))
    now = time.time_ns() // 1_000_000
    rows = with_unknown(cut(spans, since, until), since, min(until, now) if until is not None else now)
    holes = [row for row in rows if row["state"] not in SEEN]
    if frame.json:
        print_json(rows)
    else:
        _print(rows, holes, told=bool(spans))
    return int(Exit.DIFFERENCES if holes or not spans else Exit.OK)


def cut(spans: list[Row], since: int | None, until: int | None) -> list[Row]:
    """The spans of the period (ms), those that reach over an end of it cut there."""
    from ringledger.ledger.times import to_text

    first, last = "" if since is None else to_text(since), "9" if until is None else to_text(until)
    return [
        row | {"from_at": max(row["from_at"], first), "until_at": min(row["until_at"], last)}
        for row in spans
        if row["until_at"] > first
    ]


def with_unknown(spans: list[Row], since: int | None, until: int) -> list[Row]:
    """The spans, and ``unknown`` ones for time before, between and after them that nobody watched (ms).

    Without ``since`` the account begins with the first span; without that there is none.
    """
    from ringledger.ledger.times import to_ms, to_text

    rows: list[Row] = []
    account = spans[0]["account_id"] if spans else None

    def unknown(start: int, end: int) -> None:
        if end - start > SLACK_MS:
            missing = {"account_id": account, "from_at": to_text(start), "until_at": to_text(end)}
            rows.append(missing | {"state": "unknown", "cause": "no daemon ran", "recovered_calls": 0})

    reached = since
    for row in spans:
        begun, ended = to_ms(row["from_at"]), to_ms(row["until_at"])
        unknown(begun if reached is None else reached, begun)
        rows.append(row)
        reached = ended if reached is None else max(reached, ended)
    if reached is not None:
        unknown(reached, until)
    return rows


def _print(rows: list[Row], holes: list[Row], *, told: bool) -> None:
    from ringledger.ledger.times import to_ms

    out = console()
    made = table("from", "until", "lasted", "state", "calls recovered", "cause", right=("lasted", "calls recovered"))
    for row in rows:
        lasted = (to_ms(row["until_at"]) - to_ms(row["from_at"])) / 1000
        times = (dated(row["from_at"]), dated(row["until_at"]), span(lasted))
        made.add_row(*times, word(row["state"]), str(row["recovered_calls"]), row["cause"] or "")
    if rows:
        print_table(made)
    if not told:
        out.print("no: the ledger has no account of this time; no daemon has watched it", style="red")
        return
    if not holes:
        out.print("yes: every call of this time is in the ledger", style="green")
        return
    verb = f"{'is' if len(holes) == 1 else 'are'} {counted(len(holes), 'hole')}"
    out.print(f"no: there {verb}; `ringledger backfill --since TIME` closes what the platform still knows", style="red")
