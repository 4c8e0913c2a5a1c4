import asyncio
import json
import sqlite3
import time
from contextlib import closing
from pathlib import Path

import pytest

from ringledger.cli.ledger.replay import LedgerCalls, ReportedCalls
from ringledger.clock import now_ms
from ringledger.domain.observation import Delivery
from ringledger.domain.tracker import CallTracker
from ringledger.ledger.file.backup import backup
from ringledger.ledger.schema.migrate import upgrade
from ringledger.ledger.times import to_ms, to_text
from ringledger.ledger.write.store import Ledger
from ringledger.ledger.write.writer import LedgerWriter
from ringledger.service.ingest.pipeline import Pipeline
from ringledger.simulator import Office, Options
from tests.builders import claim, item, presence, presence_read
from tests.cli.conftest import deliveries
from tests.service.ingest.test_pipeline import Silent
from tests.until import eventually

DATA = Path(__file__).resolve().parents[2] / "data"


@pytest.fixture
def recording(tmp_path):
    file = tmp_path / "events.jsonl"
    file.write_text("".join(json.dumps(one.envelope) + "\n" for one in deliveries()) + "\n")
    return file


def test_a_file_gives_the_calls_it_tells_of(cli, recording):
    rows = cli("replay", recording, "--json").data
    assert [row["session_id"] for row in rows] == ["915021981016", "67029198021"]
    assert (rows[1]["ring_seconds"], rows[1]["talk_seconds"], rows[1]["leg_count"]) == (31.554, 15.141, 2)
    assert "67029198021" in cli("replay", recording).out


def test_the_journal_comes_out_as_it_was_recorded(cli, database):
    ended = cli("replay", "--journal", "--diff")
    assert (ended.code, ended.err) == (0, "")
    assert "2 calls replayed, 0 different" in ended.out


def test_a_row_that_differs_is_shown_and_1(cli, clean, database, tmp_path):
    copy = backup(database, tmp_path / "copy.db")
    with closing(sqlite3.connect(copy)) as connection, connection:
        connection.execute("UPDATE call SET talk_ms = 1 WHERE session_id = '67029198021'")
    clean.setenv("RINGLEDGER_DATABASE__URL", f"sqlite+aiosqlite:///{copy}")
    ended = cli("replay", "--journal", "--diff", "--json")
    assert ended.code == 1
    assert ended.data == [
        {"session_id": "67029198021", "column": "talk_seconds", "recorded": 0.001, "replayed": 15.141}
    ]
    assert "talk_seconds is 0.001, replayed 15.141" in cli("replay", "--journal", "--diff").out


def test_the_real_database_is_not_written_to(cli, database):
    before = database.read_bytes()
    cli("replay", "--journal")
    assert database.read_bytes() == before


@pytest.mark.parametrize("line", [b'{"body": 5}', b'{"body": {"cut', b"\xff\xfe"])
@pytest.mark.parametrize("diff", [(), ("--diff",)])
def test_a_line_that_is_no_notification_is_named_and_what_came_before_it_is_shown(cli, recording, database, line, diff):
    number = len(recording.read_bytes().splitlines()) + 1
    with recording.open("ab") as file:
        file.write(line + b"\n")
    ended = cli("replay", recording, *diff)
    assert ended.code == 64
    assert f"{recording}:{number}: not a presence notification" in ended.err
    assert ended.err.count("\n") == 1
    assert ("2 calls replayed" if diff else "67029198021") in ended.out


def test_times_beyond_the_years_are_put_aside(cli, root):
    """Found by an attack: each of the two ended the daemon with 70, and over PubNub again at every start."""
    ended = cli("--json", "replay", root / "tests" / "data" / "poison-times.jsonl", "--full-numbers")
    assert (ended.code, ended.err) == (0, "ringledger: 2 payloads put aside as unreadable\n")
    (row,) = json.loads(ended.out)
    assert (row["session_id"], row["disposition"], row["ring_seconds"], row["talk_seconds"]) == (
        "8310",
        "answered",
        3,
        6,
    )


def test_a_missing_file_is_74(cli, tmp_path):
    assert cli("replay", tmp_path / "none.jsonl").code == 74


async def live(url, answer):
    """A call is put on hold; ``answer(intake, asked, at)`` gives an answer asked for a second before, then it ends."""
    upgrade(url)
    ledger = await Ledger.open(url)
    intake = Pipeline(CallTracker(), ledger, "400100")
    writer = intake.commit_by(LedgerWriter(
        ledger, intake.take, commit_interval=0, commit_batch=1, on_committed=intake.committed, notices=Silent(),
        now_ms=now_ms,
    ))  # fmt: skip
    writing = asyncio.create_task(writer.run())
    at, asked = now_ms() - 90_000, time.monotonic() - 1

    async def tell(sequence, after, word, received_at):
        seen = presence("101", sequence, at + after, item(word, started=at), received_at=received_at)
        await intake.deliver(Delivery((seen,), (), None))

    await tell(1, 0, "CallConnected", now_ms())
    await tell(2, 10_000, "OnHold", now_ms())
    await answer(intake, asked, at)
    await tell(3, 70_000, "NoCall", now_ms() + 5_000)
    await intake.change(lambda: intake.tracker.advance(time.monotonic() + 60))
    writing.cancel()
    await asyncio.wait({writing})
    await ledger.close()


async def _nothing_there(intake, asked, at):
    await intake.take_presence(presence_read("101", at + 9_000)._replace(received_at=now_ms()), asked=asked)


async def _over(intake, asked, at):
    await intake.take_claims([claim("Accepted", started=at, duration=11_000, read_at=now_ms())], asked=asked)


@pytest.mark.parametrize(("answer", "held"), [(_nothing_there, 60), (_over, 1)])
def test_an_answer_that_came_in_between_gives_the_same_row_again(cli, clean, tmp_path, answer, held):
    """A read that events explain says nothing; a record says when the call was over, whenever it was asked for."""
    url = f"sqlite+aiosqlite:///{tmp_path}/live.db"
    asyncio.run(live(url, answer))
    clean.setenv("RINGLEDGER_DATABASE__URL", url)
    (row,) = cli("calls", "--json").data
    assert row["hold_seconds"] == held
    ended = cli("replay", "--journal", "--diff")
    assert (ended.code, ended.out) == (0, "1 call replayed, 0 different\n")


#: Its end is in the ledger, and nothing comes of it any more: the call stays open.
LOSE = "DELETE FROM fact WHERE id > (SELECT min(id) FROM fact WHERE kind = 'event')"


@pytest.fixture
def one_call(clean, tmp_path):
    """A ledger of one call which is changed by SQL before commands use it; returns its row."""

    def make(*changes, answer=_nothing_there):
        url = f"sqlite+aiosqlite:///{tmp_path}/live.db"
        asyncio.run(live(url, answer))
        with closing(sqlite3.connect(tmp_path / "live.db")) as connection, connection:
            for sql in changes:
                assert connection.execute(sql).rowcount > 0
            connection.row_factory = sqlite3.Row
            (row,) = connection.execute("SELECT * FROM calls")
        clean.setenv("RINGLEDGER_DATABASE__URL", url)
        return row

    return make


def test_a_call_this_version_would_lose_is_a_difference_and_1(cli, one_call):
    session = one_call(LOSE)["session_id"]
    ended = cli("replay", "--journal", "--diff", "--json")
    assert (ended.code, ended.err) == (1, "")
    assert ended.data == [{"session_id": session, "column": None, "recorded": "a call", "replayed": None}]
    shown = cli("replay", "--journal", "--diff").out
    assert shown == f"{session}: in the database, but not replayed\n0 calls replayed, 1 different\n"


def test_a_replay_has_to_bring_out_what_was_told_whole():
    """A record is a whole call; events are one if the ledger has accepted any of them."""
    told = ReportedCalls()
    told.add(claim("Accepted", session="booked", started=0, duration=9))
    told.add(claim(None, session="running", started=0, duration=9))
    items = [item("CallConnected", session=name) for name in ("seen", "late", "going on")]
    told.add(presence("101", 1, 0, *items))
    written = LedgerCalls({("400100", name) for name in ("booked", "running", "seen", "late", "not told")}, ACCEPTED)
    assert {session for _, session in written.of(told)} == {"booked", "seen"}


ACCEPTED = {("400100", "seen"), ("400100", "going on"), ("400100", "not told")}


def test_a_call_that_began_before_the_period_is_not_missed(cli, one_call):
    """It began 90 s before its events came."""
    row = one_call(LOSE)
    assert cli("replay", "--journal", "--diff", "--since", row["started_at"]).code == 1
    later = to_text(to_ms(row["started_at"]) + 1)
    assert (cli("replay", "--journal", "--diff", "--since", later)).code == 0


@pytest.mark.parametrize(
    "gone",
    [
        "DELETE FROM fact",  # as by the purge of a number
        "UPDATE fact SET body = NULL",  # as by the masking of numbers
    ],
)
def test_a_call_the_journal_does_not_tell_of_is_not_missed(cli, one_call, gone):
    one_call(LOSE, gone)
    ended = cli("replay", "--journal", "--diff")
    assert (ended.code, ended.out) == (0, "0 calls replayed, 0 different\n")


SPEED = 120.0
#: The settling time is as much faster as the platform's clock is.
PACE = {"calls__settle_seconds": 10 / SPEED, "confirm__sync_interval_seconds": 1}
FAULTS = ("drop=0.15", "duplicate=0.2", "reorder=0.2")


def test_a_feed_that_drops_doubles_and_disorders_comes_out_as_it_was_recorded(cli, platform, clean, tmp_path):
    """What was recorded of it came from the feed, from reads and from the books, and answers outranked each other."""
    database = tmp_path / "r.db"
    sim = platform(Options(real_lifetimes=True, faults=FAULTS, fault_seed=3), speed=SPEED)
    rig = sim.daemon(database, **PACE)
    office = Office(list(sim.sim.pbx.extensions.values()), calls_per_hour=150, seed=3)
    sim.wait(sim.sim.run_office(office, until=sim.do(sim.sim.clock.now_ms) + 900_000))
    unsettled = "SELECT 1 FROM active_calls UNION ALL SELECT 1 FROM unconfirmed_calls"
    eventually(lambda: sim.do(lambda: len(rig.query("SELECT 1 FROM all_calls")) >= len(sim.sim.pbx.truth())))
    eventually(lambda: not rig.query(unsettled))
    sim.stop_daemon()
    assert sim.sim.faults.happened.keys() >= {"drop", "duplicate", "reorder"}
    clean.setenv("RINGLEDGER_CALLS__SETTLE_SECONDS", str(PACE["calls__settle_seconds"]))
    calls = len(cli("export", "--format", "jsonl").out.splitlines())
    sources = {
        row["source"] for row in rig.query("SELECT source FROM call_events UNION SELECT source FROM call_sources")
    }
    assert sources == {"presence", "presence-read", "active-calls", "call-log"}
    ended = cli("replay", "--journal", "--diff")
    assert ended.out.endswith(" calls replayed, 0 different\n")
    assert (ended.code, ended.err) == (0, "")
    assert int(ended.out.split()[0]) >= calls > 20


#: By file and session: answered, ended, ring, hold, talk.
DISORDERED = [
    ("late-hold", "777", "09:00:10.000", "09:01:00.000", 10.0, 30.0, 20.0),
    ("late", "70000000006", "09:40:14.374", "09:41:56.838", 14.374, 5.483, 96.981),
    ("late", "70000000007", "09:46:53.761", "09:47:32.131", 13.761, 11.094, 27.276),
    ("late", "70000000021", "11:20:06.771", "11:20:58.291", 6.771, 29.993, 21.527),
    ("burst", "70000000002", "09:13:38.368", "09:14:10.118", 18.368, 17.321, 14.429),
    ("burst", "70000000003", "09:20:22.265", "09:21:21.880", 22.265, 40.159, 19.456),
    ("burst", "70000000006", "09:40:14.374", "09:41:56.838", 14.374, 5.483, 96.981),
    ("burst", "70000000007", "09:46:53.761", "09:47:32.131", 13.761, 11.094, 27.276),
    ("burst", "70000000031", "12:26:55.778", "12:27:33.911", 15.778, 0.0, 38.133),
]


@pytest.mark.parametrize("name", ["late-hold", "late", "burst"])
def test_late_events_and_bursts_give_the_true_row(cli, name):
    rows = {row["session_id"]: row for row in cli("replay", DATA / f"{name}.jsonl", "--json").data}
    for file, session, answered, ended, ring, hold, talk in DISORDERED:
        if file == name:
            row = rows[session]
            assert (row["answered_at"], row["ended_at"]) == (f"2026-03-02T{answered}Z", f"2026-03-02T{ended}Z")
            assert (row["ring_seconds"], row["hold_seconds"], row["talk_seconds"]) == (ring, hold, talk)
            assert (row["disposition"], row["answer_estimated"]) == ("answered", 0)


def test_a_withheld_number_stays_withheld_when_another_extension_fetches_the_call(cli):
    (row,) = cli("replay", DATA / "withheld-fetched.jsonl", "--full-numbers", "--json").data
    assert (row["from_number"], row["to_number"], row["hold_seconds"]) == (None, "+16505551001", 3.0)


def test_a_whole_story_with_answers_of_the_platform(cli, tmp_path):
    """The end is not heard of; a listing and a read of presence tell it, and the log confirms."""
    first = json.loads((DATA / "late-hold.jsonl").read_text().splitlines()[0])
    record = {
        "id": "R777", "sessionId": "777", "startTime": "2026-03-02T09:00:00.000Z", "duration": 60, "durationMs": 60_000,
        "direction": "Inbound", "result": "Missed", "extension": {"id": 101}, "from": {"phoneNumber": "+14155550123"},
        "to": {"phoneNumber": "+16505551001"},
    }  # fmt: skip
    lines = [
        {"source": "event", "received_at": "2026-03-02T09:00:00.100Z", "notification": first},
        {"source": "feed", "state": "blind", "at": "2026-03-02T09:00:05Z"},
        {"source": "feed", "state": "live", "at": "2026-03-02T09:02:00Z"},
        {"source": "active-calls", "received_at": "2026-03-02T09:02:01Z", "page": {"records": []}},
        {
            "source": "presence",
            "extension_id": "101",
            "received_at": "2026-03-02T09:02:02Z",
            "body": {"activeCalls": []},
        },
        {"source": "call-log", "received_at": "2026-03-02T09:03:00Z", "page": {"records": [record]}},
    ]
    file = tmp_path / "story.jsonl"
    file.write_text("".join(json.dumps(line) + "\n" for line in lines))
    (row,) = cli("replay", file, "--json").data
    assert (row["ended_at"], row["result"], row["disposition"]) == ("2026-03-02T09:01:00.000Z", "Missed", "missed")
    assert row["confirmed_at"] is not None


def test_an_answer_that_cannot_be_read_is_named_with_its_line(cli, tmp_path):
    file = tmp_path / "story.jsonl"
    file.write_text('{"source": "call-log", "received_at": 1772442000000, "page": {"records": 5}}\n')
    ended = cli("replay", file)
    assert (ended.code, ended.err.count("\n")) == (64, 1)
    assert f"{file}:1: not an answer of call-log" in ended.err
