"""ringledger as a process of its own, started in a tenth of the time that a new interpreter takes.

An interpreter needs a second of the processor before it has imported the program, and the suite starts hundreds. So a
parent that has imported everything waits beside each worker of the suite, and a process is a copy of it: with its own
number, files, environment, directory and signals, and with `python -m ringledger`'s arguments. It ends as any other
does, but leaves its objects to the system: freeing what it shares with its parent took as long as a command. What is
about the start itself (what help imports, a closed standard output, the installation) starts an interpreter:
`subprocess` and ``tests.cli.conftest.command``.

What must stay true: the parent has imported, and has done nothing else; it has no threads. A process outlives neither
the one that has started it nor the last name for it.
"""

import array
import asyncio
import atexit
import contextlib
import functools
import gc
import io
import json
import os
import runpy
import select
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

from tests.virtual_time import JumpingLoop

#: What a process may need; whatever else it imports, it imports itself.
PRELOADED = (
    "ringledger.cli.app",
    "ringledger.ledger.file.inspect",
    "ringledger.ledger.read.queries",
    "ringledger.ledger.schema.migrate",
    "ringledger.ringcentral.pubnub.feed",
    "ringledger.ringcentral.websocket.feed",
    "ringledger.service.daemon",
    "ringledger.simulator",
    "ringledger.web.server",
    "h2.connection",
    "httpcore",
    "uvicorn.lifespan.on",
)
LARGEST = 1 << 18


class Process:
    """A running ``python -m ringledger``, with the names of ``subprocess.Popen``; its pipes carry text.

    ``stdin``, ``stdout``, ``stderr``: a descriptor, ``PIPE``, ``DEVNULL``, or None for our own. ``module``: another one
    to run. ``kept``: what a service manager has kept for it, a name and a descriptor.
    """

    def __init__(
        self,
        *words: object,
        stdin: int | None = None,
        stdout: int | None = None,
        stderr: int | None = None,
        env: Mapping[str, str] | None = None,
        start_new_session: bool = False,
        module: str = "ringledger",
        kept: tuple[str, int] | None = None,
    ) -> None:
        self.returncode: int | None = None
        self.stdin = self.stdout = self.stderr = None
        given = []
        for number, (name, wanted) in enumerate((("stdin", stdin), ("stdout", stdout), ("stderr", stderr))):
            if wanted == subprocess.PIPE:
                reading, writing = os.pipe()
                ours, theirs = (writing, reading) if name == "stdin" else (reading, writing)
                setattr(self, name, os.fdopen(ours, "w" if name == "stdin" else "r", encoding="utf-8"))
            elif wanted == subprocess.DEVNULL:
                theirs = os.open(os.devnull, os.O_RDWR)
            else:
                theirs = os.dup(number if wanted is None else wanted)
            given.append(theirs)
        self._told, told = socket.socketpair()
        if kept is not None:
            given.append(os.dup(kept[1]))
        order = {
            "module": module,
            "words": [str(word) for word in words],
            "env": dict(os.environ if env is None else env),
            "directory": str(Path.cwd()),
            "session": start_new_session,
            "kept": kept and kept[0],
        }
        with told:
            rights = array.array("i", [told.fileno(), *given])
            _parent().sendmsg([json.dumps(order).encode()], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, rights)])
        for descriptor in given:
            os.close(descriptor)
        digits = b""
        while (digit := self._told.recv(1)) != b"\n":  # the code comes behind it, maybe already now
            assert digit, "the parent has ended"
            digits += digit
        self.pid = int(digits)

    def fileno(self) -> int:
        """A descriptor that can be read when it has ended."""
        return self._told.fileno()

    def poll(self) -> int | None:
        """The exit code, negative for a signal; None while it runs."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.wait(0)
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        """The exit code; raises ``subprocess.TimeoutExpired``."""
        if self.returncode is None:
            self._told.settimeout(timeout or 1e-6 if timeout is not None else None)
            try:
                code = self._told.recv(16)  # so short that it comes whole
            except (TimeoutError, BlockingIOError):
                raise subprocess.TimeoutExpired("ringledger", timeout or 0.0) from None
            self._told.close()
            assert code, "the parent has ended"
            self.returncode = int(code)
        return self.returncode

    def communicate(self, timeout: float | None = None) -> tuple[str | None, str | None]:
        """What it still writes until its end; raises ``subprocess.TimeoutExpired``."""
        if self.stdin is not None:
            self.stdin.close()
        found: dict[str, str] = {}
        readers = [
            threading.Thread(target=lambda name=name, pipe=pipe: found.update({name: pipe.read()}))
            for name, pipe in (("stdout", self.stdout), ("stderr", self.stderr))
            if pipe is not None and not pipe.closed
        ]
        for reader in readers:
            reader.daemon = True
            reader.start()
        self.wait(timeout)
        for reader in readers:
            reader.join()
        for pipe in (self.stdout, self.stderr):
            if pipe is not None:
                pipe.close()
        return found.get("stdout"), found.get("stderr")

    def send_signal(self, number: int) -> None:
        """Send a signal, unless it has ended."""
        if self.poll() is None:
            os.kill(self.pid, number)

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for pipe in (self.stdin, self.stdout, self.stderr):
            if pipe is not None:
                pipe.close()
        self.wait()


class Awaited:
    """A process with the names of ``asyncio.subprocess.Process``, on the loop that runs."""

    def __init__(self, process: Process) -> None:
        self._process = process
        self._loop = asyncio.get_running_loop()
        self._end: asyncio.Future[int] = self._loop.create_future()
        if isinstance(self._loop, JumpingLoop):
            self._loop.watch_child(self._end)
        self._loop.add_reader(process, self._ended)

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def returncode(self) -> int | None:
        return self._end.result() if self._end.done() else None

    def send_signal(self, number: int) -> None:
        """Send a signal, unless it has ended."""
        self._process.send_signal(number)

    async def wait(self) -> int:
        """The exit code."""
        return await asyncio.shield(self._end)

    def _ended(self) -> None:
        self._loop.remove_reader(self._process)
        self._end.set_result(self._process.wait())


@functools.cache
def _parent() -> socket.socket:
    """The connection to the parent of this worker's processes; it ends with us."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    ours.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, LARGEST)
    environment = {name: value for name, value in os.environ.items() if not name.startswith("RINGLEDGER_")}
    with theirs:
        parent = subprocess.Popen(
            [sys.executable, "-m", "tests.forked", str(theirs.fileno())], pass_fds=[theirs.fileno()], env=environment,
            cwd=Path(__file__).parent.parent,
        )  # fmt: skip

    def end() -> None:
        ours.close()
        parent.wait()

    atexit.register(end)
    return ours


# -- in the parent -----------------------------------------------------------------------------------------------------


def serve(orders: socket.socket) -> dict[str, Any] | None:
    """Copy this process for each order; returns the order in the copy, None in the parent when nobody asks any more."""
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for those that wait
    while True:
        text, rights, _, _ = orders.recvmsg(LARGEST, socket.CMSG_SPACE(5 * 4))
        if not text:
            return None
        descriptors = array.array("i")
        for _, _, data in rights:
            descriptors.frombytes(data)
        if not os.fork():
            orders.close()
            return _begin(json.loads(text), *descriptors)
        for descriptor in descriptors:
            os.close(descriptor)


def _begin(order: dict[str, Any], told: int, *streams: int) -> dict[str, Any]:
    """Be two: one that waits and tells how the other has ended, the other one has its streams and returns.

    Whom nobody asks for any more is killed.
    """
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    if child := os.fork():
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        for descriptor in streams:
            os.close(descriptor)
        os.write(told, f"{child}\n".encode())
        ended = os.pidfd_open(child)
        if ended not in select.select([told, ended], [], [])[0]:
            os.kill(child, signal.SIGKILL)
        _, status = os.waitpid(child, 0)
        with contextlib.suppress(BrokenPipeError):
            os.write(told, f"{os.waitstatus_to_exitcode(status)}\n".encode())
        os._exit(0)
    os.close(told)
    for number, descriptor in enumerate(streams[:3]):
        os.dup2(descriptor, number)
        os.close(descriptor)
    if order["kept"]:
        os.dup2(streams[3], 3)
        if streams[3] != 3:
            os.close(streams[3])
    return order


def become(order: dict[str, Any]) -> None:
    """Run the program as a new interpreter would, and end."""
    if order["session"]:
        os.setsid()
    os.environ.clear()
    os.environ.update(order["env"])
    if order["kept"]:
        os.environ |= {"LISTEN_PID": str(os.getpid()), "LISTEN_FDS": "1", "LISTEN_FDNAMES": order["kept"]}
    time.tzset()
    os.chdir(order["directory"])
    at_once = bool(os.environ.get("PYTHONUNBUFFERED"))
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        raw: Any = open(number, "rb" if number == 0 else "wb", closefd=False)  # noqa: SIM115 - to the end
        lines = name == "stderr" or raw.raw.isatty()
        stream = io.TextIOWrapper(
            raw, encoding="utf-8", errors="backslashreplace" if name == "stderr" else "strict",
            line_buffering=lines, write_through=at_once,
        )  # fmt: skip
        setattr(sys, name, stream)
        setattr(sys, f"__{name}__", stream)
    sys.argv = [order["module"], *order["words"]]
    try:
        runpy.run_module(order["module"], run_name="__main__", alter_sys=True)
    except SystemExit as ended:
        if not isinstance(ended.code, int | None):
            raise
        code = ended.code or 0
    else:
        code = 0
    _end(code)


def _end(code: int) -> None:
    """What an interpreter does at its end, in its order (`Py_FinalizeEx`), and no more."""
    threading._shutdown()  # type: ignore[attr-defined]
    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        try:
            if not stream.closed:
                stream.flush()
        except OSError:
            code = 120
    os._exit(code)


def main() -> None:
    for name in PRELOADED:
        __import__(name)
    assert threading.active_count() == 1
    gc.collect()
    gc.freeze()
    with socket.socket(fileno=int(sys.argv[1])) as orders:
        order = serve(orders)
    if order is not None:
        become(order)


if __name__ == "__main__":
    main()
