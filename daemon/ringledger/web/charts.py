"""Charts as the page's templates draw them: heights in percent, a text for each bar.

What must stay true: pure; nothing is drawn for an unknown time (null); horizontal places are percentages.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any, Final

from ringledger.ledger.read.hours import Hour
from ringledger.web.words import lasting, many, share

WEEKDAYS: Final = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
#: Shades of the heat map.
SHADES: Final = 5
#: Labels below a chart; more would touch each other.
MOST_LABELS: Final = 8
#: Bars of a chart of extensions.
MOST_EXTENSIONS: Final = 20
#: Days a chart shows one by one; weeks beyond, so that a bar keeps a width.
MOST_DAYS: Final = 92
#: The place for a chart, px: bars, and the labels below.
PLOT: Final = 160


@dataclass(frozen=True, slots=True)
class Part:
    """A piece of a bar, px from the top; ``kind`` says its colour."""

    y: float
    height: float
    kind: str


@dataclass(frozen=True, slots=True)
class Bar:
    """A bar: ``x`` and ``width`` in percent, ``label`` below it ("": none), ``title`` for whoever points at it.
    ``minor``: the label is left out where there is little room."""

    x: float
    width: float
    label: str
    title: str
    parts: Sequence[Part]
    key: str = ""
    values: Sequence[str] = ()
    minor: bool = False


@dataclass(frozen=True, slots=True)
class GridLine:
    """A line of the grid, px from the top, with its value."""

    y: float
    label: str


@dataclass(frozen=True, slots=True)
class Chart:
    """A chart of bars. ``dots``: x in percent, y in px, text; ``head``: of its table; ``note``: for below it."""

    title: str
    bars: Sequence[Bar]
    lines: Sequence[GridLine]
    head: Sequence[str]
    note: str = ""
    dots: Sequence[tuple[float, float, str]] = ()


@dataclass(frozen=True, slots=True)
class Cell:
    """An hour of the week."""

    shade: int
    title: str
    calls: int


@dataclass(frozen=True, slots=True)
class Charts:
    """Everything the page of charts shows; ``total``: of the whole period."""

    total: Hour
    by_day: Chart
    by_hour: Chart
    waiting: Chart
    talking: Chart
    week: Sequence[tuple[str, Sequence[Cell]]]
    extensions: Sequence[Mapping[str, Any]]
    more_extensions: int


def drawn(hours: Mapping[datetime, Hour], extensions: Sequence[Mapping[str, Any]], days: Sequence[date]) -> Charts:
    """The charts of these hours. ``extensions``: rows of `stats` by extension; ``days``: of the period, all of them."""
    total = Hour()
    by_day = {day: Hour() for day in days}
    by_hour = [Hour() for _ in range(24)]
    week = [[Hour() for _ in range(24)] for _ in range(7)]
    for began, figures in hours.items():
        total.add(figures)
        by_day.setdefault(began.date(), Hour()).add(figures)
        by_hour[began.hour].add(figures)
        week[began.weekday()][began.hour].add(figures)
    named = [(f"{hour:02d}:00", figures) for hour, figures in enumerate(by_hour)]
    return Charts(
        total,
        _counts(*_days(by_day)),
        _counts("Calls by hour of the day", named),
        _times("Mean ringing time by hour of the day", named, "mean_ring", "wait", _rung(total)),
        _times("Mean talk time by hour of the day", named, "mean_talk", "talk"),
        [(name, _cells(name, row, week)) for name, row in zip(WEEKDAYS, week, strict=True)],
        _shares(extensions[:MOST_EXTENSIONS]),
        max(0, len(extensions) - MOST_EXTENSIONS),
    )


def _days(by_day: Mapping[date, Hour]) -> tuple[str, list[tuple[str, Hour]]]:
    """Days, or weeks when there are too many."""
    ordered = sorted(by_day.items())
    if len(ordered) <= MOST_DAYS:
        return "Calls by day", [(day.isoformat(), figures) for day, figures in ordered]
    weeks: dict[date, Hour] = {}
    for day, figures in ordered:
        weeks.setdefault(day - timedelta(days=day.weekday()), Hour()).add(figures)
    return "Calls by week", [(f"week of {monday.isoformat()}", figures) for monday, figures in sorted(weeks.items())]


def _counts(title: str, groups: Sequence[tuple[str, Hour]]) -> Chart:
    """Bars of answered, other inbound and outbound calls, with the answer rate as dots."""
    most = _ceiling(max((figures.calls for _, figures in groups), default=0))
    bars: list[Bar] = []
    dots: list[tuple[float, float, str]] = []
    for place, (key, figures) in enumerate(groups):
        x, width = _place(place, len(groups))
        outbound, missed = figures.calls - figures.inbound, figures.inbound - figures.taken
        parts = _stack([("answered", figures.taken), ("unanswered", missed), ("outbound", outbound)], most)
        rate = share(figures.answer_rate)
        values = (*(many(count) for count in (figures.calls, figures.taken, missed, outbound)), rate)
        said = f"{key}: {figures.calls} calls, {figures.taken} answered, {missed} not, {outbound} outbound; rate {rate}"
        bars.append(Bar(x, width, _label(place, groups), said, parts, key, values, _is_minor(place, groups)))
        if figures.answer_rate is not None:
            dots.append((round(x + width / 2, 3), round(PLOT * (1 - figures.answer_rate), 1), said))
    head = ("", "calls", "answered", "not answered", "outbound", "answer rate")
    return Chart(title, bars, _grid(most, many), head, dots=dots)


def _rung(total: Hour) -> str:
    """Of how many calls the ringing time is known, when it is not of nearly all."""
    if not total.calls or total.rung > 0.95 * total.calls:
        return ""
    return f"Known of {many(total.rung)} of {many(total.calls)} calls; the platform's records do not tell it."


def _times(title: str, groups: Sequence[tuple[str, Hour]], name: str, kind: str, note: str = "") -> Chart:
    known = [getattr(figures, name) for _, figures in groups]
    most = _ceiling(max((value for value in known if value is not None), default=0), minutes=True)
    bars = [
        Bar(
            *_place(place, len(groups)),
            _label(place, groups),
            f"{key}: {lasting(value)}" if value is not None else f"{key}: not known",
            _stack([(kind, value or 0)], most),
            key,
            (lasting(value),),
            _is_minor(place, groups),
        )
        for place, ((key, _), value) in enumerate(zip(groups, known, strict=True))
    ]
    grid = _grid(most, lambda value: lasting(float(value)).replace(".0 s", " s"))
    return Chart(title, bars, grid, ("", "mean"), note)


def _stack(values: Iterable[tuple[str, float]], most: float) -> list[Part]:
    """Pieces on top of each other, the first at the bottom."""
    parts: list[Part] = []
    top = float(PLOT)
    for kind, value in values:
        height = round(PLOT * value / most, 2) if most else 0.0
        if height:
            top = round(top - height, 2)
            parts.append(Part(top, height, kind))
    return parts


def _place(place: int, count: int) -> tuple[float, float]:
    each = 100 / max(1, count)
    gap = min(1.0, each / 4)
    return round(place * each + gap / 2, 3), round(each - gap, 3)


def _label(place: int, groups: Sequence[tuple[str, Hour]]) -> str:
    every = -(-len(groups) // MOST_LABELS)
    if place % every:
        return ""
    key = groups[place][0].removeprefix("week of ")
    return key[5:] if len(key) == 10 else key


def _is_minor(place: int, groups: Sequence[tuple[str, Hour]]) -> bool:
    """Whether its label is every other one."""
    return place // -(-len(groups) // MOST_LABELS) % 2 == 1


def _ceiling(most: float, *, minutes: bool = False) -> float:
    """A round number not below the largest."""
    steps = (
        [10, 20, 30, 60, 120, 240, 360, 600, 1_200, 1_800, 3_600, 7_200] if minutes else [4, 6, 8, 10, 20, 40, 60, 80]
    )
    while steps[-1] < most:
        steps.extend([steps[-1] * 2] if minutes else [10 * step for step in steps[-5:]])
    return float(next(step for step in steps if step >= most))


def _grid(most: float, named: Any) -> list[GridLine]:
    return [GridLine(PLOT * (1 - part), named(round(most * part))) for part in (0.5, 1.0)]


def _cells(name: str, row: Sequence[Hour], week: Sequence[Sequence[Hour]]) -> list[Cell]:
    most = max((hour.calls for day in week for hour in day), default=0)
    return [
        Cell(
            0 if not figures.calls else max(1, round(SHADES * figures.calls / most)),
            f"{name} {hour:02d}:00: {figures.calls} calls, answer rate {share(figures.answer_rate)}",
            figures.calls,
        )
        for hour, figures in enumerate(row)
    ]


def _shares(extensions: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    most = max((row["calls"] for row in extensions), default=0)
    return [
        {
            **row,
            "who": row["extension_name"] or row["extension_number"] or row["extension"] or "none",
            "width": round(100 * row["calls"] / most, 2),
            "inbound_width": round(100 * row["inbound"] / most, 2),
            "answered_width": round(100 * row["inbound"] * (row["answer_rate"] or 0) / most, 2),
        }
        for row in extensions
    ]
