"""Decryption: the documented vector, and a reason for everything that is none."""

import base64
import contextlib
import json

import pytest
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import ECB
from hypothesis import given
from hypothesis import strategies as st

from ringledger.ringcentral.decode.unreadable import WireError, WireReason
from ringledger.ringcentral.pubnub.crypto import PayloadCipher

KEY = "c2ltLWtleS0xNmJ5dGVzIQ=="
SEALED = (
    "H/aeWyDZoESqxrw7rNZpwsriCZTntmfgj6ALD63K0NjT9zsczEumT7Ffc5DVi3gqndjRDBQeGum9VqpJpRukgJrUUIZmEtksnmZTH8/0ZA7s"
    "PbXRKbCEuuXpdTatuYZxJpvXobO+BQ/Zq8RCQELdbNAXU2tVFKsyTmXm92krmbxFZg349AKJ4qr1yz8t5I0T"
)


def seal(text: bytes) -> str:
    pad = 16 - len(text) % 16
    encryptor = Cipher(AES(base64.b64decode(KEY)), ECB()).encryptor()
    return base64.b64encode(encryptor.update(text + bytes([pad]) * pad)).decode()


def test_the_documented_vector() -> None:
    text = PayloadCipher(KEY).open(SEALED)
    assert json.loads(text)["body"] == {"extensionId": 2002, "sequence": 7}
    assert len(text) == 142


@given(texts=st.lists(st.binary(max_size=100), min_size=1, max_size=5))
def test_one_cipher_opens_many(texts: list[bytes]) -> None:
    cipher = PayloadCipher(KEY)
    assert [cipher.open(seal(text)) for text in texts] == texts


def test_an_unencrypted_subscription_sends_objects() -> None:
    assert PayloadCipher(None).open({"uuid": "1"}) == b'{"uuid":"1"}'


@pytest.mark.parametrize(
    ("payload", "reason"),
    [
        ("not base64!", WireReason.NOT_BASE64),
        ("schön", WireReason.NOT_BASE64),
        ("\\u0041" * 16, WireReason.NOT_BASE64),
        ('QUJD"', WireReason.NOT_BASE64),
        ("QUJDRA", WireReason.NOT_BASE64),
        ("QUJD\n", WireReason.NOT_BASE64),
        ("\ud800", WireReason.NOT_BASE64),
        ("", WireReason.UNDECRYPTABLE),
        (base64.b64encode(b"short").decode(), WireReason.UNDECRYPTABLE),
        (base64.b64encode(b"0123456789abcdef").decode(), WireReason.UNDECRYPTABLE),
        ("A" * 400_000, WireReason.TOO_LARGE),
        (7, WireReason.WRONG_SHAPE),
        (None, WireReason.WRONG_SHAPE),
        ({"x": object()}, WireReason.WRONG_SHAPE),
    ],
)
def test_what_cannot_be_opened_has_a_reason(payload: object, reason: WireReason) -> None:
    with pytest.raises(WireError) as caught:
        PayloadCipher(KEY).open(payload)
    assert caught.value.reason is reason


def test_text_for_a_subscription_without_key() -> None:
    with pytest.raises(WireError, match="undecryptable"):
        PayloadCipher(None).open(SEALED)


@given(payload=st.binary(min_size=1, max_size=200))
def test_damage_never_raises_anything_else(payload: bytes) -> None:
    with contextlib.suppress(WireError):
        PayloadCipher(KEY).open(base64.b64encode(payload).decode())


@pytest.mark.parametrize("key", ["", "???", "c2hvcnQ="])
def test_a_key_that_is_none(key: str) -> None:
    with pytest.raises(ValueError, match="encryption key"):
        PayloadCipher(key)
