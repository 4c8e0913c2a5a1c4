"""ringledger: an exact ledger of a RingCentral account's calls."""

__version__ = "0.1.0"
