"""What strangers and somebody else's code may send: the daemon lives, the next good call is recorded, bounds hold."""

import json
from pathlib import Path
from typing import Any

import pytest

from ringledger.ringcentral.pubnub import client as pubnub_client
from ringledger.ringcentral.ratelimit.limits import LONGEST_WINDOW
from ringledger.simulator import Office, Options, SimClock, Simulator, load_story
from ringledger.simulator.faults.poison import notifications
from tests.conftest import LogLines
from tests.rig import STORIES, Rig, office, running, settings_for
from tests.truth import differences

GOOD = STORIES / "answered.story"
EARLIER = STORIES / "late_after_the_end.story"
#: A record that was put aside, whatever it brought with it.
ASIDE = "SELECT source, reason, body FROM quarantine ORDER BY id"


def _envelope() -> dict[str, Any]:
    return load_story(EARLIER).deliveries[0].envelope


async def _good_call(rig: Rig) -> dict[str, Any]:
    await rig.sim.play_story(load_story(GOOD), pace=False)
    (call,) = await rig.until(rig.calls, "the good call")
    assert call["disposition"] == "answered"
    return dict(call)


async def _confirmed(rig: Rig) -> None:
    """Ten minutes of an office: all of its calls come in, and the platform's records confirm them."""
    office = Office([*rig.sim.pbx.extensions.values()], calls_per_hour=120, seed=3)
    await rig.sim.run_office(office, until=rig.sim.clock.now_ms() + 600_000)
    truth = rig.sim.pbx.truth()
    confirmed = "SELECT 1 FROM all_calls WHERE confirmed_at IS NOT NULL"
    await rig.until(lambda: len(rig.query(confirmed)) == len(truth), "all calls are confirmed")
    assert differences(rig.query("SELECT * FROM all_calls"), truth) == []


async def test_impossible_values_in_notifications_are_put_aside(transport: str, tmp_path: Path, logs: LogLines) -> None:
    poisoned = list(notifications(_envelope()))
    async with office(tmp_path, transport) as rig:
        for envelope in poisoned:
            rig.sim.publish_envelope(envelope, forced=True)
        await _good_call(rig)
        aside = rig.query(ASIDE)
        assert len(aside) == len(poisoned) == len(logs.named("event.unreadable"))
        assert {row["source"] for row in aside} == {"presence"}
        assert {row["reason"] for row in aside} == {"bad_timestamp", "wrong_shape"}
        assert [json.loads(row["body"])["uuid"] for row in aside] == [one["uuid"] for one in poisoned]
        total = rig.daemon.metrics.value
        assert total("quarantined_total", source="presence", reason="bad_timestamp") == 10


async def test_half_a_character_costs_no_page(tmp_path: Path, logs: LogLines) -> None:
    async with office(tmp_path, "pubnub") as rig:
        rig.sim.faults.add("poison-record=1")
        await _confirmed(rig)
        await rig.until(lambda: rig.sim.faults.happened["poison-record"] > 6, "it has been met again and again")
        assert {row["source"] for row in rig.query(ASIDE)} <= {"active-calls", "call-log"}
        assert len(rig.query(ASIDE)) == len(logs.named("event.unreadable")) == 7
        assert logs.named("poll.failed") == []


async def test_entries_of_the_directory_that_cannot_be_read_are_counted_once(tmp_path: Path, logs: LogLines) -> None:
    """Whoever they are is not watched, which nobody was told."""
    async with (
        Simulator(clock=SimClock(), options=Options(faults=("poison-record=1",), fault_seed=1)) as sim,
        running(sim, settings_for(sim, tmp_path / "r.db", "pubnub")) as rig,
    ):
        await rig.until(lambda: logs.named("poll.finished"), "it works")
        (line,) = logs.named("directory.unreadable")
        assert line["count"] > 0
        await _good_call(rig)


@pytest.mark.slow
@pytest.mark.parametrize("fault", ["odd-date", "odd-rate"])
async def test_no_header_dates_anything_or_stops_anything(fault: str, tmp_path: Path) -> None:
    async with office(tmp_path, "pubnub") as rig:
        rig.sim.faults.add(f"{fault}=1")
        await _confirmed(rig)
        apart = "SELECT max(abs(julianday(confirmed_at) - julianday(ended_at))) AS days FROM all_calls"
        assert rig.query(apart)[0]["days"] < 1 / 24
        before = rig.sim.faults.happened[fault]
        await rig.until(lambda: rig.sim.faults.happened[fault] > before + 20, seconds=LONGEST_WINDOW)


async def test_a_listing_that_repeats_itself_ends(tmp_path: Path, logs: LogLines) -> None:
    async with office(tmp_path, "pubnub") as rig:
        rig.sim.faults.add("same-page")
        await _confirmed(rig)
        await rig.until(lambda: logs.named("poll.finished")[3:], "polls go on")
        assert logs.named("poll.failed") == []


@pytest.mark.slow
@pytest.mark.parametrize("fault", ["bomb=3x", "redirect=3x"])
async def test_an_answer_that_is_none_is_an_outage(fault: str, tmp_path: Path, logs: LogLines) -> None:
    async with office(tmp_path, "pubnub") as rig:
        rig.sim.faults.add(fault)
        await rig.until(lambda: logs.named("platform.recovered"), "it is over")
        await _good_call(rig)


@pytest.mark.slow
@pytest.mark.parametrize("fault", ["poll-bomb", "redirect-307", "deep", "far-cursor", "endless-cursor"])
async def test_a_poll_that_is_none_is_asked_again(fault: str, tmp_path: Path) -> None:
    async with office(tmp_path, "pubnub") as rig:
        rig.sim.faults.add(f"{fault}=2x")
        await rig.until(lambda: not rig.sim.pubnub.faults, "both have been met")
        await _good_call(rig)
        (position,) = rig.query("SELECT token FROM feed_position WHERE feed = 'pubnub'")
        assert json.loads(position["token"])["cursor"] < 2**63


async def test_an_answer_without_end_is_an_outage(tmp_path: Path, logs: LogLines) -> None:
    async with office(tmp_path, "pubnub") as rig:
        rig.sim.faults.add("endless=1x")
        await rig.until(lambda: logs.named("platform.recovered"), "it is over")
        assert "more than 16777216 bytes" in logs.named("platform.unavailable")[0]["reason"]
        await _good_call(rig)


async def test_a_name_of_any_length_stays_short(transport: str, tmp_path: Path, logs: LogLines) -> None:
    envelope = _envelope()
    for item in envelope["body"]["activeCalls"]:
        item |= {
            "fromName": "N" * 20_000,
            "from": "sip:" + "7" * 5_000,
            "sessionId": "4242",
            "telephonyStatus": "NoCall",
        }
    async with office(tmp_path, transport) as rig:
        rig.sim.publish_envelope(envelope, forced=True)
        (call,) = await rig.until(rig.calls, "the call")
        assert call["from_name"] == "N" * 256
        assert len(call["from_number"]) == 128
        assert max(map(len, logs.text.splitlines())) < 4_000


async def test_an_answer_that_stays_unreadable_is_passed_over(
    tmp_path: Path, logs: LogLines, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pubnub_client, "MAX_ANSWER_BYTES", 100_000)  # it is sent more than a hundred times
    async with office(tmp_path, "pubnub") as rig:
        (subscription,) = rig.sim.subscriptions.alive()
        await rig.sim.pubnub.wait_polling()
        rig.sim.publish_raw(subscription.delivery["address"], "x" * 100_000)
        gap = await rig.until(lambda: logs.named("feed.gap")[1:], "it is passed over, and told", seconds=120)
        assert gap[0]["reason"] == "unreadable"
        await _good_call(rig)
