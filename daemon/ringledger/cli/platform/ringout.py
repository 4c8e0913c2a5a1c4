"""`ringout`: a two-legged call. The platform rings one's own phone first and connects it with the other party's.

What must stay true: the command writes nothing; the ledger's row comes from presence and the call log like any other.
"""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from ringledger.cli.context import console, options_of, print_table
from ringledger.cli.errors import usage
from ringledger.cli.help import PlainGroup
from ringledger.cli.ledger.calls import FullNumbers
from ringledger.cli.platform.client import PATIENCE, MaxWait, Speed, ask, telephone, tell
from ringledger.cli.render import FOLDS, SPARE, calls_table, masked_rows, print_json
from ringledger.exits import Exit
from ringledger.observability.redaction import mask_number

if TYPE_CHECKING:
    from ringledger.ringcentral.api.actions import RingOut
    from ringledger.service.commands.platform import OneShot
    from ringledger.service.commands.ringout import Placing

Row = dict[str, Any]
Id = Annotated[str, typer.Argument(metavar="ID", help="As `ringout` has printed it.")]
#: The platform answers 404 soon after a RingOut's end, as it does for one that never was.
UNKNOWN = "not known (any more): it has ended, or was never placed"


class PlaceByDefault(PlainGroup):
    """`ringout FROM TO` is `ringout place FROM TO`."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Put the word in that may be left out."""
        if args and args[0] not in {*self.commands, "-h", "--help"}:
            args = ["place", *args]
        return super().parse_args(ctx, args)


ringout_app = typer.Typer(
    cls=PlaceByDefault,
    help="Place a two-legged call: `ringout FROM TO`; then `ringout status ID`, `ringout cancel ID`.",
    no_args_is_help=True,
    rich_markup_mode="rich",
)


@ringout_app.command("place")
def place(
    ctx: typer.Context,
    from_: Annotated[str, typer.Argument(metavar="FROM", help="One's own phone, which rings first.")],
    to: Annotated[str, typer.Argument(metavar="TO", help="The other party.")],
    caller_id: Annotated[str | None, typer.Option(metavar="N", help="The number the other party sees.")] = None,
    prompt: Annotated[
        bool, typer.Option("--prompt/--no-prompt", help="Ask for 1 to be pressed before the other party is rung.")
    ] = True,
    follow: Annotated[
        bool, typer.Option("--follow", help="Show both parties until the end, then the call's row in the ledger.")
    ] = False,
    full_numbers: FullNumbers = False,
    max_wait: MaxWait = PATIENCE,
    speed: Speed = 1.0,
) -> int:
    """Place a two-legged call; the word `place` may be left out.

    FROM rings first; when it is answered, TO is rung. Prints the id. The daemon records the call like any other; with
    --follow its row is waited for, if the database can be read here. Exits 75 when that row was not seen in time: the
    call was placed all the same.
    """
    options = options_of(ctx)
    settings = options.account_settings()
    region, masked = settings.platform.default_region, options.masked(settings, full_numbers)
    numbers = telephone(from_, region, "FROM"), telephone(to, region, "TO")
    shown_id = None if caller_id is None else telephone(caller_id, region, "--caller-id")
    own, other = (mask_number(number) if masked else number for number in numbers)

    async def work(asking: "OneShot") -> Row:
        from ringledger.ringcentral.api.actions import Actions

        actions = Actions(asking.client)
        known = await _known(asking) if follow else frozenset()
        asked = asking.pace.now()
        placed = await actions.ring_out(*numbers, caller_id=shown_id, prompt=prompt)
        if not options.json:
            console().print(f"RingOut {placed.id}: {own} rings first, then {other}")
        found = row_of(placed) | {"from_number": own, "to_number": other}
        placing = _placing(asking, numbers, asking.pace.now() - asked, known)
        return found if not follow else found | await _follow(asking, actions, placed, placing, options.json)

    found = ask(settings, work, max_wait=max_wait, speed=speed)
    if follow:
        found["call"] = None if found["call"] is None else masked_rows([found["call"]], masked=masked)[0]
    if options.json:
        print_json(found)
    elif follow:
        _print_end(found["call"])
    return int(Exit.TRY_AGAIN if follow and found["call"] is None else Exit.OK)


async def _known(asking: "OneShot") -> frozenset[str]:
    from ringledger.service.commands.ringout import known_sessions

    return await known_sessions(asking.settings, asking.client.platform_now_ms())


def _placing(asking: "OneShot", numbers: tuple[str, str], lasted: float, known: frozenset[str]) -> "Placing":
    """What to look for in the ledger; ``lasted``: platform seconds from asking to the platform's answer."""
    from ringledger.service.commands.ringout import Placing

    placed_at = asking.client.platform_now_ms()
    return Placing(numbers, placed_at - round(lasted * 1000), placed_at, known)


async def _follow(asking: "OneShot", actions: Any, placed: "RingOut", placing: "Placing", quiet: bool) -> Row:
    """Both sides of the story: what the platform says of the parties, then the ledger's row."""
    from ringledger.ledger.times import to_text
    from ringledger.service.commands.ringout import follow
    from ringledger.service.commands.ringout import row_of as ledgers_row

    story: list[Row] = []

    def changed(now: "RingOut") -> None:
        story.append({"at": to_text(asking.client.platform_now_ms()), **_statuses(now)})
        if not quiet:
            console().print(_line(now))

    changed(placed)
    last = await follow(actions, placed, asking.pace, changed)
    if not quiet:
        console().print(
            "it is over; waiting for its row in the ledger and the platform's confirmation (up to 4 minutes)",
            style="dim",
        )
    call = await ledgers_row(asking.settings, placing, asking.pace)
    return row_of(last) | {"over": True, "story": story, "call": call}


def _print_end(call: Row | None) -> None:
    if call is None:
        tell("the call's row was not seen: is a daemon running, and may you read its database? see `ringledger calls`")
        return
    print_table(calls_table([call]), spare=SPARE, folds=FOLDS)
    if call["confirmed_at"] is None:
        console().print("not confirmed by the platform's log yet", style="dim")


def _named(ring_out: str) -> None:
    """Raise the error of a command line that names no RingOut."""
    if not ring_out.strip():
        raise usage("ID is empty; write it as `ringout` has printed it")


@ringout_app.command("status")
def status(ctx: typer.Context, ring_out: Id, max_wait: MaxWait = PATIENCE) -> int:
    """How far a RingOut is: both parties' statuses, in the platform's words.

    Exits 1 when the platform does not know the id (any more): it forgets a RingOut soon after its end, so one that has
    ended and one that was never placed look the same. `ringledger calls` shows what has ended.
    """

    async def work(asking: "OneShot") -> Row:
        from ringledger.ringcentral.api.actions import Actions
        from ringledger.ringcentral.errors import NotFound

        try:
            return row_of(await Actions(asking.client).ring_out_status(ring_out))
        except NotFound:
            return forgotten(ring_out)

    _named(ring_out)
    options = options_of(ctx)
    found = ask(options.account_settings(), work, max_wait=max_wait)
    if options.json:
        print_json(found)
    else:
        console().print(f"RingOut {ring_out}: {_words(found) if found['known'] else UNKNOWN}")
    return int(Exit.OK if found["known"] else Exit.DIFFERENCES)


@ringout_app.command("cancel")
def cancel(ctx: typer.Context, ring_out: Id, max_wait: MaxWait = PATIENCE) -> int:
    """Cancel a RingOut; possible until the first party has answered.

    Exits 1 when it is too late: that phone has been answered, or the platform does not know the RingOut (any more).
    """

    async def work(asking: "OneShot") -> Row:
        from ringledger.ringcentral.api.actions import Actions
        from ringledger.ringcentral.errors import NotFound

        actions = Actions(asking.client)
        try:
            found = await actions.ring_out_status(ring_out)
            early = found.caller_status == "InProgress" and found.call_status == "InProgress"
            if early:
                await actions.cancel_ring_out(ring_out)
        except NotFound:
            return forgotten(ring_out) | {"cancelled": False}
        return row_of(found) | {"cancelled": early}

    _named(ring_out)
    options = options_of(ctx)
    found = ask(options.account_settings(), work, max_wait=max_wait)
    if options.json:
        print_json(found)
    elif found["cancelled"]:
        console().print(f"RingOut {ring_out}: cancelled")
    elif not found["known"]:
        tell(f"RingOut {ring_out}: nothing to cancel, it is {UNKNOWN}")
    else:
        tell(f"RingOut {ring_out}: too late ({_words(found)}); hang up the phone instead")
    return int(Exit.OK if found["cancelled"] else Exit.DIFFERENCES)


def row_of(ring_out: "RingOut") -> Row:
    """What the platform says of it; statuses are its words."""
    from ringledger.service.commands.ringout import is_over

    return {"id": ring_out.id, **_statuses(ring_out), "over": is_over(ring_out), "known": True}


def forgotten(ring_out: str) -> Row:
    """A RingOut the platform no longer knows, or never did."""
    nothing = {"call_status": None, "caller_status": None, "callee_status": None}
    return {"id": ring_out, **nothing, "over": True, "known": False}


def _statuses(ring_out: "RingOut") -> Row:
    return {
        "call_status": ring_out.call_status,
        "caller_status": ring_out.caller_status,
        "callee_status": ring_out.callee_status,
    }


def _line(ring_out: "RingOut") -> str:
    return f"  {_words(_statuses(ring_out))}"


def _words(found: Row) -> str:
    return f"own phone {found['caller_status']}, other party {found['callee_status']}, call {found['call_status']}"
