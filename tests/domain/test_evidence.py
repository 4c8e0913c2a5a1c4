"""Where figures come from: the fact that brought each, whatever the order of arrival, and what came late."""

import random

from ringledger.domain.call import derive, presence_of, row
from ringledger.domain.evidence import FIGURES, evidence
from ringledger.domain.facts import Absence, Fact, Ignored, PresenceEvent, Read, Record, Summary
from ringledger.domain.observation import CallKey, Source
from ringledger.domain.record_rules import Facts
from tests.builders import T0, claim, item
from tests.domain.test_facts import EXAMPLES

KEY = CallKey("1001", "8001")


def event(sequence: int, at: int, status: str) -> PresenceEvent:
    return PresenceEvent("101", sequence, at, (item(status),), received_at=at)


RINGING, ANSWERED = event(1, T0, "Ringing"), event(2, T0 + 4_000, "CallConnected")
HELD, RESUMED = event(3, T0 + 9_000, "OnHold"), event(4, T0 + 12_000, "CallConnected")
OVER = event(5, T0 + 20_000, "NoCall")
HISTORY: list[Fact] = [RINGING, ANSWERED, HELD, RESUMED, OVER]


def sources(facts: list[Fact]) -> dict[str, Fact]:
    return {name: facts[number] for name, number in evidence(KEY, facts).figures.items()}


def test_each_figure_names_the_fact_that_brought_it() -> None:
    found = sources(HISTORY)
    assert found["started_at"] is RINGING
    assert found["answered_at"] is found["ring_ms"] is found["disposition"] is ANSWERED
    assert found["hold_ms"] is RESUMED
    assert found["ended_at"] is found["talk_ms"] is OVER


def test_a_call_nobody_answered_is_known_to_be_missed_when_it_ends() -> None:
    found = sources([RINGING, event(2, T0 + 9_000, "NoCall")])
    assert found["disposition"] is found["ring_ms"] is found["ended_at"]
    assert "answered_at" not in found


def test_the_order_of_arrival_decides_nothing_about_where_figures_come_from() -> None:
    said = Record(claim("Accepted", read_at=T0 + 90_000))
    told = [*HISTORY, said]
    wanted = sources(told)
    for seed in range(50):
        random.Random(seed).shuffle(told)
        assert sources(told) == wanted


def test_what_a_record_adds_comes_from_it() -> None:
    said = Record(claim("Accepted", read_at=T0 + 90_000, duration=17_000))
    found = sources([*HISTORY, said])
    assert found["result"] is found["duration_ms"] is said
    assert found["answered_at"] is ANSWERED


def test_an_event_that_came_late_says_what_it_changed() -> None:
    late = evidence(KEY, [RINGING, ANSWERED, OVER, HELD, RESUMED]).late
    assert [(one.fact, one.behind_ms) for one in late] == [(3, 11_000), (4, 8_000)]
    assert ("hold_ms", 0, 11_000) in late[0].changed
    assert ("talk_ms", 5_000, 13_000) in late[1].changed


def test_what_came_in_order_is_not_late() -> None:
    assert evidence(KEY, HISTORY).late == []
    again = [event(6, T0 + 30_000, "Ringing"), event(7, T0 + 40_000, "NoCall")]
    assert evidence(KEY, [*HISTORY, *again]).late == []


def test_a_record_that_changes_a_call_which_was_over_came_late() -> None:
    (late,) = evidence(KEY, [*HISTORY, Record(claim("Accepted", read_at=T0 + 90_000, duration=17_000))]).late
    assert {name for name, _, _ in late.changed} >= {"result", "duration_ms"}


def test_what_the_journal_alone_keeps_is_passed_over() -> None:
    passed = Ignored("101", None, "Ringing", 1, T0, T0, Source.PRESENCE, "duplicate")
    assert sources([passed, *HISTORY])["started_at"] is RINGING


def test_every_kind_of_fact_has_its_place_and_the_last_row_is_that_of_all() -> None:
    read = Read("101", T0 + 30_000, (), received_at=T0 + 30_500)
    absence = Absence(T0 + 31_000)
    told: list[Fact] = [RINGING, ANSWERED, read, absence]
    found = sources(told)
    facts = Facts([RINGING, ANSWERED], (read,), (), (absence,))
    last = row(KEY, derive(facts, presence_of(facts)), accepted=0, ignored=0)
    assert found["ended_at"] is read
    assert last.ended_at == ANSWERED.at
    assert set(found) == {name for name in FIGURES if getattr(last, name) is not None} - {"result"}


def test_any_facts_at_all_can_be_traced() -> None:
    for seed in range(200):
        chosen = random.Random(seed)
        told = chosen.sample([*EXAMPLES, *HISTORY], chosen.randint(1, 8))
        summaries = [fact for fact in told if type(fact) is Summary][:1]
        told = [*summaries, *(fact for fact in told if type(fact) is not Summary)]
        assert set(evidence(KEY, told).figures) <= set(FIGURES)
