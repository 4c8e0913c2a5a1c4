"""What the platform's records say of a call: the numbered rules, their tolerances, and nothing else (rules 6 and 7).

A record is a fact about the part of the call that it tells of, whenever it was read. Three tables decide what it adds:
``RUNNING`` for a record in progress, ``ENDS`` for a record of something over while presence still shows it alive, and
``RESULTS`` for which record is authoritative. In each the first rule that holds decides. What must stay true: every
function here depends on the facts of one call alone; a record of one extension confirms nothing and cuts nothing of
another that talks on; where the records speak of the whole call, they win.
"""

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Final, NamedTuple

from ringledger.domain.disposition import Disposition, disposition_of
from ringledger.domain.facts import Absence, EndSource, Fact, GivenUp, PresenceEvent, Read, Record, Summary
from ringledger.domain.fold import NEVER, LegState, Points, RecordEnd, RecordLeg, State
from ringledger.domain.observation import PRESENCE_SOURCES, Direction, Party, RecordClaim, Source
from ringledger.domain.reads import BEHIND_MS
from ringledger.domain.status import NO_CALL

# -- tolerances, ms ------------------------------------------------------------------------------------------------

#: A duration in whole seconds places the end this exactly; our own figure is kept when it agrees.
COARSE_MS: Final = 1_000
#: The feed may tell of an end so much later than the records date it, and mean the same end.
END_TOLD_LATE_MS: Final = 5_000
#: How much longer an uncovered leg must have gone on to be a part of the call that is missing from the records: a
#: notification may be late by more than a little, and the last record of a transfer comes on its own.
OUTLIVED_MS: Final = 30_000
#: A connected call that is not listed is doubted after this silence.
SILENT_AFTER_MS: Final = 30_000
#: A record in progress that began longer ago than this is believed only while it grows, or presence agrees.
LONG_AGO_MS: Final = 86_400_000
#: One whose duration is behind its reading by more than this, two polls, has ceased to grow.
GROWS_WITHIN_MS: Final = 600_000
#: Actions of records that tell of a user's other telephone ringing, not of the call.
FORWARDED: Final = frozenset({"findme", "followme"})


@dataclass(slots=True)
class Facts:
    """Everything reported of one call, sorted by what it is. ``plain``: presence events alone tell of it, as of
    nearly all calls that are open; ``doubts``: of each extension the newest snapshot that does not list it, if no
    newer event of that extension does; ``undirected``: some items name no direction. ``names``: what its own facts
    call it; ``matched``: the names of records that were found by numbers and start, since its own are not there.
    :class:`~ringledger.domain.tracked.TrackedCall` is the only one to change it.
    """

    events: list[PresenceEvent] = field(default_factory=list)
    reads: tuple[Read, ...] = ()
    records: tuple[Record, ...] = ()
    absences: tuple[Absence, ...] = ()
    given_up: tuple[GivenUp, ...] = ()
    summary: Summary | None = None
    plain: bool = True
    doubts: tuple[PresenceEvent, ...] = ()
    undirected: bool = False
    names: dict[str, int] = field(default_factory=dict)
    matched: dict[str, None] = field(default_factory=dict)

    def __bool__(self) -> bool:
        """Whether anything is known."""
        return bool(self.events or not self.plain)

    @property
    def all(self) -> list[Fact]:
        """All of them."""
        base = [] if self.summary is None else [self.summary]
        return [*base, *self.events, *self.doubts, *self.reads, *self.records, *self.absences, *self.given_up]

    @property
    def is_shown(self) -> bool:
        """Whether presence has shown the call."""
        return bool(self.events or self.reads or self.summary is not None)


def last_alive_at(facts: Facts) -> int:
    """When presence last showed a call alive, ms. The answer of a read is older than its date (rule 6.7)."""
    signs = [event.at for event in facts.events if any(item.status is not NO_CALL for item in event.items)]
    signs += [read.at - BEHIND_MS for read in facts.reads if read.items]
    if facts.summary is not None:
        signs += [leg.seen_at for leg in facts.summary.legs]
    return max(signs, default=NEVER)


# -- which readings count ------------------------------------------------------------------------------------------


class Readings(NamedTuple):
    """Of each record the reading that counts. ``finished``: they have a result. ``vague``: over, but without one; they
    confirm nothing. ``running``: in progress. ``runs_by``: when the platform was first asked and said that the call
    runs, ``runs_since``: since when it did. ``read``: all readings, for when a result was first read.
    """

    finished: tuple[RecordClaim, ...] = ()
    vague: tuple[RecordClaim, ...] = ()
    running: tuple[Record, ...] = ()
    runs_by: int | None = None
    runs_since: int | None = None
    read: tuple[RecordClaim, ...] = ()

    @property
    def claims(self) -> list[RecordClaim]:
        """All that count."""
        return [*self.finished, *self.vague, *(record.claim for record in self.running)]


NONE_READ: Final = Readings()


def readings_of(facts: Facts, state: State) -> Readings:
    """Of each record the newest reading, the call log before active-calls; a blank takes nothing away from an older
    one (rule 7.5). Records of a user's other telephone count only where nothing else tells of the call.
    """
    records = facts.records
    if facts.summary is not None:
        records = (*facts.summary.records, *records)
    if not records:
        return NONE_READ
    own = [one for one in records if not is_forwarded(one.claim)]
    if not own and not state.legs:
        own = list(records)
    finished: dict[str, RecordClaim] = {}
    vague: dict[str, RecordClaim] = {}
    running: dict[str, Record] = {}
    former: dict[str, RecordClaim] = {}
    over: dict[str, RecordClaim] = {}
    for one in sorted(own, key=_newest):
        claim = former[one.claim.record_id] = _filled(one.claim, former.get(one.claim.record_id))
        if claim.running:
            if claim.source is not Source.CALL_LOG and _is_believed(claim, own, state):
                running[claim.record_id] = one._replace(claim=claim)
        elif claim.result:
            finished[claim.record_id] = over[claim.record_id] = _merged(over.get(claim.record_id), claim)
        else:
            vague[claim.record_id] = over[claim.record_id] = _merged(over.get(claim.record_id), claim)
    runs = [one for one in running.values() if all(_goes_on(one.claim, told) for told in finished.values())]
    ran = [one.claim for one in own if one.claim.running and one.claim.source is not Source.CALL_LOG]
    ran = [claim for claim in ran if _is_believed(claim, own, state)]
    return Readings(
        tuple(sorted(finished.values(), key=_by_start)),
        tuple(sorted([one for key, one in vague.items() if key not in finished and key not in running], key=_by_start)),
        tuple(sorted(runs, key=lambda one: _by_start(one.claim))),
        min([_shown_by(claim) for claim in ran], default=None),
        min([claim.started_at for claim in ran if claim.started_at is not None], default=None),
        tuple(one.claim for one in own),
    )


def _newest(one: Record) -> tuple[object, ...]:
    """The order of readings; of those of one time what they say decides, for something must that is no arrival."""
    claim = one.claim
    names = claim.session_id or "", claim.telephony_session_id or "", claim.extension_id or ""
    says = claim.started_at or 0, claim.direction, *map(str, claim.from_party), *map(str, claim.to_party)
    return claim.source is Source.CALL_LOG, claim.read_at, end_of(claim), claim.result or "", *says, *names


def _by_start(claim: RecordClaim) -> tuple[int, str]:
    return claim.started_at or 0, claim.record_id


def _filled(newer: RecordClaim, older: RecordClaim | None) -> RecordClaim:
    """Return the newer reading of a record, with parties and start from the former one where it leaves them out
    (rule 7.5).
    """
    if older is None:
        return newer
    if newer.started_at is None:
        newer = newer._replace(started_at=older.started_at)
    parties = _known(newer.from_party, older.from_party), _known(newer.to_party, older.to_party)
    if parties == (newer.from_party, newer.to_party):
        return newer
    return newer._replace(from_party=parties[0], to_party=parties[1])


def _known(newer: Party, older: Party) -> Party:
    if (newer.raw or newer.number) and newer.number != older.number:  # withheld is a fact, too
        return newer
    return older._replace(name=newer.name or older.name) if older.number else newer


def _merged(older: RecordClaim | None, newer: RecordClaim) -> RecordClaim:
    """The same of a duration, which only a reading of something over tells."""
    if older is None or newer.duration_ms is not None:
        return newer
    return newer._replace(duration_ms=older.duration_ms)


def is_forwarded(claim: RecordClaim) -> bool:
    """Whether a record tells of a user's other telephone."""
    return claim.direction is Direction.OUTBOUND and (claim.action or "").casefold() in FORWARDED


def _is_believed(claim: RecordClaim, records: Iterable[Record], state: State) -> bool:
    """Logs keep records in progress for ever: an old one is believed while it grows, or presence agrees (rule 6.5)."""
    if not is_old(claim) or state.live:
        return True
    same = [one.claim for one in records if one.claim.record_id == claim.record_id]
    if claim.started_at is None and claim.read_at - min(one.read_at for one in same) <= LONG_AGO_MS:
        return True
    grown = len({one.duration_ms or 0 for one in same}) > 1
    return grown and end_of(claim) > claim.read_at - GROWS_WITHIN_MS


def is_old(claim: RecordClaim) -> bool:
    """Whether a record in progress may have been forgotten by the platform (rule 6.5)."""
    return claim.started_at is None or claim.read_at - claim.started_at > LONG_AGO_MS


def _goes_on(claim: RecordClaim, finished: RecordClaim) -> bool:
    """A record in progress that is over as well goes on only if it was read later and says a later end. Listings and
    log may name a record differently: the same leg is the same record.
    """
    begun = abs((claim.started_at or 0) - (finished.started_at or 0)) <= COARSE_MS
    side = (claim.extension_id, claim.direction) == (finished.extension_id, finished.direction)
    if claim.record_id != finished.record_id and not (side and begun):
        return True
    return end_of(claim) > end_of(finished) + COARSE_MS and claim.read_at > finished.read_at


def answers(claim: RecordClaim) -> bool:
    """Whether a record tells of a talk. 911 and 933 say where a call went, not how it ended."""
    return disposition_of(claim.result or "", talked=bool(claim.duration_ms)) is Disposition.ANSWERED


def end_of(claim: RecordClaim) -> int:
    """The end that a record says; before everything when it says none."""
    ended_at = claim.ended_at
    return NEVER if ended_at is None else ended_at


def _latest_end(claim: RecordClaim) -> int:
    """No later than this is the end that a record says."""
    return end_of(claim) + (COARSE_MS if claim.coarse else 0)


def _shown_by(running: RecordClaim) -> int:
    """When the platform was asked for a record in progress: its answer's date has whole seconds, may be that of a clock
    which is behind, and nothing tells of a moment before its own duration (rule 6.8).
    """
    return max(running.read_at, end_of(running))


def end_source_of(source: Source) -> EndSource:
    """The word for the source of an end that a record told."""
    return EndSource.CALL_LOG if source is Source.CALL_LOG else EndSource.RECONCILED


# -- the tables ----------------------------------------------------------------------------------------------------


class Rule(NamedTuple):
    """A row of a table. ``when``: the case it is for. ``why``: the reason in one sentence. ``story``: what needs it, a
    test of ``tests/domain`` or a file of ``tests/scenarios``.
    """

    number: str
    when: str
    then: str
    why: str
    story: str


@dataclass(slots=True)
class Running:
    """A record in progress beside what presence shows. ``side``: the legs it may speak of; ``talks``: any leg lives."""

    claim: RecordClaim
    watched: bool
    side: list[LegState]
    talks: bool
    state: State
    facts: Facts
    own: Collection[str]

    def is_shown(self) -> bool:
        """R1."""
        return self.talks and bool(self.side)

    def is_somebody_elses(self) -> bool:
        """R2."""
        if not self.talks:
            return False
        claim = self.claim
        talking = {leg.extension_id for leg in self.state.legs if leg.live and leg.direction is claim.direction}
        return not claim.extension_id or bool(talking - set(self.own)) or (bool(talking) and not self.watched)

    def is_behind(self) -> bool:
        """R3."""
        ends = [leg.ended_at or 0 for leg in self.state.legs]
        return bool(ends) and not self.talks and end_of(self.claim) <= max(ends) + BEHIND_MS


#: A record in progress adds a live leg unless one of these holds (rule 6.2).
RUNNING: Final[tuple[tuple[Rule, Callable[[Running], bool]], ...]] = (
    (
        Rule(
            "R1",
            "presence has shown that side, and a leg of the call lives",
            "nothing",
            "Presence knows when a side ends; where it has ended, the record goes on because the call does.",
            "test_a_record_in_progress_adds_no_leg_to_the_side_that_presence_shows",
        ),
        Running.is_shown,
    ),
    (
        Rule(
            "R2",
            "a live leg's extension has no record of its own, or the record names none whose presence is received",
            "nothing",
            "A record in a queue's name means the agent's leg; a queue sends no presence that would end another.",
            "test_a_record_in_progress_in_a_queues_name_adds_no_leg",
        ),
        Running.is_somebody_elses,
    ),
    (
        Rule(
            "R3",
            "the call is over for presence, no earlier than the answer may be late",
            "nothing",
            "What an event says of a moment after the answer's outranks it.",
            "test_a_record_in_progress_that_is_behind_wakes_no_call",
        ),
        Running.is_behind,
    ),
)


@dataclass(slots=True)
class Over:
    """An extension at which presence shows the call alive (or ended it by an estimate), beside the records that are
    over. ``last``: the one whose end would count there; ``alive_at``: when presence last showed it alive.
    """

    extension_id: str
    legs: list[LegState]
    alive_at: int
    own: list[RecordClaim]
    last: RecordClaim
    uncovered: Collection[int]
    runs: Collection[str]
    facts: Facts

    def is_uncovered(self) -> bool:
        """E1."""
        return any(id(leg) in self.uncovered for leg in self.legs)

    def runs_on(self) -> bool:
        """E2."""
        return self.extension_id in self.runs or (not self.own and bool(self.runs))

    def lived_on(self) -> bool:
        """E3."""
        signs = [self.alive_at]
        signs += [
            read.at - BEHIND_MS for read in self.facts.reads if read.items and read.extension_id == self.extension_id
        ]
        return max(signs) > _latest_end(self.last)


#: A record that is over ends the live legs of its extension unless one of these holds (rule 6.3).
ENDS: Final[tuple[tuple[Rule, Callable[[Over], bool]], ...]] = (
    (
        Rule(
            "E1",
            "no record tells of that leg",
            "nothing",
            "The records tell of some extensions only; of the others only their presence can tell.",
            "test_the_record_of_somebody_nobody_watches_ends_and_confirms_no_talk",
        ),
        Over.is_uncovered,
    ),
    (
        Rule(
            "E2",
            "a record of that extension runs on, or none is its own and any runs on",
            "nothing",
            "The platform itself says that it goes on.",
            "test_a_record_that_is_over_ends_no_side_whose_other_record_runs_on",
        ),
        Over.runs_on,
    ),
    (
        Rule(
            "E3",
            "presence has shown that extension alive after the record's end, or the record says none",
            "nothing",
            "It is the record of another part of the call, or it was read while the call went on.",
            "test_a_record_that_is_over_ends_no_leg_that_lived_on",
        ),
        Over.lived_on,
    ),
)


@dataclass(slots=True)
class Result:
    """The call when it is over, beside its records. ``best``: answered before unanswered, then the latest; ``last``:
    the one that ended last. ``seen_at``: when presence last showed it alive. ``uncovered``: legs of which no record
    tells.
    """

    best: RecordClaim
    last: RecordClaim
    seen_at: int
    ended_at: int | None
    uncovered: list[LegState]

    def is_another_ones(self) -> bool:
        """A1."""
        return not answers(self.best) and any(leg.answered_at is not None for leg in self.uncovered)

    def was_read_too_early(self) -> bool:
        """A2."""
        return _is_early(self.last, self.seen_at, self.ended_at)

    def is_outlived(self) -> bool:
        """A3."""
        end = self.last.ended_at
        if self.ended_at is None or end is None or self.ended_at <= end + END_TOLD_LATE_MS:
            return False
        talked = [leg for leg in self.uncovered if leg.answered_at is not None]
        return any((leg.ended_at or self.ended_at) > end + OUTLIVED_MS for leg in talked)


#: The best record is authoritative unless one of these holds.
RESULTS: Final[tuple[tuple[Rule, Callable[[Result], bool]], ...]] = (
    (
        Rule(
            "A1",
            "it tells of no talk, and presence showed a talk of which no record tells",
            "it waits",
            "It is the record of an extension that did not answer; the record of the one that did is still to come.",
            "test_the_missed_record_of_one_confirms_nothing_of_the_short_talk_of_another",
        ),
        Result.is_another_ones,
    ),
    (
        Rule(
            "A2",
            "presence has shown it alive after the last record's end, and that was read before the call was over",
            "it waits",
            "It was true of a part of the call, and will be read again.",
            "test_a_record_read_while_the_call_went_on_does_not_cut_it_and_is_read_again",
        ),
        Result.was_read_too_early,
    ),
    (
        Rule(
            "A3",
            "a talk of which no record tells went on much longer than the last record",
            "it waits",
            "A part of the call is missing from the records: the last record of a transfer comes on its own.",
            "test_the_record_of_one_side_confirms_nothing_of_a_call_that_went_on_at_another",
        ),
        Result.is_outlived,
    ),
)

#: All tables, for the documentation and its test.
RULES: Final[tuple[Rule, ...]] = tuple(rule for table in (RUNNING, ENDS, RESULTS) for rule, _ in table)


# -- what records add to the timeline ------------------------------------------------------------------------------


def added_points(state: State, told: Readings, facts: Facts) -> Points:
    """Ends and legs that presence has not shown, each at its own place. ``state``: what presence alone shows."""
    points: Points = []
    own = {one.claim.extension_id or "" for one in told.running}
    legs = [leg for one in told.running if (leg := _unseen_leg(state, one, facts, own)) is not None]
    gone = {one.claim.extension_id or "": None for one in told.running if _is_refuted(one.claim, facts)}
    for number, leg in enumerate(legs):
        points.append(((leg.at, "~", (number, 0, 0, leg.record_id)), leg))
        if leg.extension_id in gone:
            at = max(leg.at, leg.seen_at)
            end = RecordEnd(leg.extension_id, at, EndSource.RECONCILED, Source.PRESENCE_READ, estimated=True)
            points.append(((at, "~", (number, 1, 0, leg.record_id)), end))
    legs = [leg for leg in legs if leg.extension_id not in gone]
    runs = {leg.extension_id for leg in legs} | own - gone.keys()
    if told.finished or told.vague:
        points += _told_ends(state, told, runs, facts)
    if (facts.given_up or facts.absences) and (state.live or legs):
        points += _given_up(state, told, legs, facts)
    return points


def _unseen_leg(state: State, one: Record, facts: Facts, own: Collection[str]) -> RecordLeg | None:
    claim = one.claim
    extension = claim.extension_id or ""
    side = [
        leg for leg in state.legs if leg.direction is claim.direction and extension in ("", leg.extension_id)
    ]  # fmt: skip
    watched = any(other.watched for other in facts.records if other.claim.extension_id == claim.extension_id)
    case = Running(claim, watched, side, state.live, state, facts, own)
    if any(holds(case) for _, holds in RUNNING):
        return None
    started_at = claim.read_at if claim.started_at is None else claim.started_at
    seen_at = max(started_at, end_of(claim))
    at = max(min(claim.read_at, state.clock), seen_at) if state.legs else started_at
    if side:
        extension = ""  # it goes on where no presence comes from: voicemail, a mobile telephone
    return RecordLeg(
        extension, claim.direction, claim.source, started_at, claim.from_party, claim.to_party, claim.queue_call,
        seen_at, claim.record_id, at,
    )  # fmt: skip


def _is_refuted(claim: RecordClaim, facts: Facts) -> bool:
    """Whether a later whole read of its extension does not have the call; the later answer knows better."""
    extension, since = claim.extension_id or "", end_of(claim) + BEHIND_MS
    return any(
        not read.items and read.whole and read.extension_id == extension and read.at > since for read in facts.reads
    )


def _told_ends(state: State, told: Readings, runs: Collection[str], facts: Facts) -> Points:
    points: Points = []
    over = (*told.finished, *told.vague)  # a record without a result says an end all the same
    uncovered = {id(leg) for leg in uncovered_legs(state.legs, over)}
    at_stake: dict[str, list[LegState]] = {}
    for leg in state.legs:
        if leg.live or leg.end_estimated:
            at_stake.setdefault(leg.extension_id, []).append(leg)
    for extension, legs in at_stake.items():
        own = [claim for claim in over if claim.extension_id == extension]
        last = max(own or over, key=_by_end)
        alive_at = max([_alive_at(leg, state) for leg in legs])
        case = Over(extension, legs, alive_at, own, last, uncovered, runs, facts)
        if any(holds(case) for _, holds in ENDS):
            continue
        at = max(end_of(last), alive_at)  # later by less than a second that is not told
        end = RecordEnd(extension, at, end_source_of(last.source), last.source)
        points.append(((end.at, "~", (-1, 0, 0, extension)), end))
    return points


def _alive_at(leg: LegState, state: State) -> int:
    """When presence last showed a leg alive: an extension's event counts no earlier than those before it in order
    (rule 2.7), or it would wake the leg again after its end.
    """
    side = state.sides[leg.extension_id]
    if leg.told is None or leg.told.status is NO_CALL or leg.shown != side.events:
        return leg.seen_at
    return max(leg.seen_at, side.time)


def _given_up(state: State, told: Readings, legs: list[RecordLeg], facts: Facts) -> Points:
    """Return the end of a call that no source has spoken of for very long, or that two complete listings do not have
    while no fact names its extension. One listing is not enough, for an empty answer may be a fault (rules 5.6, 6.4).
    """
    last = max([state.seen_at, *(end_of(one.claim) for one in told.running)])
    end = RecordEnd(None, last, EndSource.EXPIRED, Source.PRESENCE, estimated=True)
    if any(one.last_seen_at >= last for one in facts.given_up):
        return [((2**62, "", (0, 0, 0, "")), end)]
    askable = {leg.extension_id for leg in state.legs if leg.live} | {leg.extension_id for leg in legs}
    if not askable - {""} and sum(one.at - last > SILENT_AFTER_MS for one in facts.absences) >= 2:
        end = end._replace(end_source=EndSource.RECONCILED, source=Source.ACTIVE_CALLS)
        return [((2**62, "", (0, 0, 0, "")), end)]
    return []


def _by_end(claim: RecordClaim) -> tuple[int, str]:
    return end_of(claim), claim.record_id


def uncovered_legs(legs: Iterable[LegState], finished: Sequence[RecordClaim]) -> list[LegState]:
    """Legs that presence showed at extensions of which no record tells. A record that names no extension tells of the
    whole call. So does a record of an extension that presence did not show (a queue's), unless it tells of no talk
    while presence showed one.
    """
    named = {claim.extension_id for claim in finished}
    shown = [leg for leg in legs if leg.source in PRESENCE_SOURCES]
    if None in named:
        return []
    if named.isdisjoint([leg.extension_id for leg in shown]):
        talked = any(leg.answered_at is not None for leg in shown)
        return shown if talked and not any(answers(claim) for claim in finished) else []
    return [leg for leg in shown if leg.extension_id not in named]


# -- the authoritative result --------------------------------------------------------------------------------------


class Verdict(NamedTuple):
    """The authoritative record, and when it was first read as such."""

    claim: RecordClaim
    confirmed_at: int


def verdict_of(legs: Sequence[LegState], ended_at: int | None, told: Readings, facts: Facts) -> Verdict | None:
    """The record that counts; ``None`` while no record, or no record of the whole call, has been read
    (rules 7.1, 7.3).
    """
    if not told.finished:
        return None
    best = max(_wholes(told.finished), key=lambda claim: (answers(claim), *_by_end(claim)))
    last = max(told.finished, key=_by_end)
    seen_at = last_alive_at(facts)
    case = Result(best, last, seen_at, ended_at, uncovered_legs(legs, told.finished))
    if any(waits(case) for _, waits in RESULTS):
        return None
    read = [
        claim.read_at for claim in told.read
        if claim.record_id == best.record_id and claim.result and not claim.running
        and not _is_early(claim, seen_at, ended_at)
    ]  # fmt: skip
    return Verdict(best, min(read, default=best.read_at))


def _is_early(claim: RecordClaim, seen_at: int, ended_at: int | None) -> bool:
    """Whether a call that ended at ``ended_at`` went on after the end that a record says, so that it was read while it
    did. ``seen_at``: when presence last showed it alive; an end alone may be told long after it was.
    """
    if claim.ended_at is None or ended_at is None or ended_at <= end_of(claim) + END_TOLD_LATE_MS:
        return False
    return seen_at > _latest_end(claim) and claim.read_at < ended_at


def _wholes(claims: Collection[RecordClaim]) -> list[RecordClaim]:
    """The records without their parts: a greeting that answered, or the last leg's ringing, is not its result."""
    ids = {claim.record_id for claim in claims}
    return [claim for claim in claims if claim.leg_of not in ids]


# -- which leg a record tells of -----------------------------------------------------------------------------------


def attach_records(legs: list[LegState], told: Readings) -> None:
    """Note at each leg the records that tell of it. A record that fits no leg becomes a leg of its own. Records and
    presence have no leg id in common: of those with the same ends the nearest are taken for one, the nearest pair
    first. A record that has brought its parts is the whole of them, and no leg.
    """
    claims = [*told.finished, *told.vague]
    wholes = {claim.leg_of for claim in claims}
    parts = [claim for claim in claims if claim.record_id not in wholes]
    taken: dict[int, list[RecordClaim]] = {}
    placed: set[str] = set()
    pairs = [
        (_distance(leg, claim), claim.record_id, index, claim)
        for claim in parts for index, leg in enumerate(legs) if _fits(leg, claim)
    ]  # fmt: skip
    for _, record_id, index, claim in sorted(pairs, key=lambda pair: pair[:3]):
        if record_id not in placed and index not in taken:
            taken[index] = [claim]
            placed.add(record_id)
    for claim in parts:
        if claim.record_id not in placed:
            twin = next((n for n, others in taken.items() if any(_is_twin(one, claim) for one in others)), None)
            taken.setdefault(_added(legs, claim) if twin is None else twin, []).append(claim)
    for claim in claims:
        if claim.record_id in wholes:
            near = min((index for index in taken if _fits(legs[index], claim)), default=None)
            taken.setdefault(_added(legs, claim) if near is None else near, []).append(claim)
    for claim in (one.claim for one in told.running):
        sides = [(_distance(leg, claim), index) for index, leg in enumerate(legs) if _fits(leg, claim)]
        if sides:
            taken.setdefault(min(sides)[1], []).append(claim)
    for index, others in taken.items():
        _note_records(legs[index], others)


def _note_records(leg: LegState, claims: list[RecordClaim]) -> None:
    leg.records = tuple(dict.fromkeys([*leg.records, *(claim.record_id for claim in claims)]))
    leg.queue_call = leg.queue_call or any(claim.queue_call for claim in claims)
    began = min([claim.started_at for claim in claims if claim.started_at is not None], default=None)
    if began is not None and began < leg.started_at - COARSE_MS:
        leg.started_at = began


def _added(legs: list[LegState], claim: RecordClaim) -> int:
    started_at = claim.read_at if claim.started_at is None else claim.started_at
    leg = LegState(
        claim.extension_id or "", claim.direction, claim.record_id, claim.source, started_at, False,
        ended_at=max(started_at, end_of(claim)), end_source=end_source_of(claim.source), alive=True,
        end_estimated=claim.ended_at is None, from_party=claim.from_party, to_party=claim.to_party,
        queue_call=claim.queue_call, seen_at=started_at, records=(claim.record_id,),
    )  # fmt: skip
    legs.append(leg)
    return len(legs) - 1


def _fits(leg: LegState, claim: RecordClaim) -> bool:
    return leg.direction is claim.direction and (not claim.extension_id or leg.extension_id in {claim.extension_id, ""})


def _distance(leg: LegState, claim: RecordClaim) -> tuple[bool, int]:
    agree = _agree((leg.from_party, leg.to_party), (claim.from_party, claim.to_party))
    return not agree, abs(leg.started_at - (leg.started_at if claim.started_at is None else claim.started_at))


def _is_twin(one: RecordClaim, other: RecordClaim) -> bool:
    """Whether two records of different listings tell of the same leg."""
    begun = abs((one.started_at or 0) - (other.started_at or 0)) <= COARSE_MS
    over = abs(end_of(one) - end_of(other)) <= COARSE_MS
    side = (one.extension_id, one.direction) == (other.extension_id, other.direction)
    alike = _agree((one.from_party, one.to_party), (other.from_party, other.to_party))
    return side and one.source is not other.source and (begun or over) and alike


def _agree(ours: tuple[Party, Party], theirs: tuple[Party, Party]) -> bool:
    pairs = [(digits(one), digits(other)) for one, other in zip(ours, theirs, strict=True)]
    return all(None in pair or pair[0] == pair[1] for pair in pairs)


def digits(party: Party) -> str | None:
    """A party's number for comparison."""
    return _bare(party.number) if party.number else None


def bare(number: str | None) -> str | None:
    """A number for comparison: with and without ``+`` is the same (rule 10.2)."""
    return _bare(number) if number else None


@lru_cache(maxsize=1024)
def _bare(number: str) -> str:
    """One text for all calls of a number."""
    return number.removeprefix("+")
