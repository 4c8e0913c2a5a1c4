"""The platform's own verdict outranks what presence showed, and each source's word is kept (semantics 7)."""

from pathlib import Path

from ringledger.platform.limits import RateGroup
from ringledger.simulator import Options, RingOutOptions
from tests.rig import office

SPEED = 60.0


async def test_a_ringout_whose_callee_never_answers(transport: str, tmp_path: Path) -> None:
    """Presence says CallConnected as soon as one's own phone is answered; only the log knows better."""
    options = Options(real_lifetimes=True, ring_outs=RingOutOptions(default="no-answer", patience_seconds=120))
    async with office(tmp_path, transport, speed=SPEED, options=options, confirm__sync_interval_seconds=0.5) as rig:
        assert rig.daemon.parts is not None
        numbers = {"from": {"phoneNumber": "+16505551001"}, "to": {"phoneNumber": "+14155550100"}}
        path = "/account/~/extension/~/ring-out"
        await rig.daemon.parts.client.request("POST", path, group=RateGroup.HEAVY, json=numbers)
        await rig.until(lambda: rig.query("SELECT 1 FROM active_calls WHERE status = 'CallConnected'"), "it seems so")
        (row,) = await rig.until(lambda: [row for row in rig.calls() if row["confirmed_at"]], "it is confirmed")
        assert (row["disposition"], row["result"], row["talk_seconds"]) == ("no_answer", "No Answer", 0)
        assert row["answered_at"] is None
        assert row["ring_seconds"] > 0
        said = {(one["source"], one["result"]) for one in rig.query("SELECT * FROM call_sources")}
        assert ("call-log", "No Answer") in said
        assert ("active-calls", "In Progress") in said
        heard = [one["status"] for one in rig.query("SELECT status FROM call_events WHERE source = 'presence'")]
        assert heard == ["Ringing", "CallConnected", "NoCall"]
