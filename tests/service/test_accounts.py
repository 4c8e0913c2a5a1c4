"""A whole account: everybody is watched, whoever joins is followed and whoever leaves is let go."""

import re
from pathlib import Path

import pytest

from ringledger.service.ingest.directory import ExtensionDirectory
from ringledger.simulator import Office, Options, Pbx, SimCall, SimClock, Simulator, default_extensions
from tests.conftest import LogLines
from tests.rig import Rig, running, settings_for
from tests.truth import differences

SPEED = 100.0


@pytest.fixture
def often(monkeypatch: pytest.MonkeyPatch) -> None:
    """The roster is read again and again."""
    made = ExtensionDirectory.__init__

    def hurried(self, *arguments) -> None:
        made(self, *arguments)
        self.refresh_seconds = 0.3

    monkeypatch.setattr(ExtensionDirectory, "__init__", hurried)


def _watched(sim: Simulator) -> set[str]:
    """The extensions the daemon's subscriptions ask for."""
    filters = [text for one in sim.subscriptions.alive() for text in one.filters]
    return {found[1] for text in filters if (found := re.search(r"/extension/(\d+)/presence", text))}


def _call_of(pbx: Pbx, extension_id: str, sim: Simulator) -> SimCall:
    """One answered inbound call of that extension, from now on."""
    office = Office([pbx.extensions[extension_id]] * 2, seed=int(extension_id))
    return office.plan_answered("answered", sim.clock.now_ms())[0]


async def _happens(sim: Simulator, call: SimCall) -> None:
    for step in call.plan:
        await sim.clock.sleep_until(step.at)
        sim.pbx.apply(call, step)


async def _recorded(rig: Rig, call: SimCall) -> None:
    await rig.until(lambda: rig.query(f"SELECT 1 FROM all_calls WHERE session_id = '{call.session_id}'"), "recorded")


@pytest.mark.usefixtures("often")
async def test_joins_and_leaves_are_followed(transport: str, tmp_path: Path, logs: LogLines) -> None:
    clock, pbx = SimClock(speed=SPEED), Pbx(default_extensions(3))
    async with (
        Simulator(clock=clock, pbx=pbx) as sim,
        running(sim, settings_for(sim, tmp_path / "r.db", transport, calls__settle_seconds=0.1)) as rig,
    ):
        assert _watched(sim) == {"2001", "2002", "2003"}
        new = pbx.add_extension("2099")
        await rig.until(lambda: "2099" in _watched(sim), "the new one is watched")
        await rig.until(lambda: logs.events.count("feed.connected") == 2, "over a new subscription")
        call = _call_of(pbx, "2099", sim)
        await _happens(sim, call)
        await _recorded(rig, call)
        (row,) = rig.query("SELECT extension_number, name FROM extension_presence WHERE extension_id = '2099'")
        assert tuple(row.values()) == (new.number, new.name)
        heard = rig.query("SELECT 1 FROM call_events WHERE extension_id = '2099' AND source = 'presence'")
        assert len(heard) == len(call.plan), "its events came by the feed, not from the books"

        del pbx.extensions["2002"]
        await rig.until(lambda: _watched(sim) == {"2001", "2003", "2099"}, "who has left is not watched")
        assert "subscription.filters_refused" not in logs.events
        (one,) = sim.subscriptions.alive()
        assert len(one.filters) == 3
        call = _call_of(pbx, "2001", sim)
        await _happens(sim, call)
        await _recorded(rig, call)
        assert differences(rig.query("SELECT * FROM all_calls"), pbx.truth()) == []


async def test_an_account_of_two_thousand_is_one_subscription(transport: str, tmp_path: Path) -> None:
    """Against the platform's own limits; the long proof measures it."""
    pbx = Pbx(default_extensions(2000))
    async with (
        Simulator(pbx=pbx, options=Options(rate_limits="default")) as sim,
        running(sim, settings_for(sim, tmp_path / "r.db", transport, poll__interval_seconds=60)) as rig,
    ):
        (one,) = sim.subscriptions.alive()
        assert len(one.filters) == 2000
        rows = await rig.until(
            lambda: (
                len(found := rig.query("SELECT extension_id, extension_number, name FROM extension_presence")) == 2000
                and found
            ),
            "all have names and numbers",
        )
        assert {tuple(row.values()) for row in rows} == {(e.id, e.number, e.name) for e in pbx.extensions.values()}
        assert sim.limits.usage()["medium"] <= 4
        assert sim.limits.refused == {}
