"""Fixtures for every test: the log in strict mode, and a look at what was logged."""

import io
import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import structlog
from hypothesis import settings as hypothesis_settings

from ringledger.logs import configure_logging
from tests.needs import lacking

ROOT = Path(__file__).resolve().parent.parent

hypothesis_settings.register_profile("ci", derandomize=True, deadline=None)
hypothesis_settings.register_profile("dev", deadline=None)
hypothesis_settings.load_profile("ci" if os.environ.get("CI") else "dev")


class LogLines:
    """What was logged in this test, as a reader of the JSON sees it."""

    def __init__(self) -> None:
        self.stream = io.StringIO()

    def all(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.stream.getvalue().splitlines()]

    def named(self, event: str) -> list[dict[str, Any]]:
        return [line for line in self.all() if line["event"] == event]

    @property
    def events(self) -> list[str]:
        return [line["event"] for line in self.all()]

    @property
    def text(self) -> str:
        return self.stream.getvalue()


def pytest_runtest_setup(item: pytest.Item) -> None:
    """What a test needs and this machine lacks is a reason to skip it, but not where every test has to run."""
    for mark in item.iter_markers("needs"):
        there, what, cure = mark.args
        if not there:
            lacking(what, cure)


@pytest.fixture
def root() -> Path:
    """The top of the source tree."""
    return ROOT


@pytest.fixture(autouse=True)
def logs() -> Iterator[LogLines]:
    """Every test logs as JSON, all levels, into `logs`; an event name outside the closed list fails it."""
    lines = LogLines()
    configure_logging("debug", "json", stream=lines.stream, strict=True)
    structlog.contextvars.clear_contextvars()
    yield lines
    structlog.contextvars.clear_contextvars()


@pytest.fixture(scope="session")
def logs_factory() -> Callable[[], LogLines]:
    """A fresh log for each example of a property test."""

    def fresh() -> LogLines:
        lines = LogLines()
        configure_logging("debug", "json", stream=lines.stream, strict=True)
        return lines

    return fresh
