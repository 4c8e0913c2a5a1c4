"""The rule of leases: processes with clocks of their own, a database that is late or away, and who may act when."""

import random

import pytest

from ringledger.domain.lease import GIVE_AT_ONCE, GRACE, KEEP, Fence, LeaseBook, LeaseRow

SECONDS = 10.0


def row(name="a", holder="other", term=1, left=5.0):
    return LeaseRow(name, None, holder, holder, term, left)


def book(*wanted, now=0.0):
    made = LeaseBook("me", SECONDS)
    made.wanted = dict.fromkeys(wanted, now)
    return made


def rows(*them):
    return {one.name: one for one in them}


def test_what_nobody_has_is_taken_at_once():
    assert book("a").to_take({}, 1, 0.0) == ["a"]
    assert book("a").to_take(rows(row(holder="")), 2, 0.0) == ["a"]
    assert book("a").to_take(rows(row()), 2, 0.0) == []
    assert book().to_take(rows(row(holder="")), 1, 0.0) == []


def test_what_has_lapsed_is_left_to_its_holder_for_a_moment():
    one = book("a")
    assert one.to_take(rows(row(left=-60.0)), 2, 0.0) == []
    assert one.to_take(rows(row(left=-61.0)), 2, GRACE - 0.1) == []
    assert one.to_take(rows(row(left=-62.0)), 2, GRACE) == ["a"]
    assert one.to_take(rows(row(left=9.0)), 2, GRACE) == []  # renewed after all
    assert one.to_take(rows(row(left=-1.0)), 2, GRACE + 11) == []  # and lapsed again: the moment begins anew


def test_what_a_dead_process_of_the_same_place_held_is_taken_at_once():
    one = LeaseBook("me", SECONDS, former="dead")
    one.wanted = {"a": 0.0, "b": 0.0, "c": 0.0}
    held = rows(row("a", "dead", left=9.0), row("b", "dead", left=-1.0), row("c", "other", left=9.0))
    assert one.to_take(held, 1, 0.0) == ["a", "b"]


def test_a_lease_is_counted_from_before_the_question():
    one = book("a")
    one.granted([Fence("a", 3)], asked_at=100.0)
    assert one.wanted == {}
    assert one.may_act("a", 107.9)
    assert not one.may_act("a", 108.0)
    assert one.due(103.0) == []
    assert one.due(103.4) == [Fence("a", 3)]
    one.granted([Fence("a", 3)], asked_at=103.4)
    assert one.may_act("a", 111.3)
    assert not one.may_act("b", 100.0)


@pytest.mark.parametrize("told", [{}, rows(row(term=4)), rows(row(holder="me", term=4)), rows(row(holder="", term=3))])
def test_another_holder_or_another_term_is_a_loss(told):
    one = book()
    one.granted([Fence("a", 3)], 0.0)
    assert one.lost(rows(row(holder="me", term=3, left=-1.0))) == []  # late, but nobody has taken it
    assert one.lost(told) == [Fence("a", 3)]


def test_work_is_shared_out_and_what_nobody_takes_stays():
    names = [f"{n:02}" for n in range(20)]
    one = book(*names)
    assert one.to_take({}, 2, 0.0) == names[:10]
    one.granted([Fence(name, 1) for name in names], 0.0)
    held = rows(*(row(name, "me") for name in names))
    assert one.to_give(held, 1, 0.0) == []
    assert one.to_give(held, 2, 0.0) == names[-GIVE_AT_ONCE:]
    for name in names[-GIVE_AT_ONCE:]:
        one.dropped(name)
        one.wanted[name] = 1.0
    held |= rows(*(row(name, "") for name in names[-GIVE_AT_ONCE:]))
    assert one.to_take(held, 2, 1.0) == []  # they are the other's, who has not come yet
    assert one.to_take(held, 2, 1.0 + SECONDS) == names[-GIVE_AT_ONCE:]
    one.granted([Fence(name, 2) for name in names[-GIVE_AT_ONCE:]], 20.0)
    held = rows(*(row(name, "me") for name in names))
    assert set(one.to_give(held, 2, 20.0)).isdisjoint(names[-GIVE_AT_ONCE:])
    assert (
        one.to_give(held, 2, 20.0 + KEEP * SECONDS) == names[-GIVE_AT_ONCE:]
    )  # the others may have come to themselves
    assert set(one.to_give(held, 3, 21.0)) == set(names[-GIVE_AT_ONCE:])  # and a new one may want them at once


class Server:
    """A database by its own clock."""

    def __init__(self):
        self.now = 0.0
        self.rows = {}

    def look(self, me, due):
        renewed = []
        for fence in due:
            held = self.rows.get(fence.name)
            if held and held[:2] == (me, fence.term):
                self.rows[fence.name] = (me, fence.term, self.now + SECONDS)
                renewed.append(fence)
        return {name: LeaseRow(name, None, who, who, term, until - self.now)
                for name, (who, term, until) in self.rows.items()}, renewed  # fmt: skip

    def take(self, me, names):
        taken = []
        for name in names:
            who, term, until = self.rows.get(name, ("", 0, 0.0))
            if not who or until <= self.now:
                self.rows[name] = (me, term + 1, self.now + SECONDS)
                taken.append(Fence(name, term + 1))
        return taken

    def give(self, me, fence):
        if self.rows[fence.name][:2] == (me, fence.term):
            self.rows[fence.name] = ("", fence.term, self.now)


class Process:
    """Looks twice a second, unless it is paused or cut off; an answer takes up to a second."""

    def __init__(self, name, ahead, names):
        self.book = LeaseBook(name, SECONDS)
        self.names, self.ahead, self.paused_until, self.answers_at = names, ahead, 0.0, None
        for one in names:
            self.book.wanted[one] = ahead

    def turn(self, server, dice, alive):
        if server.now < self.paused_until:
            return
        me, now = self.book, server.now + self.ahead
        if self.answers_at is None:
            if dice.random() < 0.3:
                self.asked, self.told = now, server.look(me.holder, me.due(now))
                self.answers_at = now + dice.random()
            return
        if now < self.answers_at:
            return
        self.answers_at = None
        rows, renewed = self.told
        me.granted(renewed, self.asked)
        for fence in me.lost(rows):
            me.dropped(fence.name)
            me.wanted[fence.name] = now
        me.granted(server.take(me.holder, me.to_take(rows, alive, now)), now)
        for name in me.to_give(rows, alive, now):
            (fence,) = (one for one in me.fences if one.name == name)
            me.dropped(name)
            me.wanted[name] = now
            server.give(me.holder, fence)


@pytest.mark.parametrize("seed", [0, 1, *(pytest.param(seed, marks=pytest.mark.slow) for seed in range(2, 6))])
def test_no_two_ever_act_for_one_account_and_somebody_soon_does(seed):
    """Three processes, twelve accounts, pauses of up to a minute, clocks that have nothing in common."""
    dice, server = random.Random(seed), Server()
    names = [f"{n:02}" for n in range(12)]
    processes = [Process(one, ahead, names) for one, ahead in (("p", 0.0), ("q", 1e6), ("r", -500.0))]
    terms, changes, nobody_since, longest = dict.fromkeys(names, 0), 0, {}, 0.0
    for _ in range(20_000):
        server.now += 0.05
        for one in processes:
            if dice.random() < 0.0005:
                one.paused_until = server.now + dice.uniform(1, 60)
            one.turn(server, dice, len(processes))
        awake = [one for one in processes if server.now >= one.paused_until]
        for name in names:
            acting = [one for one in processes if one.book.may_act(name, server.now + one.ahead)]
            assert len(acting) <= 1, (name, server.now)
            _who, term, _ = server.rows.get(name, ("", 0, 0))
            assert term >= terms[name]
            changes += term > terms[name]
            terms[name] = term
            if acting or len(awake) < len(processes):
                nobody_since[name] = server.now
            longest = max(longest, server.now - nobody_since.get(name, 0.0))
    assert changes > 20
    # Free for a lease's time until it is taken beyond one's share, and the lease before it.
    assert longest < 2 * SECONDS + GRACE + 3
