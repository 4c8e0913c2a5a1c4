import json

import pytest

from ringledger.config.model import WEBHOOK_EVENTS, WebhookSettings
from ringledger.domain.changes import AnnouncementKind
from ringledger.service.webhooks.letters import LetterWriter, receivers_of, signature
from tests.builders import ACCOUNT, SESSION, T0, Desk, claim, item, observations, play, presence

CALLER, CALLEE = "13027430863", "18885434778"


def letters(desk, *events):
    (receiver,) = receivers_of([WebhookSettings(url="https://a.test/x", events=events or ("call.*",))])
    return LetterWriter([receiver])(desk.changes, T0)


def names(found):
    return [letter.event for letter in found]


def test_a_calls_story_in_order():
    assert names(letters(play(observations("answered")))) == [
        "call.opened", "call.status_changed", "call.status_changed", "call.finished",
    ]  # fmt: skip


def test_only_what_was_asked_for():
    assert names(letters(play(observations("answered")), "call.finished")) == ["call.finished"]
    assert letters(play(observations("answered")), "call.missed") == []


def test_the_envelope_is_a_cloud_event():
    (letter,) = letters(play(observations("answered")), "call.finished")
    event = json.loads(letter.body)
    data = event.pop("data")
    assert event == {
        "specversion": "1.0",
        "id": f"{ACCOUNT}/{SESSION}/call.finished/1",
        "source": f"/ringledger/accounts/{ACCOUNT}",
        "type": "ringledger.call.finished",
        "subject": SESSION,
        "time": event["time"],
        "datacontenttype": "application/json",
    }
    assert letter.event_id == event["id"]
    assert (data["from_number"], data["ring_seconds"], data["disposition"]) == (f"+{CALLER}", 5.829, "answered")


async def test_data_is_the_row_of_calls(ledger_rows):
    desk = play(observations("answered"))
    (row,) = await ledger_rows(desk.changes, "SELECT * FROM calls")
    (letter,) = letters(desk, "call.finished")
    assert json.loads(letter.body)["data"] == row


@pytest.fixture
def ledger_rows(tmp_path):
    import sqlite3

    from ringledger.ledger.schema.migrate import upgrade
    from ringledger.ledger.write.store import Ledger

    async def rows(changes, question):
        upgrade(f"sqlite+aiosqlite:///{tmp_path}/r.db")
        ledger = await Ledger.open(f"sqlite+aiosqlite:///{tmp_path}/r.db")
        try:
            await ledger.commit(changes, now_ms=T0)
        finally:
            await ledger.close()
        connection = sqlite3.connect(tmp_path / "r.db")
        connection.row_factory = sqlite3.Row
        found = [dict(row) for row in connection.execute(question)]
        connection.close()
        return found

    return rows


def test_an_opened_call_says_who_is_calling():
    (letter,) = letters(Desk().see(presence(101, 1, T0, item("Ringing", sender_name="A Caller"))), "call.opened")
    data = json.loads(letter.body)["data"]
    assert (data["direction"], data["to_status"], data["extension_id"]) == ("Inbound", "Ringing", "101")
    assert (data["from_number"], data["from_name"], data["to_number"]) == (f"+{CALLER}", "A Caller", f"+{CALLEE}")


def test_every_id_is_of_one_event_and_the_same_when_it_is_made_again():
    desk = Desk().see(*observations("missed"), *observations("answered")).settle()
    ids = [letter.event_id for letter in letters(desk)]
    assert len(set(ids)) == len(ids)
    assert [letter.event_id for letter in letters(desk)] == ids
    assert not [one for one in ids if "." in one.replace("call.", "")]  # the signature's text is split by full stops


def test_two_extensions_that_count_alike_are_told_apart():
    seen = [presence(extension, 1, T0, item("Ringing", f"leg-{extension}")) for extension in (101, 102)]
    seen += [
        presence(101, 2, T0 + 5000, item("CallConnected", "leg-101")),
        presence(102, 2, T0 + 5001, item("OnHold", "leg-102")),
        presence(101, 3, T0 + 5002, item("NoCall", "leg-101")),
        presence(102, 3, T0 + 5003, item("CallConnected", "leg-102")),
    ]
    found = letters(Desk().see(*seen), "call.status_changed")
    assert len({letter.event_id for letter in found}) == len(found) >= 3


def missed_call(**options):
    return Desk().see(
        presence(101, 1, T0, item("Ringing", **options)), presence(101, 2, T0 + 9000, item("NoCall", **options))
    )


def test_a_missed_call_is_told_after_its_end():
    assert names(letters(missed_call().settle(), "call.finished", "call.missed")) == ["call.finished", "call.missed"]


def test_nobody_is_missed_by_an_outbound_or_internal_call():
    assert names(letters(missed_call(direction="Outbound").settle(), "call.missed")) == []
    internal = Desk().see(
        presence(101, 1, T0, item("Ringing", "a", direction="Outbound", sender="101", to="102")),
        presence(102, 1, T0, item("Ringing", "b", sender="101", to="102")),
        presence(101, 2, T0 + 9000, item("NoCall", "a", direction="Outbound", sender="101", to="102")),
        presence(102, 2, T0 + 9000, item("NoCall", "b", sender="101", to="102")),
    )
    assert names(letters(internal.settle(), "call.missed", "call.finished")) == ["call.finished"]


def test_a_call_that_becomes_missed_by_the_log_is_told_if_that_is_news():
    desk = play(observations("answered"))
    row = desk.record()
    told = claim("Missed", started=row.started_at, duration=20_970, extension=row.extension_id)
    desk.books(told)
    found = letters(desk, "call.missed")
    assert [letter.if_newly_missed for letter in found] == [True]


def test_confirmations_are_told_for_they_raise_the_revision():
    desk = play(observations("answered"))
    desk.books(claim("Accepted", started=desk.record().started_at, duration=20_970))
    assert names(letters(desk, "call.finished", "call.confirmed")) == ["call.finished", "call.confirmed"]


def test_every_receiver_has_its_own_letter():
    hooks = [WebhookSettings(url=f"https://{n}.test", events=("call.finished",)) for n in (1, 2)]
    one, two = receivers_of(hooks)
    found = LetterWriter([one, two])(play(observations("answered")).changes, T0)
    assert [(letter.receiver, letter.event_id) for letter in found] == [
        (one.key, f"{ACCOUNT}/{SESSION}/call.finished/1"),
        (two.key, f"{ACCOUNT}/{SESSION}/call.finished/1"),
    ]


def test_the_same_address_twice_is_two_receivers():
    one, two = receivers_of([WebhookSettings(url="https://a.test")] * 2)
    assert one.key != two.key


def test_no_part_of_an_address_but_its_host_and_no_secret_is_shown():
    hook = WebhookSettings(url="https://user:pass@a.test:8443/T000/token?key=hush", secret="s3cret")
    (receiver,) = receivers_of([hook])
    assert receiver.address == "https://a.test:8443"
    assert not [word for word in ("pass", "T000", "hush", "s3cret") if word in repr(receiver) + receiver.key]


def test_events_are_those_the_settings_know():
    assert set(WEBHOOK_EVENTS) - {"call.missed"} <= {kind.value for kind in AnnouncementKind}
    (receiver,) = receivers_of([WebhookSettings(url="https://a.test", events=("call.*",))])
    assert receiver.events == frozenset(WEBHOOK_EVENTS)


def test_the_signature_is_the_conventions_own_example():
    """Message, time, secret and signature as the Standard Webhooks libraries have them in their tests."""
    (receiver,) = receivers_of([WebhookSettings(url="https://a.test", secret="whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")])
    signed = signature(receiver.secret, "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, b'{"test": 2432232314}')
    assert signed == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


def test_without_a_secret_nothing_is_signed():
    (receiver,) = receivers_of([WebhookSettings(url="https://a.test")])
    assert "Webhook-Signature" not in receiver.headers("1", 1, b"")
