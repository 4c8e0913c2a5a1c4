"""ringledger: an exact ledger of a RingCentral account's calls."""

from importlib.util import find_spec

__version__ = "0.1.0"


def tracker_kind() -> str:
    """How the tracker runs: ``compiled`` (a wheel made with a C compiler) or ``plain Python``."""
    spec = find_spec("ringledger.domain.status")
    return "plain Python" if spec is None or (spec.origin or "").endswith(".py") else "compiled"
