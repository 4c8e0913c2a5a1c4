"""The payload encryption of PubNub delivery: AES-128-ECB, PKCS#7 padding, base64 (not PubNub's own cipher)."""

import base64
from functools import lru_cache

from cryptography.hazmat.primitives import padding
from cryptography.hazmat.primitives.ciphers import Cipher, CipherContext, algorithms, modes

BLOCK_BITS = 128


def encrypt(plain: bytes, key_base64: str) -> str:
    """Base64 text of ``plain`` under the base64 coded 16-byte key.

    >>> encrypt(b"x", "c2ltLWtleS0xNmJ5dGVzIQ==") == encrypt(b"x", "c2ltLWtleS0xNmJ5dGVzIQ==")
    True
    """
    padder = padding.PKCS7(BLOCK_BITS).padder()
    padded = padder.update(plain) + padder.finalize()
    return base64.b64encode(_encryptor(key_base64).update(padded)).decode("ascii")


def decrypt(text: str, key_base64: str) -> bytes:
    """The reverse of :func:`encrypt`; ``ValueError`` when it is not such a text."""
    decryptor = _cipher(key_base64).decryptor()
    padded = decryptor.update(base64.b64decode(text, validate=True)) + decryptor.finalize()
    unpadder = padding.PKCS7(BLOCK_BITS).unpadder()
    return unpadder.update(padded) + unpadder.finalize()


@lru_cache(maxsize=64)
def _encryptor(key_base64: str) -> CipherContext:
    """Whole blocks leave nothing behind in it."""
    return _cipher(key_base64).encryptor()


def _cipher(key_base64: str) -> Cipher[modes.ECB]:
    key = base64.b64decode(key_base64, validate=True)
    if len(key) != 16:
        raise ValueError("the key must have 16 bytes")
    return Cipher(algorithms.AES(key), modes.ECB())  # noqa: S305 - what the platform does
