"""Templates: text from outside is escaped wherever it stands, files are read once.

What must stay true: autoescape is on and nothing is marked as safe; a name no template knows is an error, not a blank.
"""

import hashlib
from functools import cache
from pathlib import Path
from typing import Any, Final

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.responses import HTMLResponse, Response

from ringledger import __version__
from ringledger.web.words import lasting, many, share, status, utc, words

_HERE: Final = Path(__file__).parent
#: What a page is made of; nothing else is ever read from disk for a request.
STATIC: Final = {
    "app.css": "text/css; charset=utf-8",
    "app.js": "text/javascript; charset=utf-8",
    "board.js": "text/javascript; charset=utf-8",
    "icon.svg": "image/svg+xml",
}


@cache
def content(name: str) -> bytes:
    """A file of the page."""
    return (_HERE / "static" / name).read_bytes()


@cache
def address(name: str) -> str:
    """Where a file of the page is; it changes with what is in it."""
    return f"/static/{name}?{hashlib.sha256(content(name)).hexdigest()[:12]}"


def health_words(health: dict[str, Any]) -> str:
    """Whether what is shown is what goes on, as a sentence."""
    if health["status"] == "ok":
        return "The daemon writes and its feed is live."
    if health["status"] == "doubtful":
        state = health["feed_state"] or "not known"
        return f"The daemon is {health['daemon']}, its feed is {state}. What is shown may lack calls."
    since = f" What is shown is as of {utc(health['as_of'])} UTC." if health["as_of"] else ""
    return f"No daemon writes to this ledger.{since}"


def _environment() -> Environment:
    made = Environment(
        loader=FileSystemLoader(_HERE / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.globals |= {
        "static": address,
        "version": __version__,
        "lasting": lasting,
        "many": many,
        "share": share,
        "status_words": status,
        "utc": utc,
        "words": words,
        "health_words": health_words,
    }
    return made


_ENVIRONMENT: Final = _environment()


def page(name: str, status_code: int = 200, **values: Any) -> Response:
    """A template with these values."""
    return HTMLResponse(_ENVIRONMENT.get_template(name).render(**values), status_code)
