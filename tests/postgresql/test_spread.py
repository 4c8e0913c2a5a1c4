"""The large tables in parts by account, as docs/scaling.md says: every statement and every answer as before."""

import asyncio

import pytest

from ringledger.ledger.copy import copy
from ringledger.ledger.privacy.purge import purge_journal
from ringledger.ledger.schema.migrate import upgrade
from ringledger.ledger.write.store import Ledger
from ringledger.simulator import load_story
from tests.builders import T0, observations, play
from tests.postgresql.server import asked, needs_postgresql, server
from tests.postgresql.test_contract import STORIES, answers, changes_of
from tests.template import migrated

pytestmark = needs_postgresql

PARTS = ("call", "call_leg", "call_source", "call_transition", "fact")


async def told(url, stories):
    ledger = await Ledger.open(url)
    for path in stories:
        for changes in changes_of(load_story(path)):
            await ledger.commit(changes, now_ms=T0)
    await ledger.close()


@pytest.fixture
def spread(pytestconfig):
    """A function that spreads a database's tables."""
    page = (pytestconfig.rootpath / "docs" / "scaling.md").read_text()
    statement = page.split("<!-- spread -->")[1].split("```")[1].removeprefix("sql\n")

    def do(url):
        asked(url, statement, "SELECT 1")
        upgrade(url)
        upgrade(url)  # a second start finds nothing to do
        return url

    return do


async def test_tables_in_parts_are_written_and_asked_as_whole_ones(tmp_path, spread):
    half = len(STORIES) // 2
    urls = server().url(), migrated(tmp_path / "r.db")
    for url in urls:
        await told(url, STORIES[:half])
    await asyncio.to_thread(spread, urls[0])
    for url in urls:
        await told(url, STORIES[half:])
    one, other = [await Ledger.open(url) for url in urls]
    assert await answers(one.reader) == await answers(other.reader)
    accounts = [str(number) for number in range(40)]
    for account in accounts:
        for ledger in (one, other):
            await ledger.commit(play(observations("answered", account=account)).changes, now_ms=T0)
        mine, theirs = await one.load_open(account), await other.load_open(account)
        assert (mine.sessions, mine.positions) == (theirs.sessions, theirs.positions)
        assert mine.extensions == theirs.extensions
    plan = asked(urls[0], f"EXPLAIN SELECT * FROM fact WHERE account_id = '{accounts[0]}' AND session_id = 'x'")
    assert len({part for part in range(4) for row in plan if f"fact_{part}" in row["QUERY PLAN"]}) == 1
    for name in PARTS:
        assert len(asked(urls[0], f"SELECT 1 FROM pg_inherits WHERE inhparent = '{name}'::regclass")) == 4, name
    assert await purge_journal(one, T0 + 10**12) == await purge_journal(other, T0 + 10**12) > 0
    await one.close()
    await other.close()
    back = f"sqlite+aiosqlite:///{tmp_path / 'back.db'}"
    assert all(table.equal for table in await copy(urls[0], back))
    assert all(table.equal for table in await copy(back, spread(server().url())))
