"""`active` and `presence`: what is going on now, as of the daemon's last commit."""

import asyncio
import json
import sys
from contextlib import aclosing
from datetime import UTC, datetime
from typing import Annotated, Any

import typer
from rich.text import Text

from ringledger.cli.calls import FullNumbers
from ringledger.cli.follow import follow
from ringledger.cli.frame import console, frame_of, print_table, read
from ringledger.cli.output import masked_rows, numbered, print_json, table, who, word
from ringledger.cli.times import short
from ringledger.settings import Settings


def active(
    ctx: typer.Context,
    watch: Annotated[bool, typer.Option("--watch", help="Again whenever it changes, until Ctrl-C.")] = False,
    full_numbers: FullNumbers = False,
) -> None:
    """Calls open now, oldest first; the two halves of a RingOut are one call.

    --watch writes below what is there and needs no particular terminal; with --json each change is a line.
    """
    from ringledger.ledger import queries

    frame = frame_of(ctx)
    settings = frame.settings()
    masked = frame.masked(settings, full_numbers)
    if watch:
        asyncio.run(_watch(settings, masked=masked, as_json=frame.json))
        return
    rows = masked_rows(read(settings, queries.active_calls), masked=masked)
    if frame.json:
        print_json(rows)
    else:
        _print_active(numbered(rows, read(settings, queries.extension_numbers)))


async def _watch(settings: Settings, *, masked: bool, as_json: bool) -> None:
    from ringledger.ledger import queries

    before: list[tuple[Any, ...]] | None = None

    async def look(engine: Any) -> tuple[list[dict[str, Any]], dict[str, str]]:
        return await queries.active_calls(engine), await queries.extension_numbers(engine)

    async with aclosing(follow(settings, look)) as answers:
        async for found in answers:
            if isinstance(found, str):
                continue  # busy for a moment
            answer, numbers = found
            seen = [tuple(row[name] for name in ("session_id", "status", "answered_at", "suspect")) for row in answer]
            if seen == before:
                continue
            before = seen
            rows = masked_rows(answer, masked=masked)
            _print_change(rows if as_json else numbered(rows, numbers), as_json=as_json)


def _print_change(rows: list[dict[str, Any]], *, as_json: bool) -> None:
    now = datetime.now(UTC)
    if as_json:
        at = now.isoformat(timespec="milliseconds").replace("+00:00", "Z")
        print(json.dumps({"at": at, "active_calls": rows}, ensure_ascii=False), flush=True)
        return
    console().print(f"[bold]{now.astimezone():%m-%d %H:%M:%S}[/]  {len(rows)} open")
    if rows:
        _print_active(rows)
    console().print()
    sys.stdout.flush()


def _print_active(rows: list[dict[str, Any]]) -> None:
    if not rows:
        console().print("no call is open")
        return
    made = table("since", "", "from", "to", "ext", "status", "session", gap=1)
    for row in rows:
        status = word(row["status"])
        if row["suspect"]:
            status.append(" (suspect)", style="red")
        way = {"Inbound": "in", "Outbound": "out"}.get(row["direction"] or "", "")
        ends = (row["from_number"] or "withheld", row["to_number"] or "")
        made.add_row(short(row["started_at"]), way, *ends, who(row), status, row["session_id"])
    print_table(made)


def presence(ctx: typer.Context) -> None:
    """Each extension's status now."""
    from ringledger.ledger import queries

    frame = frame_of(ctx)
    rows = read(frame.settings(), queries.presence)
    if frame.json:
        print_json(rows)
        return
    if not rows:
        console().print("no extension has been heard of yet")
        return
    made = table("ext", "id", "name", "telephony", "presence", "user", "do not disturb", "since", gap=1)
    for row in rows:
        texts = [Text(row[name] or "") for name in ("presence_status", "user_status", "dnd_status")]
        known = (row["extension_number"] or "", row["extension_id"], Text(row["name"] or ""))
        made.add_row(*known, word(row["telephony_status"]), *texts, short(row["since"]))
    print_table(made, spare=("id",))
