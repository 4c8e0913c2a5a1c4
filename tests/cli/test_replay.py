import asyncio
import json
import sqlite3
import time
from contextlib import closing

import pytest

from ringledger.domain.observation import Delivery
from ringledger.domain.tracker import CallTracker
from ringledger.ledger.backup import backup
from ringledger.ledger.ledger import Ledger
from ringledger.ledger.upgrade import upgrade
from ringledger.ledger.writer import LedgerWriter
from ringledger.platform.connection import now_ms
from ringledger.service.intake import Intake
from tests.builders import claim, item, presence, presence_read
from tests.service.test_intake import Silent

from .conftest import deliveries


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


def test_a_missing_file_is_74(cli, tmp_path):
    assert cli("replay", tmp_path / "none.jsonl").code == 74


async def live(url, answer):
    """A call is put on hold; ``answer(intake, asked, at)`` gives an answer asked for a second before, then it ends."""
    upgrade(url)
    ledger = await Ledger.open(url)
    intake = Intake(CallTracker(), ledger, "400100")
    intake.writer = LedgerWriter(
        ledger, intake.take, commit_interval=0, commit_batch=1, on_committed=intake.committed, notices=Silent(),
        now_ms=now_ms, journal=True,
    )  # fmt: skip
    writing = asyncio.create_task(intake.writer.run())
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


@pytest.mark.parametrize("answer", [_nothing_there, _over])
def test_an_answer_that_was_outranked_is_outranked_again(cli, clean, tmp_path, answer):
    url = f"sqlite+aiosqlite:///{tmp_path}/live.db"
    asyncio.run(live(url, answer))
    clean.setenv("RINGLEDGER_DATABASE__URL", url)
    (row,) = cli("calls", "--json").data
    assert row["hold_seconds"] == 60
    ended = cli("replay", "--journal", "--diff")
    assert (ended.code, ended.out) == (0, "1 call replayed, 0 different\n")
