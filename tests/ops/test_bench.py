"""A bench that finds something over its limit does not end as if all were well."""

import sys
from contextlib import nullcontext

import pytest

from tests.bench import bench_queries, bench_start


@pytest.mark.parametrize(("limit", "code"), [(10_000.0, 0), (0.0, 1)])
def test_questions(monkeypatch, capsys, limit, code):
    monkeypatch.setattr(sys, "argv", ["bench", "500"])
    monkeypatch.setattr(bench_queries, "LIMIT_MS", limit)
    assert bench_queries.main() == code
    assert capsys.readouterr().out.count("OVER THE LIMIT") == 2 * code


def test_the_worst_of_the_rounds_counts(capsys):
    assert bench_start.within("READY", [0.1, 2.0], 2.0)
    assert not bench_start.within("READY", [0.1, 2.1], 2.0)
    assert capsys.readouterr().out.count("OVER THE LIMIT") == 1


@pytest.mark.parametrize("over", [None, "empty", "full", "stop"])
def test_start_and_stop(monkeypatch, over):
    """Whole processes are for `make bench`: how long they took is given here."""
    limits = {"empty": 2.0, "full": 5.0, "stop": 5.0}
    assert limits == bench_start.LIMITS
    took = {name: limit + (0.1 if name == over else 0.0) for name, limit in limits.items()}
    monkeypatch.setattr(sys, "argv", ["bench", "5", "2"])
    monkeypatch.setattr(bench_start, "busy_platform", nullcontext)
    database = lambda path: "full" if path.stem == "full" else "empty"  # noqa: E731
    monkeypatch.setattr(bench_start, "life", lambda _, path, **__: (took[database(path)], took["stop"]))
    assert bench_start.main() == (0 if over is None else 1)
