"""What the ledger is asked for by the names of calls is found by an index, however many calls it has."""

import pytest

from ringledger.ledger.read import aliases
from ringledger.ledger.write.store import Ledger
from tests.builders import claim


@pytest.mark.sqlite
async def test_the_calls_of_a_record_are_found_by_their_index(ledger: Ledger):
    asked = aliases._told_by([claim("Missed"), claim("Missed", record="record-2")])
    question = asked.compile(dialect=ledger.reader.dialect, compile_kwargs={"literal_binds": True})
    async with ledger.reader.connect() as connection:
        plan = (await connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {question}")).mappings().all()
    assert "(account_id=? AND record_id=?)" in plan[0]["detail"]
