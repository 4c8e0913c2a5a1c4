"""`active` and `presence`: what is going on now, as of the daemon's last commit."""

import asyncio
import json
import sys
from collections.abc import Awaitable, Callable
from contextlib import aclosing
from datetime import UTC, datetime
from typing import Annotated, Any

import typer

from ringledger.cli.context import account_id, console, options_of, print_table, read, with_accounts
from ringledger.cli.ledger.calls import FullNumbers
from ringledger.cli.render import masked_rows, of_accounts, print_json, table, who, word
from ringledger.cli.status import stamped, tell
from ringledger.cli.terminal import bold, say_json
from ringledger.cli.times import headed, local, short
from ringledger.cli.top.follow import follow
from ringledger.config.model import Settings

Row = dict[str, Any]


def active(
    ctx: typer.Context,
    watch: Annotated[bool, typer.Option("--watch", help="Again whenever it changes, until Ctrl-C.")] = False,
    full_numbers: FullNumbers = False,
) -> None:
    """Calls open now, oldest first; the two halves of a RingOut are one call.

    When no daemon runs, or its feed is not connected, a line on standard error says as of when the answer is (with
    --json a line of JSON); `as_of` in each row says so always. --watch writes below what is there and needs no
    particular terminal; with --json each change is a line.
    """
    from ringledger.ledger.read import queries

    options = options_of(ctx)
    settings = options.settings()
    masked = options.masked(settings, full_numbers)
    if watch:
        asyncio.run(_watch(settings, masked=masked, as_json=options.json))
        return
    found, status = read(settings, _with_status(settings, queries.active_calls))
    rows = masked_rows(found, masked=masked)
    tell(status, as_json=options.json)
    if options.json:
        print_json(stamped(rows, status))
    else:
        _print_active(rows)


def _with_status(settings: Settings, ask: Callable[[Any, str | None], Awaitable[list[Row]]]) -> Callable[[Any], Any]:
    """What ``ask`` finds of the accounts that are meant, and what the daemon's status is at that moment."""
    from ringledger.service.health.status import status_of

    async def both(engine: Any) -> tuple[list[Row], Any]:
        found = await ask(engine, await account_id(engine, settings))
        return await with_accounts(engine, settings, found), await status_of(settings, engine)

    return both


async def _watch(settings: Settings, *, masked: bool, as_json: bool) -> None:
    from ringledger.ledger.read import queries

    before: list[tuple[Any, ...]] | None = None
    said = ""

    async with aclosing(follow(settings, _with_status(settings, queries.active_calls))) as answers:
        async for found in answers:
            if isinstance(found, str):
                continue  # busy for a moment
            answer, status = found
            if (standing := f"{status.life}{status.current}") != said:
                said = standing
                tell(status, as_json=as_json)
            seen = [
                tuple(row[name] for name in ("account_id", "session_id", "status", "answered_at", "suspect"))
                for row in answer
            ]
            if seen == before:
                continue
            before = seen
            rows = masked_rows(answer, masked=masked)
            _print_change(stamped(rows, status) if as_json else rows, as_json=as_json)


def _print_change(rows: list[dict[str, Any]], *, as_json: bool) -> None:
    now = datetime.now(UTC)
    if as_json:
        at = now.isoformat(timespec="milliseconds").replace("+00:00", "Z")
        say_json(json.dumps({"at": at, "active_calls": rows}, ensure_ascii=False), flush=True)
        return
    console().print(
        bold(headed(f"{local(now.isoformat()):%m-%d %H:%M:%S}", [now.isoformat()])).append(
            f"  {len(rows)} open", style="not bold"
        )
    )
    if rows:
        _print_active(rows)
    console().print()
    sys.stdout.flush()


def _print_active(rows: list[dict[str, Any]]) -> None:
    if not rows:
        console().print("no call is open")
        return
    since = headed("since", [row["started_at"] for row in rows])
    several = of_accounts(rows)
    made = table(*several, since, "", "from", "to", "ext", "status", "session", gap=1)
    for row in rows:
        status = word(row["status"])
        if row["suspect"]:
            status.append(" (suspect)", style="red")
        way = {"Inbound": "in", "Outbound": "out"}.get(row["direction"] or "", "")
        ends = (row["from_number"] or "withheld", row["to_number"] or "")
        whose = (row[name] for name in several)
        made.add_row(*whose, short(row["started_at"]), way, *ends, who(row), status, row["session_id"])
    print_table(made, spare=("to",))


def presence(ctx: typer.Context) -> None:
    """Each extension's status now, or as of when a line on standard error says; see `active`."""
    from ringledger.ledger.read import queries

    options = options_of(ctx)
    settings = options.settings()
    rows, status = read(settings, _with_status(settings, queries.presence))
    tell(status, as_json=options.json)
    if options.json:
        print_json(stamped(rows, status))
        return
    if not rows:
        console().print("no extension has been heard of yet")
        return
    since = headed("since", [row["since"] for row in rows])
    several = of_accounts(rows)
    made = table(*several, "ext", "id", "name", "telephony", "presence", "user", "do not disturb", since, gap=1)
    for row in rows:
        texts = [row[name] or "" for name in ("presence_status", "user_status", "dnd_status")]
        known = (row["extension_number"] or "", row["extension_id"], row["name"] or "")
        made.add_row(
            *(row[name] for name in several), *known, word(row["telephony_status"]), *texts, short(row["since"])
        )
    print_table(made, spare=("id", "user"), folds=("name", "do not disturb"))
