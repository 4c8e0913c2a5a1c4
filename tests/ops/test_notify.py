"""A whole daemon and its service manager: order of messages, silence when a loop hangs, the reload pair."""

import asyncio
import contextvars
import socket
import sqlite3
import time
from contextlib import asynccontextmanager, closing

import pytest

from ringledger.config.model import load_settings
from ringledger.heartbeats import Heartbeats
from ringledger.ledger.schema.tables import SCHEMA_VERSION
from ringledger.service import Daemon
from ringledger.service.health.watchdog import endpoint_of
from ringledger.service.maintenance import VERIFY_AT_MOST
from ringledger.simulator import Simulator
from ringledger.systemd import Notifier
from tests.freezer import WATCHED, Freezer
from tests.older import older
from tests.rig import settings_for
from tests.until import PATIENCE


class Manager:
    """Reads what the daemon tells, as systemd does."""

    def __init__(self, path):
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(str(path))
        self.socket.setblocking(False)
        self.told: list[str] = []

    def read(self):
        while True:
            try:
                self.told.append(self.socket.recv(65536).decode())
            except BlockingIOError:
                return self.told

    async def until(self, condition):
        async with asyncio.timeout(PATIENCE):
            while not condition(self.read()):
                await asyncio.sleep(0.01)

    def notifier(self, watchdog=0.3):
        env = {"NOTIFY_SOCKET": self.socket.getsockname(), "WATCHDOG_USEC": str(int(watchdog * 1e6))}
        return Notifier(env)


@pytest.fixture
def manager(tmp_path):
    made = Manager(tmp_path / "notify")
    yield made
    made.socket.close()


@asynccontextmanager
async def supervised(tmp_path, manager, **overrides):
    async with Simulator() as sim:
        daemon = Daemon(settings_for(sim, tmp_path / "r.db", **overrides), notifier=manager.notifier())
        task = asyncio.create_task(daemon.run())
        try:
            await manager.until(lambda told: "READY=1" in told or task.done())
            yield daemon
            daemon.stop("test")
            await asyncio.wait_for(task, PATIENCE)
        finally:
            task.cancel()
            await asyncio.wait({task})


async def test_order_of_a_life(tmp_path, manager):
    async with supervised(tmp_path, manager) as daemon:
        await manager.until(lambda told: told.count("WATCHDOG=1") > 2)
        status = [one for one in manager.told if one.startswith("STATUS=")]
        await manager.until(lambda told: any("feed up" in one for one in told))
    told = manager.read()
    assert told[0] == "EXTEND_TIMEOUT_USEC=60000000"
    assert "starting" in status[0]
    ready, stopping = told.index("READY=1"), told.index("STOPPING=1")
    assert ready < stopping
    assert [one for one in told if one.startswith("STATUS=")][-1].startswith("STATUS=5 extensions, 0 calls open, feed ")
    assert told.count("READY=1") == told.count("STOPPING=1") == 1
    assert not [one for one in told[ready:] if one.startswith("EXTEND")]
    assert daemon.metrics.value("api_requests_total", endpoint="oauth", code="200") >= 1


async def test_an_upgrade_that_takes_long_asks_for_time_and_says_what_it_is(tmp_path, manager):
    """A lock that somebody else holds makes it take as long as we like."""
    database = tmp_path / "r.db"
    version = SCHEMA_VERSION - 1
    await asyncio.to_thread(older, database, version)
    async with Simulator() as sim:
        with closing(sqlite3.connect(database, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            async with starting(sim, tmp_path, manager, "websocket"):
                await manager.until(lambda told: told.count("EXTEND_TIMEOUT_USEC=60000000") >= 3)
                said = [one for one in manager.told if one.startswith("STATUS=")]
                assert said[-1] == f"STATUS=starting: upgrading the database from schema {version} to {version + 1}"
                assert not [one for one in said if "platform" in one]
                other.execute("ROLLBACK")
                await manager.until(lambda told: "READY=1" in told)
    ready = manager.told.index("READY=1")
    said = [one for one in manager.told[:ready] if one.startswith("STATUS=")]
    assert [one for one in said if "asking the platform" in one]
    assert not [one for one in manager.told[ready:] if one.startswith("EXTEND")]


#: Tasks of the daemon that give no sign of their own, and why that is no hole in the watch.
SILENT = {
    "daemon": "waits for all the others and for the word to stop",
    "pulse": "feeds the watchdog: if it hangs, nobody does",
    "webhooks": "waits for its loops, which beat",
    "control": "waits for callers; each request is a task of its own that ends with its caller",
    "websocket reader": "a part of the feed's connection, which the feed gives up when nothing comes",
    "websocket watch": "another; it ends the connection, and whoever reads it hears of that",
}
#: The PubNub SDK's: the feed judges how long a poll is open, and makes a new client.
SDKS = ("ReceiveMessagesEffect", "Task")
#: How often a loop goes round when it has nothing to do, seconds; here all are quick.
ROUNDS = (
    "service.maintenance.ROUND_SECONDS", "service.maintenance.WATCH_SECONDS", "service.webhooks.worker.ROUND_SECONDS",
    "service.ingest.directory.BEAT_SECONDS", "service.ingest.coverage.BEAT_SECONDS",
    "service.ingest.confirmer.LONGEST_REST",
    "ringcentral.websocket.feed.WATCH_SECONDS", "ringcentral.pubnub.feed.WATCH_SECONDS",
)  # fmt: skip


class Leaping:
    """A clock that is put forward: beyond everything that any loop was allowed."""

    def __init__(self):
        self.ahead = 0.0

    def __call__(self):
        return time.monotonic() + self.ahead

    def leap(self):
        self.ahead += VERIFY_AT_MOST + 1


@asynccontextmanager
async def frozen_at_will(tmp_path, manager, monkeypatch, transport):
    """A daemon with quick rounds and two receivers, each of its tasks to be frozen; all of them beat."""
    for name in ROUNDS:
        monkeypatch.setattr(f"ringledger.{name}", 0.1)
    hooks = [{"url": f"http://127.0.0.1:9/{n}", "events": ["call.finished"]} for n in range(2)]
    async with Simulator() as sim:
        clock = Leaping()
        settings = settings_for(sim, tmp_path / "r.db", transport, webhooks=hooks)
        daemon = Daemon(settings, notifier=manager.notifier(), loops=Heartbeats(clock))
        freezer = Freezer()
        with_mark = contextvars.copy_context()
        with_mark.run(WATCHED.set, True)
        task = asyncio.get_running_loop().create_task(daemon.run(), name="daemon", context=with_mark)
        try:
            await manager.until(lambda told: "READY=1" in told or task.done())
            yield daemon, freezer, clock
            daemon.stop("test")
            await asyncio.wait_for(task, PATIENCE)
        finally:
            freezer.thaw_all()
            task.cancel()
            await asyncio.wait({task})


def prod(daemon):
    """Give those something to do that wait for work."""
    parts = daemon.parts
    parts.intake._timer_moved.set()
    parts.poller.soon()
    parts.poller._doubted.set()
    parts.writer.notify(0)


@pytest.mark.parametrize("transport", ["websocket", "pubnub"])
async def test_every_loop_that_hangs_silences_the_watchdog(tmp_path, manager, monkeypatch, transport):
    async with frozen_at_will(tmp_path, manager, monkeypatch, transport) as (daemon, freezer, clock):
        silent = set(SILENT) | {one for one in SDKS if transport == "pubnub"}
        await manager.until(lambda _: {one.split("-")[0] for one in freezer.names} - silent == set(daemon.loops._due))
        for name in sorted(daemon.loops._due):
            freezer.freeze(name)
            await ticks(manager, 1)  # the watch has seen its last sign
            prod(daemon)
            clock.leap()
            del manager.read()[:]
            await manager.until(lambda told, name=name: any(one.endswith(f"loops: stuck: {name}") for one in told))
            assert "WATCHDOG=1" not in manager.read(), name
            freezer.thaw(name)
            prod(daemon)
            await manager.until(lambda _: not daemon.loops.stuck())
            await ticks(manager, 1)


async def test_a_reload_takes_over_what_may_change_and_names_the_rest(tmp_path, manager, logs):
    async with supervised(tmp_path, manager) as daemon:
        before = daemon.settings
        wanted = {key.key: None for key in before.sources()}
        assert "poll.interval_seconds" in wanted
        given = {
            "platform.server_url": before.platform.server_url,
            "credentials.client_id": before.credentials.client_id,
            "credentials.client_secret": before.credentials.client_secret.get_secret_value(),
            "credentials.jwt": before.credentials.jwt.get_secret_value(),
            "database.url": before.database.url,
            "feed.transport": before.feed.transport,
            "feed.pubnub_origin": before.feed.pubnub_origin,
            "platform.extensions": list(before.platform.extensions),
            "poll.interval_seconds": 7,
            "retention.calls_days": 90,
            "calls.settle_seconds": 5,
        }
        daemon.reload(lambda: load_settings(None, {}, given))
        told = manager.read()
        reloading = next(i for i, one in enumerate(told) if one.startswith("RELOADING=1\nMONOTONIC_USEC="))
        assert "READY=1" in told[reloading:]
        assert daemon.settings.poll.interval_seconds == daemon.parts.poller.interval == 7
        assert daemon.settings.retention.calls_days == 90
        assert daemon.settings.calls.settle_seconds == before.calls.settle_seconds
        (line,) = logs.named("config.reloaded")
        assert line["keys"] == ["poll.interval_seconds", "retention.calls_days"]
        assert "calls.settle_seconds" in line["restart_needed"]


async def test_a_wrong_configuration_changes_nothing(tmp_path, manager, logs):
    async with supervised(tmp_path, manager) as daemon:
        before = daemon.settings
        daemon.reload(lambda: load_settings(None, {}, {"poll.interval_seconds": "often"}))
        assert daemon.settings is before
        assert daemon.metrics.value("config_last_reload_successful") == 0
        (line,) = logs.named("config.rejected")
        assert "poll.interval_seconds" in line["problems"][0]
        told = manager.read()
        reloading = next(i for i, one in enumerate(told) if one.startswith("RELOADING=1"))
        assert "READY=1" in told[reloading:]
        daemon.reload(lambda: before)
        assert daemon.metrics.value("config_last_reload_successful") == 1


async def test_ready_does_not_wait_for_a_platform_that_is_down(tmp_path, manager, monkeypatch):
    monkeypatch.setattr("ringledger.service.daemon.READY_WITHIN_SECONDS", 0.3)
    async with Simulator() as sim:
        settings = settings_for(sim, tmp_path / "r.db")
    daemon = Daemon(settings, notifier=manager.notifier())
    task = asyncio.create_task(daemon.run())
    await manager.until(lambda told: "READY=1" in told or task.done())
    await manager.until(lambda told: any("feed down" in one for one in told))
    daemon.stop("test")
    await asyncio.wait_for(task, PATIENCE)


@asynccontextmanager
async def starting(sim, tmp_path, manager, transport):
    """A daemon that is not waited for."""
    daemon = Daemon(settings_for(sim, tmp_path / "r.db", transport), notifier=manager.notifier())
    task = asyncio.create_task(daemon.run())
    try:
        yield daemon
        daemon.stop("test")
        await asyncio.wait_for(task, PATIENCE)
    finally:
        task.cancel()
        await asyncio.wait({task})


async def ticks(manager, number=2):
    """So many keep-alives more: whatever was about to happen has happened."""
    seen = manager.read().count("WATCHDOG=1")
    await manager.until(lambda told: told.count("WATCHDOG=1") >= seen + number)


async def reached(gate):
    await asyncio.wait_for(gate.reached.wait(), PATIENCE)


@pytest.mark.parametrize("transport", ["websocket", "pubnub"])
@pytest.mark.parametrize("last", ["/subscription", "/active-calls"])
async def test_ready_comes_after_token_subscription_and_first_comparison(tmp_path, manager, logs, transport, last):
    async with Simulator() as sim:
        gates = {path: sim.gates.hold(path) for path in ("/oauth/token", "/subscription", "/active-calls")}
        async with starting(sim, tmp_path, manager, transport) as daemon:
            await reached(gates["/oauth/token"])
            await ticks(manager)
            assert "READY=1" not in manager.told
            gates["/oauth/token"].release()
            await reached(gates["/subscription"])
            await reached(gates["/active-calls"])
            await ticks(manager)
            assert "READY=1" not in manager.told
            first = next(path for path in ("/subscription", "/active-calls") if path != last)
            gates[first].release()
            up = {
                "/subscription": lambda _: daemon.metrics.value("push_connected") == 1,
                "/active-calls": lambda _: logs.named("poll.finished"),
            }
            await manager.until(up[first])
            await ticks(manager)
            assert not up[last](None)
            assert "READY=1" not in manager.told
            gates[last].release()
            await manager.until(lambda told: "READY=1" in told)
            assert up[last](None)


@pytest.mark.parametrize("held", ["/oauth/token", "/subscription", "/active-calls"])
async def test_ready_waits_no_longer_than_its_bound(tmp_path, manager, monkeypatch, held):
    bound = 0.7
    monkeypatch.setattr("ringledger.service.daemon.READY_WITHIN_SECONDS", bound)
    async with Simulator() as sim:
        gate = sim.gates.hold(held)
        began = asyncio.get_running_loop().time()
        async with starting(sim, tmp_path, manager, "websocket"):
            await reached(gate)
            await manager.until(lambda told: "READY=1" in told)
            assert asyncio.get_running_loop().time() - began >= bound


@pytest.mark.parametrize(
    ("path", "endpoint"),
    [
        ("/restapi/oauth/token", "oauth"),
        ("/restapi/v1.0/account/1/extension/2/presence", "presence"),
        ("/restapi/v1.0/account/~/extension/~", "extension"),
        ("/restapi/v1.0/account/1/call-log-sync", "call-log-sync"),
        ("/restapi/v1.0/subscription/abc/renew", "subscription"),
        ("/+14155550100", "other"),
    ],
)
def test_a_request_is_counted_under_a_word_of_a_closed_list(path, endpoint):
    assert endpoint_of(path) == endpoint
