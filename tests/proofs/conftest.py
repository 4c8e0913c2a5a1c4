"""Both feeds carry the same proofs."""

import pytest


@pytest.fixture(params=["pubnub", "websocket"])
def transport(request: pytest.FixtureRequest) -> str:
    """The feed a proof runs over."""
    return str(request.param)
