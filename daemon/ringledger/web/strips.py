"""Coverage as strips, one for each day of the report's zone.

What must stay true: time that no span tells of is shown as a gap.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, tzinfo
from typing import Any, Final

from ringledger.ledger.read.sight import NO_HOLE_MS, SEEN
from ringledger.ledger.times import to_ms
from ringledger.web.drawing import Piece
from ringledger.web.words import lasting, words

Row = Mapping[str, Any]
#: Days shown; a longer period shows its newest ones.
MOST_DAYS: Final = 62


@dataclass(frozen=True, slots=True)
class Strip:
    """A day."""

    label: str
    pieces: Sequence[Piece]
    summary: str


@dataclass(frozen=True, slots=True)
class Span:
    """A stretch of time, ms."""

    first: int
    last: int
    state: str
    cause: str = ""
    recovered: int = 0


def spans_of(rows: Sequence[Row], first: int, last: int, *, silent: bool = False) -> list[Span]:
    """The spans between two moments (ms), and `unknown` ones where there is none.

    ``silent``: a daemon runs and does not answer.
    """
    found: list[Span] = []
    reached = first
    for row in sorted(rows, key=lambda one: str(one["from_at"])):
        begun, ended = max(first, to_ms(row["from_at"])), min(last, to_ms(row["until_at"]))
        if ended <= begun:
            continue
        if begun - reached > NO_HOLE_MS:
            found.append(Span(reached, begun, "unknown", "no daemon ran"))
        found.append(Span(begun, ended, row["state"], row["cause"] or "", row["recovered_calls"]))
        reached = max(reached, ended)
    if last - reached > NO_HOLE_MS:
        found.append(Span(reached, last, "unknown", "the daemon does not answer" if silent else "no daemon ran"))
    return found


def strips_of(spans: Sequence[Span], zone: tzinfo) -> list[Strip]:
    """A strip for each day, the newest first."""
    if not spans:
        return []
    day = datetime.fromtimestamp(spans[0].first / 1000, zone).replace(hour=0, minute=0, second=0, microsecond=0)
    end = spans[-1].last
    made: list[Strip] = []
    while (began := round(day.timestamp() * 1000)) < end:
        following = (day + timedelta(days=1, hours=6)).replace(hour=0)
        over = round(following.timestamp() * 1000)
        mine = [span for span in spans if span.first < over and span.last > began]
        pieces = [_piece(span, began, over, zone) for span in mine]
        dark = sum(min(span.last, over) - max(span.first, began) for span in mine if span.state not in SEEN)
        said = "all of it is covered" if not dark else f"{lasting(dark / 1000)} not covered"
        made.append(Strip(f"{day:%a %d %b}", pieces, f"{day:%A %d %B}: {said}"))
        day = following
    return made[::-1][:MOST_DAYS]


def _piece(span: Span, began: int, over: int, zone: tzinfo) -> Piece:
    first, last = max(span.first, began), min(span.last, over)
    x, end = (100 * (at - began) / (over - began) for at in (first, last))
    clocks = [f"{datetime.fromtimestamp(at / 1000, zone):%H:%M}" for at in (first, last)]
    title = f"{span.state}, {clocks[0]} to {clocks[1]}" + (f": {words(span.cause)}" if span.cause else "")
    return Piece(round(x, 3), round(end - x, 3), span.state, title)
