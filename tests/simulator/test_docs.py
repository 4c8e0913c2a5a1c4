"""The page about the simulator names every fault, with its rate."""

import re
from pathlib import Path

from ringledger.simulator import FAULT_NAMES
from ringledger.simulator.faults.plan import KINDS

PAGE = (Path(__file__).parents[2] / "docs" / "simulator.md").read_text(encoding="utf-8")


def test_every_fault_is_on_the_page():
    assert {name for name in FAULT_NAMES if f"`{name}`" not in PAGE} == set()


def test_rates_and_seconds_are_right():
    rows = dict(re.findall(r"^\| `([a-z0-9-]+)` \|.*\| ([^|]*) \|$", PAGE, re.MULTILINE))
    assert set(rows) == {name for name, kind in KINDS.items() if kind.where != "poll"}
    for name, said in rows.items():
        kind = KINDS[name]
        usual = "once" if kind.rate is None else f"{kind.rate:.0%}".replace("%", " %")
        assert said == usual + (f", {kind.seconds:g} s" if kind.timed else "")
