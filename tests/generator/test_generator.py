"""The judge is judged: a seed is one story, its truth is what was planned, and a difference shows."""

import json

import pytest

from tests.generator.__main__ import recording
from tests.generator.arrival import LOSS, MODES, in_order, survivors
from tests.generator.kinds import KINDS
from tests.generator.playing import Outcome, broken, play, unlike, untrue
from tests.generator.stories import story
from tests.generator.world import Call, Change, Leg, Party, truth_of

EVERY = [*KINDS, "away"]
ENDS = Party("+13027430863"), Party("+18885434778")


@pytest.mark.parametrize("kind", EVERY)
def test_a_seed_is_one_story(kind):
    assert [story(7, kind=kind)] == [story(7, kind=kind)]
    assert story(7, kind=kind).facts != story(8, kind=kind).facts


@pytest.mark.parametrize("kind", EVERY)
@pytest.mark.parametrize("mode", MODES)
def test_the_same_facts_arrive_in_another_order_and_none_before_it_was_sent(kind, mode):
    for seed in range(20):
        one = story(seed, kind=kind)
        facts, lines = recording(one, mode, LOSS)
        told = {_content(line) for line in lines}
        assert told == {_content(line) for line in in_order(facts, one)}
        at = [line.get("received_at") or line["at"] for line in lines]
        assert at == sorted(at)
        assert all(line["notification"]["timestamp"] <= line["received_at"] for line in lines if "notification" in line)


def _content(line):
    return json.dumps({name: value for name, value in line.items() if name != "received_at"}, sort_keys=True)


@pytest.mark.parametrize("mode", MODES)
def test_disorder_is_disorder(mode):
    moved = 0
    for seed in range(40):
        one = story(seed, kind="hold_twice")
        moved += [_content(line) for line in recording(one, mode, 0.0)[1]] != [
            _content(line) for line in in_order(one.facts, one)
        ]
    assert moved > 20


def test_a_quarter_is_lost():
    import random

    one = story(3, kind="ring_all")
    kept = [len(survivors(one, random.Random(seed), LOSS)) / len(one.facts) for seed in range(200)]
    assert 0.7 < sum(kept) / len(kept) < 0.8


def _held_call():
    """What the smallest of late holds is about: ring 10, hold 30, talk 20."""
    leg = Leg("101", "x", "Inbound", *ENDS)
    words = ((0, "Ringing"), (10, "CallConnected"), (20, "OnHold"), (50, "CallConnected"), (60, "NoCall"))
    leg.changes = [Change(at * 1000, status) for at, status in words]
    return Call("777", "s-777", "hold", "Accepted", [leg])


def test_the_truth_of_a_held_call():
    truth = truth_of(_held_call())
    assert (truth["ring_ms"], truth["hold_ms"], truth["talk_ms"]) == (10_000, 30_000, 20_000)
    assert (truth["answered_at"], truth["ended_at"], truth["disposition"]) == (10_000, 60_000, "answered")


def test_a_side_that_talks_outweighs_one_that_holds():
    call = _held_call()
    other = Leg("102", "y", "Inbound", *ENDS)
    other.changes = [Change(30_000, "CallConnected"), Change(70_000, "NoCall")]
    call.legs.append(other)
    truth = truth_of(call)
    assert (truth["hold_ms"], truth["talk_ms"], truth["ended_at"]) == (10_000, 50_000, 70_000)


def test_an_end_that_is_only_promised_ends_nothing():
    call = _held_call()
    call.legs[0].changes.insert(3, Change(30_000, "NoCall", "intermediate"))
    assert truth_of(call) == truth_of(_held_call())


def test_a_row_that_is_not_the_truth_is_found():
    one = story(5, kind="answered", sources="events")
    outcome = play(in_order(one.facts, one))
    (session,) = one.truth
    assert untrue(outcome, one.truth) == []
    outcome.rows[session]["talk_ms"] += 1
    assert len(untrue(outcome, one.truth)) == 1
    assert untrue(Outcome({}, {}, {}), one.truth) == [f"{session}: no row"]


def test_rows_legs_and_transitions_that_differ_are_found():
    one = story(5, kind="answered", sources="events")
    told, again = play(in_order(one.facts, one)), play(in_order(one.facts, one))
    assert unlike(told, again) == []
    (session,) = one.truth
    again.transitions[session].pop()
    again.rows[session]["ended_at"] += 1
    assert len(unlike(told, again)) == 2
    again.rows[session]["ended_at"] = 0
    assert broken(again)
