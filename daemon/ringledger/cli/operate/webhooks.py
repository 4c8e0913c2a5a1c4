"""`webhooks`: what waits for receivers, what was given up and is to be tried again, and whether they listen.

What must stay true: of a receiver's address no more than scheme, host and port is shown; a running daemon retries by
itself, asked over its socket, for only one process writes.
"""

import asyncio
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ringledger.cli.context import options_of, print_table, read
from ringledger.cli.errors import Failure, off_limits, usage
from ringledger.cli.help import PlainGroup
from ringledger.cli.ledger.calls import SCREENFUL
from ringledger.cli.render import print_json, table
from ringledger.cli.terminal import say
from ringledger.cli.times import headed, short
from ringledger.exits import Exit
from ringledger.ledger.read.filters import MOST

if TYPE_CHECKING:
    from ringledger.config.model import Settings
    from ringledger.service.webhooks.letters import WebhookReceiver

#: The largest id the database can give.
LARGEST_ID = 2**63 - 1

webhooks_app = typer.Typer(
    help="Receivers of events: what waits for them and what was given up.",
    no_args_is_help=True,
    cls=PlainGroup,
    rich_markup_mode="rich",
)


@webhooks_app.command("list")
def list_letters(
    ctx: typer.Context,
    dead: Annotated[bool, typer.Option("--dead", help="Only what was given up.")] = False,
    limit: Annotated[
        int | None, typer.Option(min=1, max=MOST, help=f"At most so many; a table has {SCREENFUL} if not given.")
    ] = None,
) -> None:
    """Events that no receiver has accepted yet, oldest first; what was accepted is not kept."""
    from ringledger.ledger.write import outbox
    from ringledger.service.webhooks.letters import receivers_of

    options = options_of(ctx)
    settings = options.settings()
    most = limit if limit or options.json else SCREENFUL + 1
    rows = read(settings, lambda engine: outbox.letters(engine, dead=dead, limit=most))
    addresses = {one.key: one.address for one in receivers_of(settings.webhooks)}
    for row in rows:
        row["address"] = addresses.get(row["receiver"])
        row["state"] = "waiting" if row["gave_up_at"] is None else "dead"
    if options.json:
        print_json(rows)
    elif rows:
        _print(rows[: limit or SCREENFUL])
        if len(rows) > (limit or SCREENFUL):
            say(f"the oldest {SCREENFUL}; --limit N shows more")
    else:
        say("nothing was given up" if dead else "nothing waits and nothing was given up")


def _print(rows: list[dict[str, Any]]) -> None:
    since = headed("since", [row["since"] for row in rows])
    heads = ("id", "state", "event", "session", "receiver", since, "tried", "last error")
    made = table(*heads, right=("id", "tried"), gap=1)
    for row in rows:
        made.add_row(
            str(row["id"]), row["state"], row["event"], row["session_id"], row["address"] or "not configured",
            short(row["since"]), str(row["attempts"]), row["last_error"] or "",
        )  # fmt: skip
    print_table(made, spare=("state",), folds=("receiver", "last error"))


@webhooks_app.command("retry")
def retry_letters(
    ctx: typer.Context,
    ids: Annotated[
        list[int] | None,
        typer.Argument(metavar="ID", min=1, max=LARGEST_ID, help="As `webhooks list --dead` shows; one or more."),
    ] = None,
    everything: Annotated[bool, typer.Option("--all", help="All that was given up.")] = False,
) -> None:
    """Try again what was given up, as if it were new; a running daemon begins at once. What was not given up is left
    alone. Exits 1 when one of the ids is of nothing that was given up."""
    if bool(ids) == everything:
        raise usage("name the ids to retry, or --all; `ringledger webhooks list --dead` shows them")
    options = options_of(ctx)
    wanted = len(set(ids or ()))
    count = asyncio.run(_retry(options.settings(), ids or None))
    if options.json:
        print_json({"retried": count})
    elif count:
        say(f"{count} to be tried again")
    elif everything:
        say("nothing was given up")
    if count < wanted:
        known = f"{wanted - count} of {wanted} ids are" if wanted > 1 else f"{(ids or [0])[0]} is"
        shows = "`ringledger webhooks list --dead` shows what was"
        raise Failure(Exit.DIFFERENCES, f"{known} of nothing that was given up; {shows}")


async def _retry(settings: "Settings", ids: Sequence[int] | None) -> int:
    from ringledger.ledger.write import outbox
    from ringledger.ledger.write.store import Ledger
    from ringledger.service.control.server import Refused, request, socket_path

    asked = {"do": "webhooks-retry", "ids": ids}
    try:
        answer = await request(socket_path(settings.database.path), asked, lambda _: None)
    except Refused as refused:
        raise Failure(Exit.IO if refused.kind == "PermissionError" else Exit.TRY_AGAIN, str(refused)) from None
    except PermissionError:
        raise off_limits(settings.database.path) from None
    if answer is not None:
        return int(answer["retried"])
    ledger = await Ledger.open(settings.database.url)
    try:
        return await outbox.retry(ledger, ids, now_ms=time.time_ns() // 1_000_000)
    finally:
        await ledger.close()


@webhooks_app.command("test")
def try_receivers(ctx: typer.Context) -> int:
    """Send each configured receiver a signed event of type `ringledger.test`; exits 1 when one does not accept it."""
    from ringledger.service.webhooks.letters import receivers_of

    options = options_of(ctx)
    receivers = receivers_of(options.settings().webhooks)
    if not receivers:
        raise Failure(Exit.CONFIG, "no receiver is configured; [[webhooks]] in the configuration names them")
    errors = asyncio.run(_try(receivers))
    told = [
        {"address": one.address, "accepted": error is None, "error": error}
        for one, error in zip(receivers, errors, strict=True)
    ]
    if options.json:
        print_json(told)
    else:
        for line in told:
            say(f"{line['address']}: {line['error'] or 'accepted'}")
    return int(Exit.DIFFERENCES if any(errors) else Exit.OK)


async def _try(receivers: "list[WebhookReceiver]") -> list[str | None]:
    from ringledger.service.webhooks.delivery import post, posting
    from ringledger.service.webhooks.letters import trial_event
    from ringledger.service.webhooks.worker import RetrySchedule

    now_ms = time.time_ns() // 1_000_000
    event_id, body = trial_event(now_ms)
    async with posting(RetrySchedule().timeout_seconds) as session:
        answers = await asyncio.gather(*(post(session, one, event_id, body, now_ms // 1000) for one in receivers))
    return [answer.error for answer in answers]
