"""Time whose calls are still on their way: holes for which the daemon has yet to read the platform's log.

What must stay true: figures of such a time are never shown as if they were complete; what nobody will read any more is
the business of `coverage`, and of no note below every table.
"""

import json
import time
from typing import TYPE_CHECKING, Any

from ringledger.cli.terminal import say
from ringledger.cli.times import dated
from ringledger.durations import DAY_MS
from ringledger.ledger.read.filters import CallFilter

if TYPE_CHECKING:
    from ringledger.config.model import Settings

Row = dict[str, Any]


async def unread(engine: Any, wanted: CallFilter, settings: "Settings") -> list[Row]:
    """Holes of the period in question for which the platform's log will be read, oldest first. Raises
    ``LedgerError``."""
    from ringledger.ledger.read import queries

    now = time.time_ns() // 1_000_000
    if not settings.platform.is_ringcentral:  # a simulated platform's clock may be ahead or behind
        now = await queries.newest(engine) or now
    oldest = now - settings.backfill.max_days * DAY_MS
    since = oldest if wanted.since is None else max(oldest, wanted.since)
    spans = await queries.coverage(engine, since=since, until=wanted.until, account_id=wanted.account_id)
    return [span for span in spans if span["state"] == "blind"]


def tell_unread(holes: list[Row], *, as_json: bool) -> None:
    """Say on standard error, if there are any, that calls of that time are missing."""
    if not holes:
        return
    first, last = (dated(text) for text in (holes[0]["from_at"], max(hole["until_at"] for hole in holes)))
    note = (
        f"not complete yet: the daemon has still to read the platform's log for {first} to {last}; "
        "`ringledger coverage` says when it has"
    )
    say(json.dumps({"note": note}) if as_json else f"ringledger: {note}", stderr=True, whole=as_json)
