"""What a restart gets back is what was there: calls with their facts, or summaries that make the same row."""

import json

import pytest

from ringledger.domain.observation import CallKey
from ringledger.domain.tracked import restored
from ringledger.ledger.errors import LedgerBroken
from ringledger.ledger.read.restart import call_of
from ringledger.ledger.schema.older import summary_of_state
from ringledger.ledger.write.quarantine import observation_of
from tests.builders import SESSION, T0, Desk, claim, item, presence


def test_a_call_is_made_of_its_facts_and_its_row():
    desk = Desk().see(presence(101, 1, T0, item("Ringing")), presence(101, 3, T0 + 9_000, item("OnHold")))
    desk.see(presence(101, 2, T0 + 5_000, item("CallConnected")))  # late: it counts as ignored, and is a fact
    desk.books(claim("Accepted", session="other", record="r"))
    key = desk.call().key
    saved = call_of(key, [fact for one, fact in desk.changes.facts if one == key], None, live=True)
    assert saved == desk.call().saved()
    assert restored(saved).row() == desk.call().row()
    assert desk.call(SESSION).ignored == 1


def test_what_cannot_be_read_is_named():
    with pytest.raises(LedgerBroken, match="state"):
        summary_of_state("{}", (), None)
    with pytest.raises(LedgerBroken, match="quarantine"):
        observation_of("record", "[]")


#: A call that rang at T0, was answered 5 s later, and is on hold since 20 s: as the schema's version 2 kept it.
OF_OLD = {
    "account_id": "a", "session_id": "1", "phase": "open", "status": "OnHold", "opened_by": "presence",
    "discovered_at": T0, "last_seen_at": T0 + 20_000, "started_at": T0, "first_rung_at": T0,
    "first_answered_at": T0 + 5_000, "hold_ms": 3_000, "hold_since": T0 + 20_000, "events_accepted": 5,
    "marks": {"101": [0, 9, T0 + 20_000]}, "uuids": ["u1"], "verdicts": {}, "a_field_of_old": 7,
    "legs": [{"number": 1, "leg_id": "x", "extension_id": "101", "direction": "Inbound", "status": "OnHold",
              "live": True, "source": "presence", "started_at": T0, "answered_at": T0 + 5_000, "ended_at": None,
              "termination": None, "from_party": ["+13027430863", None, "13027430863"], "to_party": [None, None, None],
              "records": []}],
}  # fmt: skip


def test_an_open_call_of_an_older_version_goes_on():
    desk = Desk()
    summary = summary_of_state(json.dumps(OF_OLD), (), None)
    desk.tracker.restore([call_of(CallKey("a", "1"), [summary], None, live=True)], now=desk.now)
    leg = {"session": "1", "leg": "x"}
    late = presence(101, 8, T0 + 19_000, item("CallConnected", **leg), account="a")
    on, over = (presence(101, n, T0 + at, item(word, **leg), account="a")
                for n, at, word in ((10, 30_000, "CallConnected"), (11, 40_000, "NoCall")))  # fmt: skip
    desk.see(late, on, over).settle()
    record = desk.changes.records[CallKey("a", "1")]
    assert (record.ring_ms, record.hold_ms, record.talk_ms) == (5_000, 13_000, 22_000)
    assert (record.events_accepted, record.answer_estimated) == (7, False)
