"""Who is stuck and who only waits."""

from ringledger.heartbeats import Heartbeats


class Clock:
    def __init__(self):
        self.now = 100.0

    def __call__(self):
        return self.now


def test_a_loop_that_is_later_than_it_said_is_stuck():
    clock = Clock()
    loops = Heartbeats(clock)
    loops.beat("poll", 10)
    loops.beat("timers", 100)
    clock.now += 10
    assert loops.stuck() == []
    clock.now += 0.1
    assert loops.stuck() == ["poll"]
    loops.beat("poll", 10)
    assert loops.stuck() == []


def test_waiting_on_purpose_is_added_to_what_was_allowed():
    clock = Clock()
    loops = Heartbeats(clock)
    loops.beat("poll", 10)
    loops.resting("poll", 60)
    clock.now += 70
    assert loops.stuck() == []
    clock.now += 0.1
    assert loops.stuck() == ["poll"]


def test_progress_within_a_round_never_shortens_it():
    clock = Clock()
    loops = Heartbeats(clock)
    loops.beat("poll", 300)
    loops.progress("poll", 10)
    clock.now += 299
    assert loops.stuck() == []
    loops.progress("poll", 10)
    clock.now += 9
    assert loops.stuck() == []


def test_strangers_are_not_watched():
    clock = Clock()
    loops = Heartbeats(clock)
    loops.progress("nobody", 1)
    loops.resting("nobody", 1)
    clock.now += 1000
    assert loops.stuck() == []


def test_everybody_may_rest():
    clock = Clock()
    loops = Heartbeats(clock)
    loops.beat("poll", 1)
    loops.beat("timers", 1)
    loops.all_resting(60)
    clock.now += 60
    assert loops.stuck() == []
