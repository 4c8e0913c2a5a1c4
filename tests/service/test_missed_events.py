"""Missed events do not matter: what the feed loses comes back from the platform's books (rules 6 to 8)."""

from dataclasses import replace
from pathlib import Path

import pytest

from ringledger.simulator import Office, Options, Pbx, SimClock, Simulator, default_extensions
from tests.rig import Rig, running, settings_for
from tests.truth import differences

pytestmark = pytest.mark.slow

SPEED = 300.0
HOUR_MS = 3_600_000


def _options(*faults: str, seed: int = 0) -> Options:
    return Options(real_lifetimes=True, faults=faults, fault_seed=seed)


async def _settled(rig: Rig) -> None:
    """Until every call is over and confirmed, as far as the ledger knows and the platform does."""
    pbx = rig.sim.pbx
    true = {call.session_id for call in pbx.truth()}
    await rig.until(lambda: not pbx.open_calls(), "the office closes")
    await rig.until(
        lambda: (
            len(rig.query("SELECT 1 FROM all_calls")) >= len(true)
            and not rig.query("SELECT 1 FROM active_calls")
            and not rig.query("SELECT 1 FROM unconfirmed_calls")
        ),
        "everything is over and confirmed",
        seconds=60,
    )


@pytest.mark.parametrize("seed", [1, 2])
async def test_with_a_third_of_the_events_lost_every_call_is_there(seed: int, transport: str, tmp_path: Path) -> None:
    pbx = Pbx(default_extensions(20), seed=seed)
    clock = SimClock(speed=SPEED)
    async with (
        Simulator(clock=clock, pbx=pbx, options=_options("drop=0.3", seed=seed)) as sim,
        running(sim, _settings(sim, tmp_path, transport)) as rig,
    ):
        office = Office(list(pbx.extensions.values()), calls_per_hour=150, seed=seed)
        await sim.run_office(office, until=clock.now_ms() + HOUR_MS // 2)
        await _settled(rig)
        assert sim.faults.happened["drop"] > 20
        assert differences(rig.query("SELECT * FROM all_calls"), pbx.truth()) == []


async def test_books_of_whole_seconds_correct_what_was_missed_to_the_second(tmp_path: Path) -> None:
    """The platform of 2015 and some of today's records give no milliseconds: no figure is off by more than that."""
    pbx = Pbx(default_extensions(20), seed=4)
    clock = SimClock(speed=SPEED)
    async with Simulator(clock=clock, pbx=pbx, options=_options("drop=0.3", seed=4)) as sim:
        sim.books.options.milliseconds = False
        async with running(sim, _settings(sim, tmp_path, "pubnub")) as rig:
            office = Office(list(pbx.extensions.values()), calls_per_hour=150, seed=4)
            await sim.run_office(office, until=clock.now_ms() + HOUR_MS // 4)
            await _settled(rig)
            assert differences(rig.query("SELECT * FROM all_calls"), pbx.truth(), whole_seconds=True) == []


async def test_without_an_administrator_each_extension_tells_its_part(transport: str, tmp_path: Path) -> None:
    """Queue calls, transfers and internal calls are several records then, read one extension after the other."""
    speed = 100.0  # a call is listed for two minutes after its end: time enough for a poll
    pbx = Pbx(default_extensions(6), seed=3)
    clock = SimClock(speed=speed)
    options = replace(_options("drop=0.1", seed=3), admin=False)
    async with Simulator(clock=clock, pbx=pbx, options=options) as sim:
        settings = settings_for(
            sim, tmp_path / "r.db", transport, calls__settle_seconds=10 / speed, poll__interval_seconds=60 / speed,
            platform__extensions=list(pbx.extensions),
        )  # fmt: skip
        async with running(sim, settings) as rig:
            office = Office(list(pbx.extensions.values()), calls_per_hour=200, seed=3)
            await sim.run_office(office, until=clock.now_ms() + HOUR_MS // 4)
            await _settled(rig)
            found = differences(rig.query("SELECT * FROM all_calls"), pbx.truth())
            # of a call of two sides the log's figure is that of one of them
            two_sided = {call.session_id for call in pbx.truth() if len(call.extensions) > 1}
            assert [one for one in found if "duration" not in one or one.split()[0] not in two_sided] == []


def _settings(sim: Simulator, tmp_path: Path, transport: str, **overrides: object):
    scaled = {
        "calls__settle_seconds": 10 / SPEED,
        "poll__interval_seconds": 150 / SPEED,
        "confirm__sync_interval_seconds": 60 / SPEED,
    }
    return settings_for(sim, tmp_path / "r.db", transport, **(scaled | overrides))
