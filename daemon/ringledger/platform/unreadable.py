"""The one error of reading payloads, and the guarded decode that raises nothing else.

What must stay true: whatever bytes arrive, :func:`decode` returns the asked-for shape or raises
:class:`WireError`; neither ``detail`` nor ``raw`` ever shows a whole telephone number.
"""

import re
from enum import StrEnum
from typing import Final, TypeVar

import msgspec

from ringledger.domain.observation import Unreadable

#: Larger payloads are refused unread; the feeds' own limit is 32 KiB.
MAX_BYTES: Final = 256 * 1024
RAW_LIMIT: Final = 400
T = TypeVar("T")
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
        self.detail = masked(detail)
        self.raw = excerpt(raw)
        super().__init__(f"{reason}: {self.detail}")

    def unreadable(self, received_at: int) -> Unreadable:
        """The same as a value for the sink. ``received_at``: ms."""
        return Unreadable(self.reason.value, self.detail, self.raw, received_at)


def masked(text: str) -> str:
    """``text`` with every run of seven or more digits cut down to its last two."""
    return _NUMBER.sub(lambda match: "***" + match.group()[-2:], text)


def excerpt(raw: object, limit: int = RAW_LIMIT) -> str:
    """``raw`` (bytes, text or anything) as short, masked, storable text."""
    part = raw[: limit * 8] if isinstance(raw, bytes | str) else str(raw)[: limit * 8]
    text = part.decode("utf-8", "replace") if isinstance(part, bytes) else part
    storable = text.encode("utf-8", "replace").decode("utf-8").replace("\x00", "\ufffd")
    return masked(storable)[:limit]


def decode(decoder: msgspec.json.Decoder[T], payload: bytes | str, *, most: int = MAX_BYTES) -> T:
    """Decode ``payload`` of at most so many bytes; raises :class:`WireError` and nothing else."""
    if len(payload) > most:
        raise WireError(WireReason.TOO_LARGE, f"{len(payload)} bytes, at most {most} are read", payload)
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


def _shape_reason(message: str) -> WireReason:
    at_root = " - at `" not in message and message.startswith("Expected `object`")
    return WireReason.NOT_OBJECT if at_root else WireReason.WRONG_SHAPE
