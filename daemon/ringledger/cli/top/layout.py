"""The picture `top` shows: one frame for a size, from one view of the ledger.

What must stay true: a frame fits its size, whatever the ledger holds, and says what it had to leave out; numbers come
masked or not, nothing here unmasks them.
"""

from collections.abc import Sequence
from typing import Any, Final

from rich import box
from rich.console import Group, RenderableType
from rich.layout import Layout
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from ringledger.cli.render import calls_table, masked_rows, of_accounts, table, word
from ringledger.cli.status import headline
from ringledger.cli.terminal import bold
from ringledger.cli.times import counted, headed, short
from ringledger.cli.top.view import View
from ringledger.ledger.times import to_ms, to_text
from ringledger.text import visible

#: From this width on, open calls and extensions stand side by side.
WIDE: Final = 120
#: Below this no frame is drawn.
LEAST: Final = (40, 12)
#: From this many lines on, the calls that ended last stand below the open ones.
TALL: Final = 20
TILE: Final = 38
BARS: Final = " ▁▂▃▄▅▆▇█"
_FEED: Final = {"live": "green", "healed": "green", "doubtful": "yellow", "blind": "red"}


def board(view: View, width: int, height: int, *, masked: bool, note: str = "") -> RenderableType:
    """The frame. ``note``: what is wrong just now, for the last line."""
    if width < LEAST[0] or height < LEAST[1]:
        return Text(f"at least {LEAST[0]}×{LEAST[1]}, please", style="yellow")
    frame = Layout()
    top = 5 if height >= 20 else 4
    frame.split_column(
        Layout(_head(view, width), size=2),
        Layout(_panel(headed("today", [to_text(view.now)]), _today(view, width - 4, chart=top > 4)), size=top),
        body := Layout(),
        Layout(_foot(view, note), size=1),
    )
    room = height - 3 - top
    calls = masked_rows(view.glance.active, masked=masked)
    if width >= WIDE:
        right = max(TILE + 4, width // 4)
        left = Layout()
        body.split_row(left, Layout(_extensions(view, right, room), size=right))
        open_lines = min(room // 2, max(8, len(calls) + 3)) if room >= TALL else room
        panels = [Layout(_calls(view, calls, width - right, open_lines), size=open_lines)]
        if room >= TALL:
            panels.append(Layout(_recent(view, room - open_lines, masked=masked)))
        left.split_column(*panels)
    else:
        lower = min(max(4, room // 2), 2 + _tile_rows(len(view.glance.extensions), width))
        body.split_column(
            Layout(_calls(view, calls, width, room - lower)),
            Layout(_extensions(view, width, lower), size=lower),
        )
    return frame


def _panel(title: str, content: RenderableType) -> Panel:
    return Panel(content, title=bold(title), title_align="left", box=box.ROUNDED, border_style="bright_black")


# -- feed health -----------------------------------------------------------------------------------------------------


def _head(view: View, width: int) -> RenderableType:
    line = Table.grid(expand=True)
    line.add_column(no_wrap=True, overflow="ellipsis")
    line.add_column(justify="right", no_wrap=True)
    name = Text("ringledger", style="bold")
    clock = Text(
        short(to_text(view.now)) if width < WIDE else headed(short(to_text(view.now)), [to_text(view.now)]),
        style="bold",
    )
    line.add_row(Text.assemble(name, "  ", _feed(view)), clock)
    line.add_row(_doubts(view), "")
    return line


def _feed(view: View) -> Text:
    status, sight = view.status, view.glance.sight
    if not status.current:
        return Text(headline(status), style="bold red")
    text = Text(f"● feed {status.feed}", style=f"bold {_FEED.get(status.feed, 'yellow')}")
    since = to_ms(sight["from_at"]) if sight and sight["state"] == status.feed else status.feed_since
    if since is not None:
        text.append(f" since {short(to_text(since))} ({running(max(0, view.now - since))})", style="not bold")
    return text.append(f", {status.cause}" if status.cause and status.feed != "live" else "", style="not bold")


def _doubts(view: View) -> Text:
    holes, waiting = len(view.glance.holes), view.glance.unconfirmed
    parts = [Text(f"{waiting} unconfirmed", style="yellow" if waiting else "dim")]
    if holes:
        parts.append(Text(f"{counted(holes, 'hole')} today: see ringledger coverage", style="red"))
    elif view.status.current:
        parts.append(Text("no hole today", style="dim"))
    else:  # since when nobody looks is told above; coverage calls that a hole
        parts.append(Text("not watched now: see ringledger coverage", style="red"))
    return Text("  ·  ", style="dim").join(parts)


def _foot(view: View, note: str) -> Text:
    if note:
        return Text(note, style="bold red", no_wrap=True, overflow="ellipsis")
    as_of = view.status.as_of
    what = "" if view.current or as_of is None else f"as of {short(to_text(as_of))}; "
    return Text(f"{what}q quits", style="dim")


# -- today -----------------------------------------------------------------------------------------------------------


def _today(view: View, width: int, *, chart: bool) -> RenderableType:
    today, rate = view.today, view.today.answer_rate
    line = Text(no_wrap=True, overflow="ellipsis")
    line.append(f"{today.calls:,} call{'' if today.calls == 1 else 's'}", style="bold").append(
        f"  {today.inbound:,} in"
    )
    line.append(f"  {today.calls - today.inbound:,} out  ")
    if rate is not None:
        line.append(f"{rate:.0%} answered", style="bold green" if rate >= 0.8 else "bold yellow")
    counts = [
        Text(f"  {count:,} ").append_text(word(name))
        for name in ("missed", "voicemail", "abandoned", "busy", "declined", "no_answer")
        if (count := today.count(name))
    ]
    counts.insert(2, Text(f"  talk {running(round(today.talk_seconds * 1000))}"))
    for part in counts:
        if line.cell_len + part.cell_len <= width:
            line.append_text(part)
    return Group(line, *_chart(today.by_hour, width) if chart else [_sparkline(today.by_hour, width)])


def _chart(hours: Sequence[int], width: int) -> list[Text]:
    """A sparkline with its hours below."""
    step = _step(width)
    marks = "".join(f"{hour:02d}".ljust(step * 3) for hour in range(0, 24, 3))
    legend = Text("per hour  ", style="dim").append(marks[: step * 24], style="dim")
    return [_sparkline(hours, width), legend]


def _sparkline(hours: Sequence[int], width: int) -> Text:
    most, step = max(hours), _step(width)
    bars = "".join(BARS[-(-count * 8 // most)] * step if most else " " * step for count in hours)
    busiest = f"  most {most:,} at {hours.index(most):02d}:00" if most else "  no call yet"
    return Text(" " * 10, no_wrap=True).append(bars, style="cyan").append(busiest, style="dim")


def _step(width: int) -> int:
    """Columns for an hour."""
    return min(4, max(1, (width - 34) // 24))


# -- open calls ------------------------------------------------------------------------------------------------------


def _calls(view: View, rows: Sequence[dict[str, Any]], width: int, height: int) -> Panel:
    title = f"open calls · {len(rows)}"
    if not rows:
        return _panel(title, Text("no call is open", style="dim"))
    fits = height - 3
    shown = rows if len(rows) <= fits else rows[: max(0, fits - 1)]
    named = width >= 100
    known = {(row["account_id"], row["extension_id"]): row for row in view.glance.extensions}
    several = of_accounts(rows)
    made = table(*several, "running", "talking", "", "from", "to", "ext", "status", right=("running", "talking"))
    for column, least in zip(made.columns, (*(0 for _ in several), 7, 7, 3, 0, 0, 4, 13), strict=True):
        column.min_width = least
    for row in shown:
        extension = known.get((row["account_id"], row["extension_id"]))
        made.add_row(*(row[name] for name in several), *_call(view, row, extension, named=named))
    rest = len(rows) - len(shown)
    return _panel(title, Group(made, Text(f"and {rest} more", style="dim")) if rest else made)


def _call(view: View, row: dict[str, Any], extension: dict[str, Any] | None, *, named: bool) -> list[Any]:
    status = word(row["status"])
    if row["suspect"]:
        status.append(" ?", style="red")
    talking = _since(view, row["answered_at"]) if row["answered_at"] else Text("")
    way = {"Inbound": "in", "Outbound": "out"}.get(row["direction"] or "", "")
    ends = [_party(row, end, named=named) for end in ("from", "to")]
    number = (extension or {}).get("extension_number") or row["extension_id"] or ""
    return [_since(view, row["started_at"]), talking, way, *ends, number, status]


def _party(row: dict[str, Any], end: str, *, named: bool) -> Text:
    number = row[f"{end}_number"] or ("withheld" if end == "from" else "")
    name = row[f"{end}_name"] if named else None
    return Text(visible(f"{number} {name[:18]}" if name else number))


def _since(view: View, at: str) -> Text:
    """How long a call that is open has lasted (rule 4.6)."""
    return Text(running(view.as_of - to_ms(at)), style="" if view.current else "dim")


def running(ms: int) -> str:
    """A duration that runs: `0:07`, `12:05`, `1:02:05`, `3 d 04:05`."""
    minutes, seconds = divmod(max(0, ms) // 1000, 60)
    hours, minutes = divmod(minutes, 60)
    if hours >= 24:
        return f"{hours // 24} d {hours % 24:02d}:{minutes:02d}"
    return f"{hours}:{minutes:02d}:{seconds:02d}" if hours else f"{minutes}:{seconds:02d}"


def _recent(view: View, height: int, *, masked: bool) -> Panel:
    rows = masked_rows(view.glance.recent[: height - 3], masked=masked)
    return _panel("last calls", calls_table(rows) if rows else Text("no call has ended yet", style="dim"))


# -- extensions ------------------------------------------------------------------------------------------------------


def _extensions(view: View, width: int, height: int) -> Panel:
    rows = sorted(view.glance.extensions, key=_idle)
    busy = sum(1 for row in rows if not _idle(row))
    title = f"extensions · {busy} of {len(rows)} on a call"
    if not rows:
        return _panel(title, Text("no extension has been heard of yet", style="dim"))
    columns, lines = max(1, (width - 4) // TILE), height - 2
    room = columns * lines
    shown = rows if len(rows) <= room else rows[: room - 1]
    wide = (width - 4) // columns - 2
    tiles = [_tile(view, row, wide) for row in shown]
    if len(rows) > len(shown):
        tiles.append(Text(f"and {len(rows) - len(shown)} more", style="dim"))
    grid = Table.grid(padding=(0, 2, 0, 0))
    for _ in range(columns):
        grid.add_column(width=wide, no_wrap=True, overflow="ellipsis")
    for start in range(0, len(tiles), columns):
        grid.add_row(*tiles[start : start + columns])
    return _panel(title, grid)


def _idle(row: dict[str, Any]) -> bool:
    return bool(row["telephony_status"] == "NoCall")


def _tile(view: View, row: dict[str, Any], width: int) -> Text:
    who = row["extension_number"] or row["extension_id"]
    name = Text(visible(" ".join(row[part] for part in ("account", "name") if row.get(part))))
    name.truncate(max(0, width - 25), overflow="ellipsis", pad=True)
    tile = bold(f"{who:<5}").append_text(name.append(" "))
    if not _idle(row):
        return tile.append_text(word(row["telephony_status"])).append(f" {_since(view, row['since'])}", "not bold")
    status = (row["dnd_status"] if _deaf(row) else row["presence_status"]) or "idle"
    return tile.append(visible(status), style="dim")


def _deaf(row: dict[str, Any]) -> bool:
    """Whether the extension takes no calls at all."""
    return bool(row["dnd_status"] == "DoNotAcceptAnyCalls")


def _tile_rows(count: int, width: int) -> int:
    return max(1, -(-count // max(1, (width - 4) // TILE)))
