"""Stories: a kind of call, everything the platform says of it, and the row a right ledger has."""

import random
from dataclasses import dataclass, field

from tests.generator.kinds import KINDS, Planner
from tests.generator.pairs import PAIRS
from tests.generator.voices import Fact, Platform
from tests.generator.world import DISPOSITIONS, Call, Truth, truth_of

#: 2026-03-02T09:00:00Z.
T0 = 1_772_442_000_000
#: What the facts are taken from: events alone, those and reads of presence, and listings, and records of the log.
SOURCES = ("events", "reads", "listings", "log")


@dataclass(frozen=True)
class Story:
    """``facts`` in the order in which they are sent. ``blind``: spans in which the feed brought nothing (its events are
    not among the facts). ``truth`` by session: the columns that the facts suffice for.
    """

    seed: str
    kind: str
    facts: list[Fact]
    truth: dict[str, Truth]
    blind: list[tuple[int, int]] = field(default_factory=list)


def pair(seed: int, *, kind: str | None = None, sources: str = "log") -> Story:
    """The story of a seed about calls near one another, of which no truth is known but that any order tells the same.
    ``sources``: as of :func:`story`.
    """
    rng = random.Random(f"pair/{kind}/{sources}/{seed}")
    chosen = kind or rng.choice(sorted(PAIRS))
    calls = PAIRS[chosen](Planner(rng, T0 + rng.randrange(3_600_000)))
    platform = Platform(calls, rng, modern=chosen == "shared_telephony" or rng.random() < 0.7, exact=rng.random() < 0.6)
    facts = platform.events()
    depth = SOURCES.index(sources)
    facts += _reads(platform, rng) if depth >= 1 else []
    if depth >= 2:
        facts += [
            platform.listing(rng.randint(platform.begun + 1_000, platform.over + 30_000))
            for _ in range(rng.randint(1, 3))
        ]
    facts += _logged(platform, rng, single=False, details=False) if depth >= 3 else []
    return Story(f"pair/{kind or 'any'}/{sources}/{seed}", chosen, sorted(facts, key=lambda one: one.sent), {})


def story(seed: int, *, kind: str | None = None, sources: str = "log") -> Story:
    """The story of a seed. ``sources``: up to which of :data:`SOURCES` it has facts."""
    rng = random.Random(f"{kind}/{sources}/{seed}")
    chosen = kind or rng.choice([*KINDS, "away"])
    away = chosen == "away"
    planned = rng.choice(sorted(KINDS)) if away else chosen
    calls = KINDS[planned](Planner(rng, T0 + rng.randrange(3_600_000)))
    platform = Platform(calls, rng, modern=rng.random() < 0.7, exact=rng.random() < 0.6)
    depth = SOURCES.index(sources)
    facts = platform.events()
    if depth >= 1:
        facts += _reads(platform, rng)
    if depth >= 2:
        facts += [
            platform.listing(rng.randint(platform.begun + 1_000, platform.over + 30_000))
            for _ in range(rng.randint(1, 3))
        ]
    booked = depth >= 3 and (away or rng.random() < 0.8)
    single = rng.random() < 0.25
    details = not single and rng.random() < 0.4
    if booked:
        facts += _logged(platform, rng, single=single, details=details)
    parts = single or details
    truth = {call.session: _truth(call, platform, depth, booked=booked, parts=parts) for call in calls}
    blind: list[tuple[int, int]] = []
    if away:
        facts, blind, truth = _away(platform, rng, facts, truth, booked=booked)
    return Story(f"{kind or 'any'}/{sources}/{seed}", chosen, sorted(facts, key=lambda one: one.sent), truth, blind)


def _reads(platform: Platform, rng: random.Random) -> list[Fact]:
    """Some extensions are asked now and then, before and after the end."""
    spans = range(rng.randint(1, 4))
    return [
        platform.read(rng.choice(platform.extensions), rng.randint(platform.begun + 200, platform.over + 20_000))
        for _ in spans
    ]


def _logged(platform: Platform, rng: random.Random, *, single: bool, details: bool) -> list[Fact]:
    """The log is read once while the call may still go on, and once when it is complete."""
    unseen = max(call.unseen for call in platform.calls)
    complete = platform.log(platform.over + unseen + rng.randint(30_000, 90_000), single=single, details=details)
    if rng.random() < 0.3:
        early = rng.randint(platform.begun + 5_000, platform.over + 25_000)
        return [platform.log(early, single=single, details=details), complete]
    return [complete]


def _truth(call: Call, platform: Platform, depth: int, *, booked: bool, parts: bool) -> Truth:
    """The row when no fact is missing."""
    truth = truth_of(call)
    if call.kind == "ringout" or not platform.modern:
        truth.pop("queue_call")
    listed = depth >= 2  # a listing may have had the finished call
    if listed:
        for column in ("duration_ms", "end_source"):
            truth.pop(column)
    if listed and call.unseen:
        for column in ("ended_at", "ring_ms", "disposition"):
            truth.pop(column)
    if listed and call.result not in {"Accepted", "Call connected"}:
        truth.pop("disposition", None)
    if booked:
        truth["disposition"] = DISPOSITIONS[call.result]
        truth["result"] = call.result
        if call.unseen:
            truth["ended_at"] = call.over + call.unseen
        if not parts or len(call.legs) == 1:  # else it is the figure of one of several records
            exact = call.over + call.unseen - call.begun
            truth["duration_ms"] = exact if platform.exact else exact // 1000 * 1000
        if not platform.exact and call.unseen:
            truth["ended_at"] = call.begun + (call.over + call.unseen - call.begun) // 1000 * 1000
    return truth


def _away(
    platform: Platform, rng: random.Random, facts: list[Fact], truth: dict[str, Truth], *, booked: bool
) -> tuple[list[Fact], list[tuple[int, int]], dict[str, Truth]]:
    """The daemon hears nothing for a while; when it is back it asks."""
    begun, over = platform.begun, platform.over
    first, last = sorted(rng.sample(range(begun - 20_000, over + 20_000), 2))
    first, last = (begun - 1_000, over + 1_000) if rng.random() < 0.15 else (first, last)
    heard = [one for one in facts if not first <= one.sent < last]
    heard.append(platform.listing(last + rng.randint(500, 3_000)))
    heard += [platform.read(one, last + rng.randint(3_000, 6_000)) for one in platform.extensions]
    known = _known(platform, truth, first, last, heard) if booked else {}
    return heard, [(first, last)], known


def _known(platform: Platform, truth: dict[str, Truth], first: int, last: int, heard: list[Fact]) -> dict[str, Truth]:
    """What records and the events outside the blind span suffice for."""
    kept = ("direction", "started_at", "ended_at", "disposition", "result", "part_of")
    known: dict[str, Truth] = {}
    for call in platform.calls:
        row = {column: truth[call.session][column] for column in kept if column in truth[call.session]}
        moments = [change.at for leg in call.legs for change in leg.changes]
        lost = [at for at in moments if first <= at < last]
        if not lost and not any(first <= at < last for at in range(call.begun, call.over, 500)):
            row = truth[call.session]
        elif not platform.exact and lost:
            row.pop("ended_at", None)  # known to the second
        if moments == lost and not any(call.session in str(one.line) for one in heard if one.presence):
            row |= {"ring_ms": None, "hold_ms": None}
        known[call.session] = row
    return known
