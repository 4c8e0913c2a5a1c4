"""The same through decoders, pipeline, writer and a file, killed after any portion: the rows, legs and transitions of
the tables are those of the facts in order (rules 2.7, 9).

A twentieth of the stories of `test_any_order`, in each of its ways; a story that differs is written down as a
recording. They are new ones each time, from `SEED` on; `FILED` is the first seed, if it is to be another.
"""

import json
import os
import random
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.generator.__main__ import recording
from tests.generator.arrival import LOSS, MODES, in_order
from tests.generator.filing import file
from tests.generator.playing import broken, play, unlike
from tests.generator.stories import SOURCES, Story, pair, story
from tests.generator.test_any_order import EXAMPLES, SEED
from tests.generator.voices import Json

pytestmark = pytest.mark.timeout(3600)


FILED = int(os.environ.get("FILED", SEED))
#: Pairs of calls that differed once: two RingOuts at once, and records that seemed to have been read too early.
ONCE = [
    ("events", 3028, None),
    ("listings", 1002, None),
    ("listings", 2007, None),
    ("log", 3031, None),
    ("log", 2010, None),
    ("log", 36, "dials_again"),
]


@pytest.mark.parametrize("told", [story, pair])
@pytest.mark.parametrize("sources", SOURCES)
async def test_what_is_filed_is_what_the_facts_say(sources: str, told: Callable[..., Story], tmp_path: Path):
    wrong: dict[str, list[str]] = {}
    for seed in range(FILED, FILED + max(1, EXAMPLES // 20)):
        wrong |= await _wrong(told(seed, sources=sources), tmp_path)
    assert not wrong, "\n".join(f"{name}: {'; '.join(found[:4])}" for name, found in list(wrong.items())[:20])


@pytest.mark.slow
@pytest.mark.parametrize(("sources", "seed", "kind"), ONCE)
async def test_what_differed_once_does_so_no_longer(sources: str, seed: int, kind: str | None, tmp_path: Path):
    assert not await _wrong(pair(seed, kind=kind, sources=sources), tmp_path)


async def _wrong(one: Story, kept: Path) -> dict[str, list[str]]:
    """Where what is filed of a story differs, by the recording and how it came."""
    wrong: dict[str, list[str]] = {}
    name = one.seed.replace("/", "-")
    for mode in MODES:
        loss = random.Random(f"{one.seed}/{mode}/loss").choice([0.0, LOSS])
        facts, lines = recording(one, mode, loss)
        portions, stops = cut(lines, random.Random(f"{one.seed}/{mode}/file"))
        filed = await file(kept / f"{name}-{mode}.db", portions, stops=stops)
        found = unlike(play(in_order(facts, one)), filed) + broken(filed)
        if found:
            path = kept / f"{name}-{mode}.jsonl"
            path.write_text("".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines), "utf-8")
            wrong[f"{path} ({one.kind}), {[len(one) for one in portions]}, killed after {sorted(stops)}"] = found
    return wrong


def cut(lines: list[Json], rng: random.Random) -> tuple[list[list[Json]], frozenset[int]]:
    """The lines in portions of any size, and after which of them the program is killed."""
    portions: list[list[Json]] = []
    rest = list(lines)
    while rest:
        size = rng.choice([1, 1, 2, 3, 8, 50])
        portions.append(rest[:size])
        rest = rest[size:]
    kills = min(rng.choice([0, 1, 2, len(portions)]), len(portions))
    return portions, frozenset(rng.sample(range(len(portions) + 1), kills))
