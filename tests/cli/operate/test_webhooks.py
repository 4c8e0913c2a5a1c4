import asyncio
import json
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from ringledger.config.model import WebhookSettings
from ringledger.ledger.file.lock import DaemonLock
from ringledger.ledger.schema.migrate import upgrade
from ringledger.ledger.write import outbox
from ringledger.ledger.write.letters import Letter
from ringledger.ledger.write.outbox import Outcome
from ringledger.ledger.write.store import Ledger
from ringledger.service.webhooks.letters import receivers_of
from tests.builders import T0, Desk, item, presence

URL = "https://crm.test:8443/hooks/token-in-the-path"


async def fill(url):
    """Call 7's first event was given up, its second waits; call 8's belongs to a receiver that was removed."""
    (known,) = receivers_of([WebhookSettings(url=URL)])
    letters = [
        Letter(known.key, "1001", "7", "7/opened", "call.opened", '{"from_number": "+13027430863"}'),
        Letter(known.key, "1001", "7", "7/finished", "call.finished", "{}"),
        Letter("0123456789abcdef", "1001", "8", "8/opened", "call.opened", "{}"),
    ]
    ledger = await Ledger.open(url)
    try:
        ledger.fill_outbox_with(lambda *_: letters)
        await ledger.commit(Desk().see(presence(101, 1, T0, item())).changes, now_ms=T0)
        await outbox.settle(ledger, [Outcome(1, "7/opened", "answered 500", final=True)], now_ms=T0)
    finally:
        await ledger.close()


@pytest.fixture
def path(clean, tmp_path):
    url = f"sqlite+aiosqlite:///{tmp_path}/ringledger.db"
    upgrade(url)
    asyncio.run(fill(url))
    clean.setenv("RINGLEDGER_DATABASE__URL", url)
    clean.setenv("RINGLEDGER_WEBHOOKS", json.dumps([{"url": URL, "secret": "planted-secret"}]))
    return tmp_path / "ringledger.db"


def test_what_waits_and_what_was_given_up(cli, path):
    ended = cli("webhooks", "list")
    assert ended.code == 0
    one, two, three = ended.out.splitlines()[1:]
    assert all(word in one for word in ("dead", "call.opened", "https://crm.test:8443", "answered 500"))
    assert "waiting" in two
    assert "not configured" in three
    assert "token-in-the-path" not in ended.out


async def pile_up(url, many):
    letters = [Letter("0123456789abcdef", "1001", "9", f"9/{n}", "call.opened", "{}") for n in range(many)]
    ledger = await Ledger.open(url)
    try:
        ledger.fill_outbox_with(lambda *_: letters)
        await ledger.commit(Desk().see(presence(101, 1, T0, item())).changes, now_ms=T0)
    finally:
        await ledger.close()


def test_of_many_the_oldest_fifty_are_shown_and_as_many_as_are_asked_for(cli, path):
    asyncio.run(pile_up(f"sqlite+aiosqlite:///{path}", 60))
    *rows, last = cli("webhooks", "list").out.splitlines()[1:]
    assert (len(rows), last) == (50, "the oldest 50; --limit N shows more")
    assert len(cli("webhooks", "list", "--limit", "7").out.splitlines()) == 8
    assert len(cli("webhooks", "list", "--limit", "63").out.splitlines()) == 64
    assert len(cli("webhooks", "list", "--json").data) == 63
    assert len(cli("webhooks", "list", "--json", "--limit", "2").data) == 2
    assert cli("webhooks", "list", "--limit", "0").code == 64


def test_as_json_without_bodies_and_numbers(cli, path):
    ended = cli("webhooks", "list", "--dead", "--json")
    (dead,) = ended.data
    assert (dead["id"], dead["event_id"], dead["state"], dead["attempts"]) == (1, "7/opened", "dead", 1)
    assert dead["address"] == "https://crm.test:8443"
    assert not [word for word in ("13027430863", "token-in-the-path", "planted-secret") if word in ended.out]


def test_nothing_to_list(cli, database):
    assert cli("webhooks", "list").out == "nothing waits and nothing was given up\n"
    assert cli("webhooks", "list", "--dead").out == "nothing was given up\n"
    assert cli("webhooks", "list", "--json").data == []


def test_retry_without_a_daemon(cli, path):
    assert cli("webhooks", "retry", "1").out == "1 to be tried again\n"
    assert cli("webhooks", "list", "--dead", "--json").data == []
    assert cli("webhooks", "retry", "--all", "--json").data == {"retried": 0}
    ended = cli("webhooks", "retry", "--all")
    assert (ended.code, ended.out) == (0, "nothing was given up\n")
    ended = cli("webhooks", "retry", "17")
    assert (ended.code, ended.out) == (1, "")
    assert ended.err.startswith("ringledger: 17 is of nothing that was given up;")


@pytest.mark.parametrize("arguments", [(), ("1", "--all"), ("one",)])
def test_what_makes_no_sense_is_64_in_one_line(cli, path, arguments):
    ended = cli("webhooks", "retry", *arguments)
    assert (ended.code, len(ended.err.splitlines())) == (64, 1)


def test_a_daemon_that_cannot_be_asked_is_75(cli, path):
    with DaemonLock(path):
        ended = cli("webhooks", "retry", "--all")
    assert ended.code == 75
    assert "stop that one first" in ended.err


def test_no_database_is_told_in_one_line(cli, clean, tmp_path):
    clean.setenv("RINGLEDGER_DATABASE__URL", f"sqlite+aiosqlite:///{tmp_path}/none.db")
    for arguments in (("list",), ("retry", "--all")):
        ended = cli("webhooks", *arguments)
        assert ended.code != 0
        assert len(ended.err.splitlines()) == 1


@pytest.fixture
def listener():
    seen = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            text = self.rfile.read(int(self.headers["Content-Length"]))
            seen.append((dict(self.headers), json.loads(text)))
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_):
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}", seen
    server.shutdown()
    thread.join()
    server.server_close()


def test_a_trial_reaches_the_receiver(cli, clean, listener):
    url, seen = listener
    clean.setenv("RINGLEDGER_WEBHOOKS", json.dumps([{"url": f"{url}/x", "secret": "s"}]))
    assert cli("webhooks", "test").out == f"{url}: accepted\n"
    ((headers, event),) = seen
    assert event["type"] == "ringledger.test"
    assert headers["Webhook-Signature"].startswith("v1,")


def test_a_trial_that_fails_is_1_and_says_why(cli, clean):
    clean.setenv("RINGLEDGER_WEBHOOKS", json.dumps([{"url": "http://127.0.0.1:9/token-in-the-path"}]))
    ended = cli("webhooks", "test", "--json")
    assert ended.code == 1
    (told,) = ended.data
    assert (told["address"], told["accepted"]) == ("http://127.0.0.1:9", False)
    assert told["error"].startswith("cannot connect")
    assert "token-in-the-path" not in ended.out + ended.err


def test_a_trial_without_receivers_is_78(cli):
    ended = cli("webhooks", "test")
    assert (ended.code, len(ended.err.splitlines())) == (78, 1)
