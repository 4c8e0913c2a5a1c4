"""How many stories come out wrong: `python -m tests.generator [EXAMPLES] [FIRST SEED]`, or one as a recording:
`python -m tests.generator --show SEED [--kind KIND] [--sources SOURCE] [--mode MODE] [--loss]`.

A table of kinds against ways of arrival: in each cell the stories whose row is another than in order (or, in the column
``in order``, not the truth) of so many.
"""

import argparse
import json
import random
import sys
from collections import Counter

from tests.generator.arrival import LOSS, MODES, disordered, in_order, survivors
from tests.generator.playing import broken, play, unlike, untrue
from tests.generator.stories import SOURCES, Story, story

COLUMNS = ("in order", *MODES, *(f"{mode} -25%" for mode in MODES))


def check(seed: int, *, kind: str | None = None, sources: str = "log", history: bool = True) -> dict[str, list[str]]:
    """What is wrong with the story of a seed, by way of arrival."""
    one = story(seed, kind=kind, sources=sources)
    usual = play(in_order(one.facts, one))
    found = {"in order": untrue(usual, one.truth) + broken(usual)}
    for mode in MODES:
        for loss in (0.0, LOSS):
            facts, lines = recording(one, mode, loss)
            expected = usual if loss == 0 else play(in_order(facts, one))
            chance = random.Random(f"{one.seed}/{mode}")
            batch = chance.choice([1, 1, 3, 50])
            told = play(lines, batch=batch, stop=chance.choice([None, chance.randint(0, len(lines))]))
            name = mode if loss == 0 else f"{mode} -25%"
            found[name] = unlike(expected, told, history=history) + broken(told)
    return found


def recording(one: Story, mode: str, loss: float) -> tuple[list, list]:  # type: ignore[type-arg]
    """The facts that survive, and their lines in that way of arrival; the same for the same story."""
    rng = random.Random(f"{one.seed}/{mode}/{loss}")
    facts = survivors(one, rng, loss)
    return facts, disordered(facts, one, mode, rng)


def table(examples: int, first: int, sources: str, *, history: bool) -> int:
    """Print the table; returns how many cells had something wrong."""
    wrong: Counter[tuple[str, str]] = Counter()
    stories: Counter[str] = Counter()
    samples: dict[tuple[str, str], tuple[int, str]] = {}
    for seed in range(first, first + examples):
        kind = story(seed, sources=sources).kind
        stories[kind] += 1
        for name, found in check(seed, sources=sources, history=history).items():
            if found:
                wrong[kind, name] += 1
                samples.setdefault((kind, name), (seed, found[0]))
    print(f"{examples} stories from seed {first}, facts up to {sources}: how many have another row than in order")
    print(f"{'':20}{'stories':>8}" + "".join(f"{name:>12}" for name in COLUMNS))
    for kind in sorted(stories):
        print(f"{kind:20}{stories[kind]:8}" + "".join(f"{wrong[kind, name]:12}" for name in COLUMNS))
    totals = [sum(wrong[kind, name] for kind in stories) for name in COLUMNS]
    print(f"{'all':20}{examples:8}" + "".join(f"{total:12}" for total in totals))
    for (kind, name), (seed, what) in sorted(samples.items()):
        print(f"  {kind}, {name}: seed {seed}: {what}")
    return sum(totals)


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("examples", nargs="?", type=int, default=500)
    parser.add_argument("first", nargs="?", type=int, default=1)
    parser.add_argument("--sources", choices=SOURCES, default="log")
    parser.add_argument("--rows", action="store_true", help="compare rows alone, not legs and transitions")
    parser.add_argument("--show", type=int, metavar="SEED", help="print the recording of a seed instead")
    parser.add_argument("--kind")
    parser.add_argument("--mode", choices=MODES)
    parser.add_argument("--loss", action="store_true")
    asked = parser.parse_args()
    if asked.show is None:
        return int(table(asked.examples, asked.first, asked.sources, history=not asked.rows) > 0)
    one = story(asked.show, kind=asked.kind, sources=asked.sources)
    facts, lines = recording(one, asked.mode or MODES[0], LOSS if asked.loss else 0.0)
    for line in lines if asked.mode else in_order(facts if asked.loss else one.facts, one):
        print(json.dumps(line, ensure_ascii=False))
    print(f"{one.kind}: {json.dumps(one.truth)}", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main())
