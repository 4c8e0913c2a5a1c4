"""From announcements to letters: which receiver gets which event, and its CloudEvents JSON.

What must stay true: no letter is made that no receiver asks for; the id of an event is a function of the event alone,
so a receiver recognises what it has seen; numbers are whole, for they are what a receiver looks people up by. A
receiver's address and secret are in no text that is logged or stored.
"""

import base64
import binascii
import hashlib
import hmac
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any, Final
from urllib.parse import urlsplit

from msgspec.json import encode

from ringledger.config.model import WEBHOOK_EVENTS, WebhookSettings
from ringledger.domain.call import CallRecord, front
from ringledger.domain.changes import Announcement, AnnouncementKind, Changes
from ringledger.domain.disposition import Disposition
from ringledger.domain.observation import CallKey, Direction
from ringledger.ledger.times import to_text, to_text_or_none
from ringledger.ledger.write.letters import Letter
from ringledger.service.announce import Who, nobody, row_of

CONTENT_TYPE: Final = "application/cloudevents+json"
MISSED: Final = "call.missed"
TEST: Final = "test"
#: Hex digits that stand for a receiver in the database.
KEY_LENGTH: Final = 16


@dataclass(frozen=True, slots=True)
class WebhookReceiver:
    """One of ``[[webhooks]]``. ``key``: what stands for it in the database; ``address``: what people are shown, the
    part of its URL that holds no token."""

    key: str
    address: str
    url: str = field(repr=False)
    secret: bytes = field(repr=False)
    events: frozenset[str] = frozenset()

    def headers(self, event_id: str, timestamp: int, body: bytes) -> dict[str, str]:
        """What goes with a delivery (the Standard Webhooks convention). ``timestamp``: seconds since the epoch."""
        headers = {"Content-Type": CONTENT_TYPE, "Webhook-Id": event_id, "Webhook-Timestamp": str(timestamp)}
        if self.secret:
            headers["Webhook-Signature"] = signature(self.secret, event_id, timestamp, body)
        return headers


def receivers_of(hooks: Iterable[WebhookSettings]) -> list[WebhookReceiver]:
    """The configured receivers; the same address twice is two of them."""
    found: list[WebhookReceiver] = []
    seen: dict[str, int] = {}
    for hook in hooks:
        again = seen[hook.url] = seen.get(hook.url, 0) + 1
        digest = hashlib.sha256(f"{hook.url} {again}".encode()).hexdigest()[:KEY_LENGTH]
        events = frozenset(name for name in WEBHOOK_EVENTS if any(fnmatchcase(name, one) for one in hook.events))
        secret = _key_of(hook.secret.get_secret_value())
        found.append(WebhookReceiver(digest, _address(hook.url), hook.url, secret, events))
    return found


def signature(secret: bytes, event_id: str, timestamp: int, body: bytes) -> str:
    """``v1,`` and the Base64 of HMAC-SHA256 over ``id.timestamp.body``."""
    signed = hmac.digest(secret, f"{event_id}.{timestamp}.".encode() + body, "sha256")
    return f"v1,{base64.b64encode(signed).decode()}"


def _key_of(secret: str) -> bytes:
    """``whsec_`` and Base64, as the convention writes secrets; any other text is used as it is."""
    if secret.startswith("whsec_"):
        try:
            return base64.b64decode(secret.removeprefix("whsec_"), validate=True)
        except binascii.Error:
            pass
    return secret.encode()


def _address(url: str) -> str:
    parts = urlsplit(url)
    port = f":{parts.port}" if parts.port else ""
    return f"{parts.scheme}://{parts.hostname}{port}"


_NAMES: Final = {
    kind: kind.value
    for kind in AnnouncementKind
    if kind.value in WEBHOOK_EVENTS
}  # fmt: skip


class LetterWriter:
    """Called in the commit's path with what is about to be committed (``Ledger.fill_outbox_with``)."""

    def __init__(
        self, receivers: Iterable[WebhookReceiver], who: Who = nobody, *, directories: Mapping[str, Who] | None = None
    ) -> None:
        self._others = who
        #: Of each account its directory; whose account is not among them is looked for in ``who``.
        self._directories = {} if directories is None else directories
        self._readers: dict[str, list[str]] = {}
        for receiver in receivers:
            for event in receiver.events:
                self._readers.setdefault(event, []).append(receiver.key)

    def __call__(self, changes: Changes, now_ms: int) -> Sequence[Letter]:
        """Return the letters for these changes, in order. ``now_ms``: the rows' ``updated_at``."""
        letters: list[Letter] = []
        missed: set[tuple[str, str]] = set()
        for told in changes.announcements:
            name = _NAMES.get(told.kind)
            if name is None or told.session_id is None:
                continue
            if readers := self._readers.get(name):
                letters += self._letters(readers, name, told, changes, now_ms)
            if told.record is not None and self._is_news(told.record, missed):
                letters += self._letters(self._readers[MISSED], MISSED, told, changes, now_ms)
        return letters

    def _is_news(self, record: CallRecord, missed: set[tuple[str, str]]) -> bool:
        """Whether a receiver asks for missed calls, and nothing earlier in the batch reports this one."""
        if MISSED not in self._readers:
            return False
        key, known = (record.account_id, record.session_id), len(missed)
        (missed.add if _is_missed(record) else missed.discard)(key)
        return len(missed) > known

    def _letters(
        self, readers: list[str], name: str, told: Announcement, changes: Changes, now_ms: int
    ) -> list[Letter]:
        account_id, session_id = told.account_id, told.session_id or ""
        event_id = "/".join((account_id, session_id, name, _ordinal(told)))
        who = self._directories.get(account_id, self._others)
        row = None if told.record is None else row_of(told.record, who) | {"updated_at": to_text(now_ms)}
        data = row or _change(told, changes, who)
        event = cloud_event(name, event_id, data, account_id=account_id, at=told.at, subject=session_id)
        body = encode(event).decode()
        doubtful = name == MISSED and told.kind is not AnnouncementKind.FINISHED
        return [Letter(reader, account_id, session_id, event_id, name, body, doubtful) for reader in readers]


def _is_missed(record: CallRecord) -> bool:
    """Whether a caller from outside was missed: an internal call is Outbound, the inner half of a RingOut a part."""
    return record.disposition is Disposition.MISSED and record.direction is Direction.INBOUND and record.part_of is None


def _ordinal(told: Announcement) -> str:
    """What tells this event from others of its kind and call. No full stops: the signature's text is split by them."""
    if told.record is not None:
        return str(told.record.revision)
    parts = (told.extension_id, told.sequence, told.at, told.to_status)
    return "-".join(str(part) for part in parts if part is not None)


def cloud_event(
    name: str, event_id: str, data: dict[str, Any], *, account_id: str, at: int, subject: str | None
) -> dict[str, Any]:
    """The envelope (CloudEvents 1.0, structured mode). ``at``: ms."""
    envelope = {
        "specversion": "1.0",
        "id": event_id,
        "source": f"/ringledger/accounts/{account_id}",
        "type": f"ringledger.{name}",
        "subject": subject,
        "time": to_text(at),
        "datacontenttype": "application/json",
        "data": data,
    }
    return {name: value for name, value in envelope.items() if value is not None}


def trial_event(now_ms: int) -> tuple[str, str]:
    """Id and body of an event that tells nothing: whether a receiver listens and accepts the signature."""
    event_id = f"test/{now_ms}"
    event = cloud_event(TEST, event_id, {"test": True}, account_id="none", at=now_ms, subject=None)
    return event_id, encode(event).decode()


def _change(told: Announcement, changes: Changes, who: Who) -> dict[str, Any]:
    """What has changed, and who is on the line as far as it was known at the commit (columns of ``active_calls``)."""
    data: dict[str, Any] = {
        "account_id": told.account_id,
        "session_id": told.session_id,
        "at": to_text(told.at),
        "from_status": told.from_status,
        "to_status": told.to_status,
        "sequence": told.sequence,
        "source": told.source,
        "reason": told.reason,
        "extension_id": told.extension_id,
    }
    call = changes.sessions.get(CallKey(told.account_id, told.session_id or ""))
    if call is not None:
        direction, extension_id, from_party, to_party = front(call.call)
        data |= {
            "telephony_session_id": call.telephony_session_id,
            "direction": direction,
            "extension_id": told.extension_id or extension_id,
            "from_number": from_party.number,
            "from_name": from_party.name,
            "to_number": to_party.number,
            "to_name": to_party.name,
            "started_at": to_text(call.started_at),
            "answered_at": to_text_or_none(call.answered_at),
        }
    data["extension_number"], data["extension_name"] = who(data["extension_id"])
    return data
