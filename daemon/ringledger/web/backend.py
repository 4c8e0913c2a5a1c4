"""What every address shares: the database, how many may ask it at once, the zone, what a viewer may see of a row.

What must stay true: no more questions are on their way than there are connections; a row leaves with as many digits of
a number as its viewer may see, and only if it belongs to the viewer's accounts and extension.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import tzinfo
from typing import Annotated, Any, Final, TypeVar

from fastapi import Depends, Request

from ringledger.config.model import Settings
from ringledger.ledger.read import queries
from ringledger.ledger.read.engine import ReadEngine
from ringledger.ledger.read.filters import CallFilter
from ringledger.ledger.schema.calls import NUMBERS
from ringledger.observability.redaction import mask_number
from ringledger.web.access import Doorkeeper, Viewer
from ringledger.web.problems import Problem

T = TypeVar("T")
Row = Mapping[str, Any]

#: Questions that may be on their way at once: searches, and what the board asks; each has a connection.
SEARCHES: Final = 3
GLANCES: Final = 3
#: How long the daemon's status is believed, seconds.
REMEMBERED: Final = 2.0
#: How long a question waits for its turn, seconds.
PATIENCE: Final = 10.0
_NUMBERS: Final = (*NUMBERS, "number")


class Turns:
    """So many at once; others wait, but not for ever."""

    def __init__(self, most: int) -> None:
        self._free = asyncio.Semaphore(most)

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[None]:
        """Wait for a turn. Raises ``Problem``: too many are before us."""
        try:
            await asyncio.wait_for(self._free.acquire(), PATIENCE)
        except TimeoutError:
            detail = "Too many questions at once; try again."
            raise Problem(503, "busy", detail, headers={"Retry-After": "2"}) from None
        try:
            yield
        finally:
            self._free.release()


@dataclass(slots=True)
class Backend:
    """The application's shared state. ``read_number``: the one reader of telephone numbers."""

    settings: Settings
    source: ReadEngine
    doorkeeper: Doorkeeper
    zone: tzinfo
    read_number: Callable[[str], str | None]
    searches: Turns
    glances: Turns
    #: What the daemon is doing, asked over an open engine; remembered for a moment, for many ask.
    status: Callable[[Any], Awaitable[Any]]
    known_status: tuple[float, Any] | None = None

    async def daemon_status(self, engine: Any) -> Any:
        """The daemon's status, at most :data:`REMEMBERED` seconds old."""
        if self.known_status is None or time.monotonic() - self.known_status[0] > REMEMBERED:
            self.known_status = (time.monotonic(), await self.status(engine))
        return self.known_status[1]

    async def search(self, ask: Callable[[Any], Awaitable[T]]) -> T:
        """The answer of ``ask(engine)``: a question that may take its time. Raises ``LedgerError``, ``Problem``."""
        async with self.searches.turn(), self.source.reading() as engine:
            return await ask(engine)

    async def glance(self, ask: Callable[[Any], Awaitable[T]]) -> T:
        """The answer of ``ask(engine)``: a question that is quick. Raises ``LedgerError``, ``Problem``."""
        async with self.glances.turn(), self.source.reading() as engine:
            return await ask(engine)


def backend_of(request: Request) -> Backend:
    """The application's state."""
    backend: Backend = request.app.state.backend
    return backend


def viewer_of(request: Request) -> Viewer:
    """Return who asks; the guard has refused requests without a viewer."""
    viewer: Viewer = request.state.viewer
    return viewer


Shared = Annotated[Backend, Depends(backend_of)]
Asking = Annotated[Viewer, Depends(viewer_of)]


def now_ms() -> int:
    """Now, by this machine's clock, ms."""
    return time.time_ns() // 1_000_000


def shown(rows: Iterable[Row], viewer: Viewer) -> list[dict[str, Any]]:
    """The rows of the viewer's accounts, with as much of each number as the viewer may see."""
    return [_masked(row) if viewer.masked else dict(row) for row in rows if _is_theirs(row, viewer)]


def _is_theirs(row: Row, viewer: Viewer) -> bool:
    return not viewer.accounts or row.get("account_id") in viewer.accounts or "account_id" not in row


def _masked(row: Row) -> dict[str, Any]:
    hidden = dict(row)
    for name in _NUMBERS:
        if isinstance(value := hidden.get(name), str):
            hidden[name] = mask_number(value)
    return hidden


async def of_extension(engine: Any, rows: Iterable[Row], viewer: Viewer) -> list[Row]:
    """The rows of the viewer's own extension, for a viewer of the role `own`; else all of them."""
    if viewer.role != "own":
        return list(rows)
    mine = await own_ids(engine, viewer)
    return [row for row in rows if row["extension_id"] in mine]


async def own_ids(engine: Any, viewer: Viewer) -> frozenset[str]:
    """The ids of the viewer's own extension."""
    known = await queries.presence(engine)
    ids = [
        row["extension_id"] for row in known if row["extension_number"] == viewer.extension and _is_theirs(row, viewer)
    ]
    return frozenset([viewer.extension, *ids])


def allowed(wanted: CallFilter, viewer: Viewer, account: str | None = None) -> CallFilter:
    """The filter, narrowed to what the viewer may see. Raises ``Problem`` for what the viewer may not."""
    if viewer.accounts and account is None:
        if len(viewer.accounts) > 1:
            detail = f"name one of your accounts: {', '.join(sorted(viewer.accounts))}."
            raise Problem(400, "parameter", f"account_id: {detail}", parameter="account_id")
        (account,) = viewer.accounts
    if viewer.accounts and account not in viewer.accounts:
        raise Problem(403, "not-yours", f"account_id: {account} is none of your accounts.", parameter="account_id")
    if viewer.role == "own":
        if wanted.extension not in {None, viewer.extension}:
            raise Problem(403, "not-yours", "extension: you see your own calls alone.", parameter="extension")
        wanted = replace(wanted, extension=viewer.extension)
    return replace(wanted, account_id=account)
