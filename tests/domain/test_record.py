from typing import Any

import pytest

from ringledger.domain.call import CallSession, Verdict
from ringledger.domain.disposition import Disposition
from ringledger.domain.observation import Source
from ringledger.domain.record import derive_record
from tests.builders import SESSION, T0, item, play, presence


def finished() -> CallSession:
    """Rang for 5 s, talked for 20 s, 3 s of them on hold in the middle."""
    words = [
        ("Ringing", 0),
        ("CallConnected", 5_000),
        ("OnHold", 10_000),
        ("CallConnected", 13_000),
        ("NoCall", 25_000),
    ]
    return play([presence(1, n, T0 + at, item(word)) for n, (word, at) in enumerate(words)]).call()


def confirm(call: CallSession, result: str = "Accepted", **about: Any) -> None:
    """The platform's books speak: one record."""
    told: dict[str, Any] = {"started_at": T0, "duration_ms": 25_000, "coarse": False, "confirmed_at": T0 + 60_000}
    call.verdict = Verdict(source=Source.CALL_LOG, record_id="r1", result=result, **{**told, **about})
    call.verdicts = {"r1": call.verdict}


def test_until_the_books_speak_the_row_is_unconfirmed() -> None:
    record = derive_record(finished())
    assert (record.confirmed_at, record.result, record.result_source) == (None, None, Source.PRESENCE)


def test_the_books_win_over_what_was_seen() -> None:
    call = finished()
    confirm(call, started_at=T0 + 400, duration_ms=24_000)
    record = derive_record(call)
    assert (record.started_at, record.ended_at, record.duration_ms) == (T0 + 400, T0 + 24_400, 24_000)
    assert (record.result, record.confirmed_at) == ("Accepted", T0 + 60_000)


@pytest.mark.parametrize("result", ["No Answer", "Missed", "Voicemail", "Busy", "Hang Up"])
def test_a_verdict_other_than_answered_leaves_no_talk(result: str) -> None:
    call = finished()
    confirm(call, result)
    record = derive_record(call)
    assert (record.answered_at, record.talk_ms, record.hold_ms, record.ring_ms) == (None, 0, 0, 25_000)


def test_a_verdict_of_answered_for_a_call_nobody_saw_answered() -> None:
    call = play([presence(1, 1, T0, item()), presence(1, 2, T0 + 9_000, item("NoCall"))]).call()
    confirm(call, duration_ms=9_000)
    record = derive_record(call)
    assert record.disposition is Disposition.ANSWERED
    assert record.ring_ms + record.talk_ms + record.hold_ms <= record.ended_at - record.started_at


def test_whole_seconds_do_not_blur_an_end_that_was_seen() -> None:
    call = finished()
    confirm(call, duration_ms=24_000, coarse=True)
    assert derive_record(call).ended_at == T0 + 25_000
    confirm(call, duration_ms=22_000, coarse=True)
    assert derive_record(call).ended_at == T0 + 22_000


@pytest.mark.parametrize("duration", [0, 1_000, 7_000, 10**9])
@pytest.mark.parametrize("shift", [-(10**9), -8_000, 0, 8_000, 10**9])
def test_no_verdict_breaks_the_sum_of_durations(duration: int, shift: int) -> None:
    call = finished()
    confirm(call, started_at=T0 + shift, duration_ms=duration)
    record = derive_record(call)
    assert min(record.ring_ms, record.talk_ms, record.hold_ms) >= 0
    assert record.ring_ms + record.talk_ms + record.hold_ms <= record.ended_at - record.started_at


def test_deriving_again_gives_the_same_row() -> None:
    call = finished()
    assert derive_record(call) == derive_record(call)


def test_a_queue_call_is_one_however_many_legs_say_so() -> None:
    ring = presence(1, 1, T0, item("Ringing", "a"), item("Ringing", "b", queue=True))
    assert play([ring, presence(1, 2, T0 + 1, item("NoCall", "a"))]).record().queue_call


def test_a_later_inbound_leg_is_a_transfer_and_no_internal_call() -> None:
    events = [
        presence(1, 1, T0, item("CallConnected", "a", direction="Outbound")),
        presence(2, 1, T0 + 60_000, item("Ringing", "b")),
        presence(1, 2, T0 + 61_000, item("NoCall", "a", direction="Outbound")),
        presence(2, 2, T0 + 62_000, item("NoCall", "b")),
    ]
    record = play(events).record(SESSION)
    assert (record.internal, record.leg_count, record.extension_id) == (False, 2, "1")


def test_a_name_belongs_to_its_own_number() -> None:
    events = [
        presence(1, 1, T0, item("Ringing", "a", sender="13027430863")),
        presence(2, 1, T0 + 10, item("Ringing", "b", sender="16502008440", sender_name="Grace")),
        presence(1, 2, T0 + 20, item("NoCall", "a")),
        presence(2, 2, T0 + 20, item("NoCall", "b")),
    ]
    record = play(events).record()
    assert (record.from_number, record.from_name) == ("+13027430863", None)
