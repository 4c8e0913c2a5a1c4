"""The long proofs: `make proofs` runs them, an ordinary run passes them over. Both feeds carry the same ones."""

import os

import pytest


def pytest_itemcollected(item: pytest.Item) -> None:
    """They take minutes: only whoever asks for them gets them."""
    if not os.environ.get("PROOFS"):
        item.add_marker(pytest.mark.skip(reason="long; make proofs"))


@pytest.fixture(params=["pubnub", "websocket"])
def transport(request: pytest.FixtureRequest) -> str:
    """The feed a proof runs over."""
    return str(request.param)
