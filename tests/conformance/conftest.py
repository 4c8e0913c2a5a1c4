"""The simulator's clients serve here, too."""

from tests.simulator.conftest import client, http, sim

__all__ = ["client", "http", "sim"]
