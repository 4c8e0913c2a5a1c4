"""A restart in the middle of calls: what was missed in between comes back, whether the feed can be taken up or not.

A daemon that logs in anew cannot recover its WebSocket session (WSG-1003); a PubNub channel is read on from the stored
cursor. Under a service manager that keeps the platform's session, nothing is missed on either feed.
"""

import asyncio
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ringledger.simulator import Office, Pbx, SimCall, Simulator, default_extensions
from ringledger.simulator.exchange.model import Step
from tests.conftest import LogLines
from tests.crash.child import Child
from tests.manager import Manager
from tests.rig import Rig, running, settings_for
from tests.truth import differences, inexact, seen_whole
from tests.until import PATIENCE

#: After so many simulated seconds the platform's log has every call that has ended.
LOG_DELAY = 70


def _call(pbx: Pbx, n: int, sim: Simulator) -> SimCall:
    """An answered call of the nth extension; nothing of it has happened yet."""
    (call,) = Office([list(pbx.extensions.values())[n]] * 2, seed=n).plan_answered("answered", sim.clock.now_ms())
    return call


def _goes(sim: Simulator, status: str, *calls: SimCall) -> None:
    """The calls go to ``status``, a few simulated seconds after what was before."""
    sim.clock.advance(4)
    for call in calls:
        sim.pbx.apply(call, Step(sim.clock.now_ms(), 0, status, "final" if status == "NoCall" else None))


async def _open(rig: Rig, count: int, status: str) -> None:
    sql = f"SELECT 1 FROM active_calls WHERE status = '{status}'"
    await rig.until(lambda: len(rig.query(sql)) == count, f"{count} {status}")


async def test_nothing_is_lost_between_two_runs(transport: str, tmp_path: Path, logs: LogLines) -> None:
    pbx = Pbx(default_extensions(5))
    async with Simulator(pbx=pbx) as sim:
        settings = settings_for(sim, tmp_path / "r.db", transport, poll__interval_seconds=1)
        ends, within, begins, spans, repeats = (_call(pbx, n, sim) for n in range(5))
        async with running(sim, settings) as rig:
            _goes(sim, "Ringing", ends, spans, repeats)
            _goes(sim, "CallConnected", ends, spans)
            await _open(rig, 2, "CallConnected")
        _goes(sim, "CallConnected", repeats)
        _goes(sim, "NoCall", ends)
        _goes(sim, "Ringing", within)
        _goes(sim, "CallConnected", within)
        _goes(sim, "NoCall", within)
        _goes(sim, "Ringing", begins)
        _goes(sim, "CallConnected", begins)
        sim.clock.advance(12)  # active-calls is some seconds behind
        async with running(sim, settings) as rig:
            await _open(rig, 3, "CallConnected")
            _goes(sim, "NoCall", begins, spans, repeats)
            await rig.until(lambda: not rig.query("SELECT 1 FROM active_calls"), "all have ended")
            sim.clock.advance(LOG_DELAY)
            await rig.until(
                lambda: len(rig.query("SELECT 1 FROM all_calls WHERE confirmed_at IS NOT NULL")) == 5,
                "five calls, confirmed",
            )
            assert differences(rig.query("SELECT * FROM all_calls"), pbx.truth()) == []
    lost = [line["reason"] for line in logs.named("subscription.lost")]
    assert lost == (["recovery failed WSG-1003"] if transport == "websocket" else [])
    assert ("feed.resumed" in logs.events) == (transport == "pubnub")


# -- with a service manager that keeps the platform's session -------------------------------------------------------

PACE = {"calls__settle_seconds": 0.3, "poll__interval_seconds": 1, "confirm__sync_interval_seconds": 1}
SESSION = {"auth.token_obtained", "auth.token_refreshed", "auth.session_resumed", "auth.session_not_resumed"}
FEED = {"feed.connected", "feed.resumed", "feed.gap", "subscription.lost", "subscription.created"}


@pytest.fixture
def manager(tmp_path: Path) -> Iterator[Manager]:
    made = Manager(tmp_path / "notify")
    yield made
    made.close()


class Outage:
    """A daemon that dies in the middle of calls and comes back: ``before`` ring or talk when it dies, ``within`` begins
    and ends while nobody listens."""

    def __init__(self, sim: Simulator, child: Child) -> None:
        self.sim, self.child = sim, child
        self.before = [_call(sim.pbx, n, sim) for n in range(3)]
        self.within = [_call(sim.pbx, n, sim) for n in (3, 4)]
        self._lines = 0

    async def begin(self) -> None:
        """Until the daemon has seen the first calls."""
        await self.child.start()
        await self.child.until("service.ready")
        _goes(self.sim, "Ringing", *self.before)
        _goes(self.sim, "CallConnected", *self.before[:2])
        await self.child.until_lines("call.opened", 3)
        await self.child.until_lines("call.status_changed", 2)
        self._lines = len(self.child.lines())

    def meanwhile(self) -> None:
        """What happens while nobody listens."""
        _goes(self.sim, "CallConnected", self.before[2])
        _goes(self.sim, "NoCall", self.before[0])
        for status in ("Ringing", "CallConnected", "NoCall"):
            _goes(self.sim, status, *self.within)

    async def over(self, *, whole: bool = False) -> None:
        """The daemon is back: until all calls are over and confirmed, and (``whole``) each change is in the journal:
        the books may tell of an end before the feed does."""
        await self.child.start()
        await self.child.until("service.ready")
        _goes(self.sim, "NoCall", *self.before[1:])
        self.sim.clock.advance(LOG_DELAY)
        async with asyncio.timeout(PATIENCE):
            while len(self.child.query("SELECT 1 FROM all_calls WHERE confirmed_at IS NOT NULL")) < 5 or (
                self.child.query("SELECT 1 FROM live_call") or (whole and len(self._seen()) < 5)
            ):
                await asyncio.sleep(0.05)
        assert await self.child.stop() == 0

    def _seen(self) -> set[str]:
        return seen_whole(self.child.query("SELECT * FROM call_events"), self.sim.pbx.calls.values())

    def told(self, names: set[str]) -> list[str]:
        """Log events of the second run."""
        return [line["event"] for line in self.child.lines()[self._lines :] if line["event"] in names]

    def exact(self) -> bool:
        """Whether the journal has every change of every call; raises when a row is not true to the millisecond."""
        truth = self.sim.pbx.truth()
        rows = self.child.query("SELECT * FROM all_calls")
        assert differences(rows, truth) == []
        seen = self._seen()
        assert inexact([row for row in rows if row["session_id"] in seen], truth) == []
        return len(seen) == len(rows) == 5


@pytest.mark.parametrize("end", ["killed", "restarted"])
async def test_a_kept_session_is_recovered_and_nothing_is_missed(
    end: str, transport: str, tmp_path: Path, manager: Manager
) -> None:
    async with (
        Simulator(pbx=Pbx(default_extensions(5))) as sim,
        Child(sim, tmp_path, transport, forked=True, manager=manager, **PACE) as child,
    ):
        outage = Outage(sim, child)
        await outage.begin()
        assert await (child.kill() if end == "killed" else child.stop()) in (True, 0)
        outage.meanwhile()
        await outage.over(whole=True)
        assert outage.exact()
        assert outage.told(SESSION) == ["auth.session_resumed"]
        assert outage.told(FEED) == ["feed.resumed"]
        assert len(sim.oauth.sessions) == 1


async def test_a_token_that_has_expired_meanwhile_is_renewed_in_the_same_session(
    tmp_path: Path, manager: Manager
) -> None:
    async with (
        Simulator(pbx=Pbx(default_extensions(5))) as sim,
        Child(sim, tmp_path, "websocket", forked=True, manager=manager, **PACE) as child,
    ):
        outage = Outage(sim, child)
        await outage.begin()
        assert await child.kill()
        outage.meanwhile()
        sim.oauth.expire_access_tokens()
        await outage.over(whole=True)
        assert outage.exact()
        assert outage.told(SESSION) == ["auth.session_resumed", "auth.token_refreshed"]
        assert outage.told(FEED) == ["feed.resumed"]
        assert len(sim.oauth.sessions) == 1


async def test_a_session_that_was_ended_meanwhile_is_replaced_and_the_gap_is_healed(
    tmp_path: Path, manager: Manager
) -> None:
    async with (
        Simulator(pbx=Pbx(default_extensions(5))) as sim,
        Child(sim, tmp_path, "websocket", forked=True, manager=manager, **PACE) as child,
    ):
        outage = Outage(sim, child)
        await outage.begin()
        assert await child.kill()
        outage.meanwhile()
        sim.oauth.revoke_all()
        await outage.over()
        assert not outage.exact()
        assert outage.told(SESSION) == ["auth.session_resumed", "auth.token_obtained"]
        assert outage.told(FEED) == ["subscription.lost", "subscription.created", "feed.connected", "feed.gap"]


async def test_a_kept_session_that_is_damaged_is_replaced_by_a_login(tmp_path: Path, manager: Manager) -> None:
    async with (
        Simulator(pbx=Pbx(default_extensions(5))) as sim,
        Child(sim, tmp_path, "websocket", forked=True, manager=manager, **PACE) as child,
    ):
        outage = Outage(sim, child)
        await outage.begin()
        assert await child.kill()
        manager.read()
        os.pwrite(manager.store["session"], b"torn", 50)
        outage.meanwhile()
        await outage.over()
        assert not outage.exact()
        assert outage.told(SESSION) == ["auth.session_not_resumed", "auth.token_obtained"]
        lost = [line["reason"] for line in child.lines() if line["event"] == "subscription.lost"]
        assert lost == ["recovery failed WSG-1003"]


async def test_no_token_is_in_log_database_or_environment(tmp_path: Path, manager: Manager) -> None:
    async with Simulator() as sim, Child(sim, tmp_path, "websocket", manager=manager, **PACE) as child:
        for run in range(2):
            await child.start()
            await child.until("service.ready")
            given: list[Any] = [sim.oauth.sessions[0].access_token, sim.oauth.sessions[0].refresh_token]
            environment = Path(f"/proc/{child.pid}/environ").read_bytes()
            assert (b"LISTEN_FDS" in environment) == (run == 1)
            await child.kill()
            files = [path.read_bytes() for path in tmp_path.iterdir() if path.is_file()]
            for token in given:
                assert token
                assert not any(token.encode() in content for content in [*files, environment])
                assert not any(token in message for message in manager.read())
