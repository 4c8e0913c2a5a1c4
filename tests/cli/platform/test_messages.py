"""`sms` and `pager`: what is checked before sending, what is sent, what is said of a refusal."""

import io

import pytest

OWN, OTHER = "+16505551001", "+14155550123"


@pytest.fixture
def sim(platform):
    return platform()


def test_a_text_is_sent_to_normalised_numbers(cli, sim):
    ended = cli("sms", "650 555 1001", OTHER, "(415) 555-0124", "Hello, Ann", "--json", "--full-numbers")
    assert (ended.code, ended.err) == (0, "")
    assert [one["number"] for one in ended.data["to"]] == [OTHER, "+14155550124"]
    assert ended.data["to"][0]["status"] == "Queued"
    assert int(ended.data["conversation_id"]) > 2**53
    (sent,) = sim.sim.messages.sent
    assert (sent["from"], sent["subject"]) == ({"phoneNumber": OWN}, "Hello, Ann")
    assert ended.data["id"] == str(sent["id"])


def test_numbers_of_the_answer_are_masked(cli, sim):
    out = cli("sms", OWN, OTHER, "Hello").out
    assert "+*******0123" in out
    assert OTHER not in out


def test_a_text_from_standard_input(cli, sim, monkeypatch):
    monkeypatch.setattr("sys.stdin", io.StringIO("from a pipe\n"))
    assert cli("sms", OWN, OTHER, "-").code == 0
    assert sim.sim.messages.sent[0]["subject"] == "from a pipe"


def test_lengths_are_counted_in_utf16_units_before_sending(cli, sim):
    assert cli("sms", OWN, OTHER, "x" * 1000).code == 0
    assert cli("sms", OWN, OTHER, "😀" * 500).code == 0
    assert cli("pager", "102", "😀" * 512).code == 0
    for words in (["sms", OWN, OTHER, "😀" * 500 + "x"], ["pager", "102", "x" * 1025]):
        ended = cli(*words)
        assert ended.code == 64
        assert "shorten it by 1" in ended.err
    assert len(sim.sim.messages.sent) == 3


@pytest.mark.parametrize("text", ["", "  \n", "\udc80"])
def test_a_text_that_is_none_is_64_and_not_sent(cli, sim, text):
    for words in (["sms", OWN, OTHER, text], ["pager", "102", text]):
        ended = cli(*words)
        assert (ended.code, ended.err.count("\n")) == (64, 1)
    assert sim.sim.messages.sent == []


def test_a_page_and_its_answer(cli, sim):
    first = cli("pager", "102", "103", "Lunch?", "--json").data
    assert (first["to"][0]["number"], first["to"][0]["name"], first["to"][0]["status"]) == ("102", "Ben Okafor", "Sent")
    assert cli("pager", "Yes", "--reply-on", first["id"]).code == 0
    assert len(sim.sim.messages.sent) == 2


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["pager", "999", "Hello"], "CMN-102"),
        (["pager", "+14155550123", "Hello"], "ringledger sms"),
        (["pager", "Hello"], "TO is missing"),
        (["pager", "Hello", "--reply-on", "5"], "CMN-102"),
        (["sms", "+16505559999", OTHER, "Hello"], "MSG-304"),
        (["sms", OWN, "nobody", "Hello"], "is no telephone number"),
        (["sms", OWN, "Hello"], "TO is missing"),
    ],
)
def test_what_was_typed_wrong_is_64_with_a_remedy(cli, sim, words, told):
    ended = cli(*words)
    assert (ended.code, ended.out, ended.err.count("\n")) == (64, "", 1)
    assert told in ended.err
    assert sim.sim.messages.sent == []


def test_a_disabled_recipient(cli, sim):
    sim.do(lambda: sim.sim.messages.disabled.add("2002"))
    ended = cli("pager", "102", "Hello")
    assert ended.code == 64
    assert "MSG-324" in ended.err
    assert "disabled" in ended.err


@pytest.mark.parametrize(
    ("permission", "words"),
    [
        ("SMS", ["sms", OWN, OTHER, "x"]),
        ("OutboundSMS", ["sms", OWN, OTHER, "x"]),
        ("InternalMessages", ["pager", "102", "x"]),
        ("InternalSMS", ["pager", "102", "x"]),
    ],
)
def test_a_missing_permission_is_named_and_77(cli, sim, permission, words):
    sim.do(lambda: sim.sim.permissions.missing.add(permission))
    ended = cli(*words)
    assert ended.code == 77
    assert f"permission {permission} is missing" in ended.err


def test_a_platform_that_is_down_is_69(cli, sim, clean):
    clean.setenv("RINGLEDGER_PLATFORM__SERVER_URL", "http://127.0.0.1:9")
    assert cli("sms", OWN, OTHER, "Hello").code == 69
    assert cli("pager", "102", "Hello").code == 69
