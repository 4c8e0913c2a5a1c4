"""A database and a server that the tests of a module share."""

import pytest

pytest.importorskip("fastapi", reason="the extra `web` is not installed")

from tests.web.served import books, serving


@pytest.fixture(scope="module")
def database(tmp_path_factory):
    return books(tmp_path_factory.mktemp("web") / "ringledger.db")


@pytest.fixture(scope="module")
def served(database):
    with serving(database) as one:
        yield one
