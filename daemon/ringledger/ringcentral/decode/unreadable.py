"""The one error of reading payloads, and the guarded decode that raises nothing else.

What must stay true: whatever bytes arrive, :func:`decode` returns the asked-for shape or raises
:class:`WireError`; neither ``detail`` nor ``raw`` ever shows a whole telephone number.
"""

import re
from enum import StrEnum
from typing import Final, TypeVar

import msgspec

from ringledger.domain.observation import Source, Unreadable

#: Larger payloads are refused unread; the feeds' own limit is 32 KiB.
MAX_BYTES: Final = 256 * 1024
RAW_LIMIT: Final = 400
T = TypeVar("T")
#: Half of a character beyond the first 65,536: valid in JSON's escapes, in no Unicode text.
_LONE = re.compile("[\ud800-\udfff]")
#: The same as JSON writes it. Escaped backslashes and whole characters are matched first, so that they stay.
_ESCAPED = re.compile(
    rb"\\\\|\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|(\\u[dD][89a-fA-F][0-9a-fA-F]{2})"
)
_NUMBER = re.compile(r"\+?\d[\d\s().\-]{4,}\d\d")


class WireReason(StrEnum):
    """Why a payload could not be read: a closed list, used as a label of counters."""

    NOT_BASE64 = "not_base64"
    UNDECRYPTABLE = "undecryptable"
    TOO_LARGE = "too_large"
    NOT_TEXT = "not_text"
    NOT_JSON = "not_json"
    TOO_DEEP = "too_deep"
    NOT_OBJECT = "not_object"
    WRONG_SHAPE = "wrong_shape"
    NOT_PRESENCE = "not_presence"
    MISSING_BODY = "missing_body"
    MISSING_TIMESTAMP = "missing_timestamp"
    BAD_TIMESTAMP = "bad_timestamp"
    MISSING_SEQUENCE = "missing_sequence"
    MISSING_EXTENSION = "missing_extension"
    MISSING_FIELD = "missing_field"


class WireError(Exception):
    """A payload that cannot be read.

    ``reason`` is one of :class:`WireReason`; ``detail`` says what was wrong; ``raw`` is the payload,
    shortened and with its telephone numbers masked.
    """

    def __init__(self, reason: WireReason, detail: str, raw: object = "") -> None:
        self.reason = reason
        self.detail = excerpt(detail)
        self.raw = excerpt(raw)
        self._payload = raw
        super().__init__(f"{reason}: {self.detail}")

    def unreadable(self, received_at: int, source: Source = Source.PRESENCE) -> Unreadable:
        """The same as a value for the sink. ``received_at``: ms."""
        return Unreadable(self.reason.value, self.detail, self.raw, received_at, source, storable(self._payload))


def masked(text: str) -> str:
    """``text`` with every run of seven or more digits cut down to its last two."""
    return _NUMBER.sub(lambda match: "***" + match.group()[-2:], text)


def excerpt(raw: object, limit: int = RAW_LIMIT) -> str:
    """``raw`` (bytes, text or anything) as short, masked, storable text."""
    return masked(storable(raw, limit * 8))[:limit]


def storable(raw: object, limit: int = MAX_BYTES) -> str:
    """``raw`` (bytes, text or anything) as text that a database can hold, at most ``limit`` characters."""
    try:
        part = raw[:limit] if isinstance(raw, bytes | str) else str(raw)[:limit]
    except (RecursionError, ValueError):  # nested too deep, or a number of thousands of digits
        part = type(raw).__name__
    text = part.decode("utf-8", "replace") if isinstance(part, bytes) else _LONE.sub("\ufffd", part)
    return text.replace("\x00", "\ufffd")


def decode(decoder: msgspec.json.Decoder[T], payload: bytes | str, *, most: int = MAX_BYTES) -> T:
    """Decode ``payload`` of at most so many bytes; raises :class:`WireError` and nothing else.

    What is no valid Unicode in it (half a character, bytes of another encoding) becomes U+FFFD.
    """
    if len(payload) > most:
        raise WireError(WireReason.TOO_LARGE, f"{len(payload)} bytes, at most {most} are read", payload)
    try:
        return _decoded(decoder, payload)
    except WireError as error:
        if error.reason not in _MENDABLE or (mended := mend(payload)) == payload:
            raise
        try:
            return _decoded(decoder, mended)
        except WireError as second:
            raise (error if second.reason in _MENDABLE else second) from None


def has_nul(payload: bytes | str) -> bool:
    """Whether a text in the payload may hold NUL: JSON writes it as an escape, and most have no escape at all."""
    if isinstance(payload, bytes):
        return b"\\" in payload and b"\\u0000" in payload
    return "\\" in payload and "\\u0000" in payload


def mend(payload: bytes | str) -> bytes | str:
    """JSON text with U+FFFD for whatever in it is no valid Unicode."""
    text = _LONE.sub("\ufffd", payload).encode() if isinstance(payload, str) else payload
    try:
        text.decode()
    except UnicodeDecodeError:
        text = text.decode("utf-8", "replace").encode()
    mended = _ESCAPED.sub(lambda found: b"\\ufffd" if found[1] else found[0], text)
    return payload if mended == payload else mended


def _decoded(decoder: msgspec.json.Decoder[T], payload: bytes | str) -> T:
    try:
        return decoder.decode(payload)
    except RecursionError:
        raise WireError(WireReason.TOO_DEEP, "nested too deep", payload) from None
    except msgspec.ValidationError as error:
        raise WireError(_shape_reason(str(error)), str(error), payload) from None
    except UnicodeError:
        raise WireError(WireReason.NOT_TEXT, "not valid UTF-8", payload) from None
    except msgspec.DecodeError as error:
        raise WireError(WireReason.NOT_JSON, str(error), payload) from None
    except (ValueError, OverflowError) as error:
        raise WireError(WireReason.WRONG_SHAPE, str(error), payload) from None


_MENDABLE: Final = frozenset({WireReason.NOT_TEXT, WireReason.NOT_JSON})


def _shape_reason(message: str) -> WireReason:
    at_root = " - at `" not in message and message.startswith("Expected `object`")
    return WireReason.NOT_OBJECT if at_root else WireReason.WRONG_SHAPE
