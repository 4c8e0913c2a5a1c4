"""Everything goes wrong at once, and the ledger is right all the same."""

from pathlib import Path

import pytest

from ringledger.service.ingest.lookups import LOOKUPS
from ringledger.simulator import Office, Options, Pbx, SimClock, Simulator, default_extensions
from ringledger.simulator.faults.plan import KINDS
from tests.rig import running, settings_for
from tests.truth import differences

pytestmark = pytest.mark.slow

SPEED = 200.0
OFFICE_MS = 1_000_000
#: So many such offices, one after another, until each fault has struck: some are rare.
AT_MOST = 5
#: A WebSocket that is cut pauses for real minutes, as the platform wants it.
CUT = {"pubnub": "disconnect=0.01", "websocket": "disconnect=1x"}
#: What the way of a notification does to it.
ON_THE_WAY = ("drop=0.1", "duplicate=0.2", "reorder=0.2", "delay:10=0.1", "garbage=0.05", "poison=0.05",
              "sequence-restart=0.02")  # fmt: skip
#: What the platform keeps to itself, and answers that are none. A queue that overflows is held for half a minute.
UNTOLD = (
    "hold-back=0.05", "overflow:30=0.05", "no-nocall=0.1", "no-ringing=0.1", "slow:0.2=0.1", "empty-listing=0.3",
    "html=0.1", "cut-body=0.1", "status-5xx=0.1", "poison-record=0.3", "odd-date=0.1", "odd-rate=0.1",
    "redirect=0.2",
)  # fmt: skip
#: A synchronisation whose records vanish costs half a minute (see below); a long proof has those.
ONLY_AT = {"empty-listing": "active-calls"}
#: Faults that meet a daemon elsewhere: some that end what they meet or take long, and listings of several pages.
ELSEWHERE = {
    "silent": "test_life_cycle", "429": "test_bad_answers", "page-fails": "test_bad_answers",
    "bomb": "test_poison", "scramble": "test_fuzzed", "endless": "test_poison", "same-page": "test_poison",
}  # fmt: skip
#: A record that came while its call seemed to live on is asked for by itself: LOOKUPS[0] real seconds after the end,
#: and if that is in vain LOOKUPS[1] after it. By then the faults are over, so that one of the two finds it.
CONFIRMED_WITHIN = LOOKUPS[1] + 60.0


def _name(fault: str) -> str:
    return fault.partition("=")[0].partition(":")[0]


def test_no_fault_is_left_out() -> None:
    met = {_name(fault) for fault in (*ON_THE_WAY, *UNTOLD, *CUT.values())}
    assert met | ELSEWHERE.keys() == {name for name, kind in KINDS.items() if kind.where != "poll"}


@pytest.mark.timeout(60 + CONFIRMED_WITHIN)
@pytest.mark.parametrize("faults", [ON_THE_WAY, UNTOLD], ids=["on the way", "untold"])
async def test_an_office_where_everything_goes_wrong(faults: tuple[str, ...], transport: str, tmp_path: Path) -> None:
    pbx = Pbx(default_extensions(20), seed=5)
    clock = SimClock(speed=SPEED)
    async with Simulator(clock=clock, pbx=pbx, options=Options(real_lifetimes=True, fault_seed=5)) as sim:
        settings = settings_for(
            sim, tmp_path / "r.db", transport, calls__settle_seconds=10 / SPEED, poll__interval_seconds=150 / SPEED,
            confirm__sync_interval_seconds=60 / SPEED,
        )  # fmt: skip
        async with running(sim, settings) as rig:
            for fault in (*faults, CUT[transport]):
                sim.faults.add(fault, path=ONLY_AT.get(_name(fault), ""))
            office = Office(list(pbx.extensions.values()), calls_per_hour=300, seed=5)
            names = {_name(fault) for fault in faults}
            for _ in range(AT_MOST):
                await sim.run_office(office, until=clock.now_ms() + OFFICE_MS)
                if names <= sim.faults.happened.keys():
                    break
            assert names <= sim.faults.happened.keys(), "each of them has struck"
            sim.faults.clear()
            await rig.until(
                lambda: (
                    len(rig.query("SELECT 1 FROM all_calls")) >= len(pbx.truth())
                    and not rig.query("SELECT 1 FROM active_calls")
                    and not rig.query("SELECT 1 FROM unconfirmed_calls")
                ),
                "everything is over and confirmed",
                seconds=CONFIRMED_WITHIN,
            )
            assert differences(rig.query("SELECT * FROM all_calls"), pbx.truth()) == []
