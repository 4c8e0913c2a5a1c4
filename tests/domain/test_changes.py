from ringledger.domain.changes import Changes
from ringledger.domain.observation import CallKey
from tests.builders import ACCOUNT, SESSION, T0, Desk, item, presence


def test_later_states_replace_earlier_ones_and_lists_go_on() -> None:
    desk = Desk()
    changes = Changes()
    for sequence, status in enumerate(["Ringing", "CallConnected"]):
        desk.tracker.take(presence(1, sequence, T0 + sequence, item(status)), desk.now)
        changes.absorb(desk.tracker.drain())
    key = CallKey(ACCOUNT, SESSION)
    assert list(changes.sessions) == [key]
    assert changes.sessions[key].status == "CallConnected"
    assert [fact.sequence for _, fact in changes.facts] == [0, 1]
    assert [observation.sequence for observation in changes.observations] == [0, 1]


def test_nothing_is_nothing_to_commit() -> None:
    assert not Changes()
