"""Whatever the order of arrival, and whatever comes twice or never: the same facts give the same row, and the true one
where they suffice (rules 2.7, 4 to 7).

`EXAMPLES` stories from seed `SEED` on (`make any-order`). In half of them the program ends in the middle and begins
again; a story that fails is written down as a recording for `ringledger replay`.
"""

import json
import os
import random
from pathlib import Path

import pytest

from tests.generator.__main__ import COLUMNS, check, recording
from tests.generator.arrival import LOSS, MODES, in_order
from tests.generator.playing import broken, play, unlike
from tests.generator.stories import SOURCES, pair, story

#: Stories of the suite; `make any-order` asks for more.
FEW = 10
EXAMPLES = int(os.environ.get("EXAMPLES", FEW))
SEED = int(os.environ.get("SEED", "1"))

pytestmark = pytest.mark.timeout(3600)


@pytest.mark.parametrize("sources", SOURCES)
def test_the_same_facts_give_the_same_row_and_the_true_one(sources: str, tmp_path_factory: pytest.TempPathFactory):
    wrong: dict[str, list[str]] = {}
    kept = tmp_path_factory.mktemp("stories")
    for seed in range(SEED, SEED + EXAMPLES):
        for way, found in check(seed, sources=sources).items():
            one = story(seed, sources=sources)
            if found:
                wrong[f"{_written(kept, seed, sources, way)} ({one.kind})"] = found
    assert not wrong, "\n".join(f"{name}: {'; '.join(found[:4])}" for name, found in list(wrong.items())[:20])


@pytest.mark.parametrize("sources", SOURCES)
def test_of_calls_near_one_another_the_same_facts_give_the_same_rows(sources: str):
    wrong: dict[str, list[str]] = {}
    for seed in range(SEED, SEED + EXAMPLES):
        one = pair(seed, sources=sources)
        for mode in MODES:
            for loss in (0.0, LOSS):
                facts, lines = recording(one, mode, loss)
                told = play(lines, batch=random.Random(f"{one.seed}/{mode}").choice([1, 3, 50]))
                if found := unlike(play(in_order(facts, one)), told) + broken(told):
                    wrong[f"{one.seed} {mode} -{loss:.0%} ({one.kind})"] = found
    assert not wrong, "\n".join(f"{name}: {'; '.join(found[:4])}" for name, found in list(wrong.items())[:20])


@pytest.mark.parametrize("sources", SOURCES)
def test_calls_that_rest_between_what_is_heard_of_them_are_told_alike(sources: str):
    wrong: dict[str, list[str]] = {}
    for seed in range(SEED, SEED + EXAMPLES):
        for one in (story(seed, sources=sources), pair(seed, sources=sources)):
            for mode in MODES:
                _, lines = recording(one, mode, 0.0)
                if found := unlike(play(lines), play(lines, rest=True)):
                    wrong[f"{one.seed} {mode} ({one.kind})"] = found
    assert not wrong, "\n".join(f"{name}: {'; '.join(found[:4])}" for name, found in list(wrong.items())[:20])


def _written(kept: Path, seed: int, sources: str, way: str) -> Path:
    """The story in that way of arrival, in a file."""
    one = story(seed, sources=sources)
    mode, _, lost = way.partition(" -")
    if mode in MODES:
        _, lines = recording(one, mode, LOSS if lost else 0.0)
    else:
        lines = in_order(one.facts, one)
    path = kept / f"{sources}-{seed}-{COLUMNS.index(way)}.jsonl"
    path.write_text("".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines), encoding="utf-8")
    return path
