"""docs/webhooks.md: its snippets run, its figures are the program's."""

import base64
import json
import os
import re
import socket
import subprocess
import sys
import time
import tomllib
from pathlib import Path

import pytest
from standardwebhooks.webhooks import Webhook, WebhookVerificationError

from ringledger.cli.platform.messages import sms
from ringledger.config.model import WEBHOOK_EVENTS, WebhookSettings, load_settings
from ringledger.ledger.times import to_text
from ringledger.service.webhooks.delivery import post, posting
from ringledger.service.webhooks.letters import LetterWriter, WebhookReceiver, receivers_of, signature
from ringledger.service.webhooks.worker import DOWN_AFTER, PARALLEL, RetrySchedule
from tests.builders import Desk, item, presence
from tests.ending import ended
from tests.ports import free_port
from tests.until import until

#: The receiver is a process of its own.
pytestmark = pytest.mark.real_time

SECRET = "replace me"


@pytest.fixture(scope="module")
def page(pytestconfig):
    return (pytestconfig.rootpath / "docs" / "webhooks.md").read_text()


@pytest.fixture(scope="module")
def snippets(page):
    verify, recipe = re.findall(r"(?ms)^```python\n(.*?)^```$", page)
    return verify, recipe


@pytest.fixture
def verified(snippets):
    names = {}
    exec(snippets[0], names)
    return names["verified"]


def delivery(secret=b"hush", age=0, body=b'{"a":1}'):
    timestamp = int(time.time()) - age
    receiver = WebhookReceiver("key", "https://a.test", "https://a.test", secret)
    return receiver.headers("1/2/call.finished/1", timestamp, body), body


def test_the_snippet_accepts_what_we_sign(verified):
    headers, body = delivery()
    assert verified("hush", headers, body)


def test_the_snippet_refuses_everything_else(verified):
    headers, body = delivery()
    assert not verified("other", headers, body)
    assert not verified("hush", headers, body + b" ")
    assert not verified("hush", headers | {"Webhook-Id": "1/2/call.finished/2"}, body)
    assert not verified("hush", headers | {"Webhook-Timestamp": str(int(time.time()) - 1)}, body)
    assert not verified("hush", headers | {"Webhook-Signature": ""}, body)
    assert not verified("hush", {name: headers[name] for name in ("Webhook-Id", "Webhook-Timestamp")}, body)


@pytest.mark.parametrize("age", [301, -310])
def test_the_snippet_refuses_a_replay(verified, age):
    headers, body = delivery(age=age)
    assert headers["Webhook-Signature"] == signature(b"hush", headers["Webhook-Id"], int(time.time()) - age, body)
    assert not verified("hush", headers, body)


@pytest.mark.parametrize("secret", ["whsec_" + base64.b64encode(b"k" * 24).decode(), "replace me"])
def test_secrets_of_both_forms_are_verified_as_they_are_written(verified, secret):
    """By the page's receiver, and by the convention's own library."""
    (receiver,) = receivers_of([WebhookSettings(url="https://a.test", secret=secret)])
    body = b'{"a":1}'
    headers = receiver.headers("1/2/call.finished/1", int(time.time()), body)
    assert verified(secret, headers, body)
    assert not verified("another", headers, body)
    library = Webhook(secret if secret.startswith("whsec_") else base64.b64encode(secret.encode()).decode())
    assert library.verify(body.decode(), headers) == {"a": 1}
    with pytest.raises(WebhookVerificationError):
        library.verify('{"a":2}', headers)


def test_every_event_is_described_and_no_other(page):
    table = page.split("## Events")[1].split("\n\n")[1]
    assert re.findall(r"(?m)^\| `(call\.\S+)` \|", table) == [*WEBHOOK_EVENTS, "call.*"]
    example = (Path(__file__).parents[2] / "config" / "ringledger.toml").read_text("utf-8")
    listed = re.search(r"events = .*#\s+(call\.[a-z_, ]+);", example)
    assert listed
    assert listed[1] == ", ".join(WEBHOOK_EVENTS).replace(", call.", ", ")


def test_the_configurations_are_valid(page):
    for text in re.findall(r"(?ms)^```toml\n(.*?)^```$", page):
        hooks = tomllib.loads(text)["webhooks"]
        without_files = [
            {name: value for name, value in hook.items() if not name.startswith("secret_")} for hook in hooks
        ]
        assert load_settings(None, {}, {"webhooks": without_files}).webhooks


def test_the_figures_are_the_programs(page):
    text = " ".join(page.split())
    schedule = RetrySchedule()
    assert f"up to {PARALLEL} at a time" in text
    assert DOWN_AFTER == 8
    assert "for eight calls in a row" in text
    assert f"within {schedule.timeout_seconds:.0f} seconds" in text
    assert f"up to {schedule.longest_seconds / 60:.0f} minutes" in text
    assert f"given up {schedule.give_up_seconds / 3600:.0f} hours" in text
    assert (schedule.least_attempts, "at least five attempts" in text) == (5, True)
    assert f"dead letters after {schedule.dead_days} days" in text


@pytest.fixture
def recipe(snippets, tmp_path):
    """The receiver of the page as a process; a `ringledger` that notes how it is called comes first in its PATH."""
    port = free_port()
    script = tmp_path / "missed.py"
    script.write_text("\n".join(snippets).replace("8099", str(port)))
    calls = tmp_path / "calls.jsonl"
    tool = tmp_path / "bin" / "ringledger"
    tool.parent.mkdir()
    tool.write_text(
        f"#!{sys.executable}\nimport json, sys\nopen({str(calls)!r}, 'a').write(json.dumps(sys.argv[1:]) + chr(10))\n"
    )
    tool.chmod(0o755)
    env = {**os.environ, "PATH": f"{tool.parent}:{os.environ['PATH']}"}
    with subprocess.Popen([sys.executable, str(script)], env=env, stderr=subprocess.DEVNULL) as process, ended(process):
        yield f"http://127.0.0.1:{port}", calls


def missed(at):
    """The letter the daemon would write of a call missed at that time."""
    hook = WebhookSettings(url="http://127.0.0.1:9", events=("call.missed",))
    desk = Desk().see(presence(101, 1, at - 9000, item()), presence(101, 2, at, item("NoCall"))).settle()
    (letter,) = LetterWriter(receivers_of([hook]))(desk.changes, at)
    return letter


async def test_the_recipe_texts_whoever_was_missed_once_and_while_it_is_fresh(recipe):
    url, calls = recipe
    (receiver,) = receivers_of([WebhookSettings(url=url, secret=SECRET)])
    (stranger,) = receivers_of([WebhookSettings(url=url, secret="another")])
    now = int(time.time())
    old, fresh = missed((now - 86_400) * 1000), missed((now - 60) * 1000)

    async def deliver(to, letter):
        return (await post(session, to, letter.event_id, letter.body, now)).error

    async with posting(10) as session:
        await listening(url)
        assert await deliver(stranger, fresh) == "answered 401"
        assert await deliver(receiver, old) is None
        assert await deliver(receiver, fresh) is None
        assert await deliver(receiver, fresh) is None
        await until(lambda: calls.exists() and calls.read_text().endswith("\n"), "a text")
    (text,) = [json.loads(line) for line in calls.read_text().splitlines()]
    assert text[:3] == ["sms", "+18885434778", "+13027430863"]
    assert len(text) == 4
    assert to_text((now - 60) * 1000) in fresh.body


async def listening(url):
    port = int(url.rsplit(":", 1)[1])

    def heard():
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", port)) == 0

    await until(heard, "the receiver listens")


def test_the_command_of_the_recipe_exists():
    assert sms.__doc__
