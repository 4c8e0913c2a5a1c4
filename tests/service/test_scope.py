"""Whose books are read: nobody's we do not watch, and none of ours is lost."""

from typing import cast

import pytest

from ringledger.platform.rest import PlatformClient
from ringledger.service.scope import PlatformBooks
from tests.builders import claim

NOBODY = cast(PlatformClient, None)  # `mine` asks nobody


@pytest.mark.parametrize(
    ("watched", "extension_id", "ours"),
    [
        (["101"], "101", True),
        (["101"], "102", False),
        (["101"], None, True),
        (None, "102", True),
        (["~"], "101", True),
    ],
)
def test_a_record_is_ours_or_not(watched: list[str] | None, extension_id: str | None, ours: bool) -> None:
    record = claim("Accepted")._replace(extension_id=extension_id)
    assert PlatformBooks(NOBODY, "1", watched).mine([record]) == ((record,) if ours else ())
