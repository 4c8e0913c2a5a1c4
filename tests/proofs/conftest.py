"""The long proofs: `make proofs` runs them, an ordinary run passes them over. Both feeds carry the same ones."""

import os
from pathlib import Path

import pytest

HERE = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """They take minutes: only whoever asks for them gets them."""
    if not os.environ.get("PROOFS"):
        skipped = pytest.mark.skip(reason="long; make proofs")
        for item in items:
            if HERE in item.path.parents:
                item.add_marker(skipped)


@pytest.fixture(params=["pubnub", "websocket"])
def transport(request: pytest.FixtureRequest) -> str:
    """The feed a proof runs over."""
    return str(request.param)
