"""Of calls that nobody speaks of for long the facts alone are kept, and nobody can tell."""

from ringledger.domain.call import Phase, derive, presence_of
from ringledger.domain.changes import IgnoredReason
from ringledger.domain.observation import CallKey
from ringledger.domain.tracker import CallTracker
from tests.builders import ACCOUNT, T0, Desk, claim, item, presence, presence_read


def open_calls(count: int) -> Desk:
    desk = Desk()
    desk.tracker = CallTracker(most_folded=1)
    for n in range(count):
        for sequence, status in enumerate(["Ringing", "CallConnected"]):
            told = item(status, session=str(100 + n), leg=f"leg-{n}")
            desk.see(presence(1 + n, sequence, T0 + 1_000 * sequence, told))
    desk.changes.absorb(desk.tracker.drain())
    desk.tracker.release([])
    return desk


def test_what_is_asked_of_a_resting_call_is_what_its_facts_tell() -> None:
    desk = open_calls(3)
    resting = [call for call in desk.tracker.calls.values() if call.resting is not None]
    assert len(resting) == 2
    for call in resting:
        told = (call.phase, call.status, call.suspect, call.last_seen_at, call.statuses())
        assert call.state is None
        call.fold()
        assert call.resting is None
        assert told == (call.phase, call.status, call.suspect, call.last_seen_at, call.statuses())
        assert call.phase is Phase.OPEN


def test_what_repeats_what_is_known_of_a_resting_call_is_a_fact_and_nothing_else() -> None:
    desk = open_calls(3)
    key = CallKey(ACCOUNT, "100")
    assert desk.tracker.calls[key].resting is not None
    desk.tracker.take(presence(1, 5, T0 + 20_000, item("CallConnected", session="100", leg="leg-0")), 30.0)
    changes = desk.tracker.drain()
    assert [told for told, _ in changes.facts] == [key]
    assert changes.sessions == changes.legs == changes.transitions == {}


def test_a_resting_call_has_the_facts_and_the_names_it_had() -> None:
    desk = Desk()
    running = claim(None, extension="1", read_at=T0 + 20_000)
    desk.batch(
        presence(1, 1, T0, item("Ringing", telephony="s-1")), presence_read(1, T0 + 9_000, item("OnHold")), running
    )
    call = desk.call()
    facts, names = call.facts, call.names
    call.rest()
    assert call.held is None
    assert call.facts == facts
    assert call.facts is not facts
    assert call.names == names


def test_a_call_with_something_unreported_does_not_rest() -> None:
    call = open_calls(1).tracker.calls[CallKey(ACCOUNT, "100")]
    call.add_event(call.facts.events[-1]._replace(sequence=9, at=T0 + 9_000, items=(item("OnHold", leg="leg-0"),)))
    call.rest()
    assert call.resting is None


def test_a_resting_call_goes_on_with_its_next_event() -> None:
    desk = open_calls(3)
    key = CallKey(ACCOUNT, "100")
    assert desk.tracker.calls[key].resting is not None
    desk.see(presence(1, 5, T0 + 20_000, item("NoCall", session="100", leg="leg-0")))
    changes = desk.tracker.drain()
    assert desk.tracker.calls[key].phase is Phase.SETTLING
    assert [change.status for change in (changes.transitions or desk.changes.transitions)[key]] == [
        "Ringing", "CallConnected", "NoCall",
    ]  # fmt: skip


def test_a_resting_call_knows_what_comes_late() -> None:
    desk = open_calls(3)
    call = desk.tracker.calls[CallKey(ACCOUNT, "100")]
    assert call.resting is not None
    known = len(desk.changes.journal)
    desk.see(presence(1, 0, T0 + 500, item("Ringing", session="100", leg="leg-0")))
    desk.see(presence(1, 2, T0 + 30_000, item("OnHold", session="100", leg="leg-0")))
    told = [*desk.changes.journal[known:], *desk.tracker.drain().journal]
    assert [(entry.sequence, entry.reason) for entry in told] == [(0, IgnoredReason.STALE_SEQUENCE)]
    assert (call.events_accepted, call.events_ignored) == (3, 1)


def test_a_call_of_which_nothing_new_is_told_is_derived_as_from_all_its_facts() -> None:
    desk = Desk()
    for sequence, at in enumerate((T0, T0 + 5_000, T0 + 9_000)):
        desk.see(presence(1, sequence, at, item("Ringing")))
        call = desk.call()
        assert call.call.seen_at == at
        assert call.call == derive(call.facts, presence_of(call.facts))
