"""The key a subscription's payloads are encrypted with, as the platform writes it.

What must stay true: a key is judged where it enters, so that a payload never fails because of its length.
"""

import binascii
from typing import Final

#: Bytes of a key, and of a block of the cipher.
BLOCK: Final = 16


def key_bytes(key: str) -> bytes:
    """Return the 16 bytes of an encryption key. Raises :class:`ValueError` for a text that is no key."""
    try:
        raw = binascii.a2b_base64(key, strict_mode=True)
    except (binascii.Error, ValueError):
        raise ValueError("the encryption key is not base64") from None
    if len(raw) != BLOCK:
        raise ValueError(f"the encryption key has {len(raw)} bytes, expected {BLOCK}")
    return raw
