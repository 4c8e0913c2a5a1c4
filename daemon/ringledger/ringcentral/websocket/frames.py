"""Frames of the WebSocket transport (platform page 3.2): ``[meta]`` or ``[meta, body]``, read in two steps; plain
notifications in one.

What must stay true: whatever arrives, :func:`read_frame` returns a frame or raises :class:`WireError`; a body that
is broken never hides the meta before it; both ways read a plain notification alike.
"""

import json
from typing import Annotated, Any, Final, Literal, TypeVar

import msgspec

from ringledger.ringcentral.decode.unreadable import MAX_BYTES, WireError, WireReason, decode, has_nul
from ringledger.ringcentral.decode.values import (
    ID_LENGTH,
    INT64_MAX,
    PATH_LENGTH,
    WORD_LENGTH,
    Int64,
    WireId,
    cut,
    text_id,
    whole,
)

T = TypeVar("T")
#: A larger frame ends the connection.
MAX_FRAME_BYTES: Final = 1024 * 1024
#: Characters of a recovery context, which is kept and sent back in an address; a longer text is not one.
MOST_TOKEN: Final = 4096
#: A longer error code is cut.
CODE_LENGTH: Final = 32
#: An answer with more headers is taken as one without.
MOST_HEADERS: Final = 100


class Wsc(msgspec.Struct, frozen=True):
    """The recovery context: a connection opened with ``token`` gets what came after it. ``token``: empty for none."""

    token: Annotated[str, msgspec.Meta(max_length=MOST_TOKEN)] = ""
    sequence: Int64 = 0


class WireMeta(msgspec.Struct, rename="camel", gc=False):
    """The first part of a frame. Only what tells frames apart is strict: the rest never costs an event."""

    type: str | None = None
    message_id: WireId = None
    status: Any = None
    wsc: Any = None
    headers: Any = None


class WireDetails(msgspec.Struct, rename="camel"):
    """The body of ``ConnectionDetails``; times are seconds."""

    recovery_buffer_size: Int64 = 100
    recovery_timeout: float = 180.0
    recovery_state: str | None = None
    recovery_error_code: str | None = None


class WireFault(msgspec.Struct, rename="camel"):
    """The body of an ``Error`` frame."""

    error_code: str = ""
    message: str = ""


class Frame(msgspec.Struct, frozen=True):
    """One frame; ``body`` is its JSON text, empty when there is none."""

    kind: str
    message_id: str | None
    status: int | None
    wsc: Wsc | None
    body: bytes
    headers: dict[str, str] = msgspec.field(default_factory=dict)


_Word = Annotated[str, msgspec.Meta(max_length=WORD_LENGTH)]
_Long = Annotated[str, msgspec.Meta(max_length=PATH_LENGTH)]


class PlainMeta(msgspec.Struct, rename="camel", gc=False):
    """As :class:`WireMeta`, of a notification: all as it should be, and nothing that has to be looked at."""

    type: Literal["ServerNotification"]
    message_id: Annotated[str, msgspec.Meta(max_length=ID_LENGTH)] | None = None
    status: Annotated[int, msgspec.Meta(ge=100, le=599)] | None = None
    wsc: Wsc | None = None
    headers: Annotated[dict[_Word, _Long], msgspec.Meta(max_length=MOST_HEADERS)] | None = None


_plain: Final = msgspec.json.Decoder(tuple[PlainMeta, msgspec.Raw]).decode
_PARTS: Final = msgspec.json.Decoder(list[msgspec.Raw])
_META: Final = msgspec.json.Decoder(WireMeta)
_DETAILS: Final = msgspec.json.Decoder(WireDetails)
_FAULT: Final = msgspec.json.Decoder(WireFault)


def read_frame(data: str | bytes) -> Frame:
    """One received message; raises :class:`WireError`."""
    frame = read_plain(data)
    return read_any(data) if frame is None else frame


def read_plain(data: str | bytes) -> Frame | None:
    """A notification in the shape that nearly all have, in one step; ``None`` for all that is to be judged."""
    if len(data) > MAX_BYTES or has_nul(data):
        return None
    try:
        meta, body = _plain(data)
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return None
    return Frame(meta.type, meta.message_id or None, meta.status, meta.wsc, bytes(body), meta.headers or {})


def read_any(data: str | bytes) -> Frame:
    """A frame of any shape that can be read. Raises :class:`WireError`."""
    try:
        parts = decode(_PARTS, data)
    except WireError as error:
        meta_text, body = _split(data, error)
    else:
        if not parts:
            raise WireError(WireReason.WRONG_SHAPE, "an empty frame", data)
        meta_text, body = bytes(parts[0]), bytes(parts[1]) if len(parts) > 1 else b""
    meta = decode(_META, meta_text)
    if not meta.type:
        raise WireError(WireReason.MISSING_FIELD, "a frame without type", data)
    return Frame(
        cut(meta.type) or "",
        text_id(meta.message_id),
        whole(meta.status, 100, 599),
        _wsc(meta.wsc),
        body,
        _headers(meta.headers),
    )


def _headers(told: Any) -> dict[str, str]:
    """Headers of an answer, those that are text or a number."""
    if not isinstance(told, dict) or len(told) > MOST_HEADERS:
        return {}
    return {cut(name) or "": cut(str(value), PATH_LENGTH) or "" for name, value in told.items() if _is_short(value)}


def _is_short(value: object) -> bool:
    if isinstance(value, int):
        return abs(value) <= INT64_MAX
    return isinstance(value, str) and len(value) <= PATH_LENGTH


def _wsc(told: Any) -> Wsc | None:
    """A recovery context that can be kept and sent back."""
    wsc = _lax(told, Wsc)
    return wsc if wsc is not None and len(wsc.token) <= MOST_TOKEN and "\x00" not in wsc.token else None


def _lax(value: Any, kind: type[T]) -> T | None:
    """``value`` as ``kind``, from text too; ``None`` when it is no such thing."""
    try:
        return msgspec.convert(value, kind, strict=False)
    except msgspec.ValidationError:
        return None


def read_details(frame: Frame) -> WireDetails:
    """What ``ConnectionDetails`` says; its defaults when it cannot be read."""
    try:
        return decode(_DETAILS, frame.body)
    except WireError:
        return WireDetails()


def read_fault(frame: Frame) -> WireFault:
    """What an ``Error`` frame says, shortened."""
    try:
        fault = decode(_FAULT, frame.body)
        return WireFault(cut(fault.error_code, CODE_LENGTH) or "", cut(fault.message) or "")
    except WireError:
        return WireFault()


def _split(data: str | bytes, error: WireError) -> tuple[bytes, bytes]:
    """Meta and the rest of a frame that is not JSON as a whole, as multipart answers are; else raises ``error``."""
    text = data.decode("utf-8", "replace") if isinstance(data, bytes) else data
    start = text.find("{")
    if start < 0 or text[:start].strip() != "[":
        raise error
    try:
        _, end = json.JSONDecoder().raw_decode(text, start)
    except (ValueError, RecursionError):
        raise error from None
    return text[start:end].encode("utf-8", "replace"), text[end:].lstrip(" ,").encode("utf-8", "replace")
