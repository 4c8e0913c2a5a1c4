"""A thousand connections that ask nothing: the daemon, its feed and its commands go on, and the log stays short."""

import asyncio
import resource
import socket
from contextlib import ExitStack
from functools import partial
from pathlib import Path

import aiohttp
import pytest

from ringledger.admission import MOST, MOST_EACH, Admission
from ringledger.service.control.server import request, socket_path
from ringledger.simulator import Simulator, load_story
from tests.rig import STORIES, running, settings_for
from tests.until import PATIENCE

IDLE = 1_000


async def connected(stack: ExitStack, address) -> list[socket.socket]:
    """Idle connections, as many as it is let."""
    made = []
    for n in range(IDLE):
        one = stack.enter_context(socket.socket(socket.AF_UNIX if isinstance(address, str) else socket.AF_INET))
        one.setblocking(False)
        try:
            await asyncio.wait_for(asyncio.get_running_loop().sock_connect(one, address), PATIENCE)
        except OSError:
            continue
        made.append(one)
        if n % 50 == 0:
            await asyncio.sleep(0.01)
    return made


@pytest.mark.slow
@pytest.mark.real_time
@pytest.mark.parametrize("where", ["control", "http"])
async def test_a_thousand_idle_connections_end_nothing(where: str, tmp_path: Path, logs) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard < 4 * IDLE:
        pytest.skip("needs more descriptors than this machine gives")
    resource.setrlimit(resource.RLIMIT_NOFILE, (4 * IDLE, hard))  # the clients live in this process, too
    try:
        async with (
            Simulator() as sim,
            running(sim, settings_for(sim, tmp_path / "r.db", http__listen="127.0.0.1:0")) as rig,
        ):
            host, _, port = rig.daemon.address.rpartition(":")
            address = str(socket_path(rig.database)) if where == "control" else (host, int(port))
            with ExitStack() as stack:
                await connected(stack, address)
                await asyncio.sleep(0.2)
                held = sum(1 for one in asyncio.all_tasks() if "_serve" in repr(one.get_coro()))
                assert held <= MOST_EACH
                if where == "control":
                    answer = await asyncio.wait_for(request(Path(address), {"do": "findings"}, print), PATIENCE)
                    assert answer is not None
                else:
                    async with aiohttp.ClientSession() as session, session.get(f"http://{host}:{port}/livez") as found:
                        assert found.status == 200
                story = load_story(STORIES / "hold_and_resume.story")
                for delivery in story.deliveries:
                    sim.publish_envelope(delivery.envelope, forced=True)
                await rig.until(rig.calls, "the call is recorded")
            assert logs.events.count("connections.refused") == 1
        (over,) = logs.named("connections.accepted")
        assert over["refused"] >= IDLE - MOST_EACH - 10
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


async def test_a_flood_shuts_out_itself_and_nobody_else() -> None:
    """Sixteen of one peer, 64 in all; who asks something stays."""
    admission, dropped = Admission("test"), []
    busy = admission.enter("a", lambda: dropped.append("busy"))
    assert busy is not None
    busy.idle = False
    for n in range(1_000):
        assert admission.enter("a", partial(dropped.append, n)) is not None
    assert len(admission) == MOST_EACH
    assert dropped[:3] == [0, 1, 2]
    assert "busy" not in dropped
    for peer in range(100):
        assert admission.enter(peer, lambda: dropped.append("other")) is not None
        assert len(admission) <= MOST
    admission.close()


async def test_where_all_are_busy_nobody_is_let_in() -> None:
    admission = Admission("test", most=2, most_each=2)
    for peer in "ab":
        visit = admission.enter(peer, lambda: None)
        assert visit is not None
        visit.idle = False
    assert admission.enter("c", lambda: None) is None
    admission.leave(visit)
    assert admission.enter("c", lambda: None) is not None
    admission.close()
