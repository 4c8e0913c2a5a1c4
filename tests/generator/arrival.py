"""The order in which facts arrive: in order, late, in a burst, in any order; some twice, some never."""

import random

from tests.generator.stories import Story
from tests.generator.voices import Fact, Json, iso

MODES = ("late", "burst", "any")
#: How much is lost for good where something is.
LOSS = 0.25


def survivors(story: Story, rng: random.Random, loss: float) -> list[Fact]:
    """The facts that are not lost."""
    return [fact for fact in story.facts if rng.random() >= loss]


def in_order(facts: list[Fact], story: Story) -> list[Json]:
    """Lines of a recording, as if everything came when it was sent."""
    first = story.blind[0][0] if story.blind else 0
    usual = [(fact.sent + fact.delay, fact) for fact in facts]
    return _lines([(min(at, first) if fact.sent < first else at, fact) for at, fact in usual], story)


def disordered(facts: list[Fact], story: Story, mode: str, rng: random.Random) -> list[Json]:
    """The same facts in another order of arrival. Nothing arrives before it was sent, and what came before a blind span
    of the feed does not come after it.
    """
    arrivals: list[tuple[int, Fact]] = []
    for part, until in _parts(facts, story):
        arrivals += _disordered(part, mode, rng, until)
    if rng.random() < 0.5:  # some come twice
        again = [(at + rng.randint(1, 20_000), fact) for at, fact in arrivals if rng.random() < 0.3]
        arrivals += [(at, fact) for at, fact in again if not (story.blind and fact.sent < story.blind[0][0])]
    return _lines(arrivals, story)


def _parts(facts: list[Fact], story: Story) -> list[tuple[list[Fact], int | None]]:
    """What comes before a blind span and what comes after it, and by when the former has to come."""
    if not story.blind:
        return [(facts, None)]
    first, last = story.blind[0]
    return [
        ([fact for fact in facts if fact.sent < first], first),
        ([fact for fact in facts if fact.sent >= last], None),
    ]


def _disordered(facts: list[Fact], mode: str, rng: random.Random, until: int | None) -> list[tuple[int, Fact]]:
    if not facts:
        return []
    arrivals = _MODES[mode](facts, rng)
    if until is not None:
        return [(min(at, until), fact) for at, fact in arrivals]
    return arrivals


def _late(facts: list[Fact], rng: random.Random) -> list[tuple[int, Fact]]:
    """Some events come up to a minute late."""
    late = [fact.pushed and rng.random() < 0.15 for fact in facts]
    return [
        (fact.sent + fact.delay + (rng.randint(500, 60_000) if held else 0), fact)
        for fact, held in zip(facts, late, strict=True)
    ]


def _burst(facts: list[Fact], rng: random.Random) -> list[tuple[int, Fact]]:
    """The events of some time come together, in any order."""
    first, last = facts[0].sent, facts[-1].sent
    begin = rng.randint(first, max(first, last - 1_000))
    end = begin + rng.randint(2_000, max(3_000, last - first))
    held = [fact.pushed and begin <= fact.sent < end for fact in facts]
    return [
        (end + rng.randint(200, 2_000) if one else fact.sent + fact.delay, fact)
        for fact, one in zip(facts, held, strict=True)
    ]


def _any(facts: list[Fact], rng: random.Random) -> list[tuple[int, Fact]]:
    """Everything comes after the end, in any order, at times slow enough for timers to fire between."""
    at, arrivals = facts[-1].sent + 1_000, []
    for fact in rng.sample(facts, len(facts)):
        at += rng.choice([1, 20, 300, 2_000, 15_000])
        arrivals.append((at, fact))
    return arrivals


_MODES = {"late": _late, "burst": _burst, "any": _any}


def _first_after(arrivals: list[tuple[int, Fact]], story: Story) -> list[tuple[int, Fact]]:
    """An extension's first event after a blind span arrives first: that it was the first is a part of the fact."""
    if not story.blind:
        return arrivals
    last = story.blind[0][1]
    events: dict[str, list[int]] = {}
    for number, (_, fact) in enumerate(arrivals):
        if fact.pushed and fact.sent >= last:
            events.setdefault(fact.line["notification"]["body"]["extensionId"], []).append(number)
    kept = list(arrivals)
    for numbers in events.values():
        first = min(numbers, key=lambda number: arrivals[number][1].sent)
        soonest = min(numbers, key=lambda number: arrivals[number][0])
        kept[first], kept[soonest] = (
            (max(arrivals[soonest][0], arrivals[first][1].sent), arrivals[first][1]),
            (max(arrivals[first][0], arrivals[soonest][1].sent), arrivals[soonest][1]),
        )
    return kept


def _lines(arrivals: list[tuple[int, Fact]], story: Story) -> list[Json]:
    lines = [(at, 1, fact.line | {"received_at": iso(at)}) for at, fact in _first_after(arrivals, story)]
    for first, last in story.blind:
        lines.append((first, 2, {"source": "feed", "state": "blind", "at": iso(first)}))
        lines.append((last, 0, {"source": "feed", "state": "live", "at": iso(last)}))
    return [line for _, _, line in sorted(lines, key=lambda one: one[:2])]
