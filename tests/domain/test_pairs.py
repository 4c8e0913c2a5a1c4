"""Which calls are the two sessions of one RingOut (rule 7.9): a function of the calls, whatever came first."""

import pytest

from ringledger.domain.observation import PresenceObservation
from tests.builders import T0, item, presence
from tests.domain.orders import one_outcome

S = 1_000
OWN, OTHER = "16509540334", "16502008440"


def inner(session: str, at: int, until: int, sequence: int) -> PresenceObservation:
    """A call from the other end, all of it in what its last event says."""
    about = {"sender": OTHER, "to": OWN}
    return presence(101, sequence, T0 + until, item("NoCall", session, session=session, started=at, **about))


def outer(session: str, at: int, until: int, sequence: int) -> PresenceObservation:
    about = {"direction": "Outbound", "sender": OWN, "to": OTHER}
    return presence(101, sequence, T0 + until, item("NoCall", session, session=session, started=at, **about))


def test_of_two_calls_of_one_caller_the_nearer_alone_is_part_of_the_ringout() -> None:
    """Both were: a call back to somebody who rings twice at once took both away."""
    told = inner("in-1", T0 - 2 * S, 9 * S, 1), inner("in-2", T0 - 1 * S, 9 * S, 2), outer("out", T0, 9 * S, 3)
    rows = one_outcome(*told).rows()
    assert {name: row.part_of for name, row in rows.items()} == {"in-1": None, "in-2": "out", "out": None}


def test_two_ringouts_at_once_are_two_pairs() -> None:
    told = (
        inner("in-1", T0 - 2 * S, 9 * S, 1), inner("in-2", T0 - 1 * S, 9 * S, 2),
        outer("out-1", T0, 9 * S, 3), outer("out-2", T0 + 1 * S, 9 * S, 4),
    )  # fmt: skip
    rows = one_outcome(*told).rows()
    assert {row.part_of for row in rows.values()} == {None, "out-1", "out-2"}


@pytest.mark.parametrize(
    ("rings_at", "ends_at", "part_of"),
    [
        (1_000, 9_000, "out"), (1_001, 9_000, None),
        (-5_000, 8_000, "out"), (-5_000, 7_999, None),
        (-5_000, 10_000, "out"), (-5_000, 10_001, None),
    ],
)  # fmt: skip
def test_the_inner_leg_rings_no_later_and_lives_as_long_as_the_outer(
    rings_at: int, ends_at: int, part_of: str | None
) -> None:
    about = {"session": "in", "sender": OTHER, "to": OWN}
    rung = presence(101, 1, T0 + rings_at, item("Ringing", "in", **about))
    over = presence(101, 2, T0 + ends_at, item("NoCall", "in", **about))
    assert one_outcome(rung, over, outer("out", T0, 9 * S, 3)).rows()["in"].part_of == part_of
