"""`sms` and `pager`: a text message to telephones, a page to extensions.

What must stay true: what the platform would refuse for its length is refused here, before anything is sent; a text is
counted as the platform counts it, in UTF-16 units.
"""

import sys
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.text import Text

from ringledger.cli.context import console, options_of, print_table
from ringledger.cli.errors import usage
from ringledger.cli.ledger.calls import FullNumbers
from ringledger.cli.platform.client import PATIENCE, MaxWait, ask, telephone
from ringledger.cli.render import print_json, table
from ringledger.observability.redaction import mask_number

if TYPE_CHECKING:
    from ringledger.ringcentral.api.actions import SentMessage
    from ringledger.service.commands.platform import OneShot

Words = Annotated[str, typer.Argument(metavar="TEXT", help="What to say; - reads it from standard input.")]


def sms(
    ctx: typer.Context,
    from_: Annotated[str, typer.Argument(metavar="FROM", help="A number of one's own that may send texts.")],
    to: Annotated[list[str], typer.Argument(metavar="TO", help="Who gets it; one number or more.")],
    text: Words,
    full_numbers: FullNumbers = False,
    max_wait: MaxWait = PATIENCE,
) -> None:
    """Send a text message: at most 1,000 UTF-16 units (an emoji is two).

    It is queued when the platform has taken it; that it arrives is not promised.
    """
    from ringledger.ringcentral.api.actions import SMS_UNITS, Actions

    options = options_of(ctx)
    settings = options.account_settings()
    region, said = settings.platform.default_region, checked(text, SMS_UNITS)
    sender, targets = telephone(from_, region, "FROM"), [telephone(one, region, "TO") for one in to]

    async def work(asking: "OneShot") -> "SentMessage":
        return await Actions(asking.client).send_sms(sender, targets, said)

    _show(ctx, ask(settings, work, max_wait=max_wait), masked=options.masked(settings, full_numbers))


def pager(
    ctx: typer.Context,
    *,
    to: Annotated[
        list[str] | None, typer.Argument(metavar="TO", help="Who gets it: one extension number or more.")
    ] = None,
    text: Words,
    reply_on: Annotated[
        int | None,
        typer.Option(metavar="ID", help="The page this answers; then without TO it goes to all who took part."),
    ] = None,
    max_wait: MaxWait = PATIENCE,
) -> None:
    """Send an internal page: at most 1,024 UTF-16 units (an emoji is two)."""
    from ringledger.ringcentral.api.actions import PAGE_UNITS, Actions

    targets = to or []
    if not targets and reply_on is None:
        raise usage("pager: TO is missing: extension numbers, or --reply-on ID")
    if wrong := [one for one in targets if not (one.isascii() and one.isdecimal())]:
        raise usage(f"TO {wrong[0]!r}: is no extension number; `ringledger sms` sends to telephones")
    said = checked(text, PAGE_UNITS)

    async def work(asking: "OneShot") -> "SentMessage":
        return await Actions(asking.client).send_page(targets, said, reply_on=reply_on)

    _show(ctx, ask(options_of(ctx).account_settings(), work, max_wait=max_wait), masked=False)


def checked(text: str, most: int) -> str:
    """The text as it will be sent. Raises :class:`~ringledger.cli.errors.Failure` when it cannot be."""
    from ringledger.ringcentral.api.actions import utf16_units

    said = sys.stdin.read().rstrip("\n") if text == "-" else text
    if not said.strip():
        raise usage("TEXT is empty; say something")
    if any("\ud800" <= letter <= "\udfff" for letter in said):
        raise usage("TEXT is not valid UTF-8; check the terminal's encoding")
    if (units := utf16_units(said)) > most:
        raise usage(f"TEXT has {units} UTF-16 units, {most} are allowed; shorten it by {units - most} or send two")
    return said


def _show(ctx: typer.Context, sent: "SentMessage", *, masked: bool) -> None:
    answer: dict[str, Any] = asdict(sent)
    for one in answer["to"]:
        one["number"] = mask_number(one["number"]) if masked else one["number"]
    if options_of(ctx).json:
        print_json(answer | {"to": list(answer["to"])})
        return
    out = console()
    out.print(f"message {sent.id}: {sent.status or 'taken'}")
    made = table("to", "name", "status")
    for one in answer["to"]:
        made.add_row(one["number"], Text(one["name"] or ""), one["status"])
    if answer["to"]:
        print_table(made)
