"""The one way out to a terminal: every line, table and picture a command prints goes through here.

What must stay true: no text is taken for markup, and none reaches the terminal with characters it obeys; what a style
is for says so with :class:`~rich.text.Text`. No other module of this room prints or makes a console (a test).
"""

import re
import sys
import textwrap
from collections.abc import Iterable
from typing import Any, Final

from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment
from rich.text import Text

from ringledger.text import json_text, visible

#: Stands for a blank at which no line ends.
_NO_BREAK: Final = "\N{NO-BREAK SPACE}"
#: Columns of an output that is no terminal: nothing is cut.
UNSEEN: Final = 250


class Terminal(Console):
    """A console that shows text as text."""

    def __init__(self, **options: Any) -> None:
        super().__init__(highlight=False, markup=False, emoji=False, **options)

    def render_str(self, text: str, **options: Any) -> Text:
        """As a console does with whatever is no ``Text``: cells, titles, printed words."""
        return super().render_str(visible(text, kept="\n"), **{**options, "markup": False, "emoji": False})

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        """The last look at what is written, whoever made it; codes of our own (colours, cursor) are no text."""
        for segment in super().render(renderable, options):
            if segment.control or segment.text.isprintable() or segment.text == "\n":
                yield segment
            else:
                yield Segment(visible(segment.text, kept="\n"), segment.style)


def console(*, stderr: bool = False) -> Terminal:
    """Return the console that tables go to; as wide as its content where it is no terminal (a pipe, a file)."""
    found = Terminal(stderr=stderr)
    return found if found.is_terminal else Terminal(stderr=stderr, width=UNSEEN)


def say(line: str = "", *, stderr: bool = False, flush: bool = False, whole: bool = False) -> None:
    """Print one line of plain text; on a terminal as many as it takes, broken between words.

    What is to be copied stays in one piece: a line that begins with a blank or is to be read by a program (``whole``),
    and what stands between backticks.
    """
    stream, text = sys.stderr if stderr else sys.stdout, visible(line)
    if not whole and not text.startswith(" ") and stream.isatty():
        text = wrapped(text, Terminal(stderr=stderr).width)
    print(text, file=stream, flush=flush)


def wrapped(text: str, width: int) -> str:
    """The text in lines of so many columns, broken between words; a word that is longer than a line stays whole."""
    kept = re.sub("`[^`]*`", lambda found: found[0].replace(" ", _NO_BREAK), text)
    return textwrap.fill(kept, width, break_long_words=False, break_on_hyphens=False).replace(_NO_BREAK, " ")


def say_lines(text: str, *, stderr: bool = False, flush: bool = False) -> None:
    """Print text of several lines that this program or a library has made, such as a shell's script."""
    print(visible(text, kept="\n\t"), file=sys.stderr if stderr else sys.stdout, flush=flush)


def say_json(document: str, *, flush: bool = False) -> None:
    """Print a JSON document, or a line of one."""
    print("\n".join(json_text(line) for line in document.split("\n")), flush=flush)


def ask(question: str) -> bool:
    """Ask a person on the terminal; anything but yes is no."""
    text = f"{visible(question)} [y/N]"
    text = wrapped(text, Terminal(stderr=True).width - 1) if sys.stderr.isatty() else text
    print(text, end=" ", file=sys.stderr, flush=True)
    return sys.stdin.readline().strip().lower() in {"y", "yes"}


def bold(text: str) -> Text:
    """A heading."""
    return Text(visible(text), style="bold")
