import json

import pytest

from ringledger.domain.observation import PresenceObservation, Source, Unreadable
from ringledger.ringcentral.decode.recording import (
    FeedState,
    RecordedListing,
    RecordingError,
    account_of,
    read_recording,
)
from tests.builders import T0, envelope, ms

PATH = "/restapi/v1.0/account/77/extension/101/presence?detailedTelephonyState=true"
RECORD = {
    "id": "R1", "sessionId": "9", "startTime": "2026-03-02T09:00:00.000Z", "duration": 7, "direction": "Inbound",
    "result": "Accepted",
}  # fmt: skip


def read(*lines):
    encoded = [line if isinstance(line, bytes) else json.dumps(line).encode() for line in lines]
    return list(read_recording(encoded, account_id="1", default_region="US"))


def notification(**about):
    return envelope("101", 5, "2026-03-02T09:00:00.000Z", **about) | {"event": PATH}


def page(number, last, *records, **about):
    link = {} if last else {"nextPage": {"uri": "…"}}
    body = {"records": list(records), "paging": {"page": number}, "navigation": link}
    return {"source": "active-calls", "received_at": T0 + number, "page": body} | about


def test_a_plain_notification_came_when_it_was_sent():
    (seen,) = read(notification())
    assert (seen.account_id, seen.at, seen.received_at) == ("77", T0, T0)


def test_an_event_came_when_its_line_says():
    (seen,) = read({"source": "event", "received_at": "2026-03-02T09:00:09.500Z", "notification": notification()})
    assert (seen.at, seen.received_at) == (T0, T0 + 9_500)


def test_a_read_of_presence_has_its_three_times():
    line = {
        "source": "presence", "extension_id": 101, "asked_at": T0, "received_at": T0 + 900,
        "date": "Mon, 02 Mar 2026 09:00:00 GMT", "body": {"activeCalls": []},
    }  # fmt: skip
    (seen,) = read(line)
    assert isinstance(seen, PresenceObservation)
    assert (seen.source, seen.extension_id, seen.sequence) == (Source.PRESENCE_READ, "101", None)
    assert (seen.asked_at, seen.at, seen.received_at) == (T0, T0, T0 + 900)


def test_the_pages_of_a_listing_are_one_answer_at_its_last():
    other = RECORD | {"id": "R2"}
    seen = read(page(1, False, RECORD, asked_at=T0), notification(), page(2, True, other, asked_at=T0 + 1))
    assert [type(one) for one in seen] == [PresenceObservation, RecordedListing]
    assert [claim.record_id for claim in seen[1].claims] == ["R1", "R2"]
    assert {(claim.asked_at, claim.received_at) for claim in seen[1].claims} == {(T0, T0 + 2)}
    assert [claim.read_at for claim in seen[1].claims] == [T0 + 1, T0 + 2]
    assert (seen[1].asked_at, seen[1].read_at, seen[1].complete) == (T0, T0 + 1, True)


@pytest.mark.parametrize(
    "pages",
    [
        [page(1, False, RECORD)],
        [page(2, True, RECORD)],
        [page(1, False, RECORD), page(3, True)],
    ],
    ids=["its last is missing", "its first is missing", "one between is missing"],
)
def test_a_listing_of_which_a_page_is_missing_is_not_complete(pages):
    (answer,) = read(*pages)
    assert (answer.complete, [claim.record_id for claim in answer.claims]) == (False, ["R1"])


def test_a_listing_that_begins_anew_ends_the_one_before():
    seen = read(page(1, False, RECORD), page(1, True))
    assert [(one.complete, len(one.claims)) for one in seen] == [(False, 1), (True, 0)]


def test_states_of_the_feed():
    seen = read({"source": "feed", "state": "blind", "at": T0}, {"source": "feed", "state": "live", "at": T0 + 5})
    assert seen == [FeedState(False, T0), FeedState(True, T0 + 5)]


def test_what_the_daemon_would_put_aside_is_put_aside():
    seen = read(notification() | {"timestamp": "yesterday"}, notification())
    assert [type(one) for one in seen] == [Unreadable, PresenceObservation]


def test_the_account_is_the_first_that_is_named():
    assert account_of([b"{}", json.dumps(notification()).encode()]) == "77"
    assert account_of([b"{}"]) is None


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b"{", "not a presence notification: no JSON"),
        ({"body": 5}, "not a presence notification"),
        ({"source": "rumour"}, "unknown source 'rumour', known: event, presence, active-calls, call-log, feed"),
        ({"source": "feed", "state": "dead", "at": T0}, 'a feed is "live" or "blind"'),
        ({"source": "feed", "state": "live"}, "needs at"),
        ({"source": "event", "received_at": T0}, "there is no notification"),
        ({"source": "call-log", "page": {"records": []}}, "an answer needs received_at"),
        ({"source": "call-log", "received_at": T0, "page": {}}, "not an answer of call-log: missing_body"),
        ({"source": "call-log", "received_at": "soon", "page": {"records": []}}, "received_at is no time"),
        ({"source": "call-log", "received_at": {}, "page": {"records": []}}, "not a presence notification"),
        ({"source": "presence", "received_at": T0, "body": {}}, "needs extension_id"),
    ],
)
def test_a_line_that_cannot_be_read_is_named(line, reason):
    with pytest.raises(RecordingError) as raised:
        read(notification(), line)
    assert raised.value.line == 2
    assert reason in raised.value.reason


def test_a_moment_is_iso_text_a_date_or_milliseconds():
    lines = [
        {"source": "feed", "state": "live", "at": at}
        for at in (T0, "2026-03-02T09:00:00Z", "Mon, 02 Mar 2026 09:00:00 GMT")
    ]
    assert {one.at for one in read(*lines)} == {T0, ms("2026-03-02T09:00:00Z")}
