"""What a command does with the platform or the ledger, without its looks."""
