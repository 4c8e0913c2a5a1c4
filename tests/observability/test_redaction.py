"""Redaction: planted secrets and numbers never come out; digits that are neither stay."""

import json
import logging
import string
import traceback

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from pydantic import SecretStr

from ringledger.observability.logging import LOG, Event
from ringledger.observability.redaction import LONGEST, MOST_ENTRIES, REDACTED, Redactor, mask_number

redact = Redactor()


@pytest.mark.parametrize(
    ("number", "masked"),
    [
        ("+13027430863", "+*******0863"),
        ("13027430863", "*******0863"),
        ("(650) 954-0334", "(***) ***-0334"),
        ("101", "101"),
        ("", ""),
        ("anonymous", "anonymous"),
    ],
)
def test_mask_number(number, masked):
    assert mask_number(number) == masked


@pytest.mark.parametrize("sign", ["", "+"])
@pytest.mark.parametrize("count", range(1, 18))
def test_the_short_way_of_plain_numbers_hides_what_the_long_one_hides(sign, count):
    number = sign + "12345678901234567"[:count]
    assert redact.value(number, "from_number") == mask_number(number)


@pytest.mark.parametrize(
    "name",
    [
        "from_number",
        "to_number",
        "fromNumber",
        "from",
        "to",
        "number",
        "numbers",
        "caller",
        "phoneNumber",
        "caller_id",
        "username",
    ],
)
def test_numbers_by_the_name_of_their_field(name):
    assert redact.value("13027430863", name) == "*******0863"
    assert redact.value(13027430863, name) == "*******0863"
    assert redact.value(["13027430863"], name) == ["*******0863"]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("session_id", "67029198021"),
        ("sessionId", "67029198021"),
        ("telephony_session_id", "s-a0d15b7d2dcd4f3z17fe6b0c2d1z3b8b80000"),
        ("extension_id", "1234567890"),
        ("record_id", "SVdPbMbQ3FrQSgAaBbCcDdEe1234567890AbC"),
        ("account_id", 37439510),
        ("sequence", 1234567890123),
        ("timestamp", "2016-02-11T18:48:55.133+0000"),
        ("started_at", "2016-02-11T18:48:55.133Z"),
        ("timetoken", "14552263459018443"),
        ("sequence_number", 12345678901),
        ("extension_number", "1010101"),
        ("uuid", "6c1e0cb3-3c1c-4b6d-a5a1-7f2a7e2f9b10"),
        ("expires_in", 3600),
        ("ring_seconds", 19.546),
        ("internal", True),
        ("reason", "stale_sequence"),
        ("message", "session 67029198021 of extension 1234567890 at 1455226345901, timetoken 14552263459018443"),
        ("message", "poll from 2016-02-11T18:48:55.133+0000 to 2016-02-11T18:49:55.133+0000 done"),
        ("message", "event 6c1e0cb3-3c1c-4b6d-a5a1-7f2a7e2f9b10 took 12.345678901 s"),
        ("path", "/usr/lib/python3.11/site-packages/sqlalchemy/ext/asyncio/engine.py"),
        ("message", "sequence restarted from 12345678 to 3"),
    ],
)
def test_other_digits_stay(name, value):
    assert redact.value(value, name) == value


@pytest.mark.parametrize(
    "text",
    [
        "call from 13027430863 ended",
        "GET /x?phoneNumber=13027430863&page=1",
        "GET /x?phoneNumber=%2B13027430863",
        '{"from": {"phoneNumber": "13027430863", "name": "x"}}',
        '"{\\"to\\": \\"13027430863\\"}"',
        "{'to': '+13027430863'}",
        "sip:13027430863@10.0.0.1",
        "tel:+13027430863",
        "dial +1 (302) 743-0863 now",
        "dial 302-743-0863 now",
        "to_number=13027430863",
    ],
)
def test_numbers_in_any_text(text):
    out = redact.text(text)
    assert "0863" in out
    assert "743" not in out


@pytest.mark.parametrize(
    "text",
    [
        "/etc/passwd: file is not a database",
        "ringledger: /etc/ringledger/jwt: Permission denied by the system",
        "/run/credentials/client_secret: no such file",
        "./own.token: is a directory",
        "~/.secret: no such directory; create it",
        "/etc/passwd:1: not a presence notification: malformed",
        "cannot read (/etc/my.password: no such file)",
    ],
)
def test_a_files_name_in_a_message_is_no_secrets_name(text):
    assert redact.text(text) == text


@pytest.mark.parametrize(
    "text",
    [
        "/etc/passwd: hunter2",
        "/etc/passwd: hunter2 is a secret",
        "/x/password=hunter: no such file",
        "https://host/token: hunter is here",
        "/x?token: hunter is here",
        "password: hunter no such file",
        "no/path password: hunter is here",
        "/x/token:hunter is here",
        '/x/token": hunter is here',
    ],
)
def test_a_path_before_it_hides_no_secret(text):
    assert "hunter" not in redact.text(text)


@pytest.mark.parametrize(
    "text",
    [
        "/var/lib/ringledger/backups/ringledger-20261129T125400Z.db: no such file",
        "backups/ringledger-20261129T125400Z is kept",
        "/srv/Anna/Documents/ringledger-export-2026-11: denied",
        "Exports/Anna/Quarterly-Report-2026-November/calls.parquet: denied",
        "/var/tmp/tests-of-ringledger/round-24/worker-gw1/test_A_missing_directory_is_740/nowhere: no such directory",
    ],
)
def test_a_long_name_of_a_file_is_no_token(text):
    assert redact.text(text) == text


@pytest.mark.parametrize("where", ["", "/", "/srv/Ann/", "key: ", "./"])
@pytest.mark.parametrize("ending", ["", ".txt"])
@pytest.mark.parametrize(
    "token",
    [
        "aB3dE5gH7jK9mN1pQ3sT5vW7yZ9bC1dE3fG5",
        "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
        "Ab12-Cd34-Ef56-Gh78-Ij90-Kl12-Mn34-Op56",
    ],
)
def test_a_token_in_the_place_of_a_files_name_is_hidden(token, where, ending):
    assert token not in redact.text(f"{where}{token}{ending}: no such file")


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        (f"https://hooks.example.com/in/{'0123456789abcdef' * 2}", "https://hooks.example.com/in/[redacted]"),
        (f"POST http://127.0.0.1:80/{'0123456789abcdef' * 2}/x", "POST http://127.0.0.1:80/[redacted]/x"),
        ("https://x.example/p/550e8400-e29b-41d4-a716-446655440000", None),
        ("/telephony/sessions/s-a0d15b7d2dcd4f3z17fe6b0c2d1z3b8b80000/parties", None),
    ],
)
def test_a_token_is_hidden_as_part_of_an_address_too(text, shown):
    assert redact.text(text) == (shown or text)


SECRET = st.text(string.ascii_letters + string.digits, min_size=12, max_size=40).map(lambda text: f"q{text}Q9")
SHAPES = st.sampled_from(
    [
        "Authorization: Bearer {}",
        "Authorization: Basic {}",
        "bearer {}",
        "https://host/path?access_token={}&page=2",
        "https://host/path?auth={}",
        "grant_type=x&assertion={}&y=1",
        "https://user:{}@host/",
        "eyJ{}",
        "eyJhbGciOiJSUzI1NiJ9.{}.c2ln",
        "sub-c-{}",
        "sec-c-{}==",
        '{{"encryptionKey": "{}"}}',
        '"{{\\"access_token\\":\\"{}\\"}}"',
        "{{'refresh_token': '{}', 'x': 1}}",
        "client_secret={}",
        "password: {}",
    ]
)
NAMES = st.sampled_from(
    [
        "token", "access_token", "refreshToken", "assertion", "jwt", "password", "client_secret", "clientSecret",
        "secret", "authorization", "Authorization", "encryption_key", "encryptionKey", "cipher_key", "subscriber_key",
        "subscriberKey", "subscribe_key", "ws_access_token", "auth", "Set-Cookie",
    ]
)  # fmt: skip


def planted(secret: str, shape: str, name: str) -> st.SearchStrategy:
    """The secret in any field, at any depth, as text of a known shape or under a known name."""
    text = shape.format(secret)
    leaf = st.sampled_from(
        [text, text.encode(), ValueError(text), {name: secret}, {name: [secret]}, {name: {"x": secret}}, {text: 1},
         SecretStr(secret), {name: SecretStr(secret)}, {name: secret.encode()}]
    )  # fmt: skip
    return st.recursive(
        leaf,
        lambda inner: st.one_of(
            st.lists(inner, min_size=1, max_size=2),
            st.dictionaries(st.sampled_from(["a", "session_id", "from", "at", "position"]), inner, min_size=1),
            st.tuples(inner),
        ),
        max_leaves=5,
    )


@given(
    data=st.data(), secret=SECRET, shape=SHAPES, name=NAMES, field=st.sampled_from(["x", "session_id", "error", "at"])
)
def test_planted_secrets_never_come_out(data, secret, shape, name, field):
    value = data.draw(planted(secret, shape, name))
    for redactor in (redact, Redactor(mask_numbers=False)):
        assert secret not in json.dumps(redactor(None, "info", {"event": "x", field: value}))


@given(secret=SECRET, shape=SHAPES)
def test_nor_by_an_exception_or_a_librarys_message(logs_factory, secret, shape):
    lines = logs_factory()
    try:
        try:
            raise KeyError(shape.format(secret))
        except KeyError as inner:
            raise RuntimeError(shape.format(secret)) from inner
    except RuntimeError as error:
        logging.getLogger("aiohttp.client").exception("failed: %s", error)
        assert secret in "".join(traceback.format_exception(error))
    assert lines.events == ["library.message"]
    assert secret not in lines.text


@given(
    number=st.from_regex(r"\A\+[1-9][0-9]{9,13}\Z"),
    shape=st.sampled_from(["{}", "call {} now", "a={},b", "[{}]", '"{}"']),
)
@example(number="+13027430863", shape="x{}")
def test_e164_never_comes_out_whole(number, shape):
    out = redact.text(shape.format(number))
    assert number[1:] not in out
    assert number[-4:] in out


@pytest.mark.parametrize(
    "token",
    [
        "VTFCUDAxVDRKV0ExMHwxMTIyMzM0NDU1NjY3Nzg4OTkwMDExMjIzMzQ0NTU",
        "0123456789abcdef0123456789abcdef",
        "U1BCMDFUMDRKV1MwMXxBQUFDTzM/Wm9v+aaBBcc11dd22ee33==",
    ],
)
def test_long_opaque_strings_are_taken_for_tokens(token):
    assert redact.text(f"got {token}!") == f"got {REDACTED}!"


def test_depth_and_odd_values_do_no_harm():
    loop: dict = {}
    loop["token"], loop["x"] = "s3cr3t", loop
    out = json.dumps(redact(None, "info", {"event": "x", "loop": loop, "none": None, "set": {1}, "obj": object}))
    assert "s3cr3t" not in out


@given(st.sampled_from(["at", "session_id", "reason", "from", "detail", "token"]), st.text(max_size=80))
@example("at", "Bearer abcdef")
@example("session_id", "token=hunter2")
@example("from", "13027430863")
def test_a_short_value_on_its_way_to_a_line_is_hidden_as_any_text_is(name, text):
    line = [redact(None, "info", {name: text})[name] for _ in range(2)]  # the second time from memory
    slow = redact.value([text], name)
    assert line == [slow if name == "token" else slow[0]] * 2 or not text


def test_what_a_stranger_sends_is_bounded_in_a_line(logs):
    """A name of 200 kB was a line of 217 kB."""
    LOG.info(Event.CALL_FINISHED, from_name="x" * 200_000, filters=["y" * 5_000] * 1_000, detail={"z" * 9_000: 1})
    (line,) = logs.all()
    assert line["from_name"] == "x" * LONGEST + f"… ({200_000 - LONGEST} more characters)"
    assert len(line["filters"]) == MOST_ENTRIES
    assert len(logs.text) < 300_000
