"""A whole daemon while all that others send is damaged: it lives, memory is bounded, the next good call is recorded."""

import json
import os
import random
import resource
from pathlib import Path

import pytest

from ringledger.simulator import Office, load_story
from ringledger.simulator.push.encryption import encrypt
from tests.fuzz.mutate import mutated
from tests.platform.payloads import EVENT_2015, event, item
from tests.rig import STORIES, Rig, office

ROUNDS = int(os.environ.get("ROUNDS", "400"))
SEEDS = (event(), EVENT_2015, event(activeCalls=[item(id=str(n)) for n in range(7)], totalActiveCalls=9))
META = {"type": "ServerNotification", "messageId": "m-1", "wsc": {"token": "w-1", "sequence": 7}, "status": 200}
#: Answers that are scrambled, and headers that lie.
FAULTS = (
    ("scramble=0.5", "active-calls"), ("scramble=0.5", "call-log"), ("scramble=0.5", "/presence"),
    ("odd-date=0.2", ""), ("odd-rate=0.2", ""), ("redirect=0.05", ""),
)  # fmt: skip
#: How much more memory a process may have had after it, KiB.
MOST_MORE = 150_000


def _send(rig: Rig, transport: str, dice: random.Random) -> None:
    """One damaged message, sealed as the platform would have sent it, or a damaged frame."""
    if transport == "websocket":
        frame = mutated([[{**META, "messageId": f"m-{dice.random()}"}, seed] for seed in SEEDS], dice)
        rig.sim.websocket.send_text(frame.decode("utf-8", "replace"))
        return
    for subscription in rig.sim.subscriptions.alive():
        sealed = encrypt(mutated(SEEDS, dice), subscription.delivery["encryptionKey"])
        data = sealed if dice.random() < 0.9 else json.loads(json.dumps(dice.choice(SEEDS)))
        rig.sim.pubnub.publish(subscription.delivery["address"], data)


@pytest.mark.slow
@pytest.mark.timeout(60 + ROUNDS / 5)
async def test_a_daemon_lives_through_damage_of_every_kind(transport: str, tmp_path: Path) -> None:
    dice = random.Random(f"{transport}-20260105")
    async with office(tmp_path, transport) as rig:
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        for name, path in FAULTS:
            rig.sim.faults.add(name, path=path)
        people = Office([*rig.sim.pbx.extensions.values()], calls_per_hour=120, seed=3)
        for number in range(ROUNDS):
            _send(rig, transport, dice)
            if number % 20 == 0:
                await rig.sim.run_office(people, until=rig.sim.clock.now_ms() + 20_000, drain=False)
        rig.sim.faults.clear()
        rig.sim.pubnub.faults.clear()
        await rig.sim.wait_polling(timeout=600)
        good = load_story(STORIES / "answered.story")
        session = good.deliveries[0].envelope["body"]["activeCalls"][0]["sessionId"]
        await rig.sim.play_story(good, pace=False)
        answered = f"SELECT 1 FROM calls WHERE session_id = '{session}' AND disposition = 'answered'"
        await rig.until(lambda: rig.query(answered), "the good call", seconds=600)
        assert rig.query("SELECT count(*) AS n FROM quarantine")[0]["n"] > ROUNDS / 10
        assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < MOST_MORE
