"""A row that holds what none of ours does ends a start as damage, whatever reads it: never as a bug, nor as a passing
state in which a supervisor would start for ever."""

import pytest

from ringledger.cli.errors import explained
from ringledger.domain.coverage import CoverageSpan, CoverageState
from ringledger.exits import Exit
from ringledger.ledger.errors import LedgerError
from ringledger.ledger.times import NotATime
from ringledger.ledger.write.store import Ledger
from tests.builders import ACCOUNT, T0, Desk, item, presence, presence_read

#: The tables' own checks stand before these.
CHECKED = ["UPDATE coverage_span SET state = 'x'", "UPDATE live_call SET direction = 'x'"]
FREE = [
    "UPDATE live_call SET started_at = '9999-12-31T23:59:59.999Z'",
    "UPDATE live_call SET started_at = 'x'",
    "UPDATE coverage_span SET until_at = 'x'",
    "UPDATE feed_position SET at = 'x'",
    "UPDATE fact SET received_at = '0001-01-01T00:00:00.000Z'",
    "UPDATE fact SET body = '[]'",
    "UPDATE extension SET since = ''",
]


async def start(ledger):
    """Everything of the account that a start reads of the calls and of its sight."""
    await ledger.load_open(ACCOUNT)
    await ledger.load_coverage(ACCOUNT)
    await ledger.load_unconfirmed(ACCOUNT, 0)


@pytest.fixture
async def filled(ledger):
    """An open call, one that was read of, and a span."""
    desk = Desk().see(presence("101", 1, T0, item("Ringing"))).read(presence_read("102", T0))
    await ledger.commit(desk.changes, now_ms=T0, coverage=[CoverageSpan(ACCOUNT, T0, T0, CoverageState.LIVE)])
    await start(ledger)
    return ledger


@pytest.mark.parametrize("spoil", FREE)
async def test_a_spoilt_row_is_damage(spoil, filled, other):
    if "feed_position" in spoil:
        at = "2026-03-02T09:00:00.000Z"
        other.execute(f"INSERT INTO feed_position VALUES ('{ACCOUNT}', 'pubnub', '', '', '{at}')")
    other.execute(spoil)
    with pytest.raises((LedgerError, NotATime)) as told:
        await start(filled)
    assert explained(told.value)[0] == Exit.DATA


@pytest.mark.sqlite
@pytest.mark.parametrize("spoil", CHECKED)
async def test_a_row_that_has_passed_no_check_is_damage(spoil, filled, other):
    other.execute("PRAGMA ignore_check_constraints = 1")
    other.execute(spoil)
    with pytest.raises(LedgerError) as told:
        await start(filled)
    assert told.value.exit_code == Exit.DATA


async def test_a_name_that_is_no_text_is_told_when_it_is_read_first(url, path, other):
    """The question that failed was still open, and the closing said only that the table was locked."""
    other.execute("INSERT INTO purged_call VALUES ('a', CAST(x'ff' AS TEXT), '2026-03-02T09:00:00.000Z')")
    with pytest.raises(LedgerError, match="UTF-8") as told:
        await Ledger.open(url)
    assert told.value.exit_code == Exit.DATA
    other.execute("DELETE FROM purged_call")
    await (await Ledger.open(url)).close()  # nothing of the first is left that would hold it
