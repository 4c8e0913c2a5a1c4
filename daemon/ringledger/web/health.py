"""Whether what is shown is what goes on.

What must stay true: `ok` is said only while a daemon runs, answers, and its feed is live.
"""

from typing import Any

from ringledger import __version__
from ringledger.ledger.read import queries
from ringledger.ledger.read.periods import zone_name
from ringledger.ledger.times import to_text, to_text_or_none
from ringledger.web.access import Viewer
from ringledger.web.backend import Backend, now_ms, of_extension, shown


async def of(backend: Backend, viewer: Viewer) -> dict[str, Any]:
    """A :class:`ringledger.web.rows.Health`. Raises ``LedgerError``, ``Problem``."""

    async def ask(engine: Any) -> tuple[Any, list[Any], int, list[Any]]:
        spans = await queries.newest_coverage(engine)
        open_calls = await of_extension(engine, await queries.active_calls(engine), viewer)
        status = await backend.daemon_status(engine)
        return status, shown(spans, viewer), await queries.unconfirmed(engine), shown(open_calls, viewer)

    status, spans, unconfirmed, open_calls = await backend.glance(ask)
    live = status.current and status.feed == "live"
    as_of = status.as_of
    return {
        "status": "ok" if live else "doubtful" if status.runs else "stale",
        "at": to_text(now_ms()),
        "version": __version__,
        "daemon": str(status.life),
        "daemon_writes": status.runs,
        "as_of": to_text_or_none(as_of),
        "written_at": to_text_or_none(status.written_at),
        "feed": max(spans, key=lambda span: span["until_at"], default=None),
        "feed_state": status.feed or None,
        "open_calls": len(open_calls),
        "unconfirmed_calls": unconfirmed,
        "time_zone": zone_name(backend.zone),
    }
