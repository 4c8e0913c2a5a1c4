"""The daemon's own client against the books: two opinions of the platform that have to meet."""

from collections.abc import AsyncIterator

import pytest

from ringledger.domain.observation import RecordClaim
from ringledger.ringcentral.api.actions import Actions
from ringledger.ringcentral.api.client import PlatformClient
from ringledger.ringcentral.api.query import CallLogQuery
from ringledger.ringcentral.errors import NotFound, PermissionDenied, PlatformError, SyncExpired
from ringledger.simulator import Office, SimClock, Simulator
from tests.platform.support import client_for
from tests.simulator.exchange.test_office import leap


@pytest.fixture
async def busy() -> AsyncIterator[tuple[Simulator, PlatformClient]]:
    """Two hours of an office are over, and all of it is in the log."""
    sim = Simulator(clock=SimClock(speed=0))
    sim.clock.sleep_until = leap(sim.clock)  # type: ignore[method-assign]
    await sim.run_office(Office([*sim.pbx.extensions.values()], 200, 5), until=sim.clock.now_ms() + 7_200_000)
    sim.clock.advance(60)
    async with sim, client_for(sim.url) as client:
        await client.whoami()
        yield sim, client


def whole(claims: tuple[RecordClaim, ...]) -> dict[str | None, RecordClaim]:
    return {claim.session_id: claim for claim in claims if claim.leg_of is None}


async def test_the_log_is_read_as_it_was_meant(busy: tuple[Simulator, PlatformClient]):
    sim, client = busy
    listing = await client.call_log(CallLogQuery(per_page=50, detailed=True), account_id="1001")
    assert listing.unreadable == ()
    claims, truths = whole(listing.claims), sim.pbx.truth()
    assert len(truths) > 300
    assert len(claims) == len(truths)
    for truth in truths:
        claim = claims[truth.session_id]
        assert truth.ended_at is not None
        assert (claim.started_at, claim.ended_at, claim.running) == (truth.started_at, truth.ended_at, False)
        assert (claim.direction, claim.extension_id) == (truth.direction, truth.extension_id)
        assert (claim.result, claim.internal, claim.queue_call) == (truth.result, truth.internal, truth.queue_call)
        assert (claim.from_party.number, claim.to_party.number) == (truth.from_number, truth.to_number)


async def test_synchronisation(busy: tuple[Simulator, PlatformClient]):
    sim, client = busy
    first = await client.call_log_sync(account_id="1001", since_ms=sim.clock.now_ms() - 3_600_000)
    assert first.sync_token
    assert len(first.claims) > 50
    second = await client.call_log_sync(account_id="1001", sync_token=first.sync_token)
    assert second.claims == ()
    sim.books.tokens.expire()
    with pytest.raises(SyncExpired):
        await client.call_log_sync(account_id="1001", sync_token=first.sync_token)


async def test_a_failed_page_fails_the_listing(busy: tuple[Simulator, PlatformClient]):
    sim, client = busy
    sim.faults.add("page-fails=1", path="/call-log")
    with pytest.raises(PlatformError):
        await client.call_log(CallLogQuery(per_page=50), account_id="1001")


async def test_one_session_is_asked_for_alone(busy: tuple[Simulator, PlatformClient]):
    sim, client = busy
    session = sim.pbx.truth()[0].session_id
    listing = await client.call_log(CallLogQuery(session_id=session), account_id="1001")
    assert [claim.session_id for claim in listing.claims] == [session]


async def test_who_may_not_read_the_accounts_books_reads_its_own(busy: tuple[Simulator, PlatformClient]):
    sim, client = busy
    sim.permissions.missing = {"ReadCompanyCallLog"}
    with pytest.raises(PermissionDenied):
        await client.active_calls(account_id="1001")
    assert (await client.active_calls(account_id="1001", extension_id="2001")).unreadable == ()


async def test_ringout_and_messages():
    async with Simulator(clock=SimClock(speed=0)) as sim, client_for(sim.url) as client:
        actions = Actions(client)
        placed = await actions.ring_out("+16505551001", "+14155550100")
        assert (await actions.ring_out_status(placed.id)).caller_status == "InProgress"
        await actions.cancel_ring_out(placed.id)
        with pytest.raises(NotFound):
            await actions.ring_out_status(placed.id)
        assert (await actions.send_sms("+16505551001", ["+14155550100"], "Hello")).status == "Queued"
        assert (await actions.send_page(["102"], "Hello")).status == "Sent"
