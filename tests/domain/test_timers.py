from ringledger.domain.observation import CallKey
from ringledger.domain.timers import Timers

A, B = CallKey("1", "a"), CallKey("1", "b")


def test_nothing_waits_at_first() -> None:
    timers = Timers(10.0, 100.0)
    assert timers.next_deadline is None
    assert timers.due(1e9) == []


def test_a_call_settles_once_at_its_deadline() -> None:
    timers = Timers(10.0, 100.0)
    timers.saw(A, 5.0)
    timers.start_settling(A, 5.0)
    assert timers.next_deadline == 15.0
    assert timers.due(14.9) == []
    assert timers.due(15.0) == [(A, True)]
    assert timers.due(1e9) == []


def test_a_call_that_lives_after_all_does_not_settle_but_expires() -> None:
    timers = Timers(10.0, 100.0)
    timers.saw(A, 0.0)
    timers.start_settling(A, 0.0)
    timers.saw(A, 9.0)
    timers.stop_settling(A)
    assert timers.due(50.0) == []
    assert timers.due(108.9) == []
    assert timers.due(109.0) == [(A, False)]


def test_settling_again_waits_in_full() -> None:
    timers = Timers(10.0, 100.0)
    timers.saw(A, 0.0)
    timers.start_settling(A, 0.0)
    timers.stop_settling(A)
    timers.start_settling(A, 6.0)
    assert timers.due(15.9) == []
    assert timers.due(16.0) == [(A, True)]


def test_each_sign_of_life_puts_the_expiry_off() -> None:
    timers = Timers(10.0, 100.0)
    for now in (0.0, 60.0, 120.0):
        timers.saw(A, now)
    assert timers.due(219.0) == []
    assert timers.due(220.0) == [(A, False)]


def test_an_expiry_that_comes_up_while_settling_is_not_lost() -> None:
    timers = Timers(50.0, 100.0)
    timers.saw(A, 0.0)
    timers.start_settling(A, 90.0)
    assert timers.due(110.0) == []
    timers.saw(A, 110.0)
    timers.stop_settling(A)
    assert timers.due(209.0) == []
    assert timers.due(210.0) == [(A, False)]


def test_a_forgotten_call_is_never_due() -> None:
    timers = Timers(10.0, 100.0)
    timers.saw(A, 0.0)
    timers.start_settling(A, 0.0)
    timers.forget(A)
    timers.saw(B, 0.0)
    assert timers.due(1e9) == [(B, False)]


def test_one_look_finds_every_call_that_is_due_in_order() -> None:
    timers = Timers(10.0, 100.0)
    for key, now in ((B, 1.0), (A, 2.0)):
        timers.saw(key, now)
        timers.start_settling(key, now)
    assert timers.due(50.0) == [(B, True), (A, True)]
