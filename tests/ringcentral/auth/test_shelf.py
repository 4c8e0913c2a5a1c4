"""The grants of many accounts in the one record that the service manager keeps."""

import os
from collections.abc import Iterator

import pytest

from ringledger.ringcentral.auth.session import GrantShelf
from ringledger.systemd import Kept, Notifier

ACCOUNTS = 500
#: As long as tokens of today's platform are, both of them.
LENGTH = 4_000


@pytest.fixture
def kept() -> Iterator[Kept]:
    made = Kept(Notifier({}), "session", None)
    yield made
    if made._descriptor is not None:
        os.close(made._descriptor)


@pytest.mark.slow
def test_each_of_five_hundred_accounts_finds_its_grant(kept: Kept) -> None:
    """Those that start late find theirs when those that start early have logged in again."""
    shelf, grants = GrantShelf(kept), {f"company-{n:03}": bytes([n % 251 + 1]) * LENGTH for n in range(ACCOUNTS)}
    for name, grant in grants.items():
        shelf.of(name).save(grant)
    again = GrantShelf(kept)
    for name, grant in grants.items():
        assert again.of(name).load() == grant
        again.of(name).save(grant[::-1])
    third = GrantShelf(kept)
    assert {name: third.of(name).load() for name in grants} == grants
