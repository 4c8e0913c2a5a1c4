"""What nobody can read costs nothing else: it is counted by reason, logged once, and the next good call is recorded."""

import json
from pathlib import Path
from typing import Any

import pytest

from ringledger.simulator import load_story
from ringledger.simulator.push.encryption import encrypt
from tests.conftest import LogLines
from tests.rig import STORIES, Rig, office

GOOD = STORIES / "answered.story"


def _envelope(**changes: Any) -> dict[str, Any]:
    envelope = load_story(STORIES / "late_after_the_end.story").deliveries[0].envelope
    return {**envelope, **changes}


def _item(**changes: Any) -> dict[str, Any]:
    envelope = _envelope()
    body = envelope["body"]
    return {**envelope, "body": {**body, "activeCalls": [{**body["activeCalls"][0], **changes}]}}


BAD: dict[str, tuple[Any, str]] = {
    "not base64": ("***", "not_base64"),
    "not encrypted": ("AAAAAAAAAAAAAAAAAAAA", "undecryptable"),  # no whole block: no key can open it by chance
    "not JSON": (b"Ringing, ringing", "not_json"),
    "a list": (b"[1, 2]", "not_object"),
    "a number": (b"7", "not_object"),
    "no body": (json.dumps({k: v for k, v in _envelope().items() if k != "body"}).encode(), ""),
    "a body of text": (json.dumps(_envelope(body="Ringing")).encode(), ""),
    "calls that are no list": (json.dumps(_envelope(body={**_envelope()["body"], "activeCalls": 5})).encode(), ""),
    "a megabyte": (json.dumps(_envelope(padding="x" * 1_000_000)).encode(), ""),
    "nested 10,000 deep": (b'{"a":' * 10_000 + b"1" + b"}" * 10_000, ""),
    "a huge number": (json.dumps(_envelope()).replace('"sequence": ', '"sequence": 9' + "9" * 400).encode(), ""),
    "no timestamp": (json.dumps({k: v for k, v in _envelope().items() if k != "timestamp"}).encode(), ""),
    "invalid UTF-8": (b'{"uuid":"\xff\xfe"}', ""),
}


@pytest.mark.parametrize("what", BAD)
async def test_a_bad_payload_costs_nothing_else(what: str, tmp_path: Path, logs: LogLines) -> None:
    payload, reason = BAD[what]
    async with office(tmp_path, "pubnub") as rig:
        _publish(rig, payload)
        await rig.sim.play_story(load_story(GOOD), pace=False)
        await rig.until(rig.calls, "the good call")
        lines = logs.named("event.unreadable")
        assert len(lines) == 1
        assert lines[0]["reason"] == reason or not reason
        assert rig.daemon.metrics.value("events_unreadable_total", reason=lines[0]["reason"]) == 1
        assert rig.query("SELECT reason FROM call_events WHERE reason = 'unreadable'") == [{"reason": "unreadable"}]


def _publish(rig: Rig, payload: str | bytes) -> None:
    """As it comes (text), or encrypted as the platform would (bytes)."""
    for subscription in rig.sim.subscriptions.alive():
        delivery = subscription.delivery
        data = payload if isinstance(payload, str) else encrypt(payload, delivery["encryptionKey"])
        rig.sim.publish_raw(delivery["address"], data)


@pytest.mark.parametrize(
    ("envelope", "reason"),
    [
        pytest.param(_item(telephonyStatus="Teleporting"), "unknown_status", id="unknown status"),
        pytest.param(_item(sessionId="", telephonySessionId=None), "untrackable", id="no session"),
        pytest.param(_item(direction=None), "untrackable", id="no direction"),
        pytest.param(_item(sipData={"toTag": "blf"}), "monitored", id="somebody else's"),
    ],
)
async def test_an_item_that_cannot_be_used_is_counted(
    envelope: dict[str, Any], reason: str, tmp_path: Path, logs: LogLines
) -> None:
    async with office(tmp_path, "pubnub") as rig:
        rig.sim.publish_envelope(envelope, forced=True)
        await rig.sim.play_story(load_story(GOOD), pace=False)
        await rig.until(rig.calls, "the good call")
        assert len(rig.calls()) == 1
        assert [line["reason"] for line in logs.named("event.ignored")] == [reason]
        assert rig.daemon.metrics.value("events_ignored_total", reason=reason) == 1


async def test_an_extension_nobody_subscribed_is_recorded_like_any_other(tmp_path: Path) -> None:
    async with office(tmp_path, "pubnub") as rig:
        await rig.sim.play_story(load_story(GOOD), pace=False)
        await rig.until(rig.calls)


async def test_names_of_the_world_survive(tmp_path: Path) -> None:
    async with office(tmp_path, "pubnub") as rig:
        story = load_story(STORIES / "names_of_the_world.story")
        await rig.sim.play_story(story, pace=False)
        rows = await rig.until(rig.calls)
        names = {row["session_id"]: row["from_name"] for row in rows}
        for row in story.expected:
            assert names[row["session_id"]] == row.get("from_name", names[row["session_id"]])
