"""docs/queries.md: each statement is run, and its answer is computed from the same calls without SQL."""

import os
import re
import sqlite3
import time
from collections import Counter, defaultdict
from contextlib import closing
from datetime import datetime
from math import ceil
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from ringledger.ledger.file.sqlite import connect
from ringledger.ledger.schema.views import VIEWS
from tests import office

PAGE = Path(__file__).parents[1] / "docs" / "queries.md"
QUESTIONS = dict(re.findall(r"(?ms)^## (\d+)\. [^\n]+\n.*?```sql\n(.*?)```", PAGE.read_text(encoding="utf-8")))
#: Three weeks around the beginning of summer time; a week before them is in the books too.
PERIOD = {"since": "2026-03-16", "until": "2026-04-06"}
ZONE = ZoneInfo("Europe/Berlin")
EVERYTHING = [row for row in office.days(11, office.utc("2026-03-09"), 28, 60) if row["part_of"] is None]
CALLS = [row for row in EVERYTHING if PERIOD["since"] <= row["started_at"] < PERIOD["until"]]
INBOUND = [row for row in CALLS if row["direction"] == "Inbound"]
#: Who calls once at the end, and once twice at the beginning: a new number, and one to whom a call-back is owed.
NEW, OWED = "+14155559901", "+14155559902"


def extra(number, session, at, disposition):
    row = dict(EVERYTHING[0]) | {"internal": 0, "direction": "Inbound", "part_of": None, "to_number": "+16505551000"}
    return row | {
        "session_id": session, "from_number": number, "started_at": at, "ended_at": at, "answered_at": None,
        "disposition": disposition, "ring_ms": 7_000, "talk_ms": 0, "hold_ms": 0, "duration_ms": 0,
    }  # fmt: skip


#: Known from the platform's records alone: nobody saw it ring.
UNSEEN = {"ring_ms": None, "events_accepted": 0, "queue_call": 0}
EXTRA = [
    extra(OWED, "1", "2026-03-10T08:00:00.000Z", "answered"),
    extra(OWED, "2", "2026-03-18T08:00:00.000Z", "missed"),
    extra(OWED, "3", "2026-03-18T08:30:00.000Z", "abandoned"),
    extra(NEW, "4", "2026-04-03T08:00:00.000Z", "answered"),
    *(extra(None, f"{n}", "2026-03-20T08:00:00.000Z", "answered") | UNSEEN for n in range(5, 400)),
    extra(None, "400", "2026-03-20T08:00:00.000Z", "abandoned") | UNSEEN | {"queue_call": 1},
]
EVERYTHING += EXTRA
CALLS += EXTRA[1:]
INBOUND += EXTRA[1:]


@pytest.fixture(scope="module")
def books(tmp_path_factory):
    path = tmp_path_factory.mktemp("books") / "ringledger.db"
    office.prepared(path)
    parts = [row for row in office.days(11, office.utc("2026-03-09"), 28, 60) if row["part_of"] is not None]
    assert parts
    office.insert(path, "call", [*EVERYTHING, *parts])
    office.insert(path, "extension", [office.extension(n, "NoCall", 1_772_442_000_000) for n in range(7)])
    return path


@pytest.fixture(scope="module")
def ask(books):
    """The rows that answer a question, with the machine's clock in Berlin."""
    before = os.environ.get("TZ")
    os.environ["TZ"] = ZONE.key
    time.tzset()
    with closing(connect(books, read_only=True)) as connection:
        connection.row_factory = sqlite3.Row
        yield lambda number: [dict(row) for row in connection.execute(QUESTIONS[number], PERIOD)]
    os.environ.pop("TZ") if before is None else os.environ.update(TZ=before)
    time.tzset()


def local(row):
    return datetime.fromisoformat(row["started_at"]).astimezone(ZONE)


def groups(rows, key):
    found = defaultdict(list)
    for row in rows:
        found[key(row)].append(row)
    return found


def share(rows, *dispositions):
    return round(sum(row["disposition"] in dispositions for row in rows) / len(rows), 4)


def seconds(rows, name):
    return sum(row[f"{name}_ms"] for row in rows) / 1000


def answered(rows):
    return [row for row in rows if row["disposition"] == "answered"]


def other(row):
    return row["from_number"] if row["direction"] == "Inbound" else row["to_number"]


def q1():
    missed = Counter(row["extension_id"] for row in INBOUND if row["disposition"] == "missed")
    known = {ident: (short, name) for ident, short, name in office.PEOPLE[:7]}
    ranked = sorted(missed.items(), key=lambda item: (-item[1], item[0]))
    return [(ident, *known.get(ident, (None, None)), count) for ident, count in ranked]


def q2():
    hours = groups(INBOUND, lambda row: f"{local(row):%H}")
    return [(hour, len(rows), len(answered(rows)), share(rows, "answered")) for hour, rows in sorted(hours.items())]


def q3():
    longest = sorted(
        (row for row in INBOUND if row["ring_ms"] is not None), key=lambda row: (-row["ring_ms"], row["session_id"])
    )[:10]
    names = ("session_id", "started_at", "from_number", "disposition")
    return [(*(row[name] for name in names), row["ring_ms"] / 1000) for row in longest]


def q4():
    spoken = defaultdict(str)
    for row in answered(EVERYTHING):
        for number in {row["from_number"], row["to_number"]} - {None}:
            spoken[number] = max(spoken[number], row["started_at"])
    owed = [
        row for row in INBOUND
        if row["disposition"] in {"missed", "voicemail", "abandoned"} and row["from_number"]
        and spoken[row["from_number"]] <= row["started_at"]
    ]  # fmt: skip
    tries = [
        (number, len(rows), max(row["started_at"] for row in rows))
        for number, rows in groups(owed, lambda row: row["from_number"]).items()
    ]
    return sorted(tries, key=lambda one: (one[2], one[0]))


def q5():
    numbers = groups((row for row in CALLS if not row["internal"] and other(row)), other)
    ranked = sorted(numbers.items(), key=lambda item: (-len(item[1]), item[0]))[:10]
    return [
        (number, len(rows), sum(row["direction"] == "Inbound" for row in rows), seconds(rows, "talk"))
        for number, rows in ranked
    ]


def q6():
    lines = [
        (ident, len(rows), round(seconds(rows, "talk") / len(rows), 1), round(seconds(rows, "talk") / 3600, 2))
        for ident, rows in groups(answered(CALLS), lambda row: row["extension_id"]).items()
    ]
    return sorted(lines, key=lambda line: (-line[2], line[0]))


def q7():
    rings = sorted(row["ring_ms"] / 1000 for row in answered(INBOUND) if row["ring_ms"] is not None)
    return [(len(rings), *(rings[ceil(len(rings) * percent / 100) - 1] for percent in (50, 90, 95)))]


def q8():
    queued = [row for row in INBOUND if row["queue_call"]]
    gone = [row for row in queued if row["disposition"] == "abandoned"]
    seen = [row for row in gone if row["ring_ms"] is not None]
    return [(len(queued), len(gone), share(queued, "abandoned"), round(seconds(seen, "ring") / len(seen), 1))]


def q9():
    late = [row for row in INBOUND if local(row).isoweekday() > 5 or not 9 <= local(row).hour < 18]
    return sorted(Counter(row["disposition"] for row in late).items(), key=lambda item: (-item[1], item[0]))


def q10():
    days = groups((row for row in INBOUND if row["from_number"]), lambda row: (f"{local(row):%F}", row["from_number"]))
    often = [(*key, len(rows), len(answered(rows))) for key, rows in days.items() if len(rows) >= 3]
    return sorted(often, key=lambda line: (-line[2], line[0], line[1]))


def q11():
    longest = sorted(CALLS, key=lambda row: (-row["duration_ms"], row["session_id"]))[:10]
    names = ("session_id", "started_at", "direction", "from_number", "to_number")
    return [(*(row[name] for name in names), row["duration_ms"] / 1000) for row in longest]


def q12():
    lines = []
    for ident, rows in groups(answered(CALLS), lambda row: row["extension_id"]).items():
        hold = seconds(rows, "hold")
        if hold:
            held = sum(row["hold_ms"] > 0 for row in rows)
            lines.append((ident, held, hold, round(hold / (hold + seconds(rows, "talk")), 4)))
    return sorted(lines, key=lambda line: (-line[2], line[0]))


def q13():
    days = sorted(groups(INBOUND, lambda row: row["started_at"][:10]).items())
    return [
        (day, len(rows), sum(row["disposition"] == "voicemail" for row in rows), share(rows, "voicemail"))
        for day, rows in days
    ]


def q14():
    out = groups(
        (row for row in CALLS if row["direction"] == "Outbound" and not row["internal"]), lambda row: row["to_number"]
    )
    vain = [(n, len(rows), max(row["started_at"] for row in rows)) for n, rows in out.items() if not answered(rows)]
    return sorted(vain, key=lambda line: (-line[1], line[0]))


def q15():
    lines = []
    for weekday, rows in sorted(groups(CALLS, lambda row: str(local(row).isoweekday() % 7)).items()):
        days = len({local(row).date() for row in rows})
        lines.append((weekday, len(rows), days, round(len(rows) / days, 1)))
    return lines


def q16():
    def kind(row):
        return "internal" if row["internal"] else "from outside" if row["direction"] == "Inbound" else "to outside"

    return [(name, len(rows), seconds(rows, "talk")) for name, rows in sorted(groups(CALLS, kind).items())]


def q17():
    days = sorted(groups(CALLS, lambda row: row["started_at"][:10]).items())
    lines = []
    for n, (day, rows) in enumerate(days):
        week = [len(one) for _, one in days[max(0, n - 6) : n + 1]]
        missed = sum(row["disposition"] == "missed" for row in rows)
        lines.append((day, len(rows), len(answered(rows)), missed, round(sum(week) / len(week), 1)))
    return lines


def q18():
    hours = Counter(f"{local(row):%F %H:00}" for row in CALLS)
    return sorted(hours.items(), key=lambda item: (-item[1], item[0]))[:5]


def q19():
    earlier = [row for row in EVERYTHING if row["started_at"] < PERIOD["since"]]
    known = {row[end] for row in earlier for end in ("from_number", "to_number")}
    new = groups((row for row in INBOUND if row["from_number"] and row["from_number"] not in known),
                 lambda row: row["from_number"])  # fmt: skip
    lines = [(number, min(row["started_at"] for row in rows), len(rows)) for number, rows in new.items()]
    return sorted(lines, key=lambda line: (line[1], line[0]))


def q20():
    waiting = [row["started_at"] for row in CALLS if row["confirmed_at"] is None]
    late = [
        (datetime.fromisoformat(row["confirmed_at"]) - datetime.fromisoformat(row["ended_at"])).total_seconds()
        for row in CALLS if row["confirmed_at"]
    ]  # fmt: skip
    return [(len(CALLS), len(waiting), min(waiting), round(sum(late) / len(late), 1))]


def about(value):
    """Sums of floats in another order."""
    return pytest.approx(value, rel=1e-9, abs=1e-6)


def test_there_are_twenty():
    assert list(QUESTIONS) == [str(n) for n in range(1, 21)]


@pytest.mark.parametrize("number", QUESTIONS)
def test_the_answer_is_the_one_computed_without_sql(ask, number):
    expected = globals()[f"q{number}"]()
    answer = [tuple(row.values()) for row in ask(number)]
    assert expected, "the books must have an answer to it"
    assert len(answer) == len(expected)
    for found, wanted in zip(answer, expected, strict=True):
        assert found == tuple(about(value) if isinstance(value, float) else value for value in wanted)


def test_what_was_planted_is_found(ask):
    assert (OWED, 2, "2026-03-18T08:30:00.000Z") in [tuple(row.values()) for row in ask("4")]
    assert NEW in [row["from_number"] for row in ask("19")]
    assert OWED not in [row["from_number"] for row in ask("19")]


@pytest.mark.parametrize("number", QUESTIONS)
def test_only_public_views_are_asked(number):
    named = set(re.findall(r"\b(?:FROM|JOIN)\s+(\w+)", QUESTIONS[number]))
    named -= set(re.findall(r"\b(\w+) AS \(", QUESTIONS[number]))
    assert named <= VIEWS.keys()
