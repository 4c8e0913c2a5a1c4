"""The call model: what presence reports of it, and what is true of a call."""

from ringledger.simulator.exchange.model import SimCall, SimLeg, Step, Style, truth_of
from ringledger.simulator.exchange.pbx import Pbx

FINAL = "final"


def inbound(number: int, *, extension: str = "2001") -> SimCall:
    leg = SimLeg(f"leg-{number}", 1, extension, "Inbound", f"+1415555{number:04d}", "A Caller", "+16505551001", "Ann")
    return SimCall(str(900_000 + number), f"s-{number:032x}", "Inbound", "answered", "Accepted", "Phone Call", [leg])


def test_the_array_is_cut_at_seven_and_the_total_is_not():
    pbx = Pbx()
    calls = [inbound(number) for number in range(9)]
    bodies = [pbx.apply(call, Step(1000 + n, 0, "Ringing"))["body"] for n, call in enumerate(calls)]
    assert [len(body["activeCalls"]) for body in bodies] == [1, 2, 3, 4, 5, 6, 7, 7, 7]
    assert [body["totalActiveCalls"] for body in bodies] == [1, 2, 3, 4, 5, 6, 7, 8, 9]
    newest_first = [item["sessionId"] for item in bodies[-1]["activeCalls"]]
    assert newest_first == [call.session_id for call in reversed(calls[2:])]
    assert len(pbx.items("2001")) == 9


def test_an_ended_call_is_in_the_event_that_ends_it_and_in_no_later_one():
    pbx = Pbx()
    one, two = inbound(1), inbound(2)
    pbx.apply(one, Step(1000, 0, "Ringing"))
    pbx.apply(two, Step(2000, 0, "Ringing"))
    end = pbx.apply(one, Step(3000, 0, "NoCall", "final"))["body"]
    ended = next(item for item in end["activeCalls"] if item["sessionId"] == one.session_id)
    assert (ended["telephonyStatus"], ended["terminationType"]) == ("NoCall", "final")
    assert (end["totalActiveCalls"], end["telephonyStatus"], end["presenceStatus"]) == (2, "Ringing", "Busy")
    after = pbx.apply(two, Step(4000, 0, "NoCall", "final"))["body"]
    assert [item["sessionId"] for item in after["activeCalls"]] == [two.session_id]
    assert after["presenceStatus"] == "Available"
    assert pbx.items("2001") == []


def test_an_intermediate_nocall_keeps_the_call():
    pbx = Pbx()
    call = inbound(1)
    pbx.apply(call, Step(1000, 0, "Ringing"))
    pbx.apply(call, Step(2000, 0, "NoCall", "intermediate"))
    assert not call.over
    assert pbx.items("2001")[0]["terminationType"] == "intermediate"


def test_sequences_grow_with_gaps_and_can_begin_anew():
    pbx = Pbx()
    call = inbound(1)
    steps = [Step(1000 * n, 0, "Ringing") for n in range(1, 40)]
    sequences = [pbx.apply(call, step)["body"]["sequence"] for step in steps]
    assert sequences == sorted(set(sequences))
    assert sequences[-1] - sequences[0] > len(sequences)
    pbx.restart_sequences()
    assert pbx.apply(call, Step(90_000, 0, "NoCall", "final"))["body"]["sequence"] <= 150


def test_events_have_unique_uuids_and_the_same_seed_the_same_ones():
    def uuids(seed: int) -> list[str]:
        pbx, call = Pbx(seed=seed), inbound(1)
        return [pbx.apply(call, Step(n, 0, "Ringing"))["uuid"] for n in range(20)]

    assert len(set(uuids(1))) == 20
    assert uuids(1) == uuids(1) != uuids(2)


def one_call(style: Style, *, late_id: bool = False) -> list[dict[str, object]]:
    pbx, call = Pbx(style=style), inbound(1)
    call.legs[0].id_known_late = late_id
    steps = [Step(1000, 0, "Ringing"), Step(2000, 0, "CallConnected"), Step(3000, 0, "NoCall", "final")]
    return [pbx.apply(call, step) for step in steps]


def test_the_payload_of_2015():
    ring, connect, end = one_call("2015", late_id=True)
    assert ring["timestamp"] == "1970-01-01T00:00:01.000+0000"
    assert ring["event"] == "/restapi/v1.0/account/~/extension/2001/presence?detailedTelephonyState=true"
    assert ring["body"]["extensionId"] == 2001
    assert set(ring["body"]) == {"telephonyStatus", "extensionId", "activeCalls", "sequence"}
    assert set(ring["body"]["activeCalls"][0]) == {"direction", "from", "to", "telephonyStatus", "sessionId"}
    assert connect["body"]["activeCalls"][0]["id"] == "leg-1"
    assert end["body"]["activeCalls"][0]["to"] == ""
    assert "terminationType" not in end["body"]["activeCalls"][0]


def test_the_payload_of_today():
    ring, _, end = one_call("modern")
    item = ring["body"]["activeCalls"][0]
    assert ring["timestamp"] == item["startTime"] == "1970-01-01T00:00:01.000Z"
    assert ring["body"]["extensionId"] == "2001"
    assert item["partyId"] == f"p-{1:032x}-1"
    assert (item["fromName"], item["toName"], item["queueCall"]) == ("A Caller", "Ann", False)
    assert end["body"]["activeCalls"][0]["to"] == "+16505551001"


def test_truth_adds_up_ring_talk_and_hold():
    pbx, call = Pbx(), inbound(1)
    for step in (
        Step(1_000, 0, "Ringing"),
        Step(5_000, 0, "CallConnected"),
        Step(15_000, 0, "OnHold"),
        Step(18_000, 0, "CallConnected"),
        Step(30_000, 0, "NoCall", "final"),
    ):
        pbx.apply(call, step)
    (truth,) = pbx.truth()
    assert (truth.started_at, truth.answered_at, truth.ended_at) == (1_000, 5_000, 30_000)
    assert (truth.ring_ms, truth.talk_ms, truth.hold_ms) == (4_000, 22_000, 3_000)
    assert (truth.disposition, truth.legs, truth.extensions) == ("answered", 1, ("2001",))


def test_the_log_may_overrule_what_presence_showed():
    pbx, call = Pbx(), inbound(1)
    call.result = "No Answer"
    steps = (Step(0, 0, "Ringing"), Step(5, 0, "CallConnected"), Step(9, 0, "NoCall", "final"))
    for step in steps:
        pbx.apply(call, step)
    truth = truth_of(call)
    assert (truth.disposition, truth.answered_at, truth.talk_ms) == ("no_answer", None, 0)
