from typing import Any

import pytest

from ringledger.domain.call import CallRecord
from ringledger.domain.disposition import Disposition
from ringledger.domain.observation import Source
from tests.builders import SESSION, T0, Desk, claim, item, play, presence


def finished() -> Desk:
    """Rang for 5 s, talked for 20 s, 3 s of them on hold in the middle."""
    words = [
        ("Ringing", 0),
        ("CallConnected", 5_000),
        ("OnHold", 10_000),
        ("CallConnected", 13_000),
        ("NoCall", 25_000),
    ]
    return play([presence(1, n, T0 + at, item(word)) for n, (word, at) in enumerate(words)])


def confirm(desk: Desk, result: str = "Accepted", **about: Any) -> CallRecord:
    """The platform's log speaks: one record."""
    told: dict[str, Any] = {"started": T0, "duration": 25_000, "extension": "1", "read_at": T0 + 60_000}
    return desk.books(claim(result, source=Source.CALL_LOG, **{**told, **about})).record()


def test_until_the_books_speak_the_row_is_unconfirmed() -> None:
    record = finished().record()
    assert (record.confirmed_at, record.result, record.result_source) == (None, None, Source.PRESENCE)


def test_the_books_win_over_what_was_seen() -> None:
    record = confirm(finished(), started=T0 + 400, duration=24_000)
    assert (record.started_at, record.ended_at, record.duration_ms) == (T0 + 400, T0 + 24_400, 24_000)
    assert (record.result, record.confirmed_at) == ("Accepted", T0 + 60_000)


@pytest.mark.parametrize("result", ["No Answer", "Missed", "Voicemail", "Busy", "Hang Up"])
def test_a_verdict_other_than_answered_leaves_no_talk(result: str) -> None:
    record = confirm(finished(), result)
    assert (record.answered_at, record.talk_ms, record.hold_ms, record.ring_ms) == (None, 0, 0, 25_000)


def test_a_verdict_of_answered_for_a_call_nobody_saw_answered() -> None:
    desk = play([presence(1, 1, T0, item()), presence(1, 2, T0 + 9_000, item("NoCall"))])
    record = confirm(desk, duration=9_000)
    assert (record.disposition, record.answered_at, record.answer_estimated) == (Disposition.ANSWERED, T0, True)
    assert (record.ring_ms, record.talk_ms, record.hold_ms) == (None, 9_000, None)


def test_whole_seconds_do_not_blur_an_end_that_was_seen() -> None:
    assert confirm(finished(), duration=24_000, coarse=True).ended_at == T0 + 25_000
    assert confirm(finished(), duration=22_000, coarse=True).ended_at == T0 + 22_000


@pytest.mark.parametrize("duration", [0, 1_000, 7_000, 10**9])
@pytest.mark.parametrize("shift", [-(10**9), -8_000, 0, 8_000, 10**9])
def test_no_verdict_breaks_the_sum_of_durations(duration: int, shift: int) -> None:
    record = confirm(finished(), started=T0 + shift, duration=duration)
    spans = [one for one in (record.ring_ms, record.talk_ms, record.hold_ms) if one is not None]
    assert min(spans) >= 0
    assert sum(spans) <= record.ended_at - record.started_at


def test_deriving_again_gives_the_same_row() -> None:
    call = finished().call()
    assert call.row() == call.row()


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
