"""The loop that asks for verdicts, on the simulator's own clock: what a refusal (429) costs it, to the millisecond, how
a call is looked up, and that nothing is left out of a synchronisation.
"""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from email.utils import formatdate
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from ringledger.domain.observation import CallKey, Delivery
from ringledger.domain.tracker import CallTracker
from ringledger.ledger.read.restart import UnconfirmedCall
from ringledger.ledger.times import to_ms
from ringledger.ledger.write.store import Ledger
from ringledger.ledger.write.writer import LedgerWriter
from ringledger.ringcentral.api.pace import Pace
from ringledger.ringcentral.auth.authorisation import TOKEN_PATH
from ringledger.ringcentral.errors import PlatformUnavailable, Throttled
from ringledger.ringcentral.ratelimit.limits import RateLimits
from ringledger.service.build import authenticator, platform_client
from ringledger.service.ingest.backfill import BEGAN_BEFORE_MS
from ringledger.service.ingest.confirmer import ADJACENT_MS, FEED, Confirmer
from ringledger.service.ingest.confirmer import FAR_MARGIN_MS as HOUR_MS
from ringledger.service.ingest.pipeline import Pipeline
from ringledger.service.ingest.scope import ScopedCallLog
from ringledger.simulator import Office, Options, SimCall, SimClock, Simulator
from ringledger.simulator.exchange.model import SimLeg, Step
from tests.builders import T0, item, presence
from tests.platform.fake import Reply, reply, serving
from tests.rig import settings_for
from tests.service.ingest.test_pipeline import Silent
from tests.simulator.exchange.test_office import leap
from tests.template import migrated
from tests.until import until

ACCOUNT = "1001"
#: So long that a turn which is lost is not made up for within the test.
INTERVAL = 3_600.0


class StandingPace(Pace):
    """The platform's seconds pass only while somebody waits for them."""

    def __init__(self, clock: SimClock) -> None:
        super().__init__()
        self._clock = clock

    def now(self) -> float:
        return self._clock.now_ms() / 1000

    async def sleep(self, seconds: float) -> None:
        self._clock.advance(seconds)


@pytest.fixture
async def sim():
    async with Simulator(clock=SimClock(speed=0), options=Options(rate_limits="default")) as simulator:
        yield simulator


@pytest.fixture
async def intake(sim: Simulator, tmp_path: Path):
    url = migrated(tmp_path / "r.db")
    ledger = await Ledger.open(url)
    intake = Pipeline(CallTracker(), ledger, ACCOUNT)
    writer = intake.commit_by(LedgerWriter(
        ledger, intake.take, commit_interval=0, commit_batch=1, on_committed=intake.committed, notices=Silent(),
        now_ms=sim.clock.now_ms,
    ))  # fmt: skip
    writing = asyncio.create_task(writer.run())
    yield intake
    writing.cancel()
    await asyncio.wait({writing})
    await ledger.close()


@asynccontextmanager
async def _confirming(url: str, sim: Simulator, intake: Pipeline) -> AsyncIterator[Confirmer]:
    """One process's confirmer of the platform at ``url``."""
    settings = settings_for(sim, Path("r.db"), platform__server_url=url)
    pace = StandingPace(sim.clock)
    limits = RateLimits(pace=pace)
    async with aiohttp.ClientSession() as session:
        client = platform_client(settings, session, authenticator(settings, session, limits), limits)
        books = ScopedCallLog(client, ACCOUNT, None)
        yield Confirmer(books, intake, interval=INTERVAL, idle_interval=0.05, clock=pace.now)


@pytest.fixture
async def confirmer(sim: Simulator, intake: Pipeline):
    async with _confirming(sim.url, sim, intake) as confirmer:
        yield confirmer


async def test_a_refused_synchronisation_is_made_when_the_penalty_is_over_and_not_before(sim, confirmer):
    sim.faults.add("429=1x", path="call-log-sync")
    sim.clock.advance(1)
    running = asyncio.create_task(confirmer.run())
    try:
        await until(lambda: sim.limits.refused)  # the refused one is spent for a moment, too
        (heavy,) = [one for (_, group), one in sim.limits._counters.items() if group == "heavy"]
        await until(lambda: heavy.spent and heavy.spent[0] > heavy.closed_until - sim.limits.penalty)
    finally:
        running.cancel()
        await asyncio.wait({running})
    assert sim.limits.refused == {"heavy": 1}
    assert sim.limits.violations == 0
    late = heavy.spent[0] - heavy.closed_until
    assert -0.002 <= late < 1  # the machine's own time passes as well, more of it on a busy one


async def test_a_refused_look_up_was_none(sim, confirmer):
    key = CallKey(ACCOUNT, "67029198021")
    now_ms = sim.clock.now_ms()
    confirmer.resume([UnconfirmedCall(*key, None, now_ms - 90_000, now_ms - 60_000)], None, now_ms=now_ms)
    tried, due_at = confirmer.waiting[key].lookups, confirmer.waiting[key].due_at
    sim.faults.add("429=1x", path="call-log")
    with pytest.raises(Throttled):
        await confirmer.look_up(key)
    one = confirmer.waiting[key]
    assert (one.lookups, one.due_at) == (tried, due_at)
    await confirmer.look_up(key)
    assert one.lookups == tried + 1


# -- look-ups --------------------------------------------------------------------------------------------------------


def _logged(sim: Simulator, session: str, telephony: str, caller: str = "+14155550100") -> SimCall:
    """A missed call of the platform's books, over for a minute."""
    extension = sim.pbx.extensions["2001"]
    leg = SimLeg("leg-1", 1, extension.id, "Inbound", caller, "A Caller", extension.direct_number, "")
    call = SimCall(session, telephony, "Inbound", "missed", "Missed", "Phone Call", [leg])
    sim.pbx.apply(call, Step(sim.clock.now_ms(), 0, "Ringing", None))
    sim.clock.advance(10)
    sim.pbx.apply(call, Step(sim.clock.now_ms(), 0, "NoCall", "final"))
    sim.clock.advance(60)
    return call


async def _seen(sim: Simulator, intake: Pipeline, call: SimCall, session: str, telephony: str) -> CallKey:
    """Presence shows that call under other names; it is over and unconfirmed."""
    started, to = call.legs[0].started_at, call.legs[0].to_number
    told = {"session": session, "telephony": telephony, "sender": "14155550100", "to": to.removeprefix("+")}
    for number, status in enumerate(["Ringing", "NoCall"]):
        one = presence("2001", number, started + number * 10_000, item(status, **told), account=ACCOUNT)
        await intake.deliver(Delivery((one,), (), None))
    intake.tracker.advance(1e12)
    await intake.change(lambda: None)
    return CallKey(ACCOUNT, session)


async def _unconfirmed(intake: Pipeline) -> list[UnconfirmedCall]:
    return await intake._ledger.load_unconfirmed(ACCOUNT, 0)


@pytest.mark.parametrize(("telephony", "attempts"), [("s-log", 2), ("s-presence", 3)])
async def test_a_call_the_log_names_differently_is_found_the_next_way(sim, intake, confirmer, telephony, attempts):
    call = _logged(sim, "9000001", "s-log")
    key = await _seen(sim, intake, call, "9000777", telephony)
    confirmer.resume(await _unconfirmed(intake), None, now_ms=call.legs[0].started_at + 10_000)
    for attempt in range(attempts):
        assert [one.session_id for one in await _unconfirmed(intake)] == [key.session_id], f"before attempt {attempt}"
        await confirmer.look_up(key)
    assert await _unconfirmed(intake) == []
    assert await intake._ledger.load_sessions([CallKey(ACCOUNT, "9000001")]) == [], "it is one call"


async def test_other_calls_of_the_same_minute_are_not_written_by_a_look_up(sim, intake, confirmer):
    call = _logged(sim, "9000001", "s-log", caller="+14155550177")
    key = await _seen(sim, intake, call, "9000777", "s-presence")
    confirmer.resume(await _unconfirmed(intake), None, now_ms=call.legs[0].started_at + 10_000)
    for _ in range(3):
        await confirmer.look_up(key)
    assert [one.session_id for one in await _unconfirmed(intake)] == [key.session_id]
    assert await intake._ledger.load_sessions([CallKey(ACCOUNT, "9000001")]) == []


async def test_a_restart_does_not_begin_with_the_look_ups_of_all_that_is_old(sim, confirmer):
    """Fifty calls unconfirmed for ten hours and more: each is looked up once within the next hour."""
    now, confirmer.interval = sim.clock.now_ms(), 60
    ended = [now - 36_000_000 - number * 70_000 for number in range(50)]
    calls = [UnconfirmedCall(ACCOUNT, str(at), f"s-{at}", at - 60_000, at) for at in ended]
    confirmer.resume(calls, None, now_ms=now)
    before = {key: one.lookups for key, one in confirmer.waiting.items()}
    while sim.clock.now_ms() < now + 3_600_000:
        await confirmer.round()
        sim.clock.advance(15)
    made = {key: one.lookups - before[key] for key, one in confirmer.waiting.items()}
    assert set(made.values()) <= {0, 1}
    assert sum(made.values()) > 40
    assert sim.limits.refused == {}


async def test_the_part_of_a_call_waits_for_no_verdict_of_its_own(intake):
    ends = ("16502008440", "16509540334")
    for session, direction, numbers in (("1", "Outbound", ends), ("2", "Inbound", ends[::-1])):
        told = {"session": session, "direction": direction, "sender": numbers[0], "to": numbers[1]}
        for number, status in enumerate(["CallConnected", "NoCall"]):
            one = presence(
                "2001", int(session) * 10 + number, T0 + number * 9_000, item(status, **told), account=ACCOUNT
            )
            await intake.deliver(Delivery((one,), (), None))
    intake.tracker.advance(1e12)
    await intake.change(lambda: None)
    assert [one.session_id for one in await _unconfirmed(intake)] == ["1"]


# -- synchronisations ------------------------------------------------------------------------------------------------


async def _an_hour(sim: Simulator, calls: int) -> list[str]:
    """So many calls or more that are over and in the log; their sessions."""
    sim.clock.sleep_until = leap(sim.clock)  # type: ignore[method-assign]
    people = list(sim.pbx.extensions.values())
    await sim.run_office(Office(people, calls, seed=5), until=sim.clock.now_ms() + 3_600_000)
    sim.clock.advance(120)
    return [one.session_id for one in sim.pbx.truth()]


async def _lost(intake: Pipeline, sessions: list[str]) -> set[str]:
    known = await intake._ledger.load_sessions([CallKey(ACCOUNT, one) for one in sessions])
    return set(sessions) - {call.session_id for call in known}


@pytest.mark.parametrize("most", [250, 100_000])  # more than that since a token: it is refused
async def test_what_does_not_fit_into_an_answer_is_read_from_the_log(sim, intake, confirmer, most):
    sim.books.options.max_changes = most
    await confirmer.synchronise()
    sessions = await _an_hour(sim, 500)
    assert len(sessions) > 250
    await confirmer.synchronise()
    assert await _lost(intake, sessions) == set()


@pytest.mark.parametrize("calls", [100, 500])
async def test_a_new_process_whose_token_has_expired_goes_on_from_the_last_whole_answer(sim, intake, confirmer, calls):
    await confirmer.synchronise()
    sessions = await _an_hour(sim, calls)
    sim.clock.advance(4 * 3_600)
    sim.books.tokens.expire()
    position = (await intake._ledger.load_open(ACCOUNT)).positions.get(FEED)
    async with _confirming(sim.url, sim, intake) as another:
        another.resume([], position, now_ms=sim.clock.now_ms())
        await another.synchronise()
    assert await _lost(intake, sessions) == set()


async def test_the_log_is_read_no_farther_back_than_max_days(sim, intake, confirmer):
    await confirmer.synchronise()
    early = await _an_hour(sim, 500)
    sim.clock.advance(8 * 86_400)
    for _ in range(2):  # a date that is eight days off is believed when it is said again
        await confirmer.client.whoami()
    late = set(await _an_hour(sim, 500)) - set(early)
    await confirmer.synchronise()
    assert await _lost(intake, sorted(late)) == set()
    assert await _lost(intake, early) == set(early)


async def test_a_token_is_not_kept_before_the_log_has_been_read(sim, intake):
    """The log fails after a full answer: the next synchronisation begins where the last whole one ended."""
    api = "/restapi/v1.0/account/~"
    record = {"sessionId": "1", "startTime": "2026-03-02T09:00:00Z", "type": "Voice", "direction": "Inbound"}
    records = [{**record, "id": f"R{number}", "result": "Missed"} for number in range(250)]
    async with serving() as fake, _confirming(fake.url, sim, intake) as confirmer:
        fake.script(TOKEN_PATH, reply({"access_token": "T", "expires_in": 3600}))
        fake.script(f"{api}/call-log-sync", reply({"records": records, "syncInfo": {"syncToken": "S1"}}))
        fake.script(f"{api}/call-log", reply(status=503), reply({"records": []}))
        with pytest.raises(PlatformUnavailable):
            await confirmer.synchronise()
        assert (await intake._ledger.load_open(ACCOUNT)).positions.get(FEED) is None
        await confirmer.synchronise()
        assert [asked["syncType"] for asked in fake.asked(f"{api}/call-log-sync")] == ["FSync", "FSync"]
        assert (await intake._ledger.load_open(ACCOUNT)).positions[FEED].token == "S1"


@pytest.mark.slow
@pytest.mark.parametrize("minutes", [2, 10, 59])
async def test_while_every_answer_is_full_a_period_is_read_once(sim, intake, minutes):
    """With a short interval each answer that was full had the last hour of the log read, again and again; with pages
    that took their time each reading that came minutes after the last one did."""
    api = "/restapi/v1.0/account/~"
    record = {"startTime": "2026-03-02T09:00:00Z", "type": "Voice", "direction": "Inbound", "result": "Missed"}
    records = [{**record, "id": f"R{number}", "sessionId": f"{number}"} for number in range(250)]
    ahead = 0.0

    def dated(body: Any) -> Reply:
        async def answer(request: web.Request) -> web.StreamResponse:
            return await reply(body, Date=formatdate(time.time() + ahead, usegmt=True))(request)

        return answer

    async with serving() as fake, _confirming(fake.url, sim, intake) as confirmer:
        fake.script(TOKEN_PATH, reply({"access_token": "T", "expires_in": 3600}))
        fake.script(f"{api}/call-log-sync", dated({"records": records, "syncInfo": {"syncToken": "S1"}}))
        fake.script(f"{api}/call-log", dated({"records": []}))

        async def read() -> tuple[int, int]:
            """The period of the newest reading, after two synchronisations (the first learns the time)."""
            for _ in range(2):
                await confirmer.synchronise()
            newest = fake.asked(f"{api}/call-log")[-1]
            return to_ms(newest["dateFrom"]), to_ms(newest["dateTo"])

        for _ in range(10):
            _, first_until = await read()
        assert len(fake.asked(f"{api}/call-log")) == 1
        position = (await intake._ledger.load_open(ACCOUNT)).positions[FEED]
        ahead = minutes * 60.0
        since, until_ms = await read()
        assert until_ms >= first_until + minutes * 60_000 - 5_000
        # only what the first reading could not have had: the log is late, and its filter is by the start of a call
        assert since >= first_until - BEGAN_BEFORE_MS - ADJACENT_MS
        assert (await intake._ledger.load_open(ACCOUNT)).positions[FEED].at >= position.at
        ahead = 7_200.0  # now and then calls are sought that went on for an hour and that nobody saw
        since, _ = await read()
        assert since <= until_ms - BEGAN_BEFORE_MS - HOUR_MS
