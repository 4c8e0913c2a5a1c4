"""One call as a drawing of its timeline: a lane for the call, one for each leg, one for each source's claim.

What must stay true: nothing is drawn that no row says; horizontal places are percentages of the width, so that the
drawing fits any screen; each piece has a text for those who do not see it.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from ringledger.ledger.times import to_ms, to_text
from ringledger.web.words import clock, lasting

Row = Mapping[str, Any]

#: How a status is drawn; no status, no piece.
KINDS: Final = {"Ringing": "ring", "CallConnected": "talk", "OnHold": "hold", "ParkedCall": "hold"}
WORDS: Final = {"ring": "ringing", "talk": "talking", "hold": "on hold", "claim": "as the record says"}
#: Reasons for which a late event is put aside.
_STALE: Final = frozenset({"stale_sequence"})
#: Heights, px: of a lane, of the bar in it, of its label, of the axis.
LANE: Final = 66
BAR: Final = 16
LABEL: Final = 24
AXIS: Final = 26
#: Most ticks of the axis, and steps between them, seconds.
TICKS: Final = 6
_STEPS: Final = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1_800, 3_600, 7_200, 14_400, 43_200, 86_400)
#: Most marks of a lane: a call that is quarrelled about for hours has more.
MOST_MARKS: Final = 200


@dataclass(frozen=True, slots=True)
class Piece:
    """A stretch of a lane, or of a day; ``x`` and ``width`` in percent."""

    x: float
    width: float
    kind: str
    title: str


@dataclass(frozen=True, slots=True)
class Mark:
    """The time of a fact; ``late``: it arrived after facts that are later than it."""

    x: float
    title: str
    late: bool
    ignored: bool


@dataclass(frozen=True, slots=True)
class Lane:
    """A line of the drawing. ``y``: its top, px."""

    y: int
    label: str
    detail: str
    pieces: Sequence[Piece]
    marks: Sequence[Mark] = ()


@dataclass(frozen=True, slots=True)
class Tick:
    """A time on the axis."""

    x: float
    at: str
    minor: bool


@dataclass(frozen=True, slots=True)
class Drawing:
    """A whole timeline; ``height`` in px; ``until``: its end, for an open call now."""

    lanes: Sequence[Lane]
    ticks: Sequence[Tick]
    height: int
    summary: str
    late: int = 0
    kinds: frozenset[str] = field(default_factory=frozenset)


class _Scale:
    def __init__(self, first: int, last: int) -> None:
        margin = max(500, (last - first) // 50)
        self.first, self.last = first - margin // 2, last + margin

    def x(self, at: int) -> float:
        return round(100 * (min(max(at, self.first), self.last) - self.first) / (self.last - self.first), 3)

    def piece(self, begun: int, ended: int, kind: str, said: str = "") -> Piece:
        title = f"{said or WORDS[kind]} {lasting((ended - begun) / 1000)}, from {clock(begun)} to {clock(ended)} UTC"
        return Piece(self.x(begun), max(0.0, round(self.x(ended) - self.x(begun), 3)), kind, title)


def drawn(story: Mapping[str, Any], names: Mapping[str, str], now: int) -> Drawing | None:
    """The drawing of a call; ``None``: there is no time to draw. ``names``: of extensions, by id; ``now``, ms."""
    call = story["call"] or story["active"]
    if call is None:
        return None
    begun, ended = _span(story, now)
    scale = _Scale(begun, ended)
    lanes: list[Lane] = []

    def add(label: str, detail: str, pieces: Sequence[Piece], marks: Sequence[Mark] = ()) -> None:
        lanes.append(Lane(len(lanes) * LANE, label, detail, pieces, marks))

    whole = _statuses([(to_ms(one["at"]), one["to_status"]) for one in story["transitions"]], ended)
    pieces = [scale.piece(*stretch) for stretch in whole] or _from_times(call, scale, ended)
    add("The call", _sums(pieces, scale), pieces)
    late = _late(story["events"])
    rest = list(story["events"])
    for leg in story["legs"]:
        mine, rest = _of_leg(leg, rest)
        add(*_leg_lane(leg, mine, names, scale, ended), _marks(mine, late, scale))
    for claim in story["sources"]:
        if claim["source"] != "presence" and claim["started_at"]:
            add(*_claim_lane(claim, scale, ended))
    came_late = sum(mark.late for lane in lanes for mark in lane.marks)
    kinds = frozenset(piece.kind for lane in lanes for piece in lane.pieces)
    height = len(lanes) * LANE + AXIS
    summary = "; ".join(f"{lane.label}: {lane.detail}" for lane in lanes if lane.detail)
    return Drawing(lanes, _ticks(scale), height, summary, came_late, kinds)


def _span(story: Mapping[str, Any], now: int) -> tuple[int, int]:
    """The first and the last moment any row tells of."""
    rows = [*story["legs"], *story["sources"], *(one for one in (story["call"], story["active"]) if one)]
    times = [to_ms(row[name]) for row in rows for name in ("started_at", "answered_at", "ended_at") if row.get(name)]
    times += [to_ms(one["at"]) for one in story["transitions"]]
    if story["call"] is None:
        times.append(now)
    return min(times), max(times)


def _statuses(changes: Iterable[tuple[int, str]], ended: int) -> list[tuple[int, int, str]]:
    """The stretches between changes of status, those that last."""
    ordered = sorted(changes, key=lambda one: one[0])
    following = [*(at for at, _ in ordered[1:]), ended][: len(ordered)]
    stretches: list[tuple[int, int, str]] = []
    for (at, status), until in zip(ordered, following, strict=True):
        kind = KINDS.get(status)
        if kind is None or until <= at:
            continue
        if stretches and stretches[-1][1] == at and stretches[-1][2] == kind:
            stretches[-1] = (stretches[-1][0], until, kind)
        else:
            stretches.append((at, until, kind))
    return stretches


def _from_times(row: Row, scale: _Scale, ended: int) -> list[Piece]:
    """Return what the times of a row alone show: what lies between them is not known."""
    begun = to_ms(row["started_at"])
    over = to_ms(row["ended_at"]) if row.get("ended_at") else ended
    answered = to_ms(row["answered_at"]) if row["answered_at"] else over
    pieces = [(begun, answered, "ring"), (answered, over, "talk")]
    return [scale.piece(first, last, kind) for first, last, kind in pieces if last > first]


def _of_leg(leg: Row, events: Sequence[Row]) -> tuple[list[Row], list[Row]]:
    """A leg's own events, and the rest. An event without a leg's id is its extension's first leg's."""

    def is_mine(event: Row) -> bool:
        return event["extension_id"] == leg["extension_id"] and event["leg_id"] in {leg["leg_id"], None}

    return [one for one in events if is_mine(one)], [one for one in events if not is_mine(one)]


def _leg_lane(
    leg: Row, events: Sequence[Row], names: Mapping[str, str], scale: _Scale, ended: int
) -> tuple[str, str, list[Piece]]:
    over = to_ms(leg["ended_at"]) if leg["ended_at"] else ended
    counted = [(to_ms(one["at"]), one["status"]) for one in events if one["outcome"] == "accepted"]
    known = [(at, status) for at, status in counted if at < over]
    first = to_ms(leg["started_at"])
    if known and min(known)[0] > first and min(known)[1] == "Ringing":
        known.append((first, "Ringing"))
    stretches = _statuses(known, over)
    pieces = [scale.piece(*stretch) for stretch in stretches] or _from_times(leg, scale, ended)
    who = names.get(leg["extension_id"] or "") or leg["extension_id"] or "an unknown party"
    side = {"Inbound": "called by", "Outbound": "calling"}[leg["direction"]]
    other = (leg["from_number"] if leg["direction"] == "Inbound" else leg["to_number"]) or "withheld"
    return f"{who} ({side} {other})", _sums(pieces, scale), pieces


def _claim_lane(claim: Row, scale: _Scale, ended: int) -> tuple[str, str, list[Piece]]:
    begun = to_ms(claim["started_at"])
    over = to_ms(claim["ended_at"]) if claim["ended_at"] else ended
    said = claim["result"] or "no result"
    label = f"{claim['source']}, record {claim['record_id'][:12]}"
    return label, f"{said}, {lasting((over - begun) / 1000)}", [scale.piece(begun, over, "claim", said)]


def _sums(pieces: Sequence[Piece], scale: _Scale) -> str:
    """`ringing 5.8 s, talking 4:12`."""
    whole = scale.last - scale.first
    sums = {kind: sum(piece.width for piece in pieces if piece.kind == kind) for kind in WORDS}
    return ", ".join(f"{WORDS[kind]} {lasting(part * whole / 100_000)}" for kind, part in sums.items() if part)


def _late(events: Sequence[Row]) -> set[int]:
    """Which events came after one that tells of a later moment (their ``id``): no clock is compared with another."""
    late: set[int] = set()
    newest = ""
    for received in sorted({one["received_at"] for one in events}):
        together = [one for one in events if one["received_at"] == received]
        late |= {id(one) for one in together if one["at"] < newest}
        newest = max(newest, *(one["at"] for one in together))
    return late


def _marks(events: Sequence[Row], came_late: set[int], scale: _Scale) -> list[Mark]:
    marks: list[Mark] = []
    for one in events[:MOST_MARKS]:
        at = to_ms(one["at"])
        late = id(one) in came_late or one["reason"] in _STALE
        ignored = one["outcome"] == "ignored"
        said = f"{one['source']}: {one['status']} at {clock(at)} UTC"
        said += ", came when later ones had already come" if late else ""
        said += f", ignored ({one['reason']})" if ignored else ""
        marks.append(Mark(scale.x(at), said, late, ignored))
    return marks


def _ticks(scale: _Scale) -> list[Tick]:
    seconds = (scale.last - scale.first) / 1000
    step = next((step for step in _STEPS if seconds / step <= TICKS), _STEPS[-1] * 7) * 1000
    first = -(-scale.first // step) * step
    moments = range(first, scale.last + 1, step)
    inner = [at for at in moments if 3 <= scale.x(at) <= 97]
    return [Tick(scale.x(at), to_text(at), bool(n % 2)) for n, at in enumerate(inner)]
