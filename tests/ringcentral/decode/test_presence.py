"""Notifications and presence reads: every documented oddity, and only ``WireError`` for the rest."""

import contextlib
import json
import random
from datetime import datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringledger.domain.observation import UNKNOWN_PARTY, Direction, Party, PresenceObservation, Source
from ringledger.domain.status import TelephonyStatus, TerminationType
from ringledger.ringcentral.decode.presence import (
    decode_notification,
    decode_presence_read,
    parse_time,
    read_any,
    read_plain,
)
from ringledger.ringcentral.decode.unreadable import MAX_BYTES, WireError, WireReason
from tests.fuzz.mutate import mutated
from tests.platform.payloads import ACCOUNT, EVENT_2015, REGION, event, item

RECEIVED = 1767607200999
RANGE = datetime.fromisoformat("2000-01-01"), datetime.fromisoformat("2026-01-01")


def read(payload: Any) -> PresenceObservation:
    text = payload if isinstance(payload, bytes | str) else json.dumps(payload)
    return decode_notification(text, account_id=ACCOUNT, default_region=REGION, received_at=RECEIVED)


def refused(payload: Any) -> WireError:
    with pytest.raises(WireError) as caught:
        read(payload)
    return caught.value


def only(**fields: Any) -> Any:
    return read(event(activeCalls=[item(**fields)])).items[0]


def test_a_notification_of_today() -> None:
    seen = read(event())
    assert seen[:6] == (ACCOUNT, "2002", 1767607200120, RECEIVED, 501, "7001")
    assert seen.source is Source.PRESENCE
    assert not seen.truncated
    assert (seen.presence_status, seen.user_status, seen.dnd_status) == ("Busy", "Available", "TakeAllCalls")
    (call,) = seen.items
    assert call.call_session_id == "900000001021"
    assert call.leg_id == "leg-0001"
    assert (call.direction, call.status) == (Direction.INBOUND, TelephonyStatus.RINGING)
    assert call.from_party == Party("+15550100001", "A Caller", "+15550100001")
    assert call.started_at == 1767607200000
    assert not call.monitored


def test_a_notification_of_2015() -> None:
    seen = read(EVENT_2015)
    assert (seen.extension_id, seen.at, seen.sequence) == ("255537016", 1429299539718, 46061598)
    (call,) = seen.items
    assert call.leg_id is None
    assert call.started_at is None
    assert call.from_party == Party("+16509540334", None, "16509540334")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2026-01-05T10:00:00.120Z", 1767607200120),
        ("2026-01-05T10:00:00.120+0000", 1767607200120),
        ("2026-01-05T11:00:00.120+01:00", 1767607200120),
        ("2026-01-05T10:00:00Z", 1767607200000),
        ("2026-01-05T10:00:00", 1767607200000),
        ("yesterday", None),
        ("0001-01-01T00:00:00+23:59", -62135683140000),
    ],
)
def test_times(text: str, expected: int | None) -> None:
    assert parse_time(text) == expected


def test_ids_may_be_numbers() -> None:
    call = only(id=7, sessionId=900000001021, onBehalfOf=42)
    assert (call.leg_id, call.session_id, call.on_behalf_of) == ("7", "900000001021", "42")


def test_the_extension_comes_from_the_path_when_the_body_has_none_and_never_from_the_owner() -> None:
    assert read(event(extensionId=None)).extension_id == "2002"
    pathless = event(extensionId=None)
    pathless["event"] = "/restapi/v1.0/account/~/extension/~/presence"
    assert refused(pathless).reason is WireReason.MISSING_EXTENSION


def test_an_account_wide_path_is_presence_too() -> None:
    wide = event()
    wide["event"] = "/restapi/v1.0/account/1001/presence?detailedTelephonyState=true"
    assert read(wide).extension_id == "2002"


def test_an_unknown_status_is_kept_as_text() -> None:
    call = only(telephonyStatus="Levitating")
    assert (call.status, call.status_text) == (None, "Levitating")


def test_status_and_direction_may_be_missing() -> None:
    call = only(telephonyStatus=None, direction="Sideways")
    assert (call.status, call.status_text, call.direction) == (None, "", None)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("final", TerminationType.FINAL),
        ("intermediate", TerminationType.INTERMEDIATE),
        (None, None),
        ("sudden", TerminationType.INTERMEDIATE),
    ],
)
def test_termination(text: str | None, expected: TerminationType | None) -> None:
    assert only(telephonyStatus="NoCall", terminationType=text).termination is expected


def test_parties() -> None:
    assert only(to="", toName="").to_party == UNKNOWN_PARTY
    assert only(to="anonymous", toName=None).to_party == Party(None, None, "anonymous")
    gcm = item(_from="101")
    del gcm["from"], gcm["fromName"]
    assert read(event(activeCalls=[gcm])).items[0].from_party == Party("101", None, "101")


def test_a_monitored_line_is_marked() -> None:
    assert only(sipData={"toTag": "blf"}).monitored
    assert not only(sipData={"toTag": "gK0d"}).monitored


def test_a_cut_array_is_marked() -> None:
    assert read(event(totalActiveCalls=2)).truncated
    assert not read(event(totalActiveCalls=1)).truncated


def test_no_array_proves_absence_only_for_an_idle_extension() -> None:
    bare = event(telephonyStatus="NoCall")
    del bare["body"]["activeCalls"]
    assert (read(bare).items, read(bare).truncated) == ((), False)
    bare["body"]["telephonyStatus"] = "CallConnected"
    assert (read(bare).items, read(bare).truncated) == ((), True)


@pytest.mark.parametrize(("status", "proves"), [("NoCall", True), (None, True), ("CallConnected", False)])
def test_an_empty_array_of_an_extension_that_talks_proves_nothing(status: str | None, proves: bool) -> None:
    assert read(event(telephonyStatus=status, activeCalls=[], totalActiveCalls=0)).truncated is not proves


def test_a_start_nobody_understands_is_no_start() -> None:
    assert only(startTime="soon").started_at is None


def without(key: str) -> dict[str, Any]:
    made = event()
    del made[key]
    return made


def at_path(path: str) -> dict[str, Any]:
    return {**event(), "event": path}


SESSION_EVENT = {
    "event": "/restapi/v1.0/account/1/extension/2/telephony/sessions",
    "timestamp": "2026-01-05T10:00:00Z",
    "body": [1],
}


@pytest.mark.parametrize(
    ("payload", "reason"),
    [
        (b"", WireReason.NOT_JSON),
        (b"<html>", WireReason.NOT_JSON),
        (b"\xff\xfe", WireReason.NOT_JSON),
        (b'{"uuid":"\xff"}', WireReason.MISSING_BODY),
        ('{"uuid":"\ud800"}', WireReason.MISSING_BODY),
        (b'{"uuid":"\\ud800 "}', WireReason.MISSING_BODY),
        (b"[]", WireReason.NOT_OBJECT),
        (b"7", WireReason.NOT_OBJECT),
        (b" " * (MAX_BYTES + 1), WireReason.TOO_LARGE),
        (b'{"x":' + b"[" * 100_000 + b"]" * 100_000 + b"}", WireReason.TOO_DEEP),
        (json.dumps(event(sequence=10**30)), WireReason.WRONG_SHAPE),
        ('{"body":{"sequence":' + "9" * 5000 + "}}", WireReason.WRONG_SHAPE),
        (event(sequence="soon"), WireReason.WRONG_SHAPE),
        (event(activeCalls={}), WireReason.WRONG_SHAPE),
        (without("body"), WireReason.MISSING_BODY),
        (without("timestamp"), WireReason.MISSING_TIMESTAMP),
        ({**event(), "timestamp": "noon"}, WireReason.BAD_TIMESTAMP),
        (event(sequence=None), WireReason.MISSING_SEQUENCE),
        (at_path("/restapi/v1.0/account/~/extension/2/presence/line"), WireReason.NOT_PRESENCE),
        (at_path("/restapi/v1.0/account/~/extension/2/message-store"), WireReason.NOT_PRESENCE),
        (SESSION_EVENT, WireReason.NOT_PRESENCE),
    ],
)
def test_what_cannot_be_read_has_a_reason(payload: Any, reason: WireReason) -> None:
    assert refused(payload).reason is reason


def test_an_error_shows_no_number() -> None:
    error = refused(event(activeCalls=[item(queueCall="+15550100001", to="(555) 010-0002")]))
    shown = f"{error} {error.detail} {error.raw}"
    assert "5550100001" not in shown
    assert "010-0002" not in shown
    assert error.unreadable(5).received_at == 5


def test_a_presence_read() -> None:
    body = {**event()["body"], "extension": {"id": 2002}}
    seen = decode_presence_read(
        json.dumps(body), account_id="1", extension_id="~", default_region="US", read_at=5, received_at=9
    )
    assert (seen.extension_id, seen.at, seen.received_at) == ("2002", 5, 9)
    assert (seen.sequence, seen.uuid, seen.source) == (None, None, Source.PRESENCE_READ)
    assert len(seen.items) == 1


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=10), inner, max_size=4),
    max_leaves=20,
)


@given(payload=st.binary(max_size=400) | st.text(st.characters(), max_size=400) | JSON.map(json.dumps))
def test_nothing_but_a_wire_error_comes_out(payload: bytes | str) -> None:
    with contextlib.suppress(WireError):
        read(payload)


@given(
    sequence=st.integers(-(2**63), 2**63 - 1),
    at=st.datetimes(*RANGE).map(lambda moment: moment.isoformat() + "Z"),
    statuses=st.lists(st.sampled_from(TelephonyStatus), max_size=7),
)
def test_a_sound_event_is_read_whole(sequence: int, at: str, statuses: list[TelephonyStatus]) -> None:
    made = event(sequence=sequence, activeCalls=[item(telephonyStatus=status) for status in statuses])
    made["timestamp"] = at
    seen = read(made)
    assert seen.sequence == sequence
    assert [call.status for call in seen.items] == statuses


# --- the short way ----------------------------------------------------------------------------------------


def both_ways(payload: bytes) -> bool:
    """Whether the short way reads it; then the long one reads the same."""
    told = ACCOUNT, REGION, RECEIVED, RECEIVED + 86_400_000
    plain = read_plain(payload, *told)
    if plain is None:
        return False
    assert repr(plain) == repr(read_any(payload, *told))
    return True


def test_what_the_platform_sends_is_read_the_short_way() -> None:
    ended = item(telephonyStatus="NoCall", terminationType="final", sipData={"toTag": "blf"}, onBehalfOf="101")
    for calls in ([], [item()], [item(), ended], None):
        assert both_ways(json.dumps(event(activeCalls=calls)).encode())
    assert both_ways(json.dumps(event(activeCalls=[item(fromName='Zoé "Z"')])).encode())


@pytest.mark.parametrize(
    "odd", [{"direction": "Sideways"}, {"telephonyStatus": "Dancing"}, {"fromName": "a\x00b"}, {"toName": "N" * 300},
            {"startTime": "2199-01-01T00:00:00Z"}, {"startTime": "soon"}, {"sessionId": 7}, {"from": 16505551001}],
)  # fmt: skip
def test_what_has_to_be_judged_is_not(odd: dict[str, Any]) -> None:
    assert not both_ways(json.dumps(event(activeCalls=[item(**odd)])).encode())


def test_both_ways_read_damaged_notifications_alike() -> None:
    dice = random.Random(11)
    seeds = [event(), event(activeCalls=[item(), item(telephonyStatus="OnHold", fromName=None)]), EVENT_2015]
    assert sum(both_ways(mutated(seeds, dice)) for _ in range(4_000)) > 200
