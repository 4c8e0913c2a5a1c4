"""The account of sight: spans without gaps, holes and what healed them (rule 8)."""

from ringledger.domain.coverage import DOWN, CoverageBook, CoverageSpan, CoverageState

LIVE, BLIND, DOUBTFUL, HEALED = CoverageState.LIVE, CoverageState.BLIND, CoverageState.DOUBTFUL, CoverageState.HEALED
SECOND = 1_000


def opened(*spans: CoverageSpan, now: int = 0) -> CoverageBook:
    book = CoverageBook("1")
    book.resume(list(spans), now=now)
    return book


def span(from_at: int, until_at: int, state: CoverageState = LIVE, cause: str | None = None, recovered: int = 0):
    return CoverageSpan("1", from_at, until_at, state, cause, recovered)


class Table:
    """What a database would hold: the last version of each span."""

    def __init__(self, *spans: CoverageSpan) -> None:
        self.spans = {one.from_at: one for one in spans}

    def write(self, book: CoverageBook) -> list[CoverageSpan]:
        self.spans.update((one.from_at, one) for one in book.take())
        return [one for _, one in sorted(self.spans.items()) if one.until_at > one.from_at]


def test_the_first_start_is_blind_until_the_feed_is_up():
    book = opened(now=10)
    book.turn(LIVE, 15)
    book.extend(40)
    assert Table().write(book) == [span(10, 15, BLIND, "starting"), span(15, 40)]
    assert [hole.from_at for hole in book.holes] == [10]


def test_a_hole_is_named_by_its_ends_its_cause_and_what_came_back():
    book = opened(now=0)
    book.turn(LIVE, 0)
    book.turn(BLIND, 60 * SECOND, "reset")
    book.turn(LIVE, 90 * SECOND)
    book.recover(61 * SECOND, 70 * SECOND)
    book.recover(85 * SECOND, 100 * SECOND)
    book.recover(10 * SECOND, 20 * SECOND)  # while the feed was live: not the hole's doing
    book.heal(60 * SECOND, "call-log")
    book.extend(120 * SECOND)
    assert Table().write(book) == [
        span(0, 60 * SECOND),
        span(60 * SECOND, 90 * SECOND, HEALED, "reset, healed by call-log", 2),
        span(90 * SECOND, 120 * SECOND),
    ]
    assert book.holes == []


def test_calls_that_come_back_while_still_blind_are_counted_too():
    book = opened(now=0)
    book.turn(LIVE, 0)
    book.turn(BLIND, 60, "reset")
    book.recover(70, 80)
    book.turn(LIVE, 100)
    assert book.holes == [span(60, 100, BLIND, "reset", 1)]


def test_the_same_state_goes_on_and_a_hole_keeps_its_first_cause():
    book = opened(now=0)
    book.turn(LIVE, 0)
    book.turn(BLIND, 10, "reset")
    book.turn(BLIND, 20, "refused")
    book.turn(LIVE, 30)
    assert book.holes == [span(10, 30, BLIND, "reset")]


def test_a_hole_without_length_is_none():
    book = opened(now=0)
    book.turn(LIVE, 0)
    assert book.holes == []
    book.turn(BLIND, 10, "reset")
    book.turn(LIVE, 10)
    assert book.holes == []


def test_the_time_between_two_runs_is_a_hole():
    book = opened(span(0, 50), now=80)
    book.turn(LIVE, 90)
    assert book.holes == [span(50, 90, BLIND, DOWN)]


def test_a_run_that_ended_blind_leaves_one_hole_not_two():
    book = opened(span(0, 50), span(50, 60, BLIND, "reset", 3), now=80)
    book.turn(LIVE, 90)
    assert book.holes == [span(50, 90, BLIND, "reset", 3)]


def test_holes_of_former_runs_are_still_to_be_healed():
    book = opened(span(0, 50), span(50, 60, BLIND, "reset"), span(60, 80), now=80)
    book.turn(LIVE, 80)
    assert book.holes == [span(50, 60, BLIND, "reset")]
    book.heal(50, "call-log")
    assert span(50, 60, HEALED, "reset, healed by call-log") in Table().write(book)


def test_a_clock_that_went_back_makes_no_span_of_negative_length():
    book = opened(span(0, 50), now=20)
    assert book.current == span(20, 20, BLIND, DOWN)
    book.turn(LIVE, 10)
    book.turn(BLIND, 5, "reset")
    book.turn(LIVE, 30)
    assert all(one.until_at >= one.from_at for one in book.take())


def test_an_extension_is_written_only_after_a_step():
    book = opened(now=0)
    book.turn(LIVE, 0)
    book.take()
    book.extend(10, step=15)
    assert book.take() == []
    book.extend(16, step=15)
    assert book.take() == [span(0, 16)]


def test_doubt_within_a_live_span_splits_it():
    book = opened(now=0)
    book.turn(LIVE, 0)
    book.doubt(40, 60, "possible_overflow")
    book.extend(100)
    assert Table().write(book) == [span(0, 40), span(40, 60, DOUBTFUL, "possible_overflow"), span(60, 100)]
    assert book.holes == [span(40, 60, DOUBTFUL, "possible_overflow")]


def test_doubt_that_began_before_the_feed_was_lost():
    """A subscription died silently at 40; that was noticed at 60, and at 61 there was a new one."""
    book = opened(now=0)
    book.turn(LIVE, 0)
    book.extend(60)
    book.turn(BLIND, 60, "lost")
    book.turn(LIVE, 61)
    book.doubt(40, 61, "subscription_lost")
    book.extend(100)
    told = Table().write(book)
    assert told == [
        span(0, 40), span(40, 60, DOUBTFUL, "subscription_lost"), span(60, 61, BLIND, "lost"), span(61, 100),
    ]  # fmt: skip
    assert [hole.from_at for hole in book.holes] == [60, 40]


def test_doubt_about_all_of_the_last_live_span():
    book = opened(now=0)
    book.turn(LIVE, 10)
    book.turn(BLIND, 60, "lost")
    book.turn(LIVE, 61)
    book.doubt(-500, 61, "subscription_lost")
    told = Table().write(book)
    assert told[1] == span(10, 60, DOUBTFUL, "subscription_lost")


# -- healed by hand: whole, in part, and never the hole that goes on

LOST = CoverageSpan("1", 100, 200, CoverageState.BLIND, "network")


def pieces(spans):
    return sorted((span.from_at, span.until_at, span.state.value, span.recovered_calls) for span in spans)


def test_a_hole_within_the_period_is_healed():
    book = CoverageBook("1")
    assert book.heal_period([LOST], 50, 300, "back-fill", 3) == 1
    (span,) = book.take()
    assert span == (*LOST[:3], CoverageState.HEALED, "network, healed by back-fill", 3)
    assert book.holes == []


def test_what_lies_outside_stays_a_hole():
    book = CoverageBook("1")
    assert book.heal_period([LOST], 150, 180, "back-fill", 3) == 1
    assert pieces(book.take()) == [(100, 150, "blind", 0), (150, 180, "healed", 3), (180, 200, "blind", 0)]
    assert pieces(book.holes) == [(100, 150, "blind", 0), (180, 200, "blind", 0)]


def test_what_came_back_is_told_once():
    book = CoverageBook("1")
    later = LOST._replace(from_at=300, until_at=400)
    assert book.heal_period([later, LOST], 0, 1000, "back-fill", 3) == 2
    assert pieces(book.take()) == [(100, 200, "healed", 3), (300, 400, "healed", 0)]


def test_other_spans_are_left_alone():
    book = CoverageBook("1")
    book.resume([LOST._replace(state=CoverageState.LIVE)], now=500)
    book.take()
    running = book.current
    assert running is not None
    assert book.heal_period([LOST._replace(state=CoverageState.LIVE), running], 0, 1000, "back-fill", 3) == 0
    assert book.heal_period([LOST], 200, 300, "back-fill", 3) == 0
    assert book.heal_period([LOST], 170, 150, "back-fill", 3) == 0  # the log is not complete for any of it yet
    assert book.take() == []


def test_a_run_that_was_over_as_soon_as_the_feed_was_live_ends_the_hole_before_it():
    before = span(0, 50, BLIND, "before_first_start")
    table = Table(before, span(50, 50))
    book = opened(before, span(50, 50), now=900)
    book.turn(LIVE, 905)
    book.extend(910)
    assert table.write(book) == [before, span(50, 905, BLIND, DOWN), span(905, 910)]
    assert [hole.cause for hole in book.holes] == ["before_first_start", DOWN]
