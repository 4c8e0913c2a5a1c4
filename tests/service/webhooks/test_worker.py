"""Deliveries against a real receiver and a real database."""

import asyncio
import base64
import gzip
import hashlib
import hmac
import time
import tracemalloc
from contextlib import asynccontextmanager

import pytest

from ringledger.clock import now_ms as wall_ms
from ringledger.config.model import WebhookSettings
from ringledger.domain.changes import Changes
from ringledger.ledger.write import outbox
from ringledger.ledger.write.letters import Letter
from ringledger.ledger.write.store import Ledger
from ringledger.observability.metrics import Metrics
from ringledger.service.webhooks import worker
from ringledger.service.webhooks.letters import receivers_of
from ringledger.service.webhooks.worker import DOWN_AFTER, PARALLEL, Deliveries, RetrySchedule
from tests.builders import ACCOUNT, T0, Desk, item, presence
from tests.receiver import Receiver, receiving
from tests.template import migrated
from tests.until import until

SECRET = "planted-secret-4711"
CALLS_REFUSED = 400
FAST = RetrySchedule(first_seconds=0.02, longest_seconds=0.1, timeout_seconds=0.4)


@pytest.fixture
async def hook():
    async with receiving() as receiver:
        yield receiver


@pytest.fixture
async def ledger(tmp_path):
    url = migrated(tmp_path / "r.db")
    opened = await Ledger.open(url)
    yield opened
    await opened.close()


class Post:
    """Letters into the outbox, and the deliveries that empty it."""

    def __init__(self, ledger, hooks, schedule=FAST, metrics=None, now_ms=wall_ms):
        self.ledger = ledger
        settings = [WebhookSettings(url=hook.url, events=("call.*",), secret=SECRET) for hook in hooks]
        self.receivers = receivers_of(settings)
        self.deliveries = Deliveries(ledger, self.receivers, schedule=schedule, metrics=metrics, now_ms=now_ms)
        self.now_ms = time.time_ns() // 1_000_000

    async def write(self, *stories, to=None, more=""):
        """``"7 opened finished"``: these events of call 7, to every receiver or to one."""
        letters = [
            Letter(one.key, ACCOUNT, session, f"{session}/{name}", f"call.{name}", body(session, name, more))
            for story in stories
            for session, *names in [story.split()]
            for name in names
            for one in self.receivers
            if to is None or one is self.receivers[to]
        ]
        self.ledger.fill_outbox_with(lambda *_: letters)
        changes = Desk().see(presence(101, 1, T0, item())).changes
        await self.ledger.commit(changes, now_ms=self.now_ms)
        self.deliveries.committed(changes)

    async def left(self, *, dead=False):
        return await outbox.letters(self.ledger.reader, dead=dead)

    async def empty(self):
        async def emptied():
            return not await self.left()

        await until(emptied, "the outbox is empty")

    @asynccontextmanager
    async def running(self, earliest=None):
        task = asyncio.create_task(self.deliveries.run(earliest=earliest))
        try:
            yield task
            assert not task.done(), task
        finally:
            task.cancel()
            await asyncio.wait([task])


def body(session, name, more=""):
    return f'{{"type":"ringledger.call.{name}","subject":"{session}","id":"{session}/{name}","more":"{more}"}}'


async def test_everything_arrives_and_nothing_is_left(ledger, hook):
    post = Post(ledger, [hook])
    await post.write(*(f"{n} opened finished" for n in range(30)))
    async with post.running():
        await post.empty()
        await post.write("late opened")
        await post.empty()
    assert len(hook.seen) == 61
    assert hook.names("7") == ["call.opened", "call.finished"]


async def test_a_delivery_is_what_the_page_says(ledger, hook):
    post = Post(ledger, [hook])
    before = int(time.time())
    await post.write("7 finished")
    async with post.running():
        await post.empty()
    ((headers, text, _),) = hook.seen
    assert headers["Content-Type"] == "application/cloudevents+json"
    assert headers["Webhook-Id"] == "7/finished"
    assert before <= int(headers["Webhook-Timestamp"]) <= time.time()
    signed = b"7/finished." + headers["Webhook-Timestamp"].encode() + b"." + text
    expected = base64.b64encode(hmac.new(SECRET.encode(), signed, hashlib.sha256).digest()).decode()
    assert headers["Webhook-Signature"] == f"v1,{expected}"


@pytest.mark.parametrize("status", [500, 503, 429, 400, 404, 301])
async def test_a_call_waits_for_its_former_event(ledger, hook, status):
    attempts = []

    def answer(event):
        attempts.append(event["id"])
        return status if event["id"] == "7/opened" and attempts.count("7/opened") < 4 else 200

    hook.answer = answer
    post = Post(ledger, [hook])
    await post.write("7 opened changed finished", "8 opened finished")
    async with post.running():
        await post.empty()
    assert hook.names("7") == ["call.opened", "call.changed", "call.finished"]
    assert [one for one in attempts if one.startswith("7")] == ["7/opened"] * 4 + ["7/changed", "7/finished"]
    assert attempts.index("8/finished") < attempts.index("7/changed")  # it did not wait for the other call


async def test_a_receiver_that_is_not_there_gets_it_all_later(ledger, hook, logs):
    await hook.stop()
    post = Post(ledger, [hook])
    await post.write(*(f"{n} opened finished" for n in range(20)))
    async with post.running():
        await until(lambda: logs.named("webhook.unavailable"), "trouble is told")
        await hook.start()
        await post.empty()
    assert sorted(hook.names()) == ["call.finished"] * 20 + ["call.opened"] * 20
    assert all(hook.names(str(n)) == ["call.opened", "call.finished"] for n in range(20))
    (told,) = logs.named("webhook.unavailable")
    assert told["reason"].startswith("cannot connect")
    assert len(logs.named("webhook.recovered")) == 1


async def test_a_receiver_that_is_down_is_not_run_down(ledger, hook):
    hook.answer = lambda _: 500
    post = Post(ledger, [hook], RetrySchedule(first_seconds=600, longest_seconds=600))
    await post.write(*(f"{n} opened" for n in range(100)))
    async with post.running():
        await until(lambda: len(hook.seen) >= DOWN_AFTER, "it was tried")
        await post.write("new opened")
        await until(lambda: hook.waiting == 0, "everybody is answered")
        await asyncio.sleep(0.2)
    assert DOWN_AFTER <= len(hook.seen) < DOWN_AFTER + PARALLEL


async def test_what_only_one_call_is_refused_stops_no_other(ledger, hook):
    hook.answer = lambda event: 500 if event["subject"] == "bad" else 200
    post = Post(ledger, [hook])
    await post.write("bad opened", *(f"{n} opened" for n in range(50)))
    async with post.running():
        await until(lambda: len(hook.accepted) == 50, "all others")
        await until(lambda: len(hook.seen) > 55, "it is tried again and again")
        await post.write("new opened")

        async def is_written_down():  # a new call is delivered, and what was accepted is written down
            return {row["session_id"] for row in await post.left()} == {"bad"}

        await until(is_written_down)
    assert hook.names("new")


async def test_no_answer_in_time_is_a_failure(ledger, hook, logs):
    hook.hang()
    post = Post(ledger, [hook])
    await post.write("7 opened", "8 opened", "9 opened")
    async with post.running():
        (told,) = await until(lambda: logs.named("webhook.unavailable"), "trouble is told")
        assert told["reason"] == "no answer in time"
        hook.go_on()
        await post.empty()
    assert hook.most_waiting <= PARALLEL


async def test_calls_go_side_by_side_up_to_a_bound(ledger, hook):
    hook.hang()
    post = Post(ledger, [hook], RetrySchedule())
    await post.write(*(f"{n} opened" for n in range(3 * PARALLEL)))
    async with post.running():
        await until(lambda: hook.waiting == PARALLEL, "as many as may")
        await post.write("more opened")
        hook.go_on()
        await post.empty()
    assert hook.most_waiting == PARALLEL


async def test_a_hanging_receiver_does_not_slow_another(ledger, hook):
    async with receiving() as slow:
        slow.hang()
        post = Post(ledger, [slow, hook], RetrySchedule())
        await post.write(*(f"{n} opened finished" for n in range(40)))
        async with post.running():
            await until(lambda: len(hook.accepted) == 80, "the other has everything")
            assert slow.seen == []
            assert slow.waiting == PARALLEL


async def test_410_is_final_and_the_next_event_goes_out(ledger, hook, logs):
    hook.answer = lambda event: 410 if event["id"] == "7/opened" else 200
    post = Post(ledger, [hook])
    await post.write("7 opened finished")
    async with post.running():
        await until(lambda: hook.names("7") == ["call.finished"], "the next one")
        await until(lambda: logs.named("webhook.failed"), "it is told")
    (dead,) = await post.left()
    assert (dead["event_id"], dead["attempts"]) == ("7/opened", 1)
    assert [one.event["id"] for one in hook.seen].count("7/opened") == 1
    (told,) = logs.named("webhook.failed")
    assert (told["session_id"], told["attempts"]) == ("7", 1)
    assert told["reason"].startswith("answered 410")


async def test_after_a_day_it_is_given_up_and_can_be_retried(ledger, hook, logs):
    hook.answer = lambda _: 500
    post = Post(ledger, [hook])
    post.now_ms -= 86_400_000
    await post.write("7 opened")
    async with post.running():
        await until(lambda: logs.named("webhook.failed"), "given up")
        assert len(hook.seen) == FAST.least_attempts
        dead = await until(lambda: post.left(dead=True))
        hook.answer = lambda _: 200
        assert await post.deliveries.retry([dead[0]["id"]]) == 1
        await post.empty()
    assert hook.names("7") == ["call.opened"]


async def test_no_single_clock_gives_up_or_deletes_a_letter(ledger, hook, monkeypatch):
    """The wall clock is set forty days ahead; the platform's, or ours since the start, knows better."""
    ahead = 0
    hook.answer = lambda event: 410 if event["subject"] == "8" else 500
    monkeypatch.setattr(worker, "KEEPER_SECONDS", 0.02)
    post = Post(ledger, [hook], now_ms=lambda: wall_ms() + ahead)
    await post.write("7 opened", "8 opened")
    async with post.running(wall_ms):
        await until(lambda: post.left(dead=True), "one is given up by its receiver")
        ahead, seen = 40 * 86_400_000, len(hook.seen)
        await until(lambda: len(hook.seen) > seen + 3 * FAST.least_attempts, "many attempts")
    assert len(await post.left()) == 2
    assert [one["session_id"] for one in await post.left(dead=True)] == ["8"]


@pytest.mark.slow
async def test_letters_that_are_refused_one_by_one_fill_no_memory(ledger, hook):
    """Each new one that was refused had all that had been refused before read with it, whole."""
    refused = set()

    def answer(event):
        hook.seen.clear()
        refused.add(event["subject"])
        return 400

    hook.answer = answer
    post = Post(ledger, [hook], RetrySchedule(first_seconds=0.5, longest_seconds=600))
    await post.write(*(f"{n} opened" for n in range(CALLS_REFUSED)), more="x" * 40_000)
    tracemalloc.start()
    try:
        async with post.running():
            await until(lambda: len(refused) == CALLS_REFUSED, "each has been tried", 120)
            _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 8_000_000


async def test_before_a_day_nothing_is_given_up(ledger, hook):
    hook.answer = lambda _: 500
    post = Post(ledger, [hook])
    post.now_ms -= 86_300_000
    await post.write("7 opened")
    async with post.running():
        await until(lambda: len(hook.seen) > 3 * FAST.least_attempts, "many attempts")
    assert await post.left(dead=True) == []


async def test_a_restart_goes_on_where_it_was(ledger, hook):
    hook.answer = lambda event: 200 if event["subject"] < "5" else 500
    first = Post(ledger, [hook])
    await first.write(*(f"{n} opened finished" for n in range(10)))
    async with first.running():
        await until(lambda: len(hook.accepted) == 10, "half of it")
    hook.answer = lambda _: 200
    second = Post(ledger, [hook])
    async with second.running():
        await second.empty()
    told = {n: list(dict.fromkeys(hook.names(str(n)))) for n in range(10)}  # what was on its way may come twice
    assert told == {key: ["call.opened", "call.finished"] for key in range(10)}


async def test_what_was_accepted_is_written_down_at_the_stop(ledger, hook, monkeypatch):
    monkeypatch.setattr(worker, "GATHER_SECONDS", 600)
    post = Post(ledger, [hook])
    await post.write("7 opened")
    async with post.running():
        await until(lambda: post.deliveries._desk._done, "accepted and not written down")
    assert await post.left() == []


async def test_letters_of_a_receiver_that_was_removed_are_given_up(ledger, hook, logs):
    await Post(ledger, [hook]).write("7 opened")
    nobody = Post(ledger, [])
    async with nobody.running():
        (told,) = await until(lambda: logs.named("webhook.failed"), "it is told")
    assert told["count"] == 1
    assert len(await nobody.left(dead=True)) == 1


async def test_redirects_are_not_followed(ledger, hook):
    async with receiving() as elsewhere:
        hook.headers = {"Location": elsewhere.url}
        hook.answer = lambda _: 307
        post = Post(ledger, [hook])
        await post.write("7 opened")
        async with post.running():
            await until(lambda: len(hook.seen) > 2, "tried again")
        assert elsewhere.seen == []


@pytest.mark.parametrize("encoding", ["", "gzip"], ids=["large", "bomb"])
async def test_an_answers_body_does_not_matter(ledger, hook, encoding):
    hook.body = gzip.compress(b"0" * 50_000_000, 1) if encoding else b"x" * 5_000_000
    hook.headers = {"Content-Encoding": encoding} if encoding else {}
    post = Post(ledger, [hook])
    await post.write(*(f"{n} opened" for n in range(5)))
    async with post.running():
        await post.empty()
    assert len(hook.seen) == 5


async def test_retry_after_is_heeded_up_to_the_longest_pause(ledger, hook):
    hook.headers = {"Retry-After": "1"}
    hook.answer = lambda _: 503 if len(hook.seen) < 1 else 200
    post = Post(ledger, [hook], RetrySchedule(first_seconds=0.01, longest_seconds=0.3))
    await post.write("7 opened")
    began = time.monotonic()
    async with post.running():
        await post.empty()
    assert time.monotonic() - began >= 0.3


async def test_no_secret_and_no_path_is_logged_or_stored(ledger, hook, logs, tmp_path):
    hook.answer = lambda _: 410
    post = Post(ledger, [hook])
    await post.write("7 opened", "8 opened", "9 opened")
    async with post.running():
        await until(lambda: len(logs.named("webhook.failed")) == 3, "given up")
        await hook.stop()
        await post.write("7 finished", "8 finished", "9 finished")
        await until(lambda: logs.named("webhook.unavailable"), "trouble")
    stored = b"".join(file.read_bytes() for file in tmp_path.glob("r.db*"))
    for word in (SECRET, "token-in-the-path"):
        assert word not in logs.text
        assert word.encode() not in stored
    assert {line["address"] for line in logs.named("webhook.failed")} == {f"http://127.0.0.1:{hook.port}"}


async def test_changes_without_announcements_wake_nobody(ledger, hook):
    post = Post(ledger, [hook])
    post.deliveries.wake = lambda: pytest.fail("woken")  # type: ignore[method-assign]
    post.deliveries.committed(Changes())


def test_pauses_double_up_to_five_minutes_with_jitter():
    schedule = RetrySchedule()
    assert 0.5 <= schedule.pause(1) <= 1.0
    assert 4.0 <= schedule.pause(4) <= 8.0
    assert 150.0 <= schedule.pause(10_000) <= 300.0
    assert len({schedule.pause(5) for _ in range(10)}) > 1


async def test_a_name_nobody_knows_is_a_failure_like_any(ledger, logs):
    nobody = Receiver()
    nobody.url = "http://nobody.invalid/secret-path"
    post = Post(ledger, [nobody])
    await post.write("7 opened")
    async with post.running():
        (told,) = await until(lambda: logs.named("webhook.unavailable"), "trouble is told")
    assert told["address"] == "http://nobody.invalid"
    assert "secret-path" not in logs.text


async def test_the_figures_tell_what_waits_what_came_and_what_was_given_up(ledger, hook, monkeypatch):
    monkeypatch.setattr(worker, "FIGURES_SECONDS", 0.02)
    answers = {"1": 204, "2": 410, "3": 503}
    hook.answer = lambda event: answers[event["subject"]]
    metrics = Metrics()
    post = Post(ledger, [hook], metrics=metrics)
    await post.write("1 finished", "2 finished", "3 finished")
    labels = {"webhook": "1", "host": "127.0.0.1"}

    def tried(outcome):
        return metrics.value("webhook_deliveries_total", **labels, outcome=outcome)

    def standing():
        names = ("webhook_pending_letters", "webhook_dead_letters")
        return tuple(metrics.value(name, **labels) for name in names)

    async with post.running():
        await until(lambda: tried("failed") >= 2, "tried again")
        await until(lambda: standing() == (1, 1), "one waits, one was given up")
        assert metrics.value("webhook_oldest_pending_seconds", **labels) > 0
        assert (tried("accepted"), tried("given_up")) == (1, 1)
        answers["3"] = 204
        await until(lambda: standing() == (0, 1), "the outbox is empty but for the dead")
        assert metrics.value("webhook_oldest_pending_seconds", **labels) == 0
        answers["2"] = 204
        assert await post.deliveries.retry(None) == 1
        await until(lambda: standing() == (0, 0), "nothing is left")
    assert tried("accepted") == 3


async def test_letters_of_receivers_that_are_gone_have_a_figure_too(ledger, hook, monkeypatch):
    monkeypatch.setattr(worker, "FIGURES_SECONDS", 0.02)
    await Post(ledger, [hook]).write("1 finished")
    other = Receiver()
    other.url = "http://127.0.0.1:9/other"
    metrics = Metrics()
    async with Post(ledger, [other], metrics=metrics).running():
        gone = {"webhook": "other", "host": ""}
        await until(lambda: metrics.value("webhook_dead_letters", **gone) == 1, "given up")


def test_patience_at_speed_is_the_same_schedule():
    fast = RetrySchedule().at_speed(60)
    assert (fast.first_seconds, fast.longest_seconds, fast.give_up_seconds) == (1 / 60, 5, 1440)
    assert (fast.timeout_seconds, fast.least_attempts) == (10, 5)
