"""The boundary: everything that reads what others have written, with what may come of it.

A target takes bytes. It fails by raising anything at all: an exception that is not documented, a value no database can
hold, a text or a time beyond its bound. What it may raise it catches.
"""

import asyncio
import contextlib
import json
import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, Final

from ringledger.clock import now_ms
from ringledger.config.model import load_settings
from ringledger.config.provenance import SettingsError
from ringledger.domain.observation import PresenceObservation, RecordClaim, Source, Unreadable
from ringledger.ringcentral.api.directory import decode_extension_page, decode_whoami
from ringledger.ringcentral.api.pace import Pace
from ringledger.ringcentral.decode import values
from ringledger.ringcentral.decode.presence import decode_notification, decode_presence_read, read_any, read_plain
from ringledger.ringcentral.decode.recording import RecordingError, read_recording
from ringledger.ringcentral.decode.records import decode_records
from ringledger.ringcentral.decode.unreadable import WireError
from ringledger.ringcentral.pubnub.client import BadAnswer
from ringledger.ringcentral.pubnub.crypto import PayloadCipher
from ringledger.ringcentral.pubnub.receiver import parse_answer, publish_token
from ringledger.ringcentral.ratelimit.limits import (
    LONGEST_WINDOW,
    MAX_PENALTY_SECONDS,
    RateGroup,
    RateLimits,
    retry_after,
)
from ringledger.ringcentral.subscriptions.subscription import (
    Subscription,
    decode_subscription,
    decode_subscriptions,
    not_served,
)
from ringledger.ringcentral.websocket import connection
from ringledger.ringcentral.websocket.connection import read_details, read_fault, read_frame
from ringledger.ringcentral.websocket.receiver import WebSocketBookmark
from tests.fuzz.way import SEEDS, way
from tests.platform.payloads import EVENT_2015, event, item, record

Target = Callable[[bytes], None]
#: The longest text that any value may be, characters: a recovery context; all others are far shorter.
LONGEST: Final = 4096
FILTER: Final = "/restapi/v1.0/account/~/extension/{}/presence?detailedTelephonyState=true"
READ_AT: Final = 1_767_607_200_000


def sound(value: Any, longest: int = values.NAME_LENGTH) -> None:
    """Raise unless a database can hold the value and everything in it."""
    if isinstance(value, bool) or value is None or isinstance(value, float):
        return
    if isinstance(value, int):
        assert abs(value) < 2**63, value
    elif isinstance(value, str):
        value.encode()
        assert "\x00" not in value
        assert len(value) <= longest, len(value)
    elif isinstance(value, Unreadable):
        sound([value.reason, value.detail, value.raw], 400)
        sound(value.body, 256 * 1024)
    elif isinstance(value, Iterable):
        for one in value:
            sound(one, longest)
    else:
        raise AssertionError(f"a {type(value).__name__}")


def timely(*times: int | None) -> None:
    """Raise unless each is between 2000 and tomorrow."""
    latest = values.latest_time(now_ms()) + 1000
    assert all(values.EARLIEST_MS <= at <= latest for at in times if at is not None), times


def _seen(seen: PresenceObservation) -> None:
    sound(seen)
    timely(seen.at, *(one.started_at for one in seen.items))


def _claim(claim: RecordClaim) -> None:
    sound(claim)
    timely(claim.started_at)
    assert claim.duration_ms is None or 0 <= claim.duration_ms <= values.MAX_DURATION_MS


def notification(data: bytes) -> None:
    """A notification of either feed; what the short way reads, the long one reads alike."""
    told = "1", "US", 0, values.latest_time(now_ms())
    if (plain := read_plain(data, *told)) is not None:
        assert repr(plain) == repr(read_any(data, *told))
    try:
        _seen(decode_notification(data, account_id="1", default_region="US", received_at=0))
    except WireError as error:
        sound(error.unreadable(0))


def presence(data: bytes) -> None:
    """An answer of GET presence."""
    with contextlib.suppress(WireError):
        _seen(
            decode_presence_read(
                data, account_id="1", extension_id="2", default_region="US", read_at=READ_AT, received_at=READ_AT
            )
        )


def listing(data: bytes) -> None:
    """A page of active-calls or the call log, or a synchronisation."""
    with contextlib.suppress(WireError):
        page = decode_records(data, account_id="1", source=Source.CALL_LOG, default_region="GB", read_at=READ_AT)
        for claim in page.claims:
            _claim(claim)
        for one in page.unreadable:
            sound(one)
        sound(page.sync_token, LONGEST)


def people(data: bytes) -> None:
    """Names and numbers of the directory."""
    with contextlib.suppress(WireError):
        for one in decode_extension_page(data).people:
            sound([one.id, one.number, one.name, one.type, one.status])
    with contextlib.suppress(WireError):
        me = decode_whoami(data)
        sound([me.account_id, me.extension_id, me.extension_number, me.name])


def subscription(data: bytes) -> None:
    """Answers of the subscription resource."""
    with contextlib.suppress(WireError):
        _subscription(decode_subscription(data))
    with contextlib.suppress(WireError):
        for one in decode_subscriptions(data):
            _subscription(one)


def _subscription(one: Subscription) -> None:
    sound([one.id, one.status, one.expires_in, one.filters, one.disabled_filters, one.transport], values.PATH_LENGTH)
    assert one.expires_in is None or 0 < one.expires_in <= values.MAX_LIFE_SECONDS
    not_served([FILTER.format("1"), FILTER.format("~")], one)
    if one.pubnub is not None:
        PayloadCipher(one.pubnub.encryption_key)


def frame(data: bytes) -> None:
    """A WebSocket frame, as text and as bytes, and what it may carry."""
    texts: list[bytes | str] = [data]
    with contextlib.suppress(UnicodeDecodeError):
        texts.append(data.decode())
    for text in texts:
        if (plain := connection.read_plain(text)) is not None:
            assert plain == connection.read_any(text)
        try:
            read = read_frame(text)
        except WireError as error:
            sound(error.unreadable(0))
            continue
        sound([read.kind, read.message_id, read.status], LONGEST)
        sound([*read.headers.items()], LONGEST)
        details, fault = read_details(read), read_fault(read)
        sound([details.recovery_buffer_size, fault.error_code, fault.message], LONGEST)
        sound(WebSocketBookmark("s", "f").after([read]).position().token, 2 * LONGEST)
        notification(read.body)


def poll(data: bytes) -> None:
    """An answer of PubNub, as the SDK hands it over."""
    try:
        answer = json.loads(data)
    except (ValueError, RecursionError):
        return  # the SDK's own fault, which becomes a failed poll
    cipher = PayloadCipher("AAAAAAAAAAAAAAAAAAAAAA==")
    with contextlib.suppress(BadAnswer):
        token, region, entries = parse_answer(answer)
        sound([token, region])
        for entry in entries:
            sound(publish_token(entry))
            if isinstance(entry, dict) and "d" in entry:
                try:
                    notification(cipher.open(entry["d"]))
                except WireError as error:
                    sound(error.unreadable(0))


class _Steps(Pace):
    """Time that passes only while somebody sleeps."""

    def __init__(self) -> None:
        super().__init__()
        self.seconds = 1_000.0

    def now(self) -> float:
        return self.seconds

    async def sleep(self, seconds: float) -> None:
        self.seconds += seconds


def headers(data: bytes) -> None:
    """Headers of any answer: one of a list of names and a value on each line."""
    lines = [line.partition(b":") for line in data.splitlines()[:50]]
    found = {name.decode("latin-1").strip(): text.decode("latin-1").strip() for name, _, text in lines}
    date = values.http_date(found.get("Date", ""))
    timely_date = date is None or values.EARLIEST_MS <= date < values.LATEST_MS
    assert timely_date
    dates = values.PlatformDates()
    for at in (date, READ_AT, date):
        if at is not None:
            dates.learn(at, READ_AT)
            assert values.EARLIEST_MS < dates.latest(READ_AT) < values.LATEST_MS
    wait = retry_after(found)
    assert wait is None or 0 < wait <= MAX_PENALTY_SECONDS
    pace = _Steps()
    limits = RateLimits(pace=pace)
    for _ in range(3):
        limits.learn(RateGroup.HEAVY, found)
    limits.penalise(RateGroup.HEAVY, found)
    asyncio.run(limits.acquire(RateGroup.HEAVY))
    assert pace.seconds - 1_000 <= MAX_PENALTY_SECONDS + LONGEST_WINDOW


def configuration(data: bytes) -> None:
    """A configuration file."""
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "ringledger.toml"
        path.write_bytes(data)
        with contextlib.suppress(SettingsError):
            load_settings(path, {}).sources()


def recording(data: bytes) -> None:
    """A file for `replay`."""
    with contextlib.suppress(RecordingError):
        for _ in read_recording(data.splitlines(keepends=True), account_id="1", default_region="US"):
            pass


_SUBSCRIPTION: Final = {
    "id": "sub-1", "status": "Active", "expiresIn": 900, "eventFilters": [FILTER.format("2002")],
    "disabledFilters": [{"filter": FILTER.format("2003"), "reason": "SUB-406", "message": "no"}],
    "deliveryMode": {
        "transportType": "PubNub", "encryption": True, "address": "1_abc", "subscriberKey": "sub-c-1",
        "encryptionAlgorithm": "AES", "encryptionKey": "AAAAAAAAAAAAAAAAAAAAAA==",
    },
}  # fmt: skip
_PAGE: Final = {
    "records": [record(id="A"), record(id="B", legs=[record(), record()]), record(id="C", durationMs=None)],
    "navigation": {"nextPage": {"uri": "https://x.example/call-log?page=2"}},
    "paging": {"page": 1, "perPage": 100, "totalPages": 2},
    "syncInfo": {"syncType": "FSync", "syncToken": "T1", "syncTime": "2026-01-05T10:00:00Z"},
}
_PERSON: Final = {"id": 2002, "extensionNumber": "102", "name": "B Agent", "type": "User", "status": "Enabled"}
_META: Final = {
    "type": "ServerNotification", "messageId": "m-1", "status": 200, "headers": {"RCRequestId": "r-1"},
    "wsc": {"token": "w-1", "sequence": 7},
}  # fmt: skip
_POLL: Final = {
    "t": {"t": "17676072000000000", "r": 1},
    "m": [{"a": "1", "f": 0, "p": {"t": "17676072000000001", "r": 1}, "k": "sub-c-1", "c": "1_abc", "d": event()}],
}
_HEADERS: Final = (
    b"Date: Mon, 05 Jan 2026 10:00:00 GMT\nX-Rate-Limit-Group: heavy\nX-Rate-Limit-Limit: 10\n"
    b"X-Rate-Limit-Remaining: 0\nX-Rate-Limit-Window: 60\nRetry-After: 30"
)
_CONFIGURATION: Final = b"""
[platform]
server_url = "https://platform.ringcentral.com"
extensions = ["~"]
[feed]
transport = "pubnub"
pubnub_origin = "http://127.0.0.1:8080"
[poll]
interval_seconds = 180
[database]
url = "sqlite+aiosqlite:////tmp/r.db"
[[webhooks]]
url = "https://receiver.example/x"
events = ["call.finished"]
"""
_RECORDING: Final = b"\n".join(
    json.dumps(line).encode()
    for line in (
        event(),
        {"source": "event", "received_at": READ_AT, "notification": event()},
        {"source": "call-log", "asked_at": READ_AT, "received_at": READ_AT, "date": READ_AT, "page": _PAGE},
        {"source": "presence", "extension_id": "2002", "received_at": READ_AT, "body": event()["body"]},
        {"source": "feed", "state": "blind", "at": READ_AT},
    )
)
_EVENTS: Final = (event(), EVENT_2015, event(activeCalls=[item(id=str(n)) for n in range(7)], totalActiveCalls=9))

#: Each target with what its inputs are made of.
TARGETS: Final[dict[str, tuple[Target, tuple[Any, ...]]]] = {
    "notification": (notification, _EVENTS),
    "presence": (presence, ({**event()["body"], "extension": {"id": 2002}},)),
    "listing": (listing, (_PAGE,)),
    "people": (people, ({"records": [_PERSON, {**_PERSON, "id": 2003}]}, {**_PERSON, "account": {"id": 1001}})),
    "subscription": (subscription, (_SUBSCRIPTION, {"records": [_SUBSCRIPTION]})),
    "frame": (frame, ([_META, event()], [{**_META, "type": "Error"}, {"errorCode": "WSG-902", "message": "idle"}])),
    "poll": (poll, (_POLL,)),
    "headers": (headers, (_HEADERS,)),
    "configuration": (configuration, (_CONFIGURATION,)),
    "recording": (recording, (_RECORDING,)),
    "way": (way, SEEDS),
}
#: How much of a long round each gets: the feeds' and the books' most, those that are slow by nature least.
SHARES: Final = {
    "notification": 30,
    "listing": 20,
    "frame": 15,
    "poll": 15,
    "way": 8,
    "configuration": 1,
    "recording": 5,
}
