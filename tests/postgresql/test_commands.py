"""Every command that reads says the same of both databases, and so does the read API; those that write, do."""

import asyncio
import json
import re

import pytest

from ringledger.ledger.copy import copy
from ringledger.ledger.write.store import Ledger
from ringledger.simulator import load_story
from tests.builders import T0
from tests.postgresql.server import asked, needs_postgresql, server
from tests.postgresql.test_contract import STORIES, changes_of
from tests.template import migrated
from tests.web.served import serving

pytestmark = needs_postgresql

#: Of the tutorial's flows; a story of many calls.
SESSION = "67029198021"
NUMBER = "+13027430863"
COMMANDS = [
    "calls", "calls --json", "calls --csv", "calls --number +13027430863", "calls --extension 607457016",
    "calls --unconfirmed", "calls --number withheld", f"calls show {SESSION}", f"--json calls show {SESSION}",
    "active", "active --json", "presence", "presence --json",
    "stats", "stats --by hour", "stats --by week --json", "stats --by extension --json", "stats --by number",
    "stats --by disposition", "stats --by direction --csv", "coverage", "coverage --json",
    "export --format csv", "export --format jsonl", "quarantine list", "webhooks list", "replay --journal --diff",
]  # fmt: skip


@pytest.fixture(scope="module")
def both(tmp_path_factory):
    """The URLs of one ledger in two places."""
    here, there = migrated(tmp_path_factory.mktemp("both") / "r.db"), server().url(empty=True)

    async def work():
        ledger = await Ledger.open(here)
        for path in STORIES:
            for changes in changes_of(load_story(path)):
                await ledger.commit(changes, now_ms=T0)
        await ledger.close()
        assert all(one.equal for one in await copy(here, there))

    asyncio.run(work())
    return here, there


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_says_the_same(run, both, command):
    one, other = (run(url, command) for url in both)
    assert one[0] in {0, 1}
    assert other[:2] == one[:2]
    assert one[1] or one[2]


def test_a_sheet_of_parquet_is_the_same(run, both, tmp_path):
    parquet = pytest.importorskip("pyarrow.parquet")
    sheets = []
    for number, url in enumerate(both):
        assert run(url, f"export --format parquet --output {tmp_path / str(number)}")[0] == 0
        sheets.append(parquet.read_table(tmp_path / str(number)))
    assert sheets[0].equals(sheets[1])


def test_the_read_api_answers_the_same(both, tmp_path):
    paths = ["calls?limit=500", f"calls/{SESSION}", "active", "presence", "stats?by=hour", "coverage"]
    told = []
    for url in both:
        with serving(tmp_path / "x", RINGLEDGER_DATABASE__URL=url, RINGLEDGER_DATABASE__DIRECTORY=str(tmp_path)) as one:
            answers = [one.get(f"/api/v1/{path}") for path in paths]
            assert [answer.status_code for answer in answers] == [200] * len(paths)
            assert one.get("/api/v1/health").status_code == 200
            assert one.get("/").status_code == 200
            told.append([re.sub(r'"next":"[^"]*"', "", answer.text) for answer in answers])
    assert told[0] == told[1]


@pytest.mark.parametrize("command", ["db backup", "db restore /etc/hostname", "db downgrade"])
def test_what_the_server_does_is_said_in_one_line(run, both, command):
    code, out, err = run(both[1].replace("@", ":geheim@", 1), command)
    assert (code, out, len(err.splitlines())) == (64, "", 1)
    assert re.search("pg_dump|pg_restore", err)
    assert "geheim" not in err


def test_doctor_names_the_server_or_why_it_cannot_be_asked(run, both):
    assert "PostgreSQL" in run(both[1], "doctor --offline")[1]
    code, out, _ = run("postgresql://a:geheim@127.0.0.1:1/x", "doctor --offline")
    assert code != 0
    assert "no server answers" in out
    assert "geheim" not in out


def test_a_copy_says_what_it_did_and_takes_no_password(run, both):
    code, out, _ = run(both[0], f"--json db copy --to {server().url(empty=True)}")
    assert code == 0
    assert {one["equal"] for one in json.loads(out)["tables"]} == {True}
    code, out, err = run(both[0], "db copy --to postgresql://a:geheim@b/c")
    assert code == 64
    assert "geheim" not in out + err


def test_a_number_is_purged(run, both):
    there = server().url(empty=True)
    asyncio.run(copy(both[0], there))
    assert run(there, f"purge --number {NUMBER} --yes")[0] == 0
    digits = NUMBER[1:]
    for table in ("call", "call_leg", "fact", "outbox", "quarantined"):
        assert asked(there, f"SELECT 1 FROM {table} WHERE {table}::text LIKE '%{digits}%' LIMIT 1") == [], table
    assert run(there, "calls")[0] == 0
