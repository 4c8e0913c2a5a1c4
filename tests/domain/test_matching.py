"""Which record of another session is whose follows from all calls and records near one another (rules 2.7, 7.2)."""

import random

import pytest

from ringledger.domain.observation import PresenceObservation, RecordClaim, Source
from tests.builders import T0, Desk, claim, item, presence
from tests.domain.orders import Told, one_outcome, outcome
from tests.domain.test_any_source import same_in_any_order

S = 1_000
STORIES = 150


def rings(at: float, session: str, extension: int = 101, sequence: int = 1, **about: object) -> PresenceObservation:
    return presence(extension, sequence, T0 + round(at * S), item("Ringing", session, session=session, **about))


def over(at: float, session: str, extension: int = 101, sequence: int = 2, **about: object) -> PresenceObservation:
    return presence(extension, sequence, T0 + round(at * S), item("NoCall", session, session=session, **about))


def missed(at: float, seconds: float, session: str | None, **about: object) -> RecordClaim:
    told = {"record": f"record-{session}", "extension": None, "result": "Missed", "source": Source.CALL_LOG} | about
    return claim(started=T0 + round(at * S), duration=round(seconds * S), session=session, read_at=T0 + 900 * S, **told)


def confirmed(desk: Desk) -> dict[str, str | None]:
    """Of each call what the platform says."""
    return {key.session_id: call.row().result for key, call in desk.tracker.calls.items() if call.call.legs}


def test_records_that_share_a_telephony_session_are_of_one_call() -> None:
    near, far = missed(41, 5, "x", telephony="t"), missed(0, 10, "y", telephony="t")
    desk = one_outcome(rings(45, "p"), near, far, settle=False)
    assert confirmed(desk) == {"p": "Missed"}


def test_records_that_share_a_record_are_of_one_call() -> None:
    near, far = missed(41, 5, "x", record="r"), missed(0, 10, "y", record="r")
    desk = one_outcome(rings(45, "p"), near, far, settle=False)
    assert confirmed(desk) == {"p": "Missed"}


def test_records_that_share_a_name_leave_a_call_together_when_their_own_is_heard_of() -> None:
    told = missed(45, 5, "q", telephony="t"), missed(47, 5, "x", telephony="t")
    desk = one_outcome(over(53, "p"), *told, over(43, "q"))
    assert confirmed(desk) == {"p": None, "q": "Missed"}


def test_a_record_is_matched_with_a_call_that_is_seen_to_go_on() -> None:
    """Each sign of life, also one that repeats what is known, may show that the call went on in the record's time."""
    told = rings(12, "p"), missed(19, 5, "x"), rings(22, "p", sequence=2)
    assert confirmed(one_outcome(*told, settle=False)) == {"p": "Missed"}


def test_of_readings_of_one_instant_what_they_say_decides() -> None:
    told = missed(4, 30, "x", record="r"), missed(4, 30, "p", record="r", telephony="t")
    one_outcome(*told)
    earlier, longer = missed(10, 5, "x", record="r"), missed(15, 0, "x", record="r")
    one_outcome(earlier, longer)


def story(rng: random.Random) -> list[Told]:
    """One or two calls of presence, and records that contradict one another: sessions share telephony sessions and
    records, records have the sessions of either call, or none."""
    told: list[Told] = []
    for number, session in enumerate(rng.choice([["p"], ["p", "q"], ["p", "q"]])):
        at, sequence = rng.randrange(50), 1 + 20 * number
        about = {"telephony": rng.choice([None, None, "t", f"own-{session}"])}
        for tell in [rings, over] if rng.random() < 0.8 else [rings]:
            told.append(tell(at, session, 101 if rng.random() < 0.7 else 102, sequence, **about))
            sequence, at = sequence + 1, at + rng.choice([5, 10, 30])
    for _ in range(rng.randrange(1, 4)):
        telephony = rng.choice(["t", "t", "u", None])
        named = rng.choice(["x", "y", "z", None, "p"]) or (None if telephony else "x")
        told.append(missed(
            rng.randrange(60), rng.choice([0, 5, 10, 30]), named, telephony=telephony,
            record=f"record-{rng.randrange(3)}", extension=rng.choice([None, "101", "102"]),
            result=rng.choice(["Missed", "Missed", "Voicemail", "Accepted"]),
        ))  # fmt: skip
    return told


@pytest.mark.slow
def test_records_that_contradict_one_another_tell_the_same_calls_in_any_order() -> None:
    for seed in range(STORIES):
        same_in_any_order(seed, story)


#: Calls of one caller in a row.
MANY = 450


@pytest.mark.slow
@pytest.mark.timeout(120)
def test_a_record_that_comes_last_may_move_all_others() -> None:
    """Each record is nearest to one call and nearly as near to the next, whose own is a little farther: one more record
    of the first call sends each of them on by one."""
    told, at = list[Told](), 0.0
    for number in range(MANY):
        before, behind = 8 + number / 9, 8.05 + number / 9
        told += [rings(at, f"p{number}"), over(at + 60, f"p{number}"), missed(at + before, 200, f"x{number}")]
        at += before + behind
    last = missed(0, 60, "z")
    early, late = Desk().batch(last, *told), Desk().batch(*told).batch(last)
    assert outcome(late.settle()) == outcome(early.settle())
    assert len(late.tracker.calls) == MANY + 1  # the last one's record has none
