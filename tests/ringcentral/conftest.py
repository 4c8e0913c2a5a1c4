"""A simulated platform and a client of it."""

from collections.abc import AsyncIterator

import pytest

from ringledger.ringcentral.api.client import PlatformClient
from ringledger.simulator import Simulator
from tests.platform.support import client_for


@pytest.fixture
async def sim() -> AsyncIterator[Simulator]:
    async with Simulator() as started:
        yield started


@pytest.fixture
async def client(sim: Simulator) -> AsyncIterator[PlatformClient]:
    """Pauses between attempts are platform seconds, of which many pass in one of ours."""
    async with client_for(sim.url, speed=200.0) as made:
        yield made
