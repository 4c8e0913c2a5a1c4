"""AES-128-ECB as the platform does it, against a fixed vector."""

import pytest

from ringledger.simulator.push.encryption import decrypt, encrypt

KEY = "c2ltLWtleS0xNmJ5dGVzIQ=="
PLAIN = (
    b'{"uuid":"1","event":"/restapi/v1.0/account/1001/extension/2002/presence?detailedTelephonyState=true",'
    b'"body":{"extensionId":2002,"sequence":7}}'
)
CIPHER = (
    "H/aeWyDZoESqxrw7rNZpwsriCZTntmfgj6ALD63K0NjT9zsczEumT7Ffc5DVi3gqndjRDBQeGum9VqpJpRukgJrUUIZmEtksnmZTH8/0ZA7s"
    "PbXRKbCEuuXpdTatuYZxJpvXobO+BQ/Zq8RCQELdbNAXU2tVFKsyTmXm92krmbxFZg349AKJ4qr1yz8t5I0T"
)


def test_the_vector_both_ways():
    assert len(PLAIN) == 142
    assert encrypt(PLAIN, KEY) == CIPHER
    assert decrypt(CIPHER, KEY) == PLAIN


def test_a_full_block_gets_a_block_of_padding():
    assert decrypt(encrypt(b"x" * 16, KEY), KEY) == b"x" * 16


def test_a_key_of_another_length_is_refused():
    with pytest.raises(ValueError, match="16 bytes"):
        encrypt(b"x", "c2hvcnQ=")
