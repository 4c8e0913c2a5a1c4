"""The same through decoders, pipeline, writer and a file, killed after any portion: the rows, legs and transitions of
the tables are those of the facts in order (rules 2.7, 9).

A tenth of the stories of `test_any_order`, in each of its ways; a story that differs is written down as a recording.
They are always the same ones, whatever `SEED` says: new ones still find what a kill is known to lose. A read of
presence, or a listing, that came before its call is known is remembered in memory alone; of two RingOuts within
seconds, which half is whose may depend on what was in memory when the second became known. `FILED` is the first seed.
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
from tests.generator.test_any_order import EXAMPLES, FEW
from tests.generator.voices import Json

pytestmark = pytest.mark.timeout(3600)


FILED = int(os.environ.get("FILED", "1"))
#: Stories in which nothing is lost by a kill: more of them.
LASTING = [("events", story), ("log", story)]


@pytest.mark.parametrize("told", [story, pair])
@pytest.mark.parametrize("sources", SOURCES)
async def test_what_is_filed_is_what_the_facts_say(sources: str, told: Callable[..., Story], tmp_path: Path):
    wrong: dict[str, list[str]] = {}
    many = EXAMPLES if (sources, told) in LASTING else FEW
    for seed in range(FILED, FILED + max(1, many // 10)):
        one = told(seed, sources=sources)
        for mode in MODES:
            loss = random.Random(f"{one.seed}/{mode}/loss").choice([0.0, LOSS])
            facts, lines = recording(one, mode, loss)
            portions, stops = cut(lines, random.Random(f"{one.seed}/{mode}/file"))
            filed = await file(tmp_path / f"{sources}-{seed}-{mode}.db", portions, stops=stops)
            found = unlike(play(in_order(facts, one)), filed) + broken(filed)
            if found:
                kept = tmp_path / f"{sources}-{seed}-{mode}.jsonl"
                kept.write_text("".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines), "utf-8")
                wrong[f"{kept} ({one.kind}), {[len(one) for one in portions]}, killed after {sorted(stops)}"] = found
    assert not wrong, "\n".join(f"{name}: {'; '.join(found[:4])}" for name, found in list(wrong.items())[:20])


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
