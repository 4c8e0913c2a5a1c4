"""What a running daemon says of itself, without one: its control socket, answered as a test wants it."""

import asyncio
import os
import threading
import time
from contextlib import contextmanager

from ringledger.service.control.server import Control, socket_path
from ringledger.service.health.status import DaemonStatus, Life
from tests.until import PATIENCE


def answer(now: int | None = None, *, state: str = "live", cause: str = "", **more) -> dict:
    """The answer to `status` of a daemon that has run for an hour."""
    now = time.time_ns() // 1_000_000 if now is None else now
    feed = {"state": state, "since": now - 90_000, "cause": cause, "seen_until": now - (90_000 * (state == "blind"))}
    told = {
        "pid": os.getpid(), "version": "0", "started_at": now - 3_600_000, "ready": True, "phase": "", "trouble": "",
        "account_id": "1001", "polled_at": now - 100_000, "feed": feed, "filters": {"granted": 8, "asked": 8},
        "login": {"logged_in": True, "scope": "ReadPresence ReadCallLog SubscriptionWebSocket"},
    }  # fmt: skip
    return told | more


def status(now: int, *, state: str = "live", cause: str = "", **more) -> DaemonStatus:
    """The status of such a daemon."""
    told = answer(now, state=state, cause=cause)
    feed = told["feed"]
    values = {
        "life": Life.RUNNING, "since": told["started_at"], "pid": 4711, "written_at": now - 1_000, "feed": state,
        "feed_since": feed["since"], "cause": cause, "seen_until": feed["seen_until"], "told": told,
    }  # fmt: skip
    return DaemonStatus(at=now, **values | more)


@contextmanager
def says(database, told=answer):
    """Somebody answers beside the database with what ``told`` returns."""

    async def tell(_request, _send):
        return told()

    loop, listening = asyncio.new_event_loop(), threading.Event()

    async def serve():
        control = asyncio.create_task(Control(socket_path(database), {"status": tell}, shared={"status"}).run())
        while not socket_path(database).exists():
            await asyncio.sleep(0.001)
        listening.set()
        try:
            await control
        except asyncio.CancelledError:
            return

    thread = threading.Thread(target=loop.run_until_complete, args=(serve(),))
    thread.start()
    try:
        assert listening.wait(PATIENCE)
        yield
    finally:
        loop.call_soon_threadsafe(lambda: [task.cancel() for task in asyncio.all_tasks(loop)])
        thread.join()
        loop.close()
