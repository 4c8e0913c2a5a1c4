"""Housekeeping: what is too old goes by itself, and nothing of it ends the daemon but a damaged database."""

import asyncio
import sqlite3
import threading
from contextlib import closing

import pytest

from ringledger.config.model import load_settings
from ringledger.domain.changes import Changes, Quarantined, QuarantineKind
from ringledger.domain.observation import Source
from ringledger.durations import DAY_MS
from ringledger.ledger.errors import DatabaseCorrupt, LedgerFull
from ringledger.ledger.file.inspect import sqlite_verdict, verify
from ringledger.ledger.schema.migrate import upgrade
from ringledger.ledger.write.store import Ledger
from ringledger.service import maintenance as module
from ringledger.service.maintenance import Maintenance, keep_verified, verify_at_start
from ringledger.service.own_time import OwnTime
from tests.builders import Desk, item, presence
from tests.cli.conftest import RINGING_AT, record
from tests.template import migrated
from tests.until import PATIENCE, until


@pytest.fixture
async def ledger(tmp_path):
    url = f"sqlite+aiosqlite:///{tmp_path}/r.db"
    await asyncio.to_thread(upgrade, url)
    await record(url)
    opened = await Ledger.open(url)
    yield opened
    await opened.close()


def count(path, sql):
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as connection:
        return connection.execute(sql).fetchone()[0]


class Told:
    """A platform whose ``Date`` says ``now_ms``; ``None``: it says nothing."""

    simulated = False

    def __init__(self, now_ms):
        self.dated = now_ms

    def dated_now_ms(self):
        return self.dated


def clocks(now_ms, platform=None):
    """Our own clocks at ``now_ms``; the platform's says the same unless told otherwise."""
    return OwnTime(Told(now_ms if platform is None else platform), wall=lambda: now_ms / 1000, clock=lambda: 0.0)


def keeper(ledger, now_ms, **values):
    settings = load_settings(None, {}, {key.replace("__", "."): value for key, value in values.items()})
    return Maintenance(ledger, lambda: settings, clocks(now_ms))


async def test_by_default_calls_stay_and_old_events_go(ledger, tmp_path, logs):
    path = tmp_path / "r.db"
    calls = count(path, "SELECT count(*) FROM calls")
    await keeper(ledger, RINGING_AT + 3650 * DAY_MS).care()
    assert count(path, "SELECT count(*) FROM calls") == calls
    live = "SELECT count(*) FROM call_events WHERE session_id {} (SELECT session_id FROM live_call)"
    assert count(path, live.format("NOT IN")) == 0
    assert count(path, live.format("IN")) > 0
    (line,) = logs.named("database.purged")
    assert line["calls_deleted"] == 0
    assert line["events_deleted"] > 0


async def test_what_retention_deletes_leaves_no_trace_in_the_file(ledger, tmp_path):
    path, now = tmp_path / "r.db", RINGING_AT + 3650 * DAY_MS
    number = count(path, "SELECT from_number FROM calls WHERE from_number IS NOT NULL")
    care = keeper(ledger, now, retention__calls_days=90, journal__days=1)
    await care.care()
    await care.clean()
    assert count(path, "SELECT count(*) FROM calls") == 0
    assert count(path, f"SELECT count(*) FROM live_call WHERE '{number}' IN (from_number, to_number)") == 0
    assert [file.name for file in tmp_path.glob("r.db*") if number.encode() in file.read_bytes()] == []


class Counted(Ledger):
    """How often it was wiped."""

    wiped = 0

    async def wipe(self):
        self.wiped += 1
        return await super().wipe()


async def test_the_file_is_read_for_traces_once_a_day_at_most(tmp_path):
    url = migrated(tmp_path / "r.db")
    hour, now = 0, RINGING_AT + 3650 * DAY_MS
    settings = load_settings(None, {}, {"retention.calls_days": 90})
    opened = await Counted.open(url)
    care = Maintenance(opened, lambda: settings, clocks(now), clock=lambda: hour * 3_600.0)
    wiped = []
    for hour in (1, 2, 24, 26, 49, 51):
        await opened.commit(finished(f"call-{hour}").changes, now_ms=RINGING_AT)
        await care.care()
        await care.clean()
        wiped.append(opened.wiped)
    await opened.close()
    assert wiped == [1, 1, 1, 2, 2, 3]
    assert count(tmp_path / "r.db", "SELECT count(*) FROM calls") == 0


def finished(session):
    """A call that is over and that one will be told of."""
    ringing, ended = item("Ringing", session=session), item("NoCall", session=session)
    return Desk().see(presence("1", 1, RINGING_AT, ringing), presence("1", 2, RINGING_AT + 5_000, ended)).settle()


async def test_calls_older_than_the_limit_go(ledger, tmp_path, logs):
    path = tmp_path / "r.db"
    await keeper(ledger, RINGING_AT + 3650 * DAY_MS, retention__calls_days=90).care()
    assert count(path, "SELECT count(*) FROM calls") == 0
    assert logs.named("database.purged")[0]["calls_deleted"] > 0


async def test_young_calls_stay_and_nothing_is_logged(ledger, tmp_path, logs):
    path = tmp_path / "r.db"
    calls = count(path, "SELECT count(*) FROM calls")
    oldest = 1_262_304_000_000  # 2010
    await keeper(ledger, oldest, retention__calls_days=90, retention__mask_numbers_after_days=7).care()
    assert count(path, "SELECT count(*) FROM calls") == calls
    assert logs.named("database.purged") == []


async def test_numbers_are_masked_after_a_time(ledger, tmp_path):
    path = tmp_path / "r.db"
    await keeper(ledger, RINGING_AT + 3650 * DAY_MS, retention__mask_numbers_after_days=30).care()
    unmasked = "SELECT count(*) FROM calls WHERE length(from_number) > 6 AND from_number NOT LIKE '%xxxx'"
    assert count(path, unmasked) == 0


async def test_copies_from_before_upgrades_go_after_a_month(ledger, tmp_path, logs):
    old, young = (tmp_path / f"r.db.schema1.2026{day}T000000Z.backup" for day in ("0301", "0321"))
    theirs = tmp_path / "r.db.saved-20260101T000000Z"
    for path in (old, young, theirs):
        path.touch()
    await keeper(ledger, RINGING_AT + 31 * DAY_MS, journal__days=0).care()
    assert (old.exists(), young.exists(), theirs.exists()) == (False, True, True)
    (line,) = logs.named("database.purged")
    assert line["copies_deleted"] == 1


@pytest.mark.parametrize("days", [99_999_999, 10**20])
async def test_more_days_than_there_are_delete_nothing(ledger, tmp_path, days):
    path = tmp_path / "r.db"
    calls = count(path, "SELECT count(*) FROM calls")
    kept = keeper(
        ledger, RINGING_AT, retention__calls_days=days, retention__mask_numbers_after_days=days, journal__days=days
    )
    await kept.care()
    assert count(path, "SELECT count(*) FROM calls") == calls


async def test_a_full_disk_does_not_end_the_rounds(ledger, monkeypatch):
    monkeypatch.setattr(module, "ROUND_SECONDS", 0.01)
    rounds = []

    async def full(now_ms):
        rounds.append(now_ms)
        raise LedgerFull("database: full")

    monkeypatch.setattr(ledger, "forget_purged", full)
    task = asyncio.create_task(keeper(ledger, RINGING_AT).run())
    await until(lambda: len(rounds) >= 3)
    assert not task.done()
    task.cancel()


def damaged(path):
    with path.open("r+b") as file:
        file.seek(4096 + 64)
        file.write(b"\xff" * 8192)


@pytest.fixture
def broken(tmp_path):
    url = migrated(tmp_path / "r.db")
    damaged(tmp_path / "r.db")
    return load_settings(None, {}, {"database.url": url})


async def test_a_small_damaged_database_is_found_before_the_start(broken):
    with pytest.raises(DatabaseCorrupt, match="newest backup"):
        await verify_at_start(broken)


async def test_a_large_one_is_verified_behind_the_start(broken, monkeypatch):
    monkeypatch.setattr(module, "VERIFY_AT_ONCE", 100)
    await verify_at_start(broken)
    with pytest.raises(DatabaseCorrupt):
        await asyncio.wait_for(keep_verified(broken), PATIENCE)


async def test_a_healthy_one_passes_and_a_look_can_be_broken_off(ledger, tmp_path, monkeypatch):
    url = f"sqlite+aiosqlite:///{tmp_path}/r.db"
    assert verify(url, thorough=True)
    monkeypatch.setattr("ringledger.ledger.file.inspect.BREATH", 1)
    stop = threading.Event()
    stop.set()
    assert verify(url, stop=stop) is False


@pytest.mark.parametrize(
    ("version", "safe"),
    [((3, 40, 1), False), ((3, 44, 5), False), ((3, 44, 6), True), ((3, 50, 7), True), ((3, 51, 2), False),
     ((3, 51, 3), True), ((3, 52, 0), True), ((3, 45, 9), False)],
)  # fmt: skip
def test_which_sqlite_is_mended(version, safe):
    assert sqlite_verdict(version)[1] is safe


async def test_a_reader_asleep_is_told_when_it_begins_and_when_it_ends(tmp_path, logs):
    """Whoever may read can keep the write-ahead log from being emptied; it grows, and nothing else suffers."""
    url = f"sqlite+aiosqlite:///{tmp_path}/r.db"
    await asyncio.to_thread(upgrade, url)
    await record(url)
    ledger = await Ledger.open(url)
    log = tmp_path / "r.db-wal"
    keep = Maintenance(ledger, lambda: load_settings(None, {}, {}), clocks(RINGING_AT), most_log_bytes=500_000)

    async def written(rounds):
        for number in range(rounds):
            aside = [Quarantined("1001", RINGING_AT, Source.PRESENCE, "x", QuarantineKind.PAYLOAD, "y" * 60_000)]
            await ledger.commit(Changes(quarantined=aside), now_ms=RINGING_AT + number)
        await ledger.checkpoint()
        keep.look_at_the_log()

    with closing(sqlite3.connect(f"file:{tmp_path}/r.db?mode=ro", uri=True, isolation_level=None)) as asleep:
        await written(3)
        assert logs.events.count("database.log_held") == 0
        asleep.execute("BEGIN")
        asleep.execute("SELECT count(*) FROM calls").fetchone()
        await written(20)
        await written(1)
        assert log.stat().st_size > 1_000_000
        assert logs.events.count("database.log_held") == 1
        asleep.execute("COMMIT")
    await ledger.close()
    assert log.stat().st_size == 0 if log.exists() else True
    keep.look_at_the_log()
    assert logs.events.count("database.log_freed") == 1
