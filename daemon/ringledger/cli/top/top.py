"""`top`: a live view of the terminal's size, once a second.

What must stay true: it only reads, and goes on while no daemon runs; however it ends, the terminal is as it was.
"""

import asyncio
import io
import os
import re
import signal
import sys
import termios
import tty
from collections.abc import Iterator
from contextlib import aclosing, contextmanager
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any, Final

import typer
from rich.live import Live

from ringledger.cli.context import account_id, options_of, read, with_accounts
from ringledger.cli.errors import usage
from ringledger.cli.ledger.calls import FullNumbers
from ringledger.cli.render import masked_rows, print_json
from ringledger.cli.status import tell
from ringledger.cli.terminal import Terminal
from ringledger.cli.top.follow import follow
from ringledger.cli.top.view import View, view_of
from ringledger.config.model import Settings
from ringledger.ledger.read.periods import day_began

#: The size of a terminal that does not tell its own.
USUAL: Final = (80, 24)
QUIT_KEYS: Final = b"qQ"


def _size(text: str) -> tuple[int, int]:
    if found := re.fullmatch(r"(\d{1,4})[x×](\d{1,4})", text.strip()):
        return int(found[1]), int(found[2])
    raise typer.BadParameter(f"{text!r} is no size; write 80x24")


def top(
    ctx: typer.Context,
    once: Annotated[bool, typer.Option("--once", help="One frame to standard output, and done.")] = False,
    svg: Annotated[Path | None, typer.Option("--svg", metavar="FILE", help="One frame as a picture.")] = None,
    size: Annotated[
        Any,
        typer.Option(
            parser=_size, metavar="WIDTHxHEIGHT", help="Of a single frame, from 40x12 on; else the terminal's."
        ),
    ] = None,
    full_numbers: FullNumbers = False,
) -> None:
    """Open calls, extensions, today's figures and the feed's health, live; q quits.

    Reads the database once a second and works while no daemon runs. --json prints what one frame shows.
    """
    options = options_of(ctx)
    settings = options.settings()
    masked = options.masked(settings, full_numbers)
    if options.json:
        view = read(settings, lambda engine: look(engine, settings))
        tell(view.status, as_json=True)
        _print_json(view, masked=masked)
    elif once or svg:
        size = _large_enough(size or _terminal_size())
        view = read(settings, lambda engine: look(engine, settings))
        _print_once(view, masked=masked, size=size, svg=svg)
    else:
        out = Terminal()
        if not out.is_terminal or out.is_dumb_terminal:
            raise usage("top needs a terminal; take top --once for a single frame, or active --watch")
        asyncio.run(_live(out, settings, masked=masked))


async def look(engine: Any, settings: Settings) -> View:
    """What the ledger says now."""
    from ringledger.ledger.read import queries
    from ringledger.service.health.status import status_of

    since, mine = day_began(datetime.now(settings.report.zone)), await account_id(engine, settings)
    glance = await queries.glance(engine, since=since, account_id=mine)
    active, recent, extensions = [
        await with_accounts(engine, settings, rows) for rows in (glance.active, glance.recent, glance.extensions)
    ]
    glance = replace(glance, active=active, recent=recent, extensions=extensions)
    return view_of(glance, await status_of(settings, engine))


# -- one frame -------------------------------------------------------------------------------------------------------


def _print_json(view: View, *, masked: bool) -> None:
    data = view.as_json()
    print_json(data | {"active_calls": masked_rows(data["active_calls"], masked=masked)})


def _terminal_size() -> tuple[int, int]:
    return tuple(os.get_terminal_size()) if sys.stdout.isatty() else USUAL  # type: ignore[return-value]


def _large_enough(size: tuple[int, int]) -> tuple[int, int]:
    from ringledger.cli.top.layout import LEAST

    if size[0] < LEAST[0] or size[1] < LEAST[1]:
        raise usage(f"{size[0]}x{size[1]} is too small for a frame; the smallest size is {LEAST[0]}x{LEAST[1]}")
    return size


def _print_once(view: View, *, masked: bool, size: tuple[int, int], svg: Path | None) -> None:
    from ringledger.cli.top.layout import board

    picture = board(view, *size, masked=masked)
    width, height = size
    if svg is None:
        Terminal(width=width, height=height).print(picture)
        return
    paper = Terminal(
        width=width, height=height, record=True, force_terminal=True, color_system="truecolor",
        no_color=False, file=io.StringIO(),
    )  # fmt: skip
    paper.print(picture)
    from ringledger.ledger.file.opening import replaced_file  # loads SQLAlchemy, for which help need not wait

    with replaced_file(svg) as file:
        file.write(paper.export_svg(title="ringledger top", code_format=_picture_format()).encode())


def _picture_format() -> str:
    """Rich's frame for pictures, without the fonts it would fetch from elsewhere."""
    from rich._export_format import CONSOLE_SVG_FORMAT

    return re.sub(r"\s*@font-face \{\{.*?\}\}", "", CONSOLE_SVG_FORMAT, flags=re.DOTALL)


# -- live ------------------------------------------------------------------------------------------------------------


async def _live(out: Terminal, settings: Settings, *, masked: bool) -> None:
    from ringledger.cli.top.layout import board

    loop, woken, done = asyncio.get_running_loop(), asyncio.Event(), asyncio.Event()

    def end() -> None:
        done.set()
        woken.set()

    for number in (signal.SIGTERM, signal.SIGHUP):
        loop.add_signal_handler(number, end)
    loop.add_signal_handler(signal.SIGWINCH, woken.set)
    view: View | None = None
    async with aclosing(follow(settings, lambda engine: look(engine, settings), woken)) as answers:
        with _keys(end), Live(console=out, screen=True, auto_refresh=False) as live:
            async for answer in answers:
                view, note = (view, answer) if isinstance(answer, str) else (answer, "")
                if done.is_set():
                    return
                if view is not None:
                    live.update(board(view, *out.size, masked=masked, note=note), refresh=True)


@contextmanager
def _keys(end: Any) -> Iterator[None]:
    """Keys arrive one by one and are not shown; ``q`` ends. Without a keyboard there is Ctrl-C."""
    if not sys.stdin.isatty():
        yield
        return
    source, loop = sys.stdin.fileno(), asyncio.get_running_loop()
    before = termios.tcgetattr(source)

    def pressed() -> None:
        keys = os.read(source, 64)
        if not keys or any(key in QUIT_KEYS for key in keys):
            end()

    tty.setcbreak(source)
    _without_suspend(source)
    loop.add_reader(source, pressed)
    try:
        yield
    finally:
        loop.remove_reader(source)
        termios.tcsetattr(source, termios.TCSAFLUSH, before)


def _without_suspend(source: int) -> None:
    """Ctrl-Z would leave the shell in our screen."""
    modes = termios.tcgetattr(source)
    modes[6][termios.VSUSP] = b"\0"
    termios.tcsetattr(source, termios.TCSANOW, modes)
