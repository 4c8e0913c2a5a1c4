"""A platform that takes connections and says nothing, as `doctor` finds it."""

import asyncio
from pathlib import Path

import pytest

from ringledger.config.model import load_settings
from ringledger.service.health.checks import CheckFacts
from ringledger.service.health.diagnosis import PLATFORM_WITHIN, platform_facts

pytestmark = pytest.mark.virtual_time


async def test_a_platform_that_hangs_is_given_up_in_time(tmp_path: Path) -> None:
    """Nothing was said for minutes, as long as each request may take and be repeated."""
    never = asyncio.Event()

    async def hang(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await never.wait()
        writer.close()

    async with await asyncio.start_server(hang, "127.0.0.1") as server:
        port = server.sockets[0].getsockname()[1]
        own = {"credentials.client_id": "a", "credentials.client_secret": "b", "credentials.jwt": "c"}
        own |= {
            "platform.server_url": f"http://127.0.0.1:{port}",
            "database.url": f"sqlite+aiosqlite:///{tmp_path}/r.db",
        }
        settings = load_settings(None, overrides=own)
        began = asyncio.get_running_loop().time()
        facts = await platform_facts(settings, CheckFacts(), trial=True)
        assert asyncio.get_running_loop().time() - began <= PLATFORM_WITHIN + 1
        never.set()
    assert facts.platform_error == f"http://127.0.0.1:{port}: no answer within 20 s"
