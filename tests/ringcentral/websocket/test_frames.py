import json
import random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringledger.ringcentral.decode.unreadable import WireError
from ringledger.ringcentral.websocket.connection import (
    Wsc,
    read_any,
    read_details,
    read_fault,
    read_frame,
    read_plain,
)
from tests.fuzz.mutate import mutated
from tests.platform.payloads import event


def test_meta_and_body() -> None:
    frame = read_frame(
        '[{"type":"ServerNotification","messageId":"m-1","status":200,"headers":{"RCRequestId":"r","X":5},'
        '"wsc":{"token":"T","sequence":7,"new":1}}, {"a": 1}]'
    )
    assert (frame.kind, frame.message_id, frame.status) == ("ServerNotification", "m-1", 200)
    assert frame.wsc == Wsc("T", 7)
    assert json.loads(frame.body) == {"a": 1}
    assert frame.headers == {"RCRequestId": "r", "X": "5"}


@pytest.mark.parametrize(
    ("extra", "status", "wsc"),
    [
        ('"status":"200","wsc":{"token":"T","sequence":"7"}', 200, Wsc("T", 7)),
        ('"status":null,"wsc":null,"headers":null', None, None),
        ('"status":"x","wsc":{"token":5,"sequence":[]},"headers":[]', None, None),
    ],
)
def test_odd_fields_cost_nothing(extra: str, status: int | None, wsc: Wsc | None) -> None:
    frame = read_frame(f'[{{"type":"ServerNotification",{extra}}},{{"a":1}}]')
    assert (frame.kind, frame.status, frame.wsc, frame.body) == ("ServerNotification", status, wsc, b'{"a":1}')


def test_meta_alone() -> None:
    frame = read_frame(b'[{"type":"Heartbeat","messageId":5}]')
    assert (frame.kind, frame.message_id, frame.wsc, frame.body) == ("Heartbeat", "5", None, b"")


def test_a_body_that_is_no_json() -> None:
    frame = read_frame('[{"type":"ClientRequest","messageId":"m"},--Boundary_1\r\n{"a":1}\r\n--Boundary_1--]')
    assert (frame.kind, frame.message_id) == ("ClientRequest", "m")
    assert frame.body.startswith(b"--Boundary_1")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "x",
        "{}",
        "5",
        "null",
        "[]",
        "[5]",
        "[{}]",
        '[{"type":""}]',
        '[{"type":5}]',
        '["a",{"type":"x"}]',
        "[{",
        b"\xff",
    ],
)
def test_no_frame_at_all(text: Any) -> None:
    with pytest.raises(WireError):
        read_frame(text)


@given(st.one_of(st.text(), st.binary(), st.recursive(st.none() | st.text(), st.lists).map(json.dumps)))
def test_nothing_but_a_wire_error_comes_out(data: Any) -> None:
    for text in (data, b"[{" + data if isinstance(data, bytes) else "[{" + data):
        try:
            read_frame(text)
        except WireError:
            continue


def test_details_and_their_defaults() -> None:
    told = read_details(read_frame('[{"type":"ConnectionDetails"},{"recoveryBufferSize":5,"recoveryState":"Failed"}]'))
    assert (told.recovery_buffer_size, told.recovery_timeout, told.recovery_state) == (5, 180, "Failed")
    for broken in ("", ",5", ',{"recoveryBufferSize":"x"}'):
        assert read_details(read_frame(f'[{{"type":"ConnectionDetails"}}{broken}]')).recovery_state is None


def test_what_an_error_says() -> None:
    fault = read_fault(read_frame('[{"type":"Error"},{"errorCode":"WSG-902","message":"Idle"}]'))
    assert (fault.error_code, fault.message) == ("WSG-902", "Idle")
    assert read_fault(read_frame('[{"type":"Error"}]')).error_code == ""


META = {"type": "ServerNotification", "messageId": "m-1", "status": 200, "wsc": {"token": "t", "sequence": 7}}


@pytest.mark.parametrize("more", [{}, {"headers": {"RCRequestId": "r", "": ""}}, {"wsc": None}, {"messageId": ""}])
def test_plain_notifications_are_read_alike_in_one_step(more: dict[str, Any]) -> None:
    text = json.dumps([META | more, {"a": [1, "Zoé"]}], ensure_ascii=False)
    assert read_plain(text) == read_plain(text.encode()) == read_any(text)


@pytest.mark.parametrize(
    "odd", [{"type": "Error"}, {"messageId": 7}, {"messageId": "m" * 200}, {"status": "200"}, {"status": 7},
            {"wsc": {"token": "\x00"}}, {"wsc": {"token": "t" * 5000}}, {"wsc": "t"}, {"headers": {"a": 1}}],
)  # fmt: skip
def test_what_has_to_be_judged_takes_the_long_way(odd: dict[str, Any]) -> None:
    assert read_plain(json.dumps([META | odd, {}])) is None


def test_both_ways_read_damaged_frames_alike() -> None:
    dice = random.Random(3)
    alike = 0
    for _ in range(3_000):
        data = mutated([[META, {"a": 1}], [META | {"headers": {"a": "b"}}, event()]], dice)
        if (plain := read_plain(data)) is not None:
            assert plain == read_any(data)
            alike += 1
    assert alike > 100
