import pytest

from ringledger.ledger.read.filters import FILTERS, CallFilter, FilterError, chosen
from ringledger.numbers import normalise

NOW = 1_772_442_000_000  # 2026-03-02T09:00:00Z


def read(**texts):
    return chosen(texts, now_ms=NOW, read_number=lambda text: normalise(text, "US"))


def test_nothing_asked_for_is_every_call():
    assert read() == CallFilter()
    assert read(**dict.fromkeys(FILTERS)) == CallFilter()


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        ("direction", "in", {"direction": "Inbound"}),
        ("direction", "INBOUND", {"direction": "Inbound"}),
        ("direction", "Out", {"direction": "Outbound"}),
        ("direction", "outbound", {"direction": "Outbound"}),
        ("disposition", "No_Answer", {"disposition": "no_answer"}),
        ("disposition", "no answer", {"disposition": "no_answer"}),
        ("number", "+1 (650) 555-1001", {"number": "+16505551001"}),
        ("number", "650 555 1001", {"number": "+16505551001"}),
        ("number", "102", {"number": "102"}),
        ("number", "+1650555xxxx", {"number": "+1650555xxxx"}),
        ("number", "Withheld", {"withheld": True}),
        ("number", "anonymous", {"withheld": True}),
        ("extension", " 101 ", {"extension": "101"}),
        ("unconfirmed", True, {"unconfirmed": True}),
        ("unconfirmed", "true", {"unconfirmed": True}),
        ("since", "1h", {"since": NOW - 3_600_000}),
        ("until", "2099-01-01", {"until": 4_070_908_800_000}),
    ],
)
def test_what_is_asked_for_is_found(name, text, expected):
    assert read(**{name: text}) == CallFilter(**expected)


@pytest.mark.parametrize(
    ("texts", "reason"),
    [
        ({"since": ""}, "--since is empty"),
        ({"until": "  "}, "--until is empty"),
        ({"direction": ""}, "--direction is empty"),
        ({"disposition": ""}, "--disposition is empty"),
        ({"number": ""}, "--number is empty"),
        ({"extension": ""}, "--extension is empty"),
        ({"since": "2026-03-03"}, "lies in the future"),
        ({"since": "abc"}, "is no time"),
        ({"until": "1999-01-01"}, "no call is as old"),
        ({"since": "1h", "until": "2h"}, "--since must lie before --until"),
        ({"since": "1h", "until": "1h"}, "--since must lie before --until"),
        ({"direction": "up"}, "is no direction; write in or out"),
        ({"disposition": "lost"}, "is no disposition; write answered, "),
        ({"number": "abc"}, "is no telephone number"),
        ({"number": "+1-800-FLOWERS"}, "is no telephone number"),
        ({"number": "+*******0863"}, "is masked; write the whole number"),
        ({"number": "+" + "9" * 400 + "x"}, "no telephone number is as long"),
        ({"number": "9" * 25}, "has 25 digits; no telephone number is as long"),
        ({"unconfirmed": "perhaps"}, "is neither true nor false"),
    ],
)
def test_what_can_match_nothing_is_an_error_with_the_reason(texts, reason):
    with pytest.raises(FilterError, match=reason.replace("+", r"\+")) as raised:
        read(**texts)
    assert raised.value.exit_code == 64
    assert raised.value.name in texts


def test_an_unknown_filter_is_a_mistake_of_the_program():
    with pytest.raises(KeyError):
        read(colour="red")
