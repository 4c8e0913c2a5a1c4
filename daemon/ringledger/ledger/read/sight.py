"""Spans of coverage up to now, as commands and the page show them.

What must stay true: what a running daemon knows of now stands in its own answer; its newest span is written down only
now and then, and its end is no gap. Standard library only.
"""

from typing import Any, Final, Protocol

from ringledger.ledger.times import to_ms, to_text

Row = dict[str, Any]
SEEN: Final = frozenset({"live", "healed"})
#: Between two spans so much unaccounted time is no hole: they are written by clocks that are set.
NO_HOLE_MS: Final = 60_000
#: The end of a running daemon's newest span may lag behind by so much: it is written every 15 s (``EXTEND_MS`` of the
#: coverage monitor), with the next commit.
WRITTEN_LATE_MS: Final = 25_000
STATES: Final = frozenset({"live", "doubtful", "blind"})


class Status(Protocol):
    """What a daemon answers about itself at ``at`` (ms): its feed's state, since when (ms) and why, and from when on
    what it sees is not written (ms); ``told``: its own answer, empty when it gave none."""

    @property
    def at(self) -> int: ...
    @property
    def feed(self) -> str: ...
    @property
    def feed_since(self) -> int | None: ...
    @property
    def cause(self) -> str: ...
    @property
    def unwritten_since(self) -> int | None: ...
    @property
    def told(self) -> Any: ...


def until_now(spans: list[Row], status: Status) -> list[Row]:
    """The spans, the newest one as the running daemon knows it now: what is written down lags behind. What it sees and
    cannot write is not seen.
    """
    if not spans or not status.told or status.feed not in STATES:
        return spans
    until = status.at if status.unwritten_since is None else min(status.at, status.unwritten_since)
    last, now = spans[-1], to_text(until)
    since = max(to_ms(last["until_at"]), min(status.feed_since or until, until))
    if last["until_at"] >= now:
        return spans
    adjoins = since - to_ms(last["until_at"]) <= WRITTEN_LATE_MS
    if adjoins and last["state"] == status.feed:
        return [*spans[:-1], last | {"until_at": now}]
    closed = last | {"until_at": to_text(since)} if adjoins else last
    new = {"state": status.feed, "cause": status.cause or None, "recovered_calls": 0}
    return [*spans[:-1], closed, last | {"from_at": to_text(since), "until_at": now} | new]
