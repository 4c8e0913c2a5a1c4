"""Which leg a record of the platform's books speaks of (rule 7)."""

import pytest

from ringledger.domain.disposition import Disposition
from ringledger.domain.observation import RecordClaim, Source
from ringledger.domain.status import TelephonyStatus
from tests.builders import EXTENSION, T0, Desk, claim, item, presence

CONNECTED = TelephonyStatus.CALL_CONNECTED


def leg_starts(desk: Desk) -> list[int]:
    return sorted((leg.started_at - T0) // 1_000 for leg in desk.call().legs)


def rung_twice() -> list[RecordClaim]:
    """A queue (or find-me) rang the same extension twice."""
    first = claim("Missed", duration=12_000, record="r1", source=Source.CALL_LOG)
    return [first, claim("Accepted", started=T0 + 30_000, duration=40_000, record="r2", source=Source.CALL_LOG)]


@pytest.mark.parametrize("order", [1, -1])
@pytest.mark.parametrize("apart", [False, True])
def test_two_records_of_one_side_are_two_legs(order: int, apart: bool) -> None:
    told = rung_twice()[::order]
    desk = Desk().books(told[0]).books(told[1]) if apart else Desk().books(*told)
    assert leg_starts(desk) == [0, 30]
    assert (desk.record().leg_count, desk.record().result) == (2, "Accepted")
    assert [leg.number for leg in desk.changes.legs[desk.call().key]] == [1, 2]


@pytest.mark.parametrize("order", [1, -1])
def test_a_leg_presence_has_told_of_and_its_record_are_one(order: int) -> None:
    desk = Desk().see(presence(EXTENSION, 1, T0, item("Ringing", "a")))
    desk.see(presence(EXTENSION, 2, T0 + 12_000, item("NoCall", "a"), item("Ringing", "b")))
    desk.see(presence(EXTENSION, 3, T0 + 30_000, item("CallConnected", "b")))
    desk.see(presence(EXTENSION, 4, T0 + 70_000, item("NoCall", "b"))).settle()
    for _ in range(2):  # the log is read more than once
        desk.books(*rung_twice()[::order])
    assert [(leg.leg_id, leg.records) for leg in desk.call().legs] == [("a", ("r1",)), ("b", ("r2",))]


def test_of_two_records_the_one_presence_has_not_told_of_is_a_leg_of_its_own() -> None:
    desk = Desk().see(presence(EXTENSION, 3, T0 + 31_000, item("CallConnected", "b")))
    desk.see(presence(EXTENSION, 4, T0 + 70_000, item("NoCall", "b"))).settle()
    desk.books(*rung_twice())
    assert [(leg.leg_id, leg.source) for leg in desk.call().legs] == [
        ("b", Source.PRESENCE),
        ("r1", Source.CALL_LOG),
    ]
    assert desk.record().leg_count == 1  # sides presence has shown


def test_parts_are_legs_and_their_whole_is_none() -> None:
    whole = claim("Accepted", duration=70_000, record="w", source=Source.CALL_LOG)
    parts = [one._replace(record_id=f"w/{number}", leg_of="w") for number, one in enumerate(rung_twice(), start=1)]
    for desk in (Desk().books(whole, *parts), Desk().books(whole).books(whole, *parts).books(whole)):
        assert leg_starts(desk) == [0, 30]


@pytest.mark.parametrize(("result", "part", "becomes"), [
    ("Missed", "Accepted", Disposition.MISSED),  # a greeting has answered, the extension has not
    ("Voicemail", "Missed", Disposition.VOICEMAIL),
])  # fmt: skip
def test_the_result_of_a_record_outranks_those_of_its_parts(result: str, part: str, becomes: Disposition) -> None:
    whole = claim(result, duration=30_000, record="w", source=Source.CALL_LOG)
    told = [whole, claim(part, duration=30_000, record="w/1", source=Source.CALL_LOG)._replace(leg_of="w")]
    record = Desk().books(*told).record()
    assert (record.result, record.disposition) == (result, becomes)


def test_a_record_listed_under_another_id_is_no_other_leg() -> None:
    desk = Desk().books(claim("Accepted", duration=40_000, record="active"))
    desk.books(claim("Accepted", duration=40_000, record="log", source=Source.CALL_LOG))
    assert len(desk.call().legs) == 1
    desk.books(claim("Accepted", duration=40_000, record="other", sender="14155550100", source=Source.CALL_LOG))
    assert len(desk.call().legs) == 2


def test_presence_that_comes_after_the_books_tells_of_the_same_leg() -> None:
    desk = Desk().books(claim("Accepted", duration=40_000, source=Source.CALL_LOG))
    desk.see(presence(EXTENSION, 2, T0 + 5_000, item("CallConnected", "a")))
    desk.see(presence(EXTENSION, 1, T0, item("Ringing", "a")))
    (leg,) = desk.call().legs
    assert (leg.leg_id, leg.source, leg.answered_at) == ("a", Source.PRESENCE, T0 + 5_000)


def test_a_side_of_the_books_that_presence_tells_of_later_is_counted() -> None:
    desk = Desk().see(presence(EXTENSION, 1, T0, item("CallConnected")))
    desk.books(claim(duration=6_000, extension="102", direction="Outbound"))
    desk.see(presence("102", 1, T0 + 7_000, item("CallConnected", None, direction="Outbound")))
    desk.see(presence("102", 2, T0 + 8_000, item("CallConnected", "b", direction="Outbound")))
    desk.see(presence(EXTENSION, 3, T0 + 9_000, item("NoCall")))
    desk.see(presence("102", 3, T0 + 9_000, item("NoCall", "b", direction="Outbound"))).settle()
    assert [leg.leg_id for leg in desk.call().legs] == ["leg-1", "b"]
    assert desk.record().leg_count == 2
