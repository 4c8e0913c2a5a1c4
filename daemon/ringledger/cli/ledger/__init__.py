"""Commands that ask the ledger: calls, statistics, exports, coverage, audit."""
