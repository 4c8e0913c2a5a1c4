"""Call-log records: claims out of pages, a broken one never costs the rest."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringledger.domain.observation import Direction, Party, Source
from ringledger.ringcentral.decode.records import RecordPage, decode_records
from ringledger.ringcentral.decode.unreadable import WireError, WireReason
from tests.platform.payloads import record


def page(*records: Any, source: Source = Source.CALL_LOG, read_at: int = 77, **rest: Any) -> RecordPage:
    return decode_records(
        json.dumps({"records": list(records), **rest}),
        account_id="1001",
        source=source,
        default_region="US",
        read_at=read_at,
    )


def one(**fields: Any) -> Any:
    (claim,) = page(record(**fields)).claims
    return claim


def test_a_record_becomes_a_claim() -> None:
    claim = one()
    assert (claim.session_id, claim.record_id, claim.source) == ("900000001021", "REC-1", Source.CALL_LOG)
    assert claim.direction is Direction.INBOUND
    assert claim.from_party == Party("+15550100001", "A Caller", "+15550100001")
    assert (claim.extension_id, claim.started_at, claim.duration_ms) == ("2002", 1767607200000, 24800)
    assert (claim.result, claim.action, claim.running, claim.read_at) == ("Accepted", "Phone Call", False, 77)
    assert not claim.coarse
    assert not claim.internal


def test_whole_seconds_are_coarse() -> None:
    claim = one(durationMs=None)
    assert (claim.duration_ms, claim.coarse) == (25000, True)


@pytest.mark.parametrize(
    ("fields", "running"),
    [
        ({"result": "In Progress"}, True),
        ({"result": "in progress"}, True),
        ({"finished": False}, True),
        ({"finished": True}, False),
        ({"result": None}, False),
    ],
)
def test_running(fields: dict[str, Any], running: bool) -> None:
    assert one(**fields).running is running


@pytest.mark.parametrize(
    ("fields", "source", "seconds_later", "running"),
    [
        ({}, Source.ACTIVE_CALLS, 10, True),  # the older form: it grows from listing to listing
        ({"result": "Call connected"}, Source.ACTIVE_CALLS, 10, True),
        ({}, Source.ACTIVE_CALLS, 16, False),
        ({"finished": True}, Source.ACTIVE_CALLS, 10, False),
        ({"result": "Missed"}, Source.ACTIVE_CALLS, 10, False),
        ({}, Source.CALL_LOG, 10, False),  # the log has what is over
    ],
)
def test_a_talk_that_has_lasted_until_it_was_listed_goes_on_unless_it_is_said_to_be_over(
    fields: dict[str, Any], source: Source, seconds_later: int, running: bool
) -> None:
    ended = 1767607200000 + 24_800
    (claim,) = page(record(**fields), source=source, read_at=ended + seconds_later * 1_000).claims
    assert claim.running is running


def test_on_whose_behalf() -> None:
    assert one(extension=None).extension_id == "2002"
    assert one(extension=None, uri="https://x/account/1/extension/31/call-log/a").extension_id == "31"
    assert one(extension=None, uri=None).extension_id == "2002"
    assert one(extension=None, uri=None, direction="Outbound").extension_id is None


def test_two_extensions_make_an_internal_call() -> None:
    claim = one(**{"from": {"extensionNumber": "101"}, "to": {"extensionNumber": 102, "extensionId": "2"}})
    assert claim.internal
    assert claim.to_party.number == "102"


def test_legs_follow_their_record() -> None:
    leg = {
        "startTime": "2026-01-05T10:00:02.000Z",
        "duration": 3,
        "direction": "Inbound",
        "legType": "Accept",
    }
    claims = page(record(legs=[leg, {"direction": 7}])).claims
    assert [(claim.record_id, claim.leg_of) for claim in claims] == [("REC-1", None), ("REC-1/1", "REC-1")]
    assert claims[1].session_id == "900000001021"


def test_faxes_are_left_out() -> None:
    assert page(record(type="Fax")) == RecordPage((), ())


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"id": None}, WireReason.MISSING_FIELD),
        ({"startTime": "noon"}, WireReason.BAD_TIMESTAMP),
        ({"direction": "Sideways"}, WireReason.MISSING_FIELD),
        ({"durationMs": -5}, WireReason.WRONG_SHAPE),
        ({"durationMs": None, "duration": 1e300}, WireReason.WRONG_SHAPE),
        ({"from": "+15550100001"}, WireReason.WRONG_SHAPE),
    ],
)
def test_a_broken_record_is_quarantined_and_its_page_kept(fields: dict[str, Any], reason: WireReason) -> None:
    read = page(record(id="A"), record(**fields), record(id="B"), 7)
    assert [claim.record_id for claim in read.claims] == ["A", "B"]
    assert [broken.reason for broken in read.unreadable] == [reason, WireReason.NOT_OBJECT]
    assert "5550100001" not in str(read.unreadable)


def test_links_and_tokens() -> None:
    read = page(navigation={"nextPage": {"uri": "https://x/next"}}, syncInfo={"syncToken": "T"})
    assert (read.next_page, read.sync_token) == ("https://x/next", "T")
    assert page().next_page is None


@pytest.mark.parametrize("payload", [b"", b"[]", b"<html>", b'{"paging":{}}', b'{"records":7}'])
def test_an_answer_that_is_no_listing_raises(payload: bytes) -> None:
    with pytest.raises(WireError):
        decode_records(payload, account_id="1", source=Source.CALL_LOG, default_region="US", read_at=0)


@given(
    name=st.sampled_from(sorted(record())),
    value=st.none()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=9)
    | st.just([])
    | st.just({}),
)
def test_no_value_of_any_field_breaks_a_page(name: str, value: Any) -> None:
    read = page(record(**{name: value}))
    assert len(read.claims) + len(read.unreadable) in (0, 1)


def test_the_largest_page_the_platform_serves_is_read() -> None:
    """1,000 records are well beyond what a notification may weigh."""
    assert len(page(*(record(id=f"REC-{n}") for n in range(1000))).claims) == 1000


def test_faxes_are_read_only_when_asked_for() -> None:
    text = json.dumps({"records": [record(), record(id="REC-F", type="Fax")]})
    asked = {"account_id": "1001", "source": Source.CALL_LOG, "default_region": "US", "read_at": 77}
    assert [claim.record_id for claim in decode_records(text, **asked).claims] == ["REC-1"]
    assert [claim.record_id for claim in decode_records(text, **asked, faxes=True).claims] == ["REC-F"]


def test_both_ends_are_known_by_their_extensions() -> None:
    ends = {"from": {"phoneNumber": "+15550100001"}, "to": {"extensionId": 2002, "extensionNumber": "102"}}
    assert one(**ends).parties == ("", "2002")
    assert one(**{"from": {"extensionId": "2005"}, "to": None}).parties == ("2005", "")
