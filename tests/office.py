"""An office's books for tests and pictures: invented calls, written straight into the tables of a prepared database.

The same seed makes the same calls. A call is a dictionary with the columns of the table `call`.
"""

import asyncio
import random
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

from ringledger.domain.coverage import CoverageSpan
from ringledger.ledger.schema.tables import metadata
from ringledger.ledger.times import to_text
from ringledger.ledger.write.store import Ledger
from tests.template import migrated

ACCOUNT = "1001"
PEOPLE = [
    ("2001", "101", "Ann Lee"), ("2002", "102", "Ben Ortiz"), ("2003", "103", "Chloé Martin"),
    ("2004", "104", "Dev Rao"), ("2005", "105", "Eva Lindqvist"), ("2006", "106", "Farid Azimi"),
    ("2007", "107", "Grace Okoye"), ("2008", "108", "Hugo Brandt"),
]  # fmt: skip
MAIN_NUMBER = "+16505551000"
CALLERS = [f"+1415555{n:04d}" for n in range(100, 160)]
#: disposition, result, share of the inbound, share of the outbound calls
ENDINGS = [
    ("answered", "Accepted", 62, 70), ("missed", "Missed", 16, 0), ("voicemail", "Voicemail", 9, 0),
    ("abandoned", "Hang Up", 6, 0), ("declined", "Declined", 3, 0), ("no_answer", "No Answer", 0, 20),
    ("busy", "Busy", 4, 10),
]  # fmt: skip


def ms_of(moment: datetime) -> int:
    return round(moment.timestamp() * 1000)


def call(rng: random.Random, number: int, at: int) -> dict[str, object]:
    """A finished call that began at ``at`` (ms); its figures fit each other."""
    direction = rng.choice(("Inbound", "Inbound", "Outbound"))
    inbound = direction == "Inbound"
    internal = not inbound and rng.random() < 0.25
    disposition, result, *_ = rng.choices(ENDINGS, [float(ending[2 if inbound else 3]) for ending in ENDINGS])[0]
    extension, short, name = rng.choice(PEOPLE)
    other = rng.choice([one for one in PEOPLE if one[0] != extension])
    withheld = inbound and rng.random() < 0.05
    caller = None if withheld else rng.choice(CALLERS)
    ring = rng.randrange(1_000, 45_000, 50)
    talk = rng.randrange(2_000, 1_800_000, 50) if disposition == "answered" else 0
    hold = rng.randrange(1_000, 240_000, 50) if talk and rng.random() < 0.2 else 0
    end = at + ring + talk + hold
    confirmed = end + rng.randrange(20_000, 200_000, 50) if rng.random() < 0.97 else None
    mine = (f"+1650555{short}1", name)
    theirs = (other[1], other[2]) if internal else (caller, None)
    (from_number, from_name), (to_number, to_name) = (
        (theirs, (MAIN_NUMBER if rng.random() < 0.7 else mine[0], name)) if inbound
        else ((short, name) if internal else mine, theirs)
    )  # fmt: skip
    return {
        "account_id": ACCOUNT, "session_id": f"{9_100_000_000 + number}", "telephony_session_id": f"s-{number:x}",
        "direction": direction, "internal": int(internal), "queue_call": int(inbound and rng.random() < 0.4),
        "extension_id": extension, "from_number": from_number, "from_name": from_name, "from_raw": from_number,
        "to_number": to_number, "to_name": to_name, "to_raw": to_number, "started_at": to_text(at),
        "answered_at": to_text(at + ring) if talk else None, "ended_at": to_text(end), "end_estimated": 0,
        "answer_estimated": 0,
        "ring_ms": ring, "talk_ms": talk, "hold_ms": hold, "duration_ms": talk + hold, "disposition": disposition,
        "result": result, "result_source": "call-log" if confirmed else "presence", "end_source": "presence",
        "leg_count": 1, "events_accepted": 3, "events_ignored": 0,
        "part_of": "9000000001" if rng.random() < 0.02 else None,
        "confirmed_at": to_text(confirmed) if confirmed else None, "revision": 1,
        "updated_at": to_text(confirmed or end + 10_000), "publication": number,
    }  # fmt: skip


def days(
    seed: int, first: datetime, count: int, per_day: int, *, weekends_off: bool = True
) -> Iterator[dict[str, object]]:
    """Calls of working hours and a few outside, oldest day first; ``first``: when the first day begins."""
    rng, number = random.Random(seed), 0
    for day in range(count):
        midnight = first + timedelta(days=day)
        off = weekends_off and midnight.weekday() >= 5
        for _ in range(per_day // 10 if off else per_day):
            hour = min(23.99, max(0.0, rng.gauss(12.5, 3.2)))
            number += 1
            yield call(rng, number, ms_of(midnight) + round(hour * 3_600_000))


def insert(path: Path, table: str, rows: Iterable[dict[str, object]]) -> None:
    columns = [column.name for column in metadata.tables[table].columns]
    values = ", ".join(f":{name}" for name in columns)
    rows = (dict.fromkeys(columns) | row for row in rows)  # a column that is added later is unknown in these
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("PRAGMA synchronous = OFF")
        connection.execute("PRAGMA cache_size = -256000")  # a million calls go into six indexes
        connection.executemany(f"INSERT INTO {table} ({', '.join(columns)}) VALUES ({values})", rows)


def extension(n: int, status: str, since: int) -> dict[str, object]:
    ident, short, name = PEOPLE[n]
    return {
        "account_id": ACCOUNT, "extension_id": ident, "telephony_status": status,
        "presence_status": "Available" if status == "NoCall" else "Busy", "user_status": "Available",
        "dnd_status": "DoNotAcceptAnyCalls" if n == 5 else "TakeAllCalls", "since": to_text(since),
        "updated_at": to_text(since), "last_sequence": 1, "epoch": 0, "epoch_started_at": to_text(since),
        "extension_number": short, "name": name,
    }  # fmt: skip


def open_call(n: int, status: str, started: int, answered: int | None, **more: object) -> dict[str, object]:
    ident, short, name = PEOPLE[n]
    row: dict[str, object] = {
        "account_id": ACCOUNT, "session_id": f"{9_900_000_000 + n}", "settling": 0, "status": status,
        "direction": "Inbound", "extension_id": ident, "from_number": CALLERS[n * 7], "from_name": None,
        "to_number": f"+1650555{short}1", "to_name": name, "started_at": to_text(started),
        "answered_at": None if answered is None else to_text(answered), "suspect": 0, "last_seen_at": to_text(started),
        "telephony_session_id": None, "part_of": None,
    }  # fmt: skip
    return row | more


def prepared(path: Path) -> str:
    return migrated(path)


def cover(url: str, spans: Iterable[CoverageSpan], now: int) -> None:
    """Commit spans of sight as the daemon does."""
    from ringledger.domain.changes import Changes

    async def commit() -> None:
        ledger = await Ledger.open(url)
        await ledger.commit(Changes(), now_ms=now, coverage=spans)
        await ledger.close()

    asyncio.run(commit())


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)
