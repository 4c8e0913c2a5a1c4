"""The alert rules and the dashboard speak of metrics that exist, and of nothing else."""

import json
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from ringledger.observability.metrics import Metrics

CONFIG = Path(__file__).resolve().parents[2] / "config"


def exposed() -> set[str]:
    names = set()
    collectors: Iterable[Any] = Metrics().registry._collector_to_names  # its names are the library's own
    for collector in collectors:
        total = "_total" if collector._type == "counter" else ""
        names.add(collector._name + total)
        if collector._type == "histogram":
            names |= {f"{collector._name}_{part}" for part in ("bucket", "sum", "count")}
    return names


def expressions(name: str) -> list[str]:
    text = (CONFIG / name).read_text()
    if name.endswith(".yml"):
        return re.findall(r"^ +expr: (.+)$", text, re.MULTILINE)
    return [target["expr"] for panel in json.loads(text)["panels"] for target in panel["targets"]]


@pytest.mark.parametrize(("name", "at_least"), [("alerts.yml", 5), ("dashboard.json", 10)])
def test_they_use_what_is_exposed(name, at_least):
    found = expressions(name)
    assert len(found) >= at_least
    for expression in found:
        used = re.findall(r"ringledger_\w+", expression)
        assert used or 'name="ringledger-doctor.service"' in expression  # node_exporter's
        assert set(used) <= exposed(), expression


def test_each_alert_says_what_to_do():
    text = (CONFIG / "alerts.yml").read_text()
    assert text.count("- alert:") == text.count("summary:") == text.count("action:") == 8
