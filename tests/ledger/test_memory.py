"""What a restart gets back is what was there: sessions as they were, or rebuilt so that the row comes out the same."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringledger.domain.call import CallSession, Leg, Mark, Phase, Verdict
from ringledger.domain.observation import CallItem, Direction, Party, PresenceObservation, RecordClaim, Source
from ringledger.domain.status import TelephonyStatus
from ringledger.ledger.errors import LedgerBroken
from ringledger.ledger.memory import observation_of, session_of
from ringledger.ledger.rows import observation_row, state_row
from tests.builders import T0, claim, presence_read

text = st.text(max_size=12)
ms = st.integers(0, 253_402_300_799_999)
for shape in (Party, Mark, Verdict, Leg, CallItem):
    st.register_type_strategy(shape, st.builds(shape))


def sessions() -> st.SearchStrategy[CallSession]:
    times = dict.fromkeys(("discovered_at", "last_seen_at", "started_at"), ms)
    return st.builds(CallSession, uuids=st.lists(text, max_size=3), legs=st.lists(legs(), max_size=3), **times,
                     marks=st.dictionaries(text, st.builds(Mark), max_size=2), first_answered_at=st.none() | ms,
                     answered_hint=st.none() | ms, answered_by=st.none() | ms, start_estimated=st.booleans(),
                     verdicts=st.dictionaries(text, st.builds(Verdict), max_size=2))  # fmt: skip


def legs() -> st.SearchStrategy[Leg]:
    return st.builds(Leg, from_party=st.builds(Party), to_party=st.builds(Party), started_at=ms,
                     answer_estimated=st.booleans(), records=st.lists(text, max_size=2))  # fmt: skip


@given(sessions())
def test_a_session_survives_the_way_to_its_row_and_back(session):
    again = session_of(state_row(session, T0)[-1])
    assert again == session
    assert all(type(mark) is Mark for mark in again.marks.values())
    assert again.key == session.key
    assert [type(leg.direction) for leg in again.legs] == [type(leg.direction) for leg in session.legs]


@given(st.builds(PresenceObservation, items=st.lists(st.builds(CallItem), max_size=2).map(tuple), received_at=ms))
def test_a_snapshot_survives_the_journal(seen):
    account_id, _, kind, body = observation_row(seen)
    assert observation_of(kind, body) == seen
    assert (account_id, kind) == (seen.account_id, "presence")


@given(st.builds(RecordClaim, read_at=ms))
def test_a_record_survives_the_journal(seen):
    _, _, kind, body = observation_row(seen)
    assert observation_of(kind, body) == seen


def test_a_state_that_cannot_be_read_is_named():
    with pytest.raises(LedgerBroken, match="state"):
        session_of("{}")
    with pytest.raises(LedgerBroken, match="observation"):
        observation_of("record", "[]")


def test_a_state_written_before_a_field_existed_can_be_read():
    state = state_row(CallSession("a", "1", phase=Phase.SETTLING), T0)[-1]
    older = state.replace('"part_of":null', '"a_field_of_old":7').replace('"verdicts":{},', "")
    assert session_of(older) == CallSession("a", "1", phase=Phase.SETTLING)


def test_a_state_written_before_times_could_be_estimates_can_be_read():
    leg = Leg(1, "a", "101", Direction.INBOUND, TelephonyStatus.RINGING, True, Source.PRESENCE, T0)
    session = CallSession("a", "1", legs=[leg], discovered_at=T0 + 9_000, answered_hint=T0)
    state = state_row(session, T0)[-1]
    older = state.replace(',"start_estimated":false,"rung_estimated":false,"answered_by":null', "")
    older = older.replace(',"start_estimated":false,"answer_estimated":false,"records":[]', "")
    assert "estimated" not in older.replace("end_estimated", "")
    assert session_of(older) == session
    assert session_of(older).answered_at == T0


def test_a_journal_written_before_records_told_what_they_tell_now_can_be_read():
    read = presence_read("101", T0)
    _, _, kind, body = observation_row(read)
    assert observation_of(kind, body.removesuffix(",null]") + "]") == read
    record = claim("Accepted")
    _, _, kind, body = observation_row(record)
    for later in (",null,null,[]]", ",[]]"):
        assert body.endswith(later)
        assert observation_of(kind, body.removesuffix(later) + "]") == record
