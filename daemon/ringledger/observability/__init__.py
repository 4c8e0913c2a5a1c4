"""What leaves the process for people and monitors: log events, redaction, metrics."""
