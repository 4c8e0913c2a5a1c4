"""What some tests need of the machine. Without it they are skipped; in CI (the variable ``CI`` is set) they fail."""

import os
from typing import NoReturn

import pytest


def needs(there: object, what: str, cure: str) -> pytest.MarkDecorator:
    """A mark for a test or a module. ``cure``: what to do so that it is there."""
    return pytest.mark.needs(bool(there), what, cure)


def lacking(what: str, cure: str) -> NoReturn:
    """The machine has no ``what``."""
    if os.environ.get("CI"):
        pytest.fail(f"CI runs every test, and this machine lacks {what}: {cure}", pytrace=False)
    pytest.skip(f"lacks {what}: {cure}")
