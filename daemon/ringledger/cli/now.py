"""`active` and `presence`: what is going on now, as of the daemon's last commit."""

import typer
from rich.text import Text

from ringledger.cli.calls import FullNumbers
from ringledger.cli.frame import console, frame_of, read
from ringledger.cli.output import masked_rows, print_json, table, word
from ringledger.cli.times import short


def active(ctx: typer.Context, full_numbers: FullNumbers = False) -> None:
    """Calls open now, oldest first."""
    from ringledger.ledger import queries

    frame = frame_of(ctx)
    settings = frame.settings()
    rows = masked_rows(read(settings, queries.active_calls), masked=frame.masked(settings, full_numbers))
    if frame.json:
        print_json(rows)
        return
    if not rows:
        console().print("no call is open")
        return
    made = table("since", "", "from", "to", "ext", "status", "session")
    for row in rows:
        status = word(row["status"])
        if row["suspect"]:
            status.append(" (suspect)", style="red")
        way = {"Inbound": "in", "Outbound": "out"}.get(row["direction"] or "", "")
        ends = (row["from_number"] or "withheld", row["to_number"] or "")
        made.add_row(short(row["started_at"]), way, *ends, row["extension_id"] or "", status, row["session_id"])
    console().print(made)


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
    made = table("ext", "id", "name", "telephony", "presence", "user", "do not disturb", "since")
    for row in rows:
        texts = [Text(row[name] or "") for name in ("presence_status", "user_status", "dnd_status")]
        who = (row["extension_number"] or "", row["extension_id"], Text(row["name"] or ""))
        made.add_row(*who, word(row["telephony_status"]), *texts, short(row["since"]))
    console().print(made)
