"""The server: one process, one thread for HTTP, a few for the database.

What must stay true: a peer that sends nothing, or reads nothing, is let go, and takes no more connections than its
share, so that it shuts out itself alone; SIGTERM and SIGINT end it in good order.
"""

import asyncio
import socket
from collections.abc import Awaitable, Callable, Generator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, Final

import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol, RequestResponseCycle

from ringledger import __version__
from ringledger.admission import Admission, Visit
from ringledger.config.model import Settings
from ringledger.observability.logging import LOG, Event
from ringledger.systemd import Notifier
from ringledger.web.access import check, proxies, within
from ringledger.web.app import application

#: How long a peer may take to send a whole request, and to read what waits for it, seconds.
SENDING_SECONDS: Final = 10.0
READING_SECONDS: Final = 30.0
#: Connections at once, and of one peer; a trusted proxy speaks for many.
MOST_CONNECTIONS: Final = 1_000
MOST_EACH: Final = 64
#: How long answers under way may take to end, seconds.
GOODBYE_SECONDS: Final = 3


class PatientProtocol(H11Protocol):
    """HTTP with bounds on a peer's time and number. ``admission``, ``speaks_for_many`` (whether an address is a trusted
    proxy's) are given to a subclass.
    """

    admission: Admission
    speaks_for_many: Callable[[str], bool]
    _visit: Visit | None = None
    _sending: asyncio.TimerHandle | None = None
    _reading: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """A peer is there: if there is room for it, it has to say what it wants."""
        peer = str((transport.get_extra_info("peername") or ("",))[0])
        most = MOST_CONNECTIONS if type(self).speaks_for_many(peer) else None
        self._visit = self.admission.enter(peer, transport.abort, most_each=most)
        if self._visit is None:
            transport.abort()
            return
        super().connection_made(transport)
        self._expect_request()

    def data_received(self, data: bytes) -> None:
        """Something came: a whole request, or a part of one."""
        if self._visit is None:
            return
        super().data_received(data)
        cycle: RequestResponseCycle | None = self.cycle
        self._visit.idle = cycle is None or cycle.response_complete
        if self._visit.idle or (cycle is not None and cycle.more_body):
            self._expect_request()
        elif self._sending is not None:
            self._sending.cancel()
            self._sending = None

    def eof_received(self) -> None:
        """The peer says no more."""
        if self._visit is not None:
            super().eof_received()

    def on_response_complete(self) -> None:
        """What was asked has been answered; the next request may be there already."""
        super().on_response_complete()
        cycle: RequestResponseCycle | None = self.cycle
        if self._visit is not None:
            self._visit.idle = cycle is None or cycle.response_complete

    def connection_lost(self, exc: Exception | None) -> None:
        """The peer has gone."""
        for timer in (self._sending, self._reading):
            if timer is not None:
                timer.cancel()
        if self._visit is not None:
            self.admission.leave(self._visit)
            super().connection_lost(exc)

    def pause_writing(self) -> None:
        """The peer does not read as fast as it asked."""
        super().pause_writing()
        self._reading = self.loop.call_later(READING_SECONDS, self.transport.abort)

    def resume_writing(self) -> None:
        """It reads again."""
        if self._reading is not None:
            self._reading.cancel()
            self._reading = None
        super().resume_writing()

    def timeout_keep_alive_handler(self) -> None:
        """Nothing more is asked: close, and not wait for ever until what was said is read."""
        super().timeout_keep_alive_handler()
        self.loop.call_later(READING_SECONDS, self.transport.abort)

    def _expect_request(self) -> None:
        if self._sending is None:
            self._sending = self.loop.call_later(SENDING_SECONDS, self.transport.abort)


class _Server(uvicorn.Server):
    """A server that leaves signals to its caller, and says when it is up."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.up = asyncio.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begin to answer."""
        await super().startup(sockets)
        self.up.set()

    @contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        """Nothing."""
        yield


async def serve(
    settings: Settings,
    *,
    directory: Path,
    env: Mapping[str, str],
    read_number: Callable[[str], str | None],
    status: Callable[[Any], Awaitable[Any]],
    stopping: asyncio.Event,
    listening: Callable[[str], None] = lambda _: None,
) -> None:
    """Answer until ``stopping`` is set.

    ``directory``: where the names of token files begin; ``status``: what the daemon is doing, asked over an engine;
    ``listening`` is told the address in use. Raises ``SettingsError``, ``OSError`` (the address cannot be had).
    """
    check(settings)
    app, end_streams = application(settings, directory=directory, env=env, read_number=read_number, status=status)
    with _bound(settings.serve.listen) as listener:
        host, port = listener.getsockname()[:2]
        address = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        admission = Admission("serve", most=MOST_CONNECTIONS, most_each=MOST_EACH)
        known = {"admission": admission, "speaks_for_many": staticmethod(partial(within, networks=proxies(settings)))}
        config = uvicorn.Config(
            app,
            http=type("AdmittedProtocol", (PatientProtocol,), known),
            ws="none",
            loop="asyncio",
            lifespan="on",
            log_config=None,
            access_log=False,
            proxy_headers=False,
            server_header=False,
            date_header=True,
            timeout_keep_alive=15,
            timeout_graceful_shutdown=GOODBYE_SECONDS,
            h11_max_incomplete_event_size=32_768,
        )
        server = _Server(config)
        serving = asyncio.create_task(server.serve([listener]), name="serve")
        notifier = Notifier()
        try:
            await _either(serving, server.up)
            if server.started:
                LOG.info(Event.SERVICE_READY, version=__version__, listen=address)
                listening(address)
                notifier.ready()
            await _either(serving, stopping)
        finally:
            notifier.stopping()
            end_streams()
            server.should_exit = True
            await serving
            admission.close()
    LOG.info(Event.SERVICE_STOPPED)


async def _either(serving: "asyncio.Task[None]", stopping: asyncio.Event) -> None:
    waiting = asyncio.create_task(stopping.wait())
    try:
        await asyncio.wait({serving, waiting}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        waiting.cancel()


@contextmanager
def _bound(listen: str) -> Generator[socket.socket, None, None]:
    host, _, port = listen.rpartition(":")
    host = host.strip("[]")
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((host, int(port)))
        except OSError as error:
            raise OSError(error.errno, error.strerror, f"serve.listen {listen}") from None
        listener.listen(256)
        listener.setblocking(False)
        yield listener
