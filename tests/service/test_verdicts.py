"""The platform's own verdict outranks what presence showed, and each source's word is kept (rule 7)."""

import asyncio
import json
from pathlib import Path
from subprocess import PIPE
from typing import Any

import pytest

from ringledger.ledger.times import to_ms
from ringledger.ringcentral.ratelimit.limits import RateGroup
from ringledger.simulator import Options, RingOutOptions, load_story
from tests.crash.child import environment
from tests.forked import Process
from tests.rig import Rig, office

SPEED = 60.0


async def test_a_ringout_whose_callee_never_answers(transport: str, tmp_path: Path) -> None:
    """Presence says CallConnected as soon as one's own phone is answered; only the log knows better."""
    options = Options(real_lifetimes=True, ring_outs=RingOutOptions(default="no-answer", patience_seconds=120))
    asking = {"confirm__sync_interval_seconds": 0.5, "poll__interval_seconds": 300}
    async with office(tmp_path, transport, speed=SPEED, options=options, **asking) as rig:
        assert rig.daemon.parts is not None
        numbers = {"from": {"phoneNumber": "+16505551001"}, "to": {"phoneNumber": "+14155550100"}}
        path = "/account/~/extension/~/ring-out"
        await rig.daemon.parts.client.request("POST", path, group=RateGroup.HEAVY, json=numbers)
        await rig.until(lambda: rig.query("SELECT 1 FROM active_calls WHERE status = 'CallConnected'"), "it seems so")
        await rig.until(lambda: _asked(rig) and ("active-calls", "In Progress") in _said(rig), "it is listed")
        (row,) = await rig.until(lambda: [row for row in rig.calls() if row["confirmed_at"]], "it is confirmed")
        assert (row["disposition"], row["result"], row["talk_seconds"]) == ("no_answer", "No Answer", 0)
        assert row["answered_at"] is None
        assert row["ring_seconds"] > 0
        assert _said(rig) == {("presence", None), ("active-calls", "In Progress"), ("call-log", "No Answer")}
        heard = [one["status"] for one in rig.query("SELECT status FROM call_events WHERE source = 'presence'")]
        assert heard == ["Ringing", "CallConnected", "NoCall"]
        await _the_command_tells_who_said_what(rig, row)


async def _the_command_tells_who_said_what(rig: Rig, row: dict[str, Any]) -> None:
    """`calls show`: to presence somebody talked, the log says that nobody answered, and the log's word counts."""
    story = json.loads(await _show(rig, row["session_id"], "--json"))
    said = {one["source"]: one for one in story["sources"]}
    seen = [(one["to_status"], one["source"]) for one in story["transitions"]]
    assert seen == [("Ringing", "presence"), ("CallConnected", "presence"), ("NoCall", "presence")]
    connected, over = to_ms(story["transitions"][1]["at"]), to_ms(story["transitions"][2]["at"])
    assert said["presence"]["result"] is None
    assert round(said["presence"]["duration_seconds"] * 1000) == over - connected > 0
    assert (said["active-calls"]["result"], said["call-log"]["result"]) == ("In Progress", "No Answer")
    verdict = "Disposition no_answer: call-log says 'No Answer', confirmed "
    assert [one for one in story["explanation"] if one.startswith(verdict)]
    text = await _show(rig, row["session_id"])
    table = text.partition("what each source says")[2].partition("where each figure comes from")[0].splitlines()
    (presence,) = [line for line in table if "presence" in line]
    (log,) = [line for line in table if "call-log" in line]
    assert "No Answer" in log
    assert "No Answer" not in presence
    assert verdict in text
    assert "CallConnected" in text.partition("changes of status")[2].partition("events")[0]


async def _show(rig: Rig, *words: str) -> str:
    """What `calls show` prints about this ledger."""
    env = environment(rig.sim, rig.database, "pubnub", database__url=rig.daemon.settings.database.url) | {
        "COLUMNS": "200",
        "NO_COLOR": "1",
    }
    child = Process("calls", "show", *words, env=env, stdout=PIPE)
    out, _ = await asyncio.to_thread(child.communicate)
    assert child.returncode == 0
    return out or ""


FIND_ME = """
story A queue rings an agent, then another, then the first one again, who answers
call A session=900000077021 direction=in from=+14155550123 to=+16505550900 queue

| time  | extension | call | status        | notes                |
| +0    | 2001      | A    | Ringing       | id=a start=+0 {first}    |
| +10   | 2001      | A    | NoCall        | {first}              |
| +10.2 | 2002      | A    | Ringing       | id=b start=+10.2     |
| +20.2 | 2002      | A    | NoCall        |                      |
| +20.4 | 2001      | A    | Ringing       | id=c start=+20.4     |
| +24   | 2001      | A    | CallConnected |                      |
| +60   | 2001      | A    | NoCall        |                      |

log A id=r-1 ext=2001 start=+0 duration=10 result="No Answer" active=1s
log A id=r-2 ext=2002 start=+10.2 duration=10 result="No Answer"
log A id=r-3 ext=2001 start=+20.4 duration=39.6 result=Accepted

expect 1 call
  A disposition=answered
"""


@pytest.mark.parametrize(("first", "shown"), [("", 3), ("lost", 2)])
async def test_each_record_of_a_call_is_one_leg_whether_presence_told_of_it_or_not(
    first: str, shown: int, tmp_path: Path
) -> None:
    """`call_legs` has every leg once; `leg_count` counts those that presence showed."""
    story = load_story(FIND_ME.format(first=first))
    options = Options(real_lifetimes=True)
    async with office(tmp_path, "pubnub", speed=SPEED, options=options, confirm__sync_interval_seconds=0.5) as rig:
        await rig.sim.play_story(story.shifted(rig.sim.clock.now_ms() - story.start), pace=False)
        await rig.until(lambda: len(_records(rig)) == 3, "all records are known")
        (row,) = rig.calls()
        legs = rig.query("SELECT * FROM call_legs")
        assert sorted(one["extension_id"] for one in legs) == ["2001", "2001", "2002"]
        assert [one["source"] for one in legs].count("presence") == shown == row["leg_count"]
        assert (row["disposition"], row["result"], row["extension_id"]) == ("answered", "Accepted", "2001")
        polled = rig.daemon.metrics.value("api_requests_total", endpoint="active-calls", code="200")
        await rig.until(
            lambda: rig.daemon.metrics.value("api_requests_total", endpoint="active-calls", code="200") > polled + 1,
            "the books are read again",
        )
        assert len(rig.query("SELECT * FROM call_legs")) == 3


def _asked(rig: Rig) -> bool:
    """Have the active calls read now: no poll is due by itself, so none comes after the call's end."""
    assert rig.daemon.parts is not None
    rig.daemon.parts.poller.soon()
    return True


def _said(rig: Rig) -> set[tuple[str, str | None]]:
    return {(one["source"], one["result"]) for one in rig.query("SELECT * FROM call_sources")}


def _records(rig: Rig) -> set[str]:
    return {one["record_id"] for one in rig.query("SELECT record_id FROM call_sources WHERE source = 'call-log'")}
