"""An account whose loops wait for each other's turn, as long as the machine is busy: none of them is stuck."""

import asyncio
from pathlib import Path

from tests.rig import office


async def test_who_waits_for_a_turn_is_not_stuck(tmp_path: Path) -> None:
    """Many accounts asking one ledger on a busy machine have made a turn last for minutes."""
    async with office(tmp_path, "websocket", speed=1.0) as rig:
        intake = rig.daemon.intake
        assert intake is not None
        async with intake._order:
            for _ in range(24):
                await asyncio.sleep(5)
                assert rig.daemon.loops.stuck() == []
