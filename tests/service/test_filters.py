"""What was subscribed and what is served: a platform that grants less than it was asked for is found out."""

import asyncio
from pathlib import Path
from subprocess import PIPE

import pytest

from ringledger.domain.observation import PresenceObservation
from ringledger.service.ingest.unheard import SUSPICIOUS_CALLS, SUSPICIOUS_SILENCE, Unheard
from ringledger.simulator import Office, Options, SimClock, Simulator
from tests.builders import presence
from tests.conftest import LogLines
from tests.crash.child import environment
from tests.forked import Process
from tests.rig import Rig, running, settings_for

FILTER = "/restapi/v1.0/account/~/extension/{}/presence?detailedTelephonyState=true&sipData=true"


def _seen(extension_id: str) -> PresenceObservation:
    return presence(extension_id, 1, 0)


async def _an_hour(rig: Rig, seed: int = 5) -> None:
    """Twenty minutes of an office, and all of its calls in the ledger."""
    office = Office(
        [*rig.sim.pbx.extensions.values()], calls_per_hour=150, seed=seed, first_session=seed * 10**11, name=str(seed)
    )
    await rig.sim.run_office(office, until=rig.sim.clock.now_ms() + 1_200_000)
    rows, calls = "SELECT 1 FROM all_calls WHERE confirmed_at IS NOT NULL", len(rig.sim.pbx.truth())
    await rig.until(lambda: len(rig.query(rows)) == calls, "all calls are there")


async def test_filters_dropped_without_a_word_are_named(transport: str, tmp_path: Path, logs: LogLines) -> None:
    async with Simulator(clock=SimClock(speed=60), options=Options(real_lifetimes=True)) as sim:
        sim.subscriptions.grants = 2
        async with running(sim, settings_for(sim, tmp_path / "r.db", transport)) as rig:
            (line,) = logs.named("subscription.filters_refused")
            assert line["filters"] == [[FILTER.format(one), "not granted"] for one in ("2003", "2004", "2005")]
            facts = rig.daemon.vitals.facts()
            assert facts.refused == (("2003", "not granted"), ("2004", "not granted"), ("2005", "not granted"))
            assert facts.filters == (2, 5)


@pytest.mark.slow
async def test_extensions_the_feed_never_tells_of_are_named(transport: str, tmp_path: Path, logs: LogLines) -> None:
    async with Simulator(clock=SimClock(speed=60), options=Options(real_lifetimes=True)) as sim:
        sim.subscriptions.serves = 2
        async with running(sim, settings_for(sim, tmp_path / "r.db", transport)) as rig:
            await _an_hour(rig)
            assert logs.named("subscription.filters_refused") == []
            named = dict(rig.daemon.vitals.facts().unheard or ())
            assert set(named) == {"2003", "2004", "2005"}
            assert {line["extension_id"] for line in logs.named("feed.extension_unheard")} == set(named)
            finding = next(one for one in rig.daemon.vitals.findings() if one.code == "feed-extensions")
            assert finding.bad
            assert "2003 (" in finding.found
            sim.subscriptions.serves = None
            await rig.daemon.parts.feed.rebuild("asked by the test")  # type: ignore[union-attr]
            await rig.until(lambda: logs.events.count("subscription.created") == 2, "a new subscription")
            assert rig.daemon.vitals.facts().unheard == ()


@pytest.mark.slow
async def test_extensions_the_feed_ceases_to_tell_of_are_named(transport: str, tmp_path: Path, logs: LogLines) -> None:
    """The platform drops filters of a subscription that lives on: each extension had been heard of before."""
    async with (
        Simulator(clock=SimClock(speed=60), options=Options(real_lifetimes=True)) as sim,
        running(sim, settings_for(sim, tmp_path / "r.db", transport)) as rig,
    ):
        await _an_hour(rig)
        assert rig.daemon.vitals.facts().unheard == ()
        for subscription in sim.subscriptions.alive():
            subscription.extensions = dict([*subscription.extensions.items()][:2])
        await _an_hour(rig, seed=6)
        named = set(dict(rig.daemon.vitals.facts().unheard or ()))
        assert named == {"2003", "2004", "2005"}
        assert {line["extension_id"] for line in logs.named("feed.extension_unheard")} == named
        command = Process("doctor", "--offline", env=environment(sim, rig.database, transport), stdout=PIPE)
        told, _ = await asyncio.to_thread(command.communicate)
        assert command.returncode == 1
        assert "the feed does not tell of extension 200" in (told or "")


@pytest.mark.slow
async def test_a_feed_that_tells_of_all_raises_no_doubt(tmp_path: Path, logs: LogLines) -> None:
    async with (
        Simulator(clock=SimClock(speed=60), options=Options(real_lifetimes=True)) as sim,
        running(sim, settings_for(sim, tmp_path / "r.db", "pubnub")) as rig,
    ):
        await _an_hour(rig)
        assert rig.daemon.vitals.facts().unheard == ()
        assert logs.named("feed.extension_unheard") == []


def test_a_feed_that_is_behind_raises_no_doubt() -> None:
    """In a flood the log tells of calls first: each extension was named, though its events were on their way."""
    unheard = Unheard()
    for n in range(2 * SUSPICIOUS_SILENCE):
        assert unheard.brought("1", 20_000 + n) == unheard.brought("2", 20_000 + n) == 0
    assert unheard.heard([presence("3", 1, 20_000)]) == []
    assert unheard.heard([presence("1", 1, 20_001)]) == []
    assert unheard.heard([presence("3", 2, 30_000)]) == [("2", SUSPICIOUS_CALLS)], "it has come past them"
    assert unheard.extensions == (("2", SUSPICIOUS_SILENCE),)


def test_a_lost_event_is_no_uncovered_extension() -> None:
    unheard = Unheard()
    unheard.heard([presence("2", 1, 10_000)])
    assert unheard.brought("1", 0) == 0
    assert unheard.extensions == ()
    assert unheard.brought("1", 0) == SUSPICIOUS_CALLS
    assert unheard.extensions == (("1", 2),)
    assert unheard.brought("1", 0) == 0, "told once"
    unheard.heard([_seen("1")])
    assert unheard.extensions == ()
    for _ in range(9):
        for _ in range(SUSPICIOUS_SILENCE - 1):
            assert unheard.brought("1", 0) == 0
        unheard.heard([_seen("1")])
    for _ in range(SUSPICIOUS_SILENCE - 1):
        unheard.brought("1", 0)
    assert unheard.brought("1", 0) == SUSPICIOUS_SILENCE
    assert unheard.extensions == (("1", SUSPICIOUS_SILENCE),)
    assert unheard.brought(None, 0) == 0
