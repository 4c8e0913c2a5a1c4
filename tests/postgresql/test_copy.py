"""A ledger moved to another database and back."""

import pytest

from ringledger.ledger import copy as copying
from ringledger.ledger.copy import copy
from ringledger.ledger.errors import DatabaseForeign, DatabaseUnfinished, LedgerBroken, LedgerLocked
from ringledger.ledger.write.store import Ledger
from ringledger.simulator import load_story
from tests.builders import T0, Desk, item, presence
from tests.postgresql.server import asked, needs_postgresql, server
from tests.postgresql.test_contract import STORIES, answers, changes_of
from tests.template import migrated

pytestmark = needs_postgresql


async def filled(url):
    ledger = await Ledger.open(url)
    for path in STORIES:
        for changes in changes_of(load_story(path)):
            await ledger.commit(changes, now_ms=T0)
    await ledger.close()
    return url


async def shown(url):
    ledger = await Ledger.open(url, read_only=True)
    try:
        return await answers(ledger.reader)
    finally:
        await ledger.close()


class Stop(Exception):
    """Somebody breaks the copy off."""


async def test_a_copy_broken_off_twice_is_the_same_in_the_end_there_and_back(tmp_path, monkeypatch):
    monkeypatch.setattr(copying, "STEP", 20)
    here, there = await filled(migrated(tmp_path / "r.db")), server().url(empty=True)
    for after in (3, 12):
        seen = []

        def stop(table, rows, seen=seen, after=after):
            seen.append((table, rows))
            if len(seen) == after:
                raise Stop

        with pytest.raises(Stop):
            await copy(here, there, stop)
        with pytest.raises(DatabaseUnfinished, match="db copy"):
            await Ledger.open(there)
    done = await copy(here, there)
    assert all(one.equal and one.rows == one.arrived for one in done)
    assert sum(one.rows for one in done) > 300
    assert await shown(there) == await shown(here)
    back = f"sqlite+aiosqlite:///{tmp_path / 'back.db'}"
    assert all(one.equal for one in await copy(there, back))
    assert await shown(back) == await shown(here)
    for url in (there, back):  # new rows stand behind those that came along
        ledger = await Ledger.open(url)
        await ledger.commit(Desk().see(presence(101, 1, T0, item(session="new"))).changes, now_ms=T0)
        assert [call.session_id for call in (await ledger.load_open("400100")).sessions] == ["new"]
        await ledger.close()


async def test_what_may_not_be_copied_is_left_alone(tmp_path):
    here, there = await filled(migrated(tmp_path / "r.db")), server().url(empty=True)
    with pytest.raises(LedgerBroken, match="itself"):
        await copy(here, here)
    ledger = await Ledger.open(here)
    with pytest.raises(LedgerLocked):  # a daemon
        await copy(here, there)
    await ledger.close()
    await filled(there_too := server().url())
    with pytest.raises(DatabaseForeign, match="holds a ledger already"):
        await copy(here, there_too)
    other = migrated(tmp_path / "other.db")
    await (await Ledger.open(other)).close()
    asked(
        there_too, "CREATE TABLE unfinished_copy (source text)", "INSERT INTO unfinished_copy VALUES ('x')", "SELECT 1"
    )
    with pytest.raises(DatabaseForeign, match="unfinished copy of x"):
        await copy(here, there_too)


async def test_a_difference_is_found_and_the_copy_stays_unfinished(tmp_path, monkeypatch):
    here, there = await filled(migrated(tmp_path / "r.db")), server().url(empty=True)
    meddled = []

    def meddle(table, rows):
        if table == "publication" and not meddled:
            meddled.append(asked(there, "UPDATE call SET to_name = 'x'", "SELECT count(*) FROM call"))

    done = {one.table: one.equal for one in await copy(here, there, meddle)}
    assert meddled
    assert [table for table, equal in done.items() if not equal] == ["call"]
    with pytest.raises(DatabaseUnfinished):
        await Ledger.open(there)
