import itertools

import pytest

from ringledger.domain.call import CallSession, Mark, Phase
from ringledger.domain.changes import Extension
from ringledger.domain.guard import Order, count_sequence, judge, remember
from ringledger.domain.observation import CallItem
from tests.builders import ACCOUNT, SESSION, T0, item

ALIVE, OVER = [item("Ringing")], [item("NoCall")]


def extension(**about: int) -> Extension:
    return Extension(ACCOUNT, "1", **about)


def finished(*, ended_at: int = T0, mark: Mark | None = None) -> CallSession:
    """A call the feed has told of."""
    marks = {"1": mark} if mark else {}
    return CallSession(ACCOUNT, SESSION, phase=Phase.FINISHED, ended_at=ended_at, marks=marks, events_accepted=1)


def test_a_new_extension_counts_from_anywhere() -> None:
    assert count_sequence(extension(), 0, T0) == (0, False)
    assert count_sequence(extension(), 10**12, T0) == (0, False)


@pytest.mark.parametrize(
    ("sequence", "later", "restarted"),
    [(99, 60_001, True), (99, 60_000, False), (100, 10**9, False), (101, 10**9, False), (0, 60_001, True)],
)
def test_a_restart_is_a_smaller_sequence_more_than_a_minute_later(sequence: int, later: int, restarted: bool) -> None:
    told = count_sequence(extension(last_sequence=100, updated_at=T0), sequence, T0 + later)
    assert told == (int(restarted), restarted)


def test_an_event_from_before_the_restart_belongs_to_the_epoch_before() -> None:
    counter = extension(last_sequence=100, updated_at=T0)
    assert count_sequence(counter, 3, T0 + 90_000) == (1, True)
    assert count_sequence(counter, 101, T0 + 1) == (0, False)
    assert counter.last_sequence == 3
    assert count_sequence(counter, 4, T0 + 90_001) == (1, False)


@pytest.mark.parametrize("items", [ALIVE, OVER])
@pytest.mark.parametrize(
    ("event", "order"),
    [
        (Mark(0, 9, T0 + 999), Order.STALE),
        (Mark(0, 10, T0 - 1), Order.REPEATED),
        (Mark(0, 10, T0), Order.NEWER),
        (Mark(0, 10, T0 + 1), Order.NEWER),
        (Mark(0, 11, T0 - 1), Order.NEWER),
        (Mark(1, 0, T0 + 1), Order.NEWER),
    ],
)
def test_an_open_call_follows_the_newest_event(event: Mark, order: Order, items: list[CallItem]) -> None:
    call = CallSession(ACCOUNT, SESSION, marks={"1": Mark(0, 10, T0)})
    assert judge(call, "1", event, items) is order


def test_an_extension_not_heard_of_may_always_speak_of_an_open_call() -> None:
    call = CallSession(ACCOUNT, SESSION, marks={"1": Mark(0, 10, T0)})
    assert judge(call, "2", Mark(0, 1, T0 - 1), OVER) is Order.NEWER


def test_only_a_larger_sequence_and_a_sign_of_life_reopen() -> None:
    call = finished(mark=Mark(0, 10, T0))
    assert judge(call, "1", Mark(0, 11, T0 + 1), ALIVE) is Order.NEWER
    assert judge(call, "1", Mark(1, 0, T0 + 1), ALIVE) is Order.NEWER
    assert judge(call, "1", Mark(0, 10, T0 + 1), ALIVE) is not Order.NEWER
    assert judge(call, "1", Mark(0, 9, T0 + 1), ALIVE) is Order.STALE


def test_without_a_mark_only_life_after_the_end_reopens() -> None:
    assert judge(finished(), "1", Mark(0, 11, T0 + 1), ALIVE) is Order.NEWER
    assert judge(finished(), "1", Mark(0, 11, T0), ALIVE) is Order.STALE
    assert judge(finished(), "1", Mark(0, 11, T0 + 1), OVER) is not Order.NEWER


def test_what_the_feed_tells_of_a_call_of_the_books_alone_is_no_repeat() -> None:
    call = CallSession(ACCOUNT, SESSION, phase=Phase.FINISHED, ended_at=T0)
    assert judge(call, "1", Mark(0, 11, T0), ALIVE) is Order.HINDSIGHT
    assert judge(call, "1", Mark(0, 11, T0 + 1), ALIVE) is Order.NEWER
    assert judge(call, "1", Mark(0, 11, T0), OVER) is Order.LATE


def test_marks_only_grow_whatever_comes_first() -> None:
    marks = [Mark(0, 10, T0 + 5), Mark(0, 10, T0 + 6), Mark(0, 12, T0), Mark(1, 1, T0)]
    for order in itertools.permutations(marks):
        call = CallSession(ACCOUNT, SESSION)
        for number, mark in enumerate(order):
            remember(call, "1", mark, f"u{number}")
        assert call.marks == {"1": Mark(1, 1, T0)}


def test_the_memory_for_uuids_is_bounded() -> None:
    call = CallSession(ACCOUNT, SESSION)
    for number in range(100):
        remember(call, "1", Mark(0, number, T0), f"u{number}")
    assert call.knows("u99")
    assert call.knows("u70")
    assert len(call.uuids) <= 32
