"""The daemon's ear for commands: a Unix socket beside the database, answered line by line.

A request is one line of JSON, ``{"do": "backfill", …}``; the answer is any number of ``{"progress": …}`` lines and then
one ``{"result": …}`` or ``{"error": {"kind": …, "message": …}}``. What must stay true: what writes, here or elsewhere,
is done for the daemon's own user and root alone; the group (0660) is answered only what it may read; no secret passes
through; whatever is asked, the daemon lives on; a caller who goes away ends what they asked for.
"""

import asyncio
import json
import os
import socket
import struct
from collections.abc import Awaitable, Callable, Collection, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from ringledger.admission import Admission
from ringledger.config.model import Settings
from ringledger.ledger.errors import LedgerUnavailable
from ringledger.observability.logging import LOG, Event
from ringledger.ringcentral.errors import PlatformError

MODE: Final = 0o660
#: A request is at most so long, bytes, and comes within so many seconds of the connection or the last answer.
LONGEST: Final = 4096
REQUEST_WITHIN: Final = 30.0
#: An answer's line is at most so long, bytes.
LONGEST_ANSWER: Final = 1 << 20
#: The kernel's word on who is at the other end: process, user, group.
PEER: Final = struct.Struct("3i")

Json = dict[str, Any]
#: Carries out one request; its second argument sends a progress line. Raises ``PlatformError``, ``LedgerUnavailable``
#: or ``ValueError``.
Handler = Callable[[Json, Callable[[Json], None]], Awaitable[Json]]


def socket_path(database: Path) -> Path:
    """Where the daemon of this database listens."""
    return database.with_suffix(".sock")


def of_account(settings: Settings) -> Json:
    """What a request says of the account it is about; nothing where there is one without a name."""
    return {"account": settings.account_name} if settings.account_name else {}


class Refused(Exception):
    """The daemon answers with an error. ``kind``: the name of the error's class over there."""

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(message)
        self.kind = kind


class Control:
    """Listens at ``path`` and lets ``handlers`` answer, by the request's ``do``: the daemon's own user and root, and
    everybody who can reach the socket those that are ``shared`` because they change nothing. ``later``: what will be
    answered once the handlers are there (:meth:`add`); ``elsewhere``: who answers instead, in words, if any.
    """

    def __init__(
        self,
        path: Path,
        handlers: Mapping[str, Handler],
        *,
        shared: Collection[str] = (),
        later: Collection[str] = (),
        elsewhere: Callable[[], str] = str,
    ) -> None:
        self.path = path
        self._elsewhere = elsewhere
        self._later = later
        self._handlers = dict(handlers)
        self._shared = shared
        self._busy: set[asyncio.Task[None]] = set()
        self._admission = Admission("control socket")

    def add(self, handlers: Mapping[str, Handler]) -> None:
        """From now on these can be asked as well."""
        self._handlers.update(handlers)

    async def run(self) -> None:
        """Listen until cancelled. Without a socket (its path is too long, say) the daemon does without it."""
        try:
            listening = _bound(self.path)
        except OSError as error:
            LOG.warning(Event.CONTROL_UNAVAILABLE, path=str(self.path), reason=error.strerror or str(error))
            return
        server = await asyncio.start_unix_server(self._serve, sock=listening, limit=LONGEST)
        try:
            await asyncio.Event().wait()
        finally:
            server.close()
            self._admission.close()
            for task in self._busy:
                task.cancel()
            with suppress(OSError):
                self.path.unlink()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        visit = self._admission.enter(_caller(writer), writer.transport.abort)
        if visit is None:
            writer.transport.abort()
            return
        task = asyncio.current_task()
        if task is not None:
            self._busy.add(task)
            task.add_done_callback(self._busy.discard)
        try:
            with suppress(ConnectionError, TimeoutError, asyncio.CancelledError):
                while line := await _line(reader):
                    visit.idle = False
                    _send(writer, await self._answer(line, writer))
                    async with asyncio.timeout(REQUEST_WITHIN):
                        await writer.drain()
                    visit.idle = True
        finally:
            self._admission.leave(visit)
            writer.close()

    async def _answer(self, line: bytes, writer: asyncio.StreamWriter) -> Json:
        try:
            request = json.loads(line)
            if request["do"] in self._later and request["do"] not in self._handlers:
                if who := self._elsewhere():
                    return _error("Starting", f"{request['do']}: {who}; ask it there")
                return _error(
                    "Starting", f"{request['do']}: the daemon is still starting, `ringledger doctor` says why"
                )
            handler = self._handlers[request["do"]]
        except (ValueError, KeyError, TypeError, RecursionError):
            known = ", ".join(sorted(self._handlers))
            return _error("ValueError", f'no such request; {{"do": …}} takes one of: {known}')
        if request["do"] not in self._shared and _caller(writer) not in {0, os.geteuid()}:
            return _error("PermissionError", f"{request['do']}: run this as root or as the daemon's user")
        try:
            return {"result": await handler(request, lambda progress: _send(writer, {"progress": progress}))}
        except (PlatformError, LedgerUnavailable, ValueError) as error:
            return _error(type(error).__name__, str(error))
        except ConnectionError:
            raise
        except Exception as error:
            _send(writer, _error("PlatformError", f"internal error: {type(error).__name__}: {error}"))
            raise


async def _line(reader: asyncio.StreamReader) -> bytes:
    """Return the next request; empty at the end of the connection, or when a request is far too long."""
    async with asyncio.timeout(REQUEST_WITHIN):
        try:
            return await reader.readline()
        except ValueError:
            return b""


def _caller(writer: asyncio.StreamWriter) -> int:
    """The user at the other end, as the kernel knows it."""
    told: bytes = writer.get_extra_info("socket").getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, PEER.size)
    return int(PEER.unpack(told)[1])


def _send(writer: asyncio.StreamWriter, answer: Json) -> None:
    """Write a line. Raises ``ConnectionError`` when the client is gone."""
    if writer.is_closing():
        raise ConnectionResetError("the caller has gone")
    writer.write(json.dumps(answer).encode() + b"\n")


def _error(kind: str, message: str) -> Json:
    return {"error": {"kind": kind, "message": message}}


def _bound(path: Path) -> socket.socket:
    """A socket at ``path``; what a daemon that was killed has left there is removed: we hold the database's lock."""
    path.unlink(missing_ok=True)
    made = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    before = os.umask(0o777 & ~MODE)
    try:
        made.bind(str(path))
    except OSError:
        made.close()
        raise
    finally:
        os.umask(before)
    made.setblocking(False)
    return made


async def request(path: Path, asked: Json, on_progress: Callable[[Json], None]) -> Json | None:
    """Ask the daemon that listens at ``path``; ``None`` when none does.

    Raises :class:`Refused`, ``PermissionError``, or ``ConnectionError`` when it dies meanwhile.
    """
    if not await asyncio.to_thread(path.exists):
        return None  # a path too long for a socket is no socket either
    try:
        reader, writer = await asyncio.open_unix_connection(path, limit=LONGEST_ANSWER)
    except (FileNotFoundError, ConnectionRefusedError):
        return None
    try:
        writer.write(json.dumps(asked).encode() + b"\n")
        await writer.drain()
        while line := await reader.readline():
            answer: Json = json.loads(line)
            if "progress" in answer:
                on_progress(answer["progress"])
            elif "error" in answer:
                raise Refused(answer["error"]["kind"], answer["error"]["message"])
            else:
                result: Json = answer["result"]
                return result
        raise ConnectionResetError(f"{path}: the daemon has ended meanwhile; try again")
    finally:
        writer.close()
