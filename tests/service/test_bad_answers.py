"""An answer that is no answer ends no call: what the platform does not say is not so (rule 6)."""

from pathlib import Path
from typing import Any

import pytest

from ringledger.simulator import Extension, Options, Pbx, SimCall, SimClock, Simulator, default_extensions
from ringledger.simulator.exchange.model import SimLeg, Step
from tests.conftest import LogLines
from tests.rig import Rig, running, settings_for
from tests.truth import differences

#: A penalty is over after so many seconds of the platform.
WINDOW = 1.0


def _call(number: int, extension: Extension) -> SimCall:
    leg = SimLeg(f"leg-{number}", 1, extension.id, "Inbound", "+14155550100", "A Caller", extension.direct_number, "")
    return SimCall(
        str(9_000_000 + number * 10), f"s-{number}", "Inbound", "answered", "Accepted", "Phone Call", [leg],
        listed_after_ms=100, logged_after_ms=1_000,
    )  # fmt: skip


def _step(sim: Simulator, calls: list[SimCall], status: str) -> None:
    ending = "final" if status == "NoCall" else None
    for call in calls:
        sim.pbx.apply(call, Step(sim.clock.now_ms(), 0, status, ending))  # type: ignore[arg-type]


async def _open(rig: Rig, count: int) -> list[SimCall]:
    """So many connected calls, seen by the daemon, and then silent for so long that they are doubted."""
    extensions = list(rig.sim.pbx.extensions.values())
    calls = [_call(number, extensions[number % len(extensions)]) for number in range(count)]
    for call in calls:
        _step(rig.sim, [call], "Ringing")
        _step(rig.sim, [call], "CallConnected")
        if int(call.session_id) % 500 == 0:
            await rig.sim.wait_consumed()
    connected = "SELECT 1 FROM active_calls WHERE status = 'CallConnected'"
    await rig.until(lambda: len(rig.query(connected)) == count, "the calls are seen")
    rig.sim.clock.advance(120)
    return calls


async def _struck(rig: Rig, name: str, times: int = 3) -> None:
    before = rig.sim.faults.happened.get(name, 0)
    happened = rig.sim.faults.happened
    await rig.until(lambda: happened.get(name, 0) >= before + times, f"{name} has struck")


async def _polls(rig: Rig, count: int) -> None:
    """So many polls that came through, from now on."""
    value = rig.daemon.metrics.value
    before = value("api_requests_total", endpoint="active-calls", code="200")
    await rig.until(lambda: value("api_requests_total", endpoint="active-calls", code="200") >= before + count)


async def _recovers(rig: Rig, calls: list[SimCall]) -> None:
    """The platform is well again; the ends of the calls are told by its books alone."""
    rig.sim.faults.clear()
    rig.sim.faults.add("drop=1")
    _step(rig.sim, calls, "NoCall")
    rig.sim.clock.advance(30)
    await rig.until(
        lambda: (
            not rig.query("SELECT 1 FROM active_calls")
            and len(rig.query("SELECT 1 FROM all_calls WHERE confirmed_at IS NOT NULL")) == len(calls)
        )
    )
    assert differences(rig.query("SELECT * FROM all_calls"), rig.sim.pbx.truth()) == []


def _platform(extensions: int = 3) -> Simulator:
    options = Options(rate_window_seconds=WINDOW, rate_real_time=True)
    return Simulator(clock=SimClock(speed=1), pbx=Pbx(default_extensions(extensions)), options=options)


def _settings(sim: Simulator, tmp_path: Path):
    # `~` is the account's administrator: with one subscription for all a poll is one listing
    return settings_for(sim, tmp_path / "r.db", poll__interval_seconds=0.3, confirm__sync_interval_seconds=0.5)


@pytest.mark.parametrize("path", ["active-calls", "presence"])
@pytest.mark.parametrize("fault", ["status-5xx", "html", "cut-body", "429"])
async def test_no_answer_ends_no_call(fault: str, path: str, tmp_path: Path) -> None:
    async with _platform() as sim, running(sim, _settings(sim, tmp_path)) as rig:
        calls = await _open(rig, 3)
        if path == "presence":  # the listing says nothing of them, so presence is asked
            sim.faults.add("empty-listing=1", path="active-calls")
        sim.faults.add(f"{fault}=1", path=path)
        await _struck(rig, fault, 2)
        assert len(rig.query("SELECT 1 FROM active_calls")) == 3
        assert rig.query("SELECT 1 FROM all_calls") == []
        await _recovers(rig, calls)
        assert sim.limits.violations == 0


async def test_an_empty_answer_ends_no_call(tmp_path: Path) -> None:
    async with _platform() as sim, running(sim, _settings(sim, tmp_path)) as rig:
        calls = await _open(rig, 3)
        sim.faults.add("empty-listing=1")
        await _struck(rig, "empty-listing", 3)
        await _polls(rig, 2)
        assert len(rig.query("SELECT 1 FROM active_calls")) == 3
        assert rig.query("SELECT 1 FROM all_calls") == []
        await _recovers(rig, calls)


async def test_a_part_of_a_listing_ends_no_call(tmp_path: Path, logs: LogLines) -> None:
    """The second page fails, and the calls on it are silent: not being on the first one raises no doubt even, so
    nobody's presence is asked for."""
    async with _platform(60) as sim, running(sim, _settings(sim, tmp_path)) as rig:
        calls = await _open(rig, 260)
        sim.faults.add("page-fails=1", path="active-calls")
        await _struck(rig, "page-fails", 1)  # a poll that was under way has come to its end
        finished, asked = logs.events.count("poll.finished"), _presence_read(rig)
        await rig.until(lambda: len(_failed(logs)) >= 3, "polls fail")
        assert {(one["level"], one["reason"]) for one in _failed(logs)} == {("warning", "PlatformUnavailable")}
        assert logs.events.count("poll.finished") == finished
        assert _presence_read(rig) == asked
        assert len(rig.query("SELECT 1 FROM active_calls")) == 260
        assert rig.query("SELECT 1 FROM all_calls") == []
        await _recovers(rig, calls)


def _failed(logs: LogLines) -> list[dict[str, Any]]:
    """Polls of active-calls that failed; the call log's synchronisation names itself."""
    return [line for line in logs.named("poll.failed") if "source" not in line]


def _presence_read(rig: Rig) -> float:
    return rig.daemon.metrics.value("api_requests_total", endpoint="presence", code="200")
