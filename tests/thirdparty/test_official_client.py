"""Clients that nobody here wrote work against `ringledger simulate`: the platform's own Python package."""

import json
import os
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.importorskip("ringcentral", reason="the platform's Python client is not installed")

CLIENT = Path(__file__).with_name("official_client.py")


@pytest.fixture
def platform() -> Iterator[dict[str, dict[str, str]]]:
    """`ringledger simulate` with a busy office; the configuration it prints."""
    words = [sys.executable, "-m", "ringledger", "simulate", "--speed", "30", "--calls-per-hour", "600"]
    env = {name: text for name, text in os.environ.items() if not name.startswith("RINGLEDGER_")}
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True, env=env) as child:
        try:
            assert child.stdout is not None
            lines: list[str] = []
            while not (lines and lines[-1].startswith("url = ")):  # the last key it prints
                lines.append(child.stdout.readline())
                assert child.poll() is None
            yield tomllib.loads("".join(lines))
        finally:
            child.terminate()


def test_it_logs_in_subscribes_over_a_websocket_and_hears_a_call(platform: dict[str, dict[str, str]]) -> None:
    given = platform["credentials"]
    access = [platform["platform"]["server_url"], given["client_id"], given["client_secret"], given["jwt"]]
    extensions = [str(2001 + n) for n in range(5)]
    done = subprocess.run(
        [sys.executable, str(CLIENT), *access, *extensions], capture_output=True, text=True, timeout=50, check=False
    )
    assert done.returncode == 0, done.stderr
    steps = {line["step"]: line for line in map(json.loads, done.stdout.splitlines())}
    assert steps["logged in"]["is_logged_in"]
    assert steps["refreshed"]["another"]
    assert str(steps["me"]["id"]) == "2001"
    assert steps["extensions"] == {"step": "extensions", "ids": [2001, 2002], "more": True}
    assert steps["greeted"]["type"] == "ConnectionDetails"
    call = steps["call"]
    assert call["extension"] in extensions
    assert (call["statuses"][0], call["statuses"][-1]) == ("Ringing", "NoCall")
    assert not steps["logged out"]["is_logged_in"]
    # it waits for a header in the answer that the platform no longer sends, and neither does the simulator
    assert "subscription created" not in steps
