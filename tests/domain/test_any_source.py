"""Events, reads, listings and records in any order tell the same call (rules 2.3, 2.7, 2.8, 6)."""

import os
import random
from collections.abc import Callable, Sequence

import pytest

from ringledger.domain.call import Phase
from ringledger.domain.facts import EndSource, Read
from ringledger.domain.observation import PresenceObservation, RecordClaim, Source
from tests.builders import CALLEE, SESSION, T0, Desk, claim, item, presence, presence_read
from tests.domain.orders import Told, one_outcome, outcome

S = 1_000
EXAMPLES = int(os.environ.get("EXAMPLES", "50"))  # `make any-order` asks for more


def event(status: str, at: float, sequence: int, extension: int = 101, **about: object) -> PresenceObservation:
    return presence(extension, sequence, T0 + round(at * S), item(status, f"leg-{extension}", **about))


def gone(at: float, extension: int = 101) -> PresenceObservation:
    return presence_read(extension, T0 + round(at * S))


def history(desk: Desk) -> list[tuple[int, str]]:
    """Seconds after the beginning, and what the call's status became."""
    return [((change.at - T0) // S, str(change.status)) for change in desk.call().call.changes]


# -- reporting -----------------------------------------------------------------------------------------------------


def test_an_accumulator_that_is_made_anew_has_no_version_that_was_reported() -> None:
    """Else what a late event changes would be taken for what is known, and a call could stay open for ever."""
    call = Desk().batch(event("Ringing", 0, 1), event("CallConnected", 5, 2), event("OnHold", 9, 3)).call()
    reported = call.told_version
    call.state = None
    assert call.fold().version > reported


# -- epochs and doubts ---------------------------------------------------------------------------------------------


def test_an_epoch_begins_a_minute_after_the_newest_event_by_server_time() -> None:
    desk = one_outcome(event("Ringing", 0, 10), event("Ringing", 50, 5), event("CallConnected", 100, 6))
    assert str(desk.call().call.legs[0].status) == "NoCall"  # expired as it rang
    desk = one_outcome(event("Ringing", 0, 10), event("Ringing", 50, 5), event("CallConnected", 111, 6))
    assert desk.record().answered_at == T0 + 111 * S


def test_a_snapshot_without_the_call_moves_no_epoch_and_no_time() -> None:
    told = event("Ringing", 0, 100), event("CallConnected", 100, 5), event("NoCall", 130, 6)
    doubt = presence(101, 101, T0 + 50 * S)
    desk = one_outcome(*told, doubt)
    assert history(desk) == [(0, "Ringing"), (100, "CallConnected"), (130, "NoCall")]
    assert desk.record().ring_ms == 100 * S


def test_a_doubt_moves_no_record() -> None:
    running = claim(None, extension="101", direction="Outbound", duration=6 * S, read_at=T0 + 41 * S)
    out = {"direction": "Outbound"}
    one_outcome(event("OnHold", 0, 1, **out), presence(101, 2, T0 + 40 * S), running, settle=False)


def test_a_call_is_suspect_until_something_newer_shows_it() -> None:
    desk = Desk().batch(event("CallConnected", 0, 1), presence(101, 2, T0 + 9 * S))
    assert desk.call().suspect
    assert not desk.batch(event("CallConnected", 10, 3)).call().suspect
    assert list(desk.changes.suspects) == [desk.call().key]


def test_a_doubt_is_kept_over_a_restart() -> None:
    desk, again = Desk().batch(event("CallConnected", 0, 1), presence(101, 2, T0 + 9 * S)), Desk()
    again.tracker.restore([desk.call().saved()], now=again.now)
    assert again.call().suspect
    assert not again.batch(event("CallConnected", 10, 3)).call().suspect


# -- the order of the history --------------------------------------------------------------------------------------


@pytest.mark.parametrize(("told", "becomes"), [
    ([("Ringing", 0, 5), ("CallConnected", 5, 6), ("OnHold", 8, 4), ("NoCall", 20, 7)],
     [(0, "Ringing"), (5, "CallConnected"), (20, "NoCall")]),
    ([("Ringing", 10, 1), ("CallConnected", 8, 2), ("NoCall", 20, 3)], [(8, "CallConnected"), (20, "NoCall")]),
    ([("Ringing", 10, 1), ("Ringing", 8, 2), ("NoCall", 20, 3)], [(8, "Ringing"), (20, "NoCall")]),
])  # fmt: skip
def test_the_history_is_in_the_order_of_server_time(told: Sequence[tuple[str, int, int]], becomes: object) -> None:
    assert history(one_outcome(*(event(*one) for one in told))) == becomes


# -- answers without the call --------------------------------------------------------------------------------------


def test_an_end_that_was_an_estimate_leaves_no_transition() -> None:
    desk = one_outcome(event("OnHold", 0, 1), gone(20), event("NoCall", 80, 2))
    assert history(desk) == [(0, "OnHold"), (80, "NoCall")]
    record = desk.record()
    assert (record.ended_at, record.hold_ms, record.talk_ms) == (T0 + 80 * S, 80 * S, 0)
    assert (record.end_estimated, record.end_source) == (False, EndSource.PRESENCE)


def test_an_end_that_a_record_tells_leaves_no_transition_of_an_estimate() -> None:
    told = claim("Accepted", extension=None, started=T0 + 3 * S, duration=77 * S, source=Source.CALL_LOG,
                 read_at=T0 + 82 * S)  # fmt: skip
    desk = one_outcome(event("Ringing", 0, 1), gone(51), told)
    assert history(desk) == [(0, "Ringing"), (80, "NoCall")]


def test_a_record_whose_seconds_are_whole_ends_what_was_shown_a_moment_later() -> None:
    told = claim("Accepted", extension="101", duration=51 * S, source=Source.CALL_LOG, read_at=T0 + 90 * S, coarse=True)
    desk = one_outcome(event("Ringing", 15, 1, started=T0), event("CallConnected", 51.8, 2), gone(63), told)
    assert (desk.record().ended_at, desk.record().result) == (T0 + 51_800, "Accepted")


def test_a_record_ends_a_leg_after_all_that_its_extension_told_of_it() -> None:
    """An event counts no earlier than one of a smaller sequence: it woke the leg after its end, and for ever."""
    first, then = presence(101, 2, T0 + 5 * S, item("Ringing", "a")), presence(101, 6, T0, item("CallConnected", "b"))
    told = first, then, gone(61)
    record = claim("Accepted", duration=3 * S, extension="101", source=Source.CALL_LOG, read_at=T0 + 10 * S)
    desk = one_outcome(*told, record)
    assert desk.call().phase is Phase.FINISHED
    assert desk.record().result == "Accepted"


def test_of_answers_without_the_call_the_first_by_its_date_tells_the_end() -> None:
    desk = one_outcome(event("Ringing", 0, 1), event("Ringing", 2, 1, 102), event("NoCall", 11, 2, 102), gone(23),
                       gone(104))  # fmt: skip
    assert (desk.record().ended_at, desk.record().ring_ms) == (T0 + 11 * S, 11 * S)


def test_an_answer_without_the_call_may_come_before_one_with_it() -> None:
    shown = presence_read(101, T0 + 17 * S, item("CallConnected"))
    desk = one_outcome(gone(46), shown)
    assert (desk.record().end_source, desk.record().ended_at) == (EndSource.RECONCILED, T0 + 17 * S)


def test_an_answer_without_the_call_may_come_before_one_that_wakes_it() -> None:
    shown = presence_read(101, T0 + 16 * S, item("CallConnected", "leg-101"))
    told = presence_read(101, T0 + 6 * S, item("Ringing", "leg-101")), event("NoCall", 15, 1)
    desk = one_outcome(*told, shown, gone(26))
    assert desk.record().end_source is EndSource.RECONCILED


def test_an_answer_without_a_call_refutes_a_record_in_progress_that_came_before_it() -> None:
    """Presence has told the end at that extension; the record says that it goes on there."""
    runs = claim(None, extension="102", duration=29 * S, started=T0 + 4 * S, read_at=T0 + 90 * S)
    out = {"direction": "Outbound", "started": T0}
    desk = one_outcome(event("Ringing", 4, 6, 102, **out), event("NoCall", 5, 7, 102, **out), runs, gone(85, 102))
    assert (desk.record().end_source, desk.record().ended_at) == (EndSource.RECONCILED, T0 + 33 * S)


def test_an_answer_that_mirrors_a_call_may_come_before_the_call_itself() -> None:
    mirrored = presence_read(102, T0 + 3 * S, item("Ringing", "mirror", monitored=True))
    desk = one_outcome(mirrored, event("Ringing", 0, 1), event("NoCall", 20, 2), event("CallConnected", 10, 1, 102),
                       event("NoCall", 30, 2, 102))  # fmt: skip
    assert sorted(str(leg.leg_id) for leg in desk.call().legs) == ["leg-101", "leg-102"]


@pytest.mark.parametrize("status", ["OnHold", "ParkedCall"])
def test_a_hold_after_ringing_is_no_answer_that_was_seen(status: str) -> None:
    record = one_outcome(event("Ringing", 0, 1), event(status, 20, 2), event("NoCall", 60, 3)).record()
    assert (record.answered_at, record.answer_estimated, record.ring_ms) == (T0 + 20 * S, True, None)


def test_listings_without_a_call_may_come_before_it() -> None:
    running = claim(None, extension=None, duration=10 * S, read_at=T0 + 10 * S)
    first, second = T0 + 60 * S, T0 + 240 * S
    late = Desk().listing(read_at=second).listing(read_at=first).books(running)
    in_time = Desk().books(running).listing(read_at=first).listing(read_at=second)
    assert outcome(late) == outcome(in_time)
    assert in_time.record().end_source is EndSource.RECONCILED


def test_many_reads_of_an_extension_are_no_facts_of_a_call_that_begins_later() -> None:
    desk = Desk()
    for number in range(800):
        desk.read(presence_read(101, T0 + number * 1_500, item("Ringing", "z", session="other")))
    assert [type(fact) for _, fact in desk.changes.facts].count(Read) == 800
    desk.batch(event("Ringing", 1_300, 1))
    assert [key.session_id for key, _ in desk.changes.facts].count(SESSION) == 1


def test_a_call_keeps_no_more_reads_after_a_restart() -> None:
    desk, again = Desk(), Desk()
    for number in range(300):
        desk.read(presence_read(101, T0 + number * 1_500, item("CallConnected")))
    reads = tuple([fact for _, fact in desk.changes.facts if isinstance(fact, Read)])
    again.tracker.restore([desk.call().saved()._replace(reads=reads)], now=again.now)
    assert len(again.call().facts.reads) <= len(desk.call().facts.reads) <= 64


@pytest.mark.parametrize("notified", [True, False])
def test_who_is_watched_is_known_whenever_the_first_notification_comes(notified: bool) -> None:
    other = presence(102, 1, T0 - 60 * S, item("NoCall", session="other"))
    running = claim(None, extension="102", record="x", duration=40 * S, read_at=T0 + 40 * S)
    own = claim(None, extension="101", record="y", duration=40 * S, read_at=T0 + 40 * S)
    told = [event("CallConnected", 0, 1), own, running] + [other] * notified
    desk = one_outcome(*told, settle=False)
    assert {leg.extension_id for leg in desk.call().legs if leg.live} == ({"101", "102"} if notified else {"101"})


# -- what nobody saw -----------------------------------------------------------------------------------------------


def test_a_start_that_is_still_to_come_is_not_believed() -> None:
    told = event("CallConnected", 0, 1, started=T0 + 3_600 * S), event("NoCall", 10, 2, started=T0 + 3_600 * S)
    record = one_outcome(*told).record()
    assert (record.started_at, record.answered_at, record.ended_at) == (T0, T0, T0 + 10 * S)
    assert one_outcome(event("Ringing", 0, 1, started=T0 + 5 * S)).record().started_at == T0 + 5 * S
    assert one_outcome(event("Ringing", 0, 1, started=T0 + 5 * S + 1)).record().started_at == T0


def test_an_answer_behind_a_blind_span_is_only_found() -> None:
    """The answer may have come at any moment of it: what nobody saw is not told (rule 4.3)."""
    desk = Desk().batch(event("Ringing", 0, 1))
    desk.tracker.live_since = T0 + 20 * S
    record = desk.batch(event("CallConnected", 25, 2), event("NoCall", 30, 3)).settle().record()
    assert (record.answered_at, record.answer_estimated, record.ring_ms) == (T0 + 25 * S, True, None)


def test_of_two_answers_at_one_instant_the_one_that_was_seen_counts() -> None:
    desk = one_outcome(
        event("Ringing", 0, 1), event("CallConnected", 5, 2),
        event("CallConnected", 5, 2, extension=100), event("NoCall", 9, 3), event("NoCall", 9, 3, extension=100),
    )  # fmt: skip
    assert (desk.record().answer_estimated, desk.record().ring_ms) == (False, 5 * S)


def test_of_differing_values_the_first_in_the_order_of_the_facts_counts() -> None:
    told = event("Ringing", 0, 1, on_behalf_of="7", telephony="T1"), event("CallConnected", 5, 2, on_behalf_of="8",
        telephony="T2"), event("NoCall", 9, 3)  # fmt: skip
    desk = one_outcome(*told)
    assert (desk.record().telephony_session_id, desk.call().legs[0].on_behalf_of) == ("T1", "7")


@pytest.mark.parametrize(("started", "ring_ms"), [(None, None), (T0 - 3 * S, 33 * S)])
def test_who_rang_when_presence_was_read_has_not_begun_to_ring_with_a_later_event(
    started: int | None, ring_ms: int | None
) -> None:
    """A ring of 10 s was told of a call that had been ringing for 30 s at least."""
    read = presence_read(101, T0, item("Ringing", "leg-101"))
    rings = event("Ringing", 20, 1, sender_name="Ann", started=started)
    desk = one_outcome(read, rings, event("CallConnected", 30, 2), event("NoCall", 40, 3))
    assert desk.record().ring_ms == ring_ms


def test_an_event_that_is_delivered_over_a_gap_costs_no_ring_time() -> None:
    """It was sent before the answer, which came while the feed was live."""
    desk = Desk().batch(event("CallConnected", 5, 2))
    desk.tracker.live_since = T0 + 20 * S
    desk.batch(event("Ringing", 0, 1), event("NoCall", 30, 3)).settle()
    assert desk.record().ring_ms == 5 * S


def test_who_rang_has_not_talked_since_the_beginning() -> None:
    running = claim(None, extension="101", duration=40 * S, read_at=T0 + 45 * S)
    desk = one_outcome(event("Ringing", 0, 1), running, event("NoCall", 60, 2))
    record = desk.record()
    assert (record.answered_at, record.answer_estimated, record.ring_ms) == (T0 + 45 * S, True, None)


def test_a_record_in_progress_tells_of_no_moment_before_its_own_duration() -> None:
    """Its answer's date may be older: of a clock that is behind, or cut to whole seconds."""
    running = claim(None, extension="101", duration=95 * S, read_at=T0 + 80 * S)
    told = event("Ringing", 0, 1), event("CallConnected", 90, 2), event("NoCall", 120, 3)
    record = one_outcome(*told, running).record()
    assert (record.answered_at, record.answer_estimated, record.ring_ms) == (T0 + 90 * S, False, 90 * S)


def test_a_blank_is_not_filled_with_the_number_of_the_opposite_end() -> None:
    theirs = event("Ringing", 1, 1, 102, sender=CALLEE)
    desk = one_outcome(event("Ringing", 0, 1, sender=None), theirs, event("NoCall", 9, 2, sender=None))
    assert (desk.record().from_number, desk.record().to_number) == (None, f"+{CALLEE}")


# -- items without direction ---------------------------------------------------------------------------------------


def test_an_item_without_direction_waits_for_one() -> None:
    desk = one_outcome(event("Ringing", 0, 1, direction=None), event("CallConnected", 5, 2), event("NoCall", 9, 3))
    assert (desk.record().started_at, desk.record().ring_ms) == (T0, 5 * S)
    assert len(desk.call().legs) == 1


def test_a_record_may_tell_the_direction() -> None:
    told = claim("Missed", extension="101", direction="Outbound", duration=9 * S, read_at=T0 + 60 * S)
    desk = one_outcome(event("Ringing", 0, 1, direction=None), event("NoCall", 9, 2, direction=None), told)
    assert (str(desk.record().direction), desk.record().ring_ms) == ("Outbound", 9 * S)


def test_a_call_of_which_nothing_tells_the_direction_is_counted_and_is_no_row() -> None:
    desk = Desk().batch(event("Ringing", 0, 1, direction=None)).settle().wait(14_401)
    assert not desk.changes.records
    assert [told.reason for told in desk.changes.announcements] == ["untrackable"]
    desk.tracker.release(desk.changes.untrackable)
    assert not desk.tracker.calls  # its facts are in the ledger


# -- anything in any order -----------------------------------------------------------------------------------------


def story(rng: random.Random) -> list[Told]:
    """Facts about one call of one or two extensions, some of them contradicting others."""
    told: list[Told] = []
    for extension in rng.choice([[101], [101, 102]]):
        at, sequence = rng.randrange(20), rng.randrange(50)
        way = "Inbound" if extension == 101 or rng.random() < 0.5 else "Outbound"
        words = rng.choices(["Ringing", "CallConnected", "OnHold", "NoCall"], k=rng.randrange(1, 5))
        for status in [*words, "NoCall"] if rng.random() < 0.6 else words:
            about = {"direction": rng.choice([way, way, None]), "started": rng.choice([None, T0])}
            told.append(event(status, at, sequence, extension, **about))
            sequence, at = sequence + rng.randrange(1, 3), at + rng.choice([1, 3, 8, 15, 40, 70])
        if rng.random() < 0.3:
            told.append(presence(extension, sequence, T0 + at * S))
    for _ in range(rng.randrange(3)):
        extension, seen = rng.choice([101, 102]), rng.choice([None, "CallConnected", "Ringing"])
        items = [] if seen is None else [item(seen, rng.choice([f"leg-{extension}", "q"]))]
        told.append(presence_read(extension, T0 + rng.randrange(120) * S, *items))
    for _ in range(rng.randrange(4)):
        source, lasted = rng.choice([Source.ACTIVE_CALLS, Source.CALL_LOG]), rng.randrange(100)
        result = rng.choice([None, "Accepted", "Missed", "Voicemail"])
        told.append(record(rng, source, lasted, result))
    return told


def record(rng: random.Random, source: Source, lasted: int, result: str | None) -> RecordClaim:
    return claim(
        "Accepted" if source is Source.CALL_LOG and result is None else result,
        extension=rng.choice(["101", "102", None]), record=f"record-{rng.randrange(3)}", duration=lasted * S,
        started=T0 + rng.randrange(5) * S, source=source, read_at=T0 + (lasted + rng.choice([0, 5, 60, 200])) * S,
    )  # fmt: skip


def told_in(order: Sequence[Told], rng: random.Random, largest: int) -> Desk:
    desk, left = Desk(), list(order)
    while left:
        size = rng.randint(1, largest)
        desk.batch(*left[:size])
        left = left[size:]
    return desk.settle()


def same_in_any_order(seed: int, story: Callable[[random.Random], list[Told]]) -> None:
    """A story of this seed comes out alike in six other orders and in batches of any size."""
    rng = random.Random(seed)
    told = story(rng)
    usual = outcome(told_in(told, rng, 1))
    for _ in range(6):
        rng.shuffle(told)
        assert outcome(told_in(told, rng, rng.choice([1, 2, 20]))) == usual, f"seed {seed}"


@pytest.mark.timeout(3600)
def test_any_order_and_any_batches_of_all_sources_tell_the_same_call() -> None:
    first = int(os.environ.get("SEED", "1"))
    for seed in range(first, first + EXAMPLES):
        same_in_any_order(seed, story)
