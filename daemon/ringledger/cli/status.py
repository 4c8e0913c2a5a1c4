"""What a person is told of the daemon whose ledger they read: one sentence for every command.

What must stay true: nothing is said while all is well; a note goes to standard error, so that standard output stays
what a script expects; with --json it is one line of JSON.
"""

import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from ringledger.cli.terminal import say
from ringledger.cli.times import dated, span

if TYPE_CHECKING:
    from ringledger.service.health.status import DaemonStatus

Row = dict[str, Any]


def sentence(status: "DaemonStatus") -> str:
    """Whether a daemon runs, since when, and how its feed is."""
    from ringledger.service.health.status import Life

    process = f" (process {status.pid})" if status.pid else ""
    match status.life:
        case Life.UNKNOWN:
            return "whether a daemon runs cannot be told: the database cannot be read"
        case Life.NEVER:
            what = "the database cannot be read" if status.unread else "none has recorded anything yet"
            return f"no daemon runs, and {what}"
        case Life.STOPPED:
            return f"no daemon runs since {_at(status, status.since)}"
        case Life.SILENT:
            last = f"it last wrote at {_at(status, status.since)}"
            return f"a process holds the database and does not answer{process}; {last}"
        case Life.STARTING:
            waits = status.told.get("phase") or "first comparison and feed"
            why = _why(status) if status.cause != waits else ""
            return f"the daemon has been starting since {_at(status, status.since)}{process}: {waits}{why}"
    runs = f"the daemon runs{f' since {_at(status, status.since)}' if status.since else ''}{process}"
    return f"{runs}, {feed(status)}"


def headline(status: "DaemonStatus") -> str:
    """The part of :func:`sentence` that matters when room is short."""
    return feed(status) if status.life.value == "running" else sentence(status)


def feed(status: "DaemonStatus") -> str:
    """How the feed of a daemon that runs is, or that others work for its accounts."""
    if (waits := status.told.get("standing_by")) and not status.feed:
        return str(waits)
    if status.unread and not status.feed:
        return "how its feed is cannot be told: the database cannot be read"
    since = f" since {_at(status, status.feed_since)}" if status.feed_since else ""
    if status.connected:
        silent = ", but silent for longer than usual" if status.feed == "doubtful" else ""
        at = status.unwritten_since
        lost = f", but nothing can be written since {_at(status, at)}" if at else ""
        return f"feed connected{since}{silent}{lost}"
    return f"feed not connected{since}{_why(status)}"


def _why(status: "DaemonStatus") -> str:
    return f" ({status.cause})" if status.cause else ""


def _at(status: "DaemonStatus", at: int | None) -> str:
    from ringledger.ledger.times import to_text

    return "an unknown time" if at is None else dated(to_text(at), datetime.fromtimestamp(status.at / 1000, UTC))


def note(status: "DaemonStatus") -> str:
    """What has to be said of an answer about "now"; empty: it is as of now."""
    if status.current:
        return ""
    if status.as_of is None:
        return f"{sentence(status)}: there is nothing to show yet"
    late = span(max(0, status.at - status.as_of) / 1000)
    return f"{sentence(status)}: what is shown is as of {_at(status, status.as_of)}, {late} ago"


def tell(status: "DaemonStatus", *, as_json: bool) -> None:
    """Say on standard error what has to be said, if anything."""
    if not (said := note(status)):
        return
    line = json.dumps({"note": said, **status.as_json()}) if as_json else f"ringledger: {said}"
    say(line, stderr=True, flush=True, whole=as_json)


def stamped(rows: list[Row], status: "DaemonStatus") -> list[Row]:
    """The rows with ``as_of``: the moment they are true of."""
    from ringledger.ledger.times import to_text_or_none

    as_of = to_text_or_none(status.as_of)
    return [{**row, "as_of": as_of} for row in rows]
