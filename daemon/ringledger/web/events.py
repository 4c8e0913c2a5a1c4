"""What changes, as it is committed: server-sent events, resumed by `Last-Event-ID`.

One task looks at the database for all who listen, and writes what it saw once for all who may see the same. What must
stay true: an event is sent only after its commit; a client that resumes gets every call that was finished or corrected
since; one that does not keep up is disconnected, and may resume.
"""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Annotated, Any, Final

from fastapi import APIRouter, Depends, Header, Request
from msgspec.json import Encoder
from starlette.responses import Response, StreamingResponse

from ringledger.ledger.errors import LedgerError
from ringledger.ledger.read import queries
from ringledger.ledger.read.changes import changes_after, newest_position
from ringledger.web.access import Viewer
from ringledger.web.backend import Asking, Backend, Shared, of_extension, own_ids, shown
from ringledger.web.problems import Problem, ProblemDetails

#: Between two looks at a database that changes, seconds; and how often those who listen hear that nothing happened.
EVERY_SECONDS: Final = 0.5
HEARTBEAT_SECONDS: Final = 15.0
#: Those who may listen at once, and looks one of them may be behind.
MOST_LISTENERS: Final = 200
MOST_WAITING: Final = 60
#: Events that are sent to a client that resumes, at most.
MOST_MISSED: Final = 2_000
_encode: Final = Encoder().encode
Key = tuple[str, str]
Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class LiveEvent:
    """One event. ``position``: from where a reader goes on after it."""

    name: str
    row: Row
    position: str


@dataclass(eq=False, slots=True)
class _Listener:
    """Somebody who listens; ``mine``: the ids of the own extension, for a viewer of the role `own`."""

    viewer: Viewer
    mine: frozenset[str]
    waiting: "asyncio.Queue[bytes | None]" = field(default_factory=lambda: asyncio.Queue(MOST_WAITING))


class Follower:
    """Follows the database while anybody listens."""

    def __init__(self, backend: Backend) -> None:
        self._backend = backend
        self._listeners: set[_Listener] = set()
        self._task: asyncio.Task[None] | None = None
        self._open: dict[Key, Row] = {}
        self._position = ""
        self._written = -1
        self._ready = asyncio.Event()
        self._stopped = False

    def stop(self) -> None:
        """End every stream."""
        self._stopped = True
        for listener in list(self._listeners):
            self._let_go(listener)

    async def listen(self, viewer: Viewer) -> _Listener:
        """Somebody wants to hear. Raises ``Problem``: too many do; ``LedgerError``."""
        mine: frozenset[str] = frozenset()
        if viewer.role == "own":
            mine = await self._backend.glance(lambda engine: own_ids(engine, viewer))
        if self._stopped or len(self._listeners) >= MOST_LISTENERS:
            raise Problem(503, "busy", "Too many listen already; try again.", headers={"Retry-After": "10"})
        listener = _Listener(viewer, mine)
        self._listeners.add(listener)
        if self._task is None or self._task.done():
            self._ready.clear()
            self._task = asyncio.create_task(self._follow(), name="follow")
        return listener

    def leave(self, listener: _Listener) -> None:
        """Somebody has heard enough."""
        self._listeners.discard(listener)

    async def ready(self) -> str:
        """Wait for the first look; returns the position it was at."""
        await self._ready.wait()
        return self._position

    async def _follow(self) -> None:
        first = True
        while self._listeners and not self._stopped:
            written = self._backend.source.written_at()
            if first or written != self._written or written == 0:
                with suppress(LedgerError, Problem):  # health says so; the next look may succeed
                    await self._look(first=first)
                    self._written, first = written, False
                    self._ready.set()
            await asyncio.sleep(EVERY_SECONDS)

    async def _look(self, *, first: bool) -> None:
        async def ask(engine: Any) -> tuple[list[Row], list[tuple[Row, str]], str]:
            position = await newest_position(engine) if first else self._position
            active = await queries.active_calls(engine)
            rows, position = await changes_after(engine, position)
            return active, rows, position

        active, rows, position = await self._backend.glance(ask)
        if not first:
            now = {(row["account_id"], row["session_id"]): row for row in active}
            changes = [_published(row, behind) for row, behind in rows]
            for key, row in now.items():
                if (before := self._open.get(key)) != row:
                    changes.append(LiveEvent("opened" if before is None else "changed", row, position))
            changes += [LiveEvent("closed", row, position) for key, row in self._open.items() if key not in now]
            self._tell(changes)
        self._open = {(row["account_id"], row["session_id"]): row for row in active}
        self._position = position

    def _tell(self, changes: Sequence[LiveEvent]) -> None:
        written: dict[tuple[Viewer, frozenset[str]], bytes] = {}
        for listener in list(self._listeners):
            whose = (listener.viewer, listener.mine)
            if whose not in written:
                written[whose] = b"".join(_event(change, *whose) for change in changes)
            try:
                if written[whose]:
                    listener.waiting.put_nowait(written[whose])
            except asyncio.QueueFull:
                self._let_go(listener)

    def _let_go(self, listener: _Listener) -> None:
        self._listeners.discard(listener)
        while not listener.waiting.empty():
            listener.waiting.get_nowait()
        listener.waiting.put_nowait(None)


events = APIRouter(prefix="/api/v1")


def follower_of(request: Request) -> Follower:
    """Return the application's follower of the database."""
    follower: Follower = request.app.state.follower
    return follower


Following = Annotated[Follower, Depends(follower_of)]


@events.get(
    "/events",
    tags=["now"],
    response_class=StreamingResponse,
    responses={
        200: {"content": {"text/event-stream": {"schema": {"type": "string"}}}},
        400: {"model": ProblemDetails},
        503: {"model": ProblemDetails},
    },
)
async def stream(
    backend: Shared,
    follower: Following,
    viewer: Asking,
    last_event_id: Annotated[str | None, Header(max_length=200)] = None,
) -> Response:
    """What changes, as server-sent events.

    First `snapshot` (`items`: all open calls), then `opened`, `changed` and `closed` with a row of `active_calls`,
    `finished` and `amended` with a row of `calls`. With `Last-Event-ID` first every call that was finished or amended
    since that event, as it is now.
    """
    listener = await follower.listen(viewer)
    try:
        missed = [] if last_event_id is None else await _since(backend, last_event_id)
    except BaseException:
        follower.leave(listener)
        raise
    told = _told(backend, follower, listener, missed)
    return StreamingResponse(told, media_type="text/event-stream", headers={"X-Accel-Buffering": "no"})


async def _since(backend: Backend, position: str) -> list[LiveEvent]:
    """Return what was written since a position. Raises ``Problem`` for a text that is no position."""
    changes: list[LiveEvent] = []
    while True:
        asked = position
        try:
            rows, position = await backend.search(lambda engine: changes_after(engine, asked))  # noqa: B023
        except ValueError:
            raise Problem(400, "parameter", "Last-Event-ID: is none of ours.", parameter="Last-Event-ID") from None
        changes += [_published(row, behind) for row, behind in rows]
        if position == asked or len(changes) > MOST_MISSED:
            return changes


def _published(row: Row, position: str) -> LiveEvent:
    return LiveEvent("finished" if row["revision"] == 1 else "amended", row, position)


async def _told(
    backend: Backend, follower: Follower, listener: _Listener, missed: list[LiveEvent]
) -> AsyncIterator[bytes]:
    viewer = listener.viewer

    async def ask(engine: Any) -> list[Any]:
        return await of_extension(engine, await queries.active_calls(engine), viewer)

    try:
        yield b"retry: 2000\n\n"
        position = await follower.ready()
        active = await backend.glance(ask)
        for change in missed:
            if text := _event(change, viewer, listener.mine):
                yield text
        yield _text("snapshot", {"items": shown(active, viewer)}, position)
        while True:
            try:
                text_ = await asyncio.wait_for(listener.waiting.get(), HEARTBEAT_SECONDS)
            except TimeoutError:
                yield b": still here\n\n"
                continue
            if text_ is None:
                return
            yield text_
    except (LedgerError, Problem):
        return  # the reader asks again in two seconds; then it hears what is wrong
    finally:
        follower.leave(listener)


def _event(change: LiveEvent, viewer: Viewer, mine: frozenset[str]) -> bytes:
    """The text of an event; empty: not for this viewer."""
    if viewer.role == "own" and change.row["extension_id"] not in mine:
        return b""
    rows = shown([change.row], viewer)
    return _text(change.name, rows[0], change.position) if rows else b""


def _text(name: str, data: Any, position: str) -> bytes:
    return b"id: %s\nevent: %s\ndata: %s\n\n" % (position.encode(), name.encode(), _encode(data))
