"""A database made by a stranger behind `serve`: it answers each question in time, with an answer or a problem that says
what is wrong, and lives; no internal error, no memory by the gigabyte, nothing a browser runs.

The databases are those of ``tests/cli/test_hostile_database.py``; each becomes so under a server that runs, and is then
the one a server starts with.
"""

import time
from pathlib import Path

import httpx
import pytest

from tests.cli.test_hostile_database import MADE, given, marked, not_utf8, triggers
from tests.web.served import NO_TLS, NotListening, Served, books, serving

ASKED = (
    "/api/v1/calls", "/api/v1/calls?limit=500", "/api/v1/calls?number=4155550100", "/api/v1/active", "/api/v1/presence",
    "/api/v1/stats?by=day", "/api/v1/stats?by=extension", "/api/v1/coverage", "/api/v1/health", "/", "/calls",
    "/charts", "/coverage", "/calls.csv", "/calls.jsonl", "/livez",
)  # fmt: skip
#: A problem of the database is nobody's internal error: 503 says what to do.
ANSWERS = {200, 404, 503}
#: The longest an answer may take, seconds; and the most memory a server may have had, MiB.
LONGEST = 20.0
#: After so many seconds the server breaks a question off: some never end.
BROKEN_OFF = "1"
MOST_MIB = 400


def ask_all(served: Served, sessions: list[str]) -> None:
    for path in (*ASKED, *(f"/api/v1/calls/{one}" for one in sessions), *(f"/calls/{one}" for one in sessions)):
        began = time.monotonic()
        answer = served.get(path, accept="text/html" if path.count("/") < 3 and "." not in path else "*/*")
        assert time.monotonic() - began < LONGEST, path
        assert answer.status_code in ANSWERS, (path, answer.status_code, answer.text[:300])
        assert "\x1b" not in answer.text, path
    with httpx.stream("GET", f"{served.address}/api/v1/events", timeout=LONGEST, verify=NO_TLS) as events:
        assert events.status_code in ANSWERS
        assert next(events.iter_lines(), "").isprintable()
    assert served.log("web.failed") == []
    status = Path(f"/proc/{served.process.pid}/status").read_text()
    peak = next(int(line.split()[1]) / 1024 for line in status.splitlines() if line.startswith("VmHWM:"))
    assert peak < MOST_MIB


@pytest.mark.timeout(300)
@pytest.mark.parametrize("change", marked(*(one for one in MADE if one not in {triggers, not_utf8})))
def test_every_question_is_answered_as_documented(tmp_path, change):
    database = books(tmp_path / "r.db", days=1)
    with serving(database, RINGLEDGER_SERVE__QUERY_SECONDS=BROKEN_OFF) as served:
        sessions = [row["session_id"] for row in served.items("/api/v1/calls?limit=2")]
        given(database, change)
        ask_all(served, sessions)
        assert served.stop() == 0
    try:
        with serving(database, RINGLEDGER_SERVE__QUERY_SECONDS=BROKEN_OFF) as served:
            ask_all(served, sessions)
            assert served.stop() == 0
    except NotListening as ended:
        assert ended.code in {65, 78}
        assert ended.told.count("\n") == 1
