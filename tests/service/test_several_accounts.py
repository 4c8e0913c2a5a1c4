"""Several accounts in one process: one's trouble is its own, whatever kind it is of."""

from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from ringledger.config.model import Settings, load_settings
from ringledger.service.control.server import request
from ringledger.service.health.checks import Severity
from ringledger.simulator import Credentials, Office, Options, Pbx, SimCall, SimClock, Simulator, default_extensions
from ringledger.simulator.faults.poison import notifications
from tests.conftest import LogLines
from tests.rig import running
from tests.truth import differences

SPEED = 60.0
NAMES = ("acme", "beta", "gamma")
Account = dict[str, Any]


class Provider:
    """Simulated platforms by the names of their accounts, and the daemon that watches them all."""

    def __init__(self, sims: dict[str, Simulator], database: Path, transport: str) -> None:
        self.sims = sims
        self.database = database
        self.transport = transport
        self.rig: Any = None  # set by whoever runs one

    def tables(self, **changes: Account) -> list[Account]:
        """The accounts' tables; ``changes``: of some of them."""
        return [
            {"name": name, "server_url": sim.url, "jwt": f"sim-jwt of {name}"} | changes.get(name, {})
            for name, sim in self.sims.items()
        ]

    def settings(self, tables: list[Account] | None = None, **overrides: Any) -> Settings:
        """The configuration of these accounts."""
        some = next(iter(self.sims.values()))
        values: dict[str, Any] = {
            "accounts": self.tables() if tables is None else tables,
            "credentials.client_id": "sim-client",
            "credentials.client_secret": "sim-secret",
            "platform.extensions": ["all"],
            "platform.server_url": some.url,
            "feed.transport": self.transport,
            "database.url": f"sqlite+aiosqlite:///{self.database}",
            "calls.settle_seconds": 0.3,
            "poll.interval_seconds": 2,
            "confirm.sync_interval_seconds": 1,
            "backfill.max_days": 1,
        }
        if self.transport == "pubnub":
            values["feed.pubnub_origin"] = some.url
        return load_settings(None, {}, values | {key.replace("__", "."): value for key, value in overrides.items()})

    async def call(self, name: str) -> SimCall:
        """One answered call at that account; returns when the ledger has it and the platform's log agrees."""
        sim = self.sims[name]
        people = list(sim.pbx.extensions.values())
        call = Office(people[:2], seed=len(sim.pbx.calls) + 1).plan_answered("answered", sim.clock.now_ms())[0]
        for step in call.plan:
            await sim.clock.sleep_until(step.at)
            sim.pbx.apply(call, step)
        row = f"account_id = '{sim.pbx.account_id}' AND session_id = '{call.session_id}'"
        found = f"SELECT 1 FROM all_calls WHERE {row} AND confirmed_at IS NOT NULL"
        await self.rig.until(lambda: self.rig.query(found), f"the call of {name}")
        return call

    def events_of(self, name: str) -> list[dict[str, Any]]:
        """The journal of an account's feed."""
        wanted = f"account_id = '{self.sims[name].pbx.account_id}' AND source = 'presence'"
        return self.rig.query(f"SELECT * FROM call_events WHERE {wanted}")

    def right(self, *names: str) -> bool:
        """Whether the ledger has exactly the calls of these accounts' platforms."""
        for name in names:
            rows = self.rig.query(f"SELECT * FROM all_calls WHERE account_id = '{self.sims[name].pbx.account_id}'")
            assert differences(rows, self.sims[name].pbx.truth()) == []
        return True

    def bad(self) -> set[tuple[str, str]]:
        """Account and check of each failure, whether or not it has lasted."""
        found = self.rig.daemon.vitals.findings()
        return {(one.account, one.code) for one in found if one.severity is Severity.FAILURE}


@asynccontextmanager
async def platforms(tmp_path: Path, transport: str = "websocket") -> AsyncIterator[Provider]:
    """Three simulated platforms; the same extensions and sessions, each account's own."""
    async with AsyncExitStack() as stack:
        sims = {}
        for n, name in enumerate(NAMES):
            pbx = Pbx(default_extensions(3), account_id=str(7001 + n), seed=5)
            options = Options(real_lifetimes=True, credentials=Credentials(jwt=f"sim-jwt of {name}"))
            sims[name] = sim = Simulator(clock=SimClock(speed=SPEED), pbx=pbx, options=options)
            await stack.enter_async_context(sim)
        yield Provider(sims, tmp_path / "r.db", transport)


@asynccontextmanager
async def provider(tmp_path: Path, tables: Callable[[Provider], list[Account]] | None = None, **overrides: Any):
    """A daemon that watches all of them."""
    async with platforms(tmp_path) as made:
        settings = made.settings(tables(made) if tables else None, **overrides)
        async with running(made.sims["acme"], settings) as made.rig:
            yield made


async def test_each_account_has_its_own_calls_under_the_same_sessions(tmp_path: Path) -> None:
    async with provider(tmp_path) as made:
        calls = [await made.call(name) for name in NAMES]
        assert len({call.session_id for call in calls}) == 1, "the platforms number alike"
        assert made.right(*NAMES)
        assert {row["account_id"] for row in made.rig.calls()} == {"7001", "7002", "7003"}
        assert {row["account_id"] for row in made.rig.query("SELECT account_id FROM extension_presence")} == {
            "7001", "7002", "7003",
        }  # fmt: skip
        names = made.rig.query("SELECT name, account_id FROM account ORDER BY name")
        assert [tuple(row.values()) for row in names] == [("acme", "7001"), ("beta", "7002"), ("gamma", "7003")]


async def test_a_rejected_login_is_that_accounts_state(tmp_path: Path, logs: LogLines) -> None:
    async with provider(tmp_path, lambda made: made.tables(beta={"jwt": "revoked"})) as made:
        assert made.rig.daemon.ready.is_set()
        assert made.bad() == {("beta", "account")}
        await made.call("acme")
        await made.call("gamma")
        assert made.right("acme", "gamma")
        (line,) = logs.named("account.failed")
        assert (line["account"], line["reason"]) == ("beta", "CredentialsRejected")
        assert [line["account"] for line in logs.named("auth.rejected")] == ["beta"], "never repeated"
        fleet = made.rig.daemon.fleet
        assert "in trouble: beta" in fleet.line()
        assert fleet.status()["accounts"]["beta"]["state"] == "failed"
        value = made.rig.daemon.metrics.value
        assert [value("account_up", account=name) for name in NAMES] == [1, 0, 1]


@pytest.mark.slow
async def test_a_penalty_stops_one_accounts_requests(tmp_path: Path, logs: LogLines) -> None:
    async with provider(tmp_path) as made:
        made.sims["beta"].faults.add("429=1")
        await made.rig.until(lambda: logs.named("platform.throttled"), "beta is refused")
        before = {name: len(made.events_of(name)) for name in NAMES}
        for name in ("acme", "gamma"):
            await made.call(name)
        assert made.right("acme", "gamma")
        assert {line["account"] for line in logs.named("platform.throttled")} == {"beta"}
        waited = [made.rig.daemon.metrics.value("api_throttled_seconds_total", account=name) for name in NAMES]
        assert waited[0] == waited[2] == 0 < waited[1]
        assert len(made.events_of("acme")) > before["acme"]
        files = {one.name for one in tmp_path.glob("*.penalties")}
        assert files == {"r.db.beta.penalties"}
        made.sims["beta"].faults.clear()
        await made.call("beta")
        assert made.right("beta")


async def test_poison_costs_its_own_account_an_entry_and_nobody_a_call(tmp_path: Path, logs: LogLines) -> None:
    async with provider(tmp_path) as made:
        await made.call("beta")
        sim = made.sims["beta"]
        call = Office(list(sim.pbx.extensions.values())[:2], seed=99).plan_answered("answered", sim.clock.now_ms())[0]
        envelope = sim.pbx.apply(call, call.plan[0])
        poisoned = list(notifications(envelope))
        for one in poisoned:
            sim.publish_envelope(one, forced=True)
        await made.rig.until(lambda: len(made.rig.query("SELECT 1 FROM quarantine")) == len(poisoned), "put aside")
        for name in ("acme", "gamma"):
            await made.call(name)
        assert made.right("acme", "gamma")
        assert {row["account_id"] for row in made.rig.query("SELECT account_id FROM quarantine")} == {"7002"}
        assert {line["account"] for line in logs.named("event.unreadable")} == {"beta"}
        value = made.rig.daemon.metrics.value
        for name, count in (("acme", 0), ("beta", len(poisoned)), ("gamma", 0)):
            labels = [{"reason": reason} for reason in ("bad_timestamp", "wrong_shape")]
            assert sum(value("events_unreadable_total", account=name, **one) for one in labels) == count


@pytest.mark.slow
async def test_three_accounts_in_trouble_of_three_kinds_do_not_touch_each_other(tmp_path: Path, logs: LogLines) -> None:
    """A rejected login, penalties and poison at once: each is told of its own account alone, and costs it alone."""
    async with provider(tmp_path, lambda made: made.tables(acme={"jwt": "revoked"})) as made:
        made.sims["beta"].faults.add("429=1")
        sim = made.sims["gamma"]
        call = Office(list(sim.pbx.extensions.values())[:2], seed=99).plan_answered("answered", sim.clock.now_ms())[0]
        poisoned = list(notifications(sim.pbx.apply(call, call.plan[0])))
        for one in poisoned:
            sim.publish_envelope(one, forced=True)
        await made.rig.until(lambda: len(made.rig.query("SELECT 1 FROM quarantine")) == len(poisoned), "put aside")
        await made.rig.until(lambda: logs.named("platform.throttled"), "beta is refused")
        for step in call.plan[1:]:
            await sim.clock.sleep_until(step.at)
            sim.pbx.apply(call, step)
        await made.call("gamma")
        assert made.right("gamma"), "poison costs no call"
        assert ("acme", "account") in made.bad()
        assert not [code for name, code in made.bad() if name == "gamma"]
        events = {"auth.rejected": "acme", "account.failed": "acme", "platform.throttled": "beta"}
        for event, name in {**events, "event.unreadable": "gamma"}.items():
            assert {line["account"] for line in logs.named(event)} == {name}, event
        value = made.rig.daemon.metrics.value
        assert [value("account_up", account=name) for name in NAMES] == [0, 1, 1]
        assert (
            value("api_throttled_seconds_total", account="gamma")
            == 0
            < value("api_throttled_seconds_total", account="beta")
        )
        made.sims["beta"].faults.clear()
        await made.call("beta")
        made.rig.daemon.reload(lambda: made.settings(made.tables()))
        await made.rig.until(lambda: _states(made) == dict.fromkeys(NAMES, "running"), "acme's login is right")
        await made.call("acme")
        assert made.right(*NAMES)


@pytest.mark.slow
async def test_a_silent_platform_blinds_one_account(tmp_path: Path) -> None:
    async with provider(tmp_path) as made:
        beta = made.sims["beta"]
        gate = beta.gates.hold("/")  # connections are taken and never answered
        for peer in list(beta.websocket.peers):
            peer.reset()
        await made.rig.until(lambda: _feed(made, "beta") == "blind", "beta's feed is lost")
        for name in ("acme", "gamma"):
            await made.call(name)
        assert made.right("acme", "gamma")
        assert [_feed(made, name) for name in NAMES] == ["live", "blind", "live"]
        value = made.rig.daemon.metrics.value
        assert [value("push_connected", account=name) for name in NAMES] == [1, 0, 1]
        spans = made.rig.query("SELECT DISTINCT account_id FROM coverage WHERE state = 'blind' AND cause <> 'first'")
        assert {row["account_id"] for row in spans} <= {"7002"}
        gate.release()
        await made.rig.until(lambda: _feed(made, "beta") == "live", "beta's feed is back")
        await made.call("beta")
        assert made.right("beta")


def _feed(made: Provider, name: str) -> str:
    return str(made.rig.daemon.fleet.status()["accounts"][name]["feed"]["state"])


async def test_an_accounts_bug_ends_nobody_else(tmp_path: Path, logs: LogLines, monkeypatch: Any) -> None:
    """Something nobody thought of: the account begins again, by itself."""
    async with provider(tmp_path) as made:
        unit = made.rig.daemon.fleet.units["beta"]
        monkeypatch.setattr("ringledger.service.fleet.AGAIN", type("Soon", (), {"after": lambda *_: 0.05}))

        def broken(_now: float) -> None:
            raise ZeroDivisionError("a bug")

        monkeypatch.setattr(unit.account.parts.intake.tracker, "advance", broken, raising=False)
        first = unit.account
        first.parts.intake._timer_moved.set()
        await made.rig.until(lambda: logs.named("account.failed"), "it has failed")
        await made.rig.until(lambda: unit.account is not first and unit.account.assembled.is_set(), "it runs again")
        (line,) = logs.named("account.failed")
        assert (line["account"], line["reason"]) == ("beta", "ZeroDivisionError")
        for name in NAMES:
            await made.call(name)
        assert made.right(*NAMES)


async def test_a_reload_adds_changes_and_removes_accounts(tmp_path: Path, logs: LogLines) -> None:
    async with provider(tmp_path, lambda made: made.tables(beta={"jwt": "revoked"})[:2]) as made:
        await made.call("acme")
        fleet, acme = made.rig.daemon.fleet, made.rig.daemon.fleet.units["acme"].account
        made.rig.daemon.reload(lambda: made.settings(made.tables()))
        await made.rig.until(lambda: _states(made) == dict.fromkeys(NAMES, "running"), "all three run")
        assert fleet.units["acme"].account is acme, "who has not changed goes on"
        for name in NAMES:
            await made.call(name)
        made.rig.daemon.reload(lambda: made.settings(made.tables()[1:]))
        await made.rig.until(lambda: "acme" not in fleet.units, "acme has stopped")
        assert {line["account"] for line in logs.named("account.stopped")} == {"acme"}
        assert 'account="acme"' not in made.rig.daemon.metrics.exposition().decode()
        assert made.right(*NAMES), "the ledger keeps what it has"
        await made.call("beta")
        made.rig.daemon.reload(lambda: made.settings(made.tables()))
        await made.rig.until(lambda: _states(made).get("acme") == "running", "it is back")
        await made.call("acme")
        assert made.right(*NAMES)


def _states(made: Provider) -> dict[str, str]:
    return {name: one["state"] for name, one in made.rig.daemon.fleet.status()["accounts"].items()}


async def test_a_name_stays_with_its_account(tmp_path: Path) -> None:
    """Two logins mixed up would write one customer's calls under the other's name."""
    async with provider(tmp_path) as made:
        await made.call("acme")
    async with platforms(tmp_path) as made:
        acme, beta, gamma = made.tables()
        swapped = [{**beta, "name": "acme"}, {**acme, "name": "beta"}, gamma]
        async with running(made.sims["gamma"], made.settings(swapped)) as made.rig:
            await made.rig.until(lambda: _states(made)["beta"] == "failed", "refused")
            assert _states(made) == {"acme": "failed", "beta": "failed", "gamma": "running"}
            units = made.rig.daemon.fleet.units
            assert "those of account 7002, and acme stands for 7001" in units["acme"].state


async def test_one_account_is_not_written_by_two(tmp_path: Path) -> None:
    async with platforms(tmp_path) as made:
        acme, beta, _ = made.tables()
        made.sims["beta"].pbx.account_id = "7001"
        async with running(made.sims["acme"], made.settings([acme, beta])) as made.rig:
            assert _states(made) == {"acme": "running", "beta": "failed"}
            assert "account 7001, which acme has" in made.rig.daemon.fleet.units["beta"].state


async def test_readiness_and_status_tell_by_account(tmp_path: Path) -> None:
    wrong = lambda made: made.tables(beta={"jwt": "revoked"})  # noqa: E731
    async with provider(tmp_path, wrong, http__listen="127.0.0.1:0") as made:
        base = f"http://{made.rig.daemon.address}"
        async with aiohttp.ClientSession() as session:

            async def asked(path: str) -> tuple[int, str]:
                async with session.get(base + path) as answer:
                    return answer.status, await answer.text()

            assert await asked("/readyz") == (200, "ok\n"), "one account's trouble is its own"
            assert await asked("/readyz?account=acme") == (200, "ok\n")
            assert await asked("/readyz?account=beta") == (503, "beta/account\n")
            assert await asked("/readyz?account=delta") == (404, "delta: no such account\n")
            status, verbose = await asked("/readyz?verbose")
            assert status == 200
            assert "[-] beta/account: the platform rejects the credentials" in verbose
            assert "[+] acme/feed: connected" in verbose
            _, metrics = await asked("/metrics")
            assert 'ringledger_push_connected{account="acme"} 1.0' in metrics
        socket = made.rig.daemon.control.path
        told = await request(socket, {"do": "status", "account": "acme"}, lambda _: None)
        assert (told["feed"]["state"], told["account_id"], list(told["accounts"])) == ("live", "7001", ["acme"])
        told = await request(socket, {"do": "status"}, lambda _: None)
        assert (told["feed"]["state"], told["feed"]["cause"]) == ("", "beta")


async def test_what_writes_wants_the_accounts_name(tmp_path: Path) -> None:
    async with provider(tmp_path) as made:
        calls = [await made.call(name) for name in NAMES]
        socket = made.rig.daemon.control.path
        ask = {"do": "purge", "before": made.sims["acme"].clock.now_ms() + 3_600_000}
        with pytest.raises(Exception, match="there are several accounts, name one: acme, beta, gamma"):
            await request(socket, ask, lambda _: None)
        done = await request(socket, {**ask, "account": "beta"}, lambda _: None)
        assert done["purged"] == 1
        left = {row["account_id"] for row in made.rig.query("SELECT account_id FROM all_calls")}
        assert left == {"7001", "7003"}
        assert len(calls) == len(NAMES)
        assert made.rig.query(
            "SELECT count(*) AS n FROM fact WHERE account_id = '7002' AND session_id IS NOT NULL"
        ) == [{"n": 0}]


@pytest.mark.slow
async def test_an_account_goes_on_where_it_was_after_a_restart(tmp_path: Path, logs: LogLines) -> None:
    async with platforms(tmp_path) as made:
        async with running(made.sims["acme"], made.settings()) as made.rig:
            for name in NAMES:
                await made.call(name)
        positions = _positions(made)
        assert {row["account_id"] for row in positions} == {"7001", "7002", "7003"}
        async with running(made.sims["acme"], made.settings()) as made.rig:
            for name in NAMES:
                await made.call(name)
            assert made.right(*NAMES)


def _positions(made: Provider) -> list[dict[str, Any]]:
    return made.rig.query("SELECT account_id, feed FROM feed_position WHERE feed = 'websocket'")
