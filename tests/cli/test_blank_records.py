"""Records that lack something say nothing of it: through `replay`, as one call seen by presence and one record."""

import json

import pytest

RING, TALK = 5.0, 10.0
BLANK = object()


def seen(sequence, second, status, **fields):
    """A notification of the one call: it rings at 09:01:00, is answered 5 s later, and ends 10 s after that."""
    item = {
        "id": "l1", "direction": "Inbound", "telephonyStatus": status, "sessionId": "8400", "from": "+13025550111",
        "to": "+16505551001", **fields,
    }  # fmt: skip
    return {
        "uuid": f"u{sequence}",
        "timestamp": f"2026-03-02T09:01:{second:02d}.000Z",
        "event": "/restapi/v1.0/account/1001/extension/2002/presence?detailedTelephonyState=true",
        "body": {"extensionId": "2002", "telephonyStatus": status, "sequence": sequence, "activeCalls": [item]},
    }


CALL = [seen(10, 0, "Ringing"), seen(11, 5, "CallConnected"), seen(12, 15, "NoCall", terminationType="final")]


def record(**fields):
    whole = {
        "id": "R1", "sessionId": "8400", "startTime": "2026-03-02T09:01:00.000Z", "duration": 15, "type": "Voice",
        "direction": "Inbound", "action": "Phone Call", "result": "Accepted", "from": {"phoneNumber": "+13025550111"},
        "to": {"phoneNumber": "+16505551001", "extensionId": "2002"}, "extension": {"id": 2002}, **fields,
    }  # fmt: skip
    kept = {name: value for name, value in whole.items() if value is not BLANK}
    times = {"asked_at": "2026-03-02T09:10:00Z", "received_at": "2026-03-02T09:10:01Z", "date": "2026-03-02T09:10:00Z"}
    return {"source": "call-log", **times, "page": {"records": [kept]}}


@pytest.fixture
def told(cli, tmp_path):
    """The rows that come of these lines."""

    def tell(*lines):
        path = tmp_path / "story.jsonl"
        path.write_text("".join(json.dumps(line) + "\n" for line in lines))
        ended = cli("--json", "replay", path, "--full-numbers")
        assert (ended.code, ended.err) == (0, "")
        return ended.data

    return tell


@pytest.mark.slow
@pytest.mark.parametrize("blank", [BLANK, None])
@pytest.mark.parametrize("name", ["duration", "startTime", "from", "to"])
def test_a_blank_overwrites_nothing_and_the_rest_confirms(told, name, blank):
    (row,) = told(*CALL, record(**{name: blank}))
    assert (row["disposition"], row["result"], row["confirmed_at"][:4]) == ("answered", "Accepted", "2026")
    assert (row["ring_seconds"], row["talk_seconds"], row["hold_seconds"]) == (RING, TALK, 0)
    assert (row["from_number"], row["to_number"]) == ("+13025550111", "+16505551001")
    assert (row["started_at"][11:19], row["ended_at"][11:19]) == ("09:01:00", "09:01:15")


@pytest.mark.parametrize("blank", [BLANK, None, ""])
def test_a_record_without_result_confirms_nothing(told, blank):
    (row,) = told(*CALL, record(result=blank))
    assert (row["disposition"], row["result"], row["confirmed_at"]) == ("answered", None, None)
    assert (row["ring_seconds"], row["talk_seconds"]) == (RING, TALK)


def test_a_call_known_from_a_record_without_result_alone_is_written(told):
    (row,) = told(record(result=BLANK))
    assert (row["disposition"], row["result"], row["confirmed_at"]) == ("unknown", None, None)
    assert (row["ring_seconds"], row["hold_seconds"]) == (None, None)


def test_a_duration_of_nothing_that_is_said_counts(told):
    (row,) = told(*CALL, record(duration=0, result="Missed"))
    assert (row["disposition"], row["talk_seconds"], row["duration_seconds"]) == ("missed", 0, 0)


def test_an_emergency_number_says_where_a_call_went_not_how_it_ended(told):
    (row,) = told(*CALL, record(result="911"))
    assert (row["disposition"], row["result"], row["talk_seconds"]) == ("answered", "911", TALK)
    (row,) = told(record(result="933", duration=0))
    assert row["disposition"] == "no_answer"


def test_a_record_that_is_in_progress_for_days_opens_nothing(told):
    assert told(record(result="In Progress", startTime="2026-02-25T09:00:00Z")) == []


def test_a_record_that_says_nothing_but_its_session_changes_nothing(told):
    before = told(*CALL)
    after = told(*CALL, record(**dict.fromkeys(("duration", "result", "startTime", "from", "to", "action"), BLANK)))
    assert [{**row, "updated_at": ""} for row in after] == [{**row, "updated_at": ""} for row in before]


def test_a_telephony_session_of_a_record_that_was_matched_by_numbers_is_found(told):
    """A missed call whose record has other sessions, and then a call with that telephony session: exit 70 for ever."""
    strange = record(id="R9", sessionId="8500", telephonySessionId="s-9", result="Missed")
    other = seen(13, 20, "Ringing", id="l9", sessionId="8600", telephonySessionId="s-9")
    ended = seen(14, 25, "NoCall", id="l9", sessionId="8600", telephonySessionId="s-9", terminationType="final")
    rows = {row["session_id"]: row for row in told(CALL[0], CALL[2], strange, other, ended)}
    assert set(rows) == {"8400", "8600"}
    assert (rows["8400"]["result"], rows["8600"]["result"]) == (None, "Missed")
