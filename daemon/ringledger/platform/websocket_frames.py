"""Frames of the WebSocket transport (platform page 3.2): ``[meta]`` or ``[meta, body]``, read in two steps.

What must stay true: whatever arrives, :func:`read_frame` returns a frame or raises :class:`WireError`; a body that
is broken never hides the meta before it.
"""

import json
from dataclasses import dataclass, field
from typing import Any, Final, TypeVar

import msgspec

from ringledger.platform.unreadable import WireError, WireReason, decode
from ringledger.platform.wire import WireId, text_id

T = TypeVar("T")
#: A larger frame ends the connection.
MAX_FRAME_BYTES: Final = 1024 * 1024


class Wsc(msgspec.Struct, frozen=True):
    """The recovery context: whoever reconnects with ``token`` gets what came after it. ``token``: empty for none."""

    token: str = ""
    sequence: int = 0


class WireMeta(msgspec.Struct, rename="camel", gc=False):
    """The first part of a frame. Only what tells frames apart is strict: the rest never costs an event."""

    type: str | None = None
    message_id: WireId = None
    status: Any = None
    wsc: Any = None
    headers: Any = None


class WireDetails(msgspec.Struct, rename="camel"):
    """The body of ``ConnectionDetails``; times are seconds."""

    recovery_buffer_size: int = 100
    recovery_timeout: float = 180.0
    recovery_state: str | None = None
    recovery_error_code: str | None = None


class WireFault(msgspec.Struct, rename="camel"):
    """The body of an ``Error`` frame."""

    error_code: str = ""
    message: str = ""


@dataclass(frozen=True, slots=True)
class Frame:
    """One frame; ``body`` is its JSON text, empty when there is none."""

    kind: str
    message_id: str | None
    status: int | None
    wsc: Wsc | None
    body: bytes
    headers: dict[str, str] = field(default_factory=dict)


_PARTS: Final = msgspec.json.Decoder(list[msgspec.Raw])
_META: Final = msgspec.json.Decoder(WireMeta)
_DETAILS: Final = msgspec.json.Decoder(WireDetails)
_FAULT: Final = msgspec.json.Decoder(WireFault)


def read_frame(data: str | bytes) -> Frame:
    """One received message; raises :class:`WireError`."""
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
    headers = meta.headers if isinstance(meta.headers, dict) else {}
    return Frame(
        meta.type,
        text_id(meta.message_id),
        _lax(meta.status, int),
        _lax(meta.wsc, Wsc),
        body,
        {str(name): str(value) for name, value in headers.items()},
    )


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
    """What an ``Error`` frame says."""
    try:
        return decode(_FAULT, frame.body)
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
