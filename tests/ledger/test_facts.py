"""A fact read back is the fact that was written."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringledger.domain.changes import IgnoredReason
from ringledger.domain.facts import (
    Absence,
    GivenUp,
    Ignored,
    Inventory,
    LegSummary,
    PresenceEvent,
    Read,
    Record,
    StatusChange,
    Summary,
    Watermark,
)
from ringledger.domain.observation import CallItem, CallKey, Party, RecordClaim, Source
from ringledger.domain.status import TelephonyStatus
from ringledger.ledger.errors import LedgerBroken
from ringledger.ledger.read.facts import FactRow, facts_of
from ringledger.ledger.schema.statements import columns
from ringledger.ledger.schema.tables import fact as table
from ringledger.ledger.times import to_ms, to_text
from ringledger.ledger.write.encode import fact_rows
from tests.builders import T0, item

KEY = CallKey("a", "1")
text = st.text(max_size=12)
ms = st.integers(0, 253_402_300_799_999)
known = st.sampled_from(TelephonyStatus)
own = st.builds(
    lambda one, status: one._replace(session_id="1", status=status, status_text=status.value, monitored=False),
    st.builds(CallItem), known,
)  # fmt: skip
items = st.lists(own | st.builds(CallItem, status_text=text), max_size=3).map(tuple)
records = st.builds(Record, claim=st.builds(RecordClaim, read_at=ms, received_at=st.none() | ms))
facts = st.one_of(
    st.builds(PresenceEvent, at=ms, received_at=ms, items=items),
    st.builds(Read, at=ms, received_at=ms, items=items),
    records,
    st.builds(Absence, at=ms),
    st.builds(GivenUp, last_seen_at=ms),
    st.builds(Ignored, at=ms, received_at=ms, reason=st.sampled_from([one.value for one in IgnoredReason])),
    st.builds(Summary, at=ms, legs=st.lists(st.builds(LegSummary), max_size=2).map(tuple),
              watermarks=st.lists(st.builds(Watermark), max_size=2).map(tuple),
              changes=st.lists(st.builds(StatusChange), max_size=2).map(tuple),
              records=st.lists(records, max_size=1).map(tuple)),
)  # fmt: skip


def rows(told):
    """The rows of these facts as a reader gets them."""
    written = [row for fact in told for row in fact_rows(KEY, fact, to_text(T0))]
    names = columns(table)
    found = [dict(zip(names, values, strict=True)) for values in written]
    return [
        FactRow(id=number, **row | {name: to_ms(row[name]) for name in ("at", "received_at")})
        for number, row in enumerate(found, start=1)
    ]


inventories = st.builds(
    Inventory, at=ms, names=st.lists(text, max_size=3).map(tuple), extension_id=text, received_at=ms
)


@given(inventories)
def test_what_a_read_of_presence_had_is_of_no_call(told):
    (row,) = rows([told])
    assert row.session_id is None
    assert list(facts_of([row])) == [(CallKey("a", ""), told)]


@given(st.lists(facts, max_size=4))
def test_facts_survive_the_way_to_their_rows_and_back(told):
    back = list(facts_of(rows(told)))
    assert back == [(KEY, fact) for fact in told]
    assert [type(fact) for _, fact in back] == [type(fact) for fact in told]
    for _, fact in back:
        for one in getattr(fact, "items", ()):
            assert type(one) is CallItem
            assert type(one.from_party) is Party
            assert one.status is None or type(one.status) is TelephonyStatus


def test_what_people_query_stands_in_columns():
    told = PresenceEvent(
        "101", 7, T0, (item("Ringing", "l1", session="1"), item("OnHold", "l2", session="1")), stale=True
    )
    first, second = rows([told])
    assert (first.status, first.leg_id, first.sequence, first.reason) == ("Ringing", "l1", 7, "stale_sequence")
    assert (second.status, second.leg_id, second.source) == ("OnHold", "l2", Source.PRESENCE)


def test_an_event_without_items_is_a_row_without_a_status():
    (row,) = rows([PresenceEvent("101", 7, T0, ())])
    assert (row.status, row.leg_id) == (None, None)


def test_an_ordinary_event_says_nothing_twice():
    (row,) = rows([PresenceEvent("101", 7, T0, (item(session="1", started=T0),), uuid="u", received_at=T0 + 80)])
    assert row.body == (
        '[[null,"Inbound",null,["+13027430863",null,"13027430863"],["+18885434778",null,"18885434778"],1772442000000],'
        'true,"u",0]'
    )


def test_a_row_of_an_older_journal_is_no_fact():
    (row,) = rows([PresenceEvent("101", 7, T0, ())])
    assert list(facts_of([row._replace(body=None)])) == []


@pytest.mark.parametrize("body", ["", "{", "[1]", "[[1,2],true,null,0]", '["x"]'])
def test_what_cannot_be_read_is_named(body):
    (row,) = rows([PresenceEvent("101", 7, T0, (item(session="1"),))])
    with pytest.raises(LedgerBroken, match="fact 1"):
        list(facts_of([row._replace(body=body)]))
