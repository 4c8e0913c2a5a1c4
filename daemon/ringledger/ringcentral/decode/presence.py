"""Presence on the wire: a notification or an answer of GET presence becomes a ``PresenceObservation``.

One typed decode per payload (msgspec), then plain construction; unknown fields are ignored; values are judged by
:mod:`~ringledger.ringcentral.decode.values`. A notification in the shape that nearly all have is judged by its type
alone (``Plain…``); any other is decoded anew, by the types that bear every documented oddity. What must stay true:
nothing but :class:`WireError` ever comes out; an extension id is never taken from ``ownerId``; both ways read a plain
notification alike.
"""

import re
from functools import lru_cache
from typing import Annotated, Final

import msgspec

from ringledger.clock import now_ms
from ringledger.domain.observation import (
    UNKNOWN_PARTY,
    CallItem,
    Direction,
    Party,
    PresenceObservation,
    Source,
)
from ringledger.domain.status import TelephonyStatus, TerminationType
from ringledger.numbers import normalise
from ringledger.ringcentral.decode.unreadable import MAX_BYTES, WireError, WireReason, decode, has_nul
from ringledger.ringcentral.decode.values import (
    EARLIEST_MS,
    ID_LENGTH,
    NAME_LENGTH,
    PATH_LENGTH,
    WORD_LENGTH,
    Int64,
    WireId,
    WireNumber,
    cut,
    latest_time,
    parse_time,
    remembered_time,
    text_id,
    time_of,
)

#: More calls of one extension than this are no snapshot; the platform cuts at seven.
MOST_ITEMS: Final = 1000
_EVENT: Final = re.compile(r"/account/[^/?]+/extension/([^/?]+)/presence(?:\?|$)")
_ACCOUNT_EVENT: Final = re.compile(r"/account/[^/?]+/presence(?:\?|$)")
_STATUS: Final = {status.value: status for status in TelephonyStatus}
_DIRECTION: Final = {direction.value: direction for direction in Direction}
_TERMINATION: Final = {termination.value: termination for termination in TerminationType}


class WireSip(msgspec.Struct, rename="camel", gc=False):
    """``sipData`` of an item; ``blf`` in ``toTag`` marks another extension's call."""

    to_tag: str | None = None


class WireItem(msgspec.Struct, rename="camel", gc=False):
    """One entry of ``activeCalls`` (platform page 1.4)."""

    id: WireId = None
    session_id: WireId = None
    telephony_session_id: WireId = None
    direction: str | None = None
    telephony_status: str | None = None
    termination_type: str | None = None
    from_: WireNumber = msgspec.field(default=None, name="from")
    gcm_from: WireNumber = msgspec.field(default=None, name="_from")
    from_name: str | None = None
    to: WireNumber = None
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


_Id = Annotated[str, msgspec.Meta(max_length=ID_LENGTH)]
_Word = Annotated[str, msgspec.Meta(max_length=WORD_LENGTH)]
_Name = Annotated[str, msgspec.Meta(max_length=NAME_LENGTH)]


class PlainItem(msgspec.Struct, rename="camel", gc=False):
    """As :class:`WireItem`: texts of ordinary length, and statuses and directions that we know."""

    telephony_status: TelephonyStatus
    id: _Id | None = None
    session_id: _Id | None = None
    telephony_session_id: _Id | None = None
    direction: Direction | None = None
    termination_type: TerminationType | None = None
    from_: _Word | None = msgspec.field(default=None, name="from")
    gcm_from: _Word | None = msgspec.field(default=None, name="_from")
    from_name: _Name | None = None
    to: _Word | None = None
    to_name: _Name | None = None
    start_time: _Id | None = None
    queue_call: bool | None = None
    on_behalf_of: _Id | None = None
    sip_data: WireSip | None = None


class PlainBody(msgspec.Struct, rename="camel", gc=False):
    """As :class:`WireBody`."""

    sequence: Int64
    extension_id: _Id | None = None
    telephony_status: str | None = None
    active_calls: Annotated[list[PlainItem], msgspec.Meta(max_length=MOST_ITEMS)] | None = None
    total_active_calls: Int64 | None = None
    presence_status: _Word | None = None
    user_status: _Word | None = None
    dnd_status: _Word | None = None


class PlainNotification(msgspec.Struct, rename="camel", gc=False):
    """As :class:`WireNotification`."""

    event: Annotated[str, msgspec.Meta(max_length=PATH_LENGTH)]
    timestamp: _Id
    body: PlainBody
    uuid: _Id | None = None


_plain: Final = msgspec.json.Decoder(PlainNotification).decode
_NOTIFICATION: Final = msgspec.json.Decoder(WireNotification)
_EVENT_ONLY: Final = msgspec.json.Decoder(WireEvent)
_PRESENCE: Final = msgspec.json.Decoder(WirePresence)


def decode_notification(
    payload: bytes | str, *, account_id: str, default_region: str, received_at: int, latest: int | None = None
) -> PresenceObservation:
    """One extension presence notification. ``received_at``: ms; ``latest``: the latest time that is believed, ms, by
    default a day ahead of our clock. Raises :class:`WireError`.

    Events of other kinds (line lists, message stores, sessions) raise ``not_presence``.
    """
    latest = latest_time(now_ms()) if latest is None else latest
    seen = read_plain(payload, account_id, default_region, received_at, latest)
    return read_any(payload, account_id, default_region, received_at, latest) if seen is None else seen


def read_plain(
    payload: bytes | str, account_id: str, region: str, received_at: int, latest: int
) -> PresenceObservation | None:
    """A notification of the usual shape; ``None`` for all that has to be looked at more closely."""
    if len(payload) > MAX_BYTES or has_nul(payload):
        return None
    try:
        wire = _plain(payload)
        from_path = _extension_of(wire.event)
    except (msgspec.MsgspecError, WireError, ValueError, RecursionError):
        return None
    body, at = wire.body, remembered_time(wire.timestamp)
    extension_id = from_path if body.extension_id == from_path else body.extension_id or from_path
    if extension_id is None or at is None or not EARLIEST_MS <= at <= latest:
        return None
    items: list[CallItem] = []
    for item in body.active_calls or ():
        began = None
        if item.start_time:
            began = remembered_time(item.start_time)
            if began is None or not EARLIEST_MS <= began <= latest:
                return None
        sender, status = item.gcm_from if item.from_ is None else item.from_, item.telephony_status
        items.append(
            CallItem(
                item.session_id or None,
                item.telephony_session_id or None,
                item.id or None,
                item.direction,
                status,
                status._value_,
                item.termination_type,
                _party(sender or None, item.from_name or None, region),
                _party(item.to or None, item.to_name or None, region),
                began,
                item.queue_call is True,
                item.on_behalf_of or None,
                item.sip_data is not None and item.sip_data.to_tag == "blf",
            )
        )
    return PresenceObservation(
        account_id,
        extension_id,
        at,
        received_at,
        body.sequence,
        wire.uuid or None,
        tuple(items),
        _truncated(body),
        Source.PRESENCE,
        body.presence_status or None,
        body.user_status or None,
        body.dnd_status or None,
    )


def read_any(
    payload: bytes | str, account_id: str, default_region: str, received_at: int, latest: int
) -> PresenceObservation:
    """A notification of any shape that can be read. Raises :class:`WireError`."""
    try:
        wire = decode(_NOTIFICATION, payload)
    except WireError as error:
        raise _not_presence(payload) or error from None
    try:
        return _observation(wire, account_id, default_region, received_at, latest)
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
    latest: int | None = None,
) -> PresenceObservation:
    """An answer of GET presence: a snapshot without sequence. Raises :class:`WireError`.

    ``read_at``: when it was given, by its ``Date`` (ms); the body holds no time of its own.
    ``extension_id``: whom we asked about; the answer's own id wins, since ``~`` may have been asked for.
    """
    wire = decode(_PRESENCE, payload)
    named = wire.extension.id if wire.extension else None
    latest = latest_time(now_ms()) if latest is None else latest
    return PresenceObservation(
        account_id=account_id,
        extension_id=text_id(named) or extension_id,
        at=read_at,
        received_at=received_at,
        sequence=None,
        uuid=None,
        items=_items(wire, default_region, latest),
        truncated=_truncated(wire),
        source=Source.PRESENCE_READ,
        presence_status=cut(wire.presence_status),
        user_status=cut(wire.user_status),
        dnd_status=cut(wire.dnd_status),
    )


def _not_presence(payload: bytes | str) -> WireError | None:
    """Return why a payload that does not fit is not meant for us; ``None``: it is really a fault."""
    try:
        event = decode(_EVENT_ONLY, payload).event
        _event_extension(event)
    except WireError as error:
        if error.reason is WireReason.NOT_PRESENCE:
            return WireError(error.reason, error.detail, payload)
    return None


def _observation(
    wire: WireNotification, account_id: str, default_region: str, received_at: int, latest: int
) -> PresenceObservation:
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
    return PresenceObservation(
        account_id,
        extension_id,
        time_of(wire.timestamp, latest),
        received_at,
        body.sequence,
        text_id(wire.uuid),
        _items(body, default_region, latest),
        _truncated(body),
        Source.PRESENCE,
        cut(body.presence_status),
        cut(body.user_status),
        cut(body.dnd_status),
    )


def _event_extension(event: str | None) -> str | None:
    """The extension in an event's path, never its owner (rule 1.6); ``None`` when it names none. Raises
    ``not_presence``.
    """
    if event is not None and len(event) > PATH_LENGTH:
        raise WireError(WireReason.NOT_PRESENCE, f"event {event[:200]}")
    return _extension_of(event)


@lru_cache(maxsize=2048)
def _extension_of(event: str | None) -> str | None:
    if event is None or _ACCOUNT_EVENT.search(event):
        return None
    match = _EVENT.search(event)
    if match is None:
        raise WireError(WireReason.NOT_PRESENCE, f"event {event[:200]}")
    return match[1] if match[1] != "~" else None


def _items(body: WireBody, region: str, latest: int) -> tuple[CallItem, ...]:
    calls = body.active_calls or ()
    if len(calls) > MOST_ITEMS:
        raise WireError(WireReason.TOO_LARGE, f"{len(calls)} calls of one extension, at most {MOST_ITEMS} are read")
    return tuple([_item(item, region, latest) for item in calls])


def _truncated(body: WireBody | PlainBody) -> bool:
    """Whether absence from the array proves nothing: it was cut, or not sent at all during a call (rule 3.2)."""
    if body.active_calls is None:
        return body.telephony_status != TelephonyStatus.NO_CALL.value
    if not body.active_calls and body.telephony_status not in {None, "", TelephonyStatus.NO_CALL.value}:
        return True
    return (body.total_active_calls or 0) > len(body.active_calls)


def _item(item: WireItem, region: str, latest: int) -> CallItem:
    status_text = item.telephony_status or ""
    status = _STATUS.get(status_text)
    sender = item.from_ if item.from_ is not None else item.gcm_from
    return CallItem(
        text_id(item.session_id),
        text_id(item.telephony_session_id),
        text_id(item.id),
        _DIRECTION.get(item.direction or ""),
        status,
        cut(status_text) or "" if status is None else status._value_,
        # a word that we do not know is not "final": only the platform can tell whether the leg has ended
        _TERMINATION.get(item.termination_type, TerminationType.INTERMEDIATE) if item.termination_type else None,
        party(sender, item.from_name, region),
        party(item.to, item.to_name, region),
        _start_time(item.start_time, latest) if item.start_time else None,
        bool(item.queue_call),
        text_id(item.on_behalf_of),
        item.sip_data is not None and item.sip_data.to_tag == "blf",
    )


def party(raw: WireNumber, name: str | None, region: str) -> Party:
    """One end of a call from its text and name; blank is unknown, withheld keeps its raw text."""
    return _party(cut(str(raw) if isinstance(raw, int) else raw), cut(name, NAME_LENGTH), region)


@lru_cache(maxsize=1024)
def _party(raw: str | None, name: str | None, region: str) -> Party:
    if not raw and not name:
        return UNKNOWN_PARTY
    return Party(normalise(raw, region), name, raw)


def _start_time(text: str, latest: int) -> int | None:
    """What is no time at all says nothing of the start; a time no call can have raises :class:`WireError`."""
    try:
        return time_of(text, latest)
    except WireError:
        if parse_time(text[:NAME_LENGTH]) is None:
            return None
        raise
