"""Somebody calls a caller back at once: two calls, however quick he was; told by a file, before any record is known."""

import json

import pytest

from ringledger.ledger.times import to_text
from tests.platform.payloads import event, item

BEGAN = 1_772_442_000_000  # 2026-03-02T09:00:00Z
CALLER, OURS = "+14155550123", "+16505551001"


def told(path, *happened):
    """``(seconds, session, began, direction, status)`` of one extension, as its notifications."""
    rows = []
    for sequence, (after, session, began, direction, status) in enumerate(happened, start=1):
        sender, to = (CALLER, OURS) if direction == "Inbound" else (OURS, CALLER)
        call = item(
            id=f"leg-{session}", sessionId=session, telephonySessionId=f"s-{session}", telephonyStatus=status,
            direction=direction, startTime=to_text(BEGAN + round(1000 * began)), to=to,
        ) | {"from": sender}  # fmt: skip
        row = event(extensionId="101", sequence=sequence, telephonyStatus=status, activeCalls=[call])
        rows.append(row | {"timestamp": to_text(BEGAN + round(1000 * after)), "uuid": str(sequence)})
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def calls(cli, path):
    rows = cli("replay", path, "--json").data
    return {row["session_id"]: row["disposition"] for row in rows if not row["part_of"]}


def test_a_caller_one_has_just_spoken_to(cli, tmp_path):
    """The first call left `calls`: it was taken for the inner leg of a RingOut."""
    file = told(
        tmp_path / "spoken.jsonl",
        (0, "801", 0, "Inbound", "Ringing"),
        (0.5, "801", 0, "Inbound", "CallConnected"),
        (2, "802", 2, "Outbound", "Ringing"),
        (2.3, "801", 0, "Inbound", "NoCall"),
        (4, "802", 2, "Outbound", "CallConnected"),
        (30, "802", 2, "Outbound", "NoCall"),
    )
    assert calls(cli, file) == {"801": "answered", "802": "answered"}


@pytest.mark.parametrize("began", [3.6, 4.5, 4.99])
def test_a_caller_one_has_just_missed(cli, tmp_path, began):
    """Nobody has told yet how the first one ended but presence."""
    file = told(
        tmp_path / "missed.jsonl",
        (0, "801", 0, "Inbound", "Ringing"),
        (3.5, "801", 0, "Inbound", "NoCall"),
        (began, "802", began, "Outbound", "Ringing"),
        (8, "802", began, "Outbound", "CallConnected"),
        (30, "802", began, "Outbound", "NoCall"),
    )
    assert calls(cli, file) == {"801": "missed", "802": "answered"}


def test_a_ringout_is_still_one_call(cli, tmp_path):
    """Its inner leg lives until the outer's end."""
    file = told(
        tmp_path / "ringout.jsonl",
        (0, "801", 0, "Inbound", "Ringing"),
        (2, "801", 0, "Inbound", "CallConnected"),
        (2.1, "802", 2.1, "Outbound", "Ringing"),
        (8, "802", 2.1, "Outbound", "CallConnected"),
        (30, "802", 2.1, "Outbound", "NoCall"),
        (30, "801", 0, "Inbound", "NoCall"),
    )
    assert calls(cli, file) == {"802": "answered"}
