"""The same facts in every order and every cut into batches, and what came of it."""

import itertools
import os
import random
from collections.abc import Iterator, Sequence
from typing import Any

from ringledger.domain.call import Phase
from ringledger.domain.observation import PresenceObservation, RecordClaim
from tests.builders import Desk

Told = PresenceObservation | RecordClaim
#: Ways of one story that are tried; `make any-order` tries more.
MOST = int(os.environ.get("ORDERS", "150"))


def orders(told: Sequence[Told], *, settle: bool = True) -> Iterator[Desk]:
    """A desk for each order and each cut into batches; some calls have been published meanwhile. Of the 3,720 ways of
    five facts and more, ``MOST``, always the same ones. ``settle``: until everything is over; else as it stands a
    moment later.
    """
    ways = [
        (order, cuts, pause)
        for order in itertools.permutations(told)
        for cuts in itertools.product([False, True], repeat=len(order) - 1)
        for pause in ((0.0, 11.0) if any(cuts) else (0.0,))
    ]
    for order, cuts, pause in ways if len(ways) <= MOST else random.Random(len(told)).sample(ways, MOST):
        desk, batch = Desk(), [order[0]]
        for cut, one in zip(cuts, order[1:], strict=True):
            if cut:
                desk.batch(*batch).wait(pause)
                batch = []
            batch.append(one)
        desk.batch(*batch).settle()
        yield desk.wait(14_401) if settle else desk


def outcome(desk: Desk) -> dict[str, Any]:
    """What no order may change (rule 2.7): of each call its row, its legs and its history, and whether it lives."""
    found: dict[str, Any] = {}
    for key, call in desk.tracker.calls.items():
        if not call.call.legs:
            continue  # only refuted records tell of it
        record = call.row()._replace(events_accepted=0, events_ignored=0, revision=0, confirmed_at=None)
        legs = sorted(repr(leg._replace(number=0)) for leg in call.legs)
        found[key.session_id] = record, call.phase is Phase.FINISHED, legs, list(call.call.changes)
    return found


def one_outcome(*told: Told, settle: bool = True) -> Desk:
    """Returns a desk, after all orders and batches have given the same."""
    first: Desk | None = None
    for desk in orders(told, settle=settle):
        first = first or desk
        assert desk.rows() == first.rows()
        assert outcome(desk) == outcome(first)
    assert first is not None
    return first
