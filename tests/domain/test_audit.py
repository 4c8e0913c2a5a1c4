"""The comparison of ledger and call log: each kind of difference, what is none, and how records find their call."""

from ringledger.domain.audit import Begun, Written, compare
from ringledger.domain.audit import DifferenceKind as Kind
from ringledger.domain.disposition import Disposition
from ringledger.domain.observation import Direction, Party, RecordClaim, Source

T0 = 1_772_442_000_000
DAY = 86_400_000
CALLER, OURS = "+14155550123", "+16505551001"


def row(session="1", **changes):
    told = Written(
        session, f"s-{session}", Direction.INBOUND, CALLER, OURS, T0, T0 + 65_000, True, 60_000, 65_000,
        Disposition.ANSWERED, "Accepted", None, True,
    )  # fmt: skip
    return told._replace(**changes)


def claim(session="1", **changes):
    told = RecordClaim(
        "1001", session, f"s-{session}", f"R{session}", Source.CALL_LOG, Direction.INBOUND, Party(CALLER), Party(OURS),
        "2001", T0, 65_000, "Accepted", "Phone Call", False, T0 + DAY,
    )  # fmt: skip
    return told._replace(**changes)


def found(rows, claims, **changes):
    period = {"since": T0 - DAY, "until": T0 + DAY, "settled": T0 + DAY} | changes
    return [(one.kind, one.session_id) for one in compare(rows, claims, **period).differences]


MISSED = {"answered": False, "talk_ms": 0, "disposition": Disposition.MISSED, "result": "Missed", "duration_ms": 5_000}


def test_the_same_on_both_sides_is_no_difference():
    report = compare([row()], [claim()], since=T0 - DAY, until=T0 + DAY, settled=T0 + DAY)
    assert (report.compared, report.differences) == (1, [])


def test_each_kind():
    assert found([], [claim()]) == [(Kind.MISSING_IN_LEDGER, "1")]
    assert found([row()], []) == [(Kind.MISSING_ON_PLATFORM, "1")]
    assert found([row(confirmed=False, result=None)], [claim()]) == [(Kind.UNCONFIRMED, "1")]
    assert found([row(started_at=T0 + 1_500)], [claim()]) == [(Kind.START, "1")]
    assert found([row(duration_ms=63_000)], [claim()]) == [(Kind.DURATION, "1")]
    assert found([row(result="Missed")], [claim()]) == [(Kind.RESULT, "1")]
    assert found([row(disposition=Disposition.MISSED)], [claim()]) == [(Kind.DISPOSITION, "1")]
    assert found([row(from_number="+14155559999")], [claim()]) == [(Kind.NUMBERS, "1")]


def test_several_differences_of_one_call_are_all_named():
    assert {kind for kind, _ in found([row(duration_ms=1, result="Busy", started_at=T0 + 9_000)], [claim()])} == {
        Kind.DURATION,
        Kind.RESULT,
        Kind.START,
    }


def test_what_is_within_a_second_or_differs_in_case_is_the_same():
    assert found([row(started_at=T0 + 1_000, duration_ms=64_000, result="accepted")], [claim()]) == []


def test_numbers_agree_without_plus_masked_unknown_or_as_extension():
    for number in ("14155550123", "+1415555xxxx", None, "101"):
        assert found([row(from_number=number)], [claim()]) == []
    assert found([row()], [claim(from_party=Party(None))]) == []


def test_a_ringouts_numbers_may_be_swapped():
    swapped = claim(action="RingOut Web", from_party=Party(OURS), to_party=Party(CALLER))
    assert found([row()], [swapped]) == []
    assert found([row()], [swapped._replace(action="Phone Call")]) == [(Kind.NUMBERS, "1")]


def test_several_records_of_one_session_are_one_call():
    """A queue: the agent who answered counts, the first start is the call's."""
    rang = claim(record_id="R0", result="Missed", duration_ms=10_000)
    answered = claim(started_at=T0 + 10_000, duration_ms=55_000)
    assert found([row(duration_ms=55_000)], [rang, answered]) == []
    assert found([], [rang, answered]) == [(Kind.MISSING_IN_LEDGER, "1")]


def test_what_tells_of_somebodys_other_telephone_is_no_result():
    told = claim(result="Missed", duration_ms=5_000)
    mobile = claim(record_id="R0", direction=Direction.OUTBOUND, action="FindMe", result="Call connected")
    assert found([row(**MISSED)], [told, mobile]) == []


def test_911_says_where_a_call_went():
    assert found([row(result="911")], [claim(result="911")]) == []
    assert found([row(**MISSED | {"result": "911"})], [claim(result="911", duration_ms=0)]) == [
        (Kind.DURATION, "1"),
        (Kind.DISPOSITION, "1"),
    ]


def test_a_record_finds_its_call_by_telephony_session_then_by_numbers_and_start():
    assert found([row()], [claim("9", telephony_session_id="s-1")]) == []
    missed = claim("9", result="Missed", duration_ms=5_000, started_at=T0 + 800)
    assert found([row(**MISSED)], [missed]) == []
    far = missed._replace(started_at=T0 + 61_000)
    assert found([row(**MISSED)], [far]) == [(Kind.MISSING_ON_PLATFORM, "1"), (Kind.MISSING_IN_LEDGER, "9")]
    assert len(found([row()], [claim("9")])) == 2  # a call that connected is known by its session


def test_a_record_is_used_for_one_call_only():
    twice = [row(**MISSED), row("2", **MISSED)]
    assert found(twice, [claim("9", result="Missed", duration_ms=5_000)]) == [(Kind.MISSING_ON_PLATFORM, "2")]


def test_the_inner_half_of_a_ringout_needs_no_record():
    assert found([row(), row("2", part_of="1")], [claim()]) == []
    assert found([row("2", part_of="1")], []) == [(Kind.MISSING_ON_PLATFORM, "2")]


def test_a_talk_of_less_than_half_a_second_needs_no_record():
    assert found([row(talk_ms=499)], []) == []


def test_what_may_still_change_is_no_difference():
    assert found([], [claim()], settled=T0 + 64_999) == []
    assert found([row()], [], settled=T0 + 64_999) == []
    assert found([], [claim(running=True, result="In Progress")]) == []


def test_a_call_the_ledger_has_not_finished_with_is_left_out_and_counted():
    period = {"since": T0 - DAY, "until": T0 + DAY, "settled": T0 + DAY}
    same = Begun("1", None, Direction.INBOUND, CALLER, OURS, T0)
    for begun in (same, same._replace(session_id="x", telephony_session_id="s-1"), same._replace(session_id="x")):
        report = compare([], [claim(), claim("2", from_party=Party("+1999"))], unfinished=[begun], **period)
        assert [(one.kind, one.session_id) for one in report.differences] == [(Kind.MISSING_IN_LEDGER, "2")]
        assert (report.compared, report.left_out) == (1, 1)
    reopened = compare([row()], [], unfinished=[same], **period)
    assert (reopened.compared, reopened.left_out) == (0, 1)
    both = compare([], [claim(), claim("2")], unfinished=[same._replace(session_id="x")], **period)
    assert (both.compared, both.left_out) == (1, 1)


def test_only_calls_that_began_within_the_period_count():
    assert found([row()], [], since=T0 + 1) == []
    assert found([], [claim()], until=T0) == []
    assert found([row()], [], since=T0, until=T0 + 1) == [(Kind.MISSING_ON_PLATFORM, "1")]


def test_legs_of_a_record_and_records_without_a_session_are_left_out():
    assert found([], [claim(leg_of="R0"), claim(session_id="0", telephony_session_id=None)]) == []


def test_a_record_without_a_result_is_named():
    assert [kind for kind, _ in found([], [claim(result=None)])] == [Kind.MISSING_IN_LEDGER]
