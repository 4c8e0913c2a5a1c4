"""Presence on the wire: a notification or an answer of GET presence becomes a ``PresenceObservation``.

One typed decode per payload (msgspec), then plain construction; unknown fields are ignored. What must
stay true: nothing but :class:`WireError` ever comes out, and an extension id is never taken from ``ownerId``.
"""

import re
from datetime import UTC, datetime
from functools import lru_cache
from typing import Annotated, Final

import msgspec

from ringledger.domain.observation import (
    UNKNOWN_PARTY,
    CallItem,
    Direction,
    Party,
    PresenceObservation,
    Source,
)
from ringledger.domain.status import TelephonyStatus, TerminationType
from ringledger.platform.numbers import normalise
from ringledger.platform.unreadable import WireError, WireReason, decode

#: Ids are text with us; the platform writes text or a number.
WireId = str | int | None
#: What SQLite can hold.
Int64 = Annotated[int, msgspec.Meta(ge=-(2**63), le=2**63 - 1)]

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_EVENT: Final = re.compile(r"/account/[^/?]+/extension/([^/?]+)/presence(?:\?|$)")
_ACCOUNT_EVENT: Final = re.compile(r"/account/[^/?]+/presence(?:\?|$)")
_STATUS: Final = {status.value: status for status in TelephonyStatus}
_DIRECTION: Final = {direction.value: direction for direction in Direction}
_TERMINATION: Final = {termination.value: termination for termination in TerminationType}


class WireSip(msgspec.Struct, rename="camel", gc=False):
    """``sipData`` of an item; ``blf`` in ``toTag`` marks somebody else's call."""

    to_tag: str | None = None


class WireItem(msgspec.Struct, rename="camel", gc=False):
    """One entry of ``activeCalls`` (platform page 1.4)."""

    id: WireId = None
    session_id: WireId = None
    telephony_session_id: WireId = None
    direction: str | None = None
    telephony_status: str | None = None
    termination_type: str | None = None
    from_: WireId = msgspec.field(default=None, name="from")
    gcm_from: WireId = msgspec.field(default=None, name="_from")
    from_name: str | None = None
    to: WireId = None
    to_name: str | None = None
    start_time: str | None = None
    queue_call: bool | None = None
    on_behalf_of: WireId = None
    sip_data: WireSip | None = None


class WireBody(msgspec.Struct, rename="camel", gc=False):
    """``body`` of a presence notification (platform page 1.3)."""

    extension_id: WireId = None
    sequence: Int64 | None = None
    telephony_status: str | None = None
    active_calls: list[WireItem] | None = None
    total_active_calls: Int64 | None = None
    presence_status: str | None = None
    user_status: str | None = None
    dnd_status: str | None = None


class WireNotification(msgspec.Struct, rename="camel", gc=False):
    """The envelope of every notification (platform page 1.2)."""

    uuid: WireId = None
    event: str | None = None
    timestamp: str | None = None
    body: WireBody | None = None


class WireEvent(msgspec.Struct, gc=False):
    """The envelope's path alone, to tell other kinds of event from broken ones."""

    event: str | None = None


class WireExtension(msgspec.Struct, gc=False):
    """A reference to an extension."""

    id: WireId = None


class WirePresence(WireBody, rename="camel", gc=False):
    """An answer of GET presence (platform page 1.10)."""

    extension: WireExtension | None = None


_NOTIFICATION: Final = msgspec.json.Decoder(WireNotification)
_EVENT_ONLY: Final = msgspec.json.Decoder(WireEvent)
_PRESENCE: Final = msgspec.json.Decoder(WirePresence)


def decode_notification(
    payload: bytes | str, *, account_id: str, default_region: str, received_at: int
) -> PresenceObservation:
    """One extension presence notification. ``received_at``: ms. Raises :class:`WireError`.

    Events of other kinds (line lists, message stores, sessions) raise ``not_presence``.
    """
    try:
        wire = decode(_NOTIFICATION, payload)
    except WireError as error:
        raise _not_presence(payload) or error from None
    try:
        return _observation(wire, account_id, default_region, received_at)
    except WireError as error:
        raise WireError(error.reason, error.detail, payload) from None


def decode_presence_read(
    payload: bytes | str,
    *,
    account_id: str,
    extension_id: str,
    default_region: str,
    read_at: int,
    received_at: int,
) -> PresenceObservation:
    """An answer of GET presence: a snapshot without sequence. Raises :class:`WireError`.

    ``read_at``: when it was given, by its ``Date`` (ms); the body holds no time of its own.
    ``extension_id``: whom we asked about; the answer's own id wins, since ``~`` may have been asked for.
    """
    wire = decode(_PRESENCE, payload)
    named = wire.extension.id if wire.extension else None
    return PresenceObservation(
        account_id=account_id,
        extension_id=text_id(named) or extension_id,
        at=read_at,
        received_at=received_at,
        sequence=None,
        uuid=None,
        items=_items(wire, default_region),
        truncated=_truncated(wire),
        source=Source.PRESENCE_READ,
        presence_status=wire.presence_status or None,
        user_status=wire.user_status or None,
        dnd_status=wire.dnd_status or None,
    )


def _not_presence(payload: bytes | str) -> WireError | None:
    """Why a payload that does not fit is none of ours; ``None`` when it is really a fault."""
    try:
        event = decode(_EVENT_ONLY, payload).event
        _event_extension(event)
    except WireError as error:
        if error.reason is WireReason.NOT_PRESENCE:
            return WireError(error.reason, error.detail, payload)
    return None


def _observation(wire: WireNotification, account_id: str, default_region: str, received_at: int) -> PresenceObservation:
    from_path = _event_extension(wire.event)
    body = wire.body
    if body is None:
        raise WireError(WireReason.MISSING_BODY, "the event has no body")
    if wire.timestamp is None:
        raise WireError(WireReason.MISSING_TIMESTAMP, "the event has no timestamp")
    if body.sequence is None:
        raise WireError(WireReason.MISSING_SEQUENCE, "the body has no sequence")
    # the path's is the same object each time: an open call keeps no copy of its own
    extension_id = from_path if body.extension_id == from_path else text_id(body.extension_id) or from_path
    if extension_id is None:
        raise WireError(WireReason.MISSING_EXTENSION, "neither the body nor the path names the extension")
    at = parse_time(wire.timestamp)
    if at is None:
        raise WireError(WireReason.BAD_TIMESTAMP, "the timestamp is no ISO 8601 time")
    return PresenceObservation(
        account_id,
        extension_id,
        at,
        received_at,
        body.sequence,
        text_id(wire.uuid),
        _items(body, default_region),
        _truncated(body),
        Source.PRESENCE,
        body.presence_status or None,
        body.user_status or None,
        body.dnd_status or None,
    )


@lru_cache(maxsize=2048)
def _event_extension(event: str | None) -> str | None:
    """The extension in an event's path; ``None`` when it names none. Raises ``not_presence``."""
    if event is None or _ACCOUNT_EVENT.search(event):
        return None
    match = _EVENT.search(event)
    if match is None:
        raise WireError(WireReason.NOT_PRESENCE, f"event {event[:200]}")
    return match[1] if match[1] != "~" else None


def _items(body: WireBody, region: str) -> tuple[CallItem, ...]:
    return tuple([_item(item, region) for item in body.active_calls or ()])


def _truncated(body: WireBody) -> bool:
    """Whether absence from the array proves nothing: it was cut, or not sent at all while there is a call."""
    if body.active_calls is None:
        return body.telephony_status != TelephonyStatus.NO_CALL.value
    if not body.active_calls and body.telephony_status not in {None, "", TelephonyStatus.NO_CALL.value}:
        return True
    return (body.total_active_calls or 0) > len(body.active_calls)


def _item(item: WireItem, region: str) -> CallItem:
    status_text = item.telephony_status or ""
    sender = item.from_ if item.from_ is not None else item.gcm_from
    return CallItem(
        text_id(item.session_id),
        text_id(item.telephony_session_id),
        text_id(item.id),
        _DIRECTION.get(item.direction or ""),
        _STATUS.get(status_text),
        status_text,
        _TERMINATION.get(item.termination_type or ""),
        party(text_id(sender), item.from_name, region),
        party(text_id(item.to), item.to_name, region),
        _start_time(item.start_time) if item.start_time else None,
        bool(item.queue_call),
        text_id(item.on_behalf_of),
        item.sip_data is not None and item.sip_data.to_tag == "blf",
    )


def text_id(value: WireId) -> str | None:
    """An id as text; ``None`` for absent and blank."""
    if value is None or value == "":
        return None
    return value if type(value) is str else str(value)


@lru_cache(maxsize=4096)
def party(raw: str | None, name: str | None, region: str) -> Party:
    """One end of a call from its text and name; blank is unknown, withheld keeps its raw text."""
    if not raw and not name:
        return UNKNOWN_PARTY
    return Party(normalise(raw, region), name or None, raw or None)


def parse_time(text: str) -> int | None:
    """An ISO 8601 time (``…Z``, ``…+0000``, without zone: UTC) as ms; ``None`` when it is none."""
    try:
        moment = datetime.fromisoformat(text)
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=UTC)
        since = moment - _EPOCH
        return since.days * 86_400_000 + since.seconds * 1000 + since.microseconds // 1000
    except (ValueError, OverflowError):
        return None


#: Every event of a call repeats when it started.
_start_time: Final = lru_cache(maxsize=2048)(parse_time)
