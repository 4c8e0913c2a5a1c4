"""A backlog of a hundred thousand letters to a webhook's receiver: all of it goes out, in order, within bounds.

LETTERS comes from the environment. The figures are printed.
"""

import json
import os
import time
from collections import Counter
from pathlib import Path

import pytest
from sqlalchemy import insert

from ringledger.clock import now_ms
from ringledger.config.model import WebhookSettings
from ringledger.ledger.schema.tables import outbox
from ringledger.ledger.write.store import Ledger
from ringledger.service.webhooks.letters import receivers_of
from ringledger.simulator import Options, Simulator, load_story
from tests.proofs.fast import FastChild
from tests.receiver import Receiver, in_order, receiving
from tests.rig import STORIES
from tests.until import until

#: Two letters of each call.
LETTERS = int(os.environ.get("LETTERS", "100000"))
#: Rows put into the outbox at a time.
STEP = 5_000
#: What the daemon may take with them, MiB, and how long to send them, seconds.
MOST_MIB = 256
DRAINED_WITHIN = 600.0
#: A call that comes meanwhile is in the ledger as soon, seconds: its commit waits for a few outcomes, not for all.
RECORDED_WITHIN = 10.0
EVENTS = ["call.opened", "call.finished"]

pytestmark = pytest.mark.timeout(3 * DRAINED_WITHIN)


async def _put(url: str, hook: Receiver) -> None:
    """The outbox of a ledger whose receiver has been away: first how each call began, then how each ended."""
    (receiver,) = receivers_of([WebhookSettings(url=hook.url, events=tuple(EVENTS))])
    ledger = await Ledger.open(url)
    try:
        for name in EVENTS:
            rows = [_row(receiver.key, f"b-{number}", name) for number in range(LETTERS // 2)]
            for first in range(0, len(rows), STEP):
                async with ledger.transaction() as connection:
                    await connection.execute(insert(outbox), rows[first : first + STEP])
    finally:
        await ledger.close()


def _row(receiver: str, call: str, name: str) -> dict[str, object]:
    event = {"id": f"{call}/1/{name}", "type": f"ringledger.{name}", "subject": call, "data": {"revision": 1}}
    return {
        "receiver": receiver, "account_id": "1001", "session_id": call, "event_id": event["id"], "event": name,
        "body": json.dumps(event | {"note": "x" * 1_000}), "since": now_ms(), "attempts": 0,
    }  # fmt: skip


@pytest.mark.parametrize("refused", [0, LETTERS // 5], ids=["was away", "refuses one by one"])
async def test_a_backlog_of_a_hundred_thousand_drains(
    refused: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Whether its receiver has been away or has refused each letter by itself, and a call that comes meanwhile is
    recorded at once."""
    async with (
        receiving() as hook,
        Simulator(options=Options(real_lifetimes=True)) as sim,
        FastChild(sim, tmp_path, "websocket") as child,
    ):
        child._environment["RINGLEDGER_WEBHOOKS"] = json.dumps([{"url": hook.url, "events": EVENTS}])
        await _put(child.prepared(), hook)
        hook.answer = lambda _: 400 if len(hook.seen) < refused else 204
        began = time.monotonic()
        await child.start()
        await child.until("service.ready")
        await until(lambda: len(hook.seen) > refused, "it takes letters", DRAINED_WITHIN)
        await sim.play_story(load_story(STORIES / "answered.story"), pace=False)
        ended = time.monotonic()
        await until(lambda: child.query("SELECT 1 FROM calls"), "the call is recorded", DRAINED_WITHIN)
        recorded = time.monotonic() - ended
        left = "SELECT 1 FROM outbox LIMIT 1"
        await until(lambda: not child.query(left), "nothing is left", DRAINED_WITHIN)
        drained, peak = time.monotonic() - began, child.peak_mib
        assert await child.stop() == 0
    told = Counter(one.event["id"] for one in hook.accepted)
    figures = {
        "letters": len(told),
        "attempts": len(hook.seen),
        "told twice": len(hook.accepted) - len(told),
        "seconds": round(drained),
        "a new call recorded after": round(recorded, 1),
        "peak MiB": round(peak),
    }
    with capsys.disabled():
        print("\nletters:", ", ".join(f"{name} {value}" for name, value in figures.items()))
    assert len([one for one in told if one.startswith("b-")]) == LETTERS
    assert peak < MOST_MIB
    assert recorded < RECORDED_WITHIN
    in_order(hook)
