"""Rejected credentials end a running daemon with 77 and one line, an outage of the platform never does."""

from contextlib import AsyncExitStack
from dataclasses import replace
from pathlib import Path

from ringledger.exits import Exit
from ringledger.simulator import Simulator
from tests.crash.child import Child
from tests.proofs.stage import door_to


async def test_credentials_that_are_withdrawn_end_it_at_the_next_refresh(tmp_path: Path) -> None:
    async with (
        Simulator() as sim,
        Child(sim, tmp_path, "websocket", forked=True, poll__interval_seconds=1) as child,
    ):
        await child.start()
        await child.until("service.ready")
        sim.oauth.credentials = replace(sim.oauth.credentials, jwt="another")
        sim.oauth.revoke_all()
        assert await child.until_ended() == Exit.CREDENTIALS
        (failed,) = [line for line in child.lines() if line["event"] == "service.failed"]
        assert failed["reason"].startswith("the platform rejects the credentials: OAU-213")
        assert failed["exit_code"] == Exit.CREDENTIALS
        assert [line["event"] for line in child.lines()].count("auth.rejected") == 1


async def test_a_refresh_token_that_is_used_up_means_a_new_login(tmp_path: Path) -> None:
    """The session is gone, the credentials are good: nothing ends."""
    async with (
        Simulator() as sim,
        Child(sim, tmp_path, "websocket", forked=True, poll__interval_seconds=1) as child,
    ):
        await child.start()
        await child.until("service.ready")
        sim.oauth.revoke_all()
        await child.until_lines("auth.token_obtained", 2)
        assert sim.limits.usage()["auth"] <= 5
        assert await child.stop() == 0


async def test_a_platform_that_is_away_ends_nothing(tmp_path: Path) -> None:
    """Every answer a 5xx, then a closed port; the long proof does this for hours."""
    async with Simulator() as sim, door_to(sim) as door, AsyncExitStack() as stack:
        sim.websocket.base_url = door.url
        through = {"platform__server_url": door.url, "feed__pubnub_origin": door.url}
        child = Child(sim, tmp_path, "websocket", forked=True, poll__interval_seconds=1, **through)
        await stack.enter_async_context(child)
        await child.start()
        await child.until("service.ready")
        sim.faults.add("status-5xx=1")
        await child.until_lines("platform.unavailable", 1)
        await child.until_lines("poll.failed", 1)
        sim.faults.clear()
        await child.until_lines("platform.recovered", 1)
        await door.shut()
        await child.until_lines("platform.unavailable", 2)
        await door.open()
        await child.until_lines("platform.recovered", 2)
        assert await child.stop() == 0
