"""Decryption of PubNub payloads: AES-128-ECB, PKCS#7, base64 (platform page 2.4).

ECB keeps no state between whole blocks, so one decryptor serves a subscription's life; one thread only.
What must stay true: only :class:`WireError` comes out, and the key is never shown.
"""

import json
from typing import Any, Final

import msgspec
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import ECB

from ringledger.ringcentral.decode.keys import BLOCK, key_bytes
from ringledger.ringcentral.decode.unreadable import MAX_BYTES, WireError, WireReason

#: Base64 as strictly as Python's own, in half the time; it wants JSON's quotes.
_from_base64: Final = msgspec.json.Decoder(bytes).decode
_PADDING: Final = tuple(bytes([n]) * n for n in range(BLOCK + 1))


class PayloadCipher:
    """Opens the payloads of one subscription.

    ``key``: base64 of 16 bytes, or ``None`` for an unencrypted one.

    Raises :class:`ValueError` for a key that is no such thing.
    """

    def __init__(self, key: str | None) -> None:
        self._decryptor = None
        if key is not None:
            self._decryptor = Cipher(AES(key_bytes(key)), ECB()).decryptor()  # noqa: S305  theirs to choose

    def open(self, payload: Any) -> bytes:
        """The JSON text of ``payload``: decrypted when it is text, encoded when it is an object."""
        if isinstance(payload, str):
            return self._decrypt(payload)
        if isinstance(payload, dict):
            return _encode(payload)
        raise WireError(WireReason.WRONG_SHAPE, f"a payload of type {type(payload).__name__}", payload)

    def _decrypt(self, payload: str) -> bytes:
        if self._decryptor is None:
            raise WireError(WireReason.UNDECRYPTABLE, "encrypted, but the subscription has no key", payload)
        if len(payload) > MAX_BYTES * 4 // 3:
            raise WireError(WireReason.TOO_LARGE, f"{len(payload)} characters", payload)
        try:
            sealed = _from_base64('"' + payload.replace("\\", "!") + '"')  # an escape is JSON, and no base64
        except ValueError:
            raise WireError(WireReason.NOT_BASE64, "the payload is not base64", payload) from None
        if not sealed or len(sealed) % BLOCK:
            raise WireError(WireReason.UNDECRYPTABLE, f"{len(sealed)} bytes are no whole blocks", payload)
        text = self._decryptor.update(sealed)
        pad = text[-1]
        if not 1 <= pad <= BLOCK or not text.endswith(_PADDING[pad]):
            raise WireError(WireReason.UNDECRYPTABLE, "wrong padding: wrong key or damaged", payload)
        return text[:-pad]


def _encode(payload: dict[Any, Any]) -> bytes:
    try:
        return msgspec.json.encode(payload)
    except RecursionError:
        raise WireError(WireReason.TOO_DEEP, "nested too deep") from None
    except UnicodeError:  # half a character: in escapes it can be read
        return _escaped(payload)
    except (ValueError, TypeError, OverflowError):
        raise WireError(WireReason.WRONG_SHAPE, "not representable as JSON") from None


def _escaped(payload: dict[Any, Any]) -> bytes:
    try:
        return json.dumps(payload).encode()
    except (ValueError, TypeError, RecursionError):
        raise WireError(WireReason.WRONG_SHAPE, "not representable as JSON") from None
