"""`platform`: the platform's own answer, as it stands now; the ledger is not asked and not changed.

What must stay true: a listing is shown whole (or up to --limit), each record once; filters the platform does not
understand are applied here.
"""

from collections.abc import Iterable
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.text import Text

from ringledger.cli.context import GlobalOptions, console, options_of, print_table
from ringledger.cli.errors import usage
from ringledger.cli.help import PlainGroup
from ringledger.cli.ledger.calls import FullNumbers
from ringledger.cli.ledger.filters import Asked, call_filter, filtered
from ringledger.cli.platform.client import PATIENCE, MaxWait, ask, telephone
from ringledger.cli.render import masked_rows, print_json, table
from ringledger.cli.times import headed, short, span
from ringledger.ledger.read.filters import MOST

if TYPE_CHECKING:
    from ringledger.config.model import Settings
    from ringledger.domain.observation import RecordClaim
    from ringledger.ringcentral.api.query import CallLogQuery
    from ringledger.service.commands.platform import OneShot

Row = dict[str, Any]
LARGEST_PAGE = 1000


class CallType(StrEnum):
    """What ``--type`` takes: the platform's own words."""

    VOICE = "Voice"
    FAX = "Fax"


class RecordView(StrEnum):
    """What ``--view`` takes."""

    SIMPLE = "simple"
    DETAILED = "detailed"


Number = Annotated[str | None, typer.Option(help="Either end's number.")]
Type = Annotated[CallType, typer.Option("--type", help="Calls, or faxes.")]
Depth = Annotated[RecordView, typer.Option(help="With detailed each record's legs too.")]
Extension = Annotated[
    str | None, typer.Option(help="An extension's id or number, ~ for one's own; else what the configuration watches.")
]
Limit = Annotated[int | None, typer.Option(min=1, max=MOST, help="Stop after so many records.")]

platform_app = typer.Typer(
    help="The platform's own answer, paged through; the ledger has no part in it.",
    no_args_is_help=True,
    cls=PlainGroup,
    rich_markup_mode="rich",
)


@platform_app.command("active-calls")
@filtered("direction")
def active_calls(
    ctx: typer.Context,
    asked: Asked,
    number: Number = None,
    type_: Type = CallType.VOICE,
    view: Depth = RecordView.SIMPLE,
    extension: Extension = None,
    limit: Limit = None,
    full_numbers: FullNumbers = False,
    max_wait: MaxWait = PATIENCE,
) -> None:
    """Calls in progress and those that ended within the last minutes, newest first.

    The platform lists no call that still rings, and is 3 to 10 seconds late.
    """
    _list(ctx, "active-calls", asked, (number, type_, view), extension, limit, full_numbers, max_wait)


@platform_app.command("call-log")
@filtered("since", "until", "direction")
def call_log(
    ctx: typer.Context,
    asked: Asked,
    number: Number = None,
    type_: Type = CallType.VOICE,
    view: Depth = RecordView.SIMPLE,
    extension: Extension = None,
    limit: Limit = None,
    full_numbers: FullNumbers = False,
    max_wait: MaxWait = PATIENCE,
) -> None:
    """The call log, newest first: the last 24 hours unless --since says otherwise.

    A finished call is in it after 15 to 60 seconds. Every page is read; the platform allows about 10 requests a minute,
    so a long period takes its time: waits are shown.
    """
    _list(ctx, "call-log", asked, (number, type_, view), extension, limit, full_numbers, max_wait)


def _list(
    ctx: typer.Context,
    name: str,
    asked: Asked,
    own: tuple[str | None, CallType, RecordView],
    extension: str | None,
    limit: int | None,
    full_numbers: bool,
    max_wait: float,
) -> None:
    from ringledger.ringcentral.api.query import CallLogQuery

    options = options_of(ctx)
    settings = options.account_settings()
    if extension is not None and not extension.strip():
        raise usage("--extension is empty; leave it out, or write an id, a number, or ~")
    number, kind, view = own
    calls = call_filter(asked, settings)
    wanted = CallLogQuery(
        since_ms=calls.since,
        until_ms=calls.until,
        number=None if number is None else telephone(number, settings.platform.default_region, "--number"),
        type=kind.value,
        direction=calls.direction,
        detailed=view is RecordView.DETAILED,
        per_page=LARGEST_PAGE if limit is None else min(limit, LARGEST_PAGE),
    )
    claims = ask(settings, lambda asking: _read(asking, name, wanted, extension, limit), max_wait=max_wait)
    _print(options, settings, claims, full_numbers)


async def _read(
    asking: "OneShot", name: str, wanted: "CallLogQuery", extension: str | None, limit: int | None
) -> list["RecordClaim"]:
    """The records and their legs, each once, in the platform's order."""
    from ringledger.domain.observation import Source
    from ringledger.service.commands.platform import extension_named, record_pages

    source = Source.ACTIVE_CALLS if name == "active-calls" else Source.CALL_LOG
    try:
        one = None if extension is None else await extension_named(asking.client, extension)
    except LookupError:
        raise usage(
            f"--extension {extension}: the platform knows no such extension; see `ringledger presence`"
        ) from None
    found: dict[str, RecordClaim] = {}
    records = 0
    async for page in record_pages(asking, source, wanted, one):
        for claim in _filtered(page.claims, wanted):
            if claim.record_id in found:
                continue
            records += claim.leg_of is None
            if limit is not None and records > limit:
                return list(found.values())
            found[claim.record_id] = claim
        if limit is not None and records == limit and not wanted.detailed:
            break
    return list(found.values())


def _filtered(claims: Iterable["RecordClaim"], wanted: "CallLogQuery") -> list["RecordClaim"]:
    """What active-calls does not filter itself, and no harm to what the log has filtered. Legs go with their record."""
    kept: list[RecordClaim] = []
    records: set[str] = set()
    for claim in claims:
        if claim.leg_of is None:
            numbers = {(party.number or "").removeprefix("+") for party in (claim.from_party, claim.to_party)}
            other_way = wanted.direction is not None and claim.direction.value != wanted.direction
            if other_way or (wanted.number is not None and wanted.number.removeprefix("+") not in numbers):
                continue
            records.add(claim.record_id)
        elif claim.leg_of not in records:
            continue
        kept.append(claim)
    return kept


def row_of(claim: "RecordClaim") -> Row:
    """A record (or, with ``leg_of``, one of its legs) with the names our own views use."""
    from ringledger.ledger.times import to_text_or_none

    return {
        "record_id": claim.record_id,
        "leg_of": claim.leg_of,
        "session_id": claim.session_id,
        "telephony_session_id": claim.telephony_session_id,
        "direction": claim.direction.value,
        "extension_id": claim.extension_id,
        "from_number": claim.from_party.number,
        "from_name": claim.from_party.name,
        "to_number": claim.to_party.number,
        "to_name": claim.to_party.name,
        "started_at": to_text_or_none(claim.started_at),
        "duration_seconds": None if claim.duration_ms is None else claim.duration_ms / 1000,
        "action": claim.action,
        "result": claim.result,
        "running": claim.running,
    }


def _print(options: GlobalOptions, settings: "Settings", claims: list["RecordClaim"], full_numbers: bool) -> None:
    rows = masked_rows(map(row_of, claims), masked=options.masked(settings, full_numbers))
    if options.json:
        print_json(rows)
        return
    out = console()
    if not rows:
        out.print("the platform has no such record")
        return
    print_records(rows)


def print_records(rows: Iterable[Row]) -> None:
    """Records on a terminal, every session whole."""
    print_table(records_table(rows), spare=("action", "ext"), folds=("result",))


def records_table(rows: Iterable[Row]) -> Any:
    """Records, one line each; legs below theirs. Times are those of the report's zone."""
    rows = list(rows)
    made = table(
        headed("started", [row["started_at"] for row in rows]),
        "",
        "from",
        "to",
        "ext",
        "result",
        "duration",
        "action",
        "session",
        right=("duration",),
        gap=1,
    )
    for row in rows:
        leg = row["leg_of"] is not None
        made.add_row(
            Text(("  " if leg else "") + short(row["started_at"]), style="dim" if leg else ""),
            {"Inbound": "in", "Outbound": "out"}[row["direction"]],
            row["from_number"] or "withheld",
            row["to_number"] or "",
            row["extension_id"] or "",
            Text(row["result"] or "", style="green" if row["running"] else ""),
            span(row["duration_seconds"]),
            Text(row["action"] or ""),
            "" if leg else row["session_id"] or "",
        )
    return made
