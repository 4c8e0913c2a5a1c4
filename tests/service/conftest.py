"""Both feeds carry the same tests."""

import pytest

TRANSPORTS = ["pubnub", "websocket"]


@pytest.fixture(params=TRANSPORTS)
def transport(request: pytest.FixtureRequest) -> str:
    """The feed a test runs over."""
    return str(request.param)
