"""Whose books are read: nobody's we do not watch, and none of ours is lost."""

from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager
from pathlib import Path
from typing import cast

import aiohttp
import pytest

from ringledger.domain.observation import Direction, RecordClaim
from ringledger.ringcentral.api.client import PlatformClient
from ringledger.ringcentral.api.query import CallLogQuery
from ringledger.ringcentral.errors import NotFound
from ringledger.ringcentral.ratelimit.limits import RateLimits
from ringledger.service.build import authenticator, platform_client
from ringledger.service.commands.audit import audit
from ringledger.service.commands.platform import one_shot
from ringledger.service.ingest.scope import ScopedCallLog
from ringledger.simulator import Options, SimCall, SimClock, Simulator
from ringledger.simulator.exchange.model import SimLeg, Step
from tests.builders import SESSION, claim
from tests.rig import Rig, office, running, settings_for

NOBODY = cast(PlatformClient, None)  # `mine` asks nobody


@pytest.mark.parametrize(
    ("watched", "extension_id", "ours"),
    [
        (["101"], "101", True),
        (["101"], "102", False),
        (["101"], None, True),
        (None, "102", True),
        (["~"], "101", True),
    ],
)
def test_a_record_is_ours_or_not(watched: list[str] | None, extension_id: str | None, ours: bool) -> None:
    record = claim("Accepted")._replace(extension_id=extension_id)
    assert ScopedCallLog(NOBODY, "1", watched).mine([record]) == ((record,) if ours else ())


def _books(watched: list[str], *names: str) -> ScopedCallLog:
    """The books of somebody who knows the calls of these names."""

    async def known(asked: Collection[RecordClaim]) -> set[str]:
        return {name for one in asked for name in (one.session_id, one.telephony_session_id) if name in names}

    return ScopedCallLog(NOBODY, "1", watched, known)


def _of_105(result: str | None = "Voicemail", direction: str = "Outbound", *parties: str) -> RecordClaim:
    return claim(result, extension="105", direction=direction, telephony="s-1")._replace(parties=parties)


@pytest.mark.parametrize("result", ["Voicemail", None])
@pytest.mark.parametrize(
    ("direction", "parties", "ours"),
    [
        ("Outbound", ("105", "102"), ("102", Direction.INBOUND)),
        ("Inbound", ("102", "105"), ("102", Direction.OUTBOUND)),
        ("Inbound", ("", "102"), ("102", Direction.INBOUND)),
        ("Inbound", ("102", "104"), ("104", Direction.INBOUND)),
        ("Outbound", ("105", "106"), None),
        ("Outbound", ("", ""), None),
        ("Outbound", (), None),
    ],
)
async def test_somebody_elses_record_that_names_one_of_ours_is_told_from_our_side(result, direction, parties, ours):
    record = _of_105(result, direction, *parties)
    expected = () if ours is None else (record._replace(extension_id=ours[0], direction=ours[1]),)
    assert await _books(["102", "104"]).ours([record]) == expected
    assert ScopedCallLog(NOBODY, "1", ["102", "104"]).mine([record]) == ((record,) if ours else ())


@pytest.mark.parametrize("name", [SESSION, "s-1"])
async def test_the_record_of_a_call_we_know_is_kept_whoever_answered_it(name: str) -> None:
    record = _of_105("Accepted", "Inbound", "", "105")
    assert await _books(["102"], name).ours([record]) == (record,)
    assert ScopedCallLog(NOBODY, "1", ["102"]).mine([record], {name}) == (record,)
    assert await _books(["102"], "another").ours([record]) == ()


async def test_what_others_still_talk_about_is_not_ours_any_longer() -> None:
    assert await _books(["102"], SESSION).ours([_of_105(None, "Inbound", "", "105")]) == ()


# -- a subset of the account is watched --------------------------------------------------------------------------------

SPEED = 60.0
INTERNAL, QUEUE = "900000000010000", "900000000020000"


def _leg(number: int, extension: str, direction: str, source: str, target: str, **more: str) -> SimLeg:
    return SimLeg(f"leg-{extension}", number, extension, direction, source, "", target, "", **more)  # type: ignore[arg-type]


def _internal(sim: Simulator) -> SimCall:
    """Unwatched 105 (id 2005) calls watched 102 (2002), who does not answer."""
    legs = [_leg(1, "2005", "Outbound", "105", "102"), _leg(2, "2002", "Inbound", "105", "102")]
    call = SimCall(INTERNAL, "s-i", "Outbound", "voicemail", "Voicemail", "VoIP Call", legs, internal=True)
    at = sim.clock.now_ms()
    call.plan = [Step(at, 0, "Ringing"), Step(at + 100, 1, "Ringing")]
    call.plan += [Step(at + 20_000, 1, "NoCall", "final"), Step(at + 20_100, 0, "NoCall", "final")]
    return call


def _queue(sim: Simulator) -> SimCall:
    """A queue rings watched 102 and unwatched 103, who answers."""
    numbers = ("+14155550100", "+16505550900")
    legs = [_leg(1, "2002", "Inbound", *numbers), _leg(2, "2003", "Inbound", *numbers)]
    call = SimCall(QUEUE, "s-q", "Inbound", "queue", "Accepted", "Phone Call", legs)
    at = sim.clock.now_ms()
    call.plan = [Step(at, 0, "Ringing"), Step(at + 100, 1, "Ringing"), Step(at + 5_000, 1, "CallConnected")]
    call.plan += [Step(at + 5_100, 0, "NoCall", "final"), Step(at + 40_000, 1, "NoCall", "final")]
    return call


async def _happens(sim: Simulator, call: SimCall) -> None:
    for step in call.plan:
        await sim.clock.sleep_until(step.at)
        sim.pbx.apply(call, step)


async def _differences(rig: Rig, since: int) -> tuple[int, list[str]]:
    async with one_shot(rig.daemon.settings, lambda _: None) as asking:
        report = await audit(asking, since, rig.sim.clock.now_ms())
    return report.compared, [f"{one.kind} {one.session_id}" for one in report.differences]


async def test_calls_with_people_nobody_watches_are_confirmed_and_audited(tmp_path: Path) -> None:
    watched = {"platform__extensions": ["2002", "2004"], "confirm__sync_interval_seconds": 0.5}
    async with office(tmp_path, "pubnub", speed=SPEED, **watched) as rig:
        since = rig.sim.clock.now_ms() - 1_000
        await _happens(rig.sim, _internal(rig.sim))
        await _happens(rig.sim, _queue(rig.sim))
        stranger = _internal(rig.sim)
        stranger.session_id, stranger.legs = "900000000030000", [_leg(1, "2005", "Outbound", "105", "103")]
        stranger.plan = [stranger.plan[0], stranger.plan[3]]
        await _happens(rig.sim, stranger)
        rows = await rig.until(
            lambda: len(found := rig.query("SELECT * FROM calls WHERE confirmed_at IS NOT NULL")) == 2 and found
        )
        told = {row["session_id"]: (row["direction"], row["disposition"]) for row in rows}
        assert told == {INTERNAL: ("Outbound", "voicemail"), QUEUE: ("Inbound", "answered")}
        assert {row["extension_id"] for row in rows if row["session_id"] == INTERNAL} == {"2002"}
        rig.sim.clock.advance(600)
        assert await _differences(rig, since) == (2, [])
        assert len(rig.query("SELECT * FROM all_calls")) == 2, "others' calls are none of ours"


async def test_what_was_missed_of_such_calls_is_found_and_filled(tmp_path: Path) -> None:
    """No event arrives: the books tell of the internal call, of which ours is a party, and nothing of the queue's."""
    async with Simulator(clock=SimClock(speed=1)) as sim:
        settings = settings_for(
            sim, tmp_path / "r.db", platform__extensions=["2002", "2004"], confirm__sync_interval_seconds=0.5
        )
        async with running(sim, settings) as rig:
            sim.faults.add("drop=1")
            since = sim.clock.now_ms() - 1_000
            for call in (_internal(sim), _queue(sim)):
                for step in call.plan:
                    sim.clock.advance_to(step.at)
                    sim.pbx.apply(call, step)
            sim.clock.advance(90)
            await rig.until(lambda: [row["session_id"] for row in rig.calls()] == [INTERNAL], "the books told of it")
            sim.clock.advance(600)
            assert await _differences(rig, since) == (1, [])


# -- an extension that is no longer there ------------------------------------------------------------------------------


@asynccontextmanager
async def _no_administrator(*watched: str) -> AsyncIterator[tuple[Simulator, ScopedCallLog]]:
    async with Simulator(options=Options(admin=False)) as sim, aiohttp.ClientSession() as session:
        settings, limits = settings_for(sim, Path("r.db")), RateLimits()
        client = platform_client(settings, session, authenticator(settings, session, limits), limits)
        yield sim, ScopedCallLog(client, "1001", watched)


async def test_an_extension_that_is_gone_leaves_the_others_their_books() -> None:
    async with _no_administrator("2002", "2003", "2004") as (sim, books):
        call = _internal(sim)
        for step in call.plan:
            sim.clock.advance_to(step.at)
            sim.pbx.apply(call, step)
        sim.clock.advance(60)
        del sim.pbx.extensions["2003"]
        listing = await books.active_calls()
        logged = [page async for page in books.log_pages(lambda one: CallLogQuery(extension_id=one))]
        assert [one.session_id for one in listing.claims] == [INTERNAL]
        assert [one.session_id for page in logged for one in page.claims] == [INTERNAL]


async def test_nobody_left_is_no_empty_listing() -> None:
    async with _no_administrator("2002", "2003") as (sim, books):
        del sim.pbx.extensions["2002"], sim.pbx.extensions["2003"]
        with pytest.raises(NotFound):
            await books.active_calls()
        with pytest.raises(NotFound):
            [page async for page in books.log_pages(lambda one: CallLogQuery(extension_id=one))]


async def test_reconciliation_goes_on_without_an_extension_that_is_gone(tmp_path: Path) -> None:
    """The end of a call is missed, and a colleague has been removed meanwhile: the call is ended all the same."""
    async with Simulator(clock=SimClock(speed=1), options=Options(admin=False)) as sim:
        settings = settings_for(
            sim, tmp_path / "r.db", platform__extensions=["2002", "2003"], poll__interval_seconds=0.3
        )
        async with running(sim, settings) as rig:
            leg = _leg(1, "2002", "Inbound", "+14155550100", "+16505551002")
            call = SimCall(QUEUE, "s-1", "Inbound", "answered", "Accepted", "Phone Call", [leg], listed_after_ms=100)
            for status in ("Ringing", "CallConnected"):
                sim.pbx.apply(call, Step(sim.clock.now_ms(), 0, status))  # type: ignore[arg-type]
            await rig.until(lambda: rig.query("SELECT 1 FROM active_calls WHERE status = 'CallConnected'"))
            del sim.pbx.extensions["2003"]
            sim.faults.add("drop=1")
            sim.pbx.apply(call, Step(sim.clock.now_ms(), 0, "NoCall", "final"))
            sim.clock.advance(60)
            await rig.until(rig.calls, "it has ended")


async def test_without_an_administrator_a_call_that_no_poll_has_seen_is_looked_up(tmp_path: Path) -> None:
    """The first poll learns that each extension is asked by itself: no synchronisation will bring the verdict."""
    async with Simulator(clock=SimClock(speed=1), options=Options(admin=False)) as sim:
        settings = settings_for(
            sim, tmp_path / "r.db", platform__extensions=["2002", "2003"], poll__interval_seconds=3_600
        )
        async with running(sim, settings) as rig:
            leg = _leg(1, "2002", "Inbound", "+14155550100", "+16505551002")
            call = SimCall(QUEUE, "s-1", "Inbound", "answered", "Accepted", "Phone Call", [leg])
            for status in ("Ringing", "CallConnected"):
                sim.pbx.apply(call, Step(sim.clock.now_ms(), 0, status))  # type: ignore[arg-type]
            sim.pbx.apply(call, Step(sim.clock.now_ms(), 0, "NoCall", "final"))
            await rig.until(lambda: rig.query("SELECT 1 FROM calls WHERE confirmed_at IS NOT NULL"), "it is confirmed")
